"""Machines one by one, daily fixes, backfilled files; members, watchlists, servers and their feed.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _number(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Float(), nullable=nullable)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


_WITH_UTILIZATION = ("quote", "rollup_hour", "rollup_day")


def _changing(table: str) -> AbstractContextManager[BatchOperations]:
    """On SQLite the table is rebuilt, so that it is the same as a newly made one."""
    sqlite = op.get_context().dialect.name == "sqlite"
    return op.batch_alter_table(
        table, recreate="always" if sqlite else "never", table_kwargs={"sqlite_with_rowid": False}
    )


def upgrade() -> None:
    for table in _WITH_UTILIZATION:
        with _changing(table) as batch:
            batch.add_column(_number("utilization"))
            if table != "quote":
                batch.add_column(sa.Column("source_id", sa.Integer()))
    _create_market()
    _create_members()


def _create_market() -> None:
    op.create_table(
        "machine",
        _text("platform", 32),
        _big("machine_id"),
        _count("source_id"),
        _text("gpu", 80),
        _number("vram_gb"),
        _count("num_gpus"),
        _count("num_rented"),
        _number("price"),
        _number("min_bid"),
        _number("reliability"),
        _text("verification", 16),
        sa.Column("datacenter", sa.Boolean(), nullable=False),
        _text("country", 2, nullable=True),
        _big("end_date", nullable=True),
        _big("first_seen"),
        _big("last_seen"),
        sa.PrimaryKeyConstraint("platform", "machine_id", name="pk_machine"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_machine_source_id_source"),
    )
    op.create_index("ix_machine_gpu_last_seen", "machine", ["gpu", "last_seen"])
    op.create_table(
        "daily_fix",
        _count("series_id"),
        _big("day"),
        _number("value", nullable=False),
        _count("samples"),
        sa.Column("thin", sa.Boolean(), nullable=False),
        sa.Column("method", sa.SmallInteger(), nullable=False),
        _text("content_hash", 64),
        _time("computed_at"),
        sa.PrimaryKeyConstraint("series_id", "day", name="pk_daily_fix"),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name="fk_daily_fix_series_id_series"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "backfill_file",
        _text("content_hash", 64),
        _text("name", 200),
        _count("series_done"),
        _count("rows_read"),
        _count("rows_rejected"),
        _time("finished_at", nullable=True),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("content_hash", name="pk_backfill_file"),
    )


def _create_members() -> None:
    op.create_table(
        "member",
        _big("id"),
        _text("timezone", 64, nullable=True),
        _text("currency", 3, nullable=True),
        _number("tariff"),
        _text("locale", 10, nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
    )
    op.create_table(
        "watchlist_item",
        _big("member_id"),
        _text("gpu", 80),
        _time("added_at"),
        sa.PrimaryKeyConstraint("member_id", "gpu", name="pk_watchlist_item"),
    )
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "server_settings",
        _big("guild_id"),
        sa.Column("settings", json, nullable=False),
        _time("updated_at"),
        _time("erase_at", nullable=True),
        sa.PrimaryKeyConstraint("guild_id", name="pk_server_settings"),
    )
    op.create_index("ix_server_settings_erase_at", "server_settings", ["erase_at"])
    op.create_table(
        "feed_post",
        _big("guild_id"),
        _text("slot", 64),
        _big("channel_id"),
        _big("message_id", nullable=True),
        _time("claimed_at"),
        sa.PrimaryKeyConstraint("guild_id", "slot", name="pk_feed_post"),
    )


def downgrade() -> None:
    for table in (
        "feed_post",
        "server_settings",
        "watchlist_item",
        "member",
        "backfill_file",
        "daily_fix",
        "machine",
    ):
        op.drop_table(table)
    for table in _WITH_UTILIZATION:
        with _changing(table) as batch:
            if table != "quote":
                batch.drop_column("source_id")
            batch.drop_column("utilization")
