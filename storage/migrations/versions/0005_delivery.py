"""Notifications, their attempts, and how members want to be reached; jobs are claimed by an index in their order.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _text(name: str, length: int, nullable: bool = False, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable, server_default=default)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False)


def upgrade() -> None:
    op.create_index("ix_job_state_run_at_id", "job", ["state", "run_at", "id"])
    op.drop_index("ix_job_state_run_at", table_name="job")
    op.create_table(
        "notification",
        _text("id", 24),
        _text("kind", 32),
        _big("member_id"),
        _big("guild_id"),
        _big("channel_id"),
        _big("role_id"),
        _text("group_key", 160),
        _text("severity", 12, default="info"),
        _text("state", 12),
        _time("created_at", nullable=False),
        _time("due_at", nullable=False),
        _time("deadline_at"),
        _time("poll_at"),
        _time("first_tried_at"),
        _time("sent_at"),
        _text("sent_via", 16, nullable=True),
        _text("message_id", 80, nullable=True),
        sa.Column("may_repeat", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("id", name="pk_notification"),
    )
    op.create_index("ix_notification_member_id_created_at", "notification", ["member_id", "created_at"])
    op.create_index("ix_notification_state_due_at", "notification", ["state", "due_at"])
    op.create_index("ix_notification_sent_at", "notification", ["sent_at"])
    op.create_index(
        "uq_notification_open",
        "notification",
        ["group_key"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "notification_item",
        _id(),
        _text("notification_id", 24),
        _text("item_key", 160),
        _json("payload"),
        sa.PrimaryKeyConstraint("id", name="pk_notification_item"),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notification.id"],
            name="fk_notification_item_notification_id_notification",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("item_key", name="uq_notification_item_item_key"),
    )
    op.create_index("ix_notification_item_notification_id", "notification_item", ["notification_id"])
    op.create_table(
        "delivery_attempt",
        _id(),
        _text("notification_id", 24),
        _time("at", nullable=False),
        _text("channel", 16),
        _text("outcome", 16),
        _text("detail", 300, nullable=True),
        _text("message_id", 80, nullable=True),
        _text("nonce", 25, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_attempt"),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notification.id"],
            name="fk_delivery_attempt_notification_id_notification",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_delivery_attempt_notification_id", "delivery_attempt", ["notification_id"])
    op.create_table(
        "outgoing_event",
        _text("id", 24),
        _text("event", 40),
        _big("member_id"),
        _text("dedupe_key", 160),
        _json("data"),
        _time("created_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outgoing_event"),
        sa.UniqueConstraint("dedupe_key", name="uq_outgoing_event_dedupe_key"),
    )
    op.create_index("ix_outgoing_event_created_at", "outgoing_event", ["created_at"])
    op.create_table(
        "member_delivery",
        _big("member_id", nullable=False),
        _json("channels"),
        _json("muted_kinds"),
        sa.Column("quiet_start", sa.SmallInteger()),
        sa.Column("quiet_end", sa.SmallInteger()),
        sa.Column("critical_passes", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("dm_failures", sa.Integer(), nullable=False, server_default="0"),
        _time("dm_off_at"),
        _time("dm_opened_at"),
        _time("updated_at", nullable=False),
        sa.PrimaryKeyConstraint("member_id", name="pk_member_delivery"),
    )
    op.create_table(
        "muted_alert",
        _big("member_id", nullable=False),
        _big("rule_id", nullable=False),
        _time("muted_at", nullable=False),
        sa.PrimaryKeyConstraint("member_id", "rule_id", name="pk_muted_alert"),
    )


def downgrade() -> None:
    for table in (
        "muted_alert",
        "member_delivery",
        "outgoing_event",
        "delivery_attempt",
        "notification_item",
        "notification",
    ):
        op.drop_table(table)
    op.create_index("ix_job_state_run_at", "job", ["state", "run_at"])
    op.drop_index("ix_job_state_run_at_id", table_name="job")
