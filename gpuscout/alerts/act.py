"""Acting on triggers that are met: state, ledger, notification and event of a batch in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, cast

import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.alerts.bands import beyond
from gpuscout.alerts.decide import Outcome, Seen, Trigger, met, woken
from gpuscout.alerts.expand import KeySpec, series_of
from gpuscout.alerts.impact import Impacts, Move, impact_of
from gpuscout.alerts.messages import AlertItem, Metric, moment
from gpuscout.alerts.readings import Readings
from gpuscout.alerts.rules import NewModelRule, Rule
from gpuscout.alerts.rules_rows import owner_of
from gpuscout.alerts.tell import Receiver, Teller, Telling, about, happened
from gpuscout.alerts.values import gpu_of
from gpuscout.alerts.watching import platform_of, trigger_of
from gpuscout.portfolio.models import PortfolioView
from storage import alerts_values as figures
from storage.alerts_eval import EvaluationStore, Hit, LedgerRow

log = structlog.get_logger(__name__)

Mode = Literal["met", "held", "due"]
EVERYBODY: Final = Receiver()
BREATH: Final = 25
"""Triggers decided on at a stretch: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """The cycle that is evaluated.

    Attributes:
        poll: its number.
        at: its newest source time, epoch seconds.
        stored_at: when it was stored.
        catch_up: whether it is told late, or after a gap.
        due_at: when a message of it is sent at the earliest.
    """

    poll: int
    at: int
    oldest: int
    stored_at: datetime
    catch_up: bool = False
    due_at: datetime | None = None


@dataclass(slots=True)
class Prepared:
    """What is read before the transaction of a batch: how members want to hear, what they hold, what is new."""

    receivers: Mapping[int, Receiver] = field(default_factory=dict)
    views: Mapping[int, PortfolioView] = field(default_factory=dict)
    models: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    now: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """The rows of a batch inside its transaction."""

    rules: dict[int, Any]
    families: dict[int, dict[int, Trigger]]
    keys: dict[int, Any]
    prices: dict[str, Any]
    changed: dict[int, Trigger] = field(default_factory=dict)
    made: list[Trigger] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    ledger: list[LedgerRow] = field(default_factory=list)
    fires: dict[int, int] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    tellings: dict[str, Telling] = field(default_factory=dict)


