"""Tables: digests: subscriptions and what was sent.

A subscription is a member's or a server's. ``next_at`` is computed from the local rule whenever it changes and whenever
a digest was claimed, so that no clock change shifts it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
)

from storage.metadata import metadata
from storage.types import BigIntId, UtcDateTime

digest_subscription = Table(
    "digest_subscription",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("member_id", BigInteger, unique=True),
    Column("guild_id", BigInteger, unique=True),
    Column("channel_id", BigInteger),  # a server's: where it is posted; a member's: where he set it, for a mention
    Column("cadence", String(8), nullable=False),  # daily, weekly
    Column("weekday", SmallInteger, nullable=False),  # 0 is Monday; counts for weekly ones
    Column("hour", SmallInteger, nullable=False),
    Column("timezone", String(64), nullable=False),  # in which next_at was computed
    Column("locale", String(16), nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime),  # the time up to which the last digest told
    Column("paused", String(16)),  # why a server's is not posted: channel, forbidden
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("member_id IS NOT NULL OR guild_id IS NOT NULL", name="ck_digest_subscription_owner"),
    Index("ix_digest_subscription_next_at", "next_at"),
)

digest_sent = Table(
    "digest_sent",
    metadata,
    Column("subscription_id", ForeignKey("digest_subscription.id", ondelete="CASCADE"), nullable=False),
    Column("slot_at", UtcDateTime, nullable=False),  # the local time it was due, as an instant
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("notification_id", String(24), nullable=False),
    Column("missed", Integer, nullable=False),  # earlier slots that this one stands for
    Column("net_day", Float),  # the portfolio's expected USD a day that was shown
    Column("gpus", Integer),  # and its GPUs
    PrimaryKeyConstraint("subscription_id", "slot_at"),
)
