"""Which of Stripe's prices stands for which tier: the settings' table, read in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.settings import Settings
from gpuscout.plans.tiers import TIERS, Tier


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The first price of a tier is sold; further ones are earlier prices that some still pay."""

    by_tier: Mapping[Tier, tuple[str, ...]]

    @classmethod
    def of(cls, settings: Settings) -> PriceTable:
        """The settings ``STRIPE_PRICE_…``."""
        found: dict[Tier, tuple[str, ...]] = {
            "individual": settings.stripe_price_individual,
            "professional": settings.stripe_price_professional,
            "enterprise": settings.stripe_price_enterprise,
        }
        return cls({tier: prices for tier, prices in found.items() if prices})

    @property
    def sold(self) -> Sequence[Tier]:
        """Tiers with a price, cheapest first."""
        return [tier for tier in TIERS if tier in self.by_tier]

    def price_of(self, tier: Tier) -> str | None:
        """The price that is sold for *tier*."""
        prices = self.by_tier.get(tier)
        return prices[0] if prices else None

    def tier_of(self, price_id: str | None) -> Tier | None:
        """The tier that *price_id* stands for; None when it is not one of ours."""
        for tier, prices in self.by_tier.items():
            if price_id in prices:
                return tier
        return None
