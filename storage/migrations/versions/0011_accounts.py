"""Accounts: sign-in links, sessions, API keys, shared pages.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json() -> sa.JSON:
    return sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "sign_in_link",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("way", sa.String(8), nullable=False),
        sa.Column("next", sa.String(200)),
        _time("created_at"),
        _time("expires_at"),
        _time("used_at", nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sign_in_link"),
    )
    op.create_index("ix_sign_in_link_expires_at", "sign_in_link", ["expires_at"])
    op.create_index("ix_sign_in_link_member_id", "sign_in_link", ["member_id"])
    op.create_table(
        "web_session",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("way", sa.String(8), nullable=False),
        sa.Column("agent", sa.String(120), nullable=False),
        _time("created_at"),
        _time("seen_at"),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("id", name="pk_web_session"),
        sa.UniqueConstraint("token_hash", name="uq_web_session_token_hash"),
    )
    op.create_index("ix_web_session_expires_at", "web_session", ["expires_at"])
    op.create_index("ix_web_session_member_id", "web_session", ["member_id"])
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", _json(), nullable=False),
        _time("created_at"),
        _time("used_at", nullable=True),
        _time("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
    )
    op.create_index("ix_api_key_member_id", "api_key", ["member_id"])
    op.create_table(
        "portfolio_share",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("shows", _json(), nullable=False),
        _time("created_at"),
        _time("revoked_at", nullable=True),
        sa.Column("views", sa.Integer(), server_default="0", nullable=False),
        _time("viewed_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_portfolio_share"),
        sa.UniqueConstraint("token_hash", name="uq_portfolio_share_token_hash"),
    )
    op.create_index("ix_portfolio_share_member_id", "portfolio_share", ["member_id"])


def downgrade() -> None:
    op.drop_table("portfolio_share")
    op.drop_table("api_key")
    op.drop_table("web_session")
    op.drop_table("sign_in_link")
