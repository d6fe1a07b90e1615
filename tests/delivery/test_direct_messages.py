"""DMs on the wire against the sandbox's Discord: what is sent once, what is tried again, what never is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import discord
import pytest
from discord.http import Route

from bot.dm_role import open_client
from bot.handlers import delivery_handlers
from bot.parts import Parts, open_parts
from bot.worker import JobFailed, JobRun
from config.settings import Settings
from gpuscout.delivery.discord_dm import DiscordDirectMessages
from gpuscout.delivery.notices import DM_JOB
from gpuscout.delivery.ports import DeliveryFailed
from gpuscout.market.ingest import NOTICE_JOB
from sandbox.discord.models import User
from sandbox.discord.server import SandboxDiscord
from storage.state import AppState

OUTAGE = {
    "notice": "outage",
    "source": "500.farm",
    "problem": "v1: **bold** @everyone <@1> [here](https://evil.example)",
    "since": "2026-11-24T20:00:00+00:00",
}


async def open_sender(settings: Settings, state: AppState, bot: Any, later: Any) -> DiscordDirectMessages:
    return DiscordDirectMessages(await open_client(settings, bot, later), state, settings.discord_owner_ids)


@dataclass
class Line:
    """A sender, the Discord behind it, and the rows around it."""

    discord: SandboxDiscord
    ann: User
    parts: Parts
    sender: DiscordDirectMessages
    client: discord.Client

    def messages(self) -> list[str]:
        """What the bot wrote, oldest first."""
        rooms = self.discord.world.messages.values()
        return [m.data["content"] for room in rooms for m in room.values() if m.author_id == self.bot_id]

    @property
    def bot_id(self) -> int:
        return self.discord.world.bot.id

    def asked(self, part: str) -> int:
        return sum(part in f"{record.method} {record.path}" for record in self.discord.requests)


@pytest.fixture
async def line(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Line]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    server = SandboxDiscord()
    ann = server.add_user("ann")
    server.add_guild("GPU Hosts", owner=ann.id, members=[ann.id], channels=["market"])
    await server.start()
    settings = Settings(
        _env_file=None, database_url=sqlite_url, discord_token=server.token, discord_api_url=server.api_url
    )
    parts = open_parts(settings)
    closers: list[Any] = []
    sender = await open_sender(settings, parts.state, None, lambda _name, close: closers.append(close))
    try:
        yield Line(server, ann, parts, sender, sender._client)
    finally:
        for close in closers:
            await close()
        await parts.aclose()
        await server.stop()


async def test_a_repeat_of_one_message_is_the_same_message(line: Line) -> None:
    first = await line.sender.send(line.ann.id, "market is sick", "nonce-1")
    assert await line.sender.send(line.ann.id, "market is sick", "nonce-1") == first
    assert await line.sender.send(line.ann.id, "market is well", "nonce-2") != first
    assert line.messages() == ["market is sick", "market is well"]


async def test_the_channel_is_opened_once_and_remembered(line: Line) -> None:
    await line.sender.send(line.ann.id, "one", "n1")
    again = DiscordDirectMessages(line.client, line.parts.state)
    await again.send(line.ann.id, "two", "n2")
    assert line.asked("POST /users/@me/channels") == 1
    assert not [record for record in line.discord.requests if record.schema_errors]


async def test_a_channel_that_is_gone_is_opened_anew(line: Line) -> None:
    await line.parts.state.set(f"discord.dm:{line.ann.id}", 4242)
    with pytest.raises(DeliveryFailed) as failed:
        await line.sender.send(line.ann.id, "hello", "n1")
    assert not failed.value.permanent
    await line.sender.send(line.ann.id, "hello", "n1")
    assert line.messages() == ["hello"]


async def test_closed_dms_are_permanent(line: Line) -> None:
    await line.discord.control.apply_faults({"close_dms": [line.ann.id]})
    with pytest.raises(DeliveryFailed, match="50007") as failed:
        await line.sender.send(line.ann.id, "hello", "n1")
    assert failed.value.permanent


async def test_an_unknown_member_is_permanent(line: Line) -> None:
    with pytest.raises(DeliveryFailed, match="10013") as failed:
        await line.sender.send(4242, "hello", "n1")
    assert failed.value.permanent


async def test_a_long_wait_goes_back_into_the_queue(line: Line) -> None:
    await line.discord.control.apply_faults(
        {"rate_limit": {"route": "/users/@me/channels", "times": 9, "retry_after": 120}}
    )
    async with asyncio.timeout(60):
        with pytest.raises(DeliveryFailed, match="wait") as failed:
            await line.sender.send(line.ann.id, "hello", "n1")
    assert failed.value.retry_after == pytest.approx(120, abs=20) and not failed.value.permanent


async def test_a_short_wait_is_waited_for(line: Line) -> None:
    await line.discord.control.apply_faults({"rate_limit": {"route": "/messages", "times": 1, "retry_after": 0.05}})
    await line.sender.send(line.ann.id, "hello", "n1")
    assert line.messages() == ["hello"]


async def test_no_answer_in_time_is_tried_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuscout.delivery.discord_dm.SEND_SECONDS", 0.1)
    await line.discord.control.apply_faults({"latency_ms": 5000})
    with pytest.raises(DeliveryFailed, match="in time") as failed:
        await line.sender.send(line.ann.id, "hello", "n1")
    assert not failed.value.permanent


async def test_a_discord_that_is_down_is_tried_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    await line.discord.stop()

    async def at_once(*_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr("discord.http.asyncio.sleep", at_once)
        with pytest.raises(DeliveryFailed, match="cannot be reached") as failed:
            await line.sender.send(line.ann.id, "hello", "n1")
        assert not failed.value.permanent
        with pytest.raises(DeliveryFailed, match="cannot be reached"):
            await open_sender(line.parts.settings, line.parts.state, None, lambda _name, _close: None)


async def test_a_wrong_token_is_permanent_and_leaves_no_connection(line: Line) -> None:
    settings = line.parts.settings.model_copy(update={"discord_token": Settings(discord_token="wrong").discord_token})
    closers: list[Any] = []
    with pytest.raises(DeliveryFailed, match="DISCORD_TOKEN") as failed:
        await open_sender(settings, line.parts.state, None, lambda _name, close: closers.append(close))
    assert failed.value.permanent and not closers


async def test_a_bot_that_is_not_connected_does_not_hold_the_worker(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.dm_role.READY_SECONDS", 0.1)
    never_ready: Any = discord.Client(intents=discord.Intents.none())
    for begun in (False, True):
        if begun:
            await never_ready._async_setup_hook()
        with pytest.raises(DeliveryFailed, match="no connection") as failed:
            await open_sender(line.parts.settings, line.parts.state, never_ready, lambda _name, _close: None)
        assert not failed.value.permanent


async def test_the_owners(line: Line) -> None:
    assert await line.sender.owner_ids() == [int((await line.client.application_info()).owner.id)]
    assert await DiscordDirectMessages(line.client, line.parts.state, (7, 8)).owner_ids() == [7, 8]


# --- the jobs around it ---


async def _jobs(line: Line, kind: str) -> list[JobRun]:
    return [JobRun(job, line.parts.jobs) for job in await line.parts.jobs.claim([kind], 10, 60)]


async def _notice(line: Line) -> JobRun:
    async with line.parts.db.write() as conn:
        await line.parts.jobs.enqueue(conn, NOTICE_JOB, OUTAGE)
    [run] = await _jobs(line, NOTICE_JOB)
    return run


async def test_a_notice_reaches_every_owner_once_without_markup_of_the_source(line: Line) -> None:
    ben = line.discord.add_user("ben")
    line.discord.add_guild("Others", owner=ben.id, members=[ben.id], channels=["x"])
    line.sender._owners = (line.ann.id, ben.id)

    async def sender() -> DiscordDirectMessages:
        return line.sender

    handlers = delivery_handlers(line.parts, sender)
    run = await _notice(line)
    await handlers[NOTICE_JOB](run)
    assert run.finished
    runs = await _jobs(line, DM_JOB)
    assert len(runs) == 2
    for each in runs:
        await handlers[DM_JOB](each)
        await handlers[DM_JOB](each)  # a worker that died after sending
    texts = line.messages()
    assert len(texts) == 2
    for text in texts:
        assert "**500.farm**" in text and "<t:1795550400:R>" in text
        assert "\\*\\*bold\\*\\*" in text and "@everyone" not in text and "<@1>" not in text
        assert "\\[here\\]" in text and "https://evil.example" not in text


async def test_without_a_token_the_notice_is_logged_and_done(line: Line) -> None:
    async def nobody() -> None:
        return None

    handlers = delivery_handlers(line.parts, nobody)
    run = await _notice(line)
    await handlers[NOTICE_JOB](run)
    assert run.finished and await _jobs(line, DM_JOB) == []


@pytest.mark.parametrize("permanent", [True, False])
async def test_a_log_in_that_fails_says_whether_to_try_again(line: Line, permanent: bool) -> None:
    async def failing() -> DiscordDirectMessages:
        raise DeliveryFailed("no log-in", permanent=permanent, retry_after=5)

    handlers = delivery_handlers(line.parts, failing)
    with pytest.raises(JobFailed, match="no log-in") as failed:
        await handlers[NOTICE_JOB](await _notice(line))
    assert (failed.value.permanent, failed.value.retry_after) == (permanent, 5)
