"""The base classes of what members click: errors answered, strangers told, the gate asked."""

from __future__ import annotations

from typing import Any

import discord
import pytest
from discord import app_commands, ui

from bot.client import ScoutBot
from cogs.ui.base import Interaction, ScoutLayout, ScoutModal, ScoutView
from tests.cogs.conftest import Scene, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


class Form(ScoutModal, title="Form"):
    word = ui.TextInput(label="Word", custom_id="word")  # type: ignore[var-annotated]

    async def on_submit(self, interaction: Interaction, /) -> None:
        if self.word.value == "bad":
            raise RuntimeError("no such word")
        await interaction.response.send_message("thanks", ephemeral=True)


class Buttons(ScoutView):
    @ui.button(label="Fail")
    async def fail(self, interaction: Interaction, button: ui.Button[Any]) -> None:
        raise RuntimeError("boom")

    @ui.button(label="Work")
    async def work(self, interaction: Interaction, button: ui.Button[Any]) -> None:
        await interaction.response.send_message("worked", ephemeral=True)


class Layout(ScoutLayout):
    row = ui.ActionRow()  # type: ignore[var-annotated]

    @row.button(label="Fail")
    async def fail(self, interaction: Interaction, button: ui.Button[Any]) -> None:
        raise RuntimeError("boom")


@pytest.fixture
def simcord_bot(make_bot: Any) -> ScoutBot:
    bot: ScoutBot = make_bot()

    @bot.tree.command(description="test")
    async def form(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Form())

    @bot.tree.command(description="test")
    @app_commands.describe(kind="which")
    async def show(interaction: discord.Interaction, kind: str) -> None:
        owner = interaction.user.id
        if kind == "view":
            await interaction.response.send_message("choose", view=Buttons(owner=owner))
        else:
            await interaction.response.send_message(view=Layout(owner=owner))

    @bot.tree.command(description="test")
    async def broken(interaction: discord.Interaction) -> None:
        raise RuntimeError("slash-only commands come through the tree")

    return bot


@pytest.mark.parametrize("kind", ["view", "layout"])
async def test_error_is_answered(scene: Scene, world: World, kind: str) -> None:
    shown = await scene.alice.slash(scene.channel, "show", kind=kind)
    result = await scene.alice.click(shown.response, label="Fail")
    assert result.ephemeral
    assert "Something went wrong on my side" in texts(result.response)
    assert world.usage.outcomes[-1][2] == "error"


@pytest.mark.parametrize("kind", ["view", "layout"])
async def test_stranger_is_told(scene: Scene, kind: str) -> None:
    shown = await scene.alice.slash(scene.channel, "show", kind=kind)
    result = await scene.bob.click(shown.response, label="Fail")
    assert result.ephemeral
    assert "These controls belong to whoever asked" in texts(result.response)


async def test_owner_is_served(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, "show", kind="view")
    result = await scene.alice.click(shown.response, label="Work")
    assert "worked" in texts(result.response)


async def test_gate_is_asked(scene: Scene, world: World) -> None:
    shown = await scene.alice.slash(scene.channel, "show", kind="view")
    world.blocklist.blocked.add(scene.alice.id)
    result = await scene.alice.click(shown.response, label="Work")
    assert "has closed it to you" in texts(result.response)


async def test_modal(scene: Scene) -> None:
    good = await scene.alice.submit_modal(await scene.alice.slash(scene.channel, "form"), {"word": "good"})
    assert "thanks" in texts(good.response)
    bad = await scene.alice.submit_modal(await scene.alice.slash(scene.channel, "form"), {"word": "bad"})
    assert bad.ephemeral
    assert "Something went wrong on my side" in texts(bad.response)


async def test_slash_only_command(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "broken")
    assert result.ephemeral
    assert "Something went wrong on my side" in texts(result.response)
    assert world.usage.outcomes == [("broken", "slash", "error")]
