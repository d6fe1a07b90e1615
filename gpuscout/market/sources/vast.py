"""Vast.ai itself: the whole market's offers, put together into the same series as the exporter's statistics."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gpuscout.market.models import ANY, Side
from gpuscout.market.sources.base import FeedDocument, FetchResult, Observation, RejectedItem, WrongShape
from gpuscout.market.sources.machines_process import Parsed, ParserFailed, parse_machines
from gpuscout.market.sources.vast_worker import LIMIT
from gpuscout.resilience.errors import UpstreamError
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.spool import Spool

PATH = "/api/v0/bundles/"
FEEDS = ("v1", "v2")
QUERY: dict[str, Any] = {"external": {"eq": False}, "type": "on-demand", "disable_bundling": True, "limit": LIMIT}
"""The whole market, rented machines included: no filter on what is rentable or verified."""
MAX_PACKED = 256 * 1024 * 1024
"""Bytes of the answer as sent; about 95 MB when it is not packed."""
PARSE_SECONDS = 90.0
_MAX_REJECTED = 1_000
_BOOT = (
    "import sys; root = sys.argv[1]; root in sys.path or sys.path.insert(0, root); "
    "from gpuscout.market.sources.vast_worker import main; main(float(sys.argv[2]), sys.argv[3] == 'packed')"
)


class VastSource:
    """Implements :class:`gpuscout.market.sources.base.MarketSource` on ``/api/v0/bundles``.

    The answer carries no time: the moment before it was asked for stands for it. When all statistics are the same as
    the last time, the answer is taken for an old one.

    Args:
        client: speaks to the platform; carries the API key when there is one.
        name: under which quotes are stored and shown (``vast.ai``; the demo's is a simulator's).
    """

    platform = "vast"
    headline_feeds = frozenset({"v1"})

    def __init__(self, client: ResilientClient, name: str = "vast.ai") -> None:
        self._client = client
        self._name = name
        self._digest: str | None = None

    @property
    def name(self) -> str:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        return self._name

    async def fetch(self, now: datetime) -> FetchResult:
        """Read the whole market once; both documents come from one answer."""
        try:
            parsed = await self._read()
        except (UpstreamError, ParserFailed) as error:
            return FetchResult(problems=dict.fromkeys(FEEDS, str(error)))
        except WrongShape as error:
            return FetchResult(problems=dict.fromkeys(FEEDS, f"unexpected answer: {error}"))
        digest = await asyncio.to_thread(_digest, parsed)
        if digest == self._digest:
            return FetchResult(unchanged=FEEDS)
        documents = await asyncio.to_thread(_documents, parsed, now)
        self._digest = digest
        return FetchResult(documents)

    async def _read(self) -> Parsed:
        async with Spool() as spool:
            response = await self._client.get(
                PATH,
                params={"q": json.dumps(QUERY, separators=(",", ":"))},
                max_bytes=MAX_PACKED,
                spool=spool,
            )
            packed = response.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip")
            return await parse_machines(spool.file, packed=packed, seconds=PARSE_SECONDS, boot=_BOOT)

    def forget(self) -> None:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        self._digest = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _digest(parsed: Parsed) -> str:
    """The same for equal statistics, in whatever order."""
    return hashlib.sha256(json.dumps(sorted(parsed.groups, key=str)).encode()).hexdigest()


def _documents(parsed: Parsed, now: datetime) -> tuple[FeedDocument, FeedDocument]:
    headline: list[Observation] = []
    segments: list[Observation] = []
    for name, verification, segment, rented, available, everything in parsed.groups:
        item = Observation(name, verification, segment, Side(*rented), Side(*available), Side(*everything))
        (headline if segment == ANY else segments).append(item)
    models = len({item.gpu_name for item in headline})
    return (
        FeedDocument("v1", now, now, models, headline, _rejected(parsed)),
        FeedDocument("v2", now, now, models, segments, ()),
    )


def _rejected(parsed: Parsed) -> Sequence[RejectedItem]:
    """Rejected offers, at most a thousand; those that left a sample first."""
    items = [RejectedItem(reason, sample) for reason, sample in parsed.samples]
    sampled = [item.reason for item in items]
    for reason, count in parsed.reasons.items():
        items += [RejectedItem(reason, "")] * (count - sampled.count(reason))
    return items[:_MAX_REJECTED]
