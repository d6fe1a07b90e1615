"""The first word in a new server."""

from __future__ import annotations

import discord
import pytest
import simcord

from tests.cogs.conftest import texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1)


def server(simcord_env: simcord.Env, *, locale: str = "en-US") -> tuple[discord.Guild, object]:
    """A server whose system channel is #general, as the bot sees it."""
    handle = simcord_env.create_guild(preferred_locale=locale)
    channel = handle.create_text_channel("general")
    guild = simcord_env.bot.get_guild(handle.id)
    assert guild is not None
    guild._system_channel_id = channel.id
    return guild, channel


async def join(simcord_env: simcord.Env, guild: discord.Guild) -> None:
    simcord_env.bot.dispatch("guild_join", guild)
    await simcord_env.settle()


async def test_one_greeting_without_a_ping(simcord_env: simcord.Env, world: World) -> None:
    guild, channel = server(simcord_env)
    world.guilds.greeted.clear()

    await join(simcord_env, guild)

    (message,) = channel.history()
    assert "GPUScout is here" in texts(message)
    assert "</price:" in texts(message)
    assert message.flags.suppress_notifications
    assert not message.mentions
    assert not message.mention_everyone


async def test_never_again(simcord_env: simcord.Env, world: World) -> None:
    guild, channel = server(simcord_env)
    world.guilds.greeted.clear()
    await join(simcord_env, guild)

    simcord_env.bot.dispatch("guild_remove", guild)
    await simcord_env.settle()
    await join(simcord_env, guild)

    assert len(channel.history()) == 1
    assert world.guilds.gone == [guild.id]


async def test_silent_without_a_system_channel(simcord_env: simcord.Env, world: World) -> None:
    guild, channel = server(simcord_env)
    world.guilds.greeted.clear()
    guild._system_channel_id = None
    await join(simcord_env, guild)
    assert not channel.history()


async def test_silent_where_it_may_not_post(
    simcord_env: simcord.Env, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    guild, channel = server(simcord_env)
    world.guilds.greeted.clear()
    monkeypatch.setattr(discord.TextChannel, "permissions_for", lambda *_: discord.Permissions(view_channel=True))
    await join(simcord_env, guild)
    assert not channel.history()
    assert not [e for e in simcord_env.http_requests if e.method == "POST" and e.path.endswith("/messages")]


async def test_refusal_by_discord_is_not_retried(simcord_env: simcord.Env, world: World) -> None:
    guild, _ = server(simcord_env)
    world.guilds.greeted.clear()
    simcord_env.inject_error("POST", "/channels/*/messages", status=403, code=50013, times=None)
    await join(simcord_env, guild)
    await join(simcord_env, guild)
    assert len([e for e in simcord_env.http_requests if e.method == "POST" and e.path.endswith("/messages")]) == 1


async def test_in_the_servers_language(simcord_env: simcord.Env, world: World) -> None:
    guild, channel = server(simcord_env, locale="de")
    world.guilds.greeted.clear()
    await join(simcord_env, guild)
    assert "GPUScout ist da" in texts(channel.history()[0])
