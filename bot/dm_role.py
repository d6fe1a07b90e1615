"""The DM sender of a process: over its bot's client, or over a client of its own without a gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import discord

from bot.endpoints import use_endpoints
from config.settings import Settings
from gpuscout.delivery.discord_dm import DiscordDirectMessages
from gpuscout.delivery.ports import DeliveryFailed
from storage.state import AppState

if TYPE_CHECKING:
    from bot.client import ScoutBot


async def open_sender(
    settings: Settings,
    state: AppState,
    bot: ScoutBot | None,
    later: Callable[[str, Callable[[], Awaitable[None]]], None],
) -> DiscordDirectMessages:
    """The sender.

    Args:
        bot: the process's bot, when it runs one.
        later: told how to close what is opened here.

    Raises:
        DeliveryFailed: Discord does not let us log in now.
    """
    client: discord.Client
    if bot is not None:
        # The worker may be quicker than the log-in.
        await bot.wait_until_ready()
        client = bot
    else:
        use_endpoints(settings)
        client = discord.Client(intents=discord.Intents.none(), allowed_mentions=discord.AllowedMentions.none())
        assert settings.discord_token is not None  # noqa: S101 - asked for only with a token
        try:
            await client.login(settings.discord_token.get_secret_value())
        except discord.LoginFailure as error:
            await client.close()
            raise DeliveryFailed("Discord does not accept DISCORD_TOKEN", permanent=True) from error
        except discord.HTTPException as error:
            await client.close()
            raise DeliveryFailed(f"Discord answered {error.status} at log-in") from error
        later("dm client", client.close)
    return DiscordDirectMessages(client, state, settings.discord_owner_ids)
