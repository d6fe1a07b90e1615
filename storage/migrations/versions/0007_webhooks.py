"""Outgoing webhooks: endpoints, deliveries with their attempts, and sealed secrets.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def _key(table: str, column: str, other: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}", ondelete=ondelete)


def upgrade() -> None:
    op.create_table(
        "sealed_secret",
        _text("id", 24),
        _text("owner", 40),
        _text("purpose", 40),
        _text("key_id", 16),
        _text("wrapped_key", 400),
        sa.Column("box", sa.Text(), nullable=False),
        _time("created_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sealed_secret"),
    )
    op.create_index("ix_sealed_secret_owner", "sealed_secret", ["owner"])
    op.create_index("ix_sealed_secret_key_id", "sealed_secret", ["key_id"])
    op.create_table(
        "webhook_endpoint",
        _text("id", 24),
        _text("owner", 40),
        sa.Column("made_by", sa.BigInteger()),
        _text("kind", 12),
        _text("shown", 200),
        _text("fingerprint", 64),
        _text("url_secret", 24),
        _text("signing_secret", 24, nullable=True),
        _text("earlier_secret", 24, nullable=True),
        _time("earlier_until"),
        sa.Column("events", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        _text("gpu", 80, nullable=True),
        _text("platform", 32, nullable=True),
        _text("state", 12),
        _text("reason", 40, nullable=True),
        _time("failing_since"),
        sa.Column("last_status", sa.SmallInteger()),
        _time("last_at"),
        _time("created_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoint"),
        _key("webhook_endpoint", "url_secret", "sealed_secret"),
        _key("webhook_endpoint", "signing_secret", "sealed_secret"),
        _key("webhook_endpoint", "earlier_secret", "sealed_secret"),
    )
    op.create_index("uq_webhook_endpoint_owner_fingerprint", "webhook_endpoint", ["owner", "fingerprint"], unique=True)
    op.create_table(
        "webhook_delivery",
        _text("id", 24),
        _text("endpoint_id", 24),
        _text("event_id", 24),
        _text("state", 12),
        _count("attempts"),
        _count("replays"),
        _time("created_at", nullable=False),
        _time("next_at"),
        _time("delivered_at"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_delivery"),
        _key("webhook_delivery", "endpoint_id", "webhook_endpoint", "CASCADE"),
        _key("webhook_delivery", "event_id", "outgoing_event", "CASCADE"),
    )
    op.create_index(
        "uq_webhook_delivery_event_id_endpoint_id", "webhook_delivery", ["event_id", "endpoint_id"], unique=True
    )
    op.create_index("ix_webhook_delivery_endpoint_id_created_at", "webhook_delivery", ["endpoint_id", "created_at"])
    op.create_table(
        "webhook_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        _text("delivery_id", 24),
        _time("at", nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.SmallInteger()),
        _text("error", 40, nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempt"),
        _key("webhook_attempt", "delivery_id", "webhook_delivery", "CASCADE"),
    )
    op.create_index("ix_webhook_attempt_delivery_id", "webhook_attempt", ["delivery_id"])


def downgrade() -> None:
    for table in ("webhook_attempt", "webhook_delivery", "webhook_endpoint", "sealed_secret"):
        op.drop_table(table)
