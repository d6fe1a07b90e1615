"""Rate limits: the headers of every answer, real buckets, and the global one."""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from dataclasses import dataclass, field

#: Requests and seconds per bucket, by (method, route template). Discord publishes no list and may
#: change them at any time; these are of the size that it announces in its headers.
BUCKETS: dict[tuple[str, str], tuple[int, float]] = {
    ("POST", "/channels/{channel_id}/messages"): (5, 5.0),
    ("PATCH", "/channels/{channel_id}/messages/{message_id}"): (5, 5.0),
    ("DELETE", "/channels/{channel_id}/messages/{message_id}"): (5, 1.0),
}
WEBHOOK = (5, 2.0)
USUAL = (50, 1.0)
GLOBAL_PER_SECOND = 50
_FORGET_ABOVE = 2000


@dataclass(slots=True)
class _Window:
    limit: int
    seconds: float
    used: deque[float] = field(default_factory=deque)

    def trim(self, now: float) -> None:
        while self.used and now - self.used[0] >= self.seconds:
            self.used.popleft()

    def reset_after(self, now: float) -> float:
        return self.seconds - (now - self.used[0]) if self.used else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a request stands: its headers, and the seconds to wait when it is refused."""

    headers: dict[str, str]
    retry_after: float | None = None
    is_global: bool = False


class RateLimiter:
    """Counts requests in sliding windows.

    Args:
        enforce: answer 429 above a limit; otherwise limits are generous and only announced.
    """

    def __init__(self, *, enforce: bool = True) -> None:
        self.enforce = enforce
        self._windows: dict[tuple[str, str, str], _Window] = {}
        self._global: deque[float] = deque()

    def take(self, method: str, route: str, major: str, now_epoch: float) -> Verdict:
        """Count one request of a route template with its major parameter."""
        now = time.monotonic()
        exempt = route.startswith("/interactions/")
        if self.enforce and not exempt and not route.startswith("/webhooks/"):
            while self._global and now - self._global[0] >= 1.0:
                self._global.popleft()
            if len(self._global) >= GLOBAL_PER_SECOND:
                wait = 1.0 - (now - self._global[0])
                headers = {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
                return Verdict(headers | {"Retry-After": str(math.ceil(wait))}, wait, True)
            self._global.append(now)
        if len(self._windows) > _FORGET_ABOVE:
            self._forget(now)
        limit, seconds = self._bucket(method, route)
        window = self._windows.setdefault((method, route, major), _Window(limit, seconds))
        window.trim(now)
        if len(window.used) >= window.limit:
            wait = window.reset_after(now)
            headers = self._headers(method, route, window, now, now_epoch)
            headers |= {"X-RateLimit-Scope": "user", "Retry-After": str(math.ceil(wait))}
            return Verdict(headers, wait)
        window.used.append(now)
        return Verdict(self._headers(method, route, window, now, now_epoch))

    def _bucket(self, method: str, route: str) -> tuple[int, float]:
        if not self.enforce:
            return 1_000_000, 1.0
        if route.startswith("/webhooks/"):
            return WEBHOOK
        return BUCKETS.get((method, route), USUAL)

    def _headers(self, method: str, route: str, window: _Window, now: float, now_epoch: float) -> dict[str, str]:
        after = window.reset_after(now)
        bucket = hashlib.md5(f"{method} {route}".encode(), usedforsecurity=False).hexdigest()
        return {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": str(max(window.limit - len(window.used), 0)),
            "X-RateLimit-Reset": f"{now_epoch + after:.3f}",
            "X-RateLimit-Reset-After": f"{after:.3f}",
            "X-RateLimit-Bucket": bucket,
        }

    def _forget(self, now: float) -> None:
        for key, window in list(self._windows.items()):
            window.trim(now)
            if not window.used:
                del self._windows[key]
