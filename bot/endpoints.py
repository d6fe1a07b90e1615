"""Where Discord is: its REST and gateway addresses are settings, for a proxy in production and for the sandbox.

discord.py keeps both as class attributes, which makes them a matter of the process, not of a client.
"""

from __future__ import annotations

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from config.settings import Settings


def use_endpoints(settings: Settings) -> None:
    """Point discord.py of this process at the configured addresses. Call before a client logs in."""
    Route.BASE = settings.discord_api_url
    if settings.discord_gateway_url is not None:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.discord_gateway_url)
