"""Tables: alerts: rules, what they watch, and the ledger.

State lives here only. An ``alert_key`` is a number that is watched, an ``alert_trigger`` a level of it that concerns
one rule. What an update concerns is found by one range join of keys and triggers over ``ix_alert_trigger_range``; every
trigger that is met is swapped or moved in the transaction that acts on it, so the same update finds it no second time.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    text,
)

from storage.metadata import Json, metadata
from storage.types import BigIntId, UtcDateTime

alert_rule = Table(
    "alert_rule",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("owner", String(24), nullable=False),  # m:<member> or g:<server>
    Column("member_id", BigInteger, nullable=False),  # whose it is; of a server's rule: who made it
    Column("server", Boolean, nullable=False, server_default=text("false")),
    Column("guild_id", BigInteger),  # target of a server's rule; of a member's: where he made it
    Column("channel_id", BigInteger),
    Column("role_id", BigInteger),
    Column("kind", String(16), nullable=False),
    Column("scope", String(12), nullable=False),  # gpu, portfolio, watchlist, machine, none
    Column("spec", Json, nullable=False),  # gpuscout.alerts.rules.Rule
    Column("fingerprint", String(32), nullable=False),
    Column("state", String(12), nullable=False),  # active, paused, expired, done, removed
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("snoozed_until", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("next_at", UtcDateTime),  # of a digest of alerts
    Column("last_fired_at", UtcDateTime),
    Column("fires", Integer, nullable=False, server_default="0"),
    Column("trouble", String(16)),  # why it was paused by us: its channel takes no post
    Index("ix_alert_rule_owner_id", "owner", "id"),
    Index("ix_alert_rule_member_id", "member_id"),
    Index(
        "ix_alert_rule_expires_at",
        "expires_at",
        sqlite_where=text("state = 'active' AND expires_at IS NOT NULL"),
        postgresql_where=text("state = 'active' AND expires_at IS NOT NULL"),
    ),
    Index(
        "ix_alert_rule_next_at",
        "next_at",
        sqlite_where=text("state = 'active' AND next_at IS NOT NULL"),
        postgresql_where=text("state = 'active' AND next_at IS NOT NULL"),
    ),
    Index(
        "ix_alert_rule_removed",
        "updated_at",
        sqlite_where=text("state = 'removed'"),
        postgresql_where=text("state = 'removed'"),
    ),
    Index(
        "ix_alert_rule_scope",
        "scope",
        "owner",
        sqlite_where=text("scope IN ('portfolio', 'watchlist')"),
        postgresql_where=text("scope IN ('portfolio', 'watchlist')"),
    ),
    # One live rule of a condition.
    Index(
        "uq_alert_rule_condition",
        "owner",
        "fingerprint",
        unique=True,
        sqlite_where=text("state IN ('active', 'paused')"),
        postgresql_where=text("state IN ('active', 'paused')"),
    ),
)

alert_key = Table(
    "alert_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("metric", String(20), nullable=False),
    Column("subject", String(200), nullable=False),  # a series' six texts, a machine, a member, a platform
    Column("days", Integer, nullable=False, server_default="0"),  # of an extreme
    Column("series_id", Integer),
    Column("value", Float),  # the newest that was judged
    Column("value_at", BigInteger),  # its source time, epoch seconds
    Column("before", Float),  # the one judged before it
    Column("since", BigInteger),  # since when the value is this one, epoch seconds
    Column("poll", BigInteger),  # the cycle that brought the value
    Column("held", String(16)),  # why the newest value is not judged
    Column("held_value", Float),
    Column("held_poll", BigInteger),
    Index("uq_alert_key_subject", "metric", "subject", "days", unique=True),
    Index("ix_alert_key_series_id", "series_id"),
    Index("ix_alert_key_poll", "poll"),
    Index("ix_alert_key_held_poll", "held_poll"),
)

alert_trigger = Table(
    "alert_trigger",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("rule_id", ForeignKey("alert_rule.id", ondelete="CASCADE"), nullable=False),
    Column("receiver", BigInteger, nullable=False),  # the member; of a server's rule: the server's id, negative
    Column("key_id", ForeignKey("alert_key.id"), nullable=False),
    Column("direction", SmallInteger, nullable=False),  # 1: met at or above the level, -1: at or below
    Column("level", Float, nullable=False),
    Column("role", String(8), nullable=False),  # fire, rearm, reset (of a count of polls), follow
    Column("part", String(40), nullable=False),  # names the pair of fire and rearm within its rule
    Column("side", SmallInteger, nullable=False),  # direction in which its part fires
    Column("base", Float, nullable=False),  # level at which the part fires, or its step
    Column("home_id", Integer),  # key to go back to after an anchored level
    Column("anchor", Float),  # value at the last firing, or what a step is measured from
    Column("pending", SmallInteger, nullable=False, server_default="0"),  # polls that showed it
    Column("pending_poll", BigInteger),
    Column("fired_at", BigInteger),  # epoch seconds
    Column("fired_value", Float),
    Column("wake_at", BigInteger),  # when it repeats, or leaves its anchored level, epoch seconds
    # The first three find, the others answer: no row is fetched for a look.
    Index("ix_alert_trigger_range", "key_id", "direction", "level", "receiver", "rule_id", "id"),
    Index("ix_alert_trigger_rule_id", "rule_id"),
    Index(
        "ix_alert_trigger_wake_at",
        "wake_at",
        sqlite_where=text("wake_at IS NOT NULL"),
        postgresql_where=text("wake_at IS NOT NULL"),
    ),
)

alert_ledger = Table(
    "alert_ledger",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("rule_id", ForeignKey("alert_rule.id", ondelete="CASCADE"), nullable=False),
    Column("mark", String(120), nullable=False),  # names the event: the same twice is one row
    Column("at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("outcome", String(12), nullable=False),  # fired, repeated, held, expired, tested, digest
    Column("reason", String(16)),
    Column("count", Integer, nullable=False),
    Column("metric", String(20)),
    Column("subject", String(200)),
    Column("value", Float),
    Column("level", Float),
    Column("notification_id", String(24)),
    Index("uq_alert_ledger_mark", "rule_id", "mark", unique=True),
    Index("ix_alert_ledger_rule_id_last_at", "rule_id", "last_at"),
    Index("ix_alert_ledger_last_at", "last_at"),
    Index("ix_alert_ledger_notification_id", "notification_id"),
)

alert_hold = Table(
    "alert_hold",
    metadata,
    # Polls of which a value was not judged, for whoever asks why nothing fired: one row a reason and day.
    Column("key_id", ForeignKey("alert_key.id"), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970 (UTC)
    Column("at", BigInteger, nullable=False),  # source time of the first and of the last such poll, epoch seconds
    Column("last_at", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("value", Float),
    PrimaryKeyConstraint("key_id", "reason", "day"),
    Index("ix_alert_hold_day", "day"),
)

alert_work = Table(
    "alert_work",
    metadata,
    # Updates that no evaluation has seen yet.
    Column("update_id", BigInteger, primary_key=True, autoincrement=False),
    Column("cycle", BigInteger, nullable=False),  # updates of one cycle are evaluated together
    Column("oldest", BigInteger, nullable=False),  # source time of its oldest quote, epoch seconds
    Column("stored_at", UtcDateTime, nullable=False),
    Index("ix_alert_work_cycle", "cycle"),
)
