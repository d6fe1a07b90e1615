"""What commands and pages ask of billing, and what billing asks of Stripe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from gpuscout.billing.models import ChangePreview, CheckoutLink, InvoiceView, SubscriptionView
from gpuscout.plans.tiers import Tier

Object = Mapping[str, Any]
"""An object of Stripe's as plain JSON (times are epoch seconds, decimals are strings)."""


class BillingPort(Protocol):
    """What a member can do about his subscriptions.

    Every call names the member who asks; subscriptions of others are not found. All may raise ``BillingOff``,
    ``StripeAway`` and ``StripeRefused``.
    """

    @property
    def on(self) -> bool:
        """Whether plans are sold here."""
        ...

    @property
    def sold(self) -> Sequence[Tier]:
        """The tiers that have a price, cheapest first."""
        ...

    async def checkout(
        self, member_id: int, tier: Tier, *, guild_id: int | None = None, locale: str = "en-US"
    ) -> CheckoutLink:
        """A page of Stripe's to buy *tier*, for the member himself or for a server. An open one is given again.

        Raises:
            NotForSale: this tier is not sold.
            AlreadySubscribed: a live subscription exists for the same owner.
        """
        ...

    async def portal(self, member_id: int, *, locale: str = "en-US") -> str:
        """Address of Stripe's customer portal: cards, invoices, plan, cancellation.

        Raises:
            NoSubscription: he never bought anything.
        """
        ...

    async def subscriptions(self, member_id: int) -> Sequence[SubscriptionView]:
        """His subscriptions from the database, live ones first, then those that ended in the last 90 days."""
        ...

    async def invoices(self, member_id: int, limit: int = 10) -> Sequence[InvoiceView]:
        """His invoices from the database, newest first."""
        ...

    async def preview(self, member_id: int, subscription_id: str, tier: Tier) -> ChangePreview:
        """What a change to *tier* would cost."""
        ...

    async def change(self, member_id: int, preview: ChangePreview) -> SubscriptionView:
        """Change the plan as previewed.

        Raises:
            PreviewTooOld: more than 30 minutes ago, or the subscription changed since.
        """
        ...

    async def cancel(self, member_id: int, subscription_id: str) -> SubscriptionView:
        """End it with the paid time."""
        ...

    async def resume(self, member_id: int, subscription_id: str) -> SubscriptionView:
        """Take a cancellation back while the paid time runs."""
        ...

    async def end_all(self, member_id: int) -> int:
        """End every live subscription of a member at once, for one who erases himself; how many."""
        ...


Listed = Literal["customer", "subscription", "invoice", "charge", "refund", "dispute", "price", "checkout.session"]


class StripeReads(Protocol):
    """What is read from Stripe. Each call has a deadline and passes the circuit breaker of ``stripe``.

    All may raise ``StripeAway`` and ``StripeRefused``; a missing object raises ``StripeGone``.
    """

    livemode: bool
    """Of our key: live objects are not readable with a test key, nor the reverse."""

    async def fetch(self, kind: Listed | str, object_id: str, *, expand: Sequence[str] = ()) -> Object:
        """One object by Stripe's name of its type (``subscription``, ``invoice``, ``checkout.session`` …)."""
        ...

    def subscriptions(self, customer: str | None = None) -> AsyncIterator[Object]:
        """Every subscription of any status, of one customer or of all, newest first, page by page."""
        ...

    def invoices(self, customer: str, limit: int = 24) -> AsyncIterator[Object]:
        """A customer's newest invoices."""
        ...

    def events(self, since: datetime, types: Sequence[str] = ()) -> AsyncIterator[Object]:
        """Events created since then, newest first."""
        ...
