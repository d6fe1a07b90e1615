"""The mail service's events: read from a signed request, stored, and what follows from each."""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.delivery.mail.address import AddressHasher
from gpuscout.delivery.mail.models import GROUP_OF, GROUPS, KINDS, Group
from gpuscout.delivery.mail.sendgrid import MESSAGE_ARG
from storage.engine import Database
from storage.mail import ALL, MailStore, OffReason, at_address
from storage.mail_events import MailEvent, MailInbox
from storage.mail_log import MailLog

log = structlog.get_logger(__name__)

SIGNATURE_HEADER: Final = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER: Final = "X-Twilio-Email-Event-Webhook-Timestamp"
OLDEST: Final = timedelta(hours=25)
"""SendGrid repeats what was not taken for 24 hours, perhaps with the first signature; each event counts once anyway."""
AHEAD: Final = timedelta(minutes=10)
"""How far its clock may be ahead of ours."""
WHOLE_SECONDS: Final = timedelta(seconds=1)
"""Events are timed in whole seconds, rounded down."""
SLACK: Final = timedelta(seconds=60)
"""A confirmation cancels only events that are older than it by more than two clocks may differ."""
MAX_BODY: Final = 2 * 1024 * 1024
MAX_EVENTS: Final = 5_000
KEPT: Final = ("reason", "type", "status", "asm_group_id", "sg_machine_open", "response")
"""Fields that are stored: neither addresses nor what a reader's device told about him."""
_DROPPED: Final[dict[str, OffReason]] = {
    "bounced address": "bounce",
    "spam reporting address": "complaint",
    "unsubscribed address": "unsubscribe",
    "invalid": "invalid",
}


class NotSigned(Exception):
    """The request was not signed by the mail service, or too long ago."""


class BadEvents(Exception):
    """The request is signed, and still no list of events."""


