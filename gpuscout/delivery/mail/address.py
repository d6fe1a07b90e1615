"""Mail addresses as people type them, and the keyed hashes under which they are remembered."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

MAX_ADDRESS: Final = 254
"""Longest address, RFC 5321 §4.5.3.1.3 (a path of 256 octets with its angle brackets)."""
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


class BadAddress(ValueError):
    """This is no address that mail can be sent to."""


def parse_address(typed: str) -> str:
    """An address as it is stored: without spaces around it, its domain in lower case and ASCII.

    Quoted and non-ASCII local parts are refused: hardly any mail service takes them.

    Raises:
        BadAddress: it is none. The message does not repeat it.
    """
    local, mark, domain = typed.strip().rpartition("@")
    if not mark or len(local) > 64 or not _LOCAL.fullmatch(local):
        raise BadAddress("not an address")
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise BadAddress("not a domain") from None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise BadAddress("not a domain")
    address = f"{local}@{ascii_domain}"
    if len(address) > MAX_ADDRESS:
        raise BadAddress("too long")
    return address


class AddressHasher:
    """Keyed hashes of addresses (HMAC-SHA-256 of the address in lower case).

    Args:
        keys: one of each secret of the ring, newest first: what an older secret hashed is still found.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a hash needs a key")
        self._keys = tuple(keys)

    def digests(self, address: str) -> list[str]:
        """The hashes of an address, the newest key's first, in hexadecimal."""
        meant = address.strip().lower().encode("utf-8", "replace")
        return [hmac.new(key, meant, hashlib.sha256).hexdigest() for key in self._keys]


def masked(address: str) -> str:
    """Enough of an address to know it by: ``a…@example.com``."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"
