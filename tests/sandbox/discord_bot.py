"""A small real bot for the sandbox tests, and how to connect it quickly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
import pytest
import yarl
from discord import app_commands
from discord.ext import commands

from sandbox.discord import SandboxDiscord

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x01\x08\x02\x00\x00\x00{@\xe8\xdd"
    b"\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\xc0\x00\x00\x06\x05\x01\x01\xc4\x1b\x11N"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)


class Bot(commands.AutoShardedBot):
    """Connects without discord.py's waits: no identify spacing, short ready timeout."""

    def __init__(self, *, shard_count: int = 2, intents: discord.Intents | None = None) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            intents=intents or discord.Intents(guilds=True, guild_messages=True, dm_messages=True),
            shard_count=shard_count,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            guild_ready_timeout=0.05,
            help_command=None,
            max_messages=None,
        )
        self.seen: list[tuple[str, Any]] = []
        self.errors: list[BaseException] = []

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """No five-second pause."""

    async def on_message(self, message: discord.Message) -> None:
        self.seen.append(("message", message))

    async def on_socket_event_type(self, name: str) -> None:
        self.seen.append(("event", name))

    def count(self, event: str) -> int:
        """How often a gateway event arrived."""
        return sum(1 for kind, what in self.seen if kind == "event" and what == event)


class Counter(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"count:(?P<n>\d+)"):
    """A button that carries its number in its custom id."""

    def __init__(self, number: int) -> None:
        super().__init__(discord.ui.Button(label=f"n={number}", custom_id=f"count:{number}"))
        self.number = number

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction, item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Counter:
        return cls(int(match["n"]))

    async def callback(self, interaction: discord.Interaction) -> None:
        view = discord.ui.View(timeout=None)
        view.add_item(Counter(self.number + 1))
        await interaction.response.edit_message(content=f"clicked {self.number}", view=view)


def card(number: int = 1, name: str = "chart.png") -> discord.ui.LayoutView:
    """A V2 card with a picture and a dynamic button."""
    view = discord.ui.LayoutView(timeout=None)
    container: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(
        discord.ui.TextDisplay(f"## Card {number}"),
        discord.ui.MediaGallery(discord.MediaGalleryItem(f"attachment://{name}", description="a chart")),
        accent_colour=0x3366FF,
    )
    row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow()
    row.add_item(Counter(number))
    container.add_item(row)
    view.add_item(container)
    return view


def picture(name: str = "chart.png") -> discord.File:
    """A 2×1 PNG as a file to send."""
    import io

    return discord.File(io.BytesIO(PNG), name)


@asynccontextmanager
async def running(bot: Bot, sandbox: SandboxDiscord) -> AsyncIterator[Bot]:
    """The bot logged in and ready, and closed afterwards. Patches discord.py's two addresses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discord.http.Route, "BASE", sandbox.api_url)
        patch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(sandbox.gateway_url))
        await bot.login(sandbox.token)
        task = asyncio.create_task(bot.connect())
        try:
            ready = asyncio.create_task(bot.wait_until_ready())
            done, _ = await asyncio.wait({task, ready}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if task in done:
                task.result()
            assert bot.is_ready(), "the bot did not become ready"
            yield bot
        finally:
            await bot.close()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, within: float = 5.0) -> None:
    """Wait until ``condition()`` is true."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


def command_tree(bot: Bot) -> None:
    """Register the commands that the tests use."""
    gpu_names = ["RTX 4090", "RTX 3090", "H100"]

    @bot.tree.command(description="Answers a card after thinking")
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def price(
        interaction: discord.Interaction, gpu: str, count: app_commands.Range[int, 1, 8] = 1, secret: bool = False
    ) -> None:
        await interaction.response.defer(thinking=True, ephemeral=secret)
        await interaction.edit_original_response(view=card(count), attachments=[picture()])

    @price.autocomplete("gpu")
    async def _gpus(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=n, value=n.lower()) for n in gpu_names if current.lower() in n.lower()]

    @bot.tree.command(description="Answers at once, with an embed and a picture")
    async def quick(interaction: discord.Interaction) -> None:
        embed = discord.Embed(title="Quick", description="text").set_image(url="attachment://chart.png")
        view = discord.ui.View(timeout=None)
        view.add_item(Counter(1))
        await interaction.response.send_message(embed=embed, file=picture(), view=view)

    bot.add_dynamic_items(Counter)
