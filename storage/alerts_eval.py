"""What an evaluation reads and writes: values of keys, the range join, triggers, and the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CompoundSelect,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables as t
from storage.engine import Database
from storage.tables_alerts import alert_hold as hold
from storage.tables_alerts import alert_key as key
from storage.tables_alerts import alert_ledger as ledger
from storage.tables_alerts import alert_rule as rule
from storage.tables_alerts import alert_trigger as trigger
from storage.tables_delivery import member_delivery
from storage.tables_portfolio import holding

CHUNK: Final = 500
"""Rows of one write transaction, and ids of one statement."""
DAY: Final = 86_400
TRIGGER_COLUMNS: Final = tuple(column.name for column in trigger.c if column.name != "id")


class KeyValue(NamedTuple):
    """A key's value at a poll. ``at`` is its source time (epoch seconds); ``held`` says why it is not judged."""

    key_id: int
    value: float
    at: int
    held: str | None = None


class Hit(NamedTuple):
    """A trigger that a value meets."""

    receiver: int
    rule_id: int
    trigger_id: int


class LedgerRow(NamedTuple):
    """One entry; see the table. ``mark`` names the event: a second one of the same rule extends the first."""

    rule_id: int
    mark: str
    at: datetime
    outcome: str
    reason: str | None = None
    metric: str | None = None
    subject: str | None = None
    value: float | None = None
    level: float | None = None
    notification_id: str | None = None


def chunks(items: Sequence[Any], size: int = CHUNK) -> Iterable[Sequence[Any]]:
    """*items* in portions."""
    return (items[first : first + size] for first in range(0, len(items), size))


