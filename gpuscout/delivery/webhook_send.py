"""Sending one webhook: bounded in time and size, to a public address only, redirects not followed."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from gpuscout.resilience.public_connect import PUBLIC_ONLY, AddressRules, PublicConnector, refusal
from gpuscout.resilience.retry import parse_retry_after
from gpuscout.resilience.sender import default_user_agent

TOTAL_SECONDS: Final = 15.0
ANSWER_BYTES: Final = 64 * 1024
KEPT_BYTES: Final = 1024
LONGEST_WAIT: Final = 10 * 3600.0
"""Seconds that a receiver may ask us to wait at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try.

    Attributes:
        status: HTTP status; None when there was no answer.
        error: why there was none, or why it does not count: ``refused`` (not a public address), ``dns``, ``tls``,
            ``timeout``, ``connection``, ``bad_answer``.
        body: the beginning of the answer, as text, untrusted. Beyond 64 kB it is not read at all.
        retry_after: seconds that the receiver asked to wait.
    """

    status: int | None
    error: str | None
    body: str
    milliseconds: int
    retry_after: float | None = None

    @property
    def good(self) -> bool:
        """Whether the receiver took it: any status of 2xx, and nothing else."""
        return self.error is None and self.status is not None and 200 <= self.status < 300


class WebhookSender:
    """Sends webhooks through one pool of connections. Make it in the running event loop; close it at the end.

    Args:
        rules: what may be connected to.
        resolver: what resolves names; the system's by default.
        seconds: for a whole try, from resolving to the last byte.
        ssl_context: whom to trust; the system's authorities by default.
    """

    def __init__(
        self,
        rules: AddressRules = PUBLIC_ONLY,
        *,
        resolver: AbstractResolver | None = None,
        seconds: float = TOTAL_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds = seconds
        self._session = aiohttp.ClientSession(
            connector=PublicConnector(rules, resolver=resolver, ssl=True if ssl_context is None else ssl_context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=seconds),
            headers={"User-Agent": default_user_agent(), "Accept-Encoding": "identity", "Accept": "*/*"},
            trust_env=False,  # a proxy would connect for us, to whatever it likes
            auto_decompress=False,  # what is counted is what came; nothing is inflated
        )

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send *body* once; what goes wrong is in the answer, not raised."""
        started = time.monotonic()
        status: int | None = None
        kept, error = b"", None
        wait: float | None = None
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                wait = parse_retry_after(response.headers.get("Retry-After"))
                kept, whole = await _beginning(response)
                if not whole:
                    response.close()  # the rest is not read: this connection cannot be used again
                if wait is None and status == 429:
                    wait = _discord_wait(kept)
        except TimeoutError:
            error = "timeout"
        except aiohttp.ClientError as failure:
            error = _name(failure)
        except OSError as failure:
            error = "refused" if refusal(failure) else "connection"
        except ValueError:
            error = "bad_answer"
        taken = round((time.monotonic() - started) * 1000)
        capped = None if wait is None else min(wait, LONGEST_WAIT)
        return Answer(status, error, _text(kept), taken, capped)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _beginning(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """The first bytes of the answer, and whether it ended within :data:`ANSWER_BYTES`."""
    kept, total = b"", 0
    async for chunk in response.content.iter_any():
        total += len(chunk)
        if len(kept) < KEPT_BYTES:
            kept += chunk[: KEPT_BYTES - len(kept)]
        if total > ANSWER_BYTES:
            return kept, False
    return kept, True


def _name(failure: aiohttp.ClientError) -> str:
    if refusal(failure) is not None:
        return "refused"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(failure, aiohttp.ClientSSLError):
        return "tls"
    if isinstance(failure, aiohttp.ClientConnectionError):
        return "connection"
    return "bad_answer"


def _text(kept: bytes) -> str:
    """Bytes as text that both databases store."""
    return kept.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _discord_wait(kept: bytes) -> float | None:
    """The wait in the body of Discord's 429, where it is finer than in its header."""
    try:
        found = json.loads(kept)
        seconds = float(found["retry_after"])
    except (ValueError, TypeError, KeyError):
        return None
    return seconds if 0 <= seconds < LONGEST_WAIT else None
