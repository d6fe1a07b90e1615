"""The mention form, ``@GPUScout price RTX 4090 vast``, driven through discord.py's message path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import discord
import discord.ext.test as dpytest
import pytest
from discord.ext import commands

from bot.client import ScoutBot
from bot.gate import Allowance
from gpuscout.market.models import GLOBAL
from tests.fakes import World, quote, side


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def bot(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScoutBot]:
    client = ScoutBot(world.services(), sync=False, allowance=Allowance(burst=5, every=5.0))
    await client._async_setup_hook()
    await client.setup_hook()
    # dpytest finds mentioned members in the cache, which this bot does without.
    client._connection._intents = discord.Intents.all()
    client._connection.member_cache_flags = discord.MemberCacheFlags.all()
    # dpytest refuses sharded clients, for which it has no gateway; no gateway is used here.
    monkeypatch.setattr(discord, "AutoShardedClient", type("Nothing", (), {}))
    dpytest.configure(client, guilds=1, text_channels=1, members=1)
    monkeypatch.undo()
    client._connection._ready_task = None
    client._ready.set()
    yield client
    await dpytest.empty_queue()


async def say(bot: ScoutBot, text: str) -> discord.Message:
    with suppress(commands.CommandError):  # dpytest raises what `on_command_error` got; it was answered
        await dpytest.message(f"<@{bot.user.id}> {text}")
    return dpytest.sent_queue.get_nowait()


async def test_price_is_one_plain_embed(bot: ScoutBot) -> None:
    message = await say(bot, "price RTX 4090 vast")

    (embed,) = message.embeds
    assert not message.content
    assert embed.title == "RTX 4090 on Vast.ai"
    assert "**$0.335/h** renters pay · **$0.251/h** hosts get" in embed.description
    assert "Rented 0.260  0.330 0.400" in embed.description
    assert "**Utilization** 48%" in embed.description
    assert "[500.farm](<https://500.farm>)" in embed.fields[-1].value
    assert dpytest.sent_queue.empty()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("price RTX 4090", ("rtx-4090", None, None)),
        ("price RTX 4090 vast", ("rtx-4090", "vast", None)),
        ("price rtx_4090 Vast.ai", ("rtx-4090", "vast", None)),
        ("PRICE nvidia geforce rtx 4090 RunPod 30d", ("rtx-4090", "runpod", None)),
        ("price 4090 30d vast global", ("rtx-4090", "vast", GLOBAL)),
        ("price Frobnicator 9000 vast", ("x-frobnicator-9000", "vast", None)),
        ("price RTX 4070 Ti SUPER", ("rtx-4070-ti-super", None, None)),
    ],
)
async def test_whole_tail_goes_through_the_catalogue(
    bot: ScoutBot, world: World, text: str, asked: tuple[str, str | None, str | None]
) -> None:
    world.market.stored.append(quote("rtx-4070-ti-super", side(20, 0.2), side(20, 0.2), side(40, 0.2)))

    message = await say(bot, text)

    assert message.embeds, message.content
    assert world.market.asked[0] == ("price", (*asked, "any", "any"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("price", "Name a GPU, for example: price RTX 4090 vast."),
        ("price RTX 4900 vast", "I don't know a GPU called “RTX 4900 vast”"),
        ("price RTX 4090 vats", "I don't know a platform called “vats”. Did you mean **Vast.ai**"),
        ("price B200", "Nobody lists a B200 right now."),
        ("sing a song", "I did not get that. Try “price RTX 4090” after mentioning me, or `/help`."),
    ],
)
async def test_errors_are_one_sentence(bot: ScoutBot, world: World, text: str, said: str) -> None:
    message = await say(bot, text)

    assert said in message.content
    assert "-# Error " in message.content
    assert not message.embeds
    assert world.usage.events[-1]["surface"] == "mention"
    assert world.usage.events[-1]["outcome"] != "ok"


async def test_no_ping_and_no_markup_of_what_was_typed(bot: ScoutBot) -> None:
    message = await say(bot, "price @everyone **bold**")
    assert "@everyone" not in message.content
    assert "**bold**" not in message.content


@pytest.mark.parametrize(
    ("text", "title"), [("status", "Status: "), ("help", "Help"), ("about", "GPUScout"), ("HELP", "Help")]
)
async def test_other_hybrids_answer_with_one_embed(bot: ScoutBot, world: World, text: str, title: str) -> None:
    message = await say(bot, text)
    (embed,) = message.embeds
    assert embed.title.startswith(title)
    assert len(embed) <= 6000
    assert world.usage.outcomes == [(text.lower(), "mention", "ok")]


@pytest.mark.parametrize(
    ("text", "title", "said"),
    [
        ("market", "GPU hosting market", "### Most rented\n77% rented **RTX 4090** (RunPod) $0.61/h"),
        ("market earnings", "GPU hosting market: Best earners", "**1. RTX 5090** · $3.41/day"),
        ("market Up in 7 d", "GPU hosting market: Up in 7 d", "**1. RTX 4090** · ▲ +2.0%"),
        ("compare RTX 4090, 5090", "Compared: Price", "▫️ **RTX 4090** $0.335/h · ▲ +2.0%"),
        (
            "compare 4090 vs 5090 utilization 30d",
            "Compared: Utilization",
            "**RTX 5090** 67% rented · ▲ +1.2 points",
        ),
        ("compare RTX 4090 vast, runpod earnings", "Compared: Earnings a day", "**Vast.ai** $2.12/day"),
    ],
)
async def test_market_and_compare_are_one_plain_embed(bot: ScoutBot, text: str, title: str, said: str) -> None:
    message = await say(bot, text)
    (embed,) = message.embeds
    assert embed.title == title
    assert said in embed.description
    assert "[500.farm](<https://500.farm>)" in embed.fields[-1].value
    assert len(embed) <= 6000
    assert dpytest.sent_queue.empty()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("market nonsense", "There is no ranking called “nonsense”."),
        ("compare", "Name a GPU, for example: price RTX 4090 vast."),
        ("compare 30d", "Name a GPU, for example: price RTX 4090 vast."),
        ("compare RTX 4900, 5090", "I don't know a GPU called “RTX 4900”"),
        ("compare 4090, 5090, 3060, 3070, 3080, 3090, 4080", "I compare at most 6 at once"),
    ],
)
async def test_what_market_and_compare_do_not_understand(bot: ScoutBot, text: str, said: str) -> None:
    message = await say(bot, text)
    assert said in message.content
    assert not message.embeds


async def test_simulated_badge(bot: ScoutBot, world: World) -> None:
    world.market.simulated = True
    message = await say(bot, "price RTX 4090")
    assert message.embeds[0].author.name == "SIMULATED"


async def test_allowance_counts_mentions(bot: ScoutBot) -> None:
    for _ in range(5):
        await say(bot, "help")
    message = await say(bot, "help")
    assert "That was quick: try again <t:" in message.content


async def test_blocked_member(bot: ScoutBot, world: World) -> None:
    world.blocklist.blocked.add(dpytest.get_config().members[0].id)
    message = await say(bot, "help")
    assert "has closed it to you" in message.content


async def test_words_without_a_mention_are_not_for_us(bot: ScoutBot) -> None:
    await dpytest.message("price RTX 4090")
    assert dpytest.sent_queue.empty()
