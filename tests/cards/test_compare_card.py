"""The comparison as data: names, limits, state, chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.i18n import translator_for
from gpuscout.cards import compare_text as words
from gpuscout.cards.compare_card import (
    Comparison,
    compare_card,
    compare_chart,
    compare_data_card,
    compare_embed,
)
from gpuscout.cards.compare_state import (
    MAX_SERIES,
    CompareAction,
    CompareState,
    digest,
    pack,
    unpack,
)
from gpuscout.cards.compare_text import Compared, Names
from gpuscout.cards.market_text import MarketFacts
from gpuscout.cards.price_card import ChartFile
from gpuscout.cards.state import BadState
from gpuscout.charts.theme import PALETTE
from gpuscout.market.earlier import Earlier
from gpuscout.market.metrics import Hosting, Metric
from gpuscout.market.models import Freshness, History, HistoryPoint, HistoryTier, SeriesKey, Tier, Verification
from gpuscout.market.ports import RANGES
from tests.fakes import NOW, quote, side

EN, DE = translator_for("en-US"), translator_for("de")

slugs = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,79}", fullmatch=True)
keys = st.builds(
    SeriesKey,
    platform=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,31}", fullmatch=True),
    gpu=slugs,
    tier=st.sampled_from([tier.value for tier in Tier]),
    verification=st.sampled_from([v.value for v in Verification]),
)
states = st.builds(
    CompareState,
    owner=st.integers(0, 2**64 - 1),
    keys=st.lists(keys, min_size=1, max_size=MAX_SERIES, unique=True).map(tuple),
    metric=st.sampled_from(Metric),
    range=st.sampled_from(list(RANGES)),
)


@given(states, st.sampled_from(CompareAction), st.sampled_from(list(RANGES)))
def test_state_survives_the_round_trip_within_discords_limit(
    state: CompareState, action: CompareAction, range_: str
) -> None:
    custom_id = pack(state, action, range_ if action is CompareAction.RANGE else "")
    assert len(custom_id) <= 100
    packed = unpack(custom_id)
    assert packed.action is action
    assert not packed.missing(state.keys)
    assert packed.open(state.keys) == state


@given(st.text(max_size=120))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadState):
        unpack(text)


@given(st.lists(st.text(alphabet="abc0279|~.+-", max_size=20), min_size=5, max_size=5))
def test_forged_parts_never_get_through_unchecked(parts: list[str]) -> None:
    try:
        packed = unpack("compare1|" + "|".join(parts))
    except BadState:
        return
    assert packed.range in RANGES
    assert 1 <= len(packed.digests) <= MAX_SERIES


def test_the_conceivable_series_have_digests_of_their_own() -> None:
    every = [
        SeriesKey(f"p{platform}", f"gpu-{gpu}", tier=tier.value, verification=verification.value)
        for platform in range(15)
        for gpu in range(140)
        for tier in Tier
        for verification in Verification
    ]
    assert len({digest(key) for key in every}) == len(every)


def test_each_line_has_the_colour_of_the_chart() -> None:
    assert len(words.SQUARES) == len(PALETTE) == MAX_SERIES


def facts(**changes: Any) -> MarketFacts:
    given: dict[str, Any] = {
        "now": NOW,
        "freshness": Freshness.FRESH,
        "tariff": 0.15,
        "own_tariff": False,
        "settings": "</settings:123456789012345678>",
        "platform_name": str,
        "sources": [("500.farm", "https://500.farm")],
        "methodology": "https://gpuscout.example/methodology",
    }
    return MarketFacts(**{**given, **changes})


def compared(gpu: str, price: float | None = 0.3, total: int = 40, **changes: Any) -> Compared:
    made = quote(gpu, side(total // 2, price), side(total - total // 2, price), side(total, price))
    return replace(Compared(made.key, made, Earlier(0.25, 0.4, 40.0, 40), Hosting(0.75, 400, 0.15)), **changes)


def comparison(items: Sequence[Compared], t: Any = EN, **changes: Any) -> Comparison:
    names = Names.of([item.key for item in items], lambda slug: slug.upper(), str.upper, t)
    return Comparison(items, names, facts(**changes))


def history(item: Compared, prices: Sequence[float | None], hours: int = 1) -> History:
    start = NOW - timedelta(days=7)
    points = [
        HistoryPoint(int(start.timestamp()) + n * hours * 3600, price, None, None, None, None, 10, 20, demand=50.0)
        for n, price in enumerate(prices)
    ]
    return History(item.key, HistoryTier.HOUR, start, NOW, timedelta(hours=hours), points)


@pytest.mark.parametrize("t", [EN, DE], ids=["en", "de"])
@pytest.mark.parametrize("metric", list(Metric))
def test_the_worst_case_stays_within_discords_limits(metric: Metric, t: Any) -> None:
    items = [
        compared(
            f"gpu-{n}",
            12345.678,
            9,
            key=SeriesKey("*" * 30, f"[x](https://evil.example)@everyone{n}" * 3, tier="secure"),
        )
        for n in range(MAX_SERIES)
    ]
    shown = comparison(items, t, simulated=True, freshness=Freshness.STALE, own_tariff=True)
    state = CompareState(2**63, tuple(item.key for item in items), metric, "90d")

    card = compare_card(shown, state, ChartFile("c.webp", "x" * 3000), [item.line for item in items], t)

    assert card.total_children_count <= 40
    assert card.content_length() <= 4000
    text = "\n".join(item.content for item in card.walk_children() if hasattr(item, "content"))
    assert "@everyone" not in text
    assert "](https://evil" not in text
    ids = [item.custom_id for item in card.walk_children() if getattr(item, "custom_id", None)]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 100
    assert len(compare_embed(shown, state, t)) <= 6000
    rows = {item.key: [item.quote] * 4 for item in items if item.quote is not None}
    data = compare_data_card(rows, shown.names, methodology="https://x.example", simulated=True, t=t)
    assert data.content_length() <= 4000
    assert data.total_children_count <= 40


@pytest.mark.parametrize(
    ("keys", "labels", "shared"),
    [
        ([SeriesKey("vast", "a")], ["A"], "VAST · on-demand · All machines"),
        ([SeriesKey("vast", "a"), SeriesKey("vast", "b")], ["A", "B"], "VAST · on-demand · All machines"),
        ([SeriesKey("vast", "a"), SeriesKey("runpod", "a")], ["VAST", "RUNPOD"], "A · on-demand · All machines"),
        (
            [SeriesKey("runpod", "a", tier="secure"), SeriesKey("runpod", "a", tier="community")],
            ["secure cloud", "community cloud"],
            "A · RUNPOD · All machines",
        ),
        (
            [SeriesKey("vast", "a", verification="verified"), SeriesKey("runpod", "b")],
            ["A · VAST · Verified machines", "B · RUNPOD · All machines"],
            "on-demand",
        ),
    ],
)
def test_what_differs_is_said_of_each(keys: list[SeriesKey], labels: list[str], shared: str) -> None:
    names = Names.of(keys, lambda slug: slug.upper(), str.upper, EN)
    assert [names.labels[key] for key in keys] == labels
    assert names.shared == shared


@pytest.mark.parametrize(
    ("metric", "now", "before", "said"),
    [
        (Metric.PRICE, 0.33, 0.30, "▲ +10.0%"),
        (Metric.PRICE, 0.27, 0.30, "▼ −10.0%"),
        (Metric.PRICE, 0.30, 0.0, "–"),
        (Metric.PRICE, None, 0.30, "–"),
        (Metric.UTILIZATION, 0.50, 0.48, "▲ +2.0 points"),
        (Metric.DEMAND, 40.0, 61.4, "▼ −21.4 points"),
        (Metric.EARNINGS, 1.5, 2.0, "▼ −$0.50"),
        (Metric.EARNINGS, -0.1, -0.1, "→ $0.00"),
    ],
)
def test_changes(metric: Metric, now: float | None, before: float | None, said: str) -> None:
    assert words.change(metric, now, before, EN) == said


def test_a_loss_is_shown_as_one() -> None:
    item = compared("a", 0.05)
    shown = comparison([item])
    card = compare_embed(shown, CompareState(1, (item.key,), Metric.EARNINGS), EN)
    # 24 h × 50 % × (0.05 × 0.75 − 0.4 kW × 0.15)
    assert "**A** −$0.27/day" in (card.description or "")


def test_the_chart_breaks_at_gaps_and_leaves_out_what_has_no_value() -> None:
    items = [compared("a"), compared("b"), compared("c", hosting=Hosting(None, 400, 0.15))]
    histories = [
        replace(history(items[0], [0.3] * 24), gaps=((int((NOW - timedelta(days=7)).timestamp()) + 3600, 0),)),
        history(items[1], [None] * 24),
        history(items[2], [0.2] * 24),
    ]
    shown = comparison(items)
    state = CompareState(1, tuple(item.key for item in items))
    spec = compare_chart(shown, histories, state, NOW, EN)
    assert [series.label for series in spec.panels[0].series] == ["A", "C"]
    assert None in spec.panels[0].series[0].values
    earned = compare_chart(shown, histories, replace(state, metric=Metric.EARNINGS), NOW, EN)
    assert [series.label for series in earned.panels[0].series] == ["A"]
    assert earned.panels[0].series[0].values[0] == pytest.approx(24 * 0.5 * (0.3 * 0.75 - 0.4 * 0.15))
    used = compare_chart(shown, histories, replace(state, metric=Metric.DEMAND), NOW, EN)
    assert len(used.panels[0].series) == 3


def test_nothing_to_draw_is_an_empty_chart() -> None:
    item = compared("a")
    spec = compare_chart(comparison([item]), [history(item, [])], CompareState(1, (item.key,)), NOW, EN)
    assert spec.panels[0].series == ()
