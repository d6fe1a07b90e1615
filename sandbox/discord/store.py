"""Keeps a sandbox's world in a JSON file and a folder of attachments, across restarts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from sandbox.discord.models import LOADING, Channel, Guild, Member, Message, Role, StoredFile, User
from sandbox.discord.state import World

Json = dict[str, Any]
log = structlog.get_logger(__name__)

VERSION = 1
#: Messages kept per channel.
KEPT_MESSAGES = 200
#: Seconds between two looks whether there is something to save.
INTERVAL_S = 5.0
#: Messages turned to text in one go, so that the event loop is never held for long.
_BATCH = 20
_TABLES = ("global_commands", "entitlements", "skus", "emojis")


class Store:
    """Loads a world, and saves it when it changed.

    Args:
        path: the JSON file; the attachments lie in a folder beside it that ends in ``.files``.
    """

    def __init__(self, path: Path, world: World) -> None:
        self._path = path
        self._folder = path.with_suffix(".files")
        self._world = world
        self._saved_revision = -1
        self._lock = asyncio.Lock()

    # -- loading --------------------------------------------------------------------------

    def load(self) -> bool:
        """Fill the world from the file; whether there was one to read.

        A file that cannot be read is moved aside with a warning, and the world stays new.
        """
        if not self._path.is_file():
            return False
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            if state["version"] != VERSION:
                raise ValueError(f"version {state['version']} instead of {VERSION}")  # noqa: TRY301
            self._fill(state)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            aside = self._path.with_suffix(".broken")
            log.warning("sandbox state cannot be read, starting anew", kept_as=str(aside), error=str(exc))
            self._path.replace(aside)
            return False
        return True

    def _fill(self, state: Json) -> None:
        """Build everything first and take it over last, so that a bad file changes nothing."""
        users = {u["id"]: User(**u) for u in state["users"]}
        guilds = {g["id"]: _guild(g) for g in state["guilds"]}
        channels = {c["id"]: Channel(**c) for c in state["channels"]}
        bot = users[state["bot_id"]]
        messages: dict[int, OrderedDict[int, Message]] = {}
        for entry in state["messages"]:
            message = self._message(entry)
            messages.setdefault(message.channel_id, OrderedDict())[message.id] = message
        tables = {name: {int(item["id"]): item for item in state[name]} for name in _TABLES}
        guild_commands = {
            int(guild_id): {int(command["id"]): command for command in commands}
            for guild_id, commands in state["guild_commands"].items()
        }
        world = self._world
        bot.username = world.bot.username
        world.users, world.guilds, world.channels, world.messages = users, guilds, channels, messages
        world.bot = bot
        world.guild_commands = guild_commands
        for name, table in tables.items():
            setattr(world, name, table)
        world.skip_ids(int(state["last_id"]))
        self._saved_revision = world.revision

    def _message(self, entry: Json) -> Message:
        files = []
        for attachment in entry.pop("files"):
            kind = attachment["content_type"]
            files.append(StoredFile(attachment, kind, path=self._folder / str(int(attachment["id"]))))
        return Message(**entry, files=files)

    # -- saving ---------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Save from time to time while ``stop`` is not set (a running save is always finished)."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), INTERVAL_S)
            try:
                await self.save()
            except OSError as exc:
                log.warning("sandbox state not saved", error=str(exc))

    async def save(self) -> None:
        """Write the world if it changed since the last time.

        Raises:
            OSError: the file or the folder cannot be written.
        """
        async with self._lock:
            revision = self._world.revision
            if revision == self._saved_revision:
                return
            messages = self._messages()
            texts = []
            for start in range(0, len(messages), _BATCH):
                texts += [_text(_entry(message)) for message in messages[start : start + _BATCH]]
                await asyncio.sleep(0)
            text = f'{_text(self._head())[:-1]},"messages":[{",".join(texts)}]}}'
            files = {str(f.attachment["id"]): f for message in messages for f in message.files}
            await asyncio.to_thread(self._write, text, files)
            self._saved_revision = revision

    def _messages(self) -> list[Message]:
        """What outlives a restart: no ephemeral messages, none that still wait for their content."""
        found: list[Message] = []
        for bucket in self._world.messages.values():
            lasting = [m for m in bucket.values() if m.visible_to is None and not m.data["flags"] & LOADING]
            found += lasting[-KEPT_MESSAGES:]
        return found

    def _head(self) -> Json:
        world = self._world
        return {
            "version": VERSION,
            "bot_id": world.bot.id,
            "last_id": world.last_id,
            "users": [asdict(user) for user in world.users.values()],
            "guilds": [
                asdict(guild)
                | {
                    "roles": [asdict(role) for role in guild.roles.values()],
                    "members": [asdict(member) for member in guild.members.values()],
                }
                for guild in world.guilds.values()
            ],
            "channels": [asdict(channel) for channel in world.channels.values()],
            "guild_commands": {str(gid): list(c.values()) for gid, c in world.guild_commands.items()},
            **{name: list(getattr(world, name).values()) for name in _TABLES},
        }

    def _write(self, text: str, files: dict[str, StoredFile]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, stored in files.items():
            path = self._folder / name
            if stored.data is not None:
                path.write_bytes(stored.data)
                stored.path, stored.data = path, None
        part = self._path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self._path)
        for path in self._folder.iterdir():
            if path.name not in files:
                path.unlink(missing_ok=True)


def _guild(state: Json) -> Guild:
    roles = {role["id"]: Role(**role) for role in state.pop("roles")}
    members = {member["user_id"]: Member(**member) for member in state.pop("members")}
    return Guild(**state, roles=roles, members=members)


def _entry(message: Message) -> Json:
    return {
        "id": message.id,
        "channel_id": message.channel_id,
        "author_id": message.author_id,
        "data": message.data,
        "interaction_id": message.interaction_id,
        "nonce": message.nonce,
        "files": [stored.attachment for stored in message.files],
    }


def _text(data: Json) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)
