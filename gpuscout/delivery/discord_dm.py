"""DMs over Discord's REST API; a logged-in client without a gateway is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import aiohttp
import discord

from gpuscout.delivery.ports import DeliveryFailed
from gpuscout.resilience.retry import parse_retry_after
from storage.members import dm_key

SEND_SECONDS = 20.0
_GONE = {50007, 50278, 10013}
"""Cannot send to this user, no mutual server, unknown user: asking again changes nothing."""
_UNKNOWN_CHANNEL = 10003


class State(Protocol):
    """Where the ids of DM channels are remembered."""

    async def get(self, key: str, default: Any = None) -> Any: ...
    async def set(self, key: str, value: Any) -> None: ...
    async def delete(self, key: str) -> bool: ...


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
        with _failures():
            async with asyncio.timeout(SEND_SECONDS):
                channel = self._client.get_partial_messageable(await self._channel(user_id))
                try:
                    message = await channel.send(
                        content[:2000], nonce=nonce[:25], allowed_mentions=discord.AllowedMentions.none()
                    )
                except discord.NotFound as error:
                    if error.code == _UNKNOWN_CHANNEL:
                        # The kept id is of no use any more; the next try opens the DM anew.
                        await self._state.delete(dm_key(user_id))
                    raise
                return message.id

    async def _channel(self, user_id: int) -> int:
        known = await self._state.get(dm_key(user_id))
        if isinstance(known, int):
            return known
        user = await self._client.fetch_user(user_id)
        channel = user.dm_channel or await user.create_dm()
        await self._state.set(dm_key(user_id), channel.id)
        return channel.id

    async def owner_ids(self) -> list[int]:
        """The configured owners, else the application's owner or the members of its team who accepted."""
        if self._owners:
            return list(self._owners)
        with _failures():
            async with asyncio.timeout(SEND_SECONDS):
                application = await self._client.application_info()
        if application.team is not None:
            accepted = discord.TeamMembershipState.accepted
            return [member.id for member in application.team.members if member.membership_state is accepted]
        return [application.owner.id]


def _key(user_id: int) -> str:
    return f"discord.dm:{user_id}"


@contextmanager
def _failures() -> Iterator[None]:
    """Everything that can go wrong on the way to Discord as :class:`DeliveryFailed`."""
    try:
        yield
    except TimeoutError:
        raise DeliveryFailed("Discord did not answer in time") from None
    except discord.RateLimited as error:
        raise DeliveryFailed("Discord asked to wait", retry_after=error.retry_after) from error
    except discord.HTTPException as error:
        raise DeliveryFailed(
            f"Discord answered {error.status} (code {error.code})",
            permanent=error.code in _GONE,
            retry_after=parse_retry_after(error.response.headers.get("Retry-After")) if error.status == 429 else None,
        ) from error
    except (OSError, aiohttp.ClientError) as error:
        raise DeliveryFailed(f"Discord cannot be reached ({type(error).__name__})") from error
