"""The order of each ranking, and what expected earnings are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.platforms import PlatformCatalogue
from gpuscout.market.earlier import Earlier, change_of
from gpuscout.market.earnings import DEFAULT_TARIFF, earnings_a_day
from gpuscout.market.models import QuoteFlag, SeriesKey
from gpuscout.market.overview import Gone, MarketLine, Overview, Ranking, rank
from tests.market.test_overview import NOW, quote_at

PLATFORMS = PlatformCatalogue.load()


def line(gpu: str, price: float | None, rented: int, total: int, **changes: object) -> MarketLine:
    quote = quote_at(SeriesKey("vast", gpu), 0, price=price, rented=rented, total=total)
    return MarketLine(quote=quote, gpu_name=gpu, share=0.75, power_w=400, **changes)  # type: ignore[arg-type]


def overview_with(*lines: MarketLine) -> Overview:
    return Overview(1, NOW, lines, (), 0, ("500.farm",))


def was(price: float | None, total: float = 50) -> dict[str, Earlier]:
    return {window: Earlier(price, 0.5, 40.0, total) for window in ("24h", "7d")}


def slugs(ranked: Sequence[MarketLine | Gone]) -> list[str]:
    return [item.key.gpu for item in ranked]


def test_movers_both_ways_and_what_is_weak_comes_last() -> None:
    overview = overview_with(
        line("up-a-little", 0.11, 10, 20, earlier=was(0.10)),
        line("up-much", 0.20, 10, 20, earlier=was(0.10)),
        line("up-most-but-thin", 0.90, 1, 2, earlier=was(0.10)),
        line("up-more-from-thin", 0.80, 10, 20, earlier=was(0.10, total=3)),
        line("down", 0.05, 10, 20, earlier=was(0.10)),
        line("still", 0.10, 10, 20, earlier=was(0.10)),
        line("unknown", 0.10, 10, 20, earlier=was(None)),
        line("no-past", 0.10, 10, 20),
    )
    up = ["up-much", "up-a-little", "up-most-but-thin", "up-more-from-thin"]
    for ranking, expected in ((Ranking.UP_DAY, up), (Ranking.DOWN_DAY, ["down"]), (Ranking.UP_WEEK, up)):
        assert slugs(rank(overview, ranking, NOW, 0.15)) == expected


def test_best_earners_after_electricity_depend_on_the_tariff() -> None:
    dear, frugal = line("dear", 1.0, 50, 100), line("frugal", 0.9, 50, 100)
    overview = overview_with(
        replace(dear, power_w=1000),
        replace(frugal, power_w=100),
        replace(line("no-power", 9.0, 50, 100), power_w=None),
        replace(line("no-host", 9.0, 50, 100), share=None),
        line("no-price", None, 50, 100),
    )
    assert slugs(rank(overview, Ranking.EARNINGS, NOW, 0.0)) == ["dear", "frugal"]
    assert slugs(rank(overview, Ranking.EARNINGS, NOW, 0.5)) == ["frugal", "dear"]
    # 24 h × 50 % × (1.00 × 0.75 − 1 kW × 0.50 USD/kWh)
    assert overview.lines[0].earnings(0.5) == pytest.approx(24 * 0.5 * (0.75 - 0.5))
    assert overview.lines[0].earnings(1.0) == pytest.approx(24 * 0.5 * (0.75 - 1.0)), "a loss is said, not hidden"


def test_only_where_a_host_can_go() -> None:
    assert earnings_a_day(0.5, 0.5, None, 400, DEFAULT_TARIFF) is None
    assert {p.slug for p in PLATFORMS.platforms if p.takes_new_hosts and p.host_share is not None} == {"vast"}


def test_utilization_supply_demand_and_unsized_series() -> None:
    unsized = quote_at(SeriesKey("vast", "unsized"), 0, price=0.5, rented=0, total=0, flags=QuoteFlag.UNSIZED)
    overview = overview_with(
        MarketLine(replace(unsized, reported_utilization=0.99), "unsized"),
        line("full", 0.1, 20, 20),
        line("half", 0.1, 100, 200),
        line("thin", 0.1, 2, 2),
    )
    assert slugs(rank(overview, Ranking.UTILIZATION, NOW, 0.15)) == ["full", "half", "thin", "unsized"]
    assert slugs(rank(overview, Ranking.SUPPLY, NOW, 0.15)) == ["half", "full", "thin"]
    assert slugs(rank(overview, Ranking.DEMAND, NOW, 0.15)) == ["half", "full", "thin", "unsized"]


def test_lines_that_grew_too_old_are_hidden() -> None:
    fresh, old = line("fresh", 0.1, 10, 20), line("old", 0.1, 10, 20)
    old = replace(old, quote=replace(old.quote, at=NOW - timedelta(hours=3)))
    overview = overview_with(fresh, old)
    assert slugs(rank(overview, Ranking.SUPPLY, NOW, 0.15)) == ["fresh", "old"]
    assert slugs(rank(overview, Ranking.SUPPLY, NOW + timedelta(hours=2), 0.15)) == ["fresh"]


def test_new_models_are_news_for_a_week() -> None:
    overview = overview_with(
        line("week-old", 0.1, 10, 20, first_seen=NOW - timedelta(days=7)),
        line("older", 0.1, 10, 20, first_seen=NOW - timedelta(days=7, seconds=1)),
        line("today", 0.1, 10, 20, first_seen=NOW - timedelta(hours=3)),
        line("always", 0.1, 10, 20),
    )
    assert slugs(rank(overview, Ranking.NEW, NOW, 0.15)) == ["today", "week-old"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 0.05, 0.3, 2.0]),
            st.integers(0, 30),
            st.integers(0, 30),
            st.sampled_from([None, 0.1, 0.3, 1.0]),
        ),
        max_size=12,
    ),
    st.sampled_from([ranking for ranking in Ranking if ranking is not Ranking.GONE]),
)
def test_every_ranking_is_a_sorted_subset_with_weak_samples_last(
    rows: list[tuple[float | None, int, int, float | None]], ranking: Ranking
) -> None:
    lines = [
        line(f"m{number}", price, rented, rented + rest, earlier=was(then))
        for number, (price, rented, rest, then) in enumerate(rows)
    ]
    ranked = [item for item in rank(overview_with(*lines), ranking, NOW, 0.15) if isinstance(item, MarketLine)]
    assert len({item.key for item in ranked}) == len(ranked)
    assert all(item in lines for item in ranked)
    weak = [item.weak for item in ranked]
    assert weak == sorted(weak)


def test_a_change_needs_both_ends() -> None:
    quote = line("a", 0.2, 10, 20).quote
    assert change_of(quote, None, "24h").price_ratio is None
    assert change_of(quote, Earlier(0.0, None, None, 5), "24h").price_ratio is None
    assert change_of(replace(quote, flags=QuoteFlag.OUTLIER), Earlier(0.1, 0.1, None, 5), "24h").price_ratio is None
    assert change_of(quote, Earlier(0.1, 0.1, None, 5), "7d").utilization_points == pytest.approx(0.4)
