"""The real product against the sandbox: as a process (`Product`), or in this one with a clock of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import discord.gateway
import discord.http
import pytest

from bot.app import App, build
from bot.scheduler import INGEST_JOB
from config.settings import ALL_ROLES, Settings
from gpuscout.market.trends import MARKET_WORK
from gpuscout.resilience.breaker import CircuitBreaker
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.ratelimit import RequestQueue
from sandbox.discord import Actor, SandboxDiscord
from sandbox.discord.actor import components
from sandbox.farm import FarmServer, Market, SimClock
from storage.job_model import Job
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GsEcRt.e2eSecretTokenThatNoLogMayEverShow00"
"""Shaped like a real bot token, so that a leak of it would look like one."""
PATIENCE = 60.0
"""Seconds for what is quick on a quiet machine."""

Json = dict[str, Any]


@functools.cache
def market() -> Market:
    """One simulated market is enough: its servers only read it."""
    return Market(20_260_101)


async def until(condition: Callable[[], Any], what: str, within: float = PATIENCE, every: float = 0.05) -> Any:
    """The first true value of *condition*, which may be a coroutine function.

    Raises:
        AssertionError: there was none within *within* seconds.
    """
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        await asyncio.sleep(every)


class OffsetClock:
    """Real time that can be moved forward: the product's, the stand-in's and the retries' clock in one."""

    def __init__(self) -> None:
        self.offset = timedelta(0)
        self.pauses: list[float] = []
        """Seconds that retries waited, which pass at once here."""

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def epoch(self) -> float:
        return self().timestamp()

    def monotonic(self) -> float:
        return time.monotonic() + self.offset.total_seconds()

    def forward(self, **span: float) -> None:
        self.offset += timedelta(**span)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.forward(seconds=seconds)
        await asyncio.sleep(0)


class World:
    """What the product meets outside: a 500.farm and a Discord with an owner and members.

    Args:
        clock: moves the stand-in's time along with the product's.
        update_interval: wall seconds between two publications of the stand-in.
        farm: keyword arguments for the :class:`FarmServer`.
    """

    def __init__(self, clock: OffsetClock | None = None, *, update_interval: float = 1.0, **farm: Any) -> None:
        sim = SimClock.real_time(wall_source=clock.epoch if clock is not None else time.time)
        self.farm = FarmServer(market(), sim, update_interval=update_interval, **farm)
        self.discord = SandboxDiscord(TOKEN)
        self.owner = self.discord.add_user("olga", global_name="Olga")
        names = ["ada", "ben", "cem", "dora", "eli", "fay", "gus", "hal"]
        self.members = {name: self.discord.add_user(name, global_name=name.title()).id for name in names}
        guild = self.discord.add_guild(
            "Hosts", owner=self.owner.id, members=[self.owner.id, *self.members.values()], channels=["market"]
        )
        self.channel = next(iter(guild.channel_ids))

    async def __aenter__(self) -> World:
        await self.farm.start()
        await self.discord.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.discord.stop()
        await self.farm.stop()

    def actor(self, name: str) -> Actor:
        """A member to act as; each has an allowance of commands of his own."""
        return Actor(self.discord.page_url, self.members[name])

    async def bot_answers(self) -> None:
        """Wait until the bot is connected and knows its servers: before that it only says that it is starting."""
        await until(lambda: self.discord.ready, "the bot is connected")
        async with self.actor("hal") as hal:
            await until(lambda: hal.autocomplete(self.channel, "price", "gpu", "40"), "the bot completes names")

    def owner_dms(self) -> list[str]:
        """What the bot wrote to the owner in private, oldest first."""
        state = self.discord.world
        channel = state.dm_channel(self.owner.id)
        sent = [] if channel is None else state.bucket(channel.id).values()
        return [str(message.data["content"]) for message in sent if message.author_id == state.bot.id]

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """Settings of a product in *folder* that meets this world; nothing of the caller's own settings."""
        return {
            **bare_environment(folder),
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": self.discord.api_url,
            "DISCORD_GATEWAY_URL": self.discord.gateway_url,
            "DISCORD_OWNER_IDS": str(self.owner.id),
            "FARM_URL": self.farm.url,
            "INGEST_INTERVAL_SECONDS": "5",
            **more,
        }


