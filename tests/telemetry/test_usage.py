from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.telemetry.usage import HASH_LENGTH, IdHasher, outcome_of_status

KEY = b"k" * 32
SNOWFLAKES = st.integers(0, 2**63 - 1)


@given(SNOWFLAKES, SNOWFLAKES)
def test_a_hash_is_stable_apart_by_kind_and_shows_no_id(one: int, other: int) -> None:
    hasher = IdHasher(KEY)
    hashed = hasher.member(one)
    assert hashed == IdHasher(KEY).member(one)
    assert len(hashed) == HASH_LENGTH and set(hashed) <= set("0123456789abcdef")
    assert (hasher.member(other) == hashed) == (one == other)
    assert hasher.guild(one) != hashed
    assert IdHasher(b"another key of 16+").member(one) != hashed
    if one > 10**6:
        assert str(one) not in hashed and f"{one:x}" not in hashed


def test_a_short_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes") as error:
        IdHasher(b"hunter2")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "ok"), (304, "ok"), (404, "refused"), (429, "refused"), (503, "error")]
)
def test_outcome_of_a_status(status: int, outcome: str) -> None:
    assert outcome_of_status(status) == outcome
