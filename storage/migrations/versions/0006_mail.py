"""E-mail: confirmed addresses, suppressions, sequences and experiments.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _member() -> sa.Column[Any]:
    return sa.Column("member_id", sa.BigInteger(), nullable=False)


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "mail_address",
        _member(),
        _text("address", 254),
        _text("address_hash", 64),
        _text("locale", 16),
        _time("confirmed_at", nullable=False),
        _time("off_at"),
        _text("off_reason", 16, nullable=True),
        _text("off_detail", 300, nullable=True),
        _time("updated_at", nullable=False),
        sa.PrimaryKeyConstraint("member_id", name="pk_mail_address"),
    )
    op.create_index("ix_mail_address_address_hash", "mail_address", ["address_hash"])
    op.create_table(
        "mail_confirmation",
        _text("id", 24),
        _member(),
        _text("address", 254),
        _text("address_hash", 64),
        _text("locale", 16),
        _time("requested_at", nullable=False),
        _time("expires_at", nullable=False),
        _time("used_at"),
        sa.PrimaryKeyConstraint("id", name="pk_mail_confirmation"),
    )
    op.create_index("ix_mail_confirmation_member_id_requested_at", "mail_confirmation", ["member_id", "requested_at"])
    op.create_index(
        "ix_mail_confirmation_address_hash_requested_at", "mail_confirmation", ["address_hash", "requested_at"]
    )
    op.create_table(
        "mail_suppression",
        _text("address_hash", 64),
        _text("scope", 16),
        _text("reason", 16),
        _text("detail", 300, nullable=True),
        _time("at", nullable=False),
        sa.PrimaryKeyConstraint("address_hash", "scope", name="pk_mail_suppression"),
    )
    op.create_table(
        "mail_message",
        _text("id", 24),
        _member(),
        _text("kind", 24),
        _text("dedupe_key", 160),
        _text("notification_id", 24, nullable=True),
        _text("address_hash", 64),
        _text("experiment", 40, nullable=True),
        _text("variant", 1, nullable=True),
        _text("state", 12),
        _text("detail", 300, nullable=True),
        sa.Column("may_repeat", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"),
        _text("provider_id", 120, nullable=True),
        _time("created_at", nullable=False),
        _time("sent_at"),
        _time("delivered_at"),
        _time("opened_at"),
        _time("clicked_at"),
        _time("failed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_mail_message"),
        sa.UniqueConstraint("dedupe_key", name="uq_mail_message_dedupe_key"),
    )
    op.create_index("ix_mail_message_member_id_created_at", "mail_message", ["member_id", "created_at"])
    op.create_index("ix_mail_message_experiment", "mail_message", ["experiment"])
    op.create_index("ix_mail_message_created_at", "mail_message", ["created_at"])
    op.create_table(
        "mail_assignment",
        _text("experiment", 40),
        _member(),
        _text("variant", 1),
        _time("assigned_at", nullable=False),
        sa.PrimaryKeyConstraint("experiment", "member_id", name="pk_mail_assignment"),
    )
    op.create_index("ix_mail_assignment_member_id", "mail_assignment", ["member_id"])
    op.create_table(
        "mail_event",
        _text("id", 120),
        _text("batch", 24),
        _text("event", 24),
        _text("message_id", 24, nullable=True),
        _text("address_hash", 64),
        _time("at", nullable=False),
        sa.Column("facts", json, nullable=False),
        _time("received_at", nullable=False),
        _time("done_at"),
        sa.PrimaryKeyConstraint("id", name="pk_mail_event"),
    )
    op.create_index("ix_mail_event_batch", "mail_event", ["batch"])
    op.create_index("ix_mail_event_received_at", "mail_event", ["received_at"])
    op.create_index("ix_mail_event_message_id", "mail_event", ["message_id"])
    op.create_table(
        "mail_sequence",
        _member(),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        _time("next_at"),
        _time("started_at", nullable=False),
        _time("ended_at"),
        _text("ended_why", 16, nullable=True),
        sa.PrimaryKeyConstraint("member_id", name="pk_mail_sequence"),
    )
    op.create_index("ix_mail_sequence_next_at", "mail_sequence", ["next_at"])


def downgrade() -> None:
    for table in (
        "mail_sequence",
        "mail_event",
        "mail_assignment",
        "mail_message",
        "mail_suppression",
        "mail_confirmation",
        "mail_address",
    ):
        op.drop_table(table)
