"""When which bytes are published: the part of the stand-in that knows no HTTP."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sandbox.farm.clock import SimClock
from sandbox.farm.documents import (
    PATHS,
    Document,
    Version,
    document_v1,
    document_v2,
    nanoseconds,
    rfc3339,
)
from sandbox.farm.faults import Fault, apply
from sandbox.farm.machines import PATH as MACHINES
from sandbox.farm.machines import document_machines
from sandbox.farm.market import Market, Snapshot
from sandbox.farm.nudge import Nudge, nudged

Stamp = Literal["wall", "simulated"]
Recorded = Mapping[Version, "bytes | str | Document | None"]


@dataclass(frozen=True, slots=True)
class Body:
    """One published document."""

    raw: bytes
    gzipped: bytes
    etag: str
    """With its quotation marks."""
    modified: datetime
    """The document's timestamp, whole seconds, UTC."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What is served until the next one. A document that is not offered is missing."""

    wall: datetime
    timestamp: int
    """Nanoseconds since 1970."""
    bodies: Mapping[Version, Body]
    snapshot: Snapshot
    fault: Fault


class Publisher:
    """Publishes the market at most once an interval, and remembers what it published.

    ``stamp``: whether documents carry wall time (what a client compares with its own clock) or
    simulated time; both are the same at speed 1. ``update_interval``: wall seconds.
    ``documents``: recorded answers to serve instead of the market's, byte for byte (text or
    bytes) or rendered (parsed JSON); ``None`` for a document the exporter does not have; a
    version that is not mentioned comes from the market. With ``restamp`` recorded answers get a
    new timestamp each interval.
    """

    def __init__(
        self,
        market: Market,
        clock: SimClock,
        *,
        update_interval: float,
        stamp: Stamp = "wall",
        documents: Recorded | None = None,
        restamp: bool = False,
    ) -> None:
        if update_interval <= 0:
            raise ValueError("the update interval is a positive number of seconds")
        self.market = market
        self.clock = clock
        self.update_interval = timedelta(seconds=update_interval)
        self._stamp = stamp
        self._recorded: Recorded = dict(documents or {})
        self._restamp = restamp
        self._fault = Fault()
        self._current: Publication | None = None
        self._dirty = True
        self._lock = asyncio.Lock()
        self._machines: tuple[Publication, Body] | None = None
        self._recorded_machines: bytes | None = None
        self._nudges: tuple[Nudge, ...] = ()
        self._machines_lock = asyncio.Lock()

    @property
    def fault(self) -> Fault:
        """The present state of the switch."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        # A changed switch shows at once, not only at the next interval. Freezing keeps what is.
        self._dirty = self._dirty or fault.mode != "frozen"
        self._fault = fault

    def add_nudge(self, move: Nudge) -> None:
        """Moves a model of the market, at once and until its end. Recorded answers are not moved."""
        if move.model not in self.market.models:
            raise KeyError(f"the market has no {move.model}")
        now = self.clock.wall_now()
        self._nudges = (*(one for one in self._nudges if one.until > now and one.model != move.model), move)
        self._dirty = True

    def moved(self, snapshot: Snapshot, wall: datetime | None = None) -> Snapshot:
        """The market with the moves that last at *wall*; now by default."""
        return nudged(snapshot, self._nudges, self.clock.wall_now() if wall is None else wall)

    def set_documents(self, documents: Recorded, *, restamp: bool = False) -> None:
        """Replaces the recorded answers; an empty mapping returns to the market."""
        self._recorded = dict(documents)
        self._restamp = restamp
        self._dirty = True

    async def current(self) -> Publication:
        """What is to be served now; makes a new publication in a thread when one is due."""
        async with self._lock:
            now = self.clock.wall_now()
            if self._current is None:
                wall = now
            elif self._fault.mode == "frozen":
                return self._current
            elif self._dirty:
                wall = max(now, self._current.wall)
            else:
                # The exporter renews by its own schedule, not when somebody asks.
                passed = (now - self._current.wall) // self.update_interval
                if passed < 1:
                    return self._current
                wall = self._current.wall + passed * self.update_interval
            self._dirty = False
            last = self._current.timestamp if self._current else 0
            publication = await asyncio.to_thread(self._publish, wall, last, self._fault, self._recorded, self._restamp)
            self._current = publication
            return publication

    def set_machines(self, record: bytes | None) -> None:
        """Serves a recorded list of machines byte for byte; ``None`` returns to the market."""
        self._recorded_machines = record
        self._machines = None

    async def machines(self) -> Body:
        """The list of machines that belongs to what is served now; made in a thread when it is first asked for."""
        publication = await self.current()
        async with self._machines_lock:
            if self._machines is None or self._machines[0] is not publication:
                body = await asyncio.to_thread(self._list_machines, publication)
                self._machines = (publication, body)
            return self._machines[1]

    def _list_machines(self, publication: Publication) -> Body:
        seed, stamp = self.market.seed, publication.timestamp
        if self._recorded_machines is not None:
            return _body(MACHINES, self._recorded_machines, rfc3339(stamp), level=1)
        raw = document_machines(publication.snapshot, stamp, seed, publication.fault)
        return _body(MACHINES, raw, rfc3339(stamp), level=1)

    def _publish(self, wall: datetime, last: int, fault: Fault, recorded: Recorded, restamp: bool) -> Publication:
        simulated = self.clock.at(wall)
        timestamp = max(nanoseconds(wall if self._stamp == "wall" else simulated), last + 1)
        snapshot = self.moved(self.market.snapshot(simulated), wall)
        made = {"v1": document_v1, "v2": document_v2}
        bodies: dict[Version, Body] = {}
        for version, path in PATHS.items():
            if version not in recorded:
                raw = apply(fault, version, made[version](snapshot, timestamp))
                bodies[version] = _body(path, raw, rfc3339(timestamp))
            elif (record := recorded[version]) is not None:
                bodies[version] = _recorded_body(path, version, record, fault, rfc3339(timestamp) if restamp else None)
        return Publication(wall, timestamp, bodies, snapshot, fault)


def _recorded_body(
    path: str, version: Version, record: bytes | str | Document, fault: Fault, stamp: str | None
) -> Body:
    raw = record.encode() if isinstance(record, str) else record
    document: Document = json.loads(raw) if isinstance(raw, bytes) else raw
    if stamp is not None:
        document = {**document, "timestamp": stamp}
    verbatim = isinstance(raw, bytes) and stamp is None and not fault.changes_content
    content = raw if verbatim and isinstance(raw, bytes) else apply(fault, version, document)
    return _body(path, content, document["timestamp"])


def _body(path: str, raw: bytes, stamp: str, level: int = 6) -> Body:
    # Unlike the exporter's, the tag covers the content, because switches change it.
    digest = hashlib.sha256(f"{stamp}|{path}|".encode() + raw).hexdigest()
    modified = datetime.fromisoformat(stamp).astimezone(UTC).replace(microsecond=0)
    return Body(raw, gzip.compress(raw, level, mtime=0), f'"{digest[:16]}"', modified)
