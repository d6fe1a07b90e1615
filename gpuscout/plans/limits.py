"""A plan's limit that was reached, and which plan lifts it."""

from __future__ import annotations

from dataclasses import dataclass

from gpuscout.plans.tiers import Limited, Plan, Plans, TierOf


class LimitReached(Exception):
    """More than the plan allows.

    Attributes:
        what: of which thing.
        limit: how many the plan allows.
        plan: the member's plan.
        lifting: the cheapest plan that allows the number asked for; None when none does.
    """

    def __init__(self, what: Limited, limit: int, plan: Plan, lifting: Plan | None) -> None:
        self.what: Limited = what
        self.limit = limit
        self.plan = plan
        self.lifting = lifting
        super().__init__(f"{plan.name} allows {limit} {what}")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a member's plan allows of one thing, read before the transaction that counts what there is.

    Attributes:
        limit: how many; None: as many as wanted.
    """

    plans: Plans
    plan: Plan
    what: Limited

    @property
    def limit(self) -> int | None:
        """How many the plan allows; None: as many as wanted."""
        return self.plan.limit(self.what)

    def check(self, total: int) -> None:
        """Refuse a *total* (what there is and what is to come) above the limit.

        Raises:
            LimitReached: with the plan that lifts it.
        """
        limit = self.limit
        if limit is not None and total > limit:
            raise LimitReached(self.what, limit, self.plan, self.plans.lifts(self.what, total))


async def allowance_of(plans: Plans, tiers: TierOf, member_id: int, what: Limited) -> Allowance:
    """What the member's plan allows of *what*."""
    return Allowance(plans, plans[await tiers.tier(member_id)], what)
