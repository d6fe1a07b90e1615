"""What the stand-in knows: mails, lists of who must not get any, and the events to tell of."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]
KEPT: Final = 500
"""Mails that are kept; older ones are forgotten."""


@dataclass(slots=True)
class StoredMail:
    """One accepted mail."""

    number: int
    message_id: str
    to: str
    body: Json
    at: datetime
    dropped: str | None = None
    """Why it was not delivered."""
    events: list[str] = field(default_factory=list)

    @property
    def personal(self) -> Json:
        """What is meant for this receiver."""
        for each in self.body["personalizations"]:
            if any(to["email"] == self.to for to in each["to"]):
                found: Json = each
                return found
        return {}

    @property
    def subject(self) -> str:
        """The subject; of a dynamic template the one in its data."""
        data = self.personal.get("dynamic_template_data", {})
        return str(self.personal.get("subject") or self.body.get("subject") or data.get("subject") or "(template)")

    def part(self, media: str) -> str | None:
        """The text of one part."""
        return next((str(each["value"]) for each in self.body.get("content", []) if each["type"] == media), None)

    @property
    def headers(self) -> dict[str, str]:
        """Extra headers."""
        return {**self.body.get("headers", {}), **self.personal.get("headers", {})}

    def picture(self, name: str) -> tuple[bytes, str] | None:
        """An inline picture by its content id."""
        for each in self.body.get("attachments", []):
            if each.get("content_id") == name:
                return base64.b64decode(each["content"]), str(each.get("type", "application/octet-stream"))
        return None

    @property
    def group(self) -> int | None:
        """Its unsubscribe group."""
        found: int | None = self.body.get("asm", {}).get("group_id")
        return found


class MailStore:
    """Mails and lists, in memory."""

    def __init__(self) -> None:
        self.mails: list[StoredMail] = []
        self.bounces: set[str] = set()
        self.spam: set[str] = set()
        self.unsubscribed: set[str] = set()
        self.groups: dict[int, set[str]] = {}
        self._count = 0

    def accept(self, body: Json, at: datetime) -> list[StoredMail]:
        """Take a mail: one for each receiver."""
        made = []
        for each in body["personalizations"]:
            for to in each["to"]:
                self._count += 1
                mail = StoredMail(self._count, secrets.token_urlsafe(16), to["email"], body, at)
                mail.dropped = self._why_dropped(mail)
                self.mails.append(mail)
                made.append(mail)
        del self.mails[:-KEPT]
        return made

    def _why_dropped(self, mail: StoredMail) -> str | None:
        address = mail.to.lower()
        if address in self.bounces:
            return "Bounced Address"
        if address in self.spam:
            return "Spam Reporting Address"
        group = mail.group
        declined = group is not None and address in self.groups.get(group, set())
        return "Unsubscribed Address" if declined or address in self.unsubscribed else None

    def get(self, number: int) -> StoredMail | None:
        """A mail by its number."""
        return next((mail for mail in self.mails if mail.number == number), None)

    def note(self, mail: StoredMail, event: str) -> None:
        """What an event does to the lists."""
        address = mail.to.lower()
        mail.events.append(event)
        if event == "bounce":
            self.bounces.add(address)
        elif event == "spamreport":
            self.spam.add(address)
        elif event == "unsubscribe":
            self.unsubscribed.add(address)
        elif event in ("group_unsubscribe", "group_resubscribe") and mail.group is not None:
            declined = self.groups.setdefault(mail.group, set())
            (declined.add if event == "group_unsubscribe" else declined.discard)(address)


def event_of(mail: StoredMail, event: str, at: datetime | None = None) -> Json:
    """An event as SendGrid's webhook tells of it."""
    moment = at or datetime.now(UTC)
    made: Json = {
        "email": mail.to,
        "timestamp": int(moment.timestamp()),
        "event": "bounce" if event == "blocked" else event,
        "sg_event_id": secrets.token_urlsafe(24),
        "sg_message_id": f"{mail.message_id}.recvd-sandbox-1",
        "smtp-id": f"<{mail.message_id}@sandbox>",
        "category": list(mail.body.get("categories", [])),
        **mail.personal.get("custom_args", {}),
    }
    if event in ("bounce", "blocked"):
        made |= {"type": event, "status": "5.1.1" if event == "bounce" else "4.2.2"}
        made["reason"] = "550 5.1.1 no such user" if event == "bounce" else "452 4.2.2 the mailbox is full"
    elif event == "dropped":
        made["reason"] = mail.dropped or "Spam Content"
    elif event in ("open", "click"):
        made |= {"ip": "192.0.2.1", "useragent": "Sandbox"}
        made |= {"url": "https://gpuscout.example/"} if event == "click" else {"sg_machine_open": False}
    if mail.group is not None and event in ("group_unsubscribe", "group_resubscribe", "dropped"):
        made["asm_group_id"] = mail.group
    return made
