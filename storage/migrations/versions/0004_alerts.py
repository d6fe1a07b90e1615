"""Alerts: rules, what they watch, and the ledger.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _small(name: str, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.SmallInteger(), nullable=False, server_default=default)


def _integer(name: str, nullable: bool = True, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=nullable, server_default=default)


def _real(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Float(), nullable=nullable)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False)


def _some(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.create_table(
        "alert_rule",
        _id(),
        _text("owner", 24),
        _big("member_id", nullable=False),
        sa.Column("server", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _big("guild_id"),
        _big("channel_id"),
        _big("role_id"),
        _text("kind", 16),
        _text("scope", 12),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        _text("fingerprint", 32),
        _text("state", 12),
        _time("created_at", nullable=False),
        _time("updated_at", nullable=False),
        _time("snoozed_until"),
        _time("expires_at"),
        _time("next_at"),
        _time("last_fired_at"),
        _integer("fires", nullable=False, default="0"),
        _text("trouble", 16, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alert_rule"),
    )
    op.create_index("ix_alert_rule_owner_id", "alert_rule", ["owner", "id"])
    op.create_index("ix_alert_rule_member_id", "alert_rule", ["member_id"])
    _some("ix_alert_rule_expires_at", "alert_rule", ["expires_at"], "state = 'active' AND expires_at IS NOT NULL")
    _some("ix_alert_rule_next_at", "alert_rule", ["next_at"], "state = 'active' AND next_at IS NOT NULL")
    _some("ix_alert_rule_removed", "alert_rule", ["updated_at"], "state = 'removed'")
    _some("ix_alert_rule_scope", "alert_rule", ["scope", "owner"], "scope IN ('portfolio', 'watchlist')")
    _some(
        "uq_alert_rule_condition",
        "alert_rule",
        ["owner", "fingerprint"],
        "state IN ('active', 'paused')",
        unique=True,
    )
    op.create_table(
        "alert_key",
        _integer("id", nullable=False),
        _text("metric", 20),
        _text("subject", 200),
        _integer("days", nullable=False, default="0"),
        _integer("series_id"),
        _real("value"),
        _big("value_at"),
        _real("before"),
        _big("since"),
        _big("poll"),
        _text("held", 16, nullable=True),
        _real("held_value"),
        _big("held_poll"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_key"),
    )
    op.create_index("uq_alert_key_subject", "alert_key", ["metric", "subject", "days"], unique=True)
    op.create_index("ix_alert_key_series_id", "alert_key", ["series_id"])
    op.create_index("ix_alert_key_poll", "alert_key", ["poll"])
    op.create_index("ix_alert_key_held_poll", "alert_key", ["held_poll"])
    op.create_table(
        "alert_trigger",
        _id(),
        sa.Column("rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _big("receiver", nullable=False),
        _integer("key_id", nullable=False),
        _small("direction"),
        _real("level", nullable=False),
        _text("role", 8),
        _text("part", 40),
        _small("side"),
        _real("base", nullable=False),
        _integer("home_id"),
        _real("anchor"),
        _small("pending", "0"),
        _big("pending_poll"),
        _big("fired_at"),
        _real("fired_value"),
        _big("wake_at"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_trigger"),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["alert_rule.id"], name="fk_alert_trigger_rule_id_alert_rule", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["key_id"], ["alert_key.id"], name="fk_alert_trigger_key_id_alert_key"),
    )
    op.create_index(
        "ix_alert_trigger_range",
        "alert_trigger",
        ["key_id", "direction", "level", "receiver", "rule_id", "id"],
    )
    op.create_index("ix_alert_trigger_rule_id", "alert_trigger", ["rule_id"])
    _some("ix_alert_trigger_wake_at", "alert_trigger", ["wake_at"], "wake_at IS NOT NULL")
    op.create_table(
        "alert_ledger",
        _id(),
        sa.Column("rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _text("mark", 120),
        _time("at", nullable=False),
        _time("last_at", nullable=False),
        _text("outcome", 12),
        _text("reason", 16, nullable=True),
        _integer("count", nullable=False),
        _text("metric", 20, nullable=True),
        _text("subject", 200, nullable=True),
        _real("value"),
        _real("level"),
        _text("notification_id", 24, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alert_ledger"),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["alert_rule.id"], name="fk_alert_ledger_rule_id_alert_rule", ondelete="CASCADE"
        ),
    )
    op.create_index("uq_alert_ledger_mark", "alert_ledger", ["rule_id", "mark"], unique=True)
    op.create_index("ix_alert_ledger_rule_id_last_at", "alert_ledger", ["rule_id", "last_at"])
    op.create_index("ix_alert_ledger_last_at", "alert_ledger", ["last_at"])
    op.create_index("ix_alert_ledger_notification_id", "alert_ledger", ["notification_id"])
    op.create_table(
        "alert_hold",
        _integer("key_id", nullable=False),
        _text("reason", 16),
        _integer("day", nullable=False),
        _big("at", nullable=False),
        _big("last_at", nullable=False),
        _integer("count", nullable=False),
        _real("value"),
        sa.ForeignKeyConstraint(["key_id"], ["alert_key.id"], name="fk_alert_hold_key_id_alert_key"),
        sa.PrimaryKeyConstraint("key_id", "reason", "day", name="pk_alert_hold"),
    )
    op.create_index("ix_alert_hold_day", "alert_hold", ["day"])
    op.create_table(
        "alert_work",
        _big("update_id", nullable=False),
        _big("cycle", nullable=False),
        _big("oldest", nullable=False),
        _time("stored_at", nullable=False),
        sa.PrimaryKeyConstraint("update_id", name="pk_alert_work"),
    )
    op.create_index("ix_alert_work_cycle", "alert_work", ["cycle"])


def downgrade() -> None:
    for table in ("alert_work", "alert_hold", "alert_ledger", "alert_trigger", "alert_key", "alert_rule"):
        op.drop_table(table)
