"""Tables: outgoing webhooks: endpoints, deliveries with their attempts, and sealed secrets.

What is secret (signing keys, addresses that carry a token) is in ``sealed_secret`` alone, encrypted; see
:mod:`gpuscout.accounts.secret_box`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, SmallInteger, String, Table, Text

from storage.metadata import Json, metadata
from storage.types import BigIntId, UtcDateTime

sealed_secret = Table(
    "sealed_secret",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("owner", String(40), nullable=False),  # member:<id> or guild:<id>; bound into the seal
    Column("purpose", String(40), nullable=False),  # bound into the seal
    Column("key_id", String(16), nullable=False),  # which key of the ring wraps the data key
    Column("wrapped_key", String(400), nullable=False),
    Column("box", Text, nullable=False),  # nonce and AES-256-GCM ciphertext, base64
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_sealed_secret_owner", "owner"),
    Index("ix_sealed_secret_key_id", "key_id"),
)

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("owner", String(40), nullable=False),  # member:<id> or guild:<id>
    Column("made_by", BigInteger),  # the member who is told when it is switched off; null once he erased himself
    Column("kind", String(12), nullable=False),  # http, discord
    Column("shown", String(200), nullable=False),  # the address without what may be secret in it
    Column("fingerprint", String(64), nullable=False),  # keyed hash of the address: finds a second one
    Column("url_secret", ForeignKey("sealed_secret.id"), nullable=False),
    Column("signing_secret", ForeignKey("sealed_secret.id")),  # null for kind discord
    Column("earlier_secret", ForeignKey("sealed_secret.id")),  # signs too until …
    Column("earlier_until", UtcDateTime),
    Column("events", Json, nullable=False),
    Column("gpu", String(80)),  # market.updated: only this model
    Column("platform", String(32)),  # market.updated: only this platform
    Column("state", String(12), nullable=False),  # active, disabled
    Column("reason", String(40)),  # why it was disabled: gone, failing
    Column("failing_since", UtcDateTime),  # first failure after the last success
    Column("last_status", SmallInteger),
    Column("last_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Index("uq_webhook_endpoint_owner_fingerprint", "owner", "fingerprint", unique=True),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    # One event for one endpoint. Its id is the receiver's key against duplicates, the same in every attempt.
    Column("id", String(24), primary_key=True),
    Column("endpoint_id", ForeignKey("webhook_endpoint.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", ForeignKey("outgoing_event.id", ondelete="CASCADE"), nullable=False),
    Column("state", String(12), nullable=False),  # waiting, delivered, failed, dropped
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("replays", Integer, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime),
    Column("delivered_at", UtcDateTime),
    Index("uq_webhook_delivery_event_id_endpoint_id", "event_id", "endpoint_id", unique=True),
    Index("ix_webhook_delivery_endpoint_id_created_at", "endpoint_id", "created_at"),
)

webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("delivery_id", ForeignKey("webhook_delivery.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("status", SmallInteger),  # null: there was no answer
    Column("error", String(40)),  # why there was none
    Column("answer", Text, nullable=False),  # its first kilobyte, as text
    Index("ix_webhook_attempt_delivery_id", "delivery_id"),
)
