"""The first schema: market series with their rollups, jobs, leases, small state, servers and usage events.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

RUNNING = sa.text("state = 'running'")


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _json() -> sa.types.TypeEngine[Any]:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _numbers(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Float(), nullable=True) for name in names]


def _side(side: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(f"{side}_count", sa.Integer(), nullable=False),
        *_numbers(f"{side}_median", f"{side}_p10", f"{side}_p90"),
    ]


def upgrade() -> None:
    _create_market()
    for table in ("rollup_hour", "rollup_day"):
        _create_rollup(table)
    _create_work()
    _create_state_and_use()


def _create_market() -> None:
    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
        sa.UniqueConstraint("slug", name="uq_source_slug"),
    )
    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(32), nullable=False),
        sa.Column("gpu", sa.String(80), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("verification", sa.String(16), nullable=False),
        sa.Column("segment", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
        sa.UniqueConstraint("platform", "gpu", "region", "tier", "verification", "segment", name="uq_series_key"),
    )
    op.create_index("ix_series_gpu", "series", ["gpu"])
    op.create_table(
        "market_update",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(16), nullable=False),
        sa.Column("source_time_ms", sa.BigInteger(), nullable=False),
        _time("fetched_at"),
        sa.Column("method", sa.SmallInteger(), nullable=False),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_market_update_source_id_source"),
        sa.PrimaryKeyConstraint("id", name="pk_market_update"),
        sa.UniqueConstraint("source_id", "feed", "source_time_ms", name="uq_market_update_once"),
    )
    op.create_table(
        "quote",
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("update_id", _id(), nullable=False),
        *_side("rented"),
        *_side("available"),
        *_side("all"),
        *_numbers("demand"),
        sa.Column("flags", sa.SmallInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name="fk_quote_series_id_series"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_quote_source_id_source"),
        sa.ForeignKeyConstraint(["update_id"], ["market_update.id"], name="fk_quote_update_id_market_update"),
        sa.PrimaryKeyConstraint("ts", "series_id", "source_id", name="pk_quote"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_quote_series_id_ts", "quote", ["series_id", "ts"])
    op.create_table(
        "rejected_item",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("feed", sa.String(16), nullable=False),
        _time("seen_at"),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_rejected_item_source_id_source"),
        sa.PrimaryKeyConstraint("id", name="pk_rejected_item"),
    )
    op.create_index("ix_rejected_item_seen_at", "rejected_item", ["seen_at"])
    op.create_table(
        "unknown_gpu",
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        _time("first_seen"),
        _time("last_seen"),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_unknown_gpu_source_id_source"),
        sa.PrimaryKeyConstraint("slug", name="pk_unknown_gpu"),
    )


def _create_rollup(table: str) -> None:
    op.create_table(
        table,
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        *_numbers("price", "price_min", "price_max", "p10", "p90", "rented_price", "available_price"),
        sa.Column("rented", sa.Float(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        *_numbers("demand"),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=f"fk_{table}_series_id_series"),
        sa.PrimaryKeyConstraint("series_id", "ts", name=f"pk_{table}"),
        sqlite_with_rowid=False,
    )


def _create_work() -> None:
    op.create_table(
        "job",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("dedupe_key", sa.String(200), nullable=True),
        sa.Column("concurrency_key", sa.String(200), nullable=True),
        sa.Column("payload", _json(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        _time("run_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        _time("lease_until", nullable=True),
        sa.Column("lease_token", sa.String(64), nullable=True),
        sa.Column("last_error", sa.String(1000), nullable=True),
        _time("created_at"),
        _time("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("dedupe_key", name="uq_job_dedupe_key"),
    )
    op.create_index("ix_job_state_run_at", "job", ["state", "run_at"])
    op.create_index("ix_job_concurrency_key_state", "job", ["concurrency_key", "state"])
    op.create_index(
        "uq_job_running_key",
        "job",
        ["concurrency_key"],
        unique=True,
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        _time("until"),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )


def _create_state_and_use() -> None:
    op.create_table(
        "data_version",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_data_version"),
    )
    op.create_table(
        "app_state",
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("value", _json(), nullable=False),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("key", name="pk_app_state"),
    )
    op.create_table(
        "guild",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        _time("joined_at"),
        _time("greeted_at", nullable=True),
        _time("left_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_guild"),
    )
    op.create_table(
        "usage_event",
        sa.Column("id", _id(), autoincrement=True, nullable=False),
        _time("at"),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("surface", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        *_numbers("latency_ms"),
        sa.Column("plan", sa.String(16), server_default="free", nullable=False),
        sa.Column("member_hash", sa.String(32), nullable=True),
        sa.Column("guild_hash", sa.String(32), nullable=True),
        sa.Column("locale", sa.String(10), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_usage_event"),
    )
    op.create_index("ix_usage_event_at", "usage_event", ["at"])


def downgrade() -> None:
    for table in (
        "usage_event",
        "guild",
        "app_state",
        "data_version",
        "lease",
        "job",
        "rollup_day",
        "rollup_hour",
        "unknown_gpu",
        "rejected_item",
        "quote",
        "market_update",
        "series",
        "source",
    ):
        op.drop_table(table)
