"""Where Discord is: its REST and gateway addresses are settings, for a proxy in production and for the sandbox.

discord.py keeps both as class attributes, which makes them a matter of the process, not of a client.
"""

from __future__ import annotations

from typing import Any

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Route

from config.settings import Settings


def use_endpoints(settings: Settings) -> None:
    """Point discord.py of this process at the configured addresses. Call before a client logs in."""
    Route.BASE = settings.discord_api_url
    if settings.discord_gateway_url is not None:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.discord_gateway_url)


def keep_gateway(http: HTTPClient, settings: Settings) -> None:
    """Connect to the configured gateway also where Discord is asked how many shards to run.

    With ``SHARD_COUNT`` discord.py takes its default gateway; without, the address in Discord's answer, which would
    pass a proxy by.
    """
    url = settings.discord_gateway_url
    if url is None:
        return
    ask = http.get_bot_gateway

    async def shards_of_discord() -> tuple[int, str, Any]:
        shards, _, limits = await ask()
        return shards, url, limits

    http.get_bot_gateway = shards_of_discord  # type: ignore[method-assign]
