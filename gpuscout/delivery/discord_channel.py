"""Posts to a channel over Discord's REST API; a logged-in client without a gateway is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol

import aiohttp
import discord

from gpuscout.cards.kit import Card
from gpuscout.delivery.ports import DeliveryFailed
from gpuscout.resilience.retry import parse_retry_after

SEND_SECONDS = 30.0
"""A chart may have to be sent again by the library within this time."""

Unreachable = Literal["permissions", "access", "channel"]
_REASONS: dict[int, Unreachable] = {
    50013: "permissions",  # missing permissions
    50001: "access",  # missing access: the channel is hidden, or the bot is no longer in the server
    10003: "channel",  # unknown channel
    10004: "access",  # unknown server
    50083: "channel",  # the thread is archived
    50008: "channel",  # not a channel one can write in
    50024: "channel",
}


class ChannelUnreachable(DeliveryFailed):
    """The channel cannot be posted to until an admin changes something; trying again is no use."""

    def __init__(self, reason: Unreachable, message: str) -> None:
        super().__init__(message, permanent=True)
        self.reason = reason


class ChannelPosts(Protocol):
    """Posts cards to channels."""

    async def post(
        self, channel_id: int, card: Card, files: Sequence[discord.File], nonce: str, roles: Sequence[int] = ()
    ) -> int:
        """Post *card* and return the message's id. Of all mentions in it only those of *roles* ping.

        A repeat with the same *nonce* within a few minutes gives the first message instead of a second one.

        Raises:
            ChannelUnreachable: nobody can post there now.
            DeliveryFailed: it was not posted, or the answer was lost.
        """
        ...


class DiscordChannelPosts:
    """Implements :class:`ChannelPosts`."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def post(
        self, channel_id: int, card: Card, files: Sequence[discord.File], nonce: str, roles: Sequence[int] = ()
    ) -> int:
        """See :class:`ChannelPosts`."""
        mentions = discord.AllowedMentions(
            everyone=False, users=False, replied_user=False, roles=[discord.Object(role) for role in roles]
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                channel = self._client.get_partial_messageable(channel_id)
                message = await channel.send(
                    view=card, files=list(files), nonce=nonce[:25], allowed_mentions=mentions, silent=not roles
                )
                return message.id
        except TimeoutError:
            raise DeliveryFailed("Discord did not answer in time") from None
        except discord.RateLimited as error:
            raise DeliveryFailed("Discord asked to wait", retry_after=error.retry_after) from error
        except discord.HTTPException as error:
            said = f"Discord answered {error.status} (code {error.code})"
            if (reason := _REASONS.get(error.code)) is not None:
                raise ChannelUnreachable(reason, said) from error
            wait = parse_retry_after(error.response.headers.get("Retry-After")) if error.status == 429 else None
            raise DeliveryFailed(said, retry_after=wait) from error
        except (OSError, aiohttp.ClientError) as error:
            raise DeliveryFailed(f"Discord cannot be reached ({type(error).__name__})") from error
