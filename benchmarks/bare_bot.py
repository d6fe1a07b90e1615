"""discord.py by itself: a bot whose ``/price`` answers with one fixed message. The measure of what ours adds.

Started by ``command_dispatch`` with a JSON file: addresses and token, the components and the picture of the message.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import discord
import yarl
from discord import app_commands
from discord.components import _component_factory
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route


class BareBot(commands.AutoShardedBot):
    """One command, nothing else."""

    def __init__(self, components: list[Any], picture: bytes, filename: str) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
        )
        message: Any = SimpleNamespace(components=[_component_factory(component) for component in components])

        @self.tree.command(name="price", description="A fixed message")
        @app_commands.describe(gpu="Ignored", range="Ignored")
        async def price(interaction: discord.Interaction[Any], gpu: str, range: str = "7d") -> None:
            view = discord.ui.LayoutView.from_message(message, timeout=None)
            file = discord.File(io.BytesIO(picture), filename=filename)
            await interaction.response.send_message(view=view, file=file)

    async def setup_hook(self) -> None:
        """Register the command."""
        await self.tree.sync()


def main() -> None:
    """Run until interrupted."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Route.BASE = told["api_url"]
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(told["gateway_url"])
    picture = Path(told["picture"])
    BareBot(told["components"], picture.read_bytes(), picture.name).run(told["token"], log_handler=None)


if __name__ == "__main__":
    main()
