"""Digests: subscriptions and what was sent.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "digest_subscription",
        sa.Column("id", _big(), autoincrement=True, nullable=False),
        sa.Column("member_id", sa.BigInteger()),
        sa.Column("guild_id", sa.BigInteger()),
        sa.Column("channel_id", sa.BigInteger()),
        sa.Column("cadence", sa.String(8), nullable=False),
        sa.Column("weekday", sa.SmallInteger(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("locale", sa.String(16), nullable=False),
        _time("next_at"),
        _time("last_at", nullable=True),
        sa.Column("paused", sa.String(16)),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_digest_subscription"),
        sa.UniqueConstraint("member_id", name="uq_digest_subscription_member_id"),
        sa.UniqueConstraint("guild_id", name="uq_digest_subscription_guild_id"),
        sa.CheckConstraint("member_id IS NOT NULL OR guild_id IS NOT NULL", name="ck_digest_subscription_owner"),
    )
    op.create_index("ix_digest_subscription_next_at", "digest_subscription", ["next_at"])
    op.create_table(
        "digest_sent",
        sa.Column("subscription_id", _big(), nullable=False),
        _time("slot_at"),
        _time("claimed_at"),
        sa.Column("notification_id", sa.String(24), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("net_day", sa.Float()),
        sa.Column("gpus", sa.Integer()),
        sa.PrimaryKeyConstraint("subscription_id", "slot_at", name="pk_digest_sent"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["digest_subscription.id"],
            name="fk_digest_sent_subscription_id_digest_subscription",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("digest_sent")
    op.drop_table("digest_subscription")