def bare_environment(folder: Path) -> dict[str, str]:
    """An environment with the embedded default in *folder* and nothing outside."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "MPLCONFIGDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'gpuscout.db'}",
        "DATA_DIR": str(folder / "data"),
        "FARM_URL": "http://127.0.0.1:9",
        "MARKET_FALLBACK": "off",
        "MARKET_MACHINES": "false",
        "WEB_PORT": str(free_port()),
        "LOG_FORMAT": "json",
    }


class Product:
    """``python -m bot <arguments>`` as a real process. Its logs are read while it runs."""

    def __init__(self, environment: Mapping[str, str], *arguments: str, folder: Path) -> None:
        self.environment = dict(environment)
        self.arguments = arguments or ("run",)
        self.folder = folder
        self.lines: list[str] = []
        self.output: list[str] = []
        self.process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Base address of its web role."""
        return f"http://127.0.0.1:{self.environment['WEB_PORT']}"

    @property
    def logs(self) -> list[Json]:
        """The log records so far."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def plain_errors(self) -> list[str]:
        """Lines on standard error that are no log records: what a person reads when it fails."""
        return [line for line in self.lines if line.strip() and not line.startswith("{")]

    def events(self, name: str) -> list[Json]:
        """The log records of one event."""
        return [entry for entry in self.logs if entry["event"] == name]

    async def spawn(self) -> Product:
        """Start the process and do not wait for anything."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            *self.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
            cwd=self.folder,
            limit=16 * 1024 * 1024,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            asyncio.create_task(_read(self.process.stdout, self.output)),
            asyncio.create_task(_read(self.process.stderr, self.lines)),
        ]
        return self

    async def start(self) -> Product:
        """Start the process and wait until it says that it is up; what an earlier life said does not count."""
        lives = len(self.events("started"))
        await self.spawn()
        await self.said("started", count=lives + 1)
        return self

    async def said(self, event: str, within: float = PATIENCE, count: int = 1) -> Json:
        """The *count*-th log record of *event*, waited for."""

        def look() -> Json | None:
            found = self.events(event)
            if len(found) >= count:
                return found[count - 1]
            assert self.process is not None
            assert self.process.returncode is None, f"it ended with {self.process.returncode}: {self.tail()}"
            return None

        record: Json = await until(look, f"log record {event!r}; last lines: {self.tail()}", within)
        return record

    def polls(self) -> list[Json]:
        """The log records of finished polls of the statistics; the list of machines is polled at a pace of its own."""
        return [entry for entry in self.events("ingest_done") if "machines" not in entry["updates"]]

    @property
    def trouble(self) -> list[Json]:
        """Log records that an operator would have to look at."""
        return [entry for entry in self.logs if entry["level"] in ("error", "critical") or "exception" in entry]

    def tail(self) -> str:
        return "\n".join(self.lines[-8:])[-4000:]

    async def ended(self, within: float = PATIENCE) -> int:
        """Its exit code, waited for."""
        assert self.process is not None
        async with asyncio.timeout(within):
            code = await self.process.wait()
        await asyncio.gather(*self._readers)
        return code

    async def stop(self, how: signal.Signals = signal.SIGTERM, within: float = 10.0) -> float:
        """Ask it to end; returns the seconds that took.

        Raises:
            AssertionError: it did not end well and in time.
        """
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(how)
        try:
            code = await self.ended(within)
        except TimeoutError:
            self.process.kill()
            await self.ended()
            raise AssertionError(f"still running {within:.0f} s after {how.name}: {self.tail()}") from None
        assert code == 0, f"exit code {code}: {self.tail()}"
        return time.monotonic() - started

    async def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.ended()

    async def __aenter__(self) -> Product:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None:
            await self.kill()


async def _read(stream: asyncio.StreamReader, into: list[str]) -> None:
    async for line in stream:
        into.append(line.decode("utf-8", "replace").rstrip("\n"))


async def command(environment: Mapping[str, str], folder: Path, *arguments: str) -> Product:
    """Run one command of the program to its end; the exit code is ``.process.returncode``."""
    product = Product(environment, *arguments, folder=folder)
    await product.spawn()
    try:
        await product.ended()
    finally:
        await product.kill()
    return product


def code_of(product: Product) -> int | None:
    assert product.process is not None
    return product.process.returncode


