"""The worker role's part of the market feed and of erasure: handlers, and how often they are due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from bot.parts import Parts
from bot.worker import Handler, JobFailed, JobRun
from gpuscout.accounts.erasure import ERASE_JOB, erase_due
from gpuscout.accounts.servers import Servers
from gpuscout.delivery.discord_channel import ChannelPosts
from gpuscout.delivery.feed import PLAN_JOB, POST_JOB, FeedPlanner
from gpuscout.delivery.feed_post import FeedPoster, FeedRenderer
from gpuscout.delivery.ports import Charts, DeliveryFailed
from gpuscout.market.ports import Market
from storage.job_model import Backoff
from storage.servers import ServerStore

PLAN_EVERY = timedelta(minutes=5)
ERASE_EVERY = timedelta(hours=1)
FEED_BACKOFF = {POST_JOB: Backoff(base=15.0, cap=900.0)}
"""A post may wait out an outage of Discord's; after its own time (``FeedJob.expires``) it is dropped."""


def feed_schedule(parts: Parts) -> dict[str, timedelta]:
    """Jobs of the worker role that are due again and again: a look at the feeds with each market update, or more."""
    return {PLAN_JOB: min(parts.interval, PLAN_EVERY), ERASE_JOB: ERASE_EVERY}


def make_renderer(parts: Parts, market: Market, charts: Charts | None) -> FeedRenderer:
    """What draws the feed's posts."""
    return FeedRenderer(
        market,
        parts.platforms,
        charts,
        methodology=f"{parts.settings.public_url}/methodology",
        simulated=parts.settings.simulated,
        clock=parts.clock,
    )


def feed_handlers(
    parts: Parts,
    market: Market,
    charts: Charts | None,
    channels: Callable[[], Awaitable[ChannelPosts | None]],
    wake: Callable[[], None],
) -> dict[str, Handler]:
    """Handlers of the feed and of erasure.

    Args:
        channels: the sender; None where no token is set.
        wake: called when a look added jobs.
    """
    store = ServerStore(parts.db)
    planner = FeedPlanner(parts.db, parts.jobs, store, parts.state, market, clock=parts.clock)
    poster = FeedPoster(
        parts.db,
        store,
        Servers(store, clock=parts.clock),
        parts.state,
        make_renderer(parts, market, charts),
        channels,
        clock=parts.clock,
    )

    async def plan(_run: JobRun) -> None:
        if await planner.plan():
            wake()

    async def post(run: JobRun) -> None:
        try:
            await poster.post(run.job.payload, run.finish)
        except DeliveryFailed as error:
            raise JobFailed(str(error), permanent=error.permanent, retry_after=error.retry_after) from error

    async def erase(_run: JobRun) -> None:
        await erase_due(store, parts.clock)

    return {PLAN_JOB: plan, POST_JOB: post, ERASE_JOB: erase}
