"""DMs over Discord's REST API; a logged-in client without a gateway is enough."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import discord

from gpuscout.delivery.ports import DeliveryFailed

SEND_SECONDS = 20.0
_GONE = {50007, 50278, 10013}
"""Cannot send to this user, no mutual server, unknown user: asking again changes nothing."""


class State(Protocol):
    """Where the ids of DM channels are remembered."""

    async def get(self, key: str, default: Any = None) -> Any: ...
    async def set(self, key: str, value: Any) -> None: ...


class DiscordDirectMessages:
    """Implements :class:`gpuscout.delivery.ports.DirectMessages`.

    Opening a DM counts against a strict limit of Discord's, so the channel's id is kept and used again.
    """

    def __init__(self, client: discord.Client, state: State, owners: tuple[int, ...] = ()) -> None:
        self._client = client
        self._state = state
        self._owners = owners

    async def send(self, user_id: int, content: str, nonce: str) -> int:
        """See :class:`gpuscout.delivery.ports.DirectMessages`."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                channel = self._client.get_partial_messageable(await self._channel(user_id))
                message = await channel.send(
                    content[:2000], nonce=nonce[:25], allowed_mentions=discord.AllowedMentions.none()
                )
                return message.id
        except TimeoutError:
            raise DeliveryFailed("Discord did not answer in time") from None
        except discord.RateLimited as error:
            raise DeliveryFailed("Discord asked to wait", retry_after=error.retry_after) from error
        except discord.HTTPException as error:
            permanent = error.code in _GONE
            raise DeliveryFailed(f"Discord answered {error.status} (code {error.code})", permanent=permanent) from error

    async def _channel(self, user_id: int) -> int:
        key = f"discord.dm:{user_id}"
        known = await self._state.get(key)
        if isinstance(known, int):
            return known
        user = await self._client.fetch_user(user_id)
        channel = user.dm_channel or await user.create_dm()
        await self._state.set(key, channel.id)
        return channel.id

    async def owner_ids(self) -> list[int]:
        """The configured owners, else the application's owner or its team."""
        if self._owners:
            return list(self._owners)
        application = await self._client.application_info()
        if application.team is not None:
            return [member.id for member in application.team.members]
        return [application.owner.id]
