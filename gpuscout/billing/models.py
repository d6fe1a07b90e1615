"""What the rest of the program knows about a member's subscriptions. Money is in the smallest unit of its currency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gpuscout.plans.tiers import Tier

LIVE: Final = frozenset({"active", "trialing", "past_due"})
"""Statuses of Stripe's in which a subscription can still give access (``past_due``: within the grace)."""

Happened = Literal[
    "started",
    "changed",
    "paid",
    "payment_failed",
    "action_required",
    "trial_ends",
    "cancelled",
    "resumed",
    "ended",
    "refunded",
]
"""What a member is told about a subscription."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the smallest unit of *currency* (ISO 4217, upper case)."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """One subscription as last fetched from Stripe.

    Attributes:
        id: Stripe's id.
        owner: whom it is for: ``member:<id>`` or ``guild:<id>``.
        status: as Stripe says.
        tier: what its price stands for; None: a price that is not one of ours.
        price: of a period of *months*, before tax and discounts.
        period_end: until when it is paid.
        cancel_at: when it ends by a wish already said; None: it goes on.
        grace_until: until when access goes on although a payment is due; None: nothing is due.
        pay_url: Stripe's page of the open invoice, while a payment is due.
    """

    id: str
    owner: str | None
    status: str
    tier: Tier | None
    price: Money | None
    months: int | None
    period_end: datetime | None
    trial_end: datetime | None
    cancel_at: datetime | None
    grace_until: datetime | None
    pay_url: str | None
    livemode: bool

    @property
    def live(self) -> bool:
        """Whether it can still give access."""
        return self.status in LIVE


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """One invoice; *url* is Stripe's page with the receipt."""

    id: str
    number: str | None
    status: str
    total: Money
    paid: Money
    created_at: datetime
    url: str | None


@dataclass(frozen=True, slots=True)
class CheckoutLink:
    """Where a member pays."""

    url: str
    expires_at: datetime
    tier: Tier
    price: Money
    trial_days: int


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """What a change of plan costs, computed by Stripe for the moment *at*; confirm it with the same moment.

    Attributes:
        due_now: charged at once (negative: a credit for the next invoices).
        next_total: of the next regular invoice.
        next_at: when that comes.
    """

    subscription: str
    tier_now: Tier | None
    tier: Tier
    due_now: Money
    next_total: Money
    next_at: datetime | None
    at: datetime


class BillingError(Exception):
    """A wish about billing that was not carried out."""


class BillingOff(BillingError):
    """Nothing is sold here: ``STRIPE_SECRET_KEY`` is not set."""


class NotForSale(BillingError):
    """No price is set for this plan, or it is the free one."""


class AlreadySubscribed(BillingError):
    """There is a live subscription already: its plan is changed, no second one is bought."""

    def __init__(self, subscription: SubscriptionView) -> None:
        self.subscription = subscription
        super().__init__(f"{subscription.id} is {subscription.status}")


class NoSubscription(BillingError):
    """The member has no such subscription."""


class PreviewTooOld(BillingError):
    """The preview was made for another moment or another state; a new one is wanted."""


class StripeRefused(BillingError):
    """Stripe does not accept the request; the message is Stripe's, without secrets, and *code* its error code."""

    def __init__(self, message: str, code: str | None = None) -> None:
        self.code = code
        super().__init__(message)


class StripeGone(StripeRefused):
    """Stripe knows no such object (404)."""


class StripeAway(BillingError):
    """Stripe does not answer, or is not asked while its circuit is open; *retry_after* in seconds, if it said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)
