"""The one way in which GPUScout asks an outside HTTP service for something."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import httpx
import structlog

from gpuscout.resilience.breaker import CircuitBreaker, Permit
from gpuscout.resilience.errors import (
    BadStatus,
    CircuitOpen,
    DeadlineExceeded,
    QueueFull,
    UpstreamError,
    UpstreamUnavailable,
)
from gpuscout.resilience.health import HealthBoard
from gpuscout.resilience.ratelimit import RequestQueue
from gpuscout.resilience.retry import BACKGROUND, ONCE, Clock, RetryPolicy, Sleep
from gpuscout.resilience.sender import MetricsHook, Params, Response, Sender, default_user_agent
from gpuscout.resilience.spool import Spool

log = structlog.get_logger(__name__)

MAX_BYTES = 16 * 1024 * 1024

_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_MARGIN = 0.9


@dataclass(frozen=True, slots=True)
class _Mirror:
    base: str
    breaker: CircuitBreaker


@dataclass(slots=True)
class _Call:
    """One request over all of its tries."""

    path: str
    headers: dict[str, str]
    params: Params | None
    max_bytes: int
    ends: float | None
    spool: Spool | None = None
    method: str = "GET"
    content: bytes | None = None
    attempts: int = 0
    overdue: bool = False
    permits: dict[str, Permit] = field(default_factory=dict)


class ResilientClient:
    """Asks one service, which may have mirrors, with retries, breakers, a rate limit and health.

    Each try asks the mirrors in their order until one answers; a status that says "no" is
    believed only when no other mirror says better. Redirects are not followed. To be used
    from one event loop, and closed with `aclose` or as an async context manager.
    """

    def __init__(
        self,
        service: str,
        base_urls: Sequence[str],
        *,
        timeout: float = 10.0,
        retry: RetryPolicy = BACKGROUND,
        breaker: Callable[[str], CircuitBreaker] = CircuitBreaker,
        limiter: RequestQueue | None = None,
        health: HealthBoard | None = None,
        user_agent: str | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        transport: httpx.AsyncBaseTransport | None = None,
        metrics: MetricsHook | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = time.monotonic,
    ) -> None:
        """Args:
        service: The dependency's name on the health board, in errors and metrics.
        base_urls: http(s) addresses, first choice first.
        timeout: Seconds for one request, from connecting to the last byte.
        retry: Policy for calls that bring none of their own.
        breaker: Makes the breaker of one mirror from its name.
        limiter: Queue that every request passes.
        health: Board that every call is noted on.
        user_agent: Other than `default_user_agent`.
        headers: Sent with every request, credentials for example.
        max_bytes: Largest unpacked body unless the call says otherwise.
        transport: Instead of the network; for tests.
        metrics: Told of every request.
        sleep: Pauses between tries; for tests.
        clock: Monotonic seconds; for tests.

        Raises:
            ValueError: An address is not a plain http(s) one, or there is none.
        """
        bases = [_checked_base(url) for url in dict.fromkeys(base_urls)]
        if not bases:
            raise ValueError(f"{service} needs at least one address")
        if timeout <= 0 or max_bytes <= 0:
            raise ValueError("timeout and max_bytes must be above 0")
        self.service = service
        self._mirrors = tuple(
            _Mirror(base, breaker(service if len(bases) == 1 else f"{service} ({httpx.URL(base).host})"))
            for base in bases
        )
        self._timeout = timeout
        self._retry = retry
        self._health = health
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._clock = clock
        client = httpx.AsyncClient(
            headers={
                "accept": "application/json",
                "accept-encoding": "gzip",
                "user-agent": user_agent or default_user_agent(),
                **(headers or {}),
            },
            timeout=httpx.Timeout(timeout),
            follow_redirects=False,
            transport=transport,
        )
        self._sender = Sender(service, client, limiter=limiter, metrics=metrics, clock=clock)
        if health is not None:
            health.register(service)

    @property
    def breakers(self) -> dict[str, CircuitBreaker]:
        """The breaker of each mirror by base URL, for status pages."""
        return {mirror.base: mirror.breaker for mirror in self._mirrors}

    async def get(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        max_bytes: int | None = None,
        retry: RetryPolicy | None = None,
        spool: Spool | None = None,
    ) -> Response:
        """Ask for ``path`` below the base URL.

        Args:
            path: Absolute path of unreserved and percent-encoded characters, without query.
            headers: Added to the client's; ``If-None-Match`` for a conditional request.
            params: Query parameters.
            max_bytes: Largest unpacked body.
            retry: Policy of this call, for example `interactive`.
            spool: Where the body goes, packed as it comes, instead of into memory; ``max_bytes`` then counts
                packed bytes.

        Returns:
            The answer; its status is 2xx or 304.

        Raises:
            UpstreamUnavailable: No mirror answered in any try, or not in time; `CircuitOpen`
                and `QueueFull`, its kinds, when none was asked.
            BadStatus: Another status, which repeating would not change.
            ResponseTooLarge: The body exceeds the limit.
            BadEncoding: The body cannot be unpacked.
            ValueError: The path is not acceptable.
        """
        policy = retry or self._retry
        started = self._clock()
        call = _Call(
            path=path,
            headers=dict(headers or {}),
            params=params,
            max_bytes=max_bytes or self._max_bytes,
            ends=None if policy.deadline is None else started + policy.deadline,
            spool=spool,
        )
        return await self._run(call, policy)

    async def send(
        self,
        method: Literal["POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        retry: RetryPolicy = ONCE,
    ) -> Response:
        """Ask for a change. It is tried once: whether it may be repeated is for the caller to know.

        Args:
            method: What is asked for.
            path: As for `get`.
            content: The request's body; its type goes into ``headers``.
            headers: Added to the client's.
            max_bytes: Largest unpacked body of the answer.
            retry: Another policy, for a change that may be repeated safely.

        Returns:
            The answer; its status is 2xx.

        Raises:
            UpstreamUnavailable: It was not done; or, where ``unsure`` is true, it may have been.
            BadStatus, ResponseTooLarge, BadEncoding, ValueError: As for `get`.
        """
        call = _Call(
            path=path,
            headers=dict(headers or {}),
            params=None,
            max_bytes=max_bytes or self._max_bytes,
            ends=None if retry.deadline is None else self._clock() + retry.deadline,
            method=method,
            content=content,
        )
        return await self._run(call, retry)

    async def _run(self, call: _Call, policy: RetryPolicy) -> Response:
        if not _PATH.fullmatch(call.path) or ".." in call.path:
            raise ValueError("the path of a request must be absolute and plain")
        try:
            response = await policy.run(
                lambda: self._attempt(call), on_retry=self._log_retry, sleep=self._sleep, clock=self._clock
            )
        except DeadlineExceeded as error:
            late = UpstreamUnavailable(self.service, str(error), unsure=True)
            self._note(late)
            raise late from error
        except UpstreamError as error:
            self._note(error)
            raise
        if self._health is not None:
            self._health.success(self.service, response.elapsed)
        return response

    async def _attempt(self, call: _Call) -> Response:
        """One try: each mirror at most once."""
        call.attempts += 1
        errors: list[UpstreamError] = []
        for position, mirror in enumerate(self._mirrors):
            try:
                permit = mirror.breaker.admit(call.permits.get(mirror.base))
            except CircuitOpen as error:
                self._sender.measure("circuit_open", 0.0)
                errors.append(error)
                continue
            call.permits[mirror.base] = permit
            try:
                response = await self._send(call, mirror, len(self._mirrors) - position)
            except UpstreamError as error:
                CircuitBreaker.judge(permit, error)
                if isinstance(error, QueueFull):
                    raise
                errors.append(error)
            except BaseException:
                if call.overdue:
                    permit.failure()
                else:
                    permit.release()
                raise
            else:
                permit.success()
                return response
        raise _most_telling(errors)

    async def _send(self, call: _Call, mirror: _Mirror, mirrors_left: int) -> Response:
        """One request, within its part of the time that is left."""
        await self._sender.wait_for_turn(None if call.ends is None else self._share(call.ends, mirrors_left))
        try:
            return await self._sender.request(
                call.method,
                mirror.base,
                call.path,
                headers=call.headers,
                params=call.params,
                seconds=self._timeout if call.ends is None else self._share(call.ends, mirrors_left),
                max_bytes=call.max_bytes,
                attempts=call.attempts,
                spool=call.spool,
                content=call.content,
            )
        except asyncio.CancelledError:
            # Whether the deadline or the caller ended it, the service was too slow for the deadline.
            call.overdue = call.ends is not None and self._clock() >= call.ends
            raise

    def _share(self, ends: float, mirrors_left: int) -> float:
        """Seconds for one request before ``ends``.

        A silent mirror must leave time to the next, and end before the whole call does, or its
        breaker would never hear of it.
        """
        return max(0.001, min(self._timeout, _MARGIN * (ends - self._clock()) / mirrors_left))

    def _note(self, error: UpstreamError) -> None:
        """Put a failed call on the health board, unless it only says that something is not there."""
        if self._health is None or isinstance(error, QueueFull):
            return
        if isinstance(error, BadStatus) and error.status not in (401, 403):
            self._health.success(self.service)
        else:
            self._health.failure(self.service, error.reason)

    def _log_retry(self, retry: int, pause: float, error: BaseException) -> None:
        log.info("request_retried", service=self.service, retry=retry, pause=round(pause, 3), reason=str(error))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._sender.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _checked_base(url: str) -> str:
    """``url`` without a slash at its end; ValueError, which never repeats it, unless plain http(s)."""
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise ValueError("an address of a service is not a URL") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("the address of a service must begin with http:// or https:// and name a host")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ValueError("the address of a service must carry no credentials, query or fragment")
    return str(parsed).rstrip("/")


def _most_telling(errors: Sequence[UpstreamError]) -> UpstreamError:
    """Of the mirrors' errors the one to act on: worth a retry first, then an answer, then a refusal."""
    if waits := [error for error in errors if error.retriable]:
        return waits[0]
    if answers := [error for error in errors if not isinstance(error, CircuitOpen)]:
        return answers[0]
    return min(errors, key=lambda error: error.retry_after or 0.0)
