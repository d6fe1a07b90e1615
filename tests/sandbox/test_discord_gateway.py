"""The gateway: login, shards, resume, invalid sessions, close codes."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord import SandboxDiscord
from tests.sandbox.discord_bot import Bot, command_tree, running, staged, until

GUILDS = 1


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[SandboxDiscord]:
    sandbox = SandboxDiscord(**options)
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.stop()


class Raw:
    """A bare gateway client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._inflate = zlib.decompressobj()

    async def next(self) -> dict[str, Any]:
        message = await self.socket.receive(timeout=30)
        if message.type is aiohttp.WSMsgType.BINARY:
            data: dict[str, Any] = json.loads(self._inflate.decompress(message.data))
            return data
        assert message.type is aiohttp.WSMsgType.TEXT, message
        text: dict[str, Any] = json.loads(message.data)
        return text

    async def send(self, op: int, data: Any = None) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def identify(self, token: str = "sandbox-token", intents: int = GUILDS, **more: Any) -> dict[str, Any]:
        await self.send(2, {"token": token, "intents": intents, "properties": {}, **more})
        return await self.next()

    async def close_code(self) -> int | None:
        while True:
            message = await self.socket.receive(timeout=30)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return self.socket.close_code


@asynccontextmanager
async def raw(sandbox: SandboxDiscord, query: str = "v=10&encoding=json") -> AsyncIterator[Raw]:
    url = f"{sandbox.gateway_url}?{query}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        client = Raw(socket)
        hello = await client.next()
        assert hello["op"] == 10
        yield client


async def test_wrong_token_fails_login() -> None:
    async with served() as sandbox:
        sandbox.token = "another"
        with pytest.raises(discord.LoginFailure):
            async with running(Bot(), sandbox):
                pass


async def test_two_shards_get_their_guilds() -> None:
    async with served(shards=2) as sandbox:
        owner = sandbox.add_user("ann").id
        guilds = [sandbox.add_guild(f"guild {n}", owner=owner, guild_id=(1000 + n) << 22) for n in range(4)]
        async with running(Bot(), sandbox) as bot:
            assert {guild.id for guild in bot.guilds} == {guild.id for guild in guilds}
            assert {guild.id: guild.shard_id for guild in bot.guilds} == {g.id: (g.id >> 22) % 2 for g in guilds}
            assert bot.count("READY") == 2
            general = bot.guilds[0].text_channels[0]
            assert general.name == "general"
            assert general.permissions_for(bot.guilds[0].me).send_messages
            assert len(sandbox.sessions.live) == 2


async def test_recommended_shards_are_used() -> None:
    async with served(shards=3) as sandbox:
        bot = Bot(shard_count=None)
        async with running(bot, sandbox):
            assert len(bot.shards) == 3


async def test_join_and_leave_of_a_guild() -> None:
    async with staged(sync=False) as stage:
        later = stage.sandbox.add_guild("Later", bot=False)
        await asyncio.sleep(0.05)
        assert stage.bot.get_guild(later.id) is None
        stage.sandbox.setup.add_bot(later.id)
        await until(lambda: stage.bot.get_guild(later.id) is not None)
        stage.sandbox.setup.remove_bot(later.id)
        await until(lambda: stage.bot.get_guild(later.id) is None)


async def test_resume_replays_a_missed_interaction() -> None:
    async with staged() as stage:
        sandbox, user_id = stage.sandbox, int(stage.ann.user_id)
        channel = sandbox.world.channels[stage.channel]
        command = sandbox.commands.find(user_id, channel, "quick", 1)
        dropping = asyncio.create_task(sandbox.gateway.drop(4000))
        while sandbox.sessions.live:
            await asyncio.sleep(0)
        data = {"id": command["id"], "name": "quick", "type": 1}
        interaction = sandbox.interactions.create(2, user_id, channel, data)  # no shard is connected
        message = await stage.ann.answer(str(interaction.id))
        assert message["embeds"][0]["title"] == "Quick"
        await until(lambda: stage.bot.count("RESUMED") == 2)
        assert stage.bot.count("READY") == 2
        await dropping


async def test_op_7_reconnects_and_resumes() -> None:
    async with staged(sync=False) as stage:
        stage.sandbox.gateway.ask_reconnect()
        await until(lambda: stage.bot.count("RESUMED") == 2)
        assert stage.bot.count("READY") == 2


async def test_invalid_session_identifies_anew() -> None:
    async with staged() as stage:
        stage.sandbox.gateway.invalidate()
        await until(lambda: stage.bot.count("READY") == 4, within=60)
        await until(lambda: len(stage.sandbox.sessions.live) == 2)
        assert (await stage.ann.run(stage.channel, "quick"))["embeds"]


async def test_privileged_intents_are_refused_unless_allowed() -> None:
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    async with served() as sandbox:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            async with running(Bot(intents=intents), sandbox):
                pass
    async with served(privileged_intents=1 << 15) as sandbox, running(Bot(intents=intents), sandbox) as bot:
        assert bot.is_ready()


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (2, {"token": "wrong", "intents": 1}, 4004),
        (2, {"token": "sandbox-token", "intents": 1, "shard": [2, 2]}, 4010),
        (2, {"token": "sandbox-token", "intents": -1}, 4013),
        (2, {"token": "sandbox-token"}, 4013),
        (2, {"token": "sandbox-token", "intents": 1 << 1}, 4014),
        (2, "nonsense", 4002),
        (8, {"guild_id": "1"}, 4003),
        (6, {"token": "wrong", "session_id": "x", "seq": 1}, 4004),
    ],
)
async def test_close_codes(op: int, data: Any, code: int) -> None:
    async with served() as sandbox, raw(sandbox) as client:
        await client.send(op, data)
        assert await client.close_code() == code


