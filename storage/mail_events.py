"""Inbox of the mail service's events: each one once, stored before it is acknowledged, worked off by a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.ids import new_id
from storage.jobs import JobStore
from storage.tables_mail import mail_event

EVENTS_JOB: Final = "mail.events"
"""Works off one delivery of events: ``{"batch": id}``."""
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class MailEvent:
    """One event, reduced to what is needed of it.

    Attributes:
        id: the mail service's own id (``sg_event_id``).
        message_id: our id of the mail, where the event carries one.
        address_hash: keyed hash of the receiver's address.
        facts: reason, type and group, as text and numbers.
    """

    id: str
    event: str
    address_hash: str
    at: datetime
    message_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class MailInbox:
    """The rows of ``mail_event``."""

    def __init__(self, db: Database, jobs: JobStore) -> None:
        self._db = db
        self._jobs = jobs

    async def receive(self, events: Sequence[MailEvent], at: datetime) -> int:
        """Store what is new, with the job that works it off, in one transaction; how many were new."""
        unique = list({event.id: event for event in events}.values())
        if not unique:
            return 0
        batch, new = new_id(), 0
        async with self._db.write() as conn:
            for start in range(0, len(unique), BATCH):
                rows = [
                    {
                        "id": event.id,
                        "batch": batch,
                        "event": event.event,
                        "message_id": event.message_id,
                        "address_hash": event.address_hash,
                        "at": event.at,
                        "facts": dict(event.facts),
                        "received_at": at,
                    }
                    for event in unique[start : start + BATCH]
                ]
                made = self._db.insert(mail_event).values(rows).on_conflict_do_nothing(index_elements=["id"])
                new += len((await conn.execute(made.returning(mail_event.c.id))).all())
            if new:
                await self._jobs.enqueue(
                    conn, EVENTS_JOB, {"batch": batch}, dedupe_key=f"{EVENTS_JOB}:{batch}", concurrency_key=EVENTS_JOB
                )
        return new

    async def open(self, batch: str, limit: int = BATCH) -> list[MailEvent]:
        """Events of a delivery that are not worked off yet, oldest first."""
        table = mail_event.c
        query = (
            select(table.id, table.event, table.address_hash, table.at, table.message_id, table.facts)
            .where(table.batch == batch, table.done_at.is_(None))
            .order_by(table.at, table.id)
            .limit(limit)
        )
        async with self._db.read() as conn:
            return [MailEvent(**row._mapping) for row in await conn.execute(query)]

    async def done(self, conn: AsyncConnection, ids: Sequence[str], at: datetime) -> None:
        """They are worked off."""
        await conn.execute(update(mail_event).where(mail_event.c.id.in_(ids)).values(done_at=at))

    async def purge(self, before: datetime) -> int:
        """Delete events received before *before* that are worked off; how many."""
        async with self._db.write() as conn:
            gone = await conn.execute(
                delete(mail_event).where(mail_event.c.received_at < before, mail_event.c.done_at.is_not(None))
            )
            return gone.rowcount
