"""Big moves are told once: a threshold with hysteresis."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.accounts.feed_memory import FORGET_DAYS, REARM, FeedMemory, read_memory
from gpuscout.delivery.feed_moves import MOST_MOVES, big_moves, change_24h, key_text, tell
from gpuscout.market.earlier import Earlier
from gpuscout.market.overview import MarketLine
from tests.fake_market import quote, side

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def line(ratio: float | None, gpu: str = "rtx-4090", count: int = 50, then: int = 50) -> MarketLine:
    """A model whose price moved by *ratio* within a day."""
    half = count // 2
    now = quote(gpu, side(half, 1.0), side(count - half, 1.0), side(count, 1.0), at=NOW)
    earlier = {} if ratio is None else {"24h": Earlier(1.0 / (1.0 + ratio), 0.5, None, then)}
    return MarketLine(quote=now, gpu_name=gpu, earlier=earlier)


def told(ratios: list[float | None], threshold: float = 10.0, minutes: int = 240) -> list[bool]:
    """For each look, every *minutes*, whether a move is told."""
    memory, found = FeedMemory(), []
    for number, ratio in enumerate(ratios):
        now = NOW + timedelta(minutes=minutes * number)
        moves, memory = big_moves([line(ratio)], threshold, memory, now)
        memory = tell(memory, moves, now)
        found.append(bool(moves))
    return found


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.05, 0.099], [False, False]),
        ([0.10001], [True]),
        ([-0.12], [True]),
        ([0.12, 0.12, 0.15], [True, False, False]),
        ([0.12, 0.09, 0.11, 0.08, 0.13], [True, False, False, False, False]),  # hovers: once
        ([0.12, 0.05, 0.12], [True, False, True]),  # calmed down in between
        ([0.12, -0.12, 0.12], [True, True, True]),  # the other way is news
        ([None, 0.12, None, 0.12], [False, True, False, False]),  # a gap changes nothing
    ],
)
def test_told_once(ratios: list[float | None], expected: list[bool]) -> None:
    assert told(ratios) == expected


def test_not_again_within_six_hours() -> None:
    assert told([0.12, 0.0, 0.12, 0.0, 0.12], minutes=15) == [True, False, False, False, False]
    assert told([0.12, -0.12], minutes=15) == [True, True]


@given(st.lists(st.floats(-0.9, 3.0), max_size=60), st.floats(1, 100))
def test_between_two_posts_it_calmed_down_or_turned(ratios: list[float], threshold: float) -> None:
    posts = [number for number, post in enumerate(told(list(ratios), threshold)) if post]
    seen = [change_24h(line(ratio)) or 0.0 for ratio in ratios]
    limit = threshold / 100
    for first, second in itertools.pairwise(posts):
        turned = (seen[first] > 0) != (seen[second] > 0)
        calmed = any(abs(ratio) < limit * REARM for ratio in seen[first + 1 : second])
        assert turned or calmed
    assert all(abs(seen[number]) >= limit for number in posts)


def test_thin_samples_move_nobody() -> None:
    for weak in (line(0.5, count=9), line(0.5, then=9), line(None)):
        assert big_moves([weak], 10, FeedMemory(), NOW)[0] == []


def test_the_largest_first_and_not_too_many() -> None:
    lines = [line(0.1 + n / 100, f"gpu-{n}") for n in range(MOST_MOVES + 5)]
    moves, memory = big_moves(lines, 10, FeedMemory(), NOW)
    assert [m.key.gpu for m in moves] == [f"gpu-{n}" for n in range(MOST_MOVES + 4, 4, -1)]
    rest, _ = big_moves(lines, 10, tell(memory, moves, NOW), NOW)
    assert len(rest) == 5, "those that did not fit come next"


def test_only_what_is_posted_counts_as_told() -> None:
    _, memory = big_moves([line(0.2)], 10, FeedMemory(), NOW)
    assert big_moves([line(0.2)], 10, memory, NOW)[0]


def test_models_that_vanish_are_forgotten_in_time() -> None:
    memory = tell(FeedMemory(), [line(0.2)], NOW)
    soon, kept = big_moves([], 10, memory, NOW + timedelta(days=1))
    assert soon == []
    assert key_text(line(0.2).key) in kept.told
    _, gone = big_moves([], 10, memory, NOW + timedelta(days=FORGET_DAYS, seconds=1))
    assert gone.told == {}


def test_memory_survives_storage_and_nonsense() -> None:
    memory = tell(FeedMemory(), [line(-0.2)], NOW).silenced(NOW)
    assert read_memory(memory.model_dump(mode="json")) == memory
    assert memory.silenced(NOW + timedelta(hours=1)).silent_since == NOW
    assert memory.speaking().silent is None
    assert read_memory(None) == read_memory({"told": 3}) == FeedMemory()
