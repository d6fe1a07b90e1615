"""Tables: e-mail: confirmed addresses, what must not be written to, what was sent, sequences and experiments.

Addresses stand in clear only where a mail must be sent to them; everywhere else stands a keyed hash.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    text,
)

from storage.metadata import Json, metadata
from storage.types import UtcDateTime

mail_address = Table(
    "mail_address",
    metadata,
    # The address that a member confirmed. One row a member; a new address stands in mail_confirmation until then.
    Column("member_id", BigInteger, primary_key=True, autoincrement=False),
    Column("address", String(254), nullable=False),
    Column("address_hash", String(64), nullable=False),
    Column("locale", String(16), nullable=False),
    Column("confirmed_at", UtcDateTime, nullable=False),
    Column("off_at", UtcDateTime),  # null: mail is sent
    Column("off_reason", String(16)),  # member, bounce, complaint, unsubscribe, invalid
    Column("off_detail", String(300)),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_mail_address_address_hash", "address_hash"),
)

mail_confirmation = Table(
    "mail_confirmation",
    metadata,
    # One request to confirm an address; its signed link works once and until expires_at. When the address is removed
    # or the member erased, the hash stays for the limits until the purge, without address or member (0).
    Column("id", String(24), primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("address", String(254), nullable=False),
    Column("address_hash", String(64), nullable=False),
    Column("locale", String(16), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Index("ix_mail_confirmation_member_id_requested_at", "member_id", "requested_at"),
    Index("ix_mail_confirmation_address_hash_requested_at", "address_hash", "requested_at"),
)

mail_suppression = Table(
    "mail_suppression",
    metadata,
    # What must not be sent to an address: one kind's group, or "all". Outlives the member's erasure, as a hash.
    Column("address_hash", String(64), nullable=False),
    Column("scope", String(16), nullable=False),  # all, onboarding, reports, alerts
    Column("reason", String(16), nullable=False),  # bounce, complaint, unsubscribe, invalid
    Column("detail", String(300)),
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("address_hash", "scope"),
)

mail_message = Table(
    "mail_message",
    metadata,
    # Every mail, written before it is sent.
    Column("id", String(24), primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("dedupe_key", String(160), nullable=False, unique=True),
    Column("notification_id", String(24)),
    Column("address_hash", String(64), nullable=False),
    Column("experiment", String(40)),
    Column("variant", String(1)),
    Column("state", String(12), nullable=False),  # new, sending, sent, refused, failed, unknown, withheld
    Column("detail", String(300)),
    Column("may_repeat", Boolean, nullable=False, server_default=text("false")),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("provider_id", String(120)),  # X-Message-Id of the mail service
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("delivered_at", UtcDateTime),
    Column("opened_at", UtcDateTime),  # the first time
    Column("clicked_at", UtcDateTime),  # the first time
    Column("failed_at", UtcDateTime),  # bounced, dropped or reported as spam
    Index("ix_mail_message_member_id_created_at", "member_id", "created_at"),
    Index("ix_mail_message_experiment", "experiment"),
    Index("ix_mail_message_created_at", "created_at"),
)

mail_assignment = Table(
    "mail_assignment",
    metadata,
    # Which variant of an experiment a member gets, for good; stored before anything is sent.
    Column("experiment", String(40), nullable=False),
    Column("member_id", BigInteger, nullable=False),
    Column("variant", String(1), nullable=False),
    Column("assigned_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("experiment", "member_id"),
    Index("ix_mail_assignment_member_id", "member_id"),
)

mail_event = Table(
    "mail_event",
    metadata,
    # Inbox of the mail service's events: what is needed of each, stored before the 200.
    Column("id", String(120), primary_key=True),  # sg_event_id
    Column("batch", String(24), nullable=False),
    Column("event", String(24), nullable=False),
    Column("message_id", String(24)),  # ours
    Column("address_hash", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("facts", Json, nullable=False),  # reason, type, group: never the address
    Column("received_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Index("ix_mail_event_batch", "batch"),
    Index("ix_mail_event_received_at", "received_at"),
    Index("ix_mail_event_message_id", "message_id"),
)

mail_sequence = Table(
    "mail_sequence",
    metadata,
    # Where a member stands in the onboarding mails.
    Column("member_id", BigInteger, primary_key=True, autoincrement=False),
    Column("step", SmallInteger, nullable=False),  # the next mail, from 1
    Column("next_at", UtcDateTime),  # null: it is over
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_why", String(16)),  # finished, acted, off
    Index("ix_mail_sequence_next_at", "next_at"),
)
