"""What a digest says, gathered from the market, the portfolio and the alerts that fired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.accounts.members import Members
from gpuscout.accounts.servers import ServerSettings
from gpuscout.alerts.messages import AlertItem
from gpuscout.digests import parts
from gpuscout.digests.models import ALERTS_SHOWN, AlertLine, ChartPart, DigestContent, MoverLine, PortfolioPart
from gpuscout.digests.ports import DigestRows, Portfolios
from gpuscout.digests.schedule import Rhythm
from gpuscout.market.models import MarketUnavailable, UnknownSeries
from gpuscout.market.overview import MarketLine, Overview, Ranking, rank
from gpuscout.market.ports import Market
from gpuscout.portfolio.models import PortfolioView
from storage.digests import Owner, StoredDigest

log = structlog.get_logger(__name__)

MOVERS: Final = 8
BUSIEST: Final = 4
CHART_POINTS: Final = 120
CHART_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """A digest that is to be made.

    Attributes:
        due_at: the local time it is due, as an instant; None: a preview.
        last: the subscription behind it, with what was sent before; None: there is none yet.
    """

    owner: Owner
    rhythm: Rhythm
    timezone: str
    locale: str
    due_at: datetime | None = None
    missed: int = 0
    last: StoredDigest | None = None


class DigestComposer:
    """Makes digests. Missing data leave parts out, they never fail.

    Args:
        portfolios: None where no portfolios are kept.
    """

    def __init__(
        self,
        market: Market,
        members: Members,
        rows: DigestRows,
        gpus: GpuCatalogue,
        platforms: PlatformCatalogue,
        portfolios: Portfolios | None,
        *,
        simulated: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._market = market
        self._members = members
        self._rows = rows
        self._gpus = gpus
        self._platforms = platforms
        self._portfolios = portfolios
        self._simulated = simulated
        self._clock = clock

    async def overview(self) -> Overview | None:
        """The market, or None while there is nothing fresh enough to show."""
        try:
            return await self._market.overview()
        except MarketUnavailable:
            return None

    async def for_member(self, wanted: Wanted) -> DigestContent:
        """A member's digest as of now."""
        member_id = wanted.owner.member_id
        if member_id is None:
            raise ValueError("a server's digest")
        now = self._clock()
        view = await self._portfolios.value(member_id) if self._portfolios is not None else None
        holdings = view if view is not None and view.holdings else None
        watched = await self._members.watchlist(member_id)
        overview = await self.overview()
        content = await self._frame(wanted, now, overview)
        lines = parts.followed(overview.current(now), holdings, watched) if overview is not None else []
        movers = self._movers(lines, wanted.rhythm)[:MOVERS]
        portfolio = await self._portfolio(wanted, content.since, holdings) if holdings is not None else None
        return content.model_copy(
            update={
                "locale": (await self._members.get(member_id)).locale or wanted.locale,
                "portfolio": portfolio,
                "movers": tuple(movers),
                "follows": holdings is not None or bool(watched),
                "chart": await self._member_chart(member_id, holdings, movers, wanted.rhythm),
            }
        )

    async def for_server(self, wanted: Wanted, settings: ServerSettings) -> DigestContent:
        """A server's digest as of now."""
        now = self._clock()
        overview = await self.overview()
        content = await self._frame(wanted, now, overview)
        window = parts.window_of(wanted.rhythm)
        movers: list[MoverLine] = []
        busiest: list[MoverLine] = []
        if overview is not None:
            solid = [line for line in overview.current(now) if not line.moved_weakly(window)]
            movers = [line for line in self._movers(solid, wanted.rhythm) if line.ratio][:MOVERS]
            ranked = rank(overview, Ranking.UTILIZATION, now, 0.0)
            used = [line for line in ranked if isinstance(line, MarketLine) and not line.weak]
            busiest = [self._mover(line, window) for line in used[:BUSIEST]]
        lead = next(iter([*movers, *busiest]), None)
        chart = None
        if settings.gpu is not None:
            chart = await self._price_chart(settings.gpu, settings.platform, wanted.rhythm)
        if chart is None and lead is not None:
            chart = await self._price_chart(lead.gpu, lead.platform, wanted.rhythm)
        return content.model_copy(
            update={
                "audience": "server",
                "locale": settings.locale or wanted.locale,
                "movers": tuple(movers),
                "busiest": tuple(busiest),
                "chart": chart,
            }
        )

    # --- the parts ---

    async def _frame(self, wanted: Wanted, now: datetime, overview: Overview | None) -> DigestContent:
        """Times, alerts and sources."""
        last = wanted.last.last_at if wanted.last is not None else None
        since = last or (wanted.due_at or now) - wanted.rhythm.span
        payloads, total = await self._rows.alerts_told(wanted.owner, since, now, ALERTS_SHOWN)
        known = [(slug, self._platforms.source(slug)) for slug in (overview.sources if overview else ())]
        return DigestContent(
            cadence=wanted.rhythm.cadence,
            due_at=wanted.due_at,
            since=since,
            until=now,
            timezone=wanted.timezone,
            locale=wanted.locale,
            missed=wanted.missed,
            alerts=tuple(self._alerts(payloads)),
            alerts_total=total,
            as_of=overview.newest if overview is not None else None,
            sources=tuple((source.name, source.url) if source else (slug, None) for slug, source in known),
            simulated=self._simulated,
        )

    def _alerts(self, payloads: Iterable[object]) -> list[AlertLine]:
        found = []
        for payload in payloads:
            try:
                item = AlertItem.model_validate(payload)
            except ValidationError:
                log.warning("digest_without_alert", exc_info=True)
                continue
            model = self._gpus.get(item.gpu) if item.gpu else None
            platform = self._platforms.name_of(item.platform) if item.platform else None
            found.append(AlertLine(item=item, gpu_name=model.name if model else item.gpu, platform_name=platform))
        return found

    def _movers(self, lines: Sequence[MarketLine], rhythm: Rhythm) -> list[MoverLine]:
        window = parts.window_of(rhythm)
        found = [self._mover(line, window) for line in lines]
        return sorted(found, key=lambda line: (-abs(line.ratio or 0.0), line.name, line.platform))

    def _mover(self, line: MarketLine, window: str) -> MoverLine:
        return parts.mover(line, window, self._platforms.name_of(line.key.platform))

    async def _portfolio(self, wanted: Wanted, since: datetime, view: PortfolioView) -> PortfolioPart | None:
        if self._portfolios is None or not view.totals.valued:
            return None
        found = parts.portfolio(view)
        sent = await self._rows.last_sent(wanted.last.id) if wanted.last is not None else None
        if sent is not None and sent.net_day is not None:
            then = {"then_day": sent.net_day, "then_at": sent.claimed_at, "then_gpus": sent.gpus}
            return found.model_copy(update=then)
        days = wanted.rhythm.span.days + 1
        past = parts.before(await self._portfolios.history(view.member_id, days), since, self._clock())
        if past is None:
            return found
        return found.model_copy(update={"then_day": past.net_day, "then_at": past.at, "then_gpus": past.gpus})

    # --- the chart ---

    async def _member_chart(
        self, member_id: int, view: PortfolioView | None, movers: Sequence[MoverLine], rhythm: Rhythm
    ) -> ChartPart | None:
        """The portfolio's month, else the price of the holding that brings most, else of what moved most."""
        if view is not None and self._portfolios is not None:
            chart = parts.portfolio_chart(await self._portfolios.history(member_id, CHART_DAYS))
            if chart is not None:
                return chart
            best = max(view.holdings, key=lambda each: each.net_day or 0.0)
            return await self._price_chart(best.holding.gpu, best.holding.platform, rhythm)
        return await self._price_chart(movers[0].gpu, movers[0].platform, rhythm) if movers else None

    async def _price_chart(self, gpu: str, platform: str | None, rhythm: Rhythm) -> ChartPart | None:
        """A week of one model (a month in a weekly digest); None when nothing is known of it."""
        try:
            view = await self._market.price(gpu, platform=platform)
        except (MarketUnavailable, UnknownSeries):
            return None
        end = view.quote.at
        span = timedelta(days=CHART_DAYS) if rhythm.cadence == "weekly" else timedelta(days=7)
        history = await self._market.history(view.quote.key, end - span, end, points=CHART_POINTS)
        return parts.price_chart(history, view, self._platforms.name_of(view.platform))
