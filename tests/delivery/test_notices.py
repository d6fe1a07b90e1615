"""The words of a notice."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gpuscout.delivery.notices import nonce_of, render_notice

SINCE = {"source": "500.farm", "since": "2026-11-24T20:00:00+00:00"}


def test_an_outage_says_what_and_since_when() -> None:
    text = render_notice({"notice": "outage", "problem": "v1: cannot be reached", **SINCE})
    assert "**500.farm**" in text and "<t:1795550400:R>" in text and "v1: cannot be reached" in text


def test_a_recovery_says_since_when_it_had_failed() -> None:
    text = render_notice({"notice": "recovered", **SINCE})
    assert "well again" in text and "<t:1795550400:R>" in text


@pytest.mark.parametrize("hostile", ["@everyone", "@here", "<@123>", "<@&123>", "**x**", "`x`"])
def test_nothing_of_a_source_becomes_markup_or_a_mention(hostile: str) -> None:
    for payload in ({"problem": hostile, **SINCE}, {"problem": "", **SINCE, "source": hostile}):
        assert hostile not in render_notice({"notice": "outage", **payload})


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        render_notice({"notice": "outage", "source": "500.farm", "since": "2026-11-24T20:00:00"})


def test_a_nonce_is_stable_distinct_and_short_enough() -> None:
    assert nonce_of(1, 2) == nonce_of(1, 2)
    assert len({nonce_of(job, user) for job in range(50) for user in range(50)}) == 2500
    assert len(nonce_of(10**12, 10**19)) <= 25
