"""The bot on the wire: log-in, gateway and REST against the sandbox, bodies checked against Discord's schema."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.client import ScoutBot
from config.settings import Settings
from gpuscout.market.models import MarketUnavailable
from sandbox.discord.actor import Actor
from sandbox.discord.server import SandboxDiscord
from tests.fakes import FakeMarket, World


def world_of_today() -> World:
    """The market in memory, seen just now by the clock on the wall."""
    seen = datetime.now(UTC)
    market = FakeMarket(live=True)
    market.stored = [replace(quote, at=seen, fetched_at=seen) for quote in market.stored]
    return World(market=market)


@dataclass
class Wire:
    sandbox: SandboxDiscord
    world: World
    bot: ScoutBot
    ann: Actor
    hans: Actor
    channel: int

    def no_schema_errors(self) -> None:
        assert [record.schema_errors for record in self.sandbox.requests if record.schema_errors] == []


@pytest.fixture
async def wire(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    sandbox = SandboxDiscord()
    ann = sandbox.add_user("ann")
    hans = sandbox.add_user("hans", locale="de")
    guild = sandbox.add_guild("GPU Hosts", members=[ann.id, hans.id], channels=["market"])
    await sandbox.start()
    world = world_of_today()
    settings = Settings(_env_file=None, discord_api_url=sandbox.api_url, discord_gateway_url=sandbox.gateway_url)
    bot = ScoutBot(world.services(settings=settings), ready_timeout=0.1)
    running = asyncio.create_task(bot.start(sandbox.token))
    try:
        async with asyncio.timeout(60), Actor(sandbox.page_url, ann.id) as one, Actor(sandbox.page_url, hans.id) as two:
            while not bot.is_ready():
                await asyncio.sleep(0.02)
                if running.done():
                    running.result()
            yield Wire(sandbox, world, bot, one, two, guild.channel_ids[0])
    finally:
        await bot.close()
        await asyncio.gather(running, return_exceptions=True)
        await sandbox.stop()


def content(message: dict[str, Any]) -> str:
    def walk(components: list[dict[str, Any]]) -> list[str]:
        return [
            text
            for component in components
            for text in [component.get("content", ""), *walk(component.get("components", []))]
        ]

    return "\n".join([message["content"], *walk(message["components"])])


async def test_price_buttons_select_and_data(wire: Wire) -> None:
    card = await wire.ann.run(wire.channel, "price", {"gpu": "rtx-4090"})
    assert "RTX 4090 on Vast.ai" in content(card)
    assert card["attachments"][0]["filename"] == "rtx-4090-vast-7d.webp"

    await wire.ann.click(card, "30 d")
    card = await wire.ann.changed(card)
    assert card["attachments"][0]["filename"] == "rtx-4090-vast-30d.webp"

    shown = await wire.ann.answer(await wire.ann.click(card, "Show data"))
    assert shown["flags"] & 64
    assert "Stored rows" in content(shown)

    copy = await wire.hans.answer(await wire.hans.click(card, "90 d"))
    assert copy["flags"] & 64
    assert "zahlen Mieter" in content(copy)
    wire.no_schema_errors()


async def test_autocomplete_help_status_about(wire: Wire) -> None:
    choices = await wire.ann.autocomplete(wire.channel, "price", "gpu", "40")
    assert choices[0]["value"] == "rtx-4090"
    for name in ("help", "status", "about"):
        assert content(await wire.ann.run(wire.channel, name, {}))
    wire.no_schema_errors()


async def test_error_after_a_public_thinking(wire: Wire) -> None:
    wire.world.market.delay, wire.world.market.error = 1.3, MarketUnavailable(None)

    await wire.ann.slash(wire.channel, "price", {"gpu": "rtx-4090"})
    message = await wire.ann.wait_for_message(lambda m: "There are no market data yet" in m["content"], within=30)

    assert message["flags"] & 64
    assert re.search(r"-# Error [0-9A-Z]{6}", message["content"])
    async with asyncio.timeout(30):
        while [m for m in await wire.hans.messages(wire.channel) if m["author"]["id"] == str(wire.bot.user.id)]:
            await asyncio.sleep(0.05)
    wire.no_schema_errors()


async def test_mention_and_direct_message(wire: Wire) -> None:
    await wire.ann.send(wire.channel, f"<@{wire.bot.user.id}> price RTX 4090 vast")
    message = await wire.ann.wait_for_message(lambda m: bool(m["embeds"]), within=30)
    assert message["embeds"][0]["title"] == "RTX 4090 on Vast.ai"

    room = await wire.ann.open_dm()
    card = await wire.ann.run(room["id"], "price", {"gpu": "rtx-5090"})
    assert "RTX 5090" in content(card)
    wire.no_schema_errors()


async def test_clock_that_runs_behind_discord(wire: Wire) -> None:
    """Discord's clock an hour behind ours: every command would look an hour old."""
    await wire.sandbox.control.apply_faults({"clock_skew_s": -3600})
    await wire.bot.http.get_user(wire.bot.user.id)  # an answer with the new date

    card = await wire.ann.run(wire.channel, "price", {"gpu": "rtx-4090"})

    assert "RTX 4090" in content(card)
    assert 3590 <= wire.bot.skew.seconds <= 3610


async def test_user_install_where_the_bot_is_no_member(wire: Wire) -> None:
    eve = wire.sandbox.add_user("eve", installed=True)
    elsewhere = wire.sandbox.add_guild("Elsewhere", members=[eve.id], channels=["chat"], bot=False)
    async with Actor(wire.sandbox.page_url, eve.id) as actor:
        card = await actor.run(elsewhere.channel_ids[0], "price", {"gpu": "rtx-4090"})
        assert "RTX 4090 on Vast.ai" in content(card)
        await actor.click(card, "2 y")
        card = await actor.changed(card)
        assert card["attachments"][0]["filename"] == "rtx-4090-vast-2y.webp"
    wire.no_schema_errors()
