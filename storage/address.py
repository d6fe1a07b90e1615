"""Database addresses: understood generously, refused in one sentence."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def parse_url(url: str) -> URL:
    """*url* with the async driver filled in (``postgres://`` and ``sqlite:///`` are understood).

    Raises:
        ValueError: one sentence that says what is wrong; never contains the password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(
            "DATABASE_URL is not a database address; write sqlite+aiosqlite:///data/gpuscout.db "
            "or postgresql+asyncpg://user:password@host/database"
        ) from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in _DRIVERS.values():
        raise ValueError(
            f"DATABASE_URL uses {parsed.drivername}; GPUScout runs on sqlite+aiosqlite and postgresql+asyncpg"
        )
    if parsed.drivername == "sqlite+aiosqlite" and (
        not parsed.database or ":memory:" in parsed.database or parsed.query.get("mode") == "memory"
    ):
        raise ValueError("DATABASE_URL must name a SQLite file, for example sqlite+aiosqlite:///data/gpuscout.db")
    return parsed
