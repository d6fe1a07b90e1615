"""500.farm's list of all machines: fetched to a temporary file, parsed in a process of its own, counted by country.

It gives what the statistics documents leave out: series by country, series of memory sizes that a name alone does not
tell apart, and single machines. The document is large, so it is asked for seldom, and with its ETag.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import structlog

from gpuscout.market.models import ANY, Side, Verification
from gpuscout.market.sources.base import FeedDocument, FetchResult, Observation, RejectedItem, WrongShape
from gpuscout.market.sources.exporter import PREFIX
from gpuscout.market.sources.exporter_schema import parse_timestamp
from gpuscout.market.sources.machines_process import MachineRow, Parsed, ParserFailed, parse_machines
from gpuscout.resilience.errors import BadStatus, UpstreamError
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.spool import Spool

log = structlog.get_logger(__name__)

FEED = "machines"
PATH = f"{PREFIX}/machines"
MAX_PACKED = 96 * 1024 * 1024
"""Bytes as they come; the real document has about 25 MB unpacked."""
PARSE_SECONDS = 60.0
NOT_THERE = 404

Parse = Callable[[BinaryIO, bool], Awaitable[Parsed]]


@dataclass(frozen=True, slots=True)
class MachinesDocument(FeedDocument):
    """The validated list of machines, with the series counted over them as observations."""

    machines: Sequence[MachineRow] = ()


async def parse_in_process(file: BinaryIO, packed: bool) -> Parsed:
    """The default way of parsing; see :func:`gpuscout.market.sources.machines_process.parse_machines`."""
    return await parse_machines(file, packed=packed, seconds=PARSE_SECONDS)


class MachinesSource:
    """Implements :class:`gpuscout.market.sources.base.MarketSource` on the exporter's list of machines.

    Args:
        client: speaks to the mirrors; one of its own, so that a sick list closes no way to the statistics. Closed by
            :meth:`aclose`.
        name: under which quotes are stored and shown.
        parse: reads a document; for tests.
    """

    platform = "vast"

    def __init__(self, client: ResilientClient, name: str = "500.farm", parse: Parse = parse_in_process) -> None:
        self._client = client
        self._name = name
        self._parse = parse
        self._etags: dict[str, str] = {}
        self._answered = False
        self._last_mirror: str | None = None

    @property
    def name(self) -> str:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        return self._name

    headline_feeds = frozenset({FEED})

    async def fetch(self, now: datetime) -> FetchResult:
        """Read the list once. Where there never was one, that is no failure: the result is empty."""
        try:
            document = await self._read(now)
        except BadStatus as error:
            if error.status == NOT_THERE and not self._answered:
                log.info("machines_not_offered", source=self._name)
                return FetchResult()
            return FetchResult(problems={FEED: str(error)})
        except (UpstreamError, ParserFailed) as error:
            return FetchResult(problems={FEED: str(error)})
        except WrongShape as error:
            return FetchResult(problems={FEED: f"unexpected answer: {error}"})
        except OSError as error:
            reason = error.strerror or type(error).__name__
            return FetchResult(problems={FEED: f"cannot write the temporary file or start the parser: {reason}"})
        return FetchResult([document]) if document else FetchResult(unchanged=[FEED])

    async def _read(self, now: datetime) -> MachinesDocument | None:
        etag = self._etags.get(self._last_mirror) if self._last_mirror else None
        headers = {"Accept": "application/json", **({"If-None-Match": etag} if etag else {})}
        async with Spool() as spool:
            response = await self._client.get(PATH, headers=headers, max_bytes=MAX_PACKED, spool=spool)
            if response.status == 304:
                return None
            # Ask unconditionally next time, unless this one is understood.
            self.forget()
            parsed = await self._parse(spool.file, response.packed)
        document = document_of(parsed, now)
        self._answered = True
        self._last_mirror = response.mirror
        if tag := response.headers.get("etag"):
            self._etags[response.mirror] = tag
        return document

    def forget(self) -> None:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        self._etags.clear()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def document_of(parsed: Parsed, now: datetime) -> MachinesDocument:
    """What was parsed as a document.

    Raises:
        WrongShape: the document has no time that can be.
    """
    return MachinesDocument(
        feed=FEED,
        source_time=parse_timestamp(parsed.timestamp, now),
        fetched_at=now,
        read=parsed.read,
        observations=[_observation(group) for group in parsed.groups],
        rejected=_rejected(parsed.reasons, parsed.samples),
        machines=parsed.machines,
    )


def _observation(group: Sequence[Any]) -> Observation:
    name, vram_gb, region, rented, available, everything = group
    return Observation(
        gpu_name=name,
        verification=Verification.ANY.value,
        segment=ANY,
        rented=Side(*rented),
        available=Side(*available),
        all=Side(*everything),
        region=region,
        vram_gb=vram_gb,
    )


def _rejected(reasons: Mapping[str, int], samples: Sequence[Sequence[str]]) -> list[RejectedItem]:
    """All rejected items, those with a sample first; a sample is kept of the first few only."""
    items = [RejectedItem(reason, sample) for reason, sample in samples]
    sampled = [reason for reason, _ in samples]
    for reason, count in reasons.items():
        items.extend([RejectedItem(reason, "")] * (count - sampled.count(reason)))
    return items
