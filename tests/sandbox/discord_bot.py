"""A small real bot for the sandbox tests, and how to connect it quickly."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import discord
import pytest
import yarl
from discord import app_commands
from discord.ext import commands

from sandbox.discord import Actor, SandboxDiscord
from sandbox.discord.models import Guild
from sandbox.discord.permissions import DEFAULT_MEMBER

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x01\x08\x02\x00\x00\x00{@\xe8\xdd"
    b"\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\xc0\x00\x00\x06\x05\x01\x01\xc4\x1b\x11N"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)


GPUS = ["RTX 4090", "RTX 3090", "H100"]


class Bot(commands.AutoShardedBot):
    """Connects without discord.py's waits: no identify spacing, short ready timeout."""

    def __init__(self, *, shard_count: int | None = 2, intents: discord.Intents | None = None) -> None:
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
        message = interaction.message
        if message is not None and message.flags.components_v2:
            await interaction.response.edit_message(view=card(self.number + 1))
            return
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
    return discord.File(io.BytesIO(PNG), name)


@asynccontextmanager
async def running(bot: Bot, sandbox: SandboxDiscord) -> AsyncIterator[Bot]:
    """The bot logged in and ready, and closed afterwards. Patches discord.py's two addresses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discord.http.Route, "BASE", sandbox.api_url)
        patch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(sandbox.gateway_url))
        task: asyncio.Task[None] | None = None
        try:
            await bot.login(sandbox.token)
            task = asyncio.create_task(bot.connect())
            ready = asyncio.create_task(bot.wait_until_ready())
            done, _ = await asyncio.wait({task, ready}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if task in done:
                task.result()
            assert bot.is_ready(), "the bot did not become ready"
            yield bot
        finally:
            await bot.close()
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)


@dataclass
class Stage:
    """A sandbox with a guild, two members, a running bot, and the members' clients."""

    sandbox: SandboxDiscord
    bot: Bot
    guild: Guild
    channel: int
    ann: Actor
    bob: Actor


@asynccontextmanager
async def staged(*, sync: bool = True, permissions: int = DEFAULT_MEMBER, **options: Any) -> AsyncIterator[Stage]:
    """Everything running, with the test commands registered."""
    sandbox = SandboxDiscord(shards=2, **options)
    await sandbox.start()
    try:
        ann, bob = sandbox.add_user("ann"), sandbox.add_user("bob")
        guild = sandbox.add_guild("Hosts", members=[ann.id, bob.id], channels=["market"], permissions=permissions)
        bot = Bot()
        command_tree(bot)
        actors = Actor(sandbox.page_url, ann.id), Actor(sandbox.page_url, bob.id)
        async with running(bot, sandbox), actors[0] as first, actors[1] as second:
            if sync:
                await bot.tree.sync()
            yield Stage(sandbox, bot, guild, guild.channel_ids[0], first, second)
    finally:
        await sandbox.stop()


