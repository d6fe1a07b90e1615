"""One HTTP request to an outside service: bounded in time and size, measured, its errors typed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata

import httpx
import structlog

from gpuscout.resilience.body import read_body, spool_body
from gpuscout.resilience.errors import (
    BadEncoding,
    BadStatus,
    QueueFull,
    ResponseTooLarge,
    UpstreamUnavailable,
    retriable_status,
)
from gpuscout.resilience.ratelimit import RequestQueue
from gpuscout.resilience.retry import Clock, parse_retry_after
from gpuscout.resilience.spool import Spool

log = structlog.get_logger(__name__)

_ERROR_BODY = 2048
_UNSURE = frozenset({408, 500, 502, 504})
"""Refusals after which something may have been done all the same: they come from the middle of the work, or from a
proxy in front of it."""

Params = Mapping[str, str | int | float | bool]

MetricsHook = Callable[[str, str, float], None]
"""Told the service, the outcome and the seconds of each request. Outcomes are few and fixed: ``ok``,
``not_modified``, ``client_error``, ``rate_limited``, ``server_error``, ``timeout``, ``connection``,
``too_large``, ``bad_encoding``, ``circuit_open``, ``queue_full``, ``cancelled``, ``error``."""


@cache
def default_user_agent() -> str:
    """How we name ourselves to others: ``GPUScout/0.1.0``."""
    try:
        return f"GPUScout/{metadata.version('gpuscout')}"
    except metadata.PackageNotFoundError:
        return "GPUScout"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with a status of 2xx or 304.

    Attributes:
        status: HTTP status.
        headers: Headers, case-insensitive, untrusted.
        body: The unpacked body; empty when it went to a spool.
        elapsed: Seconds of the request that gave it.
        mirror: The base URL that gave it.
        attempts: Tries that the call needed, 1 = the first.
        packed: Whether the spool holds gzip.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    elapsed: float
    mirror: str
    attempts: int
    packed: bool = False


class Sender:
    """Sends single requests of one service through one connection pool, rate limit and meter."""

    def __init__(
        self,
        service: str,
        client: httpx.AsyncClient,
        *,
        limiter: RequestQueue | None,
        metrics: MetricsHook | None,
        clock: Clock,
    ) -> None:
        self.service = service
        self._client = client
        self._limiter = limiter
        self._metrics = metrics
        self._clock = clock

    async def wait_for_turn(self, max_wait: float | None) -> None:
        """Pass the rate limit; QueueFull after ``max_wait`` seconds or the queue's own longest wait."""
        if self._limiter is None:
            return
        try:
            await self._limiter.acquire(max_wait)
        except QueueFull:
            self.measure("queue_full", 0.0)
            raise

    async def request(
        self,
        method: str,
        base: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Params | None,
        seconds: float,
        max_bytes: int,
        attempts: int,
        spool: Spool | None = None,
        content: bytes | None = None,
    ) -> Response:
        """Ask ``base + path`` once, within ``seconds`` from connecting to the last byte.

        With a ``spool`` the body goes there, packed as it comes, and ``max_bytes`` counts packed bytes. ``content``
        is the body of the request.

        Raises:
            UpstreamError: One of its kinds; never an error of httpx.
            OSError: The spool's file cannot be written.
        """
        started = self._clock()
        outcome = "error"
        limit = asyncio.timeout(seconds)
        try:
            async with (
                limit,
                self._client.stream(method, base + path, params=params, headers=headers, content=content) as answer,
            ):
                status = answer.status_code
                if 200 <= status < 300 or status == 304:
                    body, packed = b"", False
                    if spool is not None and status != 304:
                        packed = await spool_body(self.service, answer, max_bytes, spool)
                    else:
                        body = await read_body(self.service, answer, max_bytes)
                    outcome = "not_modified" if status == 304 else "ok"
                    return Response(status, answer.headers, body, self._clock() - started, base, attempts, packed)
                outcome = _outcome_of(status)
                if retriable_status(status):
                    wait = parse_retry_after(answer.headers.get("retry-after"))
                    raise UpstreamUnavailable(
                        self.service,
                        f"answered with status {status}",
                        retry_after=wait,
                        unsure=status in _UNSURE,
                    )
                raise BadStatus(self.service, status, await _beginning(answer))
        except ResponseTooLarge:
            outcome = "too_large"
            raise
        except BadEncoding:
            outcome = "bad_encoding"
            raise
        except (httpx.TimeoutException, TimeoutError) as error:
            outcome = "timeout"
            unsent = isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
            raise UpstreamUnavailable(
                self.service, f"did not answer within {seconds:.3g} s", unsure=not unsent
            ) from error
        except httpx.ConnectError as error:
            outcome = "connection"
            raise UpstreamUnavailable(self.service, "cannot be reached") from error
        except httpx.TransportError as error:
            outcome = "connection"
            raise UpstreamUnavailable(self.service, "broke off the connection", unsure=True) from error
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self.measure(outcome, self._clock() - started)

    def measure(self, outcome: str, seconds: float) -> None:
        """Report one outcome; a failing hook is logged and does no harm."""
        if self._metrics is None:
            return
        try:
            self._metrics(self.service, outcome, seconds)
        except Exception:
            log.exception("metrics_hook_failed", service=self.service)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


async def _beginning(answer: httpx.Response) -> bytes:
    """The first bytes of an error's body, for the log; empty when it cannot be read."""
    kept = b""
    try:
        async for chunk in answer.aiter_raw():
            kept += chunk
            if len(kept) >= _ERROR_BODY:
                break
    except httpx.TransportError as error:
        log.debug("error_body_unreadable", reason=type(error).__name__)
    return kept[:_ERROR_BODY]


def _outcome_of(status: int) -> str:
    if status == 429:
        return "rate_limited"
    return "server_error" if status >= 500 else "client_error"
