"""The state in custom ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.cards.state import BadState, PriceAction, PriceState, choice_value, pack, unpack
from gpuscout.market.models import SEGMENTS, Verification
from gpuscout.market.ports import RANGES

slugs = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,79}", fullmatch=True)
states = st.builds(
    PriceState,
    owner=st.integers(0, 2**63 - 1),
    gpu=slugs,
    platform=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,31}", fullmatch=True),
    region=st.one_of(slugs.map(lambda s: s[:64]), st.text(min_size=1, max_size=64)),
    range=st.sampled_from(list(RANGES)),
    verification=st.sampled_from([v.value for v in Verification]),
    segment=st.sampled_from(SEGMENTS),
)


@given(states, st.sampled_from(list(PriceAction)), st.sampled_from(list(RANGES)))
def test_round_trip_within_discords_limit(state: PriceState, action: PriceAction, range_: str) -> None:
    target = range_ if action is PriceAction.RANGE else ""
    custom_id = pack(state, action, target)
    assert len(custom_id) <= 100
    packed = unpack(custom_id)
    assert (packed.action, packed.target) == (action, target)
    assert packed.open([state.gpu], [state.platform], [state.region]) == state
    if not packed.closed:
        assert packed.state == state


@given(st.text(max_size=120))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadState):
        unpack(text)


@given(st.lists(st.text(alphabet="abc019|~.+-", max_size=12), min_size=7, max_size=7))
def test_forged_parts_never_get_through_unchecked(parts: list[str]) -> None:
    try:
        packed = unpack("price1|" + "|".join(parts))
    except BadState:
        return
    assert packed.state.range in RANGES
    assert packed.state.segment in SEGMENTS


def test_digest_of_something_forgotten() -> None:
    packed = unpack(pack(PriceState(1, "x" * 60, "vast", "global"), PriceAction.REFRESH))
    assert packed.closed
    with pytest.raises(BadState, match="not known"):
        packed.open(["rtx-4090"], [], [])


def test_choices() -> None:
    state = PriceState(1, "rtx-4090", "vast", "global")
    chosen = state.choosing(choice_value("verified", "dc:8+"))
    assert (chosen.verification, chosen.segment) == ("verified", "dc:8+")
    for forged in ("verified", "verified/dc:9", "true/any", "", "any/any/any"):
        with pytest.raises(BadState):
            state.choosing(forged)


def test_ids_of_version_one_are_read_for_ever() -> None:
    packed = unpack("price1|range.30d|2n9c|rtx-4090|vast|global|7d|v6")
    assert packed.state == PriceState(123456, "rtx-4090", "vast", "global", "7d", "verified", "dc:8+")
