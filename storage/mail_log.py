"""Every mail: written down before it is sent, with what became of it; and which variant of a test it carried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Column, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.ids import new_id
from storage.tables_mail import mail_assignment, mail_message

MailState = Literal["new", "sending", "sent", "refused", "failed", "unknown", "withheld"]
SETTLED: Final = ("sent", "refused", "withheld")
"""States after which a mail of the same cause is not sent again."""


@dataclass(frozen=True, slots=True)
class MailMessage:
    """One mail. ``sending``: the mail service was or is being asked; ``withheld``: it must not be sent."""

    id: str
    member_id: int
    kind: str
    state: MailState
    may_repeat: bool
    tries: int
    address_hash: str
    detail: str | None = None
    variant: str | None = None
    provider_id: str | None = None

    @property
    def settled(self) -> bool:
        """Nothing is left to do."""
        return self.state in SETTLED


@dataclass(frozen=True, slots=True)
class VariantResult:
    """How one variant of a test did: members it was given to, and mails. A mail counts once, however often opened."""

    experiment: str
    variant: str
    assigned: int
    sent: int
    delivered: int
    opened: int
    clicked: int
    failed: int


class MailLog:
    """The rows of ``mail_message`` and ``mail_assignment``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def open(
        self,
        conn: AsyncConnection,
        *,
        member_id: int,
        kind: str,
        dedupe_key: str,
        address_hash: str,
        at: datetime,
        notification_id: str | None = None,
        experiment: str | None = None,
        variant: str | None = None,
    ) -> MailMessage:
        """The mail of this cause, made if it is new, and held until the caller commits."""
        made = self._db.insert(mail_message).values(
            id=new_id(),
            member_id=member_id,
            kind=kind,
            dedupe_key=dedupe_key,
            notification_id=notification_id,
            address_hash=address_hash,
            experiment=experiment,
            variant=variant,
            state="new",
            created_at=at,
        )
        await conn.execute(made.on_conflict_do_nothing(index_elements=["dedupe_key"]))
        table = mail_message.c
        columns = [getattr(table, name) for name in MailMessage.__dataclass_fields__]
        row = (await conn.execute(select(*columns).where(table.dedupe_key == dedupe_key).with_for_update())).one()
        return MailMessage(**row._mapping)

    async def begin(self, conn: AsyncConnection, message: MailMessage, *, may_repeat: bool) -> None:
        """The mail service is asked now; until its answer is known, nobody knows."""
        await conn.execute(
            update(mail_message)
            .where(mail_message.c.id == message.id)
            .values(
                state="sending",
                tries=mail_message.c.tries + 1,
                may_repeat=mail_message.c.may_repeat | may_repeat if may_repeat else mail_message.c.may_repeat,
            )
        )

    async def settle(
        self,
        conn: AsyncConnection,
        message_id: str,
        state: MailState,
        at: datetime,
        *,
        detail: str | None = None,
        provider_id: str | None = None,
    ) -> None:
        """What became of it."""
        values: dict[str, object] = {"state": state, "detail": (detail or "")[:300] or None}
        if state == "sent":
            values |= {"sent_at": at, "provider_id": None if provider_id is None else provider_id[:120]}
        await conn.execute(update(mail_message).where(mail_message.c.id == message_id).values(**values))

    async def note(self, conn: AsyncConnection, message_id: str, column: str, at: datetime) -> bool:
        """Note when a mail was first ``delivered``, ``opened``, ``clicked`` or ``failed``; False when it is unknown."""
        field: Column[datetime] = {
            "delivered": mail_message.c.delivered_at,
            "opened": mail_message.c.opened_at,
            "clicked": mail_message.c.clicked_at,
            "failed": mail_message.c.failed_at,
        }[column]
        earlier = case((field.is_(None), at), (field > at, at), else_=field)
        found = await conn.execute(
            update(mail_message).where(mail_message.c.id == message_id).values({field.name: earlier})
        )
        return found.rowcount == 1

    async def owner(self, message_id: str) -> tuple[int, str, str] | None:
        """(member, kind, hash of the address) of a mail."""
        table = mail_message.c
        async with self._db.read() as conn:
            query = select(table.member_id, table.kind, table.address_hash).where(table.id == message_id)
            row = (await conn.execute(query)).one_or_none()
        return None if row is None else (int(row.member_id), str(row.kind), str(row.address_hash))

    async def assign(self, conn: AsyncConnection, experiment: str, member_id: int, variant: str, at: datetime) -> str:
        """The member's variant of a test: the stored one, else *variant*, which is stored now."""
        made = self._db.insert(mail_assignment).values(
            experiment=experiment, member_id=member_id, variant=variant, assigned_at=at
        )
        await conn.execute(made.on_conflict_do_nothing(index_elements=["experiment", "member_id"]))
        query = select(mail_assignment.c.variant).where(
            mail_assignment.c.experiment == experiment, mail_assignment.c.member_id == member_id
        )
        return str((await conn.execute(query)).scalar_one())

    async def results(self) -> Sequence[VariantResult]:
        """Every test's variants, by name."""
        given, mail = mail_assignment.c, mail_message.c
        assigned = (
            select(given.experiment, given.variant, func.count().label("assigned"))
            .group_by(given.experiment, given.variant)
            .subquery()
        )
        counts = (
            select(
                mail.experiment,
                mail.variant,
                func.count(mail.sent_at).label("sent"),
                func.count(mail.delivered_at).label("delivered"),
                func.count(mail.opened_at).label("opened"),
                func.count(mail.clicked_at).label("clicked"),
                func.count(mail.failed_at).label("failed"),
            )
            .where(mail.experiment.is_not(None))
            .group_by(mail.experiment, mail.variant)
            .subquery()
        )
        same = (assigned.c.experiment == counts.c.experiment) & (assigned.c.variant == counts.c.variant)
        zero = [func.coalesce(counts.c[name], 0).label(name) for name in _COUNTED]
        query = (
            select(assigned, *zero)
            .select_from(assigned.outerjoin(counts, same))
            .order_by(assigned.c.experiment, assigned.c.variant)
        )
        async with self._db.read() as conn:
            return [VariantResult(**row._mapping) for row in await conn.execute(query)]

    async def purge(self, before: datetime, batch: int = 500) -> int:
        """Delete mails older than *before*, in transactions of *batch* rows; how many."""
        total = 0
        while True:
            old = select(mail_message.c.id).where(mail_message.c.created_at < before).limit(batch).scalar_subquery()
            async with self._db.write() as conn:
                gone = await conn.execute(delete(mail_message).where(mail_message.c.id.in_(old)))
            total += gone.rowcount
            if gone.rowcount < batch:
                return total


_COUNTED: Final = ("sent", "delivered", "opened", "clicked", "failed")
