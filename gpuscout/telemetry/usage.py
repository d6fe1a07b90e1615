"""Usage events: which command or route was used, with what outcome. Who used it is kept only as a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

HASH_LENGTH = 32
"""Hex digits kept of a hash: 128 bits."""


class UsageRecorder(Protocol):
    """Notes one use. Never waits and never raises: a lost event is no reason to fail a command."""

    def record(
        self,
        name: str,
        *,
        surface: str,
        outcome: str,
        latency_ms: float | None = None,
        plan: str = "free",
        member_id: int | None = None,
        guild_id: int | None = None,
        locale: str | None = None,
    ) -> None:
        """Note that *name* (command, button or route) was used.

        Args:
            name: what was used; at most 64 characters are kept.
            surface: ``slash``, ``mention``, ``component``, ``web`` or ``api``.
            outcome: ``ok``, ``refused``, ``error`` and the like.
            latency_ms: milliseconds until the finished answer.
            plan: the member's plan.
            member_id: Discord user id; only its keyed hash is stored.
            guild_id: Discord server id; only its keyed hash is stored.
            locale: the member's locale, such as ``en-US``.
        """
        ...


class IdHasher:
    """Keyed hash of Discord ids (HMAC-SHA-256, cut to 128 bits).

    Ids are few enough to be tried one by one, so a plain hash would hide nothing; without the key this one cannot be
    reversed. Members and servers are hashed apart. The key must stay the same, or a member's uses no longer match.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the key for usage hashes needs at least 16 bytes")
        # A key of its own, so that these hashes match no other use of the same secret.
        self._key = hmac.new(key, b"gpuscout usage ids 1", hashlib.sha256).digest()

    def member(self, user_id: int) -> str:
        """Hash of a Discord user id, 32 hex digits."""
        return self._hash("member", user_id)

    def guild(self, guild_id: int) -> str:
        """Hash of a Discord server id, 32 hex digits."""
        return self._hash("guild", guild_id)

    def _hash(self, kind: str, snowflake: int) -> str:
        return hmac.new(self._key, f"{kind}:{snowflake}".encode(), hashlib.sha256).hexdigest()[:HASH_LENGTH]


def outcome_of_status(status: int) -> str:
    """Outcome of an HTTP answer: ``ok``, ``refused`` (4xx) or ``error`` (5xx)."""
    if status < 400:
        return "ok"
    return "refused" if status < 500 else "error"
