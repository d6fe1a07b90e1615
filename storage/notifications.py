"""Notifications as rows: added in the transaction that causes them, taken by the worker that sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Select, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.ids import new_id
from storage.jobs import JobStore
from storage.tables_delivery import notification, notification_item

NOTIFY_JOB: Final = "delivery.notify"
NOTIFY_ATTEMPTS: Final = 60
"""With the waits of :data:`bot.notify_role.NOTIFY_BACKOFF` about six hours of an outage."""

_OPEN: Final = text("state = 'pending'")
"""In words, not as a parameter: else PostgreSQL does not see that the index of open notifications serves."""

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Target:
    """Who is told.

    Attributes:
        member_id: the member, through the channels of his choice; None: a server's channel.
        guild_id, channel_id: the server's channel; of a member's notification: where he made what causes it, for a
            mention there when his DMs are closed.
        role_id: role that a server's notification mentions.
    """

    member_id: int | None = None
    guild_id: int | None = None
    channel_id: int | None = None
    role_id: int | None = None

    def __post_init__(self) -> None:
        if self.member_id is None and self.channel_id is None:
            raise ValueError("a notification needs a member or a channel")

    @property
    def key(self) -> str:
        """One delivery at a time for each of these."""
        return f"member:{self.member_id}" if self.member_id is not None else f"channel:{self.channel_id}"


class NewItem(NamedTuple):
    """An item to be added; see :meth:`NotificationStore.add`."""

    target: Target
    payload: Mapping[str, Any]
    item_key: str
    group_key: str
    due_at: datetime | None = None
    deadline_at: datetime | None = None
    poll_at: datetime | None = None
    severity: Severity = "info"


class NotificationStore:
    """The notification tables.

    Args:
        jobs: where the job that delivers goes.
    """

    def __init__(self, db: Database, jobs: JobStore) -> None:
        self._db = db
        self._jobs = jobs

    async def add(
        self,
        conn: AsyncConnection,
        target: Target,
        kind: str,
        payload: Mapping[str, Any],
        *,
        item_key: str,
        group_key: str,
        at: datetime,
        due_at: datetime | None = None,
        deadline_at: datetime | None = None,
        poll_at: datetime | None = None,
        severity: Severity = "info",
    ) -> str | None:
        """Add an item, inside the caller's write transaction, to the open notification of *group_key* or a new one.

        Args:
            kind: what the payload is; :mod:`gpuscout.delivery` renders by it. All items of a group have one kind.
            item_key: names the cause: the same cause twice adds one item.
            group_key: items of one group that come before it is sent are one message. It names the receiver too.
            at: the present.
            due_at: not sent before this time (quiet hours).
            deadline_at: from here on the next channel may be used although the first one's outcome is unsure.
            poll_at: when the poll behind it was stored.

        Returns:
            The notification's id, or None when *item_key* is known already.
        """
        known = select(notification_item.c.id).where(notification_item.c.item_key == item_key)
        if (await conn.execute(known)).first() is not None:
            return None
        due = at if due_at is None else due_at
        for _ in range(3):
            found = await self._open(conn, target, kind, group_key, at, due, deadline_at, poll_at, severity)
            if found is not None:
                break
        else:
            raise RuntimeError(f"no notification could be opened for {group_key}")
        item = (
            self._db.insert(notification_item)
            .values(notification_id=found, item_key=item_key, payload=dict(payload))
            .on_conflict_do_nothing(index_elements=["item_key"])
            .returning(notification_item.c.id)
        )
        if (await conn.execute(item)).one_or_none() is not None:
            await self._raise_severity(conn, found, severity)
            return found
        # Added by another process at this instant. A notification opened for it tells of nothing; delivery drops it.
        return None

    async def add_many(
        self, conn: AsyncConnection, kind: str, items: Sequence[NewItem], *, at: datetime
    ) -> dict[str, str | None]:
        """Add items as :meth:`add` does, in a few statements for all of them.

        Returns:
            By item key: the notification's id, or None when the key is known already.
        """
        keys = list({item.item_key for item in items})
        known = {row.item_key for row in await conn.execute(_items_with(keys))}
        fresh = {item.item_key: item for item in items if item.item_key not in known}
        found = await self._open_many(conn, kind, list(fresh.values()), at)
        rows = [
            {"notification_id": found[item.group_key], "item_key": key, "payload": dict(item.payload)}
            for key, item in fresh.items()
        ]
        if rows:
            await conn.execute(
                self._db.insert(notification_item).on_conflict_do_nothing(index_elements=["item_key"]), rows
            )
        return {key: found[fresh[key].group_key] if key in fresh else None for key in keys}

    async def _open_many(
        self, conn: AsyncConnection, kind: str, items: Sequence[NewItem], at: datetime
    ) -> dict[str, str]:
        """By group key: the open notification, held until the caller commits."""
        groups: dict[str, list[NewItem]] = {}
        for item in items:
            groups.setdefault(item.group_key, []).append(item)
        rows = [_opened(kind, groups[key], at) for key in sorted(groups)]  # in one order, whoever else adds
        fresh = {row["id"]: row for row in rows}
        found: dict[str, str] = {}
        for _ in range(3):
            left = [row for row in rows if row["group_key"] not in found]
            if not left:
                break
            made_now = await conn.execute(
                self._db.insert(notification)
                .on_conflict_do_nothing(index_elements=["group_key"], index_where=_OPEN)
                .returning(notification.c.id, notification.c.group_key),
                left,
            )
            found |= {row.group_key: row.id for row in made_now}
            left = [row for row in left if row["group_key"] not in found]
            if not left:
                break
            open_ones = (
                select(notification.c.id, notification.c.group_key)
                .where(notification.c.group_key.in_([row["group_key"] for row in left]))
                .where(_OPEN)
                .order_by(notification.c.group_key)
                .with_for_update()
            )
            found |= {row.group_key: row.id for row in await conn.execute(open_ones)}
        else:
            raise RuntimeError(f"no notification could be opened for {len(groups) - len(found)} receivers")
        made = [fresh[notification_id] for notification_id in found.values() if notification_id in fresh]
        await self._jobs.enqueue_many(
            conn,
            NOTIFY_JOB,
            [
                (
                    {"notification": row["id"]},
                    f"{NOTIFY_JOB}:{row['id']}",
                    groups[row["group_key"]][0].target.key,
                    row["due_at"],
                )
                for row in made
            ],
            max_attempts=NOTIFY_ATTEMPTS,
        )
        for group_key, notification_id in found.items():
            if notification_id not in fresh:
                await self._raise_severity(conn, notification_id, _severest(groups[group_key]))
        return found

    async def _open(
        self,
        conn: AsyncConnection,
        target: Target,
        kind: str,
        group_key: str,
        at: datetime,
        due: datetime,
        deadline_at: datetime | None,
        poll_at: datetime | None,
        severity: Severity,
    ) -> str | None:
        """The open notification of the group, held until the caller commits; None: try again."""
        fresh = new_id()
        made = await conn.execute(
            self._db.insert(notification)
            .values(
                id=fresh,
                kind=kind,
                member_id=target.member_id,
                guild_id=target.guild_id,
                channel_id=target.channel_id,
                role_id=target.role_id,
                group_key=group_key,
                severity=severity,
                state="pending",
                created_at=at,
                due_at=due,
                deadline_at=deadline_at,
                poll_at=poll_at,
            )
            .on_conflict_do_nothing(index_elements=["group_key"], index_where=_OPEN)
            .returning(notification.c.id)
        )
        if made.one_or_none() is not None:
            await self._jobs.enqueue(
                conn,
                NOTIFY_JOB,
                {"notification": fresh},
                dedupe_key=f"{NOTIFY_JOB}:{fresh}",
                concurrency_key=target.key,
                run_at=due,
                max_attempts=NOTIFY_ATTEMPTS,
            )
            return fresh
        held = await conn.execute(
            select(notification.c.id).where(notification.c.group_key == group_key, _OPEN).with_for_update()
        )
        row = held.one_or_none()
        return None if row is None else str(row.id)

    async def _raise_severity(self, conn: AsyncConnection, found: str, severity: Severity) -> None:
        """The notification is as severe as its severest item."""
        lower = SEVERITIES[: SEVERITIES.index(severity)]
        if lower:
            await conn.execute(
                update(notification)
                .where(notification.c.id == found, notification.c.severity.in_(lower))
                .values(severity=severity)
            )


def _items_with(keys: Sequence[str]) -> Select[tuple[str]]:
    return select(notification_item.c.item_key).where(notification_item.c.item_key.in_(keys))


def _severest(items: Sequence[NewItem]) -> Severity:
    return max((item.severity for item in items), key=SEVERITIES.index)


def _opened(kind: str, items: Sequence[NewItem], at: datetime) -> dict[str, Any]:
    """The row of a notification that is opened for *items*, all of one group."""
    first = items[0]
    return {
        "id": new_id(),
        "kind": kind,
        "member_id": first.target.member_id,
        "guild_id": first.target.guild_id,
        "channel_id": first.target.channel_id,
        "role_id": first.target.role_id,
        "group_key": first.group_key,
        "severity": _severest(items),
        "state": "pending",
        "created_at": at,
        "due_at": at if first.due_at is None else first.due_at,
        "deadline_at": first.deadline_at,
        "poll_at": first.poll_at,
    }
