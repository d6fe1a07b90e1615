"""What keeps a command or a click out, and what the member then sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.client import ScoutBot
from bot.gate import MAX_AGE, Allowance
from tests.cogs.conftest import Scene, answers, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


@pytest.fixture
def make_bot(world: World) -> Callable[[], ScoutBot]:
    return lambda: ScoutBot(world.services(), allowance=Allowance(burst=2, every=5.0))


async def test_too_quick_a_member_is_told_when_to_return(scene: Scene, world: World) -> None:
    for _ in range(2):
        await scene.alice.slash(scene.channel, "help")

    refused = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert refused.ephemeral
    when = int(world.market.now.timestamp()) + 5
    assert f"That was quick: try again <t:{when}:R>." in texts(refused.response)
    assert world.usage.outcomes[-1] == ("price", "slash", "cooldown")
    # Others are not concerned, and the allowance grows back.
    assert not (await scene.bob.slash(scene.channel, "price", gpu="rtx-4090")).ephemeral
    await scene.env.advance_time(6)
    world.market.now += timedelta(seconds=6)
    assert not (await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")).ephemeral


async def test_clicks_count_too(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    await scene.alice.click(card.response, label="30 d")

    refused = await scene.alice.click(card.response, label="90 d")

    assert refused.ephemeral
    assert "That was quick" in texts(refused.response)


async def test_blocked_member(scene: Scene, world: World) -> None:
    card = await scene.bob.slash(scene.channel, "price", gpu="rtx-4090")
    world.blocklist.blocked.add(scene.alice.id)

    command = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    click = await scene.alice.click(card.response, label="30 d")

    for refused in (command, click):
        assert refused.ephemeral
        assert "has closed it to you" in texts(refused.response)
    assert [outcome for _, _, outcome in world.usage.outcomes] == ["ok", "blocked", "blocked"]


async def test_blocked_server(scene: Scene, world: World) -> None:
    world.blocklist.blocked.add(scene.alice.guild.id)
    refused = await scene.alice.slash(scene.channel, "about")
    assert "has closed it to you or to this server" in texts(refused.response)


async def test_while_starting(scene: Scene, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.env.bot.gate, "_ready", lambda: False)

    refused = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert refused.ephemeral
    assert "I am starting; try again in a few seconds." in texts(refused.response)
    assert await scene.alice.autocomplete(scene.channel, "price", "gpu", "40") == []
    assert world.usage.outcomes == [("price", "slash", "starting")]


async def test_too_old_an_interaction_is_dropped(scene: Scene, world: World) -> None:
    world.market.now += timedelta(seconds=MAX_AGE)

    await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert answers(scene.env) == []
    assert world.usage.outcomes == [("price", "slash", "late")]


async def test_a_wrong_clock_does_not_drop_commands(scene: Scene, world: World) -> None:
    skew = scene.env.bot.skew
    world.market.now += timedelta(hours=3)
    local = world.market.now.timestamp()
    skew.observe(date=local - 3 * 3600, sent=local - 0.01, received=local)

    result = await scene.alice.slash(scene.channel, "about")

    assert re.search("GPUScout", texts(result.response))


async def test_too_old_a_click_is_dropped(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    before = len(answers(scene.env))
    world.market.now += timedelta(seconds=MAX_AGE)

    await scene.alice.click(card.response, label="30 d")

    assert len(answers(scene.env)) == before
    assert world.usage.outcomes[-1] == ("price button", "component", "late")
