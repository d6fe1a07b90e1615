"""``gpuscout demo``: the whole product on a simulated market and a Discord of our own, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from bot.app import App, build
from bot.early import EARLY
from config.logging import configure_logging
from config.settings import ALL_ROLES, Settings
from gpuscout.resilience.public_connect import WITH_LOOPBACK
from sandbox.director import Director
from sandbox.discord.server import SandboxDiscord
from sandbox.farm import FarmServer, Market, SimClock
from sandbox.seed import seed_history
from sandbox.sendgrid import SandboxSendGrid
from sandbox.vast import VastStandIn
from sandbox.webhooks import WebhookReceiver

SOURCE = "simulator"
INGEST_SECONDS = 20
TOKEN = "sandbox-token"  # noqa: S105 - opens nothing but the sandbox
MAIL_KEY = "SG.sandbox"
SUGGESTIONS = [
    "/portfolio add gpu:RTX 4090 quantity:8 price:0.35 platform:Vast.ai",
    "/price gpu:RTX 4090",
    "/portfolio advice",
    "/alert list",
    "/roi gpu:RTX 4090 price:1600",
    "/market",
    "/compare gpus:RTX 4090, RTX 5090, RTX 3090",
    "/price gpu:H100 SXM range:30d",
    "/digest set",
    "/settings",
    "/status",
    "/help",
]
"""The first is the beginning of the demo's path; each further one shows another side of the product."""
WELCOME = (
    "This is GPUScout on a simulated market. Add a rig with the first suggestion below, press Alert me under its "
    "figures, and confirm: within half a minute the market crosses your level, and a direct message tells you."
)
SIMULATED = "Simulated market – no account or key used. Ctrl-C stops."


class Say:
    """Progress for a person: a line when something is done, and at least one every few seconds."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last = 0.0

    def __call__(self, text: str) -> None:
        self._last = time.monotonic()
        typer.echo(f"  {time.monotonic() - self._started:5.1f} s  {text}")

    def sometimes(self, text: str, every: float = 3.0) -> None:
        """The line, if none was written for a while."""
        if time.monotonic() - self._last >= every:
            self(text)


@dataclass(frozen=True, slots=True)
class DemoState:
    """What the next demo needs to go on from here: the market's seed and its simulated time."""

    seed: int
    simulated: datetime

    @classmethod
    def load(cls, path: Path) -> DemoState | None:
        """The state kept at *path*; None when there is none or it is damaged (then the demo begins anew)."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(data["seed"]), datetime.fromisoformat(data["simulated"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"seed": self.seed, "simulated": self.simulated.isoformat()}), encoding="utf-8")
        temporary.replace(path)


def free_port(host: str, wanted: int) -> tuple[int, bool]:
    """*wanted* if it is free, else one that is; and whether it had to be replaced."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1]), port != wanted
    raise OSError("no free port on this machine")


def demo_settings(
    folder: Path,
    farm_url: str,
    discord: SandboxDiscord,
    web_port: int,
    vast_url: str | None = None,
    mail: SandboxSendGrid | None = None,
) -> Settings:
    """The product's settings for the demo; the environment and ``.env`` are left out of it.

    Without *vast_url* there is no second source, without *mail* no e-mail.
    """
    return Settings(
        _env_file=None,
        database_url=f"sqlite+aiosqlite:///{folder / 'gpuscout.db'}",
        redis_url=None,
        data_dir=folder,
        discord_token=TOKEN,
        discord_api_url=discord.api_url,
        discord_gateway_url=discord.gateway_url,
        discord_owner_ids=(),
        shard_ids=(),
        shard_count=None,
        farm_url=(farm_url,),
        farm_api_key=None,
        market_source=SOURCE,
        market_fallback="off" if vast_url is None else "vast",
        vast_api_url=vast_url or farm_url,
        vast_api_key=None,
        vast_source=f"{SOURCE}-vast",
        sendgrid_api_key=MAIL_KEY if mail is not None else None,
        sendgrid_api_url=mail.url if mail is not None else "https://api.sendgrid.com",
        sendgrid_webhook_public_key=mail.public_key if mail is not None else None,
        sendgrid_groups={"onboarding": 11, "reports": 12, "alerts": 13},
        sendgrid_templates={},
        mail_from="GPUScout <alerts@gpuscout.example>" if mail is not None else None,
        ingest_interval_seconds=INGEST_SECONDS,
        trend_interval_seconds=3600,
        web_port=web_port,
        web_host="127.0.0.1",
        public_url=f"http://127.0.0.1:{web_port}",
        secret_key=None,
        log_level="WARNING",
        log_format=None,
    )


def make_discord(folder: Path) -> SandboxDiscord:
    """The demo's Discord: one server with #market, two members, the bot installed."""
    discord = SandboxDiscord(
        TOKEN,
        state_path=folder / "discord.json",
        badge="SIMULATED",
        notice=SIMULATED.split(".")[0] + ".",
        welcome=WELCOME,
        suggestions=SUGGESTIONS,
    )
    ada = discord.add_user("ada", global_name="Ada")
    ben = discord.add_user("ben", global_name="Ben", locale="de")
    discord.add_guild("GPU Hosts", owner=ada.id, members=[ada.id, ben.id], channels=["market", "general"])
    return discord


