"""One holder at a time, and a fence that grows with every change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from storage.engine import Database
from storage.errors import LeaseLost
from storage.leases import LeaseStore
from storage.state import AppState


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


async def test_taken_kept_lost_and_taken_over(db: Database) -> None:
    clock = Clock()
    leases = LeaseStore(db, clock=clock)
    one = await leases.acquire("scheduler", "one", 30)
    assert one is not None
    assert (one.fence, one.until) == (1, clock.now + timedelta(seconds=30))
    assert await leases.acquire("scheduler", "two", 30) is None
    assert (await leases.acquire("elsewhere", "two", 30)) is not None

    clock.pass_(20)
    one = await leases.renew(one, 30)
    assert one is not None
    clock.pass_(29)
    assert await leases.acquire("scheduler", "two", 30) is None
    again = await leases.acquire("scheduler", "one", 30)
    assert again is not None
    assert again.fence == 1

    clock.pass_(30)
    assert await leases.renew(again, 30) is None
    two = await leases.acquire("scheduler", "two", 30)
    assert two is not None
    assert two.fence == 2
    assert await leases.renew(again, 30) is None
    await leases.release(again)  # no longer ours: nothing happens
    assert await leases.acquire("scheduler", "three", 30) is None

    await leases.release(two)
    three = await leases.acquire("scheduler", "three", 30)
    assert three is not None
    assert three.fence == 3


async def test_the_same_name_after_a_lapse_is_a_new_holder(db: Database) -> None:
    clock = Clock()
    leases = LeaseStore(db, clock=clock)
    old = await leases.acquire("scheduler", "host", 30)
    clock.pass_(31)
    new = await leases.acquire("scheduler", "host", 30)
    assert old is not None
    assert new is not None
    assert new.fence == old.fence + 1
    assert await leases.renew(old, 30) is None


async def test_of_many_at_once_one_gets_it(db: Database) -> None:
    leases = LeaseStore(db)
    got = await asyncio.gather(*(leases.acquire("scheduler", f"h{n}", 30) for n in range(10)))
    assert len([lease for lease in got if lease is not None]) == 1


async def test_a_write_can_depend_on_it(db: Database) -> None:
    clock = Clock()
    leases, state = LeaseStore(db, clock=clock), AppState(db)
    lease = await leases.acquire("scheduler", "one", 30)
    assert lease is not None
    async with db.write() as conn:
        await leases.check(conn, lease)
        await state.set("tick", 1, conn=conn)
    clock.pass_(30)
    with pytest.raises(LeaseLost):
        async with db.write() as conn:
            await state.set("tick", 2, conn=conn)
            await leases.check(conn, lease)
    assert await state.get("tick") == 1
