"""Signed links in mails: what they allow, for whom, and until when, checked without a look into the database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

Purpose = Literal["confirm", "preferences", "unsubscribe"]
LIFETIME: Final[dict[Purpose, timedelta]] = {
    "confirm": timedelta(hours=24),
    "preferences": timedelta(days=90),
    # A mail may be read long after it came, and its one-click header must work then too.
    "unsubscribe": timedelta(days=400),
}
PATHS: Final[dict[Purpose, str]] = {
    "confirm": "/mail/confirm",
    "preferences": "/mail/preferences",
    "unsubscribe": "/mail/unsubscribe",
}
MAX_TOKEN: Final = 300
_TOKEN = re.compile(r"([a-z0-9-]{1,120})\.([0-9a-f]{1,12})\.([A-Za-z0-9_-]{43})")


class BadLink(Exception):
    """The link was not made by us, or was changed on its way."""


class LinkExpired(BadLink):
    """The link was ours, and its time is over."""


class MailLinks:
    """Makes and reads the links.

    Args:
        base: address of the web server.
        keys: one of each secret of the ring, newest first: links of an older secret still work.
        clock: the present, aware UTC.
    """

    def __init__(self, base: str, keys: Sequence[bytes], clock: Callable[[], datetime]) -> None:
        if not keys:
            raise ValueError("a signature needs a key")
        self._base = base.rstrip("/")
        self._keys = tuple(keys)
        self._clock = clock

    @property
    def base(self) -> str:
        """Address of the web server."""
        return self._base

    def token(self, purpose: Purpose, subject: str) -> str:
        """A token for one purpose and subject (lower-case letters, digits, hyphens).

        Raises:
            ValueError: another subject.
        """
        until = format(int((self._clock() + LIFETIME[purpose]).timestamp()), "x")
        token = f"{subject}.{until}.{self._sign(self._keys[0], purpose, subject, until)}"
        if not _TOKEN.fullmatch(token):
            raise ValueError("this subject cannot stand in a link")
        return token

    def url(self, purpose: Purpose, subject: str) -> str:
        """The link."""
        return f"{self._base}{PATHS[purpose]}?t={self.token(purpose, subject)}"

    def read(self, purpose: Purpose, token: str) -> str:
        """The subject of a token.

        Raises:
            BadLink: it was not made by us for this purpose.
            LinkExpired: it was, too long ago.
        """
        found = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN else None
        if found is None:
            raise BadLink("not a token")
        subject, until, given = found.groups()
        # Every key is tried, so that the time tells nothing of which one it was.
        good = [hmac.compare_digest(self._sign(key, purpose, subject, until), given) for key in self._keys]
        if not any(good):
            raise BadLink("not signed by us")
        if int(until, 16) <= self._clock().timestamp():
            raise LinkExpired("its time is over")
        return subject

    @staticmethod
    def _sign(key: bytes, purpose: str, subject: str, until: str) -> str:
        signed = hmac.new(key, f"mail-link\n{purpose}\n{subject}\n{until}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
