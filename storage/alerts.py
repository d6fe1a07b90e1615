"""Rules of members and servers: made, changed, listed, and what the ledger says of them.

Every statement names the owner, so nothing of another owner's can be read or changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.market import SeriesTexts
from storage.market_many import ids_of
from storage.tables_alerts import alert_hold as hold
from storage.tables_alerts import alert_key as key
from storage.tables_alerts import alert_ledger as ledger
from storage.tables_alerts import alert_rule as rule
from storage.tables_alerts import alert_trigger as trigger
from storage.tables_delivery import delivery_attempt, muted_alert, notification

LIVE = ("active", "paused")

KeyIdentity = tuple[str, str, int]
"""Metric, subject and days of a key."""


class AlertStore:
    """The rules' tables. Where a method takes *conn*, it is part of that write transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def _rows(self, query: Select[Any], conn: AsyncConnection | None = None) -> Sequence[Row[Any]]:
        if conn is not None:
            found: Sequence[Row[Any]] = (await conn.execute(query)).all()
            return found
        async with self.db.read() as own:
            return await self._rows(query, own)

    # --- rules ---

    async def lock(self, conn: AsyncConnection, number: int) -> None:
        """PostgreSQL: one transaction an owner at a time (SQLite has one writer in any case)."""
        if self.db.dialect == "postgresql":
            await conn.execute(select(func.pg_advisory_xact_lock(number)))

    async def get(self, owner: str, rule_id: int, conn: AsyncConnection | None = None) -> Row[Any] | None:
        """One rule of the owner's, in whatever state; with *conn* it is locked until it ends."""
        query = select(rule).where(rule.c.owner == owner, rule.c.id == rule_id)
        rows = await self._rows(query if conn is None else query.with_for_update(), conn)
        return rows[0] if rows else None

    async def any(self, rule_id: int) -> Row[Any] | None:
        """A rule, whoever's it is."""
        rows = await self._rows(select(rule).where(rule.c.id == rule_id))
        return rows[0] if rows else None

    async def list(self, owner: str) -> Sequence[Row[Any]]:
        """The owner's rules that are not removed, oldest first."""
        query = select(rule).where(rule.c.owner == owner, rule.c.state != "removed")
        return await self._rows(query.order_by(rule.c.id))

    async def live(self, owner: str, conn: AsyncConnection | None = None, besides: int = 0) -> int:
        """How many rules count against the plan."""
        query = select(func.count()).where(rule.c.owner == owner, rule.c.state.in_(LIVE), rule.c.id != besides)
        return int((await self._rows(query, conn))[0][0])

    async def same(
        self, owner: str, fingerprint: str, conn: AsyncConnection | None = None, besides: int = 0
    ) -> Row[Any] | None:
        """A live rule of the same condition."""
        query = select(rule).where(
            rule.c.owner == owner, rule.c.fingerprint == fingerprint, rule.c.state.in_(LIVE), rule.c.id != besides
        )
        rows = await self._rows(query, conn)
        return rows[0] if rows else None

    async def insert(self, conn: AsyncConnection, values: Mapping[str, Any]) -> int:
        """Add a rule; returns its id."""
        made = await conn.execute(insert(rule).values(**values).returning(rule.c.id))
        return int(made.scalar_one())

    async def change(self, conn: AsyncConnection, rule_id: int, values: Mapping[str, Any]) -> None:
        """Set some columns of a rule."""
        await conn.execute(update(rule).where(rule.c.id == rule_id).values(**values))

    async def of_scopes(self, member_id: int | None = None) -> Sequence[Row[Any]]:
        """Active rules that follow a portfolio or a watchlist: of one member, or all."""
        query = select(rule).where(rule.c.scope.in_(("portfolio", "watchlist")), rule.c.state == "active")
        if member_id is not None:
            query = query.where(rule.c.owner == f"m:{member_id}")
        return await self._rows(query.order_by(rule.c.id))

    # --- what they watch ---

    async def series_ids(self, keys: Collection[SeriesTexts]) -> dict[SeriesTexts, int]:
        """Ids of stored series."""
        return await ids_of(self.db, keys)

    async def ensure_keys(
        self, conn: AsyncConnection, specs: Mapping[KeyIdentity, tuple[int | None, float | None, int | None]]
    ) -> dict[KeyIdentity, int]:
        """Ids of keys, made where they are new.

        Args:
            specs: by identity (series id, present value, its source time): what a new key begins with.
        """
        if not specs:
            return {}
        rows = [
            {
                "metric": metric,
                "subject": subject,
                "days": days,
                "series_id": series_id,
                "value": value,
                "value_at": at if value is not None else None,
                "since": at if value is not None else None,
            }
            for (metric, subject, days), (series_id, value, at) in sorted(specs.items())
        ]
        subjects = sorted({subject for _, subject, _ in specs})
        for _ in range(3):
            found: dict[KeyIdentity, int] = {}
            for first in range(0, len(subjects), 500):
                part = subjects[first : first + 500]
                query = select(key.c.id, key.c.metric, key.c.subject, key.c.days).where(key.c.subject.in_(part))
                # Held until triggers are of them: nothing forgets them meanwhile.
                for row in await conn.execute(query.order_by(key.c.id).with_for_update(read=True, key_share=True)):
                    found[(row.metric, row.subject, row.days)] = row.id
            if specs.keys() <= found.keys():
                return {identity: found[identity] for identity in specs}
            missing = [row for row in rows if (row["metric"], row["subject"], row["days"]) not in found]
            await conn.execute(self.db.insert(key).on_conflict_do_nothing(), missing)
            # Looked up once more: another process may have made them, or forget one that nobody watches.
        raise RuntimeError("keys of a rule vanish as fast as they are made")

    async def triggers(self, conn: AsyncConnection, rule_id: int) -> Sequence[Row[Any]]:
        """A rule's triggers with the identity of the key that they belong to (of anchored ones their home)."""
        home = func.coalesce(trigger.c.home_id, trigger.c.key_id)
        query = (
            select(trigger, key.c.metric, key.c.subject, key.c.days)
            .join(key, key.c.id == home)
            .where(trigger.c.rule_id == rule_id)
            .order_by(trigger.c.id)
        )
        return (await conn.execute(query)).all()

    async def watched(self, rule_id: int) -> Sequence[Row[Any]]:
        """A rule's triggers with their keys' values."""
        query = (
            select(
                key.c.metric,
                key.c.subject,
                key.c.value,
                key.c.value_at,
                key.c.held,
                trigger.c.level,
                trigger.c.role,
                trigger.c.direction,
                trigger.c.pending,
            )
            .join(key, key.c.id == trigger.c.key_id)
            .where(trigger.c.rule_id == rule_id, trigger.c.role.in_(("fire", "rearm")))
            .order_by(trigger.c.id)
        )
        return await self._rows(query)

    async def forget_triggers(self, conn: AsyncConnection, rule_id: int) -> None:
        """Stop watching for a rule."""
        await conn.execute(delete(trigger).where(trigger.c.rule_id == rule_id))

    # --- the ledger ---

    async def entries(self, rule_id: int, limit: int) -> Sequence[Row[Any]]:
        """Ledger rows with the state of their notifications, newest first."""
        n = notification
        query = (
            select(ledger, n.c.state, n.c.sent_via, n.c.message_id, n.c.sent_at, n.c.may_repeat)
            .outerjoin(n, n.c.id == ledger.c.notification_id)
            .where(ledger.c.rule_id == rule_id)
            .order_by(ledger.c.last_at.desc(), ledger.c.id.desc())
            .limit(limit)
        )
        return await self._rows(query)

    async def holds(self, rule_id: int, since: int, limit: int) -> Sequence[Row[Any]]:
        """Polls from *since* on (epoch seconds) of which a value that the rule watches was not judged, newest first."""
        watched = select(func.coalesce(trigger.c.home_id, trigger.c.key_id)).where(trigger.c.rule_id == rule_id)
        query = (
            select(hold, key.c.metric, key.c.subject)
            .join(key, key.c.id == hold.c.key_id)
            .where(hold.c.key_id.in_(watched), hold.c.last_at >= since)
            .order_by(hold.c.last_at.desc(), hold.c.key_id)
            .limit(limit)
        )
        return await self._rows(query)

    async def attempts(self, notification_ids: Collection[str]) -> Sequence[Row[Any]]:
        """Tries to deliver some notifications, oldest first."""
        a = delivery_attempt
        return await self._rows(select(a).where(a.c.notification_id.in_(notification_ids)).order_by(a.c.id))

    async def rules_behind(self, owner: str, notification_id: str) -> Sequence[int]:
        """Ids of the owner's rules that a notification tells of."""
        query = (
            select(ledger.c.rule_id)
            .join(rule, rule.c.id == ledger.c.rule_id)
            .where(ledger.c.notification_id == notification_id, rule.c.owner == owner)
            .distinct()
            .order_by(ledger.c.rule_id)
        )
        return [row.rule_id for row in await self._rows(query)]

    # --- members who do not want to hear of a server's rule ---

    async def mute(self, member_id: int, rule_id: int, at: datetime) -> None:
        """Remember it."""
        async with self.db.write() as conn:
            statement = self.db.insert(muted_alert).values(member_id=member_id, rule_id=rule_id, muted_at=at)
            await conn.execute(statement.on_conflict_do_nothing())

    async def unmute(self, member_id: int, rule_id: int) -> bool:
        """Forget it; False when it was not muted."""
        async with self.db.write() as conn:
            m = muted_alert
            gone = await conn.execute(delete(m).where(m.c.member_id == member_id, m.c.rule_id == rule_id))
            return gone.rowcount == 1

    async def muted(self, member_id: int) -> Sequence[Row[Any]]:
        """Servers' rules that a member muted."""
        query = (
            select(rule)
            .join(muted_alert, muted_alert.c.rule_id == rule.c.id)
            .where(muted_alert.c.member_id == member_id, rule.c.server, rule.c.state != "removed")
            .order_by(rule.c.id)
        )
        return await self._rows(query)


