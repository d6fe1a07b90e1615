"""The job table against a model in memory: any order of orders, same states, same claims."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select

from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import Job
from storage.jobs import JobStore
from storage.tables import job as job_table

T = TypeVar("T")
T0 = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = 30


@dataclass
class Expected:
    id: int
    key: str | None
    run_at: datetime
    max_attempts: int
    state: str = "ready"
    attempts: int = 0
    until: datetime | None = None


class Machine(RuleBasedStateMachine):
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = T0
        self.expected: dict[int, Expected] = {}
        self.dedupe: set[str] = set()
        self.held: list[Job] = []
        self.db = self.do(self.open())
        self.store = JobStore(self.db, clock=lambda: self.now)

    async def open(self) -> Database:
        db = Database(self.url)
        async with db.write() as conn:
            await conn.execute(delete(job_table))
        return db

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.db.close())
        self.runner.close()

    # --- orders

    @rule(
        key=st.sampled_from([None, None, "a", "b"]),
        dedupe=st.sampled_from([None, None, None, "x", "y"]),
        delay=st.integers(-20, 60),
        tries=st.integers(1, 3),
    )
    def enqueue(self, key: str | None, dedupe: str | None, delay: int, tries: int) -> None:
        run_at = self.now + timedelta(seconds=delay)

        async def work() -> int | None:
            async with self.db.write() as conn:
                return await self.store.enqueue(
                    conn, "work", {}, concurrency_key=key, dedupe_key=dedupe, run_at=run_at, max_attempts=tries
                )

        job_id = self.do(work())
        assert (job_id is None) == (dedupe in self.dedupe)
        if job_id is not None:
            self.expected[job_id] = Expected(job_id, key, run_at, tries)
            if dedupe is not None:
                self.dedupe.add(dedupe)

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        for job in self.expected.values():
            if job.state == "running" and job.until is not None and job.until <= self.now:
                self.give_up(job)
        due = sorted(
            (j for j in self.expected.values() if j.state == "ready" and j.run_at <= self.now),
            key=lambda j: (j.run_at, j.id),
        )
        busy = {j.key for j in self.expected.values() if j.state == "running"} - {None}
        oldest = {key: min(j.id for j in due if j.key == key) for key in {j.key for j in due}}
        chosen = [j for j in due if j.key is None or (j.key not in busy and oldest[j.key] == j.id)][:limit]
        for job in chosen:
            job.state, job.attempts, job.until = "running", job.attempts + 1, self.now + timedelta(seconds=LEASE)
        claimed = self.do(self.store.claim(["work"], limit, LEASE))
        assert [(j.id, j.attempts) for j in claimed] == [(j.id, j.attempts) for j in chosen]
        self.held.extend(claimed)

    @rule(pick=st.integers(0, 99), how=st.sampled_from(["finish", "retry", "bury", "release", "renew"]))
    def settle(self, pick: int, how: str) -> None:
        """Also with jobs whose lease was lost long ago: those must be refused."""
        if not self.held:
            return
        job = self.held[pick % len(self.held)]
        ours = self.expected[job.id]
        valid = ours.state == "running" and ours.attempts == job.attempts and job in self.held
        try:
            self.do(self.order(how, job))
        except LeaseLost:
            assert not valid
            return
        assert valid
        if how == "renew":
            ours.until = self.now + timedelta(seconds=LEASE)
            return
        self.held.remove(job)
        if how == "finish":
            ours.state = "done"
        elif how == "bury" or (how == "retry" and ours.attempts >= ours.max_attempts):
            ours.state = "dead"
        else:
            ours.state = "ready"
            if how == "retry":
                ours.run_at = self.now + timedelta(seconds=5)
            else:
                # The attempt is not counted, so that a stale copy of the job would look valid to this model.
                ours.attempts -= 1
                self.held = [j for j in self.held if j.id != job.id]

    async def order(self, how: str, job: Job) -> None:
        if how == "renew":
            await self.store.renew(job, LEASE)
            return
        async with self.db.write() as conn:
            if how == "finish":
                await self.store.finish(conn, job)
            elif how == "retry":
                await self.store.retry(conn, job, "failed", delay=timedelta(seconds=5))
            elif how == "bury":
                await self.store.bury(conn, job, "hopeless")
            else:
                await self.store.release(conn, job)

    @rule(pick=st.integers(0, 99), discard=st.booleans())
    def operator(self, pick: int, discard: bool) -> None:
        if not self.expected:
            return
        job = list(self.expected.values())[pick % len(self.expected)]
        done = self.do(self.store.discard(job.id) if discard else self.store.requeue(job.id))
        assert done == (job.state == "dead")
        if done:
            job.state = "discarded" if discard else "ready"
            if not discard:
                job.run_at, job.attempts = self.now, 0
                self.held = [j for j in self.held if j.id != job.id]

    @rule()
    def restart(self) -> None:
        for job in self.expected.values():
            if job.state == "running":
                self.give_up(job)
        self.do(self.store.release_all())

    @staticmethod
    def give_up(job: Expected) -> None:
        job.state, job.until = ("dead" if job.attempts >= job.max_attempts else "ready"), None

    # --- what must hold

    @invariant()
    def states_agree(self) -> None:
        async def look() -> list[Any]:
            async with self.db.read() as conn:
                return list(
                    await conn.execute(
                        # A dead letter makes a job of its own, which tells the owners.
                        select(job_table.c.id, job_table.c.state, job_table.c.attempts, job_table.c.run_at).where(
                            job_table.c.kind == "work"
                        )
                    )
                )

        found = {row.id: (row.state, row.attempts, row.run_at) for row in self.do(look())}
        assert found == {j.id: (j.state, j.attempts, j.run_at) for j in self.expected.values()}

    @invariant()
    def next_is_when_something_can_be_claimed(self) -> None:
        running = [j for j in self.expected.values() if j.state == "running"]
        busy = {j.key for j in running} - {None}
        times = [j.until for j in running if j.until is not None]
        times += [j.run_at for j in self.expected.values() if j.state == "ready" and j.key not in busy]
        assert self.do(self.store.next_run_at(["work"])) == min(times, default=None)


def test_any_order_of_orders(db_url: str) -> None:
    class Bound(Machine):
        url = db_url

    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
