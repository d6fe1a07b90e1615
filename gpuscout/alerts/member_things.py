"""What a member has that rules can be about: holdings and watched GPUs, each with the series that stands for it."""

from __future__ import annotations

from gpuscout.accounts.members import Members
from gpuscout.alerts.expand import HeldGpu, Member
from gpuscout.alerts.rules import HoldingRule, MachineRule, PortfolioScope, Rule, WatchlistScope, scope_of
from gpuscout.market.models import GLOBAL, MarketUnavailable, SeriesKey, UnknownSeries
from gpuscout.market.ports import Market
from gpuscout.portfolio.models import Holding
from gpuscout.portfolio.ports import PortfolioPort

NOTHING = Member()


class MemberThings:
    """Looks up what a rule is about."""

    def __init__(self, market: Market, portfolios: PortfolioPort, members: Members) -> None:
        self._market = market
        self._portfolios = portfolios
        self._members = members

    async def of(self, member_id: int, rule: Rule) -> Member:
        """The member's things, as far as *rule* is about them."""
        scope = scope_of(rule)
        if isinstance(rule.when, HoldingRule):
            view = await self._portfolios.value(member_id)
            return Member(
                [_held(v.holding, v.basis.key if v.basis is not None else None) for v in view.holdings],
            )
        if isinstance(scope, PortfolioScope):
            holdings = await self._portfolios.list(member_id)
            if isinstance(rule.when, MachineRule):
                return Member([_held(holding, None) for holding in holdings])
            return Member([_held(h, await self._of_holding(h)) for h in holdings])
        if isinstance(scope, WatchlistScope):
            found = [
                await self.headline(gpu, scope.platform, None, scope.region)
                for gpu in await self._members.watchlist(member_id)
            ]
            return Member(watched=[key for key in found if key is not None])
        return NOTHING

    async def _of_holding(self, holding: Holding) -> SeriesKey | None:
        """The worldwide series of a holding's platform and tier: the one with the most GPUs behind it."""
        return await self.headline(holding.gpu, holding.platform, holding.tier, GLOBAL)

    async def headline(self, gpu: str, platform: str | None, tier: str | None, region: str) -> SeriesKey | None:
        """The series that stands for a choice now; where the market does not know it, the choice itself or None."""
        try:
            view = await self._market.price(gpu, platform=platform, tier=tier, region=region)
        except (MarketUnavailable, UnknownSeries):
            return None if platform is None or tier is None else SeriesKey(platform, gpu, region, tier)
        key = view.quote.key
        return SeriesKey(key.platform, key.gpu, key.region, key.tier)


def _held(holding: Holding, series: SeriesKey | None) -> HeldGpu:
    return HeldGpu(holding.id, series, holding.asked_price, holding.platform, holding.machine_id)
