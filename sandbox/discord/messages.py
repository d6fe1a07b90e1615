"""Messages: creating, changing and deleting them, and telling users and bot about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.discord import compose, wire
from sandbox.discord.compose import Upload
from sandbox.discord.errors import ApiError
from sandbox.discord.events import Bus
from sandbox.discord.models import DM, LOADING, Channel, Message, StoredFile
from sandbox.discord.permissions import Perm
from sandbox.discord.sessions import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS, Sessions
from sandbox.discord.state import World

Json = dict[str, Any]

DEFAULT, REPLY, CHAT_INPUT_COMMAND, CONTEXT_MENU_COMMAND = 0, 19, 20, 23
#: How long a repeat with the same enforced nonce gives the first message.
NONCE_SECONDS = 180.0
#: Files replaced by an edit, and files of command options, that can still be fetched.
LOOSE_FILES = 64


class Messages:
    """The one place where messages change.

    Args:
        world: where they are kept.
        bus: tells the users' clients.
        sessions: tells the bot.
    """

    def __init__(self, world: World, bus: Bus, sessions: Sessions) -> None:
        self._world = world
        self._bus = bus
        self._sessions = sessions
        #: ``http://host:port``, put in front of CDN paths for the bot.
        self.origin = ""

    # -- reading --------------------------------------------------------------------------

    def visible(self, message: Message, user_id: int) -> bool:
        """Whether the user sees the message: his channel, and not another's ephemeral one."""
        if message.visible_to not in (None, user_id):
            return False
        channel = self._world.channels.get(message.channel_id)
        return channel is not None and (self._world.can_see(user_id, channel) or message.visible_to == user_id)

    def history(self, channel_id: int, user_id: int, limit: int) -> list[Message]:
        """The newest ``limit`` messages of a channel that the user sees, oldest first."""
        bucket = self._world.bucket(channel_id)
        seen = [message for message in bucket.values() if self.visible(message, user_id)]
        return seen[-limit:] if limit > 0 else []

    def for_bot(self, message: Message) -> Json:
        """The message object as the bot gets it: with whole CDN URLs."""
        data: Json = wire.with_origin(message.data, self.origin)
        return data

    # -- changing -------------------------------------------------------------------------

    def blank(self, channel: Channel, author_id: int, *, kind: int = DEFAULT) -> Message:
        """A message object without content, not yet stored."""
        number = self._world.next_id()
        data: Json = {
            "id": str(number),
            "type": kind,
            "channel_id": str(channel.id),
            "author": wire.user(self._world.users[author_id]),
            "content": "",
            "timestamp": self._world.timestamp(),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": 0,
        }
        return Message(number, channel.id, author_id, data)

    def post(self, message: Message) -> None:
        """Store a new message and tell everybody who sees it."""
        self._world.store(message)
        self._announce("MESSAGE_CREATE", message)

    def edit(self, message: Message, body: Json, uploads: list[Upload], *, mark_edited: bool = True) -> None:
        """Change a stored message; see :func:`compose.apply`."""
        self.apply(message, body, uploads)
        message.data = message.data | {"flags": message.data["flags"] & ~LOADING}
        if mark_edited:
            message.data["edited_timestamp"] = self._world.timestamp()
        self._announce("MESSAGE_UPDATE", message)

    def apply(self, message: Message, body: Json, uploads: list[Upload]) -> None:
        """Change a message without telling anybody; replaced files stay fetchable for a while."""
        before = message.files
        compose.apply(self._world, message, wire.without_origin(body, self.origin), uploads)
        for stored in before:
            if all(stored is not kept for kept in message.files):
                self.keep_loose(stored)

    def keep_loose(self, stored: StoredFile) -> None:
        """Keep a file that no message holds, until :data:`LOOSE_FILES` newer ones came."""
        loose = self._world.loose_files
        loose[stored.attachment["url"]] = stored
        while len(loose) > LOOSE_FILES:
            loose.popitem(last=False)

    def store_loose(self, channel: Channel, user_id: int, upload: Upload) -> StoredFile:
        """Keep a file that a user gave to a command or form; 40005 when too large."""
        carrier = self.blank(channel, user_id)
        carrier.visible_to = user_id
        stored = compose.store_upload(self._world, carrier, upload, {})
        self.keep_loose(stored)
        return stored

    def delete(self, message: Message) -> None:
        """Remove a message."""
        if self._world.bucket(message.channel_id).pop(message.id, None) is None:
            raise ApiError(10008)
        self._world.revision += 1
        channel = self._world.channels[message.channel_id]
        data: Json = {"id": str(message.id), "channel_id": str(channel.id)}
        if channel.guild_id:
            data["guild_id"] = str(channel.guild_id)
        self._bus.publish("MESSAGE_DELETE", data, lambda uid: self.visible(message, uid))
        self._dispatch("MESSAGE_DELETE", message, channel, data, data)

    def _announce(self, event: str, message: Message) -> None:
        self._world.revision += 1
        self._bus.publish(event, message.data, lambda uid: self.visible(message, uid))
        channel = self._world.channels[message.channel_id]
        data = self.for_bot(message)
        if channel.guild_id:
            guild = self._world.guilds[channel.guild_id]
            data["guild_id"] = str(guild.id)
            if member := guild.members.get(message.author_id):
                data["member"] = wire.member(self._world, member)
                del data["member"]["user"]
        self._dispatch(event, message, channel, data, self._without_content(channel, message, data))

    def _without_content(self, channel: Channel, message: Message, data: Json) -> Json:
        """The message as an application without the message content intent sees it."""
        bot = str(self._world.bot.id)
        mentioned = any(user["id"] == bot for user in data["mentions"])
        if channel.type == DM or message.author_id == self._world.bot.id or mentioned:
            return data
        return data | {"content": "", "embeds": [], "attachments": [], "components": []}

    def _dispatch(self, event: str, message: Message, channel: Channel, data: Json, blind: Json) -> None:
        if message.visible_to is not None or not self._bot_sees(channel):
            return
        intent = GUILD_MESSAGES if channel.guild_id else DIRECT_MESSAGES
        self._sessions.dispatch(event, data, guild_id=channel.guild_id, intent=intent, without_content=blind)

    def _bot_sees(self, channel: Channel) -> bool:
        return self._world.can_see(self._world.bot.id, channel)

    # -- by whom --------------------------------------------------------------------------

    def check_bot_may_send(self, channel: Channel, body: Json, uploads: list[Upload]) -> None:
        """Raise the error that Discord answers when the bot may not post this here."""
        world = self._world
        if channel.type == DM:
            user_id = next(uid for uid in channel.recipients if uid != world.bot.id)
            user = world.users[user_id]
            if not user.installed and not any(world.mutual_guilds(user_id)):
                raise ApiError(50278)
            if not user.dms_open:
                raise ApiError(50007)
            return
        bits = world.permissions(world.bot.id, channel)
        if not bits & Perm.VIEW_CHANNEL:
            raise ApiError(50001)
        needed = Perm.SEND_MESSAGES
        if body.get("embeds"):
            needed |= Perm.EMBED_LINKS
        if uploads:
            needed |= Perm.ATTACH_FILES
        if bits & needed != needed:
            raise ApiError(50013)

    def bot_posts(self, channel: Channel, body: Json, uploads: list[Upload]) -> Message:
        """Post a message of the bot to a channel (not an interaction's answer).

        Raises:
            ApiError: no permission, or a body that Discord refuses.
        """
        self.check_bot_may_send(channel, body, uploads)
        nonce = str(body["nonce"]) if body.get("nonce") is not None else None
        if nonce and body.get("enforce_nonce"):
            # Discord remembers nonces for "the past few minutes".
            oldest = self._world.now() - NONCE_SECONDS
            for earlier in reversed(self._world.bucket(channel.id).values()):
                if _sent_at(earlier) < oldest:
                    break
                if earlier.nonce == nonce and earlier.author_id == self._world.bot.id:
                    return earlier
        message = self.blank(channel, self._world.bot.id)
        reference = body.get("message_reference")
        if reference:
            self._reply_to(message, channel, reference)
        message.nonce = nonce
        self.apply(message, body, uploads)
        if nonce:
            message.data["nonce"] = body["nonce"]
        self.post(message)
        return message

    def _reply_to(self, message: Message, channel: Channel, reference: Json) -> None:
        target = self._world.message(int(reference["message_id"]), channel.id)
        if target is None and reference.get("fail_if_not_exists", True):
            raise ApiError(10008)
        message.data["type"] = REPLY
        message.data["message_reference"] = {
            "type": 0,
            "channel_id": str(channel.id),
            "message_id": str(reference["message_id"]),
        }
        if channel.guild_id:
            message.data["message_reference"]["guild_id"] = str(channel.guild_id)
        shown = None
        if target is not None:
            shown = {k: v for k, v in target.data.items() if k != "referenced_message"}
        message.data["referenced_message"] = shown

    def user_posts(self, channel: Channel, user_id: int, content: str) -> Message:
        """Post a message that a user typed."""
        message = self.blank(channel, user_id)
        self.apply(message, {"content": content}, [])
        self.post(message)
        return message

    def open_dm(self, user_id: int) -> Channel:
        """The DM channel of the user and the bot; both are told when it is new."""
        channel, new = self._world.open_dm(user_id)
        if new:
            mine = wire.channel(self._world, channel, user_id)
            self._bus.to_user(user_id, "CHANNEL_CREATE", mine)
        return channel

    def announce_guild_channel(self, channel: Channel) -> None:
        """Tell everybody about a new guild channel."""
        data = wire.channel(self._world, channel)
        self._bus.publish("CHANNEL_CREATE", data, lambda uid: self._world.can_see(uid, channel))
        if channel.guild_id and self._world.in_guild(channel.guild_id, self._world.bot.id):
            self._sessions.dispatch("CHANNEL_CREATE", data, guild_id=channel.guild_id, intent=GUILDS)


def _sent_at(message: Message) -> float:
    return datetime.fromisoformat(message.data["timestamp"]).timestamp()
