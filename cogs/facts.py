"""What every card about several series shows besides them: age, tariff, sources."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cogs.services import Services
from gpuscout.cards.market_text import MarketFacts
from gpuscout.market.earnings import DEFAULT_TARIFF
from gpuscout.market.models import freshness


def market_facts(
    services: Services,
    newest: datetime,
    sources: Iterable[str],
    tariff: float | None,
    settings: str,
    *,
    home: str | None = None,
) -> MarketFacts:
    """The facts as of now.

    Args:
        newest: newest reading that is shown.
        sources: slugs of who reported.
        tariff: the member's electricity in USD per kWh; None where he set none.
        settings: how to name the command that sets it.
        home: the platform that need not be named in each entry.
    """
    slugs = sorted(set(sources))
    origins = [services.platforms.source(slug) for slug in slugs]
    now = services.clock()
    return MarketFacts(
        now=now,
        freshness=freshness(newest, now, services.market.freshness_interval()),
        tariff=DEFAULT_TARIFF if tariff is None else tariff,
        own_tariff=tariff is not None,
        settings=settings,
        platform_name=services.platform_name,
        sources=[services.source_link(slug) for slug in slugs],
        methodology=services.methodology_url,
        home=home,
        simulated=services.settings.simulated or any(origin.simulated for origin in origins if origin is not None),
    )
