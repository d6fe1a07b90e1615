"""The composition root: builds the process from its settings, runs its roles, and takes it down in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bot.alerts_role import AlertRoom, alerts_handlers, alerts_schedule
from bot.bot_role import bot_failure, make_bot, make_members
from bot.digests_role import digest_renderers, digests_handlers, digests_schedule
from bot.early import EARLY, SIGNALS
from bot.feed_role import feed_handlers, feed_schedule
from bot.handlers import delivery_handlers, market_handlers
from bot.keys import derive, secret_ring
from bot.machines_role import machines_handlers, machines_schedule, open_machines
from bot.mail_role import MailRoom, mail_schedule
from bot.notify_role import (
    NOTIFY_BACKOFF,
    SENDERS,
    alert_renderers,
    make_opt_in,
    notify_handlers,
    notify_schedule,
    purge_handlers,
)
from bot.operations import database_ready, schema_ready
from bot.parts import (
    MARKET_CHANNEL,
    Clock,
    Parts,
    make_cycle,
    make_reader,
    make_trends,
    open_parts,
    utc_now,
)
from bot.portfolio_role import make_portfolios, portfolio_handlers, portfolio_schedule
from bot.retries import RETRIES
from bot.scheduler import Scheduler
from bot.vitals import Vitals
from bot.webhook_role import WebhookWork, make_webhooks, webhook_notices, webhook_schedule
from bot.worker import Handler, Worker
from config.settings import Role, Settings
from gpuscout.accounts.members import Members
from gpuscout.charts.pool import ChartRenderer, ChartUnavailable
from gpuscout.delivery.pacing import DiscordPace
from gpuscout.market.ingest import IngestReport
from gpuscout.market.reader import MarketReader
from gpuscout.resilience.health import HealthBoard
from gpuscout.resilience.public_connect import PUBLIC_ONLY, AddressRules
from gpuscout.telemetry.loopdelay import LoopDelaySampler
from gpuscout.telemetry.metrics import Metrics
from gpuscout.telemetry.recorder import StoredUsage
from gpuscout.telemetry.usage import IdHasher
from storage.address import parse_url
from storage.alerts_work import AlertSync
from storage.lockfile import SingleProcessLock
from storage.schema import migrate_if_behind
from storage.usage import UsageStore

if TYPE_CHECKING:
    import discord

    from bot.client import ScoutBot
    from gpuscout.delivery.channels import DiscordSender
    from gpuscout.delivery.discord_channel import ChannelPosts
    from gpuscout.delivery.ports import DirectMessages
    from gpuscout.portfolio.portfolios import Portfolios

log = structlog.get_logger(__name__)

STOP_SECONDS = 9.0
"""Everything is down within this time; what cannot end by then is logged and left."""
STOP_SHARE = 0.2
"""Seconds of it that every part gets at least."""
LISTEN_AGAIN_SECONDS = 1.0


class StartError(Exception):
    """The process cannot start; the message is one sentence that says what to do."""


class App:
    """One process with some of the roles.

    Build with :func:`build`; :meth:`run` returns when *stop* is set or a role ends by itself.
    """

    def __init__(
        self, parts: Parts, roles: tuple[Role, ...], version: str, usage_key: bytes, *, started_at: datetime
    ) -> None:
        self.parts = parts
        self.roles = roles
        self.version = version
        self.settings = parts.settings
        self.started_at = started_at
        self.metrics = Metrics(version, clock=lambda: parts.clock().timestamp())
        self.health = HealthBoard(clock=parts.clock)
        self.usage_store = UsageStore(parts.db)
        self.hasher = IdHasher(usage_key)
        self.usage = StoredUsage(self.usage_store, self.hasher, self.metrics, clock=parts.clock)
        self.charts = ChartRenderer(workers=self.settings.chart_workers)
        self.metrics.watch_charts(self.charts.stats)
        self.loop_delay = LoopDelaySampler(self.metrics.loop_delay)
        self.scheduler: Scheduler | None = None
        self.market: MarketReader = make_reader(parts, self._next_poll)
        self.vitals = Vitals(parts, self.market, self.metrics, self._latencies)
        self.worker: Worker | None = None
        self.webhook_rules: AddressRules = PUBLIC_ONLY
        self.webhook_work: WebhookWork | None = None
        self.sender: Worker | None = None
        self._pace = DiscordPace()
        self._mail: MailRoom | None = None
        self.bot: ScoutBot | None = None
        self.web_port: int | None = None
        self._client: discord.Client | None = None
        self._client_lock = asyncio.Lock()
        self._closers: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    # --- the run ---

    async def run(self, stop: asyncio.Event, on_ready: Callable[[App], None] | None = None) -> int:
        """Start the roles, wait for *stop* (or for the bot to end), take everything down. Returns an exit code."""
        code = 0
        bot_task: asyncio.Task[None] | None = None
        try:
            await self._start_common()
            if "web" in self.roles:
                await self._start_web()
            if "ingest" in self.roles or "worker" in self.roles:
                await self._start_work()
            if "bot" in self.roles:
                bot_task = await self._start_bot()
            # What the start made lives as long as the process. A full collection over it would hold the loop, and with
            # it every member's command, for 100 ms and more, again and again.
            gc.freeze()
            gc.enable()
            log.info("started", roles=list(self.roles), version=self.version, web_port=self.web_port)
            if {"bot", "web"} & set(self.roles):
                warming = asyncio.create_task(self._warm_charts(), name="chart-warm-up")
                self._later("chart warm-up", lambda: _cancel(warming))
            if on_ready is not None:
                on_ready(self)
            code = await self._wait(stop, bot_task)
        finally:
            await self._stop()
        return code

    async def _warm_charts(self) -> None:
        """Start a chart worker while nobody waits: on a busy host that takes longer than the first card may."""
        try:
            await self.charts.warm()
        except ChartUnavailable as error:
            log.warning("charts_not_warm", reason=str(error))

    async def _wait(self, stop: asyncio.Event, bot_task: asyncio.Task[None] | None) -> int:
        stopping = asyncio.create_task(stop.wait(), name="stop-signal")
        waiting: set[asyncio.Task[object]] = {stopping}
        if bot_task is not None:
            waiting.add(bot_task)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
        if bot_task is not None and bot_task.done() and not stop.is_set():
            error = bot_task.exception()
            if error is not None:
                raise StartError(bot_failure(error)) from error
            log.error("bot_ended", reason="the client closed by itself")
            return 1
        return 0

    def _later(self, name: str, close: Callable[[], Awaitable[None]]) -> None:
        """Remember how to take something down; the order is that of starting, reversed."""
        self._closers.append((name, close))

    async def _stop(self) -> None:
        """Take everything down in order. A part that hangs is left behind; those after it still get their turn."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + STOP_SECONDS
        left = len(self._closers)
        while self._closers:
            name, close = self._closers.pop()
            left -= 1
            # What is left of the time, less a share for each part still to come.
            limit = max(STOP_SHARE, ends - loop.time() - left * STOP_SHARE)
            try:
                async with asyncio.timeout(limit):
                    await close()
            except TimeoutError:
                log.error("stop_late", part=name, seconds=round(limit, 1))
            except Exception:
                log.exception("stop_failed", part=name)
        log.info("stopped")

    # --- the parts ---

    async def _start_common(self) -> None:
        self._later("storage", self.parts.aclose)
        self._later("charts", self.charts.aclose)
        await self.usage_store.start()
        self._later("usage", self.usage_store.aclose)
        await self.loop_delay.start()
        self._later("loop delay", self.loop_delay.stop)
        listener = asyncio.create_task(self._follow_market(), name="market-listener")
        self._later("market listener", lambda: _cancel(listener))
        self.vitals.start()
        self._later("vitals", self.vitals.stop)

    async def _follow_market(self) -> None:
        """Drop this process's view of the market as soon as any process stored a new one."""
        while True:
            try:
                async with self.parts.cache.subscribe(MARKET_CHANNEL) as notices:
                    async for _ in notices:
                        self.market.invalidate()
                return  # the cache is closed
            except Exception:
                # Until it listens again, the version in the database tells of new data within a second.
                log.exception("market_listener_failed")
                await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _start_work(self) -> None:
        handlers: dict[str, Handler] = {}
        if "ingest" in self.roles:
            ingest = make_cycle(self.parts, self.health, self.metrics.external_request, self._announce)
            self._later("sources", ingest.aclose)
            handlers |= market_handlers(self.parts, ingest, make_trends(self.parts), self._measure)
            machines = open_machines(self.parts, self.health, self.metrics.external_request, self._announce)
            self._later("machines", machines.aclose)
            handlers |= machines_handlers(machines, self._measure)
        if "worker" in self.roles:
            handlers |= delivery_handlers(self.parts, self._direct_messages)
            handlers |= feed_handlers(self.parts, self.market, self.charts, self._channel_posts, self._wake)
            handlers |= portfolio_handlers(self.parts, self._portfolios)
            handlers |= alerts_handlers(self._alerts(), self._wake_sender)
            handlers |= digests_handlers(
                self.parts, self.market, self._members(), self._portfolios(), self._wake_sender
            )
            handlers |= purge_handlers(self.parts)
            handlers |= self._mail_room().handlers
        if self.settings.embedded:
            # No other process can hold a job: what runs in the table died with the last one.
            await self.parts.jobs.release_all()
        if "worker" in self.roles:
            self._start_sender()
            self._start_webhooks()
        self.worker = Worker(
            self.parts.db,
            self.parts.jobs,
            handlers,
            backoff=RETRIES,
            on_done=self._wake_sender,
            clock=self.parts.clock,
        )
        self.worker.start()
        self._later("worker", self.worker.stop)
        if "ingest" in self.roles:
            self.scheduler = Scheduler(
                self.parts.db,
                self.parts.jobs,
                self.parts.leases,
                self.parts.store,
                ingest_every=self.parts.interval,
                trends_every=timedelta(seconds=self.settings.trend_interval_seconds),
                shared=not self.settings.embedded,
                on_job=self.worker.wake,
                also={
                    **feed_schedule(self.parts),
                    **machines_schedule(self.parts),
                    **notify_schedule(),
                    **portfolio_schedule(),
                    **alerts_schedule(),
                    **digests_schedule(),
                    **webhook_schedule(self.parts),
                    **mail_schedule(),
                },
                clock=self.parts.clock,
            )
            await self.scheduler.start()
            self._later("scheduler", self.scheduler.stop)

    def _start_sender(self) -> None:
        """A worker of its own for notifications: many wait for Discord at a time, and nothing else waits for them."""
        alerts, ended = alert_renderers(self.parts, self.market, self.charts, self._portfolios())
        handlers = notify_handlers(
            self.parts,
            self._notifications,
            renderers={**digest_renderers(self.charts), **alerts},
            notices=webhook_notices(),
            whole_notices=ended,
            mail=self._mail_room().sender,
            metrics=self.metrics,
        )
        self.sender = Worker(
            self.parts.db,
            self.parts.jobs,
            handlers,
            concurrency=SENDERS,
            backoff=NOTIFY_BACKOFF,
            clock=self.parts.clock,
        )
        self.sender.start()
        self._later("sender", self.sender.stop)

    def _start_webhooks(self) -> None:
        work = WebhookWork(self.parts, self.webhook_rules)
        work.start()
        self._later("webhooks", work.stop)
        self.webhook_work = work

    def _wake_sender(self) -> None:
        if self.sender is not None:
            self.sender.wake()
        self._wake_webhooks()

    def _wake_webhooks(self) -> None:
        if self.webhook_work is not None:
            self.webhook_work.wake()

    def _mail_room(self) -> MailRoom:
        if self._mail is None:
            self._mail = MailRoom(
                self.parts, self._members(), self.health, self.metrics.external_request, wake=self._wake
            )
            self._later("mail", self._mail.aclose)
        return self._mail

    def _members(self) -> Members:
        return make_members(self.parts, self.hasher, self.usage_store)

    def _portfolios(self) -> Portfolios:
        follow = AlertSync(self.parts.jobs)
        return make_portfolios(self.parts, self.market, self._members(), on_change=follow)

    def _alerts(self) -> AlertRoom:
        return AlertRoom(self.parts, self.market, self._members(), self._portfolios())

    def _wake(self) -> None:
        if self.worker is not None:
            self.worker.wake()

    async def _announce(self, version: int) -> None:
        await self.market.refresh()
        await self.parts.cache.publish(MARKET_CHANNEL, str(version).encode())

    def _measure(self, report: IngestReport) -> None:
        self.metrics.ingest_cycle(
            report.source,
            outcome="ok" if report.ok else "sick",
            read=report.read,
            rejected=report.rejected,
            stored=report.stored,
            seconds=report.seconds,
        )
        if self.worker is not None:
            # The cycle may have caused jobs of its own (rollups, notices).
            self.worker.wake()

    async def _start_web(self) -> None:
        from bot.web_role import make_web_server

        server = make_web_server(
            self.parts,
            self.market,
            self.charts,
            self.metrics,
            self.usage,
            self.version,
            [database_ready(self.parts), schema_ready(self.parts)],
            self._mail_room(),
        )
        await server.start()
        self.web_port = server.port
        self._later("web", server.stop)

    async def _start_bot(self) -> asyncio.Task[None] | None:
        token = self.settings.discord_token
        if token is None:
            log.warning("bot_off", reason="DISCORD_TOKEN is not set")
            return None
        from bot.login import stay_connected

        self.bot = await make_bot(
            self.parts,
            self.version,
            market=self.market,
            charts=self.charts,
            usage=self.usage,
            uses=self.usage_store,
            hasher=self.hasher,
            opt_in=make_opt_in(self.parts, self._notifications),
            webhooks=make_webhooks(self.parts, rules=self.webhook_rules, wake=self._wake_webhooks),
            mail=self._mail_room().desk,
        )
        bot = self.bot
        task = asyncio.create_task(stay_connected(bot, token.get_secret_value()), name="discord")
        self._later("bot", lambda: _close_bot(bot, task))
        return task

    def _latencies(self) -> dict[int, float]:
        return dict(self.bot.latencies) if self.bot is not None and self.bot.is_ready() else {}

    def _next_poll(self) -> timedelta | None:
        return self.scheduler.next_poll_in() if self.scheduler is not None else None

    async def _discord(self) -> discord.Client | None:
        """Discord's REST API: over the bot's client where the bot runs here, else over one without a gateway."""
        if self.settings.discord_token is None:
            return None
        async with self._client_lock:
            if self._client is None:
                from bot.dm_role import open_client

                self._client = await open_client(self.settings, self.bot, self._later)
            return self._client

    async def _direct_messages(self) -> DirectMessages | None:
        from gpuscout.delivery.discord_dm import DiscordDirectMessages

        client = await self._discord()
        owners = self.settings.discord_owner_ids
        return None if client is None else DiscordDirectMessages(client, self.parts.state, owners)

    async def _notifications(self) -> DiscordSender | None:
        from gpuscout.delivery.discord_notify import DiscordNotifications

        client = await self._discord()
        return None if client is None else DiscordNotifications(client, self.parts.state, self._pace)

    async def _channel_posts(self) -> ChannelPosts | None:
        from gpuscout.delivery.discord_channel import DiscordChannelPosts

        client = await self._discord()
        return None if client is None else DiscordChannelPosts(client)


