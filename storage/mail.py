"""Addresses that members confirmed, requests to confirm one, and what must not be sent where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.ids import new_id
from storage.jobs import JobStore
from storage.tables_mail import mail_address, mail_confirmation, mail_suppression

CONFIRM_JOB: Final = "mail.confirm"
"""Sends the link of one confirmation: ``{"confirmation": id}``."""
ALL: Final = "all"
"""Scope of a suppression that concerns every kind of mail."""

NOBODY: Final = 0
"""In place of a member who was erased."""

OffReason = Literal["member", "bounce", "complaint", "unsubscribe", "invalid"]
Asked = Literal["asked", "member_limit", "address_limit"]


@dataclass(frozen=True, slots=True)
class MailAddress:
    """The address that a member confirmed. ``off_reason`` None: mail is sent to it."""

    member_id: int
    address: str
    address_hash: str
    locale: str
    confirmed_at: datetime
    off_at: datetime | None = None
    off_reason: OffReason | None = None
    off_detail: str | None = None

    @property
    def on(self) -> bool:
        """Whether mail is sent to it."""
        return self.off_at is None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One request to confirm an address."""

    id: str
    member_id: int
    address: str
    address_hash: str
    locale: str
    requested_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Suppression:
    """What must not be sent to an address: ``scope`` is a group of kinds or :data:`ALL`."""

    scope: str
    reason: str
    at: datetime
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AskLimits:
    """How many links may be asked for since a moment: by one member, and for one address by anybody."""

    since: datetime
    member: int
    address: int


