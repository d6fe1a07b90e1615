"""kill -9 at the worst moments: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import signal

import pytest

from storage.engine import Database
from storage.errors import AlreadyRunning
from storage.jobs import JobStore
from storage.leases import LeaseStore
from storage.lockfile import SingleProcessLock
from storage.state import AppState
from tests.services import python_process

WORKER = """
import asyncio, sys
from storage.engine import Database
from storage.jobs import JobStore
from storage.state import AppState

async def main(url, hang):
    db = Database(url)
    store, state = JobStore(db), AppState(db)
    while True:
        for job in await store.claim(["work"], 3, 1.0):
            if hang == "before":
                print(job.id, flush=True)
                await asyncio.sleep(60)
            async with db.write() as conn:
                await state.bump_version(conn, f"effect-{job.id}")
                if hang == "inside":
                    print(job.id, flush=True)
                    await asyncio.sleep(60)
                await store.finish(conn, job)
                if hang == "after":
                    print(job.id, flush=True)
                    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
async def test_a_killed_worker_loses_and_doubles_nothing(db_url: str, moment: str) -> None:
    db = Database(db_url)
    store, state = JobStore(db), AppState(db)
    try:
        async with db.write() as conn:
            ids = [await store.enqueue(conn, "work", {}, concurrency_key=f"k{n % 4}") for n in range(8)]
        worker = await python_process(WORKER, db_url, moment)
        assert worker.stdout is not None
        async with asyncio.timeout(90):
            caught = await worker.stdout.readline()
        assert caught.strip(), (await worker.communicate())[1].decode()
        worker.send_signal(signal.SIGKILL)
        await worker.communicate()

        assert (await store.counts())["done"] == 0
        async with asyncio.timeout(90):
            while (await store.counts())["done"] < len(ids):
                for job in await store.claim(["work"], 5, 30):
                    async with db.write() as conn:
                        await state.bump_version(conn, f"effect-{job.id}")
                        await store.finish(conn, job)
                await asyncio.sleep(0.02)
        assert [await state.version(f"effect-{i}") for i in ids] == [1] * len(ids)
        killed = await store.get(int(caught))
        assert killed is not None
        assert killed.attempts == 2
    finally:
        await db.close()


LOCKER = """
import sys, time
from storage.lockfile import SingleProcessLock
with SingleProcessLock(sys.argv[1]):
    import os
    if len(sys.argv) > 2 and os.fork() == 0:
        os.close(1), os.close(2)
        time.sleep(10)
        os._exit(0)
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("forked", [False, True])
async def test_the_process_lock_names_its_owner_and_ends_with_it(
    tmp_path_factory: pytest.TempPathFactory, forked: bool
) -> None:
    path = tmp_path_factory.mktemp("lock") / "sub" / "gpuscout.lock"
    owner = await python_process(LOCKER, str(path), *(["fork"] if forked else []))
    assert owner.stdout is not None
    pid = (await owner.stdout.readline()).decode().strip()
    with pytest.raises(AlreadyRunning, match=rf"process {pid} holds") as caught:
        SingleProcessLock(path).acquire()
    assert "\n" not in str(caught.value)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    with SingleProcessLock(path) as lock:
        lock.acquire()  # again: nothing to do
        with pytest.raises(AlreadyRunning):
            SingleProcessLock(path).acquire()
    lock.release()
    SingleProcessLock(path).acquire()


HOLDER = """
import asyncio, sys
from storage.engine import Database
from storage.leases import LeaseStore

async def main(url, name):
    db = Database(url)
    leases = LeaseStore(db)
    while (lease := await leases.acquire("scheduler", name, 1.0)) is None:
        await asyncio.sleep(0.05)
    print(lease.fence, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_lease_goes_from_a_killed_process_to_the_next(db_url: str) -> None:
    first = await python_process(HOLDER, db_url, "one")
    assert first.stdout is not None
    async with asyncio.timeout(90):
        assert int(await first.stdout.readline()) == 1
        second = await python_process(HOLDER, db_url, "two")
        assert second.stdout is not None
        first.send_signal(signal.SIGKILL)
        assert int(await second.stdout.readline()) == 2
    second.send_signal(signal.SIGKILL)
    await asyncio.gather(first.communicate(), second.communicate())
    db = Database(db_url)
    lease = await LeaseStore(db).acquire("other", "me", 30)
    await db.close()
    assert lease is not None
