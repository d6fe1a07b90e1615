"""The message menu "Prices of GPUs named here"."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import discord
import pytest

from cogs.named import MENU, text_of_message
from gpuscout.market.models import MarketUnavailable
from tests.cogs.conftest import Scene, buttons, texts
from tests.fakes import SEEN, World, quote, side

pytestmark = pytest.mark.simcord(shard_count=1)


async def ask(scene: Scene, text: str) -> Any:
    await scene.bob.send(scene.channel, text)
    return await scene.alice.context_menu(scene.channel, MENU, scene.channel.last_message)


async def test_a_line_for_each_model_for_the_member_alone(scene: Scene, world: World) -> None:
    result = await ask(scene, "Sell my RTX 4090 and two 3060s for a 5090? Or a B200?")

    assert result.ephemeral
    text = texts(result.response)
    assert "**RTX 4090** $0.335/h · ▲ +2.0%\n-# 48% rented · 4,986 GPUs · Vast.ai" in text
    assert [line.split("**")[1] for line in text.split("\n") if "**" in line] == [
        "RTX 4090",
        "RTX 3060",
        "RTX 5090",
        "B200",
    ]
    assert "**B200** not listed now" in text
    assert "as of <t:1767225016:R> · changes over 24 h" in text
    assert "[500.farm](<https://500.farm>)" in text
    assert list(buttons(result.response)) == ["RTX 4090", "RTX 3060", "RTX 5090", "Compare them"]
    assert world.usage.outcomes == [(MENU, "slash", "ok")]
    assert len(scene.channel.history()) == 1, "nothing is posted where others see it"


async def test_buttons_open_full_cards_beside_it(scene: Scene, world: World) -> None:
    result = await ask(scene, "4090 or 5090")

    card = await scene.alice.click(result.response, label="RTX 5090")
    assert card.ephemeral
    assert "RTX 5090 on Vast.ai" in texts(card.response)
    assert "GPUs named there" in texts(result.response)
    await scene.alice.click(card.response, label="30 d")
    assert buttons(card.response)["30 d"]["style"] == 1

    compared = await scene.alice.click(result.response, label="Compare them")
    assert compared.ephemeral
    assert "🟦 **RTX 4090** $0.335/h" in texts(compared.response)
    assert world.usage.outcomes[1][0] == "price button"


async def test_the_servers_platform_comes_first(scene: Scene, world: World) -> None:
    await world.server_rows.change(scene.alice.guild.id, lambda _: {"platform": "runpod"}, SEEN)
    assert "**RTX 4090** $0.61/h" in texts((await ask(scene, "4090")).response)


async def test_a_name_of_several_models_stands_for_those_that_are_listed(scene: Scene, world: World) -> None:
    world.market.stored += [
        quote("h100-sxm", side(20, 2.0), side(20, 2.0), side(40, 2.0)),
        quote("h100-nvl", side(20, 1.9), side(20, 1.9), side(40, 1.9)),
    ]
    text = texts((await ask(scene, "an H100 please")).response)
    assert "**H100 SXM** $2.00/h" in text
    assert "**H100 NVL** $1.90/h" in text


async def test_at_most_six(scene: Scene) -> None:
    text = texts((await ask(scene, "1060 1070 1080 2060 2070 2080 3060 4090")).response)
    assert text.count("not listed now") == 6


@pytest.mark.parametrize("text", ["hello there", "I paid $4090", "🦆"])
async def test_nothing_named_teaches(scene: Scene, text: str) -> None:
    result = await ask(scene, text)
    assert result.ephemeral
    said = texts(result.response)
    assert "No GPU named there" in said
    assert "names such as RTX 4090" in said
    assert "Ask </price:" in said
    assert not buttons(result.response)


async def test_cards_and_embeds_are_read_too(scene: Scene) -> None:
    card = await scene.bob.slash(scene.channel, "price", gpu="rtx-5090")
    result = await scene.alice.context_menu(scene.channel, MENU, card.response)
    assert "**RTX 5090** $0.40/h" in texts(result.response)


def test_all_that_a_message_says() -> None:
    embed = discord.Embed(title="3060", description="3070").add_field(name="3080", value="3090")
    forwarded = SimpleNamespace(content="4060")
    said: Any = SimpleNamespace(content="4090", embeds=[embed], components=[], message_snapshots=[forwarded])
    assert text_of_message(said).split() == ["4090", "4060", "3060", "3070", "3080", "3090"]


async def test_thin_samples_are_marked_and_simulated_ones_say_so(scene: Scene, world: World) -> None:
    world.market.simulated = True
    world.market.stored = [replace(q, source="simulator") for q in world.market.stored]
    text = texts((await ask(scene, "quadro rtx 4000")).response)
    assert "⚠️ thin sample" in text
    assert "`SIMULATED`" in text


@pytest.mark.simcord(shard_count=1, check_errors=False)
async def test_errors_are_private(scene: Scene, world: World) -> None:
    world.market.error = MarketUnavailable(SEEN)
    result = await ask(scene, "4090")
    assert result.ephemeral
    assert "Data temporarily unavailable" in texts(result.response)
    world.blocklist.blocked.add(scene.alice.id)
    assert "has closed it to you" in texts((await ask(scene, "4090")).response)


@pytest.mark.usefixtures("german")
async def test_german(scene: Scene) -> None:
    text = texts((await ask(scene, "4090")).response)
    assert "Dort genannte GPUs" in text
    assert "48\u00a0% vermietet" in text or "48 % vermietet" in text