class EventDoor:
    """Checks who speaks, and reduces what is said to what is needed.

    Args:
        public_key: base64 of the DER form, as SendGrid shows it; PEM armour is taken off.
        inbox: where events are stored.
        wake: called when something was stored.
    """

    def __init__(
        self,
        public_key: str,
        hasher: AddressHasher,
        inbox: MailInbox,
        *,
        clock: Callable[[], datetime],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        lines = [line.strip() for line in public_key.splitlines()]
        self._key = "".join(line for line in lines if line and not line.startswith("-----"))
        self._hasher = hasher
        self._inbox = inbox
        self._clock = clock
        self._wake = wake

    async def store(self, events: Sequence[MailEvent]) -> int:
        """Store what is new; it is committed when this returns. How many were new."""
        new = await self._inbox.receive(events, self._clock())
        if new:
            self._wake()
        return new

    def read(self, body: bytes, signature: str, timestamp: str) -> list[MailEvent]:
        """Check and read a request. Takes about 60 ms the first time, for the library: for a thread.

        Raises:
            NotSigned: see there.
            BadEvents: see there.
            ValueError: the configured key is none.
        """
        self._check(body, signature, timestamp)
        try:
            given = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadEvents("not JSON") from error
        if not isinstance(given, list) or len(given) > MAX_EVENTS:
            raise BadEvents(f"not a list of at most {MAX_EVENTS} events")
        read = [self._event(item) for item in given]
        events = [event for event in read if event is not None]
        if len(events) < len(given):
            log.warning("mail_events_unreadable", count=len(given) - len(events), of=len(given))
        return events

    def _check(self, body: bytes, signature: str, timestamp: str) -> None:
        from sendgrid.helpers.eventwebhook import EventWebhook

        try:
            verifier = EventWebhook(self._key)
        except Exception as error:
            raise ValueError("SENDGRID_WEBHOOK_PUBLIC_KEY is not a public key") from error
        if not signature or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
            raise NotSigned("no signature")
        try:
            # The library joins text; UTF-8 there and back gives the same bytes, or an error here.
            good = verifier.verify_signature(body.decode("utf-8"), signature, timestamp)
        except (binascii.Error, UnicodeDecodeError, ValueError, TypeError) as error:
            raise NotSigned("a signature that cannot be read") from error
        if not good:
            raise NotSigned("a wrong signature")
        signed = datetime.fromtimestamp(int(timestamp), UTC)
        if not self._clock() - OLDEST <= signed <= self._clock() + AHEAD:
            raise NotSigned("signed too long ago, or by a clock that is far from ours")

    def _event(self, item: object) -> MailEvent | None:
        if not isinstance(item, dict):
            return None
        identity, name, address, at = (item.get(key) for key in ("sg_event_id", "event", "email", "timestamp"))
        if not (isinstance(identity, str) and 0 < len(identity) <= 120 and isinstance(name, str) and len(name) <= 24):
            return None
        if not isinstance(address, str) or not isinstance(at, int | float) or not 0 <= at < 2**33:
            return None
        if any(text != _storable(text) for text in (identity, name)):
            return None
        message = item.get(MESSAGE_ARG)
        digests = self._hasher.digests(address[:320])
        facts = {key: _short(item[key]) for key in KEPT if item.get(key) is not None}
        if digests[1:]:
            facts["older_hashes"] = digests[1:]
        return MailEvent(
            id=identity,
            event=name,
            address_hash=digests[0],
            at=datetime.fromtimestamp(at, UTC),
            message_id=_storable(message) if isinstance(message, str) and 0 < len(message) <= 24 else None,
            facts=facts,
        )


def _short(value: Any) -> Any:
    """A number, or the beginning of a text. Strangers' mail servers word the reasons: what no database stores goes."""
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _storable(str(value)[:300])


def _storable(text: str) -> str:
    """*text* without NUL, which PostgreSQL refuses, and without halves of surrogate pairs, which are no text."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


class MailEvents:
    """What follows from events.

    Args:
        groups: ids of the unsubscribe groups.
    """

    def __init__(
        self,
        db: Database,
        inbox: MailInbox,
        store: MailStore,
        mails: MailLog,
        groups: Mapping[str, int],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._inbox = inbox
        self._store = store
        self._mails = mails
        self._groups: dict[int, Group] = {number: group for group in GROUPS if (number := groups.get(group))}
        self._clock = clock

    async def work(self, batch: str) -> int:
        """Work off one delivery of events, oldest first, each in the transaction that marks it done; how many."""
        total = 0
        while events := await self._inbox.open(batch):
            for event in events:
                owner = await self._mails.owner(event.message_id) if event.message_id is not None else None
                async with self._db.write() as conn:
                    await self._apply(conn, event, owner)
                    await self._inbox.done(conn, [event.id], self._clock())
            total += len(events)
        return total

    async def _apply(self, conn: AsyncConnection, event: MailEvent, owner: tuple[int, str, str] | None) -> None:
        facts = event.facts
        digests = [event.address_hash, *facts.get("older_hashes", [])]
        if owner is not None and owner[2] not in digests:
            # The key changed since the mail went out: its own hash is the one that everything else knows.
            digests = [owner[2], *digests]
        note = {"delivered": "delivered", "click": "clicked", "open": "opened", "bounce": "failed"}.get(event.event)
        note = "failed" if event.event in ("dropped", "spamreport") else note
        if event.event == "open" and facts.get("sg_machine_open") is True:
            note = None  # a mail program that loads every picture beforehand is no reader
        if note is not None and event.message_id is not None:
            await self._mails.note(conn, event.message_id, note, event.at)
        verdict = self._verdict(event, owner)
        if verdict is None:
            return
        scope, reason = verdict
        if reason is None:
            await self._store.allow_before(conn, digests, scope, event.at + WHOLE_SECONDS)
            return
        if await self._store.confirmed_since(conn, digests, event.at + SLACK):
            return  # its owner confirmed it after that
        detail = str(facts.get("reason") or facts.get("response") or "")[:300]
        # Under the hash that the address is stored with, and under today's.
        for digest in dict.fromkeys((digests[0], event.address_hash)):
            await self._store.suppress(conn, digest, scope, reason, event.at, detail)
        if scope == ALL:
            off = await self._store.switch_off(conn, at_address(digests), reason, event.at, detail)
            if off:
                log.info("mail_switched_off", members=len(off), reason=reason)

    def _verdict(self, event: MailEvent, owner: tuple[int, str, str] | None) -> tuple[str, OffReason | None] | None:
        """(scope, reason) of what must not be sent any more; a reason None allows it again; None: nothing follows."""
        facts = event.facts
        match event.event:
            case "bounce":
                # "blocked" is a refusal of the moment (greylisting, a full mailbox).
                return None if facts.get("type") == "blocked" else (ALL, "bounce")
            case "spamreport":
                return ALL, "complaint"
            case "unsubscribe":
                return ALL, "unsubscribe"
            case "group_unsubscribe" | "group_resubscribe":
                group = self._group(facts, owner)
                if group is None:
                    log.warning("mail_group_unknown", group=facts.get("asm_group_id"), remedy="check SENDGRID_GROUPS")
                    return None
                return group, "unsubscribe" if event.event == "group_unsubscribe" else None
            case "dropped":
                reason = _DROPPED.get(str(facts.get("reason", "")).strip().lower())
                if reason == "unsubscribe" and facts.get("asm_group_id") is not None:
                    group = self._group(facts, owner)
                    return None if group is None else (group, reason)
                return None if reason is None else (ALL, reason)
        return None

    def _group(self, facts: Mapping[str, Any], owner: tuple[int, str, str] | None) -> Group | None:
        try:
            known = self._groups.get(int(facts.get("asm_group_id", 0)))
        except (TypeError, ValueError):
            known = None
        if known is not None:
            return known
        kind = next((each for each in KINDS if owner is not None and each == owner[1]), None)
        return GROUP_OF.get(kind) if kind is not None else None
