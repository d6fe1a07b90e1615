"""``/price``: what GPUScout adds to bare discord.py, and how soon it acknowledges while it is busy.

``gpuscout run`` and a bare bot run as processes of their own, each on a Discord of its own in this process, and are
asked in turns. The bare bot answers with the very message that ours gave: the same components, the same picture.
Measured is the time at the Discord's end, from the interaction to its answer.

Run ``python -m benchmarks command_dispatch [--quick]``. With the cache warm, ``added_p50`` may be at most 3 ms. While
charts are drawn without pause and polls are stored every few seconds, 99 of 100 first acknowledgements must come within
50 ms; what the bare bot needs on the same busy machine is reported beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.measure import emit, in_turns, percentile, say
from benchmarks.program import PATIENCE, Place, clean_environment, open_discord, place, running, stop
from bot.parts import open_parts
from config.catalogue import GpuCatalogue
from config.settings import Settings
from gpuscout.market.ports import RANGES
from sandbox.discord.interactions import Interaction
from sandbox.discord.models import LOADING
from sandbox.discord.payloads import APPLICATION_COMMAND
from sandbox.discord.server import SandboxDiscord
from sandbox.farm import Market
from sandbox.seed import seed_history
from storage.engine import Database
from tests.services import free_port

ADDED_LIMIT_MS = 3.0
ACK_LIMIT_MS = 50.0
MEMBERS = 400
SOURCE = "simulator"
CHARTS_AT_ONCE = 3
PROBE_EVERY = 0.05
_LOOK = 0.003
"""How often the asker looks for an answer, in seconds; the Discord notes the time itself."""
CHAT_INPUT = 1
STRING = 3

Json = dict[str, Any]


class Asker:
    """Members of a Discord who use ``/price``, each in turn, so that nobody's allowance runs out."""

    def __init__(self, discord: SandboxDiscord) -> None:
        self.discord = discord
        world = discord.world
        bots = {world.bot.id}
        self._members: Iterator[int] = itertools.cycle([user for user in world.users if user not in bots])
        self._channel = next(channel for channel in world.channels.values() if channel.guild_id is not None)

    async def wait_for_command(self) -> None:
        """Until the bot is connected and ``/price`` is registered."""
        async with asyncio.timeout(PATIENCE):
            while not (self.discord.ready and self._command() is not None):
                await asyncio.sleep(0.05)

    async def wait_for_card(self) -> Json:
        """Until the bot is ready and answers with a card that has its picture; the card."""
        await self.wait_for_command()
        async with asyncio.timeout(PATIENCE):
            while True:
                interaction = self.send("rtx-4090", "7d")
                await self.answered(interaction)
                card = self.message(interaction)
                if card["attachments"] and interaction.state == "replied":
                    return card
                await asyncio.sleep(0.1)

    def _command(self) -> Json | None:
        member = next(self._members)
        offered = self.discord.commands.available(member, self._channel)
        return next((command for command in offered if command["name"] == "price"), None)

    def send(self, gpu: str, range_: str) -> Interaction:
        """``/price gpu range``, on its way."""
        command = self._command()
        assert command is not None
        options = [{"name": name, "type": STRING, "value": value} for name, value in (("gpu", gpu), ("range", range_))]
        data = {"id": command["id"], "name": "price", "type": CHAT_INPUT, "options": options}
        kind = APPLICATION_COMMAND
        return self.discord.interactions.create(kind, next(self._members), self._channel, data)

    async def acknowledged(self, interaction: Interaction) -> float:
        """Milliseconds until the first answer, be it "thinking"."""
        while interaction.state == "pending":
            await asyncio.sleep(_LOOK)
        if interaction.acked_ms is None:
            raise RuntimeError("/price was not answered in time")
        return interaction.acked_ms

    async def answered(self, interaction: Interaction) -> float:
        """Milliseconds until the card is there."""
        first = await self.acknowledged(interaction)
        if interaction.state == "replied":
            return first
        while self.message(interaction)["flags"] & LOADING:
            await asyncio.sleep(_LOOK)
        return (time.monotonic() - interaction.born) * 1000

    def message(self, interaction: Interaction) -> Json:
        """The answer."""
        found = self.discord.world.message(interaction.original_id or 0)
        assert found is not None
        return found.data

    async def ask(self, gpu: str, range_: str) -> float:
        """Milliseconds from the command to its card."""
        return await self.answered(self.send(gpu, range_))


async def _seed(db: Database) -> None:
    """Two years of the simulated market, written as the demo writes them."""
    say("writing two years of a simulated market")
    parts = open_parts(Settings(_env_file=None, database_url=str(db.url), market_source=SOURCE))
    try:
        await seed_history(parts, Market(1), datetime.now(UTC) - timedelta(seconds=1), SOURCE, lambda *_: None)
    finally:
        await parts.aclose()


@dataclass(frozen=True, slots=True)
class Card:
    """A card that ours gave, kept for the bare bot."""

    message: Json
    components: list[Json]
    picture: Path


async def keep(message: Json, where: Place) -> Card:
    """A card with its picture, read from the Discord it is in."""
    attachment = message["attachments"][0]
    url, picture = attachment["url"], where.folder / attachment["filename"]
    async with aiohttp.ClientSession() as session, session.get(where.discord.page_url + url) as response:
        response.raise_for_status()
        picture.write_bytes(await response.read())
    text = json.dumps(message["components"]).replace(json.dumps(url)[1:-1], f"attachment://{picture.name}")
    return Card(message, json.loads(text), picture)