class Web:
    """A client of the product's web role."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str) -> tuple[int, Any]:
        """Status, and the JSON or text of the answer."""
        async with self.session.get(self.url + path) as answer:
            body = await answer.read()
            return answer.status, json.loads(body) if "json" in answer.content_type else body.decode()

    async def bytes(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        async with self.session.get(self.url + path) as answer:
            return answer.status, answer.content_type, await answer.read()

    async def ready(self, within: float = PATIENCE) -> Json:
        """The answer of ``/readyz`` once it is 200."""

        async def look() -> Any:
            try:
                status, body = await self.get("/readyz")
            except (aiohttp.ClientError, TimeoutError):
                return None
            return body if status == 200 else None

        body: Json = await until(look, "/readyz answers 200", within)
        return body

    async def draws(self) -> None:
        """Wait for a first chart: it starts a worker, for which a busy machine may take its time."""

        async def look() -> bool:
            return (await self.bytes("/chart/rtx-4090.webp"))[0] == 200

        await until(look, "a first chart is drawn")

    async def metric(self, name: str, **labels: str) -> float | None:
        """A sample of ``/metrics``; None when there is none."""
        _, text = await self.get("/metrics")
        for line in text.splitlines():
            if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
                head, _, value = line.rpartition(" ")
                if head.partition("{")[0] == name:
                    return float(value)
        return None


@asynccontextmanager
async def web(url: str) -> AsyncIterator[Web]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield Web(url, session)


# --- In this process --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def running_app(
    world: World,
    folder: Path,
    clock: OffsetClock,
    *,
    interval: int = 900,
    prepare: Callable[[App], None] = lambda _app: None,
    **more: Any,
) -> AsyncIterator[App]:
    """The whole product in this process by *clock*: retries, circuit breaker and queue do not wait for real time.

    Args:
        prepare: what is done with it before it runs.
    """
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite+aiosqlite:///{folder / 'gpuscout.db'}",
        redis_url=None,
        data_dir=folder / "data",
        discord_token=TOKEN,
        discord_api_url=world.discord.api_url,
        discord_gateway_url=world.discord.gateway_url,
        discord_owner_ids=(world.owner.id,),
        ingest_interval_seconds=interval,
        web_port=0,
        **({"farm_url": (world.farm.url,), "market_fallback": "off", "market_machines": False} | more),
    )
    client = functools.partial(
        ResilientClient,
        sleep=clock.sleep,
        clock=clock.monotonic,
        breaker=functools.partial(CircuitBreaker, clock=clock.monotonic),
    )

    def queue(name: str, **options: Any) -> RequestQueue:
        return RequestQueue(name, **(options | {"rate": 1000.0, "burst": 1000}))

    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        # discord.py keeps its addresses on classes; later tests of this process want the real ones.
        patch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
        patch.setattr(
            discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
        )
        patch.setattr("bot.parts.ResilientClient", client)
        patch.setattr("bot.parts.RequestQueue", queue)
        async with build(settings, ALL_ROLES, "0-e2e", clock) as app:
            prepare(app)
            started = asyncio.Event()
            running = asyncio.create_task(app.run(stop, lambda _app: started.set()))
            try:
                await until(lambda: running.done() or started.is_set(), "the app is up")
                if not running.done():
                    await until(lambda: running.done() or world.discord.ready, "the bot is connected")
                if running.done():
                    running.result()
                yield app
            finally:
                stop.set()
                code = await running
            assert code == 0


async def cycle(app: App) -> Job:
    """One ingest cycle through the product's own worker, and all work that it causes; returns the job."""
    async with app.parts.db.write() as conn:
        number = await app.parts.jobs.enqueue(conn, INGEST_JOB, {}, concurrency_key=MARKET_WORK, max_attempts=1)
    assert number is not None
    assert app.worker is not None
    app.worker.wake()
    await settled(app)
    job = await app.parts.jobs.get(number)
    assert job is not None
    return job


async def settled(app: App) -> None:
    """Wait until no job is running or due."""

    async def idle() -> bool:
        counts = await app.parts.jobs.counts()
        return not counts["ready"] and not counts["running"]

    await until(idle, "all jobs are done")


# --- Reading messages -------------------------------------------------------------------------------------------------


def words(message: Json) -> str:
    """All text of a message: content, text displays, embeds."""
    parts = [message.get("content") or ""]
    parts += [part["content"] for part in components(message) if part.get("content")]
    for embed in message.get("embeds") or []:
        parts += [embed.get("title") or "", embed.get("description") or ""]
        parts += [f"{field['name']} {field['value']}" for field in embed.get("fields") or []]
    return "\n".join(part for part in parts if part)


def options(message: Json) -> dict[str, Json]:
    """The options of a message's select, by label."""
    return {option["label"]: option for part in components(message) if part["type"] == 3 for option in part["options"]}


def pressed(message: Json) -> list[str]:
    """Labels of the buttons shown as chosen."""
    return [part["label"] for part in components(message) if part["type"] == 2 and part["style"] == 1]


def is_private(message: Json) -> bool:
    """Only for the member who asked."""
    return bool(message["flags"] & 64)


def is_chart(data: bytes) -> bool:
    """A WebP of more than a blank picture."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) > 5000
