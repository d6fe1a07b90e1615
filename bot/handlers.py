"""What each kind of job does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from bot.parts import Parts
from bot.scheduler import INGEST_JOB, TRENDS_JOB
from bot.worker import Handler, JobFailed, JobRun
from gpuscout.delivery.notices import (
    DM_JOB,
    render_dead,
    render_notice,
    send_direct_message,
    spread,
)
from gpuscout.delivery.ports import DeliveryFailed, DirectMessages
from gpuscout.market.fallback import Cycle
from gpuscout.market.fix import DailyFixes
from gpuscout.market.ingest import NOTICE_JOB, ROLLUP_JOB, IngestReport
from gpuscout.market.trends import Trends
from storage.jobs import DEAD_JOB

log = structlog.get_logger(__name__)

JOBS_KEPT = timedelta(days=3)
"""How long finished jobs stay readable (and their keys keep a second copy away)."""


def market_handlers(
    parts: Parts, ingest: Cycle, trends: Trends, on_report: Callable[[IngestReport], None]
) -> dict[str, Handler]:
    """Handlers of the ingest role."""
    fixes = DailyFixes(parts.store, parts.state, clock=parts.clock)

    async def run_ingest(_run: JobRun) -> None:
        on_report(await ingest.run())

    async def roll_up(run: JobRun) -> None:
        await trends.roll_hours(int(run.job.payload["until"]))

    async def run_trends(_run: JobRun) -> None:
        # Before the purge: a fix is computed from raw quotes.
        await fixes.run()
        await trends.run()
        await parts.jobs.purge_done(JOBS_KEPT)
        await parts.db.checkpoint()

    return {INGEST_JOB: run_ingest, ROLLUP_JOB: roll_up, TRENDS_JOB: run_trends}


def delivery_handlers(parts: Parts, sender: Callable[[], Awaitable[DirectMessages | None]]) -> dict[str, Handler]:
    """Handlers of the worker role.

    Args:
        sender: the DM sender, or None where no token is set (then a notice is only logged).
    """

    async def notice(run: JobRun) -> None:
        await tell(run, render_notice(run.job.payload))

    async def dead(run: JobRun) -> None:
        await tell(run, render_dead(run.job.payload))

    async def tell(run: JobRun, content: str) -> None:
        try:
            messages = await sender()
            owners = await messages.owner_ids() if messages is not None else []
        except DeliveryFailed as error:
            raise _job_failure(error) from error
        if not owners:
            reason = "DISCORD_TOKEN is not set" if messages is None else "the application has no owner who could hear"
            log.warning("operator_notice_undelivered", reason=reason, text=content)
        async with parts.db.write() as conn:
            await spread(conn, parts.jobs, content, owners, run.job.id)
            await run.finish(conn)

    async def direct_message(run: JobRun) -> None:
        try:
            messages = await sender()
            if messages is None:
                raise JobFailed("DISCORD_TOKEN is not set, so no DM can be sent", permanent=True)
            await send_direct_message(messages, run.job.payload, run.job.id)
        except DeliveryFailed as error:
            raise _job_failure(error) from error

    return {NOTICE_JOB: notice, DEAD_JOB: dead, DM_JOB: direct_message}


def _job_failure(error: DeliveryFailed) -> JobFailed:
    return JobFailed(str(error), permanent=error.permanent, retry_after=error.retry_after)