async def pause_channel(conn: AsyncConnection, guild_id: int, channel_id: int, at: datetime) -> dict[int, int]:
    """Pause a server's rules that are told in a channel which takes no post; how many, by who made them."""
    stopped = await conn.execute(
        update(rule)
        .where(
            rule.c.owner == f"g:{guild_id}",
            rule.c.server,
            rule.c.channel_id == channel_id,
            rule.c.state == "active",
        )
        .values(state="paused", trouble="channel", updated_at=at)
        .returning(rule.c.id, rule.c.member_id)
    )
    rows = stopped.all()
    await conn.execute(delete(trigger).where(trigger.c.rule_id.in_([row.id for row in rows])))
    return dict(Counter(row.member_id for row in rows))


async def erase_alerts(conn: AsyncConnection, member_id: int) -> int:
    """Erase a member's rules with what belongs to them; of a server's rule the one who made it. How many were his."""
    own = await conn.execute(delete(rule).where(rule.c.owner == f"m:{member_id}"))
    await conn.execute(update(rule).where(rule.c.member_id == member_id).values(member_id=0))
    await conn.execute(delete(muted_alert).where(muted_alert.c.member_id == member_id))
    return own.rowcount


async def count_alerts(conn: AsyncConnection, member_id: int) -> int:
    """How many rules a member has stored."""
    query = select(func.count()).where(rule.c.owner == f"m:{member_id}")
    return int((await conn.execute(query)).scalar_one())
