"""Webhooks from an event to a receiver on loopback, under a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.parts import Parts, open_parts
from bot.webhook_role import WebhookWork, make_webhooks
from bot.worker import JobRun
from config.settings import Settings
from gpuscout.delivery.webhooks import Webhooks
from gpuscout.plans.tiers import EveryoneFree, Tier
from gpuscout.resilience.public_connect import WITH_LOOPBACK
from sandbox.webhooks import WebhookReceiver
from storage.events import EventName, EventStore
from storage.notifications import NOTIFY_JOB
from storage.tables import job as jobs_table
from storage.tables_delivery import notification, notification_item
from storage.webhooks_deliveries import DeliveryStore
from tests.market.helpers import FakeClock

ALICE, BOB, GUILD = 111, 222, 900
MINE, YOURS, SERVERS = ("member:111",), ("member:222",), ("guild:900",)
SECRET_KEY = "a-secret-that-is-long-enough"


class Tiers(EveryoneFree):
    """Everybody on a tier of the test's choice."""

    chosen: Tier = "professional"

    async def tier(self, member_id: int) -> Tier:
        return self.chosen


@dataclass
class Desk:
    """The rows, what members do, and the worker's handlers."""

    parts: Parts
    clock: FakeClock
    webhooks: Webhooks
    work: WebhookWork
    tiers: Tiers
    deliveries: DeliveryStore
    events: EventStore
    woken: list[None] = field(default_factory=list)

    async def emit(self, event: EventName, data: dict[str, Any], member: int | None, key: str | None = None) -> str:
        async with self.parts.db.write() as conn:
            found = await self.events.emit(
                conn, event, data, member_id=member, dedupe_key=key or f"{event}:{self.clock.now}", at=self.clock.now
            )
        assert found is not None
        return found

    async def run(self) -> int:
        """Run every job that is due, until none is; returns how many."""
        count = 0
        while found := await self.parts.jobs.claim(tuple(self.work.handlers), 20, 60):
            for job in found:
                run = JobRun(job, self.parts.jobs)
                await self.work.handlers[job.kind](run)
                if not run.finished:
                    async with self.parts.db.write() as conn:
                        await run.finish(conn)
                count += 1
        return count

    async def jobs(self, kind: str) -> list[Any]:
        async with self.parts.db.read() as conn:
            return list(await conn.execute(select(jobs_table).where(jobs_table.c.kind == kind).order_by("id")))

    async def notices(self) -> list[dict[str, Any]]:
        async with self.parts.db.read() as conn:
            rows = await conn.execute(
                select(notification.c.member_id, notification_item.c.payload).join(
                    notification, notification.c.id == notification_item.c.notification_id
                )
            )
            return [{"member": row.member_id, **row.payload} for row in rows]

    def later(self, **span: float) -> datetime:
        self.clock.now += timedelta(**span)
        return self.clock.now


def settings_for(url: str, folder: Path, secret_key: str = SECRET_KEY) -> Settings:
    return Settings(_env_file=None, database_url=url, data_dir=folder, secret_key=secret_key, redis_url=None)


@asynccontextmanager
async def open_desk(url: str, folder: Path, clock: FakeClock) -> AsyncIterator[Desk]:
    """A desk on a database with all tables."""
    parts = open_parts(settings_for(url, folder), clock)
    tiers = Tiers()
    woken: list[None] = []
    work = WebhookWork(parts, WITH_LOOPBACK)
    yield Desk(
        parts,
        clock,
        make_webhooks(parts, tiers=tiers, rules=WITH_LOOPBACK, wake=lambda: woken.append(None)),
        work,
        tiers,
        DeliveryStore(parts.db, parts.jobs),
        EventStore(parts.db, parts.jobs),
        woken,
    )
    await work.stop()
    await parts.aclose()


@pytest.fixture
async def desk(db_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    # Near the real time, which the receiver's package judges signatures by.
    async with open_desk(db_url, tmp_path, FakeClock(datetime.now(UTC).replace(microsecond=0))) as found:
        yield found


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as found:
        yield found


__all__ = ["ALICE", "BOB", "GUILD", "MINE", "NOTIFY_JOB", "SERVERS", "YOURS", "Desk", "settings_for"]
