"""Tables: portfolios: holdings, their daily snapshots, and members' tariffs by time of use."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    text,
)

from storage.metadata import Json, metadata
from storage.types import UtcDateTime

holding = Table(
    "holding",
    metadata,
    # GPUs of one kind that a member has. One with a machine_id follows that machine: its facts are the last ones known.
    Column("id", String(24), primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("name", String(60)),
    Column("machine_id", BigInteger),
    Column("platform", String(32)),  # null: undecided
    Column("gpu", String(80), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("region", String(64), nullable=False),
    Column("tier", String(16), nullable=False),
    Column("verification", String(16), nullable=False),
    Column("segment", String(16), nullable=False),
    Column("asked_price", Float),  # USD per GPU-hour, as the renter pays
    Column("power_w", Float),  # per GPU
    Column("tariff", Float),  # USD per kWh
    Column("fee", Float),  # part of the renter's price, 0 to 1
    Column("purchase_price", Float),  # USD, all GPUs
    Column("purchased_on", String(10)),  # ISO date
    Column("mining_usd_day", Float),  # USD a day of one GPU, before electricity
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),  # can be brought back until it is erased
    Index("ix_holding_member_id_created_at", "member_id", "created_at"),
    Index("ix_holding_machine_id_platform", "machine_id", "platform"),
    Index("ix_holding_removed_at", "removed_at"),
    # A machine is in a portfolio once.
    Index(
        "uq_holding_machine",
        "member_id",
        "platform",
        "machine_id",
        unique=True,
        sqlite_where=text("machine_id IS NOT NULL AND removed_at IS NULL"),
        postgresql_where=text("machine_id IS NOT NULL AND removed_at IS NULL"),
    ),
)

portfolio_snapshot = Table(
    "portfolio_snapshot",
    metadata,
    # The portfolio at the last look of a day (UTC). Incomes are expected USD a day of all holdings.
    Column("member_id", BigInteger, nullable=False),
    Column("day", String(10), nullable=False),  # ISO date
    Column("holdings", Integer, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("gross_day", Float, nullable=False),
    Column("net_day", Float, nullable=False),
    Column("market_net_day", Float, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("member_id", "day"),
)

tariff_plan = Table(
    "tariff_plan",
    metadata,
    # Electricity by time of use, in the member's own time zone (gpuscout.portfolio.tariffs).
    Column("member_id", BigInteger, primary_key=True, autoincrement=False),
    Column("plan", Json, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