async def _close_bot(bot: ScoutBot, task: asyncio.Task[None]) -> None:
    await bot.close()
    await _cancel(task)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    for result in await asyncio.gather(task, return_exceptions=True):
        if isinstance(result, Exception):
            log.warning("task_ended_with_error", task=task.get_name(), error=repr(result))


def lock_path(settings: Settings) -> Path:
    """The lock file beside the SQLite file: it is the database that only one process may run on."""
    return Path(f"{parse_url(settings.database_url).database}.lock")


@asynccontextmanager
async def build(
    settings: Settings, roles: tuple[Role, ...], version: str, clock: Clock = utc_now
) -> AsyncIterator[App]:
    """Lock, migrate and put the process together.

    Raises:
        StartError: what hinders the start, in one sentence.
    """
    with contextlib.ExitStack() as stack:
        if settings.embedded:
            stack.enter_context(SingleProcessLock(lock_path(settings)))
        try:
            ring = secret_ring(settings)
        except ValueError as error:
            raise StartError(str(error)) from error
        if settings.embedded:
            await migrate_if_behind(settings.database_url)
        parts = open_parts(settings, clock)
        yield App(parts, roles, version, derive(ring, "usage"), started_at=clock())


async def serve(settings: Settings, roles: tuple[Role, ...], version: str) -> int:
    """``gpuscout run``: until SIGINT or SIGTERM. A second signal ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for name in SIGNALS:
        loop.add_signal_handler(name, on_signal)
    try:
        if EARLY.seen:
            return 130
        async with build(settings, roles, version) as app:
            return await app.run(stop)
    finally:
        for name in SIGNALS:
            loop.remove_signal_handler(name)
