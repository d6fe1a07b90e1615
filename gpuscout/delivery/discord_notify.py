"""Notifications over Discord's REST API; a logged-in client without a gateway is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import aiohttp
import discord

from gpuscout.delivery.channels import Message, NotSent, with_line
from gpuscout.delivery.pacing import DiscordPace
from gpuscout.resilience.retry import parse_retry_after
from storage.grouping import Grouped
from storage.members import dm_key

SEND_SECONDS: Final = 25.0
"""The library repeats within this time what Discord answers with 5xx, always with the same nonce."""
LONGEST_WAIT: Final = 5.0
"""A longer wait for a new DM channel goes back into the queue instead of holding a place of the worker."""
CLOSED_DMS: Final = {50007, 50278, 10013}
"""Cannot send to this user, no mutual server, unknown user: asking again changes nothing."""
TOO_FAST: Final = {40003: 600.0, 20026: 3600.0}
"""Opening DMs too fast; flagged by Discord's protection against spam. Seconds to leave Discord in peace."""
_UNKNOWN_CHANNEL: Final = 10003


class ChannelMemory(Protocol):
    """Where the ids of DM channels are remembered."""

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]: ...
    async def set(self, key: str, value: Any) -> None: ...
    async def delete(self, key: str) -> bool: ...


class DiscordNotifications:
    """Implements :class:`gpuscout.delivery.channels.DiscordSender`.

    Args:
        state: where the ids of DM channels are kept: opening one counts against a strict limit of Discord's.
        pace: shared by everything that sends in this process.
    """

    def __init__(self, client: discord.Client, state: ChannelMemory, pace: DiscordPace) -> None:
        self._client = client
        self._state = state
        self._pace = pace
        self._known = Grouped(self._kept)

    async def to_member(self, member_id: int, message: Message, nonce: str) -> int:
        """See :class:`gpuscout.delivery.channels.DiscordSender`."""
        with _outcomes():
            channel_id = await self._channel(member_id)
            try:
                return await self._post(channel_id, message, message.text, nonce, discord.AllowedMentions.none())
            except discord.NotFound as error:
                if error.code != _UNKNOWN_CHANNEL:
                    raise
                # The kept id is of no use any more; the next try opens the DM anew.
                await self._state.delete(dm_key(member_id))
                raise NotSent("failed", "the DM channel is gone; it is opened anew", retry_after=0.0) from error

    async def to_channel(
        self, channel_id: int, message: Message, nonce: str, *, user: int | None = None, role: int | None = None
    ) -> int:
        """See :class:`gpuscout.delivery.channels.DiscordSender`."""
        mentions = discord.AllowedMentions(
            everyone=False,
            replied_user=False,
            users=[] if user is None else [discord.Object(user)],
            roles=[] if role is None else [discord.Object(role)],
        )
        words = [f"<@{user}>" if user is not None else "", f"<@&{role}>" if role is not None else ""]
        line = "\n".join(part for part in (" ".join(filter(None, [*words, message.plain])), message.text) if part)
        with _outcomes():
            return await self._post(channel_id, message, line, nonce, mentions)

    async def _post(
        self, channel_id: int, message: Message, line: str, nonce: str, mentions: discord.AllowedMentions
    ) -> int:
        arguments: dict[str, Any] = with_line(message, line, first=True)
        if message.pictures:
            arguments["files"] = [picture.file() for picture in message.pictures]
        channel = self._client.get_partial_messageable(channel_id)
        async with self._pace.requests.use(), asyncio.timeout(SEND_SECONDS):
            sent = await channel.send(nonce=nonce[:25], allowed_mentions=mentions, **arguments)
        return sent.id

    async def _kept(self, member_ids: Sequence[int]) -> list[int | Exception | None]:
        """The channels that are kept already."""
        found = await self._state.get_many([dm_key(member_id) for member_id in member_ids])
        channels = [found.get(dm_key(member_id)) for member_id in member_ids]
        return [channel if isinstance(channel, int) else None for channel in channels]

    async def _channel(self, member_id: int) -> int:
        known = await self._known(member_id)
        if known is not None:
            return known
        wait = self._pace.openings.wait()
        if wait is None or wait > LONGEST_WAIT:
            raise NotSent("failed", "new DM channels are opened slowly; it waits", retry_after=wait or LONGEST_WAIT)
        async with self._pace.openings.use(), self._pace.requests.use(), asyncio.timeout(SEND_SECONDS):
            try:
                channel = await self._client.create_dm(discord.Object(member_id))
            except discord.HTTPException as error:
                if (pause := TOO_FAST.get(error.code)) is not None:
                    self._pace.openings.pause(pause)
                if error.status >= 500:
                    # Opening it twice does no harm, and nothing was said yet.
                    raise NotSent("failed", f"the DM was not opened: {error.status}") from error
                raise
        await self._state.set(dm_key(member_id), channel.id)
        return channel.id


@contextmanager
def _outcomes() -> Iterator[None]:
    """Everything that can go wrong on the way to Discord as :class:`NotSent`."""
    try:
        yield
    except NotSent:
        raise
    except TimeoutError:
        raise NotSent("unknown", "Discord did not answer in time") from None
    except discord.RateLimited as error:
        raise NotSent("failed", "Discord asked to wait", retry_after=error.retry_after) from error
    except discord.HTTPException as error:
        raise _judge(error) from error
    except aiohttp.ClientConnectorError as error:
        raise NotSent("failed", f"Discord cannot be reached ({type(error).__name__})") from error
    except (OSError, aiohttp.ClientError) as error:
        raise NotSent("unknown", f"the connection to Discord broke ({type(error).__name__})") from error


def _judge(error: discord.HTTPException) -> NotSent:
    said = f"Discord answered {error.status} (code {error.code})"
    wait = parse_retry_after(error.response.headers.get("Retry-After"))
    if error.status == 429:
        return NotSent("failed", said, retry_after=wait)
    if error.status >= 500:
        return NotSent("unknown", said, retry_after=wait)
    if error.code in TOO_FAST:
        return NotSent("failed", said, retry_after=TOO_FAST[error.code])
    if error.code in CLOSED_DMS:
        return NotSent("refused", said, closed=True)
    if error.status in (403, 404):
        return NotSent("refused", said)
    if error.status == 401:
        return NotSent("failed", "Discord does not accept DISCORD_TOKEN", retry_after=300.0)
    return NotSent("refused", said, ours=True)