async def test_close_codes_after_identify() -> None:
    async with served() as sandbox:
        for op, code in ((2, 4005), (99, 4001)):
            async with raw(sandbox) as client:
                assert (await client.identify())["t"] == "READY"
                await client.send(op, {"token": "sandbox-token", "intents": 1})
                assert await client.close_code() == code
        async with raw(sandbox) as client:
            await client.socket.send_str("{not json")
            assert await client.close_code() == 4002


async def test_api_version_and_compression_are_checked() -> None:
    async with served() as sandbox, aiohttp.ClientSession() as session:
        for query, code in (("v=6", 4012), ("v=10&compress=lzma", 4002)):
            async with session.ws_connect(f"{sandbox.gateway_url}?{query}") as socket:
                assert await Raw(socket).close_code() == code


async def test_heartbeats_are_answered_and_their_absence_closes() -> None:
    async with served(heartbeat_ms=100) as sandbox, raw(sandbox) as client:
        await client.send(1, None)
        assert (await client.next())["op"] == 11
        assert await client.close_code() == 4009


async def test_zlib_stream_is_one_stream() -> None:
    async with served() as sandbox, raw(sandbox, "v=10&compress=zlib-stream") as client:
        ready = await client.identify()
        assert ready["t"] == "READY"
        assert ready["d"]["resume_gateway_url"] == sandbox.gateway_url
        for _ in range(3):
            await client.send(1, ready["s"])
            assert (await client.next())["op"] == 11


async def test_resume_with_an_impossible_sequence() -> None:
    async with served() as sandbox:
        async with raw(sandbox) as client:
            session_id = (await client.identify())["d"]["session_id"]
        async with raw(sandbox) as client:  # closed with 1000: the session is over
            await client.send(6, {"token": sandbox.token, "session_id": session_id, "seq": 1})
            assert await client.next() == {"op": 9, "d": False, "t": None, "s": None}
        async with raw(sandbox) as client:
            session_id = (await client.identify())["d"]["session_id"]
            await client.socket.close(code=4000)
        async with raw(sandbox) as client:
            await client.send(6, {"token": sandbox.token, "session_id": session_id, "seq": 99})
            assert await client.close_code() == 4007


async def test_identify_concurrency_is_kept_when_asked() -> None:
    async with served(max_concurrency=1, identify_interval_s=5.0) as sandbox:
        async with raw(sandbox) as first, raw(sandbox) as second:
            assert (await first.identify(shard=[0, 2]))["t"] == "READY"
            assert (await second.identify(shard=[1, 2]))["op"] == 9
        sandbox.gateway.max_concurrency = 2
        async with raw(sandbox) as third:
            assert (await third.identify(shard=[1, 2]))["t"] == "READY"


async def test_too_many_payloads_close() -> None:
    async with served() as sandbox, raw(sandbox) as client:
        for _ in range(121):
            await client.send(1, None)
        assert await client.close_code() == 4008


async def test_refused_gateway_and_stop() -> None:
    async with served() as sandbox:
        await sandbox.control.apply_faults({"refuse_gateway": True})
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(sandbox.gateway_url)
        await sandbox.control.apply_faults({"clear": True})
        async with raw(sandbox) as client:
            await client.identify()
            started = asyncio.get_running_loop().time()
            _, code = await asyncio.gather(sandbox.stop(), client.close_code())
            assert asyncio.get_running_loop().time() - started < 2 + 3  # 3 s for a busy machine
            assert code == 1001


async def test_users_see_the_bot_come_and_go() -> None:
    async with staged() as stage:
        assert (await stage.ann.state())["ready"]
        await stage.bot.close()
        await stage.ann.wait_for("BOT_GONE", lambda data: True)
        assert not (await stage.ann.state())["ready"]


async def test_intents_decide_what_is_sent() -> None:
    async with served() as sandbox:
        ann = sandbox.add_user("ann")
        guild = sandbox.add_guild("G", members=[ann.id])
        bot = Bot(intents=discord.Intents(guilds=True))
        command_tree(bot)
        async with running(bot, sandbox):
            sandbox.messages.user_posts(sandbox.world.channels[guild.channel_ids[0]], ann.id, "hello")
            sandbox.add_channel(guild.id, "later")
            await until(lambda: bot.count("CHANNEL_CREATE") == 1)
            assert bot.count("MESSAGE_CREATE") == 0


def test_zstd_stream_where_python_has_it() -> None:
    from sandbox.discord.compression import compressor

    try:
        pack = compressor("zstd-stream")
    except ModuleNotFoundError:
        pytest.skip("this Python has no zstd, and discord.py will not ask for it either")
    assert pack is not None
    inflate = discord.utils._ActiveDecompressionContext()
    assert inflate.COMPRESSION_TYPE == "zstd-stream"
    for text in ("first", "second" * 1000):
        assert inflate.decompress(pack(text.encode())) == text