class MailStore:
    """Members' addresses. Every statement names the member or the address it is about."""

    def __init__(self, db: Database, jobs: JobStore) -> None:
        self._db = db
        self._jobs = jobs

    # --- addresses ---

    async def get(self, member_id: int, conn: AsyncConnection | None = None) -> MailAddress | None:
        """The member's confirmed address, on or off."""
        query = select(mail_address).where(mail_address.c.member_id == member_id)
        if conn is not None:
            row = (await conn.execute(query)).one_or_none()
        else:
            async with self._db.read() as own:
                row = (await own.execute(query)).one_or_none()
        return None if row is None else _address(row._mapping)

    async def confirmed_address(self, member_id: int) -> str | None:
        """Where the member may be written to; None: nowhere."""
        found = await self.get(member_id)
        return found.address if found is not None and found.on else None

    async def switch_off(
        self, conn: AsyncConnection, which: ColumnElement[bool], reason: OffReason, at: datetime, detail: str | None
    ) -> list[int]:
        """Send nothing more to the addresses *which* are on; the members whose they are."""
        rows = await conn.execute(
            update(mail_address)
            .where(which, mail_address.c.off_at.is_(None))
            .values(off_at=at, off_reason=reason, off_detail=(detail or "")[:300] or None, updated_at=at)
            .returning(mail_address.c.member_id)
        )
        return [int(row.member_id) for row in rows]

    async def switch_on(self, conn: AsyncConnection, member_id: int, reason: OffReason, at: datetime) -> bool:
        """Send again to the member's address, where nothing but *reason* hindered it; False where that is not so."""
        back = await conn.execute(
            update(mail_address)
            .where(has_address(member_id), mail_address.c.off_reason == reason)
            .values(off_at=None, off_reason=None, off_detail=None, updated_at=at)
        )
        return back.rowcount == 1

    async def forget(self, member_id: int, at: datetime) -> bool:
        """Remove the member's address wherever it stands, and end his open requests; False when there was none.

        That he asked stays, without the address: who removes it may not ask more often than others.
        """
        asked = mail_confirmation.c
        async with self._db.write() as conn:
            gone = await conn.execute(delete(mail_address).where(mail_address.c.member_id == member_id))
            ended = await conn.execute(
                update(mail_confirmation)
                .where(asked.member_id == member_id, asked.used_at.is_(None))
                .values(used_at=at, address="")
            )
            await conn.execute(
                update(mail_confirmation).where(asked.member_id == member_id, asked.address != "").values(address="")
            )
            return gone.rowcount + ended.rowcount > 0

    # --- confirming ---

    async def ask(
        self,
        member_id: int,
        address: str,
        digests: Sequence[str],
        locale: str,
        *,
        at: datetime,
        expires_at: datetime,
        limits: AskLimits,
    ) -> Asked:
        """Write down a request and the job that sends its link, unless there were too many.

        Args:
            digests: keyed hashes of the address, the newest key's first; older ones are known by the others.
        """
        async with self._db.write() as conn:
            # Two requests at once must not pass the limits together: not one member's, not those for one address.
            await self._db.one_at_a_time(conn, member_id)
            await self._db.one_at_a_time(conn, int(digests[-1][:15], 16))
            recent = select(func.count()).where(mail_confirmation.c.requested_at > limits.since)
            mine = recent.where(mail_confirmation.c.member_id == member_id)
            if (await conn.execute(mine)).scalar_one() >= limits.member:
                return "member_limit"
            theirs = recent.where(mail_confirmation.c.address_hash.in_(digests))
            flooded = (await conn.execute(theirs)).scalar_one() >= limits.address
            found = new_id()
            await conn.execute(
                mail_confirmation.insert().values(
                    id=found,
                    member_id=member_id,
                    address=address,
                    address_hash=digests[0],
                    locale=locale,
                    requested_at=at,
                    expires_at=expires_at,
                )
            )
            if flooded:
                # Written down all the same: whoever asked cannot tell the difference.
                return "address_limit"
            await self._jobs.enqueue(
                conn,
                CONFIRM_JOB,
                {"confirmation": found},
                dedupe_key=f"{CONFIRM_JOB}:{found}",
                concurrency_key=f"mail:{member_id}",
            )
            return "asked"

    async def confirmation(self, confirmation_id: str) -> Confirmation | None:
        """One request."""
        async with self._db.read() as conn:
            query = select(mail_confirmation).where(mail_confirmation.c.id == confirmation_id)
            row = (await conn.execute(query)).one_or_none()
        return None if row is None else Confirmation(**row._mapping)

    async def pending(self, member_id: int, now: datetime) -> Confirmation | None:
        """The member's newest request that can still be confirmed."""
        query = (
            select(mail_confirmation)
            .where(
                mail_confirmation.c.member_id == member_id,
                mail_confirmation.c.used_at.is_(None),
                mail_confirmation.c.expires_at > now,
            )
            .order_by(mail_confirmation.c.requested_at.desc(), mail_confirmation.c.id)
            .limit(1)
        )
        async with self._db.read() as conn:
            row = (await conn.execute(query)).one_or_none()
        return None if row is None else Confirmation(**row._mapping)

    async def confirm(self, conn: AsyncConnection, confirmation_id: str, now: datetime) -> Confirmation | None:
        """Use a request up and make its address the member's; None when it is used, too old, overtaken or gone.

        A link that was asked for before the newest one is overtaken: the last wish counts.
        """
        used = await conn.execute(
            update(mail_confirmation)
            .where(
                mail_confirmation.c.id == confirmation_id,
                mail_confirmation.c.used_at.is_(None),
                mail_confirmation.c.expires_at > now,
            )
            .values(used_at=now)
            .returning(*mail_confirmation.c)
        )
        row = used.one_or_none()
        if row is None:
            return None
        found = Confirmation(**row._mapping)
        # His other open links are worth nothing any more.
        await conn.execute(
            update(mail_confirmation)
            .where(mail_confirmation.c.member_id == found.member_id, mail_confirmation.c.used_at.is_(None))
            .values(used_at=now)
        )
        values = {
            "address": found.address,
            "address_hash": found.address_hash,
            "locale": found.locale,
            "confirmed_at": now,
            "off_at": None,
            "off_reason": None,
            "off_detail": None,
            "updated_at": now,
        }
        made = self._db.insert(mail_address).values(member_id=found.member_id, **values)
        await conn.execute(made.on_conflict_do_update(index_elements=["member_id"], set_=values))
        return found

    async def purge_confirmations(self, before: datetime) -> int:
        """Delete requests older than *before*; how many."""
        async with self._db.write() as conn:
            gone = await conn.execute(delete(mail_confirmation).where(mail_confirmation.c.requested_at < before))
            return gone.rowcount

    # --- suppressions ---

    async def suppressions(self, digests: Collection[str], conn: AsyncConnection | None = None) -> list[Suppression]:
        """What must not be sent to an address, whatever key its hash was made with."""
        table = mail_suppression.c
        query = select(table.scope, table.reason, table.at, table.detail).where(table.address_hash.in_(digests))
        if conn is not None:
            rows = (await conn.execute(query)).all()
        else:
            async with self._db.read() as own:
                rows = (await own.execute(query)).all()
        return [Suppression(**row._mapping) for row in rows]

    async def suppress(
        self, conn: AsyncConnection, digest: str, scope: str, reason: OffReason, at: datetime, detail: str | None
    ) -> None:
        """Send nothing of *scope* to an address any more. A complaint outweighs whatever stood there."""
        values = {"reason": reason, "detail": (detail or "")[:300] or None, "at": at}
        made = self._db.insert(mail_suppression).values(address_hash=digest, scope=scope, **values)
        keep = made.on_conflict_do_update(
            index_elements=["address_hash", "scope"],
            set_=values,
            where=mail_suppression.c.reason != "complaint",
        )
        await conn.execute(keep)

    async def allow(
        self, conn: AsyncConnection, digests: Collection[str], scopes: Collection[str], reasons: Collection[str]
    ) -> int:
        """Lift suppressions that stand there for one of *reasons*; how many."""
        gone = await conn.execute(
            delete(mail_suppression).where(
                mail_suppression.c.address_hash.in_(digests),
                mail_suppression.c.scope.in_(scopes),
                mail_suppression.c.reason.in_(reasons),
            )
        )
        return gone.rowcount

    async def allow_before(self, conn: AsyncConnection, digests: Collection[str], scope: str, at: datetime) -> int:
        """Lift an unsubscription of one scope that is not younger than *at*; how many."""
        gone = await conn.execute(
            delete(mail_suppression).where(
                mail_suppression.c.address_hash.in_(digests),
                mail_suppression.c.scope == scope,
                mail_suppression.c.reason == "unsubscribe",
                mail_suppression.c.at <= at,
            )
        )
        return gone.rowcount

    async def confirmed_since(self, conn: AsyncConnection, digests: Collection[str], at: datetime) -> bool:
        """Whether somebody confirmed the address after *at*."""
        query = select(mail_address.c.member_id).where(at_address(digests), mail_address.c.confirmed_at > at).limit(1)
        return (await conn.execute(query)).first() is not None


async def erase_confirmations(conn: AsyncConnection, member_id: int) -> int:
    """Take member and address out of his requests, inside the caller's transaction; how many.

    A keyed hash and a time stay until the purge: else whoever erases himself between two requests could send a stranger
    links without end.
    """
    asked = mail_confirmation.c
    ended = await conn.execute(
        update(mail_confirmation)
        .where(asked.member_id == member_id)
        .values(member_id=NOBODY, address="", used_at=func.coalesce(asked.used_at, asked.requested_at))
    )
    return ended.rowcount


def has_address(member_id: int) -> ColumnElement[bool]:
    """The row of one member."""
    return mail_address.c.member_id == member_id


def at_address(digests: Collection[str]) -> ColumnElement[bool]:
    """The rows of one address, whoever has it."""
    return or_(*(mail_address.c.address_hash == digest for digest in digests))


def _address(row: Mapping[Any, Any]) -> MailAddress:
    return MailAddress(**{name: row[name] for name in MailAddress.__dataclass_fields__})
