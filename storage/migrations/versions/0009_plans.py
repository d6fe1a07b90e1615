"""Plans: entitlements, their changes, and roles.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "entitlement",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("source", sa.String(12), nullable=False),
        sa.Column("source_id", sa.String(255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        _time("starts_at"),
        _time("ends_at", nullable=True),
        sa.Column("note", sa.String(200)),
        sa.Column("made_by", sa.BigInteger()),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_entitlement"),
    )
    op.create_index("ix_entitlement_owner", "entitlement", ["owner"])
    op.create_index("uq_entitlement_source_source_id", "entitlement", ["source", "source_id"], unique=True)
    op.create_table(
        "plan_change",
        sa.Column("id", _big(), autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(40)),
        _time("at"),
        sa.Column("from_tier", sa.String(16), nullable=False),
        sa.Column("to_tier", sa.String(16), nullable=False),
        sa.Column("source", sa.String(12)),
        sa.PrimaryKeyConstraint("id", name="pk_plan_change"),
    )
    op.create_index("ix_plan_change_at", "plan_change", ["at"])
    op.create_index("ix_plan_change_owner_at", "plan_change", ["owner", "at"])
    op.create_table(
        "plan_tier",
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        _time("at"),
        sa.PrimaryKeyConstraint("owner", name="pk_plan_tier"),
    )
    op.create_table(
        "plan_role",
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "tier", name="pk_plan_role"),
    )
    op.create_table(
        "plan_role_given",
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        _time("at"),
        sa.PrimaryKeyConstraint("guild_id", "member_id", "role_id", name="pk_plan_role_given"),
    )
    op.create_index("ix_plan_role_given_member_id", "plan_role_given", ["member_id"])


def downgrade() -> None:
    op.drop_table("plan_role_given")
    op.drop_table("plan_role")
    op.drop_table("plan_tier")
    op.drop_table("plan_change")
    op.drop_table("entitlement")
