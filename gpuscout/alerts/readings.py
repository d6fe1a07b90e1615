"""The present value of anything that a rule watches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from gpuscout.alerts.expand import KeySpec
from gpuscout.alerts.ports import HeldReason
from gpuscout.alerts.values import MACHINE_METRICS, Doubt, Figures, Reading, SeriesAsk
from gpuscout.market.fallback import FallbackState
from gpuscout.market.models import SLOW_FEEDS, STALE_LIMIT, Freshness, freshness
from gpuscout.portfolio.ports import PortfolioPort
from storage import alerts_values as figures
from storage.alerts_keys import hires
from storage.market_many import ids_of
from storage.state import AppState


async def doubt_of(state: AppState, interval: timedelta) -> Doubt:
    """What is known against the data now: the models of which two sources differ (``gpuscout.market.fallback``)."""
    stored: Any = await state.get("market.fallback")
    known = FallbackState.model_validate(stored or {})
    return Doubt(frozenset(known.disagreeing), interval)


class Readings:
    """Reads present values, as the engine would judge them.

    Args:
        doubt: what is known against the data now.
    """

    def __init__(
        self,
        figures: Figures,
        portfolios: PortfolioPort,
        doubt: Callable[[], Awaitable[Doubt]],
        clock: Callable[[], datetime],
    ) -> None:
        self._figures = figures
        self._portfolios = portfolios
        self._doubt = doubt
        self._clock = clock

    async def current(self, specs: Sequence[KeySpec]) -> dict[tuple[str, str, int], Reading]:
        """Present readings by the keys' identity; those of which nothing is known are left out."""
        now = self._clock()
        doubt = await self._doubt()
        found = await self._series([spec for spec in specs if spec.texts is not None], doubt, now)
        machines = []
        hired = await hires(self._figures.db, [spec.subject for spec in specs if spec.metric == "m_rented"])
        for spec in specs:
            if spec.metric in MACHINE_METRICS:
                known = hired.get(spec.subject)
                machines.append(
                    SimpleNamespace(
                        id=spec.identity,
                        metric=spec.metric,
                        subject=spec.subject,
                        value=None if known is None else known.value,
                        since=None if known is None else known.since,
                    )
                )
            elif spec.metric in ("spread_percent", "spread_usd"):
                spread = await self._figures.of_spread(spec.subject, spec.metric, int(now.timestamp()), doubt)
                if spread is not None:
                    found[spec.identity] = spread
            elif spec.metric == "models":
                newest = await figures.newest_model(self._figures.db, spec.subject)
                found[spec.identity] = Reading(float(newest), int(now.timestamp()))
            elif spec.metric == "fleet_net":
                found[spec.identity] = await self.fleet(int(spec.subject), doubt)
        of_machines = await self._figures.of_machines(machines, int(now.timestamp()))
        return found | cast(dict[tuple[str, str, int], Reading], of_machines)

    async def fleet(self, member_id: int, doubt: Doubt) -> Reading:
        """Expected net earnings of a member's portfolio, USD a month; None while none of it has a value.

        The sum is held back when a median that it rests on would be.
        """
        view = await self._portfolios.value(member_id)
        value = view.totals.net_month if view.totals.valued else None
        every = max(doubt.interval, *SLOW_FEEDS.values())
        bases = [found.basis for found in view.holdings if found.net_day is not None and found.basis is not None]
        held: HeldReason | None = None
        if any(freshness(basis.at, view.at, every) is not Freshness.FRESH for basis in bases):
            held = "stale"
        elif any(basis.thin for basis in bases):
            held = "thin"
        elif any(basis.key.gpu in doubt.contradicted for basis in bases):
            held = "contradicted"
        return Reading(value, int(view.at.timestamp()), held)

    async def _series(
        self, specs: Sequence[KeySpec], doubt: Doubt, now: datetime
    ) -> dict[tuple[str, str, int], Reading]:
        ids = await ids_of(self._figures.db, {spec.texts for spec in specs if spec.texts is not None})
        if not ids:
            return {}
        since = int((now - STALE_LIMIT).timestamp())
        newest: dict[int, Any] = {}
        for row in await figures.newest_of(self._figures.db, sorted(ids.values()), since):
            newest[row.series_id] = row
        asks = []
        for spec in specs:
            series_id = ids.get(spec.texts) if spec.texts is not None else None
            if series_id in newest and spec.texts is not None:
                quote: Any = newest[series_id]
                asks.append(
                    SeriesAsk(
                        spec.identity, spec.metric, spec.days, spec.texts[1], quote, quote.feed, now, quote.source
                    )
                )
        return await self._figures.of_series(asks, doubt)
