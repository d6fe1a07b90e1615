"""Rendering and posting what :mod:`gpuscout.delivery.feed` claimed."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import discord
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from config.i18n import Text, translator_for
from config.platforms import PlatformCatalogue
from gpuscout.accounts.feed_memory import read_memory
from gpuscout.accounts.feed_times import local_day
from gpuscout.accounts.servers import FeedPause, Servers, ServerSettings
from gpuscout.cards.chart_spec import POINTS, price_chart
from gpuscout.cards.feed_card import FeedFacts, daily_card, moves_card
from gpuscout.cards.kit import Card
from gpuscout.cards.price_card import ChartFile
from gpuscout.charts.alt import alt_text
from gpuscout.delivery.discord_channel import ChannelPosts, ChannelUnreachable
from gpuscout.delivery.feed import FeedJob
from gpuscout.delivery.feed_moves import change_24h, key_text
from gpuscout.delivery.ports import Charts
from gpuscout.market.models import Freshness, MarketUnavailable, freshness
from gpuscout.market.overview import MarketLine, Overview, Ranking, rank
from gpuscout.market.ports import Market
from storage.engine import Database
from storage.servers import ServerStore, feed_state_key
from storage.state import AppState

log = structlog.get_logger(__name__)

CHART_SECONDS: Final = 10.0
MOVERS, BUSIEST = 6, 4
_LEAST_MOVE = 0.0005
"""Below this a price is shown as unmoved (0.0 %)."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A post ready to send."""

    card: Card
    files: Sequence[discord.File] = ()


