"""SQLite's manners: pragmas, explicit transactions, and what to do with a cancelled statement."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import structlog
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util.concurrency import in_greenlet

from storage.settle import outlast

log = structlog.get_logger(__name__)

_WAL_TRIES = 100
"""Tries to switch a file to its write-ahead log, spread over the busy timeout."""


def sqlite_engine(
    url: URL, busy_timeout: float, *, read_only: bool, size: int, timeout: float, foreign_keys: bool
) -> AsyncEngine:
    """An engine on the file of *url*: the writer's with one connection, or the readers' with *size*.

    Args:
        busy_timeout: seconds to wait for another process's lock, not to be interrupted.
        timeout: seconds to wait for a connection of the pool.
    """
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=timeout,
        hide_parameters=True,
        # isolation_level None: the driver never opens a transaction by itself, the begin event below does.
        connect_args={"isolation_level": None, "timeout": busy_timeout},
    )
    pragmas = [
        "synchronous=FULL",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        "temp_store=MEMORY",
        f"cache_size={-16384 if read_only else -65536}",  # KiB, taken only as it fills
        "wal_autocheckpoint=4000",  # pages: 16 MiB, so that few commits pay for a checkpoint
        "journal_size_limit=67108864",
    ]
    if read_only:
        pragmas.append("query_only=ON")
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        _use_wal(connection, cursor, busy_timeout)
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    @event.listens_for(engine.sync_engine, "invalidate")
    def _on_invalidate(connection: Any, _record: object, _error: BaseException | None) -> None:
        if in_greenlet():
            connection.run_async(_abandon)

    return engine


def _use_wal(connection: Any, cursor: Any, busy_timeout: float) -> None:
    """Switch the file to its write-ahead log, unless it has one.

    Of two connections that switch a new file at the same instant SQLite refuses one at once, whatever its busy
    timeout: it would wait for a lock while it holds one that the other waits for.
    """
    for attempt in range(1, _WAL_TRIES + 1):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == _WAL_TRIES:
                raise
            connection.run_async(lambda _driver: asyncio.sleep(busy_timeout / _WAL_TRIES))


async def _abandon(driver: Any) -> None:
    """Stop what a cancelled caller left running in *driver*'s thread and give its locks back.

    Closing alone would wait for the statement's end, and keep the write lock as long as any of its statements is
    not yet collected (``sqlite3_close_v2``).
    """

    async def stop() -> None:
        rollback = asyncio.ensure_future(driver.rollback())
        try:
            while not rollback.done():
                await driver.interrupt()  # again and again: it does nothing to a statement that has yet to start
                await asyncio.wait({rollback}, timeout=0.05)
            rollback.result()
        except (ValueError, sqlite3.Error) as error:  # already closed, or broken: closing is all that is left
            log.debug("database_abandon_failed", error=repr(error))

    # The caller is being cancelled already, so a further cancellation has nothing to add.
    await outlast(asyncio.ensure_future(stop()))
