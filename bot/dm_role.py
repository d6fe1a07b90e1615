"""How a process sends to Discord: over its bot's client, or over a client of its own without a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.endpoints import use_endpoints
from config.settings import Settings
from gpuscout.delivery.ports import DeliveryFailed

if TYPE_CHECKING:
    from bot.client import ScoutBot

READY_SECONDS = 20.0
"""How long a message waits for a log-in before it goes back into the queue."""


async def open_client(
    settings: Settings, bot: ScoutBot | None, later: Callable[[str, Callable[[], Awaitable[None]]], None]
) -> discord.Client:
    """A client that may call Discord's REST API.

    Args:
        bot: the process's bot, when it runs one.
        later: told how to close what is opened here.

    Raises:
        DeliveryFailed: Discord does not let us log in now.
    """
    client: discord.Client
    if bot is not None:
        # The worker may be quicker than the log-in, which may be long in coming.
        try:
            async with asyncio.timeout(READY_SECONDS):
                await bot.wait_until_ready()
        except (TimeoutError, RuntimeError) as error:  # RuntimeError: not even begun
            raise DeliveryFailed("the bot has no connection to Discord yet", retry_after=READY_SECONDS) from error
        client = bot
    else:
        use_endpoints(settings)
        # Nobody speaks or listens to servers here: the library's advice about either would only alarm the operator.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        client = discord.Client(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            # Longer waits go back into the queue instead of holding a worker.
            max_ratelimit_timeout=30.0,
        )
        assert settings.discord_token is not None  # noqa: S101 - asked for only with a token
        try:
            async with asyncio.timeout(READY_SECONDS):
                await client.login(settings.discord_token.get_secret_value())
        except BaseException as error:
            await client.close()
            if isinstance(error, discord.LoginFailure):
                raise DeliveryFailed("Discord does not accept DISCORD_TOKEN", permanent=True) from error
            if isinstance(error, discord.HTTPException):
                raise DeliveryFailed(f"Discord answered {error.status} at log-in") from error
            if isinstance(error, OSError | aiohttp.ClientError):  # TimeoutError is an OSError
                raise DeliveryFailed(f"Discord cannot be reached ({type(error).__name__})") from error
            raise
        later("rest client", client.close)
    return client
