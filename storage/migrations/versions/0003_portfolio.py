"""Portfolios: holdings, their daily snapshots, and tariffs by time of use.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _whole(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _number(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Float(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "holding",
        _text("id", 24),
        _big("member_id"),
        _text("name", 60, nullable=True),
        _big("machine_id", nullable=True),
        _text("platform", 32, nullable=True),
        _text("gpu", 80),
        _whole("quantity"),
        _text("region", 64),
        _text("tier", 16),
        _text("verification", 16),
        _text("segment", 16),
        _number("asked_price"),
        _number("power_w"),
        _number("tariff"),
        _number("fee"),
        _number("purchase_price"),
        _text("purchased_on", 10, nullable=True),
        _number("mining_usd_day"),
        _time("created_at"),
        _time("updated_at"),
        _time("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_holding"),
    )
    op.create_index("ix_holding_member_id_created_at", "holding", ["member_id", "created_at"])
    op.create_index("ix_holding_machine_id_platform", "holding", ["machine_id", "platform"])
    op.create_index("ix_holding_removed_at", "holding", ["removed_at"])
    live = sa.text("machine_id IS NOT NULL AND removed_at IS NULL")
    op.create_index(
        "uq_holding_machine",
        "holding",
        ["member_id", "platform", "machine_id"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_table(
        "portfolio_snapshot",
        _big("member_id"),
        _text("day", 10),
        _whole("holdings"),
        _whole("gpus"),
        _number("gross_day", nullable=False),
        _number("net_day", nullable=False),
        _number("market_net_day", nullable=False),
        _time("at"),
        sa.PrimaryKeyConstraint("member_id", "day", name="pk_portfolio_snapshot"),
    )
    op.create_table(
        "tariff_plan",
        _big("member_id"),
        sa.Column("plan", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("member_id", name="pk_tariff_plan"),
    )


def downgrade() -> None:
    for table in ("tariff_plan", "portfolio_snapshot", "holding"):
        op.drop_table(table)
