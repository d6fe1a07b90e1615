"""The tables. Series tables use epoch seconds (UTC); all others aware datetimes.

Raw quotes are clustered by time (an append log, cheap to write and to purge), rollups by series (cheap to read).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.metadata import Json, metadata
from storage.types import BigIntId, UtcDateTime

# --- Market ---------------------------------------------------------------------------------------------------------

source = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String(32), nullable=False, unique=True),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("platform", String(32), nullable=False),
    Column("gpu", String(80), nullable=False),
    Column("region", String(64), nullable=False),
    Column("tier", String(16), nullable=False),
    Column("verification", String(16), nullable=False),
    Column("segment", String(16), nullable=False),
    UniqueConstraint("platform", "gpu", "region", "tier", "verification", "segment", name="uq_series_key"),
    Index("ix_series_gpu", "gpu"),
)

market_update = Table(
    "market_update",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("feed", String(16), nullable=False),  # which document of the source: v1, v2, …
    Column("source_time_ms", BigInteger, nullable=False),  # epoch milliseconds, as the source says
    Column("fetched_at", UtcDateTime, nullable=False),
    Column("method", SmallInteger, nullable=False),
    Column("read", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    # An update is stored once, however often it is read.
    UniqueConstraint("source_id", "feed", "source_time_ms", name="uq_market_update_once"),
)


def _side_columns(side: str) -> list[Column[object]]:
    return [
        Column(f"{side}_count", Integer, nullable=False),
        Column(f"{side}_median", Float),
        Column(f"{side}_p10", Float),
        Column(f"{side}_p90", Float),
    ]


quote = Table(
    "quote",
    metadata,
    Column("ts", BigInteger, nullable=False),  # source time, epoch seconds
    Column("series_id", ForeignKey("series.id"), nullable=False),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("update_id", ForeignKey("market_update.id"), nullable=False),
    *_side_columns("rented"),
    *_side_columns("available"),
    *_side_columns("all"),
    Column("demand", Float),
    Column("flags", SmallInteger, nullable=False, server_default="0"),
    Column("utilization", Float),  # as reported by a source that counts no GPUs; null where counts say it
    PrimaryKeyConstraint("ts", "series_id", "source_id"),
    Index("ix_quote_series_id_ts", "series_id", "ts"),
    sqlite_with_rowid=False,
)


def _rollup(name: str) -> Table:
    """Rule of every column: docs/methodology.md, "Rollups"."""
    return Table(
        name,
        metadata,
        Column("series_id", ForeignKey("series.id"), nullable=False),
        Column("ts", BigInteger, nullable=False),  # start of the bucket, epoch seconds
        Column("samples", Integer, nullable=False),  # raw quotes behind the row
        Column("price", Float),
        Column("price_min", Float),
        Column("price_max", Float),
        Column("p10", Float),
        Column("p90", Float),
        Column("rented_price", Float),
        Column("available_price", Float),
        Column("rented", Float, nullable=False),  # mean GPUs rented
        Column("total", Float, nullable=False),  # mean GPUs listed
        Column("demand", Float),
        Column("utilization", Float),  # mean of what quotes without a count report
        Column("source_id", Integer),  # the source of most of the quotes
        PrimaryKeyConstraint("series_id", "ts"),
        sqlite_with_rowid=False,
    )


rollup_hour = _rollup("rollup_hour")
rollup_day = _rollup("rollup_day")

rejected_item = Table(
    "rejected_item",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("feed", String(16), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("sample", Text, nullable=False),  # the item as received, cut to 2,000 characters
    Index("ix_rejected_item_seen_at", "seen_at"),
)

unknown_gpu = Table(
    "unknown_gpu",
    metadata,
    Column("slug", String(80), primary_key=True),
    Column("name", String(200), nullable=False),  # cleaned of markup and mentions
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("times", Integer, nullable=False),
)

machine = Table(
    "machine",
    metadata,
    # The newest state of each machine a source lists one by one. Addresses, coordinates and host names never get here.
    Column("platform", String(32), nullable=False),
    Column("machine_id", BigInteger, nullable=False),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("gpu", String(80), nullable=False),
    Column("vram_gb", Float),
    Column("num_gpus", Integer, nullable=False),
    Column("num_rented", Integer, nullable=False),
    Column("price", Float),  # USD per GPU-hour, as the renter pays, full precision
    Column("min_bid", Float),  # USD per GPU-hour
    Column("reliability", Float),  # 0 to 1
    Column("verification", String(16), nullable=False),
    Column("datacenter", Boolean, nullable=False),
    Column("country", String(2)),
    Column("end_date", BigInteger),  # end of the listing, epoch seconds
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    PrimaryKeyConstraint("platform", "machine_id"),
    Index("ix_machine_gpu_last_seen", "gpu", "last_seen"),
)

daily_fix = Table(
    "daily_fix",
    metadata,
    # Immutable: a fix is computed once, from the raw quotes of its day, and never changed.
    Column("series_id", ForeignKey("series.id"), nullable=False),
    Column("day", BigInteger, nullable=False),  # start of the day (UTC), epoch seconds
    Column("value", Float, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("thin", Boolean, nullable=False),
    Column("method", SmallInteger, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("computed_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("series_id", "day"),
    sqlite_with_rowid=False,
)

backfill_file = Table(
    "backfill_file",
    metadata,
    Column("content_hash", String(64), primary_key=True),  # SHA-256 of the file
    Column("name", String(200), nullable=False),
    Column("series_done", Integer, nullable=False),  # where a stopped load goes on
    Column("rows_read", Integer, nullable=False),
    Column("rows_rejected", Integer, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
)

# --- Work -----------------------------------------------------------------------------------------------------------

job = Table(
    "job",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("dedupe_key", String(200), unique=True),
    Column("concurrency_key", String(200)),
    Column("payload", Json, nullable=False),
    Column("state", String(16), nullable=False),  # ready, running, done, dead, discarded
    Column("run_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("max_attempts", Integer, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("lease_token", String(64)),
    Column("last_error", String(1000)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    # In the order in which jobs are claimed, so that a claim reads no more of a backlog than it takes.
    Index("ix_job_state_run_at_id", "state", "run_at", "id"),
    Index("ix_job_concurrency_key_state", "concurrency_key", "state"),
    # One running job a key, even when two processes claim at the same instant.
    Index(
        "uq_job_running_key",
        "concurrency_key",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("fence", BigInteger, nullable=False),  # grows with every change of holder
    Column("until", UtcDateTime, nullable=False),
)

# --- Small state ----------------------------------------------------------------------------------------------------

data_version = Table(
    "data_version",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

app_state = Table(
    "app_state",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("value", Json, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# --- Discord and use ------------------------------------------------------------------------------------------------

guild = Table(
    "guild",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("greeted_at", UtcDateTime),
    Column("left_at", UtcDateTime),
)

usage_event = Table(
    "usage_event",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("name", String(64), nullable=False),  # command, button or page
    Column("surface", String(16), nullable=False),  # slash, mention, component, web, api
    Column("outcome", String(32), nullable=False),  # ok, refused, error and the like
    Column("latency_ms", Float),
    Column("plan", String(16), nullable=False, server_default="free"),
    Column("member_hash", String(32)),
    Column("guild_hash", String(32)),
    Column("locale", String(10)),
    Index("ix_usage_event_at", "at"),
)

# --- Members and servers --------------------------------------------------------------------------------------------

member = Table(
    "member",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # Discord user id
    Column("timezone", String(64)),  # IANA name
    Column("currency", String(3)),  # for display
    Column("tariff", Float),  # electricity, USD per kWh
    Column("locale", String(10)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

watchlist_item = Table(
    "watchlist_item",
    metadata,
    Column("member_id", BigInteger, nullable=False),
    Column("gpu", String(80), nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("member_id", "gpu"),
)

server_settings = Table(
    "server_settings",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("settings", Json, nullable=False),  # gpuscout.accounts.servers.ServerSettings
    Column("updated_at", UtcDateTime, nullable=False),
    Column("erase_at", UtcDateTime),  # set when the bot was removed; cleared when it comes back
    Index("ix_server_settings_erase_at", "erase_at"),
)

feed_post = Table(
    "feed_post",
    metadata,
    # One row a post of a server's market feed: claimed before it is sent, so that none is sent twice.
    Column("guild_id", BigInteger, nullable=False),
    Column("slot", String(64), nullable=False),  # daily:2026-11-24, move:rtx-4090:2026-11-24T12
    Column("channel_id", BigInteger, nullable=False),
    Column("message_id", BigInteger),
    Column("claimed_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("guild_id", "slot"),
)

# The other rooms' tables, registered with the same metadata.
from storage import tables_alerts, tables_delivery, tables_digests, tables_mail, tables_portfolio, tables_webhooks  # noqa: E402

__all__ = [
    "metadata",
    "tables_alerts",
    "tables_delivery",
    "tables_digests",
    "tables_mail",
    "tables_portfolio",
    "tables_webhooks",
]
