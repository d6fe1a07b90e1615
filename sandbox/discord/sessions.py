"""Gateway sessions: what was dispatched to whom, kept so that a RESUME can replay it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = 1 << 0, 1 << 9, 1 << 12, 1 << 15
PRIVILEGED = 1 << 1 | 1 << 8 | MESSAGE_CONTENT
ALL_INTENTS = (1 << 26) - 1
#: Seconds for which a lost connection may be resumed, and events kept for it.
RESUME_WINDOW_S = 120.0
HISTORY = 1000


def encode(payload: Json) -> str:
    """A gateway payload as text."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


class Session:
    """One identified shard connection, alive across reconnects."""

    def __init__(self, shard: tuple[int, int], intents: int) -> None:
        self.id = secrets.token_hex(16)
        self.shard = shard
        self.intents = intents
        self.sequence = 0
        self.history: deque[tuple[int, str]] = deque(maxlen=HISTORY)
        #: Outgoing texts of the live connection; None while there is none.
        self.outbox: asyncio.Queue[str] | None = None
        self.lost_at: float | None = None

    def dispatch(self, event: str, data: Any) -> None:
        """Number an event, remember it, and send it if the connection is up."""
        self.sequence += 1
        text = encode({"op": 0, "t": event, "s": self.sequence, "d": data})
        self.history.append((self.sequence, text))
        if self.outbox is not None:
            self.outbox.put_nowait(text)

    def can_resume(self, sequence: int) -> bool:
        """Whether everything after ``sequence`` is still here."""
        if self.lost_at is not None and time.monotonic() - self.lost_at > RESUME_WINDOW_S:
            return False
        oldest = self.history[0][0] if self.history else self.sequence + 1
        return oldest - 1 <= sequence <= self.sequence

    def missed(self, sequence: int) -> list[str]:
        """The payloads after ``sequence``, oldest first."""
        return [text for number, text in self.history if number > sequence]

    def serves(self, guild_id: int | None) -> bool:
        """Whether this shard gets the guild's events (None: DMs and the like, shard 0)."""
        index, count = self.shard
        return index == ((guild_id >> 22) % count if guild_id else 0)


class Sessions:
    """All sessions of the bot."""

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}

    def open(self, shard: tuple[int, int], intents: int) -> Session:
        """A new session; lost ones of the same shard end, as nobody will resume them."""
        for old in list(self):
            if old.shard == shard and old.outbox is None:
                del self._by_id[old.id]
        session = Session(shard, intents)
        self._by_id[session.id] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """The session of that id."""
        return self._by_id.get(session_id)

    def end(self, session: Session) -> None:
        """Forget a session: it can no longer be resumed."""
        self._by_id.pop(session.id, None)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    @property
    def live(self) -> list[Session]:
        """Sessions with an open connection."""
        return [session for session in self if session.outbox is not None]

    def dispatch(
        self,
        event: str,
        data: Any,
        *,
        guild_id: int | None,
        intent: int = 0,
        without_content: Json | None = None,
    ) -> None:
        """Send an event to the shard of the guild.

        Args:
            intent: only to sessions that subscribed to this bit (0: always).
            without_content: what goes to sessions without the message content intent.
        """
        for session in self:
            if not session.serves(guild_id) or (intent and not session.intents & intent):
                continue
            blind = without_content is not None and not session.intents & MESSAGE_CONTENT
            session.dispatch(event, without_content if blind else data)
