"""Alembic's environment. :mod:`storage.migrate` hands its connection in; the ``alembic`` command makes its own."""

from __future__ import annotations

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import JSON, BigInteger
from sqlalchemy.engine import Connection

from config.settings import load_settings
from storage.address import parse_url
from storage.engine import Database
from storage.tables import metadata
from storage.types import UtcDateTime


def render_item(kind: str, item: Any, autogen: Any) -> str | bool:
    """How column types of our own are written into a new migration, which must not change when they do."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, BigInteger) and "sqlite" in item._variant_mapping:
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    if kind == "type" and isinstance(item, JSON) and "postgresql" in item._variant_mapping:
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


OPTIONS: dict[str, Any] = {
    "target_metadata": metadata,
    "render_as_batch": True,  # SQLite changes most things about a table only by rebuilding it
    "render_item": render_item,
    "compare_server_default": False,
}


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_on_own_connection() -> None:
    db = Database(load_settings().database_url, foreign_keys=False, statement_timeout=3600)
    try:
        async with db.write() as conn:
            await conn.run_sync(migrate)
    finally:
        await db.close()


if context.is_offline_mode():
    url = parse_url(load_settings().database_url)
    context.configure(dialect_name=url.get_backend_name(), literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    migrate(given)
else:
    asyncio.run(migrate_on_own_connection())