async def until(condition: Any, within: float = 30.0) -> None:
    """Wait until ``condition()`` is true."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


def command_tree(bot: Bot) -> None:
    """Register the commands that the tests use."""
    _slash_commands(bot)
    _menus(bot)
    bot.tree.add_command(Portfolio())
    bot.add_dynamic_items(Counter)

    @bot.tree.error
    async def failed(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        bot.errors.append(getattr(error, "original", error))


def _slash_commands(bot: Bot) -> None:
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
        return [app_commands.Choice(name=n, value=n.lower()) for n in GPUS if current.lower() in n.lower()]

    @bot.tree.command(description="Answers at once, with an embed and a picture")
    async def quick(interaction: discord.Interaction) -> None:
        embed = discord.Embed(title="Quick", description="text").set_image(url="attachment://chart.png")
        view = discord.ui.View(timeout=None)
        view.add_item(Counter(1))
        view.add_item(discord.ui.Button(label="off", custom_id="off", disabled=True))
        await interaction.response.send_message(embed=embed, file=picture(), view=view)

    @bot.tree.command(description="Never answers")
    async def silent(interaction: discord.Interaction) -> None:
        bot.seen.append(("silent", interaction.id))

    @bot.tree.command(description="Does as told, for the error codes")
    @app_commands.choices(what=[app_commands.Choice(name=n.title(), value=n) for n in STUNTS])
    async def stunt(interaction: discord.Interaction, what: str) -> None:
        await STUNTS[what](interaction)

    @bot.tree.command(description="Takes every kind of option")
    async def every(
        interaction: discord.Interaction,
        member: discord.Member,
        channel: discord.TextChannel,
        role: discord.Role,
        number: app_commands.Range[float, 0.5, 2.5],
        file: discord.Attachment,
    ) -> None:
        data = await file.read()
        text = f"{member.id} {channel.name} {role.name} {number} {file.filename} {data!r}"
        await interaction.response.send_message(text, ephemeral=True)

    @bot.tree.command(description="A select of GPUs")
    async def pick(interaction: discord.Interaction) -> None:
        view = discord.ui.View(timeout=None)
        view.add_item(Picker())
        await interaction.response.send_message("pick", view=view)


class Picker(discord.ui.Select[discord.ui.View]):
    """Opens a form for two picked GPUs, thinks again for one."""

    def __init__(self) -> None:
        options = [discord.SelectOption(label=name, value=name) for name in GPUS]
        super().__init__(custom_id="picker", placeholder="GPUs", max_values=2, options=options)

    async def callback(self, interaction: discord.Interaction) -> None:
        if len(self.values) == 2:
            await interaction.response.send_modal(Form())
        else:
            await interaction.response.defer()
            await interaction.edit_original_response(content=f"picked {self.values[0]}", view=None)


class Form(discord.ui.Modal, title="Add a machine"):
    """A text, and a select inside a label."""

    intro: discord.ui.TextDisplay[Any] = discord.ui.TextDisplay("What have you got?")
    note: discord.ui.Label[Form] = discord.ui.Label(
        text="Note", component=discord.ui.TextInput(custom_id="note", min_length=3, max_length=20)
    )
    gpu: discord.ui.Label[Form] = discord.ui.Label(
        text="GPU",
        component=discord.ui.Select(custom_id="gpu", options=[discord.SelectOption(label=n, value=n) for n in GPUS]),
    )

    async def on_submit(self, interaction: discord.Interaction) -> None:
        note, gpu = self.note.component, self.gpu.component
        assert isinstance(note, discord.ui.TextInput)
        assert isinstance(gpu, discord.ui.Select)
        await interaction.response.send_message(f"{note.value} / {gpu.values[0]}", ephemeral=True)


class Portfolio(app_commands.Group):
    """Subcommands, one of which opens a form."""

    def __init__(self) -> None:
        super().__init__(name="portfolio", description="Your machines")

    @app_commands.command(description="Add one")
    async def add(self, interaction: discord.Interaction, gpu: str) -> None:
        await interaction.response.send_modal(Form(custom_id=f"form:{gpu}"))

    @app_commands.command(description="Show them")
    async def show(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message("nothing yet", ephemeral=True)
        await interaction.followup.send("a second one", ephemeral=True)


def _menus(bot: Bot) -> None:
    @bot.tree.context_menu(name="Who is this")
    async def who(interaction: discord.Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(f"That is {member.name}", ephemeral=True)

    @bot.tree.context_menu(name="Repeat")
    async def repeat(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"They said: {message.content}", ephemeral=True)


async def _twice(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("once")
    adapter = discord.webhook.async_.async_context.get()
    await adapter.create_interaction_response(
        interaction.id,
        interaction.token,
        session=interaction._session,
        params=discord.webhook.async_.interaction_response_params(type=5),
    )


async def _long_embed(interaction: discord.Interaction) -> None:
    await interaction.response.send_message(embed=discord.Embed(title="x" * 257))


async def _many_embeds(interaction: discord.Interaction) -> None:
    embeds = [discord.Embed(description="x" * 3001) for _ in range(2)]
    await interaction.response.send_message(embeds=embeds)


async def _mixed_v2(interaction: discord.Interaction) -> None:
    await interaction.response.defer()
    await interaction.edit_original_response(content="text first")
    await interaction.edit_original_response(view=card(), attachments=[picture()])


async def _missing_file(interaction: discord.Interaction) -> None:
    await interaction.response.send_message(view=card())


async def _delete(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("soon gone")
    await interaction.delete_original_response()


async def _follow(interaction: discord.Interaction) -> None:
    await interaction.response.defer(thinking=True, ephemeral=True)
    await interaction.followup.send("first becomes the original")
    message = await interaction.followup.send("second", ephemeral=False, wait=True)
    await message.edit(content="second, edited")


async def _with_response(interaction: discord.Interaction) -> None:
    response = await interaction.response.send_message("with response")
    message = response.resource
    assert isinstance(message, discord.InteractionMessage)
    await message.edit(content=f"id {response.message_id == message.id}")


async def _many_follow_ups(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("0")
    for number in range(1, 7):
        await interaction.followup.send(str(number))


STUNTS = {
    "twice": _twice,
    "long embed": _long_embed,
    "many embeds": _many_embeds,
    "mixed v2": _mixed_v2,
    "missing file": _missing_file,
    "delete": _delete,
    "follow": _follow,
    "with response": _with_response,
    "many follow ups": _many_follow_ups,
}
