"""Notifications as rows: joined while open, never lost between two processes, forgotten in time; and dead letters."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from storage.attempts import Arrived, Begun, DeliveryLedger, Notification
from storage.engine import Database
from storage.events import EventStore
from storage.job_model import Backoff, DeadLetter, Immediate, Linear, RetryStrategy
from storage.jobs import DEAD_JOB, JobStore
from storage.notifications import NOTIFY_JOB, NotificationStore, Target
from storage.tables import job as jobs
from storage.tables_delivery import delivery_attempt, notification_item

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Desk:
    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = AT
        self.jobs = JobStore(db, clock=lambda: self.now)
        self.store = NotificationStore(db, self.jobs)
        self.ledger = DeliveryLedger(db)

    async def add(self, key: str, **options: Any) -> str | None:
        settings: dict[str, Any] = {"item_key": key, "group_key": "member:1", "at": self.now} | options
        async with self.db.write() as conn:
            return await self.store.add(conn, Target(1), settings.pop("kind", "alert"), {"key": key}, **settings)

    async def load(self, notification_id: str | None) -> Notification:
        assert notification_id is not None
        found = await self.ledger.load(notification_id)
        assert found is not None
        return found

    async def begin(self, told: Notification, **options: Any) -> int | None:
        async with self.db.write() as conn:
            (attempt,) = await self.ledger.begin_many(conn, [Begun(told, "dm", self.now, "n1", **options)])
        return attempt

    async def count(self, table: Any) -> int:
        async with self.db.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())


@pytest.fixture
def desk(db: Database) -> Desk:
    return Desk(db)


async def test_items_join_until_it_is_begun(desk: Desk) -> None:
    first = await desk.add("a")
    assert await desk.add("b", severity="critical") == first
    assert await desk.add("a") is None  # the same cause
    told = await desk.load(first)
    assert [item["key"] for item in told.items] == ["a", "b"] and told.severity == "critical"
    assert await desk.begin(told) is not None
    second = await desk.add("c")
    assert second not in (None, first)
    assert await desk.count(jobs) == 2


async def test_what_joined_meanwhile_is_seen_before_it_is_sent(desk: Desk) -> None:
    told = await desk.load(await desk.add("a"))
    await desk.add("b")
    assert await desk.begin(told) is None
    assert await desk.count(delivery_attempt) == 0
    again = await desk.load(told.id)
    assert again.state == "sending" and len(again.items) == 2
    assert await desk.begin(again) is not None


async def test_many_begin_and_end_in_one_transaction_each_by_itself(desk: Desk) -> None:
    ids = [await desk.add(f"k{number}", group_key=f"g{number}") for number in range(5)]
    told = [await desk.load(each) for each in ids]
    await desk.add("joined", group_key="g2")
    async with desk.db.write() as conn:
        await desk.ledger.close(conn, told[3].id, "dropped")
    async with desk.db.write() as conn:
        attempts = await desk.ledger.begin_many(
            conn, [Begun(each, "dm", AT, f"n{n}", may_repeat=n == 4) for n, each in enumerate(told)]
        )
    assert [attempt is None for attempt in attempts] == [False, False, True, True, False]
    arrived = [
        Arrived(each.id, attempt, "dm", str(100 + n), AT + timedelta(seconds=n), "late" if n else None)
        for n, (each, attempt) in enumerate(zip(told, attempts, strict=True))
        if attempt is not None
    ]
    async with desk.db.write() as conn:
        await desk.ledger.sent_many(conn, arrived)
    ends = [await desk.load(each) for each in ids]
    assert [each.state for each in ends] == ["sent", "sent", "sending", "dropped", "sent"]
    assert [each.message_id for each in ends] == ["100", "101", None, None, "104"]
    assert [each.may_repeat for each in ends] == [False] * 4 + [True]
    assert ends[1].attempts[0].detail == "late" and ends[1].sent_at == AT + timedelta(seconds=1)


async def test_two_processes_that_open_the_same_group_at_once(db_url: str, desk: Desk) -> None:
    other = Desk(Database(db_url))
    try:
        both = await asyncio.gather(
            *(each.add(f"{name}{n}") for n in range(8) for name, each in (("a", desk), ("b", other)))
        )
    finally:
        await other.db.close()
    assert len(set(both)) == 1
    assert len((await desk.load(both[0])).items) == 16 and await desk.count(jobs) == 1


async def test_what_was_sent_long_ago_is_forgotten_with_its_ledger_and_what_is_owed_is_kept(desk: Desk) -> None:
    old = await desk.add("old")
    told = await desk.load(old)
    attempt = await desk.begin(told)
    assert attempt is not None
    async with desk.db.write() as conn:
        await desk.ledger.sent_many(conn, [Arrived(told.id, attempt, "dm", "1", AT)])
        await EventStore(desk.db, desk.jobs).emit(conn, "alert.triggered", {}, member_id=1, dedupe_key="e1", at=AT)
    given_up = await desk.add("given up", group_key="member:3")
    async with desk.db.write() as conn:
        await desk.ledger.close(conn, str(given_up), "failed")
    owed = await desk.add("owed")
    desk.now = AT + timedelta(days=100)
    fresh = await desk.add("fresh", group_key="member:2")
    gone = await desk.ledger.purge(
        notifications_before=desk.now - timedelta(days=90), events_before=desk.now - timedelta(days=30), batch=1
    )
    assert gone == 3
    for each in (old, given_up):
        assert each is not None and await desk.ledger.load(each) is None
    assert (await desk.load(owed)).items and (await desk.load(fresh)).items
    assert await desk.count(delivery_attempt) == 0 and await desk.count(notification_item) == 2


async def test_details_of_the_ledger_hold_no_secret(desk: Desk) -> None:
    told = await desk.load(await desk.add("a"))
    attempt = await desk.begin(told)
    assert attempt is not None
    async with desk.db.write() as conn:
        await desk.ledger.not_sent(conn, attempt, "failed", "refused: token=abcdef " + "x" * 900)
    kept = (await desk.load(told.id)).attempts[0]
    assert kept.outcome == "failed" and "abcdef" not in (kept.detail or "") and len(kept.detail or "") <= 300


# --- jobs ---


async def test_owners_are_told_of_dead_letters_once_a_kind_and_hour(desk: Desk) -> None:
    async with desk.db.write() as conn:
        for kind in ("work", "work", "other", DEAD_JOB):
            await desk.jobs.enqueue(conn, kind, {})
    for job in await desk.jobs.claim(["work", "other", DEAD_JOB], 10, 60.0):
        async with desk.db.write() as conn:
            await desk.jobs.bury(conn, job, "token=secret broke")
    told = await desk.jobs.claim([DEAD_JOB], 10, 60.0)
    assert sorted(job.payload["kind"] for job in told) == ["other", "work"]
    assert all("secret" not in job.payload["error"] for job in told)
    async with desk.db.write() as conn:
        await desk.jobs.finish_many(conn, told)
    desk.now += timedelta(hours=1)
    async with desk.db.write() as conn:
        await desk.jobs.enqueue(conn, "work", {}, max_attempts=1)
    await desk.jobs.claim(["work"], 1, 60.0)
    desk.now += timedelta(minutes=2)  # its worker is gone, at its last try
    await desk.jobs.claim(["work"], 1, 60.0)
    assert len(await desk.jobs.claim([DEAD_JOB], 10, 60.0)) == 1


async def test_the_oldest_due_job(desk: Desk) -> None:
    assert await desk.jobs.oldest_due() is None
    async with desk.db.write() as conn:
        await desk.jobs.enqueue(conn, "work", {}, run_at=AT + timedelta(minutes=1))
    assert await desk.jobs.oldest_due() is None
    desk.now += timedelta(minutes=5)
    assert await desk.jobs.oldest_due() == AT + timedelta(minutes=1)


async def test_a_job_that_sleeps_does_not_use_up_a_try(desk: Desk) -> None:
    await desk.add("a")
    for _ in range(3):
        (job,) = await desk.jobs.claim([NOTIFY_JOB], 1, 60.0)
        assert job.attempts == 1
        async with desk.db.write() as conn:
            await desk.jobs.sleep(conn, job, desk.now + timedelta(hours=1))
        assert await desk.jobs.claim([NOTIFY_JOB], 1, 60.0) == []
        desk.now += timedelta(hours=1)


async def test_the_wait_may_be_bounded_but_never_below_what_a_peer_asks_for(desk: Desk) -> None:
    async with desk.db.write() as conn:
        await desk.jobs.enqueue(conn, "work", {})
    steps = ((None, 5.0, 5.0), (30.0, 5.0, 30.0))
    for retry_after, at_most, expected in steps:
        (job,) = await desk.jobs.claim(["work"], 1, 60.0)
        async with desk.db.write() as conn:
            await desk.jobs.retry(conn, job, "x", backoff=Linear(step=600.0), retry_after=retry_after, at_most=at_most)
        kept = await desk.jobs.get(job.id)
        assert kept is not None and (kept.run_at - desk.now).total_seconds() == pytest.approx(expected, abs=1.1)
        desk.now = kept.run_at
    (job,) = await desk.jobs.claim(["work"], 1, 60.0)
    async with desk.db.write() as conn:
        assert await desk.jobs.retry(conn, job, "a defect", backoff=DeadLetter()) == "dead"


def test_kinds_of_retry() -> None:
    assert [Linear(10.0, 25.0).delay(n).total_seconds() for n in (1, 2, 3, 9)] == [10, 20, 25, 25]
    at_once = Immediate(tries=2, then=Backoff(base=8.0, cap=8.0))
    assert [at_once.delay(n).total_seconds() for n in (1, 2)] == [0, 0]
    assert 0 <= at_once.delay(3).total_seconds() <= 8
    assert at_once.delay(1, retry_after=7.0).total_seconds() == 7
    never: RetryStrategy = DeadLetter()
    assert never.delay(1) is None
