"""Whether the database is at this program's revision, asked without loading Alembic (start-up is quicker by it)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.engine import Database

_VERSIONS = Path(__file__).parent / "migrations" / "versions"
_REVISION = re.compile(r"^revision(?:: str)? = [\"'](\w+)[\"']", re.MULTILINE)


@lru_cache(maxsize=1)
def newest_revision() -> str:
    """Revision of the migration file that sorts last: files are numbered in the order in which they apply."""
    newest = max(_VERSIONS.glob("[0-9]*.py"))
    found = _REVISION.search(newest.read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError(f"{newest.name} names no revision")
    return found.group(1)


async def is_current(db: Database) -> bool:
    """True when the database is at the newest revision."""
    try:
        async with db.read() as conn:
            revision = (await conn.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    except DBAPIError:
        # No such table: nothing was migrated yet. A database that is away says so to whoever asks next.
        return False
    return revision == newest_revision()


async def migrate_if_behind(url: str) -> None:
    """Bring the database at *url* to the newest revision, if it is not there."""
    db = Database(url)
    try:
        current = await is_current(db)
    finally:
        await db.close()
    if not current:
        from storage import migrate

        await migrate.upgrade(url)
