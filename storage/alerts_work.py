"""What makes alerts be looked at: updates to evaluate, and members whose holdings or watchlist changed.

Both are written in the transaction that causes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.jobs import JobStore
from storage.tables import market_update, source
from storage.tables_alerts import alert_rule, alert_trigger, alert_work

EVALUATE_JOB: Final = "alerts.evaluate"
SYNC_JOB: Final = "alerts.sync"


class StoredUpdate(NamedTuple):
    """An update that was just stored, and the source time of its oldest quote (epoch seconds)."""

    update_id: int
    oldest: int


async def enqueue_evaluation(
    conn: AsyncConnection, db: Database, jobs: JobStore, updates: Sequence[StoredUpdate], at: datetime
) -> None:
    """Note the updates of one ingest cycle and add the job that evaluates them, inside the caller's transaction."""
    if not updates:
        return
    cycle = max(update.update_id for update in updates)
    await conn.execute(
        db.insert(alert_work).on_conflict_do_nothing(index_elements=["update_id"]),
        [{"update_id": u.update_id, "cycle": cycle, "oldest": u.oldest, "stored_at": at} for u in updates],
    )
    await jobs.enqueue(
        conn,
        EVALUATE_JOB,
        {"cycle": cycle},
        dedupe_key=f"{EVALUATE_JOB}:{cycle}",
        concurrency_key=EVALUATE_JOB,
    )


async def enqueue_sync(conn: AsyncConnection, jobs: JobStore, member_id: int) -> None:
    """Fit the member's rules to his holdings and watchlist, once the caller's transaction is committed."""
    await jobs.enqueue(conn, SYNC_JOB, {"member": member_id}, concurrency_key=f"{SYNC_JOB}:{member_id}")


class WatchlistSync:
    """Called inside each transaction that changes a member's watchlist."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    async def __call__(self, conn: AsyncConnection, member_id: int) -> None:
        """See :func:`enqueue_sync`; nothing where no rule follows the list."""
        follows = select(alert_rule.c.id).where(
            alert_rule.c.owner == f"m:{member_id}", alert_rule.c.scope == "watchlist", alert_rule.c.state == "active"
        )
        if (await conn.execute(follows.limit(1))).first() is not None:
            await enqueue_sync(conn, self._jobs, member_id)


class AlertSync:
    """Called inside each transaction that changes a member's holdings (``storage.holdings.OnChange``)."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    async def __call__(self, conn: AsyncConnection, member_id: int) -> None:
        """See :func:`enqueue_sync`.

        What a member changes himself is no move of his fleet: rules about its earnings begin anew.
        """
        fleet = select(alert_rule.c.id).where(alert_rule.c.owner == f"m:{member_id}", alert_rule.c.kind == "fleet")
        await conn.execute(delete(alert_trigger).where(alert_trigger.c.rule_id.in_(fleet)))
        follows = select(alert_rule.c.id).where(
            alert_rule.c.owner == f"m:{member_id}", alert_rule.c.scope == "portfolio", alert_rule.c.state == "active"
        )
        if (await conn.execute(follows.limit(1))).first() is not None:
            await enqueue_sync(conn, self._jobs, member_id)


class WorkRow(NamedTuple):
    """An update to evaluate. Times are epoch seconds, except for ``fetched_at`` and ``stored_at``."""

    update_id: int
    cycle: int
    oldest: int
    at: int
    source: str
    feed: str
    read: int
    fetched_at: datetime
    stored_at: datetime


async def waiting_work(db: Database) -> list[WorkRow]:
    """Every update that waits to be evaluated, oldest cycle first."""
    query = (
        select(
            alert_work.c.update_id,
            alert_work.c.cycle,
            alert_work.c.oldest,
            market_update.c.source_time_ms.label("ms"),
            source.c.slug,
            market_update.c.feed,
            market_update.c.read,
            market_update.c.fetched_at,
            alert_work.c.stored_at,
        )
        .join(market_update, market_update.c.id == alert_work.c.update_id)
        .join(source, source.c.id == market_update.c.source_id)
        .order_by(alert_work.c.cycle, alert_work.c.update_id)
    )
    async with db.read() as conn:
        return [
            WorkRow(r.update_id, r.cycle, r.oldest, r.ms // 1000, r.slug, r.feed, r.read, r.fetched_at, r.stored_at)
            for r in await conn.execute(query)
        ]


async def work_done(conn: AsyncConnection, cycle: int) -> None:
    """Forget a cycle that is evaluated."""
    await conn.execute(delete(alert_work).where(alert_work.c.cycle == cycle))
