"""The first word in a new server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import discord
import pytest
import simcord

from bot.client import ScoutBot
from tests.cogs.conftest import texts
from tests.fakes import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def env(world: World) -> AsyncIterator[simcord.Env]:
    async with simcord.run(ScoutBot(world.services()), shard_count=1) as running:
        yield running


def server(env: simcord.Env, *, locale: str = "en-US") -> tuple[discord.Guild, object]:
    """A server whose system channel is #general, as the bot sees it."""
    handle = env.create_guild(preferred_locale=locale)
    channel = handle.create_text_channel("general")
    guild = env.bot.get_guild(handle.id)
    assert guild is not None
    guild._system_channel_id = channel.id
    return guild, channel


async def join(env: simcord.Env, guild: discord.Guild) -> None:
    env.bot.dispatch("guild_join", guild)
    await env.settle()


async def test_one_greeting_without_a_ping(env: simcord.Env, world: World) -> None:
    guild, channel = server(env)
    world.guilds.greeted.clear()

    await join(env, guild)

    (message,) = channel.history()
    assert "GPUScout is here" in texts(message)
    assert "</price:" in texts(message)
    assert message.flags.suppress_notifications
    assert not message.mentions
    assert not message.mention_everyone


async def test_never_again(env: simcord.Env, world: World) -> None:
    guild, channel = server(env)
    world.guilds.greeted.clear()
    await join(env, guild)

    env.bot.dispatch("guild_remove", guild)
    await env.settle()
    await join(env, guild)

    assert len(channel.history()) == 1
    assert world.guilds.gone == [guild.id]


async def test_silent_without_a_system_channel(env: simcord.Env, world: World) -> None:
    guild, channel = server(env)
    world.guilds.greeted.clear()
    guild._system_channel_id = None
    await join(env, guild)
    assert not channel.history()


async def test_silent_where_it_may_not_post(env: simcord.Env, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    guild, channel = server(env)
    world.guilds.greeted.clear()
    monkeypatch.setattr(discord.TextChannel, "permissions_for", lambda *_: discord.Permissions(view_channel=True))
    await join(env, guild)
    assert not channel.history()
    assert not [e for e in env.http_requests if e.method == "POST" and e.path.endswith("/messages")]


async def test_refusal_by_discord_is_not_retried(env: simcord.Env, world: World) -> None:
    guild, channel = server(env)
    world.guilds.greeted.clear()
    env.inject_error("POST", "/channels/*/messages", status=403, code=50013, times=None)
    await join(env, guild)
    await join(env, guild)
    assert len([e for e in env.http_requests if e.method == "POST" and e.path.endswith("/messages")]) == 1


async def test_in_the_servers_language(env: simcord.Env, world: World) -> None:
    guild, channel = server(env, locale="de")
    world.guilds.greeted.clear()
    await join(env, guild)
    assert "GPUScout ist da" in texts(channel.history()[0])