class FeedRenderer:
    """Makes the feed's posts from the market as it is now.

    Args:
        charts: None: posts have no chart.
        methodology: address of the page that explains the figures.
    """

    def __init__(
        self,
        market: Market,
        platforms: PlatformCatalogue,
        charts: Charts | None,
        *,
        methodology: str,
        simulated: bool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._market = market
        self._platforms = platforms
        self._charts = charts
        self._methodology = methodology
        self._simulated = simulated
        self._clock = clock

    async def overview(self) -> Overview | None:
        """The market, or None while its data are stale."""
        try:
            overview = await self._market.overview()
        except MarketUnavailable:
            return None
        band = freshness(overview.newest, self._clock(), self._market.freshness_interval())
        return overview if band is Freshness.FRESH else None

    async def daily(self, settings: ServerSettings, overview: Overview, *, test: bool = False) -> Rendered:
        """The daily post, with a chart of the server's own model, else of what moved most."""
        now = self._clock()
        t = translator_for(settings.locale)
        lines = [line for line in overview.current(now) if not line.moved_weakly("24h")]
        moved = [(abs(ratio), line) for line in lines if (ratio := change_24h(line)) is not None]
        moved = sorted((item for item in moved if item[0] >= _LEAST_MOVE), key=lambda item: (-item[0], item[1].key))
        movers = [line for _, line in moved[:MOVERS]]
        ranked = rank(overview, Ranking.UTILIZATION, now, 0.0)
        busiest = [line for line in ranked if isinstance(line, MarketLine) and not line.weak][:BUSIEST]
        gpu = settings.gpu or next((line.key.gpu for line in [*movers, *busiest]), None)
        chart = await self._chart(gpu, settings, t) if gpu is not None else None
        facts = self._facts(overview, chart, test=test)
        card = daily_card(local_day(settings, now), movers, busiest, facts, t)
        return Rendered(card, [chart[1]] if chart else [])

    async def moves(self, settings: ServerSettings, overview: Overview, keys: Sequence[str]) -> Rendered | None:
        """The post about the series *keys*; None when none of them is listed any more."""
        wanted = {key: number for number, key in enumerate(keys)}
        lines = [line for line in overview.current(self._clock()) if key_text(line.key) in wanted]
        lines = [line for line in lines if change_24h(line) is not None]
        if not lines:
            return None
        lines.sort(key=lambda line: wanted[key_text(line.key)])
        t = translator_for(settings.locale)
        chart = await self._chart(lines[0].key.gpu, settings, t, lines[0].key.platform)
        roles = settings.roles if settings.feed.ping else ()
        facts = self._facts(overview, chart, roles=roles)
        return Rendered(moves_card(lines, settings.feed.threshold, facts, t), [chart[1]] if chart else [])

    def _facts(
        self,
        overview: Overview,
        chart: tuple[ChartFile, discord.File] | None,
        *,
        test: bool = False,
        roles: Sequence[int] = (),
    ) -> FeedFacts:
        known = [(slug, self._platforms.source(slug)) for slug in overview.sources]
        return FeedFacts(
            sources=[(source.name, source.url) if source else (slug, None) for slug, source in known],
            methodology=self._methodology,
            platform_names={platform.slug: platform.name for platform in self._platforms.platforms},
            as_of=overview.newest,
            simulated=self._simulated,
            test=test,
            roles=roles,
            chart=chart[0] if chart else None,
        )

    async def _chart(
        self, gpu: str, settings: ServerSettings, t: Text, platform: str | None = None
    ) -> tuple[ChartFile, discord.File] | None:
        """A week of one model, or None: a post without a picture is still a post."""
        if self._charts is None:
            return None
        try:
            async with asyncio.timeout(CHART_SECONDS):
                view = await self._market.price(gpu, platform=platform)
                end = view.quote.at
                history = await self._market.history(view.quote.key, end - timedelta(days=7), end, points=POINTS)
                known = self._platforms.get(view.platform)
                name = known.name if known else view.platform
                spec = price_chart(history, view, name, t, timezone=settings.timezone)
                image = await self._charts.render(spec)
        except Exception:
            log.warning("feed_without_chart", gpu=gpu, exc_info=True)
            return None
        file = ChartFile(f"market-7d.{image.extension}", alt_text(spec))
        return file, discord.File(io.BytesIO(image.data), filename=file.filename, description=file.alt[:1024])


class FeedPoster:
    """Posts claimed slots.

    Args:
        channels: the sender; None where no token is set.
    """

    def __init__(
        self,
        db: Database,
        store: ServerStore,
        servers: Servers,
        state: AppState,
        renderer: FeedRenderer,
        channels: Callable[[], Awaitable[ChannelPosts | None]],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._store = store
        self._servers = servers
        self._state = state
        self._renderer = renderer
        self._channels = channels
        self._clock = clock

    async def post(self, payload: Mapping[str, Any], finish: Callable[[AsyncConnection], Awaitable[None]]) -> str:
        """Post one claimed slot; returns what was done: ``sent``, ``paused`` or why it was dropped.

        Args:
            finish: ends the job in the transaction that notes the message or the pause.

        Raises:
            gpuscout.delivery.ports.DeliveryFailed: try again later.
        """
        job = FeedJob.model_validate(payload)
        outcome = await self._obstacle(job)
        if outcome is not None:
            log.info("feed_post_dropped", guild=job.guild_id, slot=job.slot, reason=outcome)
            return outcome
        settings = await self._servers.read(job.guild_id)
        overview = await self._renderer.overview()
        if overview is None:
            await self._silence(job)
            return "stale"
        rendered = (
            await self._renderer.daily(settings, overview)
            if job.kind == "daily"
            else await self._renderer.moves(settings, overview, job.keys)
        )
        channels = await self._channels() if rendered is not None else None
        if rendered is None or channels is None:
            log.info("feed_post_dropped", guild=job.guild_id, slot=job.slot, reason="nothing to say, or no token")
            return "nothing"
        roles = settings.roles if job.kind == "moves" and settings.feed.ping else ()
        try:
            message = await channels.post(job.channel_id, rendered.card, rendered.files, nonce_of(job), roles)
        except ChannelUnreachable as error:
            await self._pause(job, error, finish)
            return "paused"
        async with self._db.write() as conn:
            await self._store.sent(conn, job.guild_id, job.slot, message)
            await finish(conn)
        log.info("feed_posted", guild=job.guild_id, slot=job.slot, message=message)
        return "sent"

    async def _obstacle(self, job: FeedJob) -> str | None:
        """Why the post is not wanted any more, or None."""
        known = await self._store.get(job.guild_id)
        claimed = await self._store.post_of(job.guild_id, job.slot)
        if known is None or known.erase_at is not None or claimed is None:
            return "gone"
        if claimed.message_id is not None:
            return "sent before"
        feed = (await self._servers.read(job.guild_id)).feed
        wanted = feed.daily if job.kind == "daily" else feed.moves
        if not wanted or not feed.running or feed.channel_id != job.channel_id:
            return "not wanted any more"
        return "too late" if self._clock() > job.expires else None

    async def _silence(self, job: FeedJob) -> None:
        """The data became stale since the claim: the post does not come, and ``/server show`` says so."""
        key = feed_state_key(job.guild_id)
        memory = read_memory(await self._state.get(key)).silenced(self._clock())
        await self._state.set(key, memory.model_dump(mode="json"))
        log.info("feed_post_dropped", guild=job.guild_id, slot=job.slot, reason="stale data")

    async def _pause(
        self, job: FeedJob, error: ChannelUnreachable, finish: Callable[[AsyncConnection], Awaitable[None]]
    ) -> None:
        """Stop the feed until an admin looks: asking again would only count against Discord's limits."""
        pause = FeedPause(reason=error.reason, at=self._clock())

        def paused(settings: ServerSettings) -> ServerSettings:
            same = settings.feed.channel_id == job.channel_id
            return settings.with_feed(paused=pause.model_dump()) if same else settings

        async with self._db.write() as conn:
            await self._servers.change(job.guild_id, paused, conn)
            await finish(conn)
        log.warning("feed_paused", guild=job.guild_id, channel=job.channel_id, reason=error.reason, detail=str(error))


def nonce_of(job: FeedJob) -> str:
    """The same for every try of one slot, so that a repeat whose answer was lost is not posted twice."""
    return hashlib.sha256(f"{job.guild_id}:{job.slot}".encode()).hexdigest()[:24]
