"""The specified dialect of 500.farm: prices, utilization, demand and history of all platforms."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from config.platforms import PlatformCatalogue
from gpuscout.market.sources.base import FeedDocument, FetchResult, Observation, RejectedItem, WrongShape
from gpuscout.market.sources.specified_schema import (
    PRICING,
    Place,
    joined,
    parse_historical,
    parse_pricing,
    parse_shares,
)
from gpuscout.resilience.errors import UpstreamError
from gpuscout.resilience.http import ResilientClient

log = structlog.get_logger(__name__)

PREFIX = "/api"
PATHS: Mapping[str, str] = {
    PRICING: f"{PREFIX}/gpu-pricing",
    "utilization": f"{PREFIX}/utilization",
    "demand": f"{PREFIX}/demand",
    "historical": f"{PREFIX}/historical",
}
MAX_BYTES = 16 * 1024 * 1024
MAX_HISTORY_BYTES = 128 * 1024 * 1024


class SpecifiedSource:
    """Implements :class:`gpuscout.market.sources.base.MarketSource` on the specified documents.

    Utilization and demand are joined to the prices. When one of the two cannot be read, the prices are taken without
    it and the failure is told beside them.

    Args:
        client: speaks to the mirrors; carries the API key when there is one.
        name: under which quotes are stored and shown.
        platforms: resolves platform names; one it does not know is kept under its cleaned name.
    """

    platform = "vast"
    headline_feeds = frozenset({PRICING})

    def __init__(self, client: ResilientClient, platforms: PlatformCatalogue, name: str = "500.farm") -> None:
        self._client = client
        self._platforms = platforms
        self._name = name
        self._etag: str | None = None

    @property
    def name(self) -> str:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        return self._name

    async def fetch(self, now: datetime) -> FetchResult:
        """Read prices, then what belongs to them; unchanged prices are not read further."""
        problems: dict[str, str] = {}
        try:
            document = await self._pricing(now)
        except (UpstreamError, WrongShape) as error:
            return FetchResult(problems={PRICING: _said(error)})
        if document is None:
            return FetchResult(unchanged=(PRICING,))
        shares: dict[str, dict[Place, float]] = {}
        rejected: list[RejectedItem] = []
        for feed in ("utilization", "demand"):
            try:
                response = await self._client.get(PATHS[feed], max_bytes=MAX_BYTES)
                shares[feed], refused = await asyncio.to_thread(parse_shares, response.body, now, self._platforms, feed)
                rejected += refused
            except (UpstreamError, WrongShape) as error:
                problems[feed] = _said(error)
        whole = joined(document, shares.get("utilization", {}), shares.get("demand", {}), rejected)
        return FetchResult((whole,), (), problems)

    async def _pricing(self, now: datetime) -> FeedDocument | None:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        response = await self._client.get(PATHS[PRICING], headers=headers, max_bytes=MAX_BYTES)
        if response.status == 304:
            return None
        self._etag = None
        document = await asyncio.to_thread(parse_pricing, response.body, now, self._platforms)
        self._etag = response.headers.get("etag")
        return document

    async def history(self, now: datetime) -> tuple[Sequence[Observation], Sequence[RejectedItem]]:
        """Everything the source remembers.

        Raises:
            UpstreamError: it cannot be read.
            WrongShape: it is not such a document.
        """
        response = await self._client.get(PATHS["historical"], max_bytes=MAX_HISTORY_BYTES)
        return await asyncio.to_thread(parse_historical, response.body, now, self._platforms)

    def forget(self) -> None:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        self._etag = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _said(error: UpstreamError | WrongShape) -> str:
    return f"unexpected answer: {error}" if isinstance(error, WrongShape) else str(error)
