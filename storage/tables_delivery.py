"""Tables: notifications, their attempts, outgoing events, and how members want to be reached.

A notification is what one receiver gets at one moment through one channel; its items are what it tells of. As long as
it is ``pending``, further items of the same group join it, so that several alerts at one poll become one message.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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

notification = Table(
    "notification",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("kind", String(32), nullable=False),  # alert, digest, notice, welcome, security, billing
    Column("member_id", BigInteger),  # whose it is; null for a server's own
    Column("guild_id", BigInteger),  # a server's own, or where the member made it
    Column("channel_id", BigInteger),  # target of a server's own; of a member's: where it was made, for a mention
    Column("role_id", BigInteger),  # role that a server's own mentions
    Column("group_key", String(160), nullable=False),
    Column("severity", String(12), nullable=False, server_default="info"),  # info, warning, critical
    Column("state", String(12), nullable=False),  # pending, sending, sent, failed, dropped
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("deadline_at", UtcDateTime),  # from here the fallback channel may be used although the first is unsure
    Column("poll_at", UtcDateTime),  # when the poll behind it was stored: poll-to-message times are measured from it
    Column("first_tried_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("sent_via", String(16)),  # dm, mention, channel, email
    Column("message_id", String(80)),
    Column("may_repeat", Boolean, nullable=False, server_default=text("false")),
    Index("ix_notification_member_id_created_at", "member_id", "created_at"),
    Index("ix_notification_state_due_at", "state", "due_at"),
    Index("ix_notification_sent_at", "sent_at"),  # what was measured of the last days
    # One open notification a group, whoever adds to it at the same instant.
    Index(
        "uq_notification_open",
        "group_key",
        unique=True,
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
)

notification_item = Table(
    "notification_item",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("notification_id", ForeignKey("notification.id", ondelete="CASCADE"), nullable=False),
    Column("item_key", String(160), nullable=False, unique=True),  # the same cause twice adds one item
    Column("payload", Json, nullable=False),
    Index("ix_notification_item_notification_id", "notification_id"),
)

delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("notification_id", ForeignKey("notification.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),  # sent, refused, failed, unknown (the answer was lost)
    Column("detail", String(300)),
    Column("message_id", String(80)),
    Column("nonce", String(25)),
    Index("ix_delivery_attempt_notification_id", "notification_id"),
)

outgoing_event = Table(
    "outgoing_event",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("event", String(40), nullable=False),  # alert.triggered, market.updated, portfolio.summary, …
    Column("member_id", BigInteger),  # null: everybody's
    Column("dedupe_key", String(160), nullable=False, unique=True),
    Column("data", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_outgoing_event_created_at", "created_at"),
)

member_delivery = Table(
    "member_delivery",
    metadata,
    # Where and when a member wants to hear; no row: DM, then a mention where it was made, then confirmed e-mail.
    Column("member_id", BigInteger, primary_key=True, autoincrement=False),
    Column("channels", Json, nullable=False),  # in order: dm, mention, email
    Column("muted_kinds", Json, nullable=False),  # kinds that are not wanted at all
    Column("quiet_start", SmallInteger),  # minutes after local midnight
    Column("quiet_end", SmallInteger),
    Column("critical_passes", Boolean, nullable=False, server_default=text("false")),
    Column("dm_failures", Integer, nullable=False, server_default="0"),  # permanent ones in a row
    Column("dm_off_at", UtcDateTime),  # switched off after three
    Column("dm_opened_at", UtcDateTime),  # the opt-in DM went out
    Column("updated_at", UtcDateTime, nullable=False),
)

muted_alert = Table(
    "muted_alert",
    metadata,
    # A member who does not want to be told of a server's alert.
    Column("member_id", BigInteger, nullable=False),
    Column("rule_id", BigInteger, nullable=False),
    Column("muted_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("member_id", "rule_id"),
)
