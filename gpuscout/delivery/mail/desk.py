"""What a member does about his e-mail: give an address, confirm it, decline kinds, switch it off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.delivery.mail.address import AddressHasher, parse_address
from gpuscout.delivery.mail.jobs import ListJob, MailQueue
from gpuscout.delivery.mail.links import LIFETIME, BadLink, MailLinks
from gpuscout.delivery.mail.models import GROUPS, Group
from storage.engine import Database
from storage.mail import AskLimits, MailAddress, MailStore, OffReason, has_address
from storage.mail_sequence import MailSequence

log = structlog.get_logger(__name__)

ASK_WINDOW: Final = timedelta(hours=24)
MEMBER_LIMIT: Final = 5
"""Links that one member may ask for within the window."""
ADDRESS_LIMIT: Final = 3
"""Links that may be asked for with one address within the window, by whomever: nobody's mailbox is flooded."""


class TooManyLinks(Exception):
    """The member has asked for too many links; the next one is possible later."""


@dataclass(frozen=True, slots=True)
class MailPanel:
    """How a member's e-mail stands.

    Attributes:
        available: whether this GPUScout sends e-mail at all.
        address: the confirmed address; None: there is none.
        pending: an address whose link was not followed yet.
        off_reason: why nothing is sent to the confirmed address; None: it is.
        declined: groups of kinds that the member does not want.
        preferences: the page where all of this stands; None without an address.
    """

    available: bool
    address: str | None = None
    confirmed_at: datetime | None = None
    pending: str | None = None
    off_reason: OffReason | None = None
    off_at: datetime | None = None
    declined: frozenset[Group] = field(default_factory=frozenset)
    preferences: str | None = None

    @property
    def on(self) -> bool:
        """Whether mail is sent."""
        return self.available and self.address is not None and self.off_reason is None


class Desk(Protocol):
    """What cogs ask; :class:`MailDesk`."""

    async def panel(self, member_id: int) -> MailPanel: ...
    async def ask(self, member_id: int, typed: str, locale: str) -> str: ...
    async def switch(self, member_id: int, on: bool) -> MailPanel: ...
    async def want(self, member_id: int, group: Group, wanted: bool) -> MailPanel: ...
    async def forget(self, member_id: int) -> bool: ...


