"""The price card as data, without Discord."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from config.i18n import translator_for
from gpuscout.cards import price_text as words
from gpuscout.cards.price_card import ChartFile, PriceFacts, price_card, price_embed
from gpuscout.cards.state import PriceState
from gpuscout.market.models import SEGMENTS, Change, Freshness, PriceView, QuoteFlag, Side
from tests.fakes import FakeMarket, quote, side

EN, DE = translator_for("en-US"), translator_for("de")
STATE = PriceState(2**62, "rtx-4090", "vast", "global")
FACTS = PriceFacts("Vast.ai", "https://gpuscout.example/methodology", ChartFile("a.webp", "x" * 2000))


@pytest.fixture
async def view() -> PriceView:
    return await FakeMarket().price("rtx-4090")


def shown(card: Any) -> str:
    return "\n".join(item.content for item in card.walk_children() if hasattr(item, "content"))


def worst(view: PriceView) -> PriceView:
    """Everything at once: all segments, long names, every remark."""
    segments = [
        quote(
            "rtx-4090",
            side(123456, 12.345, 1.234, 99.999),
            side(9, None),
            side(123465, 0.055),
            verification=verification,
            segment=segment,
        )
        for segment, verification in itertools.product(SEGMENTS[1:], ("verified", "unverified"))
    ]
    flags = QuoteFlag.THIN | QuoteFlag.OUTLIER
    return replace(
        view,
        gpu_name="**" * 60 + "@everyone",
        region="<#123>" * 10,
        source="[x](https://evil.example)" * 8,
        segments=segments,
        quote=replace(view.quote, flags=flags),
        simulated=True,
        freshness=Freshness.STALE,
    )


@pytest.mark.parametrize("t", [EN, DE], ids=["en", "de"])
async def test_worst_case_stays_within_discords_limits(view: PriceView, t: Any) -> None:
    others = [quote("rtx-4090", side(1, 9.9), side(1, 9.9), side(2, 9.9), platform=f"p{n}") for n in range(30)]
    facts = replace(FACTS, others=others, platform_names={f"p{n}": "*" * 100 for n in range(30)})

    card = price_card(worst(view), STATE, facts, t)

    assert card.total_children_count <= 40
    assert card.content_length() <= 4000
    for component in card.walk_children():
        if custom_id := getattr(component, "custom_id", None):
            assert len(custom_id) <= 100
        if options := getattr(component, "options", None):
            assert len(options) <= 25
            assert sum(option.default for option in options) == 1
    text = shown(card)
    assert "@everyone" not in text
    assert "](https://evil" not in text
    assert len(price_embed(worst(view), facts, t)) <= 6000


async def test_a_card_is_never_kept(view: PriceView) -> None:
    card = price_card(view, STATE, FACTS, EN)
    assert card.is_finished()
    assert not card.is_dispatchable()
    assert card.timeout is None


async def test_missing_figures_are_dashes_not_zeros(view: PriceView) -> None:
    empty = quote("rtx-4090", Side(), Side(), Side(), demand=None)
    bare = replace(view, quote=empty, changes={}, headline={}, segments=[], host_share=None)

    text = shown(price_card(bare, STATE, FACTS, EN))

    assert "No price: nothing is listed" in text
    assert "24 h – · 7 d – · 30 d –" in text
    assert "**Utilization** –" in text
    assert "**Demand** –" in text
    assert "hosts" not in text


async def test_direction_is_in_shape_and_sign(view: PriceView) -> None:
    changes = {
        "24h": Change(view.changes["24h"].window, 1, 0.1234, 0.0),
        "7d": Change(view.changes["7d"].window, 1, -0.5, None),
        "30d": Change(view.changes["30d"].window, 1, 0.0001, None),
    }
    changed = replace(view, changes=changes)
    assert words.changes_line(changed, EN) == "24 h ▲ +12.3% · 7 d ▼ −50.0% · 30 d → 0.0%"
    assert "(→ 0.0 points in 24 h)" in "\n".join(words.use_lines(changed, EN))


async def test_half_cents_are_shown_in_the_whole_table(view: PriceView) -> None:
    assert "0.335" in words.table(view.quote, EN)
    plain = quote("rtx-4090", side(20, 0.33, 0.26, 0.40), side(20, 2.0), side(40, 0.33))
    assert "0.330" not in words.table(plain, EN)
    assert max(map(len, words.table(view.quote, EN).split("\n"))) <= 27
    assert max(map(len, words.table(view.quote, DE).split("\n"))) <= 28


@pytest.mark.parametrize(
    ("verification", "segment", "name"),
    [
        ("any", "any", "All machines"),
        ("verified", "any", "Verified machines"),
        ("any", "dc:4-7", "Datacenter, 4-7 GPUs"),
        ("unverified", "non-dc:1-3", "Not datacenter, 1-3 GPUs, unverified"),
    ],
)
def test_series_have_names(verification: str, segment: str, name: str) -> None:
    assert words.series_name(verification, segment, EN) == name


async def test_single_series_needs_no_select(view: PriceView) -> None:
    single = replace(view, segments=[], headline={"any": view.quote})
    card = price_card(single, STATE, FACTS, EN)
    assert not [item for item in card.walk_children() if hasattr(item, "options")]


async def test_chart_has_alternative_text_within_the_limit(view: PriceView) -> None:
    card = price_card(view, STATE, FACTS, EN)
    (gallery,) = [item for item in card.walk_children() if type(item).__name__ == "MediaGallery"]
    assert len(gallery.items[0].description) == 1024
    assert gallery.items[0].media.url == "attachment://a.webp"
