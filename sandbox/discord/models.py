"""What a sandbox world is made of: users, guilds, channels, messages, files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TEXT, DM = 0, 1
EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 15


@dataclass(slots=True)
class User:
    """A user. ``installed``: has the application as a user install. ``dms_open``: takes DMs."""

    id: int
    username: str
    global_name: str | None = None
    bot: bool = False
    locale: str = "en-US"
    dms_open: bool = True
    installed: bool = False


@dataclass(slots=True)
class Role:
    """A guild role; the one with the guild's id is @everyone."""

    id: int
    name: str
    permissions: int
    managed: bool = False
    position: int = 0
    mentionable: bool = False


@dataclass(slots=True)
class Member:
    """A user's membership of one guild."""

    user_id: int
    roles: list[int] = field(default_factory=list)
    joined_at: str = ""


@dataclass(slots=True)
class Guild:
    """A guild. The bot is in it when its id is among the members."""

    id: int
    name: str
    owner_id: int
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    channel_ids: list[int] = field(default_factory=list)
    locale: str = "en-US"


@dataclass(slots=True)
class Channel:
    """A guild text channel (type 0) or a DM (type 1, with its two recipients)."""

    id: int
    type: int
    name: str = ""
    guild_id: int | None = None
    topic: str | None = None
    position: int = 0
    overwrites: list[Json] = field(default_factory=list)
    recipients: list[int] = field(default_factory=list)
    last_message_id: int | None = None


@dataclass(slots=True)
class StoredFile:
    """One attachment: its wire object and its bytes, or the file on disk that has them."""

    attachment: Json
    content_type: str
    data: bytes | None = None
    path: Path | None = None

    def read(self) -> bytes:
        """The bytes; from disk this blocks, so call it in a thread.

        Raises:
            OSError: the file on disk is gone.
        """
        data = self.data
        if data is not None:
            return data
        if self.path is None:
            raise FileNotFoundError(self.attachment["filename"])
        return self.path.read_bytes()


@dataclass(slots=True)
class Message:
    """A message as stored; ``data`` is Discord's message object with origin-less CDN paths.

    ``visible_to`` is the only user who sees an ephemeral message, else None.
    """

    id: int
    channel_id: int
    author_id: int
    data: Json
    visible_to: int | None = None
    files: list[StoredFile] = field(default_factory=list)
    interaction_id: int | None = None
    nonce: str | None = None
