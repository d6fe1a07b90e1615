"""The back-test of a rule that is about to be saved: reads the histories and runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from cogs.drawn import ChartBook, DrawnChart
from cogs.services import Services
from config.i18n import Text
from gpuscout.alerts.backtest import POINTS, SPAN, Backtest, NotJudged, backtest, lookback
from gpuscout.alerts.expand import Member, Part, parts_of, series_key
from gpuscout.alerts.ports import Current
from gpuscout.alerts.rules import GpuScope, HoldingRule, PortfolioScope, Rule, WatchlistScope, scope_of
from gpuscout.cards.alert_chart import figure_chart, shown_metric
from gpuscout.cards.alert_proposal import SHOWN, Judged
from gpuscout.cards.alert_text import Names, series_text
from gpuscout.charts.model import ChartSpec
from gpuscout.market.models import History, SeriesKey

log = structlog.get_logger(__name__)

PATIENCE: Final = 6.0
"""Seconds for all histories; then the card says that nothing was judged."""
DRAWN: Final = 400


@dataclass(frozen=True, slots=True)
class Verdict:
    """Back-tests by series, and the history and firings of the one that is drawn."""

    judged: Sequence[Judged]
    key: SeriesKey | None = None
    result: Backtest | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    key: SeriesKey
    rule: Rule
    parts: Sequence[Part]


def cases(rule: Rule, current: Sequence[Current]) -> list[_Case]:
    """The series that a settled rule watches, each with its own rule and parts."""
    scope = scope_of(rule)
    found: dict[SeriesKey, _Case] = {}
    if isinstance(rule.when, HoldingRule):
        for one in current:
            if one.gpu is None or one.platform is None or not one.levels or one.metric not in ("p10", "p90"):
                continue
            key = SeriesKey(one.platform, one.gpu, one.region, one.tier)
            side = 1 if one.metric == "p10" else -1
            part = Part(series_key(one.metric, key), side, one.levels[0], f"{side:+d}{one.holding_id}")
            known = found.get(key)
            found[key] = _Case(key, rule, [*(known.parts if known else []), part])
        return list(found.values())
    if isinstance(scope, GpuScope) and scope.platform is not None and scope.tier is not None:
        key = SeriesKey(scope.platform, scope.gpu, scope.region, scope.tier, scope.verification)
        return [_Case(key, rule, parts_of(rule, 0, Member()))]
    if isinstance(scope, PortfolioScope | WatchlistScope) and rule.kind != "machine":
        for one in current:
            if one.gpu is None or one.platform is None:
                continue
            key = SeriesKey(one.platform, one.gpu, one.region, one.tier)
            if key not in found:
                mine = GpuScope(gpu=one.gpu, platform=one.platform, region=one.region, tier=one.tier)
                single = rule.model_copy(update={"when": rule.when.model_copy(update={"scope": mine})})
                found[key] = _Case(key, single, parts_of(single, 0, Member()))
    return list(found.values())


class Judge:
    """Back-tests rules on the stored market."""

    def __init__(self, services: Services, book: ChartBook) -> None:
        self._services = services
        self._book = book

    async def judge(self, rule: Rule, current: Sequence[Current], names: Names, t: Text) -> Verdict:
        """Every series of the rule, at most :data:`SHOWN`; nothing where history cannot be read in time."""
        wanted = cases(rule, current)[:SHOWN]
        try:
            async with asyncio.timeout(PATIENCE):
                results = await asyncio.gather(*(self._one(case) for case in wanted))
        except Exception:
            # An alert can be made without its past.
            log.warning("alert_not_judged", kind=rule.kind, exc_info=True)
            return Verdict([Judged("", NotJudged("no_history"))])
        judged = [
            Judged(series_text(case.key.gpu, case.key.platform, names, t, region=case.key.region), result)
            for case, result in zip(wanted, results, strict=True)
        ]
        drawn = [(c, r) for c, r in zip(wanted, results, strict=True) if isinstance(r, Backtest)]
        if not drawn:
            return Verdict(judged)
        case, result = max(drawn, key=lambda pair: len(pair[1].firings))
        return Verdict(judged, case.key, result)

    async def _one(self, case: _Case) -> Backtest | NotJudged:
        end = self._services.clock()
        start = end - SPAN - lookback(case.rule)
        history = await self._services.market.history(case.key, start, end, points=POINTS)
        interval = self._services.market.freshness_interval()
        # Some hundredths of a second of pure Python.
        return await asyncio.to_thread(backtest, case.rule, case.parts, history, interval)

    async def chart(
        self, verdict: Verdict, names: Names, t: Text, timezone: str, *, simulated: bool
    ) -> DrawnChart | None:
        """The judged past as a picture: the figure, its levels, a dot for each firing."""
        key, result = verdict.key, verdict.result
        if key is None or result is None:
            return None
        metric = shown_metric(result.metric)
        end = result.end

        async def describe() -> ChartSpec:
            history = await self._services.market.history(key, end - SPAN, end, points=DRAWN)
            spec = self._describe(history, result, metric, names, t, timezone, simulated=simulated)
            if spec is None:
                raise LookupError(f"nothing of {metric} is stored")
            return spec

        version = await self._services.market.version()
        mark = (tuple((f.at, f.value) for f in result.firings), result.levels)
        cache = ("alert", version, key, metric, mark, t.locale, timezone, int(end.timestamp()) // 3600)
        return await self._book.draw(cache, describe, f"alert-{key.gpu}-{key.platform}")

    def _describe(
        self, history: History, result: Backtest, metric: str, names: Names, t: Text, timezone: str, *, simulated: bool
    ) -> ChartSpec | None:
        values = [(f.at.timestamp(), f.value if result.metric == metric else f.price) for f in result.firings]
        levels = result.levels if result.metric == metric else ()
        return figure_chart(
            history,
            metric,
            t,
            names,
            levels=levels,
            fired=[(at, value) for at, value in values if value is not None],
            timezone=timezone,
            simulated=simulated,
        )
