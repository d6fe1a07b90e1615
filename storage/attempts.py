"""Notifications on their way out: taken, tried, settled; and the ledger of every try.

A row of ``delivery_attempt`` is written *before* something is sent, with the outcome ``unknown``, and says what came
of it only once that is known. So whatever moment the process dies at, the ledger never says less than what may have
happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.notifications import Severity, Target
from storage.redact import redact
from storage.tables_delivery import delivery_attempt, notification, notification_item, outgoing_event

State = Literal["pending", "sending", "sent", "failed", "dropped"]
Outcome = Literal["sent", "refused", "failed", "unknown"]
DETAIL_LIMIT: Final = 300
CLOSED: Final = ("sent", "dropped")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to send. ``unknown``: it is under way, or its answer was lost."""

    id: int
    at: datetime
    channel: str
    outcome: Outcome
    detail: str | None
    message_id: str | None
    nonce: str | None


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification as delivery sees it: the row, what it tells of, and what was tried."""

    id: str
    kind: str
    target: Target
    severity: Severity
    state: State
    created_at: datetime
    due_at: datetime
    items: tuple[Mapping[str, Any], ...]
    attempts: tuple[Attempt, ...] = ()
    deadline_at: datetime | None = None
    poll_at: datetime | None = None
    sent_at: datetime | None = None
    sent_via: str | None = None
    message_id: str | None = None
    may_repeat: bool = False

    @property
    def closed(self) -> bool:
        """Nothing is left to do."""
        return self.state in CLOSED


class DeliveryLedger:
    """The work on notifications, by the process that holds their job."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def load(self, notification_id: str, conn: AsyncConnection | None = None) -> Notification | None:
        """A notification with its items and attempts; None when there is none (any more)."""
        if conn is None:
            async with self._db.read() as own:
                return await self.load(notification_id, own)
        row = (await conn.execute(select(notification).where(notification.c.id == notification_id))).one_or_none()
        if row is None:
            return None
        items = await conn.execute(
            select(notification_item.c.payload)
            .where(notification_item.c.notification_id == notification_id)
            .order_by(notification_item.c.id)
        )
        attempts = await conn.execute(
            select(delivery_attempt)
            .where(delivery_attempt.c.notification_id == notification_id)
            .order_by(delivery_attempt.c.id)
        )
        return Notification(
            id=row.id,
            kind=row.kind,
            target=Target(row.member_id, row.guild_id, row.channel_id, row.role_id),
            severity=row.severity,
            state=row.state,
            created_at=row.created_at,
            due_at=row.due_at,
            items=tuple(item.payload for item in items),
            attempts=tuple(
                Attempt(each.id, each.at, each.channel, each.outcome, each.detail, each.message_id, each.nonce)
                for each in attempts
            ),
            deadline_at=row.deadline_at,
            poll_at=row.poll_at,
            sent_at=row.sent_at,
            sent_via=row.sent_via,
            message_id=row.message_id,
            may_repeat=row.may_repeat,
        )

    async def begin(
        self,
        conn: AsyncConnection,
        told: Notification,
        channel: str,
        at: datetime,
        *,
        nonce: str | None,
        may_repeat: bool = False,
    ) -> int | None:
        """Close the group and note that a try through *channel* begins; the attempt's id.

        Args:
            told: the notification as it was rendered.
            may_repeat: an earlier try may have arrived although its answer was lost, and this one cannot find out.

        Returns:
            None when items joined since *told* was loaded: nothing was noted, the group is closed, so load and render
            once more. None too when it was settled meanwhile.
        """
        first = func.coalesce(notification.c.first_tried_at, at)
        values: dict[str, Any] = {"state": "sending", "first_tried_at": first}
        if may_repeat:
            values["may_repeat"] = True
        closed = await conn.execute(
            update(notification)
            .where(notification.c.id == told.id, notification.c.state.not_in(CLOSED))
            .values(**values)
        )
        if closed.rowcount != 1:
            return None
        count = select(func.count()).where(notification_item.c.notification_id == told.id)
        if (await conn.execute(count)).scalar_one() != len(told.items):
            return None
        made = await conn.execute(
            self._db.insert(delivery_attempt)
            .values(notification_id=told.id, at=at, channel=channel, outcome="unknown", nonce=nonce)
            .returning(delivery_attempt.c.id)
        )
        return int(made.scalar_one())

    async def sent(
        self,
        conn: AsyncConnection,
        notification_id: str,
        attempt_id: int,
        channel: str,
        message_id: str,
        at: datetime,
        detail: str | None = None,
    ) -> None:
        """It arrived."""
        await self._settle(conn, attempt_id, "sent", detail, message_id)
        await conn.execute(
            update(notification)
            .where(notification.c.id == notification_id)
            .values(state="sent", sent_at=at, sent_via=channel, message_id=message_id[:80])
        )

    async def not_sent(self, conn: AsyncConnection, attempt_id: int, outcome: Outcome, detail: str) -> None:
        """It did not, or nobody knows."""
        await self._settle(conn, attempt_id, outcome, detail, None)

    async def _settle(
        self, conn: AsyncConnection, attempt_id: int, outcome: Outcome, detail: str | None, message_id: str | None
    ) -> None:
        said = None if detail is None else redact(detail, DETAIL_LIMIT)
        await conn.execute(
            update(delivery_attempt)
            .where(delivery_attempt.c.id == attempt_id)
            .values(outcome=outcome, detail=said, message_id=None if message_id is None else message_id[:80])
        )

    async def close(self, conn: AsyncConnection, notification_id: str, state: Literal["failed", "dropped"]) -> None:
        """No channel is left (``failed``), or it is not wanted any more (``dropped``)."""
        await conn.execute(
            update(notification)
            .where(notification.c.id == notification_id, notification.c.state.not_in(CLOSED))
            .values(state=state)
        )

    async def drop_empty(self, conn: AsyncConnection, notification_id: str) -> bool:
        """Drop it if it tells of nothing. False, and its group closed, when items have joined it meanwhile."""
        await conn.execute(
            update(notification)
            .where(notification.c.id == notification_id, notification.c.state.not_in(CLOSED))
            .values(state="sending")
        )
        # A statement of its own: who joined while the first one waited for the row is seen only now.
        item = select(notification_item.c.id).where(notification_item.c.notification_id == notification_id).limit(1)
        if (await conn.execute(item)).first() is not None:
            return False
        await self.close(conn, notification_id, "dropped")
        return True

    async def postpone(self, conn: AsyncConnection, notification_id: str, due_at: datetime) -> None:
        """Not before *due_at*: quiet hours. What is open stays open for further items."""
        await conn.execute(
            update(notification)
            .where(notification.c.id == notification_id, notification.c.state.not_in(CLOSED))
            .values(due_at=due_at)
        )

    async def poll_to_message(self, since: datetime, via: str = "dm") -> Sequence[float]:
        """Seconds from the poll to the message of all notifications sent since, quiet hours left out, unsorted."""
        query = select(notification.c.poll_at, notification.c.sent_at).where(
            notification.c.state == "sent",
            notification.c.sent_via == via,
            notification.c.poll_at.is_not(None),
            notification.c.sent_at >= since,
            # Due later than made: it waited for the end of quiet hours.
            notification.c.due_at <= notification.c.created_at,
        )
        async with self._db.read() as conn:
            return [max(0.0, (row.sent_at - row.poll_at).total_seconds()) for row in await conn.execute(query)]

    async def purge(self, *, notifications_before: datetime, events_before: datetime, batch: int = 500) -> int:
        """Delete what ended long ago, with its items and attempts; how many rows. Transactions of *batch* rows.

        What is pending, under way or given up is kept: somebody is still owed it.
        """
        old = notification.c.state.in_(CLOSED) & (notification.c.created_at < notifications_before)
        total = await self._purge(notification.c.id, old, batch)
        return total + await self._purge(outgoing_event.c.id, outgoing_event.c.created_at < events_before, batch)

    async def _purge(self, key: ColumnElement[Any], old: ColumnElement[bool], batch: int) -> int:
        table: Any = key.table
        total = 0
        while True:
            some = select(key).where(old).limit(batch).scalar_subquery()
            async with self._db.write() as conn:
                gone = await conn.execute(delete(table).where(key.in_(some)))
            total += gone.rowcount
            if gone.rowcount < batch:
                return total
