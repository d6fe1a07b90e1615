"""Logging in to Discord and staying there: Discord's own trouble is waited out, its refusals are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import discord
import structlog

log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0
"""Seconds between two tries: doubled from the first to the longest."""


def is_passing(error: BaseException) -> bool:
    """Whether Discord, or the way to it, may be well again by itself."""
    if isinstance(error, discord.LoginFailure | discord.PrivilegedIntentsRequired):
        return False
    if isinstance(error, discord.HTTPException):
        return error.status == 429 or error.status >= 500
    return isinstance(error, discord.GatewayNotFound | aiohttp.ClientError | OSError | TimeoutError)


async def stay_connected(
    bot: discord.Client, token: str, *, sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
) -> None:
    """Log in, connect and run until the client is closed.

    While Discord cannot be reached the rest of the process goes on; the client comes when it answers.

    Raises:
        discord.LoginFailure: the token is not accepted.
        discord.DiscordException: another refusal that no waiting mends.
    """
    async with bot:
        await _patiently(lambda: bot.login(token), bot, sleep)
        await _patiently(bot.connect, None, sleep)


async def _patiently(
    work: Callable[[], Awaitable[None]], starting: discord.Client | None, sleep: Callable[[float], Awaitable[Any]]
) -> None:
    pause = FIRST_PAUSE
    while True:
        try:
            await work()
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("discord_unreachable", error=f"{type(error).__name__}: {error}", retry_in=pause)
        else:
            return
        if starting is not None:
            # Each login makes a session and, when there is none, its connections: those of this one end here.
            await starting.http.close()
            starting.http.connector = discord.utils.MISSING
        await sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
