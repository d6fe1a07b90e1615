from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.ratelimit import RateLimiter, client_key


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 40),
    gaps=st.lists(st.floats(0, 10), min_size=1, max_size=120),
)
def test_no_window_lets_more_through_than_burst_and_rate_allow(rate: float, burst: int, gaps: list[float]) -> None:
    limiter = RateLimiter(rate, burst)
    now, passed = 1000.0, []
    for gap in gaps:
        now += gap
        decision = limiter.check("a", now)
        assert 0 <= decision.remaining <= burst
        if decision.allowed:
            passed.append(now)
        else:
            assert decision.remaining == 0 and decision.retry_after > 0
    assert limiter.check("b", now).allowed, "one client's requests never cost another's"
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - passed[first]) + 1e-6


def test_a_refused_client_passes_after_the_time_it_was_told() -> None:
    limiter = RateLimiter(2.0, 4)
    assert [limiter.check("a", 0.0).allowed for _ in range(5)] == [True] * 4 + [False]
    wait = limiter.check("a", 0.0).retry_after
    assert wait == pytest.approx(0.5)
    assert not limiter.check("a", wait - 0.01).allowed
    assert limiter.check("a", wait).allowed
    assert limiter.check("a", 100.0).remaining == 3


def test_cost_and_memory_are_bounded() -> None:
    limiter = RateLimiter(1.0, 4, max_keys=3)
    assert limiter.check("a", 0.0, cost=4).allowed
    assert not limiter.check("a", 0.0).allowed
    for name in ("b", "c", "d"):
        assert limiter.check(name, 0.0).allowed
    assert limiter.check("a", 0.0).allowed, "the key that was quiet longest was forgotten"
    for wrong in ((0.0, 1), (1.0, 0)):
        with pytest.raises(ValueError):
            RateLimiter(*wrong)


@pytest.mark.parametrize(
    ("peer", "forwarded", "key"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # a stranger's header is not believed
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the left part is whatever the client wrote
        ("127.0.0.1", "198.51.100.1, 127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", None, "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", None, "203.0.113.5"),
        (None, "198.51.100.1", "unknown"),
    ],
)
def test_who_is_asking(peer: str | None, forwarded: str | None, key: str) -> None:
    assert client_key(peer, forwarded) == key


def test_other_proxies_can_be_trusted() -> None:
    trusted = (ipaddress.ip_network("10.0.0.0/8"),)
    assert client_key("10.1.2.3", "198.51.100.1, 10.9.9.9", trusted) == "198.51.100.1"
    assert client_key("127.0.0.1", "198.51.100.1", trusted) == "127.0.0.1"
