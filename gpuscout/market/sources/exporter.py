"""500.farm's exporter: Vast.ai's whole market by model (V1) and by segment (V2), each cycle, with ETag and gzip."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog

from gpuscout.market.sources.base import FeedDocument, FetchResult, WrongShape
from gpuscout.market.sources.exporter_schema import parse_document
from gpuscout.resilience.errors import UpstreamError
from gpuscout.resilience.http import ResilientClient

log = structlog.get_logger(__name__)

PREFIX = "/vastai-exporter"
FEEDS: Mapping[str, str] = {"v1": f"{PREFIX}/gpu-stats", "v2": f"{PREFIX}/gpu-stats/v2"}
MAX_BYTES = 32 * 1024 * 1024
"""Decoded bytes of one document; the real ones are below 2 MB."""


class ExporterSource:
    """Implements :class:`gpuscout.market.sources.base.MarketSource` on the exporter's two statistics documents.

    Args:
        client: speaks to the mirrors; owned by the caller's composition, closed by :meth:`aclose`.
        name: under which quotes are stored and shown (``500.farm``; the demo says ``simulator``).
    """

    platform = "vast"
    headline_feeds = frozenset({"v1"})

    def __init__(self, client: ResilientClient, name: str = "500.farm") -> None:
        self._client = client
        self._name = name
        # By feed and mirror: mirrors number their documents differently.
        self._etags: dict[tuple[str, str], str] = {}
        self._last_mirror: dict[str, str] = {}

    @property
    def name(self) -> str:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        return self._name

    async def fetch(self, now: datetime) -> FetchResult:
        """Read both documents once. A feed that fails does not stop the other."""
        documents: list[FeedDocument] = []
        unchanged: list[str] = []
        problems: dict[str, str] = {}
        for feed, path in FEEDS.items():
            try:
                document = await self._read(feed, path, now)
            except UpstreamError as error:
                problems[feed] = str(error)
            except WrongShape as error:
                problems[feed] = f"unexpected answer: {error}"
                self._forget(feed)
            else:
                if document is None:
                    unchanged.append(feed)
                else:
                    documents.append(document)
        return FetchResult(documents, unchanged, problems)

    async def _read(self, feed: str, path: str, now: datetime) -> FeedDocument | None:
        headers = {"Accept": "application/json"}
        mirror = self._last_mirror.get(feed)
        etag = self._etags.get((feed, mirror)) if mirror else None
        if etag:
            headers["If-None-Match"] = etag
        response = await self._client.get(path, headers=headers, max_bytes=MAX_BYTES)
        if response.status == 304:
            return None
        # In a thread: a document is some milliseconds of decoding and validation.
        document = await asyncio.to_thread(parse_document, feed, response.body, now)
        self._forget(feed)
        self._last_mirror[feed] = response.mirror
        if tag := response.headers.get("etag"):
            self._etags[feed, response.mirror] = tag
        return document

    def forget(self) -> None:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        self._etags.clear()

    def _forget(self, feed: str) -> None:
        """Ask unconditionally next time: a document that was not understood must not be answered with 304."""
        for key in [key for key in self._etags if key[0] == feed]:
            del self._etags[key]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
