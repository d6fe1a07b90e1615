"""A plan's limits in words."""

from __future__ import annotations

from config.i18n import Text
from gpuscout.plans.limits import LimitReached
from gpuscout.plans.tiers import Limited


def limit_sentence(reached: LimitReached, t: Text) -> str:
    """E.g. ``Free allows 3 alerts; Individual allows 25.``"""
    here = t("{plan} allows {things}", plan=reached.plan.name, things=amount(reached.what, reached.limit, t))
    if reached.lifting is None:
        return t("{here}; no plan allows more.", here=here)
    more = reached.lifting.limit(reached.what)
    if more is None:
        return t("{here}; {plan} has no limit.", here=here, plan=reached.lifting.name)
    return t("{here}; {plan} allows {count}.", here=here, plan=reached.lifting.name, count=t.number(more))


def amount(what: Limited, count: int, t: Text) -> str:
    """A number of alerts, holdings or webhooks."""
    number = t.number(count)
    if count == 1:
        return {
            "alerts": t("{count} alert", count=number),
            "holdings": t("{count} holding", count=number),
            "webhooks": t("{count} webhook", count=number),
        }[what]
    return {
        "alerts": t("{count} alerts", count=number),
        "holdings": t("{count} holdings", count=number),
        "webhooks": t("{count} webhooks", count=number),
    }[what]
