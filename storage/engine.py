"""One way to the database: SQLite with one writer at a time, or PostgreSQL with a pool.

On SQLite every write transaction is ``BEGIN IMMEDIATE`` behind one first-come gate a process: a deferred transaction
that turns into a writer fails with "database is locked" whatever the busy timeout, and a gate is fair where SQLite's
own waiting is not. Reads go through a second engine and see a snapshot, so they neither wait for the writer nor block
it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypedDict

import structlog
from sqlalchemy import Table, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from storage.address import parse_url
from storage.errors import DatabaseClosed, NestedWrite
from storage.settle import settle
from storage.sqlite import sqlite_engine

log = structlog.get_logger(__name__)

Dialect = Literal["sqlite", "postgresql"]
UpsertInsert = sqlite.Insert | postgresql.Insert
"""An insert with ``on_conflict_do_update`` / ``on_conflict_do_nothing`` and ``excluded``."""

SLOW_WRITE_SECONDS = 2.0
"""A write transaction held longer than this is logged: it keeps every other writer waiting."""


_BUSY_STEP = 0.25
_CLOSE_SECONDS = 10.0


class _SqliteOptions(TypedDict):
    timeout: float
    foreign_keys: bool


class Database:
    """The process's database. Make one a process, in the running event loop, and close it at the end.

    Args:
        url: ``sqlite+aiosqlite:///path`` or ``postgresql+asyncpg://…``.
        read_pool: SQLite: connections for reading.
        pool_size, max_overflow: PostgreSQL: connections kept, and more under load.
        busy_timeout: SQLite: seconds to wait for another process's write.
        statement_timeout: PostgreSQL: seconds after which the server ends a statement.
        application_name: PostgreSQL: how this process is called in ``pg_stat_activity``.
        foreign_keys: SQLite: enforced; only migrations, which rebuild tables, switch it off.

    Raises:
        ValueError: for an address that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        read_pool: int = 4,
        pool_size: int = 5,
        max_overflow: int = 10,
        pool_timeout: float = 30.0,
        busy_timeout: float = 10.0,
        statement_timeout: float = 30.0,
        application_name: str = "gpuscout",
        foreign_keys: bool = True,
    ) -> None:
        self.url = parse_url(url)
        self.dialect: Dialect = "sqlite" if self.url.drivername.startswith("sqlite") else "postgresql"
        self._gate = asyncio.Lock()  # documented as fair: waiters pass in the order in which they came
        self._writing: set[asyncio.Task[Any]] = set()
        self._busy_timeout = busy_timeout
        self._users = 0
        self._unused = asyncio.Event()
        self._closed = False
        if self.dialect == "sqlite":
            folder = Path(str(self.url.database)).absolute().parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ValueError(
                    f"DATABASE_URL names a file in {folder}, which cannot be made: {error.strerror}"
                ) from None
            common = _SqliteOptions(timeout=pool_timeout, foreign_keys=foreign_keys)
            self._write_engine = sqlite_engine(self.url, _BUSY_STEP, read_only=False, size=1, **common)
            self._read_engine = sqlite_engine(self.url, busy_timeout, read_only=True, size=read_pool, **common)
        else:
            self._write_engine = create_async_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=max_overflow,
                pool_timeout=pool_timeout,
                pool_pre_ping=True,
                pool_recycle=1800,
                hide_parameters=True,
                connect_args={
                    "timeout": 10,
                    # The client's limit is for a dead peer only; the server's ends slow statements first.
                    "command_timeout": statement_timeout + 15,
                    "server_settings": {
                        "application_name": application_name,
                        "statement_timeout": str(int(statement_timeout * 1000)),
                        "idle_in_transaction_session_timeout": "60000",
                        "timezone": "UTC",
                        "jit": "off",  # planning cost without gain on statements this short
                    },
                },
            )
            self._read_engine = self._write_engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None on PostgreSQL."""
        return Path(str(self.url.database)) if self.dialect == "sqlite" else None

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)!r})"

    def insert(self, table: Table) -> UpsertInsert:
        """The dialect's ``INSERT``, which both understand ``on_conflict_do_update(index_elements=…, set_=…)``."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    async def one_at_a_time(self, conn: AsyncConnection, number: int) -> None:
        """Let nobody else past here with the same *number* until the transaction ends, so that a count stays true.

        On PostgreSQL; SQLite has one writer in any case.
        """
        if self.dialect == "postgresql":
            await conn.execute(select(func.pg_advisory_xact_lock(number)))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: committed when the block ends, rolled back when it raises or is cancelled.

        Keep it short (at most some 500 rows) and do nothing else in it: no network call, no waiting. A commit that
        has begun is finished before a cancellation goes on.

        Raises:
            NestedWrite: when this task already has one open.
            DatabaseClosed: after :meth:`close`.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("write() needs a running task")
        if task in self._writing:
            raise NestedWrite("write() inside write(): hand the open connection down instead")
        self._writing.add(task)
        try:
            if self.dialect == "sqlite":
                async with self._gate, self._transaction() as conn:
                    yield conn
            else:
                async with self._transaction() as conn:
                    yield conn
        finally:
            self._writing.discard(task)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only snapshot: all statements in the block see one state. Writing in it fails.

        Raises:
            DatabaseClosed: after :meth:`close`.
        """
        with self._in_use():
            conn = await self._read_engine.connect()
            try:
                yield conn
            finally:
                await settle(conn.close())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with self._in_use():
            conn = await self._begin()
            started = time.monotonic()
            try:
                yield conn
                await settle(conn.commit())
            finally:
                # Closing rolls back what was not committed; a connection whose statement was cancelled is thrown away.
                await settle(conn.close())
                held = time.monotonic() - started
                if held > SLOW_WRITE_SECONDS:
                    log.warning("write_transaction_slow", seconds=round(held, 2))

    async def _begin(self) -> AsyncConnection:
        """A connection with a transaction; on SQLite after waiting for another process's write.

        SQLite's own waiting cannot be interrupted, so it is kept short and repeated.
        """
        deadline = time.monotonic() + self._busy_timeout
        while True:
            conn: AsyncConnection | None = None
            try:
                conn = await self._write_engine.connect()
                await conn.begin()
                return conn
            except BaseException as error:
                if conn is not None:
                    await settle(conn.close())
                locked = isinstance(error, OperationalError) and "database is locked" in str(error.orig)
                if not locked or time.monotonic() > deadline:
                    raise

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        if self._closed:
            raise DatabaseClosed("the database is closed")
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                self._unused.set()

    async def ping(self, timeout: float = 5.0) -> float:  # noqa: ASYNC109
        """Seconds that a trivial read takes.

        Raises:
            TimeoutError: no answer within *timeout* seconds.
            Exception: whatever the driver says when it cannot connect.
        """
        started = time.monotonic()
        async with asyncio.timeout(timeout):
            async with self.read() as conn:
                await conn.execute(text("SELECT 1"))
        return time.monotonic() - started

    async def checkpoint(self) -> None:
        """SQLite: move the write-ahead log into the file. For idle moments, so that no commit pays for it."""
        if self.dialect != "sqlite":
            return
        async with self._gate:
            with self._in_use():
                await self._checkpoint()

    async def _checkpoint(self) -> None:
        async with self._write_engine.connect() as conn:
            # On the driver, without the begin event: a checkpoint cannot run inside a transaction.
            driver: Any = (await conn.get_raw_connection()).driver_connection
            await driver.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")

    async def close(self) -> None:
        """Wait for what is under way, then close every connection. Safe to call twice.

        What still waits for its turn gets :class:`DatabaseClosed`.
        """
        if self._closed:
            return
        self._closed = True
        if self._users:
            self._unused.clear()
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._unused.wait()
            except TimeoutError:
                log.warning("database_closed_in_use", users=self._users)
        await settle(self._dispose())

    async def _dispose(self) -> None:
        await self._write_engine.dispose()
        if self.dialect == "sqlite":
            await self._read_engine.dispose()
