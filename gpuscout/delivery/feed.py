"""The market feed of servers: what is due is claimed here, and posted by :mod:`gpuscout.delivery.feed_post`.

A look (:data:`PLAN_JOB`) claims a slot and adds the job that posts it in one transaction, so a slot is posted once
however often the look is repeated, and a process that dies between the two leaves neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.accounts.feed_memory import FeedMemory, read_memory
from gpuscout.accounts.feed_times import LATEST, day_start, due_day, local_day
from gpuscout.accounts.servers import ACTIVE_MODES, ServerSettings, read_settings
from gpuscout.delivery.feed_moves import big_moves, key_text, tell
from gpuscout.market.models import Freshness, MarketUnavailable, freshness
from gpuscout.market.overview import MarketLine, Overview
from gpuscout.market.ports import Market
from storage.engine import Database
from storage.jobs import JobStore
from storage.servers import ServerStore, StoredServer, feed_state_key
from storage.state import AppState

log = structlog.get_logger(__name__)

PLAN_JOB: Final = "feed.plan"
POST_JOB: Final = "feed.post"
POST_ATTEMPTS: Final = 8
MOVES_LATEST: Final = timedelta(hours=1)
"""How late a post about moves may come; then it is no news any more."""


class FeedJob(BaseModel):
    """Payload of ``feed.post``. ``keys`` are the series of a post about moves."""

    model_config = ConfigDict(frozen=True)

    guild_id: int
    slot: str
    kind: Literal["daily", "moves"]
    channel_id: int
    expires: AwareDatetime
    keys: tuple[str, ...] = ()


class FeedPlanner:
    """Looks which servers' feeds are due."""

    def __init__(
        self,
        db: Database,
        jobs: JobStore,
        servers: ServerStore,
        state: AppState,
        market: Market,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._servers = servers
        self._state = state
        self._market = market
        self._clock = clock

    async def plan(self) -> int:
        """One look at all feeds; returns how many posts were claimed. One server's trouble stops no other's."""
        servers = await self._servers.with_feed(ACTIVE_MODES)
        if not servers:
            return 0
        overview = await self._fresh_overview()
        claimed = 0
        for server in servers:
            settings = read_settings(server.settings, server.guild_id)
            if not settings.feed.running:
                continue
            try:
                claimed += await self._look(server, settings, overview)
            except Exception:
                log.exception("feed_look_failed", guild=server.guild_id)
        return claimed

    async def _fresh_overview(self) -> Overview | None:
        """The market, or None while its data are stale: then nothing is posted."""
        try:
            overview = await self._market.overview()
        except MarketUnavailable:
            return None
        band = freshness(overview.newest, self._clock(), self._market.freshness_interval())
        return overview if band is Freshness.FRESH else None

    async def _look(self, server: StoredServer, settings: ServerSettings, overview: Overview | None) -> int:
        now = self._clock()
        day = due_day(settings, now) if settings.feed.daily else None
        if day is not None and await self._servers.post_of(server.guild_id, f"daily:{day}") is not None:
            day = None
        stored = read_memory(await self._state.get(feed_state_key(server.guild_id)))
        if overview is None:
            if day is not None or settings.feed.moves:
                await self._remember(server.guild_id, stored, stored.silenced(now))
            return 0
        moves: Sequence[MarketLine] = ()
        memory = stored.speaking()
        if settings.feed.moves:
            moves, memory = big_moves(overview.current(now), settings.feed.threshold, memory, now)
        if day is None and not moves:
            await self._remember(server.guild_id, stored, memory)
            return 0
        async with self._db.write() as conn:
            claimed = 0
            if day is not None:
                job = FeedJob(
                    guild_id=server.guild_id,
                    slot=f"daily:{day}",
                    kind="daily",
                    channel_id=settings.feed.channel_id or 0,
                    expires=now + LATEST,
                )
                claimed += await self._claim(conn, settings, job, now)
            if moves:
                job = FeedJob(
                    guild_id=server.guild_id,
                    slot=f"moves:{overview.newest:%Y-%m-%dT%H:%M:%S}",
                    kind="moves",
                    channel_id=settings.feed.channel_id or 0,
                    expires=now + MOVES_LATEST,
                    keys=tuple(key_text(line.key) for line in moves),
                )
                if await self._claim(conn, settings, job, now):
                    claimed += 1
                    memory = tell(memory, moves, now)
            if memory != stored:
                await self._state.set(feed_state_key(server.guild_id), memory.model_dump(mode="json"), conn=conn)
        return claimed

    async def _claim(self, conn: AsyncConnection, settings: ServerSettings, job: FeedJob, now: datetime) -> bool:
        """Claim the slot and add its job, if the server's daily number allows it."""
        used = await self._servers.claimed_since(conn, job.guild_id, day_start(settings, now))
        left = settings.feed.max_posts - used
        if job.kind == "moves" and settings.feed.daily and not await self._daily_claimed(conn, settings, job, now):
            left -= 1  # today's daily post keeps its place
        if left < 1:
            log.info("feed_enough_for_today", guild=job.guild_id, slot=job.slot)
            return False
        if not await self._servers.claim_post(conn, job.guild_id, job.slot, job.channel_id, now):
            return False
        payload: dict[str, Any] = job.model_dump(mode="json")
        await self._jobs.enqueue(
            conn,
            POST_JOB,
            payload,
            dedupe_key=f"{POST_JOB}:{job.guild_id}:{job.slot}",
            concurrency_key=f"feed:{job.guild_id}",
            max_attempts=POST_ATTEMPTS,
        )
        return True

    async def _daily_claimed(
        self, conn: AsyncConnection, settings: ServerSettings, job: FeedJob, now: datetime
    ) -> bool:
        return await self._servers.is_claimed(conn, job.guild_id, f"daily:{local_day(settings, now)}")

    async def _remember(self, guild_id: int, before: FeedMemory, now: FeedMemory) -> None:
        if before != now:
            await self._state.set(feed_state_key(guild_id), now.model_dump(mode="json"))
