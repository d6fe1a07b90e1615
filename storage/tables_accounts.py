"""Tables: sign-in links, web sessions, API keys and shared portfolio pages. Of every secret only its hash is kept."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from storage.metadata import Json, metadata
from storage.types import UtcDateTime

sign_in_link = Table(
    "sign_in_link",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("way", String(8), nullable=False),  # discord, mail
    Column("next", String(200)),  # path of our own to go to
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Index("ix_sign_in_link_member_id", "member_id"),
    Index("ix_sign_in_link_expires_at", "expires_at"),
)

web_session = Table(
    "web_session",
    metadata,
    Column("id", String(24), primary_key=True),  # for listing and ending; not the secret
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("member_id", BigInteger, nullable=False),
    Column("way", String(8), nullable=False),  # discord, oauth, mail
    Column("agent", String(120), nullable=False),  # browser and system, in words
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_web_session_member_id", "member_id"),
    Index("ix_web_session_expires_at", "expires_at"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(24), primary_key=True),  # the first part of gsk_<id>_<secret>
    Column("member_id", BigInteger, nullable=False),
    Column("name", String(60), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),  # to the hour
    Column("revoked_at", UtcDateTime),
    Index("ix_api_key_member_id", "member_id"),
)

portfolio_share = Table(
    "portfolio_share",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("shows", Json, nullable=False),  # words: names, prices; what is left out is not shown
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("views", Integer, nullable=False, server_default="0"),
    Column("viewed_at", UtcDateTime),
    Index("ix_portfolio_share_member_id", "member_id"),
)
