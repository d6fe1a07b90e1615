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

from sqlalchemy import ColumnElement, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.notifications import Severity, Target
from storage.redact import redact
from storage.tables import member
from storage.tables_delivery import (
    delivery_attempt,
    member_delivery,
    notification,
    notification_item,
    outgoing_event,
)

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


@dataclass(frozen=True, slots=True)
class Begun:
    """A try that begins.

    Attributes:
        told: the notification as it was rendered.
        may_repeat: an earlier try may have arrived although its answer was lost, and this one cannot find out.
    """

    told: Notification
    channel: str
    at: datetime
    nonce: str | None
    may_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """A try that ended well."""

    notification_id: str
    attempt_id: int
    channel: str
    message_id: str
    at: datetime
    detail: str | None = None


class DeliveryLedger:
    """The work on notifications, by the process that holds their job."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def load(self, notification_id: str) -> Notification | None:
        """A notification with its items and attempts; None when there is none (any more)."""
        return (await self.load_many([notification_id])).get(notification_id)

    async def load_many(self, ids: Sequence[str]) -> dict[str, Notification]:
        """Notifications by id; what there is none of is left out."""
        items: dict[str, list[Mapping[str, Any]]] = {}
        attempts: dict[str, list[Attempt]] = {}
        of_items, of_attempts = notification_item.c.notification_id, delivery_attempt.c.notification_id
        async with self._db.read() as conn:
            rows = (await conn.execute(select(notification).where(notification.c.id.in_(ids)))).all()
            told = select(of_items, notification_item.c.payload).where(of_items.in_(ids))
            for item in await conn.execute(told.order_by(notification_item.c.id)):
                items.setdefault(item.notification_id, []).append(item.payload)
            tried = select(delivery_attempt).where(of_attempts.in_(ids)).order_by(delivery_attempt.c.id)
            for each in await conn.execute(tried):
                attempts.setdefault(each.notification_id, []).append(
                    Attempt(each.id, each.at, each.channel, each.outcome, each.detail, each.message_id, each.nonce)
                )
        return {
            row.id: _notification(row, tuple(items.get(row.id, ())), tuple(attempts.get(row.id, ()))) for row in rows
        }

    async def reader_rows(
        self, member_ids: Sequence[int]
    ) -> tuple[dict[int, Mapping[str, Any]], dict[int, Mapping[str, Any]]]:
        """What members chose, by member: their rows of ``member`` and of ``member_delivery``, where there are any."""
        found: list[dict[int, Mapping[str, Any]]] = []
        async with self._db.read() as conn:
            for table, key in ((member, member.c.id), (member_delivery, member_delivery.c.member_id)):
                rows = await conn.execute(select(table).where(key.in_(member_ids)))
                found.append({row._mapping[key]: dict(row._mapping) for row in rows})
        return found[0], found[1]

    async def begin_many(self, conn: AsyncConnection, tries: Sequence[Begun]) -> list[int | None]:
        """Close the groups and note that tries begin; the attempts' ids.

        None where items joined since the notification was loaded: nothing was noted, the group is closed, so load and
        render once more. None too where it was settled meanwhile.
        """
        ids = [each.told.id for each in tries]
        if self._db.dialect == "postgresql":
            # In the order in which who adds items locks them: neither waits for the other in a circle.
            locked = select(notification.c.id).where(notification.c.id.in_(ids)).order_by(notification.c.group_key)
            await conn.execute(locked.with_for_update())
        for at in {each.at for each in tries}:
            now = [each.told.id for each in tries if each.at == at]
            await conn.execute(
                update(notification)
                .where(notification.c.id.in_(now), notification.c.state.not_in(CLOSED))
                .values(state="sending", first_tried_at=func.coalesce(notification.c.first_tried_at, at))
            )
        # A statement of its own: who joined while the first one waited for a row is seen only now.
        count = func.count(notification_item.c.id)
        rows = await conn.execute(
            select(notification.c.id, notification.c.state, count.label("items"))
            .join(notification_item, notification_item.c.notification_id == notification.c.id, isouter=True)
            .where(notification.c.id.in_(ids))
            .group_by(notification.c.id, notification.c.state)
        )
        seen = {row.id: row.items for row in rows if row.state == "sending"}
        going = [each for each in tries if seen.get(each.told.id) == len(each.told.items)]
        if not going:
            return [None] * len(tries)
        if repeats := [each.told.id for each in going if each.may_repeat]:
            await conn.execute(update(notification).where(notification.c.id.in_(repeats)).values(may_repeat=True))
        made = await conn.execute(
            self._db.insert(delivery_attempt)
            .values(
                [
                    {
                        "notification_id": each.told.id,
                        "at": each.at,
                        "channel": each.channel,
                        "outcome": "unknown",
                        "nonce": each.nonce,
                    }
                    for each in going
                ]
            )
            .returning(delivery_attempt.c.notification_id, delivery_attempt.c.id)
        )
        noted = {row.notification_id: int(row.id) for row in made}
        return [noted.get(each.told.id) for each in tries]

    async def sent_many(self, conn: AsyncConnection, arrived: Sequence[Arrived]) -> None:
        """They arrived."""
        if not arrived:
            return
        await conn.execute(
            update(delivery_attempt)
            .where(delivery_attempt.c.id == bindparam("key"))
            .values(outcome="sent", detail=bindparam("said"), message_id=bindparam("message")),
            [{"key": each.attempt_id, "said": _said(each.detail), "message": each.message_id[:80]} for each in arrived],
        )
        await conn.execute(
            update(notification)
            .where(notification.c.id == bindparam("key"))
            .values(state="sent", sent_at=bindparam("at"), sent_via=bindparam("via"), message_id=bindparam("message")),
            [
                {"key": each.notification_id, "at": each.at, "via": each.channel, "message": each.message_id[:80]}
                for each in arrived
            ],
        )

    async def not_sent(self, conn: AsyncConnection, attempt_id: int, outcome: Outcome, detail: str) -> None:
        """It did not arrive, or nobody knows."""
        await conn.execute(
            update(delivery_attempt)
            .where(delivery_attempt.c.id == attempt_id)
            .values(outcome=outcome, detail=_said(detail))
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
        """Not before *due_at*: quiet hours. What is open stays open for what waits for the same time, and for nothing
        else: a critical item must not wait with it. The deadline is counted from *due_at*."""
        this = notification.c.id == notification_id
        row = (await conn.execute(select(notification.c.group_key, notification.c.state).where(this))).one_or_none()
        if row is None:
            return
        values: dict[str, Any] = {"due_at": due_at, "deadline_at": None}
        suffix = f":{int(due_at.timestamp())}"
        if row.state == "pending" and not row.group_key.endswith(suffix):
            group = row.group_key + suffix
            taken = select(notification.c.id).where(
                notification.c.group_key == group, notification.c.state == "pending"
            )
            alone = (await conn.execute(taken)).first() is not None
            values["group_key"] = f"{group}:{notification_id}" if alone else group
        await conn.execute(update(notification).where(this, notification.c.state.not_in(CLOSED)).values(**values))

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

        What is pending or under way is kept: somebody is still owed it. Of what was given up nothing is of use so late.
        """
        old = notification.c.state.in_((*CLOSED, "failed")) & (notification.c.created_at < notifications_before)
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


def _notification(row: Any, items: tuple[Mapping[str, Any], ...], attempts: tuple[Attempt, ...]) -> Notification:
    return Notification(
        id=row.id,
        kind=row.kind,
        target=Target(row.member_id, row.guild_id, row.channel_id, row.role_id),
        severity=row.severity,
        state=row.state,
        created_at=row.created_at,
        due_at=row.due_at,
        items=items,
        attempts=attempts,
        deadline_at=row.deadline_at,
        poll_at=row.poll_at,
        sent_at=row.sent_at,
        sent_via=row.sent_via,
        message_id=row.message_id,
        may_repeat=row.may_repeat,
    )


def _said(detail: str | None) -> str | None:
    return None if detail is None else redact(detail, DETAIL_LIMIT)
