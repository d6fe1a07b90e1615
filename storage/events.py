"""Events for members' own programs: written in the transaction that causes them, fanned out to webhooks by a job."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.ids import new_id
from storage.jobs import JobStore
from storage.secrets import member_owner
from storage.tables_delivery import outgoing_event
from storage.tables_webhooks import webhook_endpoint

FANOUT_JOB: Final = "webhook.fanout"
_CHUNK: Final = 500

EventName = Literal["alert.triggered", "market.updated", "portfolio.summary", "subscription.updated"]
EVENTS: Final[tuple[EventName, ...]] = (
    "alert.triggered",
    "market.updated",
    "portfolio.summary",
    "subscription.updated",
)


class NewEvent(NamedTuple):
    """An event to be written; see :meth:`EventStore.emit`."""

    event: EventName
    member_id: int | None
    dedupe_key: str
    data: Mapping[str, Any]


class EventStore:
    """Outgoing events."""

    def __init__(self, db: Database, jobs: JobStore) -> None:
        self._db = db
        self._jobs = jobs

    async def emit(
        self,
        conn: AsyncConnection,
        event: EventName,
        data: Mapping[str, Any],
        *,
        member_id: int | None,
        dedupe_key: str,
        at: datetime,
    ) -> str | None:
        """Write an event inside the caller's write transaction; webhooks that want it get it.

        Args:
            data: JSON of the event, as receivers get it.
            member_id: whose event it is; None: everybody's who subscribed.
            dedupe_key: the same cause twice is one event.

        Returns:
            The event's id, or None when it is known already.
        """
        found = new_id()
        made = await conn.execute(
            self._db.insert(outgoing_event)
            .values(id=found, event=event, member_id=member_id, dedupe_key=dedupe_key, data=dict(data), created_at=at)
            .on_conflict_do_nothing(index_elements=["dedupe_key"])
            .returning(outgoing_event.c.id)
        )
        if made.one_or_none() is None:
            return None
        await self._jobs.enqueue(conn, FANOUT_JOB, {"event": found}, dedupe_key=f"{FANOUT_JOB}:{found}")
        return found

    async def emit_many(self, conn: AsyncConnection, events: Sequence[NewEvent], *, at: datetime) -> None:
        """Write events as :meth:`emit` does, in two statements. The job of one that is known already finds nothing.

        Only those are written whose member or server (``guild_id`` in the data) has a webhook: most have none, and an
        event that nobody hears would cost a row and a job.
        """
        heard = await self._listening(conn, {_owner(event) for event in events})
        rows = [
            {**event._asdict(), "data": dict(event.data), "id": new_id(), "created_at": at}
            for event in events
            if _owner(event) in heard
        ]
        if not rows:
            return
        await conn.execute(self._db.insert(outgoing_event).on_conflict_do_nothing(index_elements=["dedupe_key"]), rows)
        await self._jobs.enqueue_many(
            conn, FANOUT_JOB, [({"event": row["id"]}, f"{FANOUT_JOB}:{row['id']}", None, None) for row in rows]
        )

    async def _listening(self, conn: AsyncConnection, owners: Collection[str]) -> set[str]:
        """Those of *owners* that have an active webhook."""
        found: set[str] = set()
        ordered = sorted(owners)
        for first in range(0, len(ordered), _CHUNK):
            query = (
                select(webhook_endpoint.c.owner)
                .distinct()
                .where(
                    webhook_endpoint.c.state == "active",
                    webhook_endpoint.c.owner.in_(ordered[first : first + _CHUNK]),
                )
            )
            found.update((await conn.execute(query)).scalars())
        return found


def _owner(event: NewEvent) -> str:
    """Whose webhooks hear of it."""
    return member_owner(event.member_id) if event.member_id is not None else f"guild:{event.data.get('guild_id')}"
