"""Tables: what Stripe holds for our customers, its events, and what was done about them.

Rows mirror Stripe's objects after a fetch; nothing is taken from an event but what it is about. Money is in the
smallest unit of its currency.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, SmallInteger, String, Table, Text

from storage.metadata import Json, metadata
from storage.types import BigIntId, UtcDateTime

billing_customer = Table(
    "billing_customer",
    metadata,
    # Made before Stripe's customer is: the idempotency key of its creation comes from our id.
    Column("id", String(24), primary_key=True),
    Column("member_id", BigInteger),  # null: erased, or an orphan of Stripe's
    Column("livemode", Boolean, nullable=False),
    Column("stripe_id", String(255), unique=True),  # null until Stripe has answered
    Column("currency", String(3)),  # of what it first bought; one customer, one currency
    Column("deleted_at", UtcDateTime),  # deleted at Stripe
    Column("synced_at", UtcDateTime),  # when all of it was last fetched
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_billing_customer_member_id", "member_id"),
)

billing_checkout = Table(
    "billing_checkout",
    metadata,
    Column("id", String(24), primary_key=True),  # of the idempotency key
    Column("customer_id", ForeignKey("billing_customer.id"), nullable=False),
    Column("owner", String(40), nullable=False),  # whom the plan is for: member:<id> or guild:<id>
    Column("tier", String(16), nullable=False),
    Column("price_id", String(255), nullable=False),
    Column("trial_days", SmallInteger, nullable=False, server_default="0"),
    Column("session_id", String(255), unique=True),
    Column("url", Text),
    Column("state", String(12), nullable=False),  # new, open, complete, expired
    Column("payment_status", String(24)),  # as Stripe says: paid, unpaid, no_payment_required
    Column("subscription_id", String(255)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_billing_checkout_customer_id", "customer_id"),
    Index("ix_billing_checkout_owner", "owner"),
)

billing_subscription = Table(
    "billing_subscription",
    metadata,
    Column("stripe_id", String(255), primary_key=True),
    Column("customer_id", ForeignKey("billing_customer.id"), nullable=False),
    Column("owner", String(40)),  # whom it is for; null: nobody that is known
    Column("livemode", Boolean, nullable=False),
    Column("status", String(32), nullable=False),  # as Stripe says, also one that we do not know
    Column("tier", String(16)),  # of its price; null: a price that is not ours
    Column("item_id", String(255)),
    Column("price_id", String(255)),
    Column("currency", String(3)),
    Column("amount", Integer),  # a period, before tax and discounts
    Column("interval_months", SmallInteger),
    Column("quantity", Integer),
    Column("period_start", UtcDateTime),
    Column("period_end", UtcDateTime),
    Column("trial_end", UtcDateTime),
    Column("cancel_at", UtcDateTime),  # when it ends by a wish already said
    Column("canceled_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("collection_paused", Boolean, nullable=False),
    Column("past_due_since", UtcDateTime),  # our clock of the grace
    Column("latest_invoice", String(255)),
    Column("flags", Json, nullable=False),  # words: disputed, fraud, refunded, unknown_price, unknown_status
    Column("created_at", UtcDateTime, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    Index("ix_billing_subscription_customer_id", "customer_id"),
    Index("ix_billing_subscription_owner", "owner"),
    Index("ix_billing_subscription_status", "status"),
)

billing_invoice = Table(
    "billing_invoice",
    metadata,
    Column("stripe_id", String(255), primary_key=True),
    Column("customer_id", ForeignKey("billing_customer.id"), nullable=False),
    Column("subscription_id", String(255)),
    Column("number", String(64)),
    Column("status", String(24), nullable=False),
    Column("reason", String(40)),  # Stripe's billing_reason
    Column("currency", String(3), nullable=False),
    Column("amount_due", Integer, nullable=False),
    Column("amount_paid", Integer, nullable=False),
    Column("amount_refunded", Integer, nullable=False, server_default="0"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("hosted_url", Text),
    Column("next_attempt_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("paid_at", UtcDateTime),
    Column("fetched_at", UtcDateTime, nullable=False),
    Index("ix_billing_invoice_customer_id_created_at", "customer_id", "created_at"),
    Index("ix_billing_invoice_subscription_id", "subscription_id"),
)

billing_case = Table(
    "billing_case",
    metadata,
    # Refunds, disputes and fraud warnings.
    Column("stripe_id", String(255), primary_key=True),
    Column("kind", String(16), nullable=False),  # refund, dispute, fraud
    Column("customer_id", ForeignKey("billing_customer.id")),
    Column("subscription_id", String(255)),
    Column("invoice_id", String(255)),
    Column("charge_id", String(255)),
    Column("status", String(40), nullable=False),
    Column("reason", String(80)),
    Column("currency", String(3)),
    Column("amount", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    Index("ix_billing_case_customer_id", "customer_id"),
)

billing_trial = Table(
    "billing_trial",
    metadata,
    # One trial a member, also after an erasure: only a keyed hash of the member stays.
    Column("member_hash", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

billing_effect = Table(
    "billing_effect",
    metadata,
    # What was told or done once: <kind>:<Stripe object>[:<occasion>].
    Column("key", String(300), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

billing_drift = Table(
    "billing_drift",
    metadata,
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("run_id", String(24), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("customer", String(255), nullable=False),  # Stripe's id
    Column("subscription", String(255)),
    Column("field", String(40), nullable=False),  # missing, status, price, period_end, cancel_at, owner, entitlement …
    Column("ours", String(255)),
    Column("theirs", String(255)),
    Column("repaired", Boolean, nullable=False),
    Index("ix_billing_drift_run_id", "run_id"),
)

stripe_event = Table(
    "stripe_event",
    metadata,
    # The inbox. Only what an event is about is kept, never its object.
    Column("id", BigIntId, primary_key=True, autoincrement=True),
    Column("livemode", Boolean, nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("form", String(8), nullable=False),  # snapshot, thin
    Column("type", String(120), nullable=False),
    Column("api_version", String(40)),
    Column("object_type", String(60)),
    Column("object_id", String(255)),
    Column("customer", String(255)),  # Stripe's id, where the event names it
    Column("created", BigInteger, nullable=False),  # epoch seconds; never an order
    Column("received_at", UtcDateTime, nullable=False),
    Column("deliveries", Integer, nullable=False, server_default="1"),
    Column("state", String(12), nullable=False),  # new, done, ignored, orphan, quarantined
    Column("note", String(200)),
    Column("done_at", UtcDateTime),
    Index("uq_stripe_event_livemode_event_id", "livemode", "event_id", unique=True),
    Index("ix_stripe_event_state", "state"),
    Index("ix_stripe_event_received_at", "received_at"),
)
