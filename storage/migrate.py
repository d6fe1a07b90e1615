"""Schema migrations from inside the program: forward, back and where we are.

Alembic is imported only here, and works in a thread with an event loop of its own, so a running loop is never held
up. Two processes may migrate at once: the second waits for the first and finds nothing left to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from storage.engine import Database
from storage.errors import MigrationFailed
from storage.schema import newest_revision
from storage.settle import settle

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger(__name__)

T = TypeVar("T")

LOCK = 0x6770_7573_636F_7574
"""PostgreSQL advisory lock held while migrating ("gpuscout" in ASCII)."""

_FOLDER = Path(__file__).parent / "migrations"
_STATEMENT_TIMEOUT = 3600.0


async def upgrade(url: str, rev: str = "head") -> str | None:
    """Bring the database at *url* to *rev*; returns the revision reached. All or nothing, in one transaction.

    A database that is at the head already costs one read, without alembic.

    Raises:
        MigrationFailed: one sentence for a person; the database is as it was.
    """
    if rev == "head" and (reached := await current(url)) == head():
        return reached
    return await _in_thread(lambda: _migrate(url, "upgrade", rev))


async def downgrade(url: str, rev: str) -> str | None:
    """Take the database back to *rev* (``base`` for an empty one, ``-1`` for one step); returns the revision reached.

    Raises:
        MigrationFailed: one sentence for a person; the database is as it was.
    """
    return await _in_thread(lambda: _migrate(url, "downgrade", rev))


async def current(url: str) -> str | None:
    """The revision of the database at *url*, or None when it has no tables of ours yet."""
    db = Database(url)
    try:
        async with db.read() as conn:
            return await conn.run_sync(_revision)
    finally:
        await db.close()


def head() -> str:
    """The newest revision that this program knows."""
    return newest_revision()


async def _in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # Settled: a cancelled caller must not go on to close things while the thread still migrates.
    return await settle(asyncio.to_thread(lambda: asyncio.run(work())))


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def _migrate(url: str, direction: str, rev: str) -> str | None:
    from alembic import command
    from alembic.util.exc import CommandError

    move = command.upgrade if direction == "upgrade" else command.downgrade

    def run(connection: Connection) -> tuple[str | None, str | None]:
        before = _revision(connection)
        move(_config(connection), rev)
        return before, _revision(connection)

    # Rebuilding a SQLite table drops the old one: enforced foreign keys would take the rows that point at it along.
    db = Database(url, foreign_keys=False, statement_timeout=_STATEMENT_TIMEOUT, busy_timeout=60.0)
    try:
        async with db.write() as conn:
            if db.dialect == "postgresql":
                await conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            before, after = await conn.run_sync(run)
            if db.dialect == "sqlite" and (await conn.execute(text("PRAGMA foreign_key_check"))).first() is not None:
                raise MigrationFailed(
                    f"The {direction} to {rev} would leave rows without their parent; nothing changed."
                )
    except CommandError as error:
        if "locate revision" in str(error):
            raise MigrationFailed(
                f"The database or the order names a revision that this GPUScout does not know ({error}); "
                "if a newer GPUScout wrote the database, run that one."
            ) from error
        raise MigrationFailed(f"The database could not be brought to revision {rev}: {error}") from error
    except DBAPIError as error:
        raise MigrationFailed(f"The database could not be brought to revision {rev}: {error.orig}") from error
    finally:
        await db.close()
    if before != after:
        log.info("database_migrated", direction=direction, before=before, after=after)
    return after


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)
