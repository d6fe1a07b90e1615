"""From a rule to its stored triggers, and back in step when what it is about changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.alerts.decide import Role, Seen, Trigger, new_triggers
from gpuscout.alerts.expand import KeySpec, Part, helpers, machine_of, series_of
from gpuscout.alerts.messages import Metric
from gpuscout.alerts.rules import Owner, Rule
from gpuscout.alerts.values import Reading
from storage.alerts import AlertStore, KeyIdentity
from storage.alerts_eval import EvaluationStore
from storage.market_many import ids_of

Readings = Mapping[KeyIdentity, Reading]


def receiver_of(owner: Owner) -> int:
    """The number under which an owner's triggers are stored: the member's id, or the server's, negative."""
    return -(owner.guild_id or 0) if owner.server else owner.member_id


def platform_of(subject: str) -> str | None:
    """The platform that a subject is of; None for those of none."""
    series, machine = series_of(subject), machine_of(subject)
    return series.platform if series is not None else machine[0] if machine is not None else None


def trigger_of(row: Any) -> Trigger:
    """A stored trigger."""
    return Trigger(
        row.rule_id,
        row.receiver,
        row.key_id,
        row.direction,
        row.level,
        cast(Role, row.role),
        row.part,
        row.side,
        row.base,
        row.id,
        row.home_id,
        row.anchor,
        row.pending,
        row.pending_poll,
        row.fired_at,
        row.fired_value,
        row.wake_at,
    )


def seen_of(key_id: int, spec: KeySpec, reading: Reading | None, price_key: int | None = None) -> Seen | None:
    """A present reading as the state machine sees it; None when the value is unknown."""
    if reading is None or reading.value is None:
        return None
    platform = platform_of(spec.subject)
    return Seen(key_id, spec.metric, platform, reading.value, reading.at, 0, reading.price, price_key)


class Watching:
    """Keeps the triggers of rules."""

    def __init__(self, store: AlertStore, evaluation: EvaluationStore) -> None:
        self._store = store
        self._evaluation = evaluation

    async def series_ids(self, parts: Sequence[Part]) -> dict[Any, int]:
        """Ids of the stored series that parts are of; read before the transaction."""
        keys = [part.key for part in parts]
        return dict(await ids_of(self._store.db, {key.texts for key in keys if key.texts is not None}))

    async def fit(
        self,
        conn: AsyncConnection,
        rule_id: int,
        receiver: int,
        rule: Rule,
        parts: Sequence[Part],
        readings: Readings,
        series_ids: Mapping[Any, int],
    ) -> bool:
        """Make the triggers those of *parts*: new ones come, others go, those that are still right keep their state.

        Returns:
            Whether anything changed.
        """
        specs = {part.key.identity: part.key for part in parts} | {k.identity: k for k in helpers(parts)}
        keys = await self._store.ensure_keys(
            conn,
            {
                identity: (
                    series_ids.get(spec.texts) if spec.texts is not None else None,
                    *_begin(readings.get(identity)),
                )
                for identity, spec in specs.items()
            },
        )
        wanted = {(part.key.identity, part.name): part for part in parts}
        stale: set[int] = set()
        present: set[tuple[KeyIdentity, str]] = set()
        for row in await self._store.triggers(conn, rule_id):
            name = ((row.metric, row.subject, row.days), row.part)
            part = wanted.get(name)
            if part is None or abs(part.base - row.base) > 1e-12:
                stale.add(row.id)
            else:
                present.add(name)
        rows: list[dict[str, Any]] = []
        for name, part in wanted.items():
            if name in present:
                continue
            key_id = keys[part.key.identity]
            seen = seen_of(key_id, part.key, readings.get(part.key.identity))
            made = new_triggers(rule, rule_id, receiver, part.name, part.side, part.base, seen, key_id)
            rows += [trigger.row() for trigger in made]
        if rows or stale:
            await self._evaluation.store_triggers(conn, rows, stale)
        return bool(rows or stale)


def _begin(reading: Reading | None) -> tuple[float | None, int | None]:
    """What a key that is new begins with: a value that could be judged."""
    if reading is None or reading.value is None or reading.held is not None:
        return None, None
    return reading.value, reading.at


def metric_of(row: Any) -> Metric:
    """A stored key's metric."""
    return cast(Metric, row.metric)