class EvaluationStore:
    """Rows of an evaluation. Where a method takes *conn*, it is part of that write transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._hits: CompoundSelect[Any] | None = None
        self._held_hits: CompoundSelect[Any] | None = None

    async def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """The answer to a query of its own."""
        async with self.db.read() as conn:
            found: Sequence[Row[Any]] = (await conn.execute(query)).all()
        return found

    # --- values ---

    async def watched_quotes(self, update_ids: Collection[int], oldest: int, newest: int) -> Sequence[Row[Any]]:
        """Keys of series with the quotes that some updates brought, oldest quote first."""
        quote = t.quote
        return await self.rows(
            select(key.c.id.label("key_id"), key.c.metric, key.c.subject, key.c.days, *quote.c)
            .join(quote, quote.c.series_id == key.c.series_id)
            .where(quote.c.ts >= oldest, quote.c.ts <= newest, quote.c.update_id.in_(update_ids))
            .order_by(quote.c.ts)
        )

    async def keys_of(self, metrics: Collection[str]) -> Sequence[Row[Any]]:
        """All keys of some metrics."""
        return await self.rows(select(key).where(key.c.metric.in_(metrics)).order_by(key.c.id))

    async def put_values(self, conn: AsyncConnection, poll: int, values: Sequence[KeyValue]) -> None:
        """Store values of a poll, at most :data:`CHUNK`; one that is not newer than the stored changes nothing."""
        judged = [{"k": v.key_id, "v": v.value, "a": v.at, "p": poll} for v in values if v.held is None]
        held = [{"k": v.key_id, "v": v.value, "p": poll, "r": v.held, "a": v.at} for v in values if v.held is not None]
        older = key.c.value_at.is_(None) | (key.c.value_at < bindparam("a"))
        if judged:
            value = bindparam("v", type_=key.c.value.type)
            same = and_(key.c.value == value, key.c.since.is_not(None))
            await conn.execute(
                update(key)
                .where(key.c.id == bindparam("k"), older)
                .values(
                    before=key.c.value,
                    since=case((same, key.c.since), else_=bindparam("a")),
                    value=value,
                    value_at=bindparam("a"),
                    poll=bindparam("p"),
                    held=None,
                    held_value=None,
                    held_poll=None,
                ),
                judged,
            )
        if held:
            await conn.execute(
                update(key)
                .where(key.c.id == bindparam("k"), older)
                .values(held=bindparam("r"), held_value=bindparam("v"), held_poll=bindparam("p")),
                held,
            )
            statement = self.db.insert(hold)
            await conn.execute(
                statement.on_conflict_do_update(
                    index_elements=["key_id", "reason", "day"],
                    set_={
                        "last_at": statement.excluded.last_at,
                        "count": hold.c.count + 1,
                        "value": statement.excluded.value,
                    },
                    where=hold.c.last_at < statement.excluded.last_at,
                ),
                [
                    {
                        "key_id": v.key_id,
                        "reason": v.held,
                        "day": v.at // DAY,
                        "at": v.at,
                        "last_at": v.at,
                        "count": 1,
                        "value": v.value,
                    }
                    for v in values
                    if v.held is not None
                ],
            )

    # --- the range join ---

    async def hits(self, poll: int) -> list[Hit]:
        """Every trigger that the poll's judged values meet: one indexed range join."""
        if self._hits is None:
            self._hits = self._join(key.c.poll == bindparam("poll"), key.c.value)
        return await self._found(self._hits, poll)

    async def held_hits(self, poll: int) -> list[Hit]:
        """Every trigger of role ``fire`` that the poll's held values would meet."""
        if self._held_hits is None:
            which = key.c.held_poll == bindparam("poll")
            self._held_hits = self._join(which, key.c.held_value, trigger.c.role == "fire")
        return await self._found(self._held_hits, poll)

    async def _found(self, query: CompoundSelect[Any], poll: int) -> list[Hit]:
        async with self.db.read() as conn:
            return list(map(Hit._make, (await conn.execute(query, {"poll": poll})).all()))

    def _join(self, which: Any, value: Any, *also: Any) -> CompoundSelect[Any]:
        return union_all(*(self._side(direction, which, value, also) for direction in (1, -1)))

    def _side(self, direction: int, which: Any, value: Any, also: Sequence[Any]) -> Select[Any]:
        columns = (trigger.c.receiver, trigger.c.rule_id, trigger.c.id)
        met = trigger.c.level <= value if direction > 0 else trigger.c.level >= value
        of_key = and_(trigger.c.key_id == key.c.id, trigger.c.direction == direction, met, *also)
        if self.db.dialect == "sqlite":
            return select(*columns).join(key, of_key).where(which)
        # PostgreSQL takes a range for a third of the table and would read all of it: with OFFSET it looks up each key.
        inner = select(*columns).where(of_key).correlate(key).offset(0).lateral()
        return select(*inner.c).select_from(key.join(inner, true())).where(which)

    async def due(self, now: int) -> list[Hit]:
        """Triggers whose time has come by *now* (epoch seconds)."""
        query = select(trigger.c.receiver, trigger.c.rule_id, trigger.c.id).where(trigger.c.wake_at <= now)
        return [Hit._make(row) for row in await self.rows(query)]

    # --- acting ---

    async def rules(self, ids: Collection[int], conn: AsyncConnection | None = None) -> dict[int, Row[Any]]:
        """Active rules by id; with *conn* they are locked until it ends."""
        query = select(rule).where(rule.c.id.in_(ids), rule.c.state == "active").order_by(rule.c.id)
        if conn is None:
            return {row.id: row for row in await self.rows(query)}
        return {row.id: row for row in await conn.execute(query.with_for_update())}

    async def triggers(self, conn: AsyncConnection, rule_ids: Collection[int]) -> dict[int, list[Row[Any]]]:
        """All triggers of some rules, by rule."""
        found: dict[int, list[Row[Any]]] = {}
        for row in await conn.execute(select(trigger).where(trigger.c.rule_id.in_(rule_ids)).order_by(trigger.c.id)):
            found.setdefault(row.rule_id, []).append(row)
        return found

    async def subjects(self, trigger_ids: Collection[int]) -> list[Row[Any]]:
        """What some triggers are of, whose rules they belong to, and what matters for telling that member.

        Returns:
            Rows with id, role, anchor, metric, subject, days, member_id, server, and of the member timezone, ``chose``
            (anything about delivery) and ``holds`` (anything at all).
        """
        found: list[Row[Any]] = []
        home = func.coalesce(trigger.c.home_id, trigger.c.key_id)
        holds = exists().where(holding.c.member_id == rule.c.member_id, holding.c.removed_at.is_(None))
        for part in chunks(sorted(trigger_ids)):
            query = (
                select(
                    trigger.c.id,
                    trigger.c.role,
                    trigger.c.anchor,
                    key.c.metric,
                    key.c.subject,
                    key.c.days,
                    rule.c.member_id,
                    rule.c.server,
                    t.member.c.timezone,
                    member_delivery.c.member_id.is_not(None).label("chose"),
                    holds.label("holds"),
                )
                .join(key, key.c.id == home)
                .join(rule, rule.c.id == trigger.c.rule_id)
                .outerjoin(t.member, t.member.c.id == rule.c.member_id)
                .outerjoin(member_delivery, member_delivery.c.member_id == rule.c.member_id)
                .where(trigger.c.id.in_(part))
            )
            found += await self.rows(query)
        return found

    async def plan(self, conn: AsyncConnection, rule_id: int, next_at: datetime) -> None:
        """When a digest of alerts is due next."""
        await conn.execute(update(rule).where(rule.c.id == rule_id).values(next_at=next_at))

    async def keys(self, conn: AsyncConnection, ids: Collection[int]) -> dict[int, Row[Any]]:
        """Keys by id."""
        found: dict[int, Row[Any]] = {}
        for part in chunks(sorted(ids)):
            for row in await conn.execute(select(key).where(key.c.id.in_(part))):
                found[row.id] = row
        return found

    async def prices(self, conn: AsyncConnection, subjects: Collection[str]) -> dict[str, Row[Any]]:
        """The price keys of some subjects."""
        found: dict[str, Row[Any]] = {}
        for part in chunks(sorted(subjects)):
            query = select(key).where(key.c.metric == "price", key.c.subject.in_(part), key.c.days == 0)
            for row in await conn.execute(query):
                found[row.subject] = row
        return found

    async def store_triggers(
        self, conn: AsyncConnection, changed: Sequence[Mapping[str, Any]], deleted: Collection[int]
    ) -> None:
        """Write triggers: those with an id are replaced, those without are new."""
        for part in chunks(sorted(deleted)):
            await conn.execute(delete(trigger).where(trigger.c.id.in_(part)))
        old = [{**row, "_id": row["id"]} for row in changed if row["id"]]
        new = [{name: value for name, value in row.items() if name != "id"} for row in changed if not row["id"]]
        if old:
            names = [name for name in TRIGGER_COLUMNS if name not in ("rule_id", "receiver", "part", "side")]
            await conn.execute(
                update(trigger)
                .where(trigger.c.id == bindparam("_id"))
                .values({name: bindparam(name, type_=trigger.c[name].type) for name in names}),
                old,
            )
        if new:
            await conn.execute(insert(trigger), new)

    async def note(self, conn: AsyncConnection, rows: Sequence[LedgerRow]) -> None:
        """Write ledger rows; one whose mark is there already counts one more and takes the newer value."""
        if not rows:
            return
        statement = self.db.insert(ledger)
        values = [{**row._asdict(), "last_at": row.at, "count": 1} for row in rows]
        await conn.execute(
            statement.on_conflict_do_update(
                index_elements=["rule_id", "mark"],
                set_={
                    "last_at": statement.excluded.last_at,
                    "count": ledger.c.count + 1,
                    "value": statement.excluded.value,
                    "level": statement.excluded.level,
                },
                # The same poll twice counts once.
                where=ledger.c.last_at < statement.excluded.last_at,
            ),
            values,
        )

    async def fired(self, conn: AsyncConnection, counts: Mapping[int, int], at: datetime) -> None:
        """Count firings of rules."""
        if counts:
            await conn.execute(
                update(rule)
                .where(rule.c.id == bindparam("_id"))
                .values(fires=rule.c.fires + bindparam("n"), last_fired_at=bindparam("at")),
                [{"_id": rule_id, "n": n, "at": at} for rule_id, n in counts.items()],
            )

    async def end(self, conn: AsyncConnection, ids: Collection[int], state: str, at: datetime) -> None:
        """Take rules out of the watch: their triggers go, they stay listed in *state*."""
        for part in chunks(sorted(ids)):
            await conn.execute(delete(trigger).where(trigger.c.rule_id.in_(part)))
            await conn.execute(update(rule).where(rule.c.id.in_(part)).values(state=state, updated_at=at))

    # --- time ---

    async def expired(self, now: datetime) -> Sequence[Row[Any]]:
        """Active rules whose time is over."""
        return await self.rows(select(rule).where(rule.c.state == "active", rule.c.expires_at <= now).limit(CHUNK))

    async def digests_due(self, now: datetime) -> Sequence[Row[Any]]:
        """Active digests of alerts that are due."""
        return await self.rows(select(rule).where(rule.c.state == "active", rule.c.next_at <= now).limit(CHUNK))

    async def lines(self, owner: str, since: datetime) -> Sequence[Row[Any]]:
        """An owner's active rules with their firings from *since* on, and the value of the first thing they watch."""
        fired = (
            select(ledger.c.rule_id, func.count().label("fired"), func.max(ledger.c.last_at).label("last_at"))
            .where(ledger.c.outcome.in_(("fired", "repeated")), ledger.c.last_at >= since)
            .group_by(ledger.c.rule_id)
            .subquery()
        )
        first = (
            select(trigger.c.rule_id, func.min(trigger.c.id).label("id"))
            .group_by(trigger.c.rule_id)
            .where(trigger.c.rule_id.in_(select(rule.c.id).where(rule.c.owner == owner)))
            .subquery()
        )
        query = (
            select(rule.c.id, rule.c.spec, fired.c.fired, fired.c.last_at, key.c.metric, key.c.subject, key.c.value)
            .outerjoin(fired, fired.c.rule_id == rule.c.id)
            .outerjoin(first, first.c.rule_id == rule.c.id)
            .outerjoin(trigger, trigger.c.id == first.c.id)
            .outerjoin(key, key.c.id == func.coalesce(trigger.c.home_id, trigger.c.key_id))
            .where(rule.c.owner == owner, rule.c.kind != "digest")
            .where(or_(rule.c.state == "active", fired.c.fired > 0))
            .order_by(rule.c.id)
        )
        return await self.rows(query)

    async def purge(self, conn: AsyncConnection, before: datetime, removed_before: datetime) -> int:
        """Forget ledger rows last extended before *before*, and rules removed before *removed_before*."""
        await conn.execute(delete(hold).where(hold.c.day < int(before.timestamp()) // DAY))
        old = select(ledger.c.id).where(ledger.c.last_at < before).limit(CHUNK).scalar_subquery()
        gone = await conn.execute(delete(ledger).where(ledger.c.id.in_(old)))
        await conn.execute(delete(rule).where(rule.c.state == "removed", rule.c.updated_at < removed_before))
        return gone.rowcount