class MailDesk:
    """The rules about addresses.

    Args:
        available: whether mail can be sent; where it cannot, no address is taken.
    """

    def __init__(
        self,
        db: Database,
        store: MailStore,
        sequence: MailSequence,
        queue: MailQueue,
        links: MailLinks,
        hasher: AddressHasher,
        *,
        available: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._store = store
        self._sequence = sequence
        self._queue = queue
        self._links = links
        self._hasher = hasher
        self._available = available
        self._clock = clock

    # --- asked in Discord ---

    async def panel(self, member_id: int) -> MailPanel:
        """How the member's e-mail stands."""
        known = await self._store.get(member_id)
        pending = await self._store.pending(member_id, self._clock())
        waiting = pending.address if pending is not None else None
        if known is None:
            return MailPanel(self._available, pending=waiting)
        against = await self._store.suppressions(self._digests(known))
        return MailPanel(
            self._available,
            address=known.address,
            confirmed_at=known.confirmed_at,
            pending=waiting,
            off_reason=known.off_reason,
            off_at=known.off_at,
            declined=frozenset(group for group in GROUPS if any(each.scope == group for each in against)),
            preferences=self._links.url("preferences", _subject(known)),
        )

    async def ask(self, member_id: int, typed: str, locale: str) -> str:
        """Send a link to an address; the address as it was understood.

        The answer is the same whether or not the address can be written to: it tells nothing about other people's.

        Raises:
            gpuscout.delivery.mail.address.BadAddress: it is none.
            TooManyLinks: the member asked too often.
        """
        address = parse_address(typed)
        now = self._clock()
        asked = await self._store.ask(
            member_id,
            address,
            self._hasher.digests(address),
            locale[:16],
            at=now,
            expires_at=now + LIFETIME["confirm"],
            limits=AskLimits(now - ASK_WINDOW, MEMBER_LIMIT, ADDRESS_LIMIT),
        )
        if asked == "member_limit":
            raise TooManyLinks
        if asked == "address_limit":
            log.info("mail_address_asked_too_often", member_limit=False)
        return address

    async def switch(self, member_id: int, on: bool) -> MailPanel:
        """Switch e-mail off; or on again where the member himself switched it off."""
        now = self._clock()
        async with self._db.write() as conn:
            if on:
                await self._store.switch_on(conn, member_id, "member", now)
            else:
                await self._store.switch_off(conn, has_address(member_id), "member", now, None)
        return await self.panel(member_id)

    async def want(self, member_id: int, group: Group, wanted: bool) -> MailPanel:
        """Take or decline one group of kinds."""
        known = await self._store.get(member_id)
        if known is not None:
            async with self._db.write() as conn:
                await self._want(conn, known, group, wanted)
        return await self.panel(member_id)

    async def forget(self, member_id: int) -> bool:
        """Remove the address; False when there was none."""
        return await self._store.forget(member_id, self._clock())

    # --- asked on the web, by a signed link ---

    async def confirmable(self, token: str) -> str:
        """The address that a link would confirm.

        Raises:
            BadLink: it confirms nothing (any more).
        """
        asked = await self._store.confirmation(self._links.read("confirm", token))
        if asked is None or asked.used_at is not None or asked.expires_at <= self._clock():
            raise BadLink("used, overtaken or too old")
        return asked.address

    async def confirm(self, token: str) -> str:
        """Confirm the address of a link, once; the address.

        Raises:
            BadLink: it confirms nothing (any more).
        """
        identity = self._links.read("confirm", token)
        now = self._clock()
        async with self._db.write() as conn:
            found = await self._store.confirm(conn, identity, now)
            if found is not None:
                await self._sequence.start(conn, found.member_id, now)
                await self._queue.onboarding(conn)
        if found is None:
            raise BadLink("used, overtaken or too old")
        log.info("mail_address_confirmed")
        return found.address

    async def by_link(self, token: str) -> tuple[MailAddress, MailPanel]:
        """Whose preferences a link opens.

        Raises:
            BadLink: it is none of ours, or the address is not the member's any more.
        """
        known = await self._known(self._links.read("preferences", token))
        return known, await self.panel(known.member_id)

    async def choose(self, token: str, wanted: Mapping[Group, bool], *, off: bool | None) -> MailPanel:
        """Save what was chosen on the preferences page.

        Args:
            off: switch everything off (True) or on again (False).

        Raises:
            BadLink: see :meth:`by_link`.
        """
        known = await self._known(self._links.read("preferences", token))
        now = self._clock()
        async with self._db.write() as conn:
            for group, want in wanted.items():
                await self._want(conn, known, group, want)
            if off:
                await self._store.switch_off(conn, has_address(known.member_id), "member", now, None)
            elif off is False:
                await self._store.switch_on(conn, known.member_id, "member", now)
        return await self.panel(known.member_id)

    async def unsubscribable(self, token: str) -> Group:
        """The group that a one-click link declines.

        Raises:
            BadLink: it is none of ours.
        """
        return _group(self._links.read("unsubscribe", token))

    async def unsubscribe(self, token: str) -> Group:
        """Decline the group of a one-click link. Safe to repeat, and done when the address is gone.

        Raises:
            BadLink: it is none of ours.
        """
        subject = self._links.read("unsubscribe", token)
        group = _group(subject)
        try:
            known = await self._known(subject.rpartition("-")[0])
        except BadLink:
            return group  # nothing is sent there any more
        async with self._db.write() as conn:
            await self._want(conn, known, group, False)
        return group

    # --- inside ---

    async def _want(self, conn: AsyncConnection, known: MailAddress, group: Group, wanted: bool) -> None:
        there = any(each.scope == group for each in await self._store.suppressions(self._digests(known), conn))
        if there is not wanted:
            return
        if wanted:
            await self._store.allow(conn, self._digests(known), [group], ["unsubscribe"])
        else:
            await self._store.suppress(conn, known.address_hash, group, "unsubscribe", self._clock(), None)
        await self._queue.listed(conn, ListJob(member_id=known.member_id, group=group, declined=not wanted))

    async def _known(self, subject: str) -> MailAddress:
        member, _, digest = subject.partition("-")
        known = await self._store.get(int(member)) if member.isdigit() and len(member) < 20 else None
        if known is None or not digest or not known.address_hash.startswith(digest):
            raise BadLink("the address is not the member's any more")
        return known

    def _digests(self, known: MailAddress) -> set[str]:
        return {*self._hasher.digests(known.address), known.address_hash}


def _subject(known: MailAddress) -> str:
    return f"{known.member_id}-{known.address_hash[:16]}"


def _group(subject: str) -> Group:
    name = subject.rpartition("-")[2]
    for group in GROUPS:
        if group == name:
            return group
    raise BadLink("no such group")