@asynccontextmanager
async def bare_bot(discord: SandboxDiscord, where: Place, card: Card) -> AsyncIterator[None]:
    """The bare bot in *discord*, which answers with *card*."""
    told = where.folder / "bare.json"
    order = {
        "api_url": discord.api_url,
        "gateway_url": discord.gateway_url,
        "token": discord.token,
        "components": card.components,
        "picture": str(card.picture),
    }
    told.write_text(json.dumps(order), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bare_bot", str(told), cwd=where.folder, env=clean_environment()
    )
    try:
        yield
    finally:
        await stop(process)


@asynccontextmanager
async def farm() -> AsyncIterator[str]:
    """The simulated market's server as a process of its own, with something new for every poll; its address.

    It makes way for what is measured: in truth it runs on another machine.
    """
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "nice", "-n", "15",
        sys.executable, "-m", "sandbox.farm", "--port", str(port), "--seed", "1", "--speed", "12",
        env=clean_environment(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            await process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        await stop(process)


async def _calm(where: Place, bare: SandboxDiscord, rounds: int) -> Card:
    """What ours adds with a warm cache; the card."""
    ours = Asker(where.discord)
    async with running(where):
        card = await keep(await ours.wait_for_card(), where)
        async with bare_bot(bare, where, card):
            theirs = Asker(bare)
            await theirs.wait_for_card()
            deferred = 0

            async def ask_ours(number: int) -> float:
                nonlocal deferred
                interaction = ours.send("rtx-4090", "7d")
                milliseconds = await ours.answered(interaction)
                deferred += number >= 0 and interaction.state != "replied"
                return milliseconds

            async def ask_bare(_number: int) -> float:
                interaction = theirs.send("rtx-4090", "7d")
                milliseconds = await theirs.answered(interaction)
                if _number == 0:
                    _check_same(card.message, theirs.message(interaction))
                return milliseconds

            times = await in_turns({"ours": ask_ours, "bare": ask_bare}, rounds, warm_up=10)
    emit("command_dispatch.price_p50", statistics.median(times["ours"]), "ms")
    emit("command_dispatch.price_p99", percentile(times["ours"], 99), "ms")
    emit("command_dispatch.bare_p50", statistics.median(times["bare"]), "ms")
    emit("command_dispatch.bare_p99", percentile(times["bare"], 99), "ms")
    emit("command_dispatch.deferred", deferred / rounds, "ratio")
    added = statistics.median(a - b for a, b in zip(times["ours"], times["bare"], strict=True))
    emit("command_dispatch.added_p50", added, "ms", ADDED_LIMIT_MS, added / ADDED_LIMIT_MS)
    return card


def _check_same(ours: Json, theirs: Json) -> None:
    """Both bots sent the same message."""
    sizes = [len(json.dumps(message["components"])) for message in (ours, theirs)]
    pictures = [message["attachments"][0]["size"] for message in (ours, theirs)]
    if pictures[0] != pictures[1] or abs(sizes[0] - sizes[1]) > 0.05 * sizes[0]:
        raise AssertionError(f"the messages differ: components {sizes}, pictures {pictures}")


async def _busy(where: Place, bare: SandboxDiscord, card: Card, seconds: float) -> None:
    """First acknowledgements while charts are drawn and polls are stored."""
    acks: dict[str, list[float]] = {"ours": [], "bare": []}
    charts = 0
    async with (
        farm() as url,
        running(where, FARM_URL=url, INGEST_INTERVAL_SECONDS="5"),
        bare_bot(bare, where, card),
    ):
        ours, theirs = Asker(where.discord), Asker(bare)
        await ours.wait_for_card()
        await theirs.wait_for_card()
        wanted = itertools.cycle(itertools.product(_listed(), RANGES))
        until = time.monotonic() + seconds

        async def draw() -> None:
            """A member who always wants a chart that is not drawn yet."""
            nonlocal charts
            while time.monotonic() < until:
                interaction = ours.send(*next(wanted))
                acks["ours"].append(await ours.acknowledged(interaction))
                await ours.answered(interaction)
                charts += 1

        async def probe(name: str, asker: Asker) -> None:
            """A member who looks at one card again and again."""
            while time.monotonic() < until:
                acks[name].append(await asker.acknowledged(asker.send("rtx-4090", "7d")))
                await asyncio.sleep(PROBE_EVERY)

        async with asyncio.TaskGroup() as group:
            for _ in range(CHARTS_AT_ONCE):
                group.create_task(draw())
            group.create_task(probe("ours", ours))
            group.create_task(probe("bare", theirs))
    emit("command_dispatch.busy_charts", charts / seconds, "charts/s")
    emit("command_dispatch.busy_bare_ack_p99", percentile(acks["bare"], 99), "ms")
    emit("command_dispatch.busy_ack_p50", statistics.median(acks["ours"]), "ms")
    slow = percentile(acks["ours"], 99)
    emit("command_dispatch.busy_ack_p99", slow, "ms", ACK_LIMIT_MS, slow / ACK_LIMIT_MS)


def _listed() -> list[str]:
    """Slugs of some of the simulated market's models."""
    catalogue = GpuCatalogue.load()
    return [catalogue.resolve(name).slug for name in Market(1).models[:20]]


async def run(quick: bool) -> None:
    """Both measurements."""
    rounds, seconds = (40, 8.0) if quick else (500, 60.0)
    async with open_discord(MEMBERS) as bare, place(_seed, members=MEMBERS, MARKET_SOURCE=SOURCE) as where:
        say("asking in turns")
        card = await _calm(where, bare, rounds)
        say("asking while charts are drawn and polls are stored")
        await _busy(where, bare, card, seconds)


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` asks less often."""
    asyncio.run(run(quick))