@asynccontextmanager
async def demo_world(folder: Path, *, speed: float, say: Say) -> AsyncIterator[tuple[Market, FarmServer]]:
    """The simulated market and its server; the simulated time goes on where the last demo stopped."""
    path = folder / "demo.json"
    state = DemoState.load(path)
    now = datetime.now(UTC)
    if state is None:
        state = DemoState(seed=int(now.timestamp()) % 1_000_000, simulated=now)
    else:
        say(f"going on with the market of the last demo (seed {state.seed})")
    market = await asyncio.to_thread(Market, state.seed)
    clock = SimClock(now, state.simulated, speed)
    state.save(path)
    try:
        async with FarmServer(market, clock) as farm:
            yield market, farm
    finally:
        DemoState(state.seed, clock.now()).save(path)


async def seed_if_empty(app: App, market: Market, say: Say) -> None:
    """Two years of history for a new demo."""
    parts = app.parts
    if await parts.store.newest_source_time() is not None:
        return
    say("writing two years of simulated history…")
    rows = await seed_history(
        parts,
        market,
        datetime.now(UTC) - timedelta(seconds=1),
        SOURCE,
        lambda what, part: say.sometimes(f"  {what}: {part:.0%}"),
    )
    say(f"{rows:,} rows of history are there")


def prepare(folder: Path, *, fresh: bool) -> Path:
    """The demo's folder, emptied when it shall begin anew."""
    folder = folder.absolute()
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def until(stop: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Do *work* unless *stop* is set first; whether it was done."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            await doing
            return True
        return False
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)


async def serve_demo(
    *, port: int, speed: float, open_browser: bool, fresh: bool, version: str, folder: Path = Path("data/demo")
) -> int:
    """Start everything, print the address, run until Ctrl-C."""
    configure_logging("WARNING", "console")
    say = Say()
    folder = prepare(folder, fresh=fresh)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    if EARLY.seen:
        return 130

    typer.echo("GPUScout demo")
    async with contextlib.AsyncExitStack() as stack:
        market, farm = await stack.enter_async_context(demo_world(folder, speed=speed, say=say))
        say("the simulated market is open")
        page_port, replaced = free_port("127.0.0.1", port)
        if replaced:
            say(f"port {port} is busy, so the page is on port {page_port}")
        discord = make_discord(folder)
        await discord.start(port=page_port)
        stack.push_async_callback(discord.stop)
        say("the little Discord is open")
        vast = await stack.enter_async_context(VastStandIn(market, farm.publisher.clock, moves=farm.publisher.moved))
        receiver = await stack.enter_async_context(WebhookReceiver())
        mail = await stack.enter_async_context(SandboxSendGrid(MAIL_KEY, badge="SIMULATED"))
        # Nothing listens while the history is written, so any port does.
        async with build(demo_settings(folder, farm.url, discord, 8080, vast.url), ALL_ROLES, version) as seeding:
            seeded = await until(stop, seed_if_empty(seeding, market, say))
            await seeding.parts.aclose()
        if not seeded:
            typer.echo("Stopped before the history was written; the next demo begins it anew.")
            return 0
        # Looked for only now: what is free before the history is written may be taken when it is.
        web_port, _ = free_port("127.0.0.1", 8080)
        mail.events.url = f"http://127.0.0.1:{web_port}/webhooks/sendgrid"
        settings = demo_settings(folder, farm.url, discord, web_port, vast.url, mail)
        app = await stack.enter_async_context(build(settings, ALL_ROLES, version))
        app.webhook_rules = WITH_LOOPBACK  # the receiver above; nothing else makes the product send to this machine

        async def announce() -> None:
            while not (app.bot is not None and app.bot.is_ready()) and not stop.is_set():
                await asyncio.sleep(0.1)
                say.sometimes("waiting for the bot…")
            if stop.is_set():
                return
            say("the bot is there")
            typer.echo(f"\n  Open  {discord.page_url}\n\n  {SIMULATED}\n")
            typer.echo(f"  Web view and API:  http://127.0.0.1:{app.web_port}")
            typer.echo(f"  Inbox of e-mails:  {mail.page_url}")
            typer.echo(f"  Webhook receiver:  {receiver.base}  (give {receiver.url} to /webhook add)\n")
            if open_browser:
                webbrowser.open(discord.page_url)

        director = Director(app.parts.db, farm, app.parts.gpus, market.models)
        announcing: list[asyncio.Task[None]] = []

        def on_ready(_app: App) -> None:
            announcing.append(asyncio.create_task(announce(), name="demo-announce"))
            director.start()

        try:
            code = await app.run(stop, on_ready)
        finally:
            await director.stop()
            for task in announcing:
                task.cancel()
            await asyncio.gather(*announcing, return_exceptions=True)
    typer.echo("Stopped. The next demo goes on from here; --fresh begins anew.")
    return code
