"""Where members stand in the onboarding mails, and whether they have begun to use what the mails tell of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.tables_alerts import alert_rule
from storage.tables_digests import digest_subscription
from storage.tables_mail import mail_sequence
from storage.tables_portfolio import holding

ACTS: Final = (holding, alert_rule, digest_subscription)
"""Tables whose rows, by ``member_id``, show that a member has begun."""

EndedWhy = Literal["finished", "acted", "off"]


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """The mail that is due for a member, from 1."""

    member_id: int
    step: int


class MailSequence:
    """The rows of ``mail_sequence``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def start(self, conn: AsyncConnection, member_id: int, at: datetime) -> bool:
        """Begin, once in a member's life; False when he had it before."""
        made = (
            self._db.insert(mail_sequence)
            .values(member_id=member_id, step=1, next_at=at, started_at=at)
            .on_conflict_do_nothing(index_elements=["member_id"])
        )
        return (await conn.execute(made.returning(mail_sequence.c.member_id))).one_or_none() is not None

    async def due(self, now: datetime, limit: int = 200) -> list[SequenceStep]:
        """Members whose next mail is due, the longest first."""
        table = mail_sequence.c
        query = select(table.member_id, table.step).where(table.next_at <= now).order_by(table.next_at).limit(limit)
        async with self._db.read() as conn:
            return [SequenceStep(int(row.member_id), int(row.step)) for row in await conn.execute(query)]

    async def advance(self, conn: AsyncConnection, step: SequenceStep, next_at: datetime) -> bool:
        """The mail of *step* is under way, the next one is due at *next_at*; False when another process was quicker."""
        return await self._move(conn, step, {"step": step.step + 1, "next_at": next_at})

    async def end(self, conn: AsyncConnection, step: SequenceStep, why: EndedWhy, at: datetime) -> bool:
        """No further mail; False when another process was quicker."""
        return await self._move(conn, step, {"next_at": None, "ended_at": at, "ended_why": why})

    async def _move(self, conn: AsyncConnection, step: SequenceStep, values: dict[str, object]) -> bool:
        found = await conn.execute(
            update(mail_sequence)
            .where(
                mail_sequence.c.member_id == step.member_id,
                mail_sequence.c.step == step.step,
                mail_sequence.c.next_at.is_not(None),
            )
            .values(**values)
        )
        return found.rowcount == 1

    async def has_acted(self, member_id: int) -> bool:
        """Whether the member has a holding, an alert or a digest."""
        async with self._db.read() as conn:
            for table in ACTS:
                asked = select(exists().where(table.c.member_id == member_id))
                if (await conn.execute(asked)).scalar_one():
                    return True
        return False
