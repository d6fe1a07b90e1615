"""Waiting for a Discord that is away, against the sandbox's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.login import FIRST_PAUSE, LONGEST_PAUSE, is_passing, stay_connected
from sandbox.discord import SandboxDiscord

TOKEN = "token-of-the-test"


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SandboxDiscord]:
    sandbox = SandboxDiscord(TOKEN)
    await sandbox.start()
    monkeypatch.setattr(Route, "BASE", sandbox.api_url)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(sandbox.gateway_url))
    yield sandbox
    await sandbox.stop()


class Pauses(list[float]):
    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


async def test_waits_until_discord_answers(sandbox: SandboxDiscord) -> None:
    for route in ("GET /users/@me", "GET /gateway/bot"):
        await sandbox.control.apply_faults({"status": {"route": route, "times": 3, "code": 503}})
    client = discord.AutoShardedClient(intents=discord.Intents(guilds=True))
    pauses = Pauses()
    running = asyncio.create_task(stay_connected(client, TOKEN, sleep=pauses))
    async with asyncio.timeout(30):
        while not sandbox.ready:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.02)
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE] * 2
    await client.close()
    await running


async def test_waits_while_nothing_listens(sandbox: SandboxDiscord) -> None:
    await sandbox.stop()
    client = discord.AutoShardedClient(intents=discord.Intents.none())
    pauses = Pauses()
    running = asyncio.create_task(stay_connected(client, TOKEN, sleep=pauses))
    async with asyncio.timeout(30):
        while len(pauses) < 9:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.01)
    assert max(pauses) == LONGEST_PAUSE
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_refused_token_is_final(sandbox: SandboxDiscord) -> None:
    client = discord.AutoShardedClient(intents=discord.Intents.none())
    pauses = Pauses()
    with pytest.raises(discord.LoginFailure):
        await stay_connected(client, "another-token", sleep=pauses)
    assert pauses == []


def test_what_passes_by_itself() -> None:
    assert is_passing(ConnectionResetError())
    assert is_passing(TimeoutError())
    assert is_passing(discord.GatewayNotFound())
    assert not is_passing(discord.LoginFailure("no"))
    assert not is_passing(discord.PrivilegedIntentsRequired(0))
    assert not is_passing(RuntimeError())
