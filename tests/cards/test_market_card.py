"""The market card as data, without Discord."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.i18n import translator_for
from gpuscout.cards.market_card import PAGE_SIZE, market_card, market_embed
from gpuscout.cards.market_state import VIEWS, MarketState, pack, pack_state, unpack, unpack_state
from gpuscout.cards.market_text import MarketFacts
from gpuscout.cards.named_card import NamedGpu, named_card
from gpuscout.cards.pager import Move, Paging, pager_row
from gpuscout.cards.state import BadState
from gpuscout.market.earlier import Earlier
from gpuscout.market.models import Freshness, SeriesKey
from gpuscout.market.overview import Gone, MarketLine, Overview
from tests.fakes import NOW, quote, side

EN, DE = translator_for("en-US"), translator_for("de")
NASTY = "[x](https://evil.example) @everyone **b** " * 3


def facts(**changes: Any) -> MarketFacts:
    given: dict[str, Any] = {
        "now": NOW,
        "freshness": Freshness.STALE,
        "tariff": 0.15,
        "own_tariff": False,
        "settings": "</settings:123456789012345678>",
        "platform_name": lambda slug: slug * 4,
        "sources": [(NASTY, "https://500.farm")] * 3,
        "methodology": "https://gpuscout.example/methodology",
        "simulated": True,
    }
    return MarketFacts(**{**given, **changes})


def worst(count: int) -> Overview:
    """Many models with everything about them long or odd."""
    lines = []
    for n in range(count):
        made = quote(f"gpu-{n}" + "x" * 60, side(123456, 12.345), side(9, 12.345), side(123465 - n, 12345.678))
        made = replace(made, key=replace(made.key, tier="secure", platform="a-long-platform-name"), at=NOW)
        then = {window: Earlier(11111.1, 0.1, 10.0, 3) for window in ("24h", "7d")}
        lines.append(MarketLine(made, NASTY + str(n), then, 0.75, 450, NOW - timedelta(days=1)))
    gone = [Gone(SeriesKey("vast", f"gone-{n}"), NASTY, NOW - timedelta(days=2), 12345.678, 99) for n in range(count)]
    return Overview(1, NOW, lines, gone, 12, ("500.farm",))


def shown(card: Any) -> str:
    return "\n".join(item.content for item in card.walk_children() if hasattr(item, "content"))


@pytest.mark.parametrize("t", [EN, DE], ids=["en", "de"])
@pytest.mark.parametrize("view", VIEWS)
def test_the_worst_case_stays_within_discords_limits(view: str, t: Any) -> None:
    overview = worst(40)
    card = market_card(overview, MarketState(2**63, view, 2), facts(), t)
    assert card.total_children_count <= 40
    assert card.content_length() <= 4000
    ids = [item.custom_id for item in card.walk_children() if getattr(item, "custom_id", None)]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 100
    for item in card.walk_children():
        options = getattr(item, "options", None)
        if options is not None:
            assert 1 <= len(options) <= 25
            assert len({option.value for option in options}) == len(options)
    text = shown(card)
    assert "@everyone" not in text
    assert "](https://evil" not in text
    assert len(market_embed(overview, view, facts(), t)) <= 6000


def test_one_card_for_several_names_stays_within_discords_limits() -> None:
    found = [NamedGpu(NASTY, line) for line in worst(6).lines]
    card = named_card(found, 2**63, facts(), EN)
    assert card.total_children_count <= 40
    assert card.content_length() <= 4000
    ids = [item.custom_id for item in card.walk_children() if getattr(item, "custom_id", None)]
    assert len(ids) == 7
    assert max(map(len, ids)) <= 100


@given(st.integers(0, 2**64 - 1), st.sampled_from(VIEWS), st.integers(0, 99_999))
def test_state_survives_the_round_trip(owner: int, view: str, page: int) -> None:
    state = MarketState(owner, view, page)
    assert unpack(pack(state, "view")) == ("view", state)
    assert unpack_state(pack_state(state), page) == state
    assert len(pack(state, "refresh")) <= 100


@given(st.text(max_size=80))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadState):
        unpack(text)


@pytest.mark.parametrize("text", ["", "|", "1|nothing", "ä|overview", "1|", "zzzzzzzzzzzzzz|overview"])
def test_forged_states_are_refused(text: str) -> None:
    with pytest.raises(BadState):
        unpack_state(text)


@given(st.integers(0, 200), st.integers(1, 20), st.integers(-5, 300))
def test_pages_cover_every_entry_once(entries: int, size: int, page: int) -> None:
    items = list(range(entries))
    paging = Paging.of(entries, size, page)
    assert 0 <= paging.page < paging.pages
    seen = [item for number in range(paging.pages) for item in Paging.of(entries, size, number).part(items)]
    assert seen == items
    row = pager_row(paging, lambda move, target: f"{move}.{target}")
    assert (row is None) == (paging.pages == 1) == (paging.words(EN) is None)
    if row is not None:
        buttons: Any = row.children
        ids = [button.custom_id for button in buttons]
        assert len(set(ids)) == 5
        targets = {Move(name): int(number) for name, number in (word.split(".") for word in ids)}
        assert targets[Move.JUMP] == paging.pages
        assert all(0 <= targets[move] < paging.pages for move in Move if move is not Move.JUMP)
        off = [button.disabled for button in buttons]
        first, last = paging.page == 0, paging.page == paging.pages - 1
        assert off == [first, first, False, last, last]


def test_a_single_page_has_no_pager() -> None:
    card = market_card(worst(PAGE_SIZE), MarketState(1, "supply"), facts(), EN)
    assert "Page 1" not in shown(card)
    assert not [item for item in card.walk_children() if "page" in str(getattr(item, "custom_id", ""))]


def test_tiers_and_uncounted_gpus_are_named() -> None:
    text = shown(market_card(worst(2), MarketState(1, "up-24h"), facts(), EN))
    assert "secure cloud" in text
    assert "thin sample then" in text
