"""Databases and caches for every test: real ones, a fresh one each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings

from storage.engine import Database
from storage.tables import metadata
from tests.services import PostgresServer, RedisServer, ServiceMissing, running_postgres, running_redis

_TEMPLATE = "gpuscout_template"

# The same examples in every run, whatever the machine's speed: what passed here passes where it lands.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


def _run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* in a loop and thread of its own: a fixture may be asked for while a test's loop is running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _create_tables(url: str) -> None:
    db = Database(url)
    try:
        async with db.write() as conn:
            await conn.run_sync(metadata.create_all)
    finally:
        await db.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, one a test process, with a template database that has all tables."""
    try:
        with running_postgres() as server:

            async def prepare() -> None:
                async with server.admin() as conn:
                    await conn.execute(f"CREATE DATABASE {_TEMPLATE}")
                await _create_tables(server.url(_TEMPLATE))

            _run_apart(prepare())
            yield server
    except ServiceMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _run_apart(_create_tables(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """Address of a fresh SQLite file that has all tables."""
    path = tmp_path / "gpuscout.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer) -> str:
    """Address of a PostgreSQL database that has all tables, empty ones."""
    async with postgres_server.admin() as conn:
        if not await conn.fetchval("SELECT 1 FROM pg_database WHERE datname = 'test'"):
            await conn.execute(f"CREATE DATABASE test TEMPLATE {_TEMPLATE}")
    async with postgres_server.admin("test") as conn:
        # A process that an earlier test killed may have left its connection, and with it locks. They end when they
        # look at the signal: what one of them is committing must not come after the tables were emptied.
        async with asyncio.timeout(60):
            while await conn.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid != pg_backend_pid()"
            ):
                await asyncio.sleep(0.005)
        found = {r[0] for r in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        if found == set(metadata.tables):  # emptying is much faster than a fresh copy
            await _empty(conn)
            return postgres_server.url("test")
    async with postgres_server.admin() as conn:
        await conn.execute("DROP DATABASE test WITH (FORCE)")
        await conn.execute(f"CREATE DATABASE test TEMPLATE {_TEMPLATE}")
    return postgres_server.url("test")


async def _empty(conn: Any) -> None:
    """Empty the tables that hold rows, and begin all numbers at 1. TRUNCATE would make new files for every table."""
    tables = [table.name for table in reversed(metadata.sorted_tables)]
    filled = " UNION ALL ".join(f"(SELECT '{name}' FROM \"{name}\" LIMIT 1)" for name in tables)
    full = {row[0] for row in await conn.fetch(filled)}
    sequences = await conn.fetch("SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL")
    orders = [f'DELETE FROM "{name}"' for name in tables if name in full]
    orders += [f'ALTER SEQUENCE "{row[0]}" RESTART' for row in sequences]
    if orders:
        await conn.execute("; ".join(orders))


@pytest.fixture
async def sqlite_db(sqlite_url: str) -> AsyncIterator[Database]:
    db = Database(sqlite_url)
    yield db
    await db.close()


@pytest.fixture
async def postgres_db(postgres_url: str) -> AsyncIterator[Database]:
    db = Database(postgres_url)
    yield db
    await db.close()


_BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=_BOTH)
def db_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh database; the test runs once on SQLite and once on PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
async def db(db_url: str) -> AsyncIterator[Database]:
    """A fresh database with all tables; the test runs once on SQLite and once on PostgreSQL."""
    db = Database(db_url)
    yield db
    await db.close()


@pytest.fixture(scope="session")
def _shared_redis() -> Iterator[RedisServer]:
    try:
        with running_redis() as server:
            yield server
    except ServiceMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def redis_url(_shared_redis: RedisServer) -> str:
    """Address of an empty Redis, one a test process."""
    with redis.Redis.from_url(_shared_redis.url) as client:
        client.flushall()
    return _shared_redis.url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be stopped and started."""
    try:
        with running_redis() as server:
            yield server
    except ServiceMissing as missing:
        pytest.skip(str(missing))
