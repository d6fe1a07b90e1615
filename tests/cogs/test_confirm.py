"""Questions before something is undone for good: for one member, once, and not for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest

from bot.client import ScoutBot
from cogs.replies import Place, Reply, text_of
from cogs.ui.base import Interaction
from cogs.ui.confirm import Confirm
from config.i18n import translator_for
from tests.cogs.conftest import Scene, buttons, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


class Deeds:
    """What was done, and how it goes wrong."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.error: Exception | None = None
        self.hold: asyncio.Event | None = None

    async def act(self, interaction: Interaction) -> str:
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        self.done.append(interaction.user.id)
        return "Everything is gone."


@pytest.fixture
def deeds() -> Deeds:
    return Deeds()


@pytest.fixture
def simcord_bot(make_bot: Any, deeds: Deeds) -> ScoutBot:
    bot: ScoutBot = make_bot()

    @bot.tree.command(description="test")
    async def erase(interaction: discord.Interaction, public: bool = False) -> None:
        question = Confirm(
            "Erase it all?",
            yes="Erase",
            act=deeds.act,
            owner=interaction.user.id,
            name="erase",
            t=text_of(interaction),
            seconds=60,
        )
        await question.ask(Reply(interaction, Place.PUBLIC if public else Place.PRIVATE))

    return bot


def off(message: Any) -> list[bool]:
    return [bool(button.get("disabled")) for button in buttons(message).values()]


async def test_yes_does_it_once_and_says_so(scene: Scene, deeds: Deeds, world: World) -> None:
    shown = await scene.alice.slash(scene.channel, "erase")
    assert shown.ephemeral
    assert list(buttons(shown.response)) == ["Erase", "Cancel"]
    assert off(shown.response) == [False, False]

    await scene.alice.click(shown.response, label="Erase")

    assert deeds.done == [scene.alice.id]
    assert "Erase it all?\n\n**Everything is gone.**" in texts(shown.response)
    assert off(shown.response) == [True, True]
    assert world.usage.outcomes == [("erase", "slash", "ok"), ("erase", "component", "ok")]


async def test_no_changes_nothing(scene: Scene, deeds: Deeds, world: World) -> None:
    shown = await scene.alice.slash(scene.channel, "erase")
    await scene.alice.click(shown.response, label="Cancel")
    assert deeds.done == []
    assert "**Nothing was changed.**" in texts(shown.response)
    assert off(shown.response) == [True, True]
    assert world.usage.outcomes[-1] == ("erase", "component", "cancelled")


async def test_silence_changes_nothing_and_switches_the_buttons_off(scene: Scene, deeds: Deeds) -> None:
    shown = await scene.alice.slash(scene.channel, "erase")
    await scene.env.advance_time(59)
    assert off(shown.response) == [False, False]
    await scene.env.advance_time(2)
    assert off(shown.response) == [True, True]
    assert "that took too long to answer" in texts(shown.response)
    assert deeds.done == []
    assert not scene.env.bot._connection._view_store._views


async def test_a_failure_is_told_and_the_buttons_stay_off(scene: Scene, deeds: Deeds, world: World) -> None:
    deeds.error = RuntimeError("the database is gone")
    shown = await scene.alice.slash(scene.channel, "erase")
    result = await scene.alice.click(shown.response, label="Erase")
    assert "Something went wrong on my side" in texts(result.followups[-1])
    assert off(shown.response) == [True, True]
    assert "**" not in texts(shown.response)
    assert world.usage.outcomes[-1][2] == "error"


async def test_only_whoever_was_asked_may_decide(scene: Scene, deeds: Deeds) -> None:
    shown = await scene.alice.slash(scene.channel, "erase", public=True)
    result = await scene.bob.click(shown.response, label="Erase")
    assert result.ephemeral
    assert "These controls belong to whoever asked" in texts(result.response)
    assert deeds.done == []
    assert off(shown.response) == [False, False]


async def test_two_quick_clicks_do_it_once(scene: Scene, deeds: Deeds) -> None:
    deeds.hold = asyncio.Event()
    shown = await scene.alice.slash(scene.channel, "erase")
    asyncio.get_running_loop().call_later(0.2, deeds.hold.set)
    clicks = (scene.alice.click(shown.response, label="Erase") for _ in range(2))
    await asyncio.gather(*clicks, return_exceptions=True)  # the second may find the button off already
    assert deeds.done == [scene.alice.id]
    assert off(shown.response) == [True, True]


def test_a_question_is_not_open_for_long() -> None:
    with pytest.raises(ValueError, match="60 to 180 s"):
        Confirm("Sure?", yes="Yes", act=Deeds().act, owner=1, name="x", t=translator_for("en-US"), seconds=600)
