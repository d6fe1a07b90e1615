"""Registering commands only when they changed."""

from __future__ import annotations

import discord
import pytest
import simcord

from bot.client import ScoutBot
from bot.sync import STATE_KEY, stored_ids, sync_commands
from config.settings import Settings
from tests.fakes import World


def puts(env: simcord.Env) -> int:
    return sum(entry.method == "PUT" and entry.path.endswith("/commands") for entry in env.http_requests)


async def test_a_change_is_registered_and_nothing_else() -> None:
    world = World()
    bot = ScoutBot(world.services())
    async with simcord.run(bot, shard_count=1) as env:
        assert puts(env) == 1

        assert not (await sync_commands(bot.tree, world.state)).changed
        assert puts(env) == 1

        @bot.tree.command(name="extra", description="Something new")
        async def extra(interaction: discord.Interaction) -> None:
            """Never called."""

        result = await sync_commands(bot.tree, world.state)
        assert result.changed
        assert puts(env) == 2
        assert set(result.ids) >= {"price", "status", "help", "about", "extra"}
        assert (await sync_commands(bot.tree, world.state, force=True)).changed
        assert puts(env) == 3


async def test_another_application_registers_anew() -> None:
    world = World()
    world.state.values[STATE_KEY] = {"digest": "x", "application": 1, "ids": {"price": 5}}
    assert await stored_ids(world.state, 1) == {"price": 5}
    assert await stored_ids(world.state, 2) == {}
    world.state.values[STATE_KEY] = "nonsense"
    assert await stored_ids(world.state, 1) == {}


async def test_refusal_by_discord_stores_nothing_and_does_not_stop_the_start() -> None:
    world = World()
    bot = ScoutBot(world.services())
    env = simcord.Env(bot, shard_count=1, check_errors=False)
    env.inject_error("PUT", "/applications/*/commands", status=400, code=30034)
    await env.start()
    try:
        assert bot.is_ready()
        assert STATE_KEY not in world.state.values
        assert bot.mention("price") == "`/price`"
    finally:
        await env.shutdown()


@pytest.mark.parametrize(("shard_ids", "expected"), [((0,), 1), ((1,), 0)])
async def test_only_the_process_with_shard_zero_registers(shard_ids: tuple[int, ...], expected: int) -> None:
    world = World()
    settings = Settings(_env_file=None, shard_ids=shard_ids, shard_count=2)
    bot = ScoutBot(world.services(settings=settings))
    async with simcord.run(bot) as env:
        assert puts(env) == expected


def test_state_key_is_stable() -> None:
    assert STATE_KEY == "discord.commands"
