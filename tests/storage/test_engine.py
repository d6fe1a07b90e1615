"""The write gate, snapshots and cancellation, on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.address import parse_url
from storage.engine import Database
from storage.errors import DatabaseClosed, NestedWrite
from storage.settle import settle
from storage.tables import app_state, source
from tests.services import PostgresServer


async def add(db: Database, slug: str) -> None:
    async with db.write() as conn:
        await conn.execute(db.insert(source).values(slug=slug))


async def slugs(db: Database) -> list[str]:
    async with db.read() as conn:
        return list((await conn.scalars(select(source.c.slug).order_by(source.c.id))).all())


async def test_commits_on_success_and_rolls_back_on_error(db: Database) -> None:
    await add(db, "kept")
    with pytest.raises(RuntimeError, match="boom"):
        async with db.write() as conn:
            await conn.execute(db.insert(source).values(slug="lost"))
            raise RuntimeError("boom")
    assert await slugs(db) == ["kept"]


async def test_upsert_speaks_both_dialects(db: Database) -> None:
    for slug in ("a", "a", "b"):
        async with db.write() as conn:
            statement = db.insert(source).values(slug=slug)
            await conn.execute(statement.on_conflict_do_nothing(index_elements=["slug"]))
    assert await slugs(db) == ["a", "b"]


async def test_an_error_of_the_database_leaves_it_usable(db: Database) -> None:
    await add(db, "a")
    with pytest.raises(IntegrityError):
        await add(db, "a")
    await add(db, "b")
    assert await slugs(db) == ["a", "b"]


async def test_readers_cannot_write(db: Database) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        async with db.read() as conn:
            await conn.execute(db.insert(source).values(slug="x"))
    await add(db, "y")
    assert await slugs(db) == ["y"]


async def test_a_reader_keeps_its_snapshot_and_does_not_wait_for_the_writer(db: Database) -> None:
    await add(db, "before")
    async with db.read() as reader:
        assert await reader.scalar(select(func.count()).select_from(source)) == 1
        async with db.write() as writer:
            await writer.execute(db.insert(source).values(slug="during"))
            # Another reader is not held up by the open write, and does not see it.
            async with asyncio.timeout(20):
                assert await slugs(db) == ["before"]
        assert await reader.scalar(select(func.count()).select_from(source)) == 1
    assert await slugs(db) == ["before", "during"]


@pytest.mark.parametrize("point", ["in a statement", "between statements", "waiting for the gate"])
async def test_cancelling_a_write_rolls_back_and_frees_the_gate(db: Database, point: str) -> None:
    inside = asyncio.Event()

    async def victim() -> None:
        async with db.write() as conn:
            await conn.execute(db.insert(source).values(slug="lost"))
            inside.set()
            if point == "in a statement":
                await conn.execute(text(_forever(db)))
            else:
                await asyncio.sleep(60)

    async with asyncio.TaskGroup() as group:
        first = group.create_task(victim())
        await inside.wait()
        if point == "waiting for the gate":
            second = group.create_task(victim())
            await asyncio.sleep(0.05)
            second.cancel()
        await asyncio.sleep(0.05)
        first.cancel()
    async with asyncio.timeout(30):
        await add(db, "after")
    assert await slugs(db) == ["after"]


async def test_cancelling_a_long_read_returns_at_once(db: Database) -> None:
    async def victim() -> None:
        async with db.read() as conn:
            await conn.execute(text(_forever(db)))

    for _ in range(6):  # more than the pool holds: a leaked connection would show
        task = asyncio.create_task(victim())
        await asyncio.sleep(0.05)
        task.cancel()
        async with asyncio.timeout(20):
            with pytest.raises(asyncio.CancelledError):
                await task
    assert await slugs(db) == []


def _forever(db: Database) -> str:
    if db.dialect == "postgresql":
        return "SELECT pg_sleep(60)"
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_a_commit_that_has_begun_is_finished(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    committing = asyncio.Event()
    commit = AsyncConnection.commit

    async def slow_commit(conn: AsyncConnection) -> None:
        committing.set()
        await asyncio.sleep(0.05)
        await commit(conn)

    monkeypatch.setattr(AsyncConnection, "commit", slow_commit)
    task = asyncio.create_task(add(db, "whole"))
    async with asyncio.timeout(30):
        await committing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await slugs(db) == ["whole"]


async def test_a_storm_of_cancellations_leaves_no_half_write(db: Database) -> None:
    async def pair(number: int) -> None:
        async with db.write() as conn:
            await conn.execute(db.insert(source).values(slug=f"{number}-a"))
            await asyncio.sleep(0)
            await conn.execute(db.insert(source).values(slug=f"{number}-b"))

    tasks = [asyncio.create_task(pair(n)) for n in range(40)]
    for delay, task in zip(range(40), tasks, strict=True):
        await asyncio.sleep(0.001 * (delay % 4))
        if delay % 3:
            task.cancel()
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    found = await slugs(db)
    assert {s.split("-")[0] for s in found if s.endswith("a")} == {s.split("-")[0] for s in found if s.endswith("b")}
    for number in range(0, 40, 3):
        assert f"{number}-a" in found
    await add(db, "after")


async def test_the_gate_is_first_come_first_served(sqlite_db: Database) -> None:
    order: list[int] = []

    async def writer(number: int) -> None:
        async with sqlite_db.write() as conn:
            order.append(number)
            await conn.execute(sqlite_db.insert(source).values(slug=str(number)))

    async with sqlite_db.write():
        tasks = []
        for number in range(30):
            tasks.append(asyncio.create_task(writer(number)))
            await asyncio.sleep(0)
        tasks[7].cancel()
        await asyncio.sleep(0)
    late = asyncio.create_task(writer(99))
    await asyncio.gather(*tasks, late, return_exceptions=True)
    assert order == [n for n in range(30) if n != 7] + [99]


async def test_writers_of_two_processes_wait_for_each_other(sqlite_url: str) -> None:
    # Two Database objects have two gates, as two processes would.
    one, two = Database(sqlite_url), Database(sqlite_url)
    try:

        async def count_up(db: Database) -> None:
            for _ in range(40):
                async with db.write() as conn:
                    found = await conn.scalar(select(app_state.c.value).where(app_state.c.key == "n"))
                    await conn.execute(text("DELETE FROM app_state"))
                    await conn.execute(
                        text("INSERT INTO app_state VALUES ('n', :n, '2025-01-01 00:00:00.000000')"),
                        {"n": str((found or 0) + 1)},
                    )

        await asyncio.gather(count_up(one), count_up(two))
        async with one.read() as conn:
            assert await conn.scalar(select(app_state.c.value)) == 80
    finally:
        await one.close()
        await two.close()


@contextmanager
def locked_by_another_process(db: Database) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(str(db.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


async def test_waits_for_another_process_and_can_be_cancelled_meanwhile(sqlite_db: Database) -> None:
    with locked_by_another_process(sqlite_db) as other:
        task = asyncio.create_task(add(sqlite_db, "cancelled"))
        await asyncio.sleep(0.4)
        task.cancel()
        async with asyncio.timeout(20):
            with pytest.raises(asyncio.CancelledError):
                await task
        task = asyncio.create_task(add(sqlite_db, "patient"))
        await asyncio.sleep(0.4)
        assert not task.done()
        other.execute("COMMIT")
        await task
    assert await slugs(sqlite_db) == ["patient"]


async def test_gives_up_on_a_lock_that_stays(sqlite_url: str) -> None:
    db = Database(sqlite_url, busy_timeout=0.3)
    with locked_by_another_process(db):
        with pytest.raises(OperationalError, match="locked"):
            await add(db, "x")
        assert await slugs(db) == []  # reading goes on
    await add(db, "y")
    await db.close()


async def test_a_lost_connection_is_replaced(postgres_db: Database, postgres_server: PostgresServer) -> None:
    await add(postgres_db, "before")
    async with postgres_server.admin() as conn:
        await conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'test'")
    await add(postgres_db, "after")
    assert await slugs(postgres_db) == ["before", "after"]


async def test_closing_waits_for_the_running_write_and_refuses_the_next(db: Database) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def running() -> None:
        async with db.write() as conn:
            inside.set()
            await go_on.wait()
            await conn.execute(db.insert(source).values(slug="done"))

    first = asyncio.create_task(running())
    await inside.wait()
    closing = asyncio.create_task(db.close())
    await asyncio.sleep(0.02)
    late = asyncio.create_task(add(db, "late"))
    await asyncio.sleep(0.02)
    assert not closing.done()
    go_on.set()
    await closing
    await first
    with pytest.raises(DatabaseClosed):
        await late
    again = Database(db.url.render_as_string(hide_password=False))
    assert await slugs(again) == ["done"]
    await again.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"DATABASE_URL names a file in .*file/sub"):
        Database(f"sqlite+aiosqlite:///{tmp_path}/file/sub/x.db")


async def test_a_write_inside_a_write_is_refused_instead_of_hanging(db: Database) -> None:
    async with db.write():
        with pytest.raises(NestedWrite):
            async with db.write():
                pass
    await add(db, "still works")


async def test_sqlite_manners(sqlite_db: Database) -> None:
    async with sqlite_db.write() as conn:
        assert await conn.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await conn.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert await conn.scalar(text("PRAGMA foreign_keys")) == 1
        assert await conn.scalar(text("PRAGMA query_only")) == 0
    async with sqlite_db.read() as conn:
        assert await conn.scalar(text("PRAGMA query_only")) == 1
    await add(sqlite_db, "a")
    await sqlite_db.checkpoint()
    assert await slugs(sqlite_db) == ["a"]


async def test_foreign_keys_are_enforced(db: Database) -> None:
    with pytest.raises(IntegrityError):
        async with db.write() as conn:
            await conn.execute(
                text(
                    "INSERT INTO rejected_item (source_id, feed, seen_at, reason, sample)"
                    " VALUES (99, 'v1', '2025-01-01', 'r', 's')"
                )
            )


async def test_postgres_session_settings(postgres_db: Database) -> None:
    async with postgres_db.read() as conn:
        assert await conn.scalar(text("SHOW application_name")) == "gpuscout"
        assert await conn.scalar(text("SHOW statement_timeout")) == "30s"
        assert await conn.scalar(text("SHOW transaction_read_only")) == "on"
        assert await conn.scalar(text("SHOW timezone")) == "UTC"


async def test_ping_close_and_use_after_close(db: Database) -> None:
    assert await db.ping() < 5
    await db.close()
    await db.close()
    with pytest.raises(DatabaseClosed):
        async with db.write():
            pass
    with pytest.raises(DatabaseClosed):
        async with db.read():
            pass


async def test_makes_the_folder_of_the_file(tmp_path: Path) -> None:
    db = Database(f"sqlite+aiosqlite:///{tmp_path}/a/b/c.db")
    await db.ping()
    await db.close()
    assert (tmp_path / "a/b/c.db").exists()


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///data/x.db", "sqlite+aiosqlite"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
    ],
)
def test_common_spellings_are_understood(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:hunter2@h/d", "sqlite://", "sqlite+aiosqlite:///:memory:"])
def test_bad_addresses_are_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL") as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Database("postgresql://u:hunter2@localhost/d"))


async def test_settle_finishes_and_then_cancels() -> None:
    done = False

    async def work() -> None:
        nonlocal done
        await asyncio.sleep(0.05)
        done = True

    task = asyncio.create_task(settle(work()))
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done
