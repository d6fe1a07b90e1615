"""Rate limit per client address by the generic cell rate algorithm (one number per client, no counters to reset)."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request may pass, and what to tell the client."""

    allowed: bool
    limit: int
    remaining: int
    reset: float
    """Seconds until the whole burst is available again."""
    retry_after: float
    """Seconds until this request would pass; 0 when it passes now."""

    def headers(self) -> dict[str, str]:
        """``RateLimit-*`` fields, and ``Retry-After`` on a refusal."""
        fields = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset)),
        }
        if not self.allowed:
            fields["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return fields


class RateLimiter:
    """A leaky bucket per key: *burst* units at once, refilled at *per_second* units.

    Memory is bounded: beyond *max_keys* the key that was quiet longest is forgotten (it has its burst again).
    """

    def __init__(self, per_second: float, burst: int, max_keys: int = 50_000) -> None:
        if per_second <= 0 or burst < 1 or max_keys < 1:
            raise ValueError("rate, burst and max_keys must be positive")
        self._interval = 1.0 / per_second
        self._burst = burst
        self._max_keys = max_keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def check(self, key: str, now: float, cost: int = 1) -> Decision:
        """Take *cost* units for *key* at *now* (monotonic seconds); a refused request takes none."""
        full_at = max(self._full_at.get(key, now), now)
        taken = full_at + cost * self._interval
        wait = taken - self._burst * self._interval - now
        # A nanosecond of slack, so that float rounding never refuses the last unit of a burst.
        allowed = wait <= 1e-9
        if allowed:
            full_at = taken
            self._full_at[key] = full_at
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._max_keys:
                self._full_at.popitem(last=False)
        remaining = max(0, math.floor(self._burst - (full_at - now) / self._interval + 1e-6))
        return Decision(allowed, self._burst, remaining, full_at - now, 0.0 if allowed else wait)


def client_key(peer: str | None, forwarded_for: str | None, trusted: Sequence[Network] = LOOPBACK) -> str:
    """Who is asking: the address, an IPv6 one cut to its /64.

    ``X-Forwarded-For`` is believed only as far as it was written by trusted proxies: read from the right, the first
    address that is not one of them is the client. A header that an untrusted peer sent is ignored.
    """
    address = _address(peer)
    if address is None:
        return "unknown"
    for hop in reversed((forwarded_for or "").split(",")[-16:]):
        if not any(address in network for network in trusted if network.version == address.version):
            break
        previous = _address(hop.strip())
        if previous is None:
            break
        address = previous
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address
