"""Custom ids of portfolio and payback cards: short enough, read back exactly, and trusted in nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.cards import roi_state
from gpuscout.cards.portfolio_state import DAYS, MAX_PAGE, Do, PortfolioState, pack, unpack
from gpuscout.cards.state import BadState
from gpuscout.portfolio.models import RoiQuestion
from storage.ids import new_id

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


@given(
    do=st.sampled_from(list(Do)),
    holding=st.one_of(st.just(""), st.text(LETTERS, min_size=8, max_size=40)),
    days=st.sampled_from(DAYS),
    page=st.integers(0, MAX_PAGE),
)
def test_a_state_is_read_back(do: Do, holding: str, days: int, page: int) -> None:
    state = PortfolioState(holding, days, page)
    custom_id = pack(state, do)
    assert len(custom_id) <= 100
    assert unpack(custom_id) == (do, state)


def test_ids_of_holdings_fit() -> None:
    state = PortfolioState(new_id(), 90, 7)
    assert unpack(pack(state, Do.ONE))[1] == state
    assert state.whole == PortfolioState("", 90, 7)


@given(st.text(max_size=120))
def test_anything_else_is_refused_or_read(text: str) -> None:
    try:
        do, state = unpack("pf1|" + text)
    except BadState:
        return
    assert pack(state, do).split("|")[1:3] == text.split("|")[:2]


@given(
    cost=st.floats(0.01, 1e8),
    quantity=st.integers(1, 10_000),
    power=st.one_of(st.none(), st.floats(1, 3000)),
    tariff=st.one_of(st.none(), st.floats(0, 5)),
    platform=st.sampled_from([None, "vast", "tensordock"]),
)
def test_a_question_is_read_back(
    cost: float, quantity: int, power: float | None, tariff: float | None, platform: str | None
) -> None:
    question = RoiQuestion(
        gpu="rtx-4090", cost=cost, quantity=quantity, platform=platform, power_w=power, tariff=tariff
    )
    custom_id = roi_state.pack("how", question)
    assert custom_id is not None and len(custom_id) <= 100
    action, back = roi_state.unpack(custom_id)
    assert action == "how"
    assert (back.gpu, back.quantity, back.platform) == ("rtx-4090", quantity, platform)
    assert back.cost == pytest.approx(cost, rel=1e-14)  # the button's figures are not rounded
    assert (back.power_w is None, back.tariff is None) == (power is None, tariff is None)


def test_a_large_sum_keeps_its_dollars() -> None:
    custom_id = roi_state.pack("add", RoiQuestion(gpu="h100-sxm", cost=1_234_567.89, quantity=64, price=2.1234567))
    assert custom_id is not None
    assert roi_state.unpack(custom_id)[1] == RoiQuestion(
        gpu="h100-sxm", cost=1_234_567.89, quantity=64, price=2.1234567
    )


def test_a_long_name_leaves_no_room() -> None:
    assert roi_state.pack("how", RoiQuestion(gpu="x-" + "n" * 78, cost=1234.56, platform="tensordock")) is None


@pytest.mark.parametrize(
    "text", ["", "how", "how|a|b|c|d|e|f|g|h", "how|rtx||1|inf||||", "how|rtx||1|x||||", "how|rtx||1|||||"]
)
def test_forged_questions(text: str) -> None:
    with pytest.raises(BadState):
        roi_state.unpack("roi1|" + text)
