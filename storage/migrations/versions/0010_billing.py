"""Billing: what Stripe holds for our customers, and its events.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _big() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _json() -> sa.JSON:
    return sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "billing_customer",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("member_id", sa.BigInteger()),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("stripe_id", sa.String(255)),
        sa.Column("currency", sa.String(3)),
        _time("deleted_at", nullable=True),
        _time("synced_at", nullable=True),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_billing_customer"),
        sa.UniqueConstraint("stripe_id", name="uq_billing_customer_stripe_id"),
    )
    op.create_index("ix_billing_customer_member_id", "billing_customer", ["member_id"])
    op.create_table(
        "billing_checkout",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("customer_id", sa.String(24), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("price_id", sa.String(255), nullable=False),
        sa.Column("trial_days", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("session_id", sa.String(255)),
        sa.Column("url", sa.Text()),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("payment_status", sa.String(24)),
        sa.Column("subscription_id", sa.String(255)),
        _time("created_at"),
        _time("expires_at", nullable=True),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_billing_checkout"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["billing_customer.id"], name="fk_billing_checkout_customer_id_billing_customer"
        ),
        sa.UniqueConstraint("session_id", name="uq_billing_checkout_session_id"),
    )
    op.create_index("ix_billing_checkout_customer_id", "billing_checkout", ["customer_id"])
    op.create_index("ix_billing_checkout_owner", "billing_checkout", ["owner"])
    op.create_table(
        "billing_subscription",
        sa.Column("stripe_id", sa.String(255), nullable=False),
        sa.Column("customer_id", sa.String(24), nullable=False),
        sa.Column("owner", sa.String(40)),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("tier", sa.String(16)),
        sa.Column("item_id", sa.String(255)),
        sa.Column("price_id", sa.String(255)),
        sa.Column("currency", sa.String(3)),
        sa.Column("amount", sa.Integer()),
        sa.Column("interval_months", sa.SmallInteger()),
        sa.Column("quantity", sa.Integer()),
        _time("period_start", nullable=True),
        _time("period_end", nullable=True),
        _time("trial_end", nullable=True),
        _time("cancel_at", nullable=True),
        _time("canceled_at", nullable=True),
        _time("ended_at", nullable=True),
        sa.Column("collection_paused", sa.Boolean(), nullable=False),
        _time("past_due_since", nullable=True),
        sa.Column("latest_invoice", sa.String(255)),
        sa.Column("flags", _json(), nullable=False),
        _time("created_at"),
        _time("fetched_at"),
        sa.PrimaryKeyConstraint("stripe_id", name="pk_billing_subscription"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["billing_customer.id"], name="fk_billing_subscription_customer_id_billing_customer"
        ),
    )
    op.create_index("ix_billing_subscription_customer_id", "billing_subscription", ["customer_id"])
    op.create_index("ix_billing_subscription_owner", "billing_subscription", ["owner"])
    op.create_index("ix_billing_subscription_status", "billing_subscription", ["status"])
    op.create_table(
        "billing_invoice",
        sa.Column("stripe_id", sa.String(255), nullable=False),
        sa.Column("customer_id", sa.String(24), nullable=False),
        sa.Column("subscription_id", sa.String(255)),
        sa.Column("number", sa.String(64)),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("reason", sa.String(40)),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_due", sa.Integer(), nullable=False),
        sa.Column("amount_paid", sa.Integer(), nullable=False),
        sa.Column("amount_refunded", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("hosted_url", sa.Text()),
        _time("next_attempt_at", nullable=True),
        _time("created_at"),
        _time("paid_at", nullable=True),
        _time("fetched_at"),
        sa.PrimaryKeyConstraint("stripe_id", name="pk_billing_invoice"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["billing_customer.id"], name="fk_billing_invoice_customer_id_billing_customer"
        ),
    )
    op.create_index("ix_billing_invoice_customer_id_created_at", "billing_invoice", ["customer_id", "created_at"])
    op.create_index("ix_billing_invoice_subscription_id", "billing_invoice", ["subscription_id"])
    op.create_table(
        "billing_case",
        sa.Column("stripe_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("customer_id", sa.String(24)),
        sa.Column("subscription_id", sa.String(255)),
        sa.Column("invoice_id", sa.String(255)),
        sa.Column("charge_id", sa.String(255)),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(80)),
        sa.Column("currency", sa.String(3)),
        sa.Column("amount", sa.Integer()),
        _time("created_at"),
        _time("fetched_at"),
        sa.PrimaryKeyConstraint("stripe_id", name="pk_billing_case"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["billing_customer.id"], name="fk_billing_case_customer_id_billing_customer"
        ),
    )
    op.create_index("ix_billing_case_customer_id", "billing_case", ["customer_id"])
    op.create_table(
        "billing_trial",
        sa.Column("member_hash", sa.String(64), nullable=False),
        _time("at"),
        sa.PrimaryKeyConstraint("member_hash", name="pk_billing_trial"),
    )
    op.create_table(
        "billing_effect",
        sa.Column("key", sa.String(300), nullable=False),
        _time("at"),
        sa.PrimaryKeyConstraint("key", name="pk_billing_effect"),
    )
    op.create_table(
        "billing_drift",
        sa.Column("id", _big(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(24), nullable=False),
        _time("at"),
        sa.Column("customer", sa.String(255), nullable=False),
        sa.Column("subscription", sa.String(255)),
        sa.Column("field", sa.String(40), nullable=False),
        sa.Column("ours", sa.String(255)),
        sa.Column("theirs", sa.String(255)),
        sa.Column("repaired", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_billing_drift"),
    )
    op.create_index("ix_billing_drift_run_id", "billing_drift", ["run_id"])
    op.create_table(
        "stripe_event",
        sa.Column("id", _big(), autoincrement=True, nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("event_id", sa.String(255), nullable=False),
        sa.Column("form", sa.String(8), nullable=False),
        sa.Column("type", sa.String(120), nullable=False),
        sa.Column("api_version", sa.String(40)),
        sa.Column("object_type", sa.String(60)),
        sa.Column("object_id", sa.String(255)),
        sa.Column("customer", sa.String(255)),
        sa.Column("created", sa.BigInteger(), nullable=False),
        _time("received_at"),
        sa.Column("deliveries", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("note", sa.String(200)),
        _time("done_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_stripe_event"),
    )
    op.create_index("ix_stripe_event_received_at", "stripe_event", ["received_at"])
    op.create_index("ix_stripe_event_state", "stripe_event", ["state"])
    op.create_index("uq_stripe_event_livemode_event_id", "stripe_event", ["livemode", "event_id"], unique=True)


def downgrade() -> None:
    op.drop_table("stripe_event")
    op.drop_table("billing_drift")
    op.drop_table("billing_effect")
    op.drop_table("billing_trial")
    op.drop_table("billing_case")
    op.drop_table("billing_invoice")
    op.drop_table("billing_subscription")
    op.drop_table("billing_checkout")
    op.drop_table("billing_customer")