class Acting:
    """Acts on batches of triggers."""

    def __init__(
        self,
        evaluation: EvaluationStore,
        teller: Teller,
        impacts: Impacts,
        readings: Readings,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._evaluation = evaluation
        self._teller = teller
        self._impacts = impacts
        self._readings = readings
        self._clock = clock

    async def act(self, hits: Sequence[Hit], mode: Mode, cycle: Cycle) -> int:
        """Act on some triggers, all of a receiver's together; how many firings were told.

        What changed since they were found is looked at again in the transaction, under the rules' locks.
        """
        prepared = await self._prepare(hits, mode, cycle)
        ids = sorted({hit.rule_id for hit in hits})
        async with self._evaluation.db.write() as conn:
            rules = await self._evaluation.rules(ids, conn)
            rows = await self._evaluation.triggers(conn, list(rules))
            families = {rule_id: {row.id: trigger_of(row) for row in rows.get(rule_id, ())} for rule_id in rules}
            wanted = {hit.trigger_id for hit in hits}
            used = [t for family in families.values() for t in family.values() if t.id in wanted]
            keys = await self._evaluation.keys(
                conn, {t.key_id for t in used} | {t.home_id for t in used if t.home_id is not None}
            )
            prices = await self._evaluation.prices(conn, {k.subject for k in keys.values() if k.series_id is not None})
            batch = _Batch(rules, families, keys, prices)
            for number, hit in enumerate(hits):
                if number % BREATH == BREATH - 1:
                    await asyncio.sleep(0)  # a storm must not hold the loop
                trigger = families.get(hit.rule_id, {}).get(hit.trigger_id)
                if trigger is not None and hit.rule_id not in batch.ended:
                    self._one(batch, trigger, mode, cycle, prepared)
            await self._write(conn, batch)
        return len(batch.tellings)

    async def _prepare(self, hits: Sequence[Hit], mode: Mode, cycle: Cycle) -> Prepared:
        if mode == "held":
            return Prepared()
        found = await self._evaluation.subjects([hit.trigger_id for hit in hits if hit.trigger_id])
        firing = [row for row in found if row.role in ("fire", "rearm")]
        gpus = {gpu for row in firing if (gpu := gpu_of(row.subject))}
        holders = {row.member_id for row in firing if row.holds and not row.server}
        models = {
            row.id: tuple(
                await figures.models_since(self._evaluation.db, row.subject, int(row.anchor or 0), cycle.oldest)
            )
            for row in firing
            if row.metric == "models"
        }
        now: dict[str, float] = {}
        if cycle.catch_up:
            specs = [KeySpec(cast(Metric, r.metric), r.subject, r.days, _texts(r.subject)) for r in firing]
            readings = await self._readings.current([s for s in specs if s.texts is not None])
            now = {f"{i[0]}:{i[1]}": r.value for i, r in readings.items() if r.value is not None}
        return Prepared(
            receivers=await self._teller.receivers(firing),
            views=await self._impacts.views(holders, gpus) if holders and gpus else {},
            models=models,
            now=now,
        )

    def _one(self, batch: _Batch, trigger: Trigger, mode: Mode, cycle: Cycle, prepared: Prepared) -> None:
        row = batch.rules[trigger.rule_id]
        try:
            rule = Rule.model_validate(row.spec)
        except ValidationError:
            # Another version wrote it: everybody else's alerts go on.
            log.error("alert_rule_unreadable", rule=row.id, exc_info=True)
            return
        key = batch.keys[trigger.key_id if mode != "due" or trigger.home_id is None else trigger.home_id]
        if mode == "held":
            current = key.held_poll == cycle.poll and trigger.role == "fire" and key.held is not None
            if current and beyond(key.held_value, trigger.level, trigger.direction):
                at = moment(cycle.at)
                batch.ledger.append(_held_row(trigger, key, key.held, key.held_value, trigger.level, at))
            return
        seen = _seen(key, batch.prices.get(key.subject), cycle.poll)
        snoozed = row.snoozed_until is not None and row.snoozed_until > self._clock()
        family = [t for t in batch.families[row.id].values() if t.id != trigger.id]
        if mode == "met":
            if seen is None or key.poll != cycle.poll or not beyond(seen.value, trigger.level, trigger.direction):
                return
            outcome = met(rule, trigger, seen, family, snoozed=snoozed)
        else:
            if trigger.wake_at is None or trigger.wake_at > cycle.at:
                return
            if trigger.home_id is None and key.poll != cycle.poll:
                # A repeat says how it is now, which only a value of now can: it stays due until there is one.
                if seen is not None and key.held is not None and key.held_poll == cycle.poll:
                    row_of = _held_row(trigger, key, key.held, key.held_value, trigger.base, moment(cycle.at))
                    batch.ledger.append(row_of)
                return
            if seen is None:
                outcome = Outcome(stored=[replace(trigger, wake_at=None)])
            else:
                outcome = woken(rule, trigger, seen, snoozed=snoozed)
        self._keep(batch, row.id, outcome)
        if seen is None:
            return
        if outcome.held is not None and outcome.about is not None:
            level = trigger.base if trigger.role == "rearm" else trigger.level
            batch.ledger.append(_held_row(trigger, key, outcome.held, seen.value, level, moment(seen.at)))
        if outcome.fired is not None:
            self._fire(batch, row, rule, trigger, key, seen, outcome.repeat, cycle, prepared)

    def _keep(self, batch: _Batch, rule_id: int, outcome: Outcome) -> None:
        """Remember what is to be written, so that a later trigger of the same rule sees it."""
        family = batch.families[rule_id]
        for gone in outcome.deleted:
            family.pop(gone, None)
            batch.changed.pop(gone, None)
            batch.deleted.add(gone)
        for trigger in outcome.stored:
            if trigger.id == 0:
                batch.made.append(trigger)
            elif trigger.id not in batch.deleted:
                family[trigger.id] = batch.changed[trigger.id] = trigger

    def _fire(
        self,
        batch: _Batch,
        row: Any,
        rule: Rule,
        trigger: Trigger,
        key: Any,
        seen: Seen,
        repeat: bool,
        cycle: Cycle,
        prepared: Prepared,
    ) -> None:
        models = prepared.models.get(trigger.id, ())
        if isinstance(rule.when, NewModelRule) and not models:
            return  # another series of a model that is known, or one that only history tells of
        owner = owner_of(row)
        view = None if owner.server else prepared.views.get(owner.member_id)
        fields = _fields(row, rule, trigger, key, seen, cycle, batch.fires.get(row.id, 0))
        now = prepared.now.get(f"{key.metric}:{key.subject}") if cycle.catch_up else None
        impact = None if view is None else _impact(view, fields, key)
        item = AlertItem(**fields, repeat=repeat, models=models, impact_month=impact, now=now)
        receiver = EVERYBODY if owner.server else prepared.receivers.get(owner.member_id, EVERYBODY)
        item_key = f"alert:{row.id}:{trigger.id}:{cycle.poll}"
        telling = Telling(owner, item, receiver, item_key, cycle.stored_at, cycle.due_at)
        batch.tellings[item_key] = telling
        batch.ledger.append(
            LedgerRow(
                row.id,
                f"{'r' if repeat else 'f'}:{trigger.id}:{cycle.poll}",
                moment(seen.at),
                "repeated" if repeat else "fired",
                None if telling.wanted else "muted",
                key.metric,
                key.subject,
                seen.value,
                item.threshold,
                item_key,
            )
        )
        batch.fires[row.id] = batch.fires.get(row.id, 0) + 1
        if rule.manners.once:
            batch.ended.add(row.id)

    async def _write(self, conn: AsyncConnection, batch: _Batch) -> None:
        rows = [t.row() for t in (*batch.changed.values(), *batch.made) if t.rule_id not in batch.ended]
        await self._evaluation.store_triggers(conn, rows, batch.deleted)
        told = await self._teller.tell_many(conn, list(batch.tellings.values()))
        # A row of a firing names its item until the notification is known.
        ledger = [row._replace(notification_id=told.get(row.notification_id or "")) for row in batch.ledger]
        await self._evaluation.note(conn, ledger)
        await self._evaluation.fired(conn, batch.fires, self._clock())
        if batch.ended:
            await self._evaluation.end(conn, batch.ended, "done", self._clock())


def _texts(subject: str) -> Any:
    return tuple(subject.split("|")) if series_of(subject) is not None else None


def _seen(key: Any, price: Any, poll: int) -> Seen | None:
    if key.value is None or key.value_at is None:
        return None
    return Seen(
        key_id=key.id,
        metric=cast(Metric, key.metric),
        platform=platform_of(key.subject),
        value=key.value,
        at=key.value_at,
        poll=poll,
        price=price.value if price is not None else None,
        price_key=price.id if price is not None else None,
    )


def _held_row(trigger: Trigger, key: Any, reason: str, value: float, level: float, at: datetime) -> LedgerRow:
    """One row for each reason, thing and day, extended by later polls."""
    mark = f"h:{key.id}:{trigger.part}:{reason}:{at:%Y%m%d}"
    return LedgerRow(trigger.rule_id, mark, at, "held", reason, key.metric, key.subject, value, level)


def _before(trigger: Trigger, key: Any) -> float | None:
    """What the value is compared with in the message."""
    if trigger.home_id is not None:
        return trigger.fired_value
    if trigger.anchor is not None:
        return trigger.anchor
    return cast(float | None, key.before)


def _fields(row: Any, rule: Rule, trigger: Trigger, key: Any, seen: Seen, cycle: Cycle, earlier: int) -> dict[str, Any]:
    """The fields of an item that the firing itself tells."""
    stepping = trigger.part == "=" and rule.kind in ("machine", "new_model")
    return {
        **about(key.subject),
        "rule_id": row.id,
        "server": row.server,
        "when": rule.when,
        "kind": rule.kind,
        "happened": happened(rule, trigger.side),
        "severity": rule.manners.severity,
        "metric": key.metric,
        "holding_id": trigger.part[1:] or None if rule.kind == "holding" else None,
        "before": _before(trigger, key),
        "after": seen.value,
        "threshold": None if stepping else trigger.base if trigger.role == "rearm" else trigger.level,
        "price": seen.price,
        "at": moment(seen.at),
        "fired_before": row.fires + earlier,
        "catch_up": cycle.catch_up,
        "series_id": key.series_id,
    }


def _impact(view: PortfolioView, fields: dict[str, Any], key: Any) -> float | None:
    series = series_of(key.subject)
    if series is None:
        return None
    return impact_of(view, Move(series, fields["metric"], fields["before"], fields["after"], fields["price"]))
