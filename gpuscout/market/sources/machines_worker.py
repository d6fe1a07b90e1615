"""The process that parses machines: reads the document from standard input, writes frames to standard output.

A document of 25 MB would hold the interpreter for most of a second, even from a thread, so it is parsed in a process
of its own, which lives for one document. The document is read item by item, so the process stays small whatever comes;
what goes back has been validated, cut down to what is kept, and put in frames small enough that reading one holds the
parent's event loop for less than a millisecond.

Frames are a status byte, a length and JSON: foreign data have passed through here, so nothing is pickled.
"""

from __future__ import annotations

import faulthandler
import gzip
import json
import os
import struct
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, BinaryIO

from config.catalogue import GpuCatalogue
from gpuscout.market.models import GLOBAL, Side
from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.json_stream import ObjectStream
from gpuscout.market.sources.machines_schema import BadMachine, Machine, read_machine, sample_of
from gpuscout.market.weighted import weighted_side, whole_cents

FRAME = struct.Struct(">BI")
MAX_FRAME = 1024 * 1024
ROWS_A_FRAME = 100
MAX_MACHINES = 50_000
MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes of the document, unpacked; the real one has about 25 MB."""
MAX_SAMPLES = 20


class Status(IntEnum):
    """What a frame carries."""

    MACHINES = 0
    """List of machine rows, in the order of :class:`gpuscout.market.sources.machines_process.MachineRow`."""
    GROUPS = 1
    """List of ``[gpu_name, vram_gb, region, rented, available, all]``; a side is ``[count, median, p10, p90]``."""
    DONE = 2
    """``{"timestamp", "read", "reasons": {reason: count}, "samples": [[reason, sample]]}``; the last frame."""
    WRONG_SHAPE = 3
    """The reason in one phrase; the last frame."""


Group = tuple[str, str, str]
"""Name, slug, region."""


class Groups:
    """Machines put together into the series that they make.

    By country: all machines of a name, as the worldwide series of that name counts them. By memory size, worldwide and
    by country: those whose size makes them another model than the name alone says (the 80 GB among "A100 SXM4", the
    modded 48 GB among "RTX 4090").
    """

    def __init__(self, catalogue: GpuCatalogue) -> None:
        self._catalogue = catalogue
        self._slugs: dict[tuple[str, int | None], str] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._machines: defaultdict[Group, list[tuple[int, int, int]]] = defaultdict(list)
        """Cents per GPU-hour, GPUs, rented GPUs."""

    def slug(self, name: str, vram_gb: int | None) -> str:
        """The model that a name and a memory size mean."""
        found = self._slugs.get((name, vram_gb))
        if found is None:
            found = self._slugs[name, vram_gb] = self._catalogue.resolve(name, vram_gb).slug
        return found

    def add(self, machine: Machine) -> str:
        """Count a machine; returns its slug."""
        name = machine.gpu_name
        plain, slug = self.slug(name, None), self.slug(name, machine.vram_gb)
        entry = (whole_cents(machine.total_price, machine.num_gpus), machine.num_gpus, machine.num_rented)
        if machine.country is not None:
            self._machines[name, plain, machine.country].append(entry)
        if slug != plain and machine.vram_gb is not None:
            self._sizes.setdefault((name, slug), machine.vram_gb)
            self._machines[name, slug, GLOBAL].append(entry)
            if machine.country is not None:
                self._machines[name, slug, machine.country].append(entry)
        return slug

    def rows(self) -> Iterator[list[Any]]:
        """One row a group, as :attr:`Status.GROUPS` says."""
        for (name, slug, region), machines in self._machines.items():
            sides = (
                weighted_side((price, rented) for price, _, rented in machines),
                weighted_side((price, gpus - rented) for price, gpus, rented in machines),
                weighted_side((price, gpus) for price, gpus, _ in machines),
            )
            yield [name, self._sizes.get((name, slug)), region, *map(_side, sides)]


def _side(side: Side) -> list[Any]:
    """A side counted in cents, in dollars."""
    return [side.count, *(None if cents is None else cents / 100 for cents in (side.median, side.p10, side.p90))]


def parse(read: Callable[[int], bytes], catalogue: GpuCatalogue, emit: Callable[[Status, Any], None]) -> None:
    """Parse one document; *emit* is called with each frame's status and content.

    Raises:
        WrongShape: the answer is no such document at all.
    """
    stream = ObjectStream(read, "offers")
    groups = Groups(catalogue)
    reasons: Counter[str] = Counter()
    samples: list[tuple[str, str]] = []
    seen: set[int] = set()
    rows: list[list[Any]] = []
    number = 0
    for number, item in enumerate(stream.items(), 1):
        if number > MAX_MACHINES:
            raise WrongShape(f"more than {MAX_MACHINES} machines")
        try:
            machine = read_machine(item, seen)
        except BadMachine as error:
            reasons[str(error)] += 1
            if len(samples) < MAX_SAMPLES:
                samples.append((str(error), sample_of(item)))
            continue
        seen.add(machine.machine_id)
        rows.append(_row(machine, groups.add(machine)))
        if len(rows) == ROWS_A_FRAME:
            emit(Status.MACHINES, rows)
            rows = []
    if not number:
        raise WrongShape("the list of machines is empty")
    if not seen:
        raise WrongShape(f"none of {number} machines is valid ({samples[0][0]})")
    emit(Status.MACHINES, rows)
    rows = []
    for row in groups.rows():
        rows.append(row)
        if len(rows) == ROWS_A_FRAME:
            emit(Status.GROUPS, rows)
            rows = []
    emit(Status.GROUPS, rows)
    timestamp = stream.members.get("timestamp")
    emit(
        Status.DONE,
        {
            "timestamp": timestamp[:64] if isinstance(timestamp, str) else None,
            "read": number,
            "reasons": reasons,
            "samples": samples,
        },
    )


def _row(machine: Machine, slug: str) -> list[Any]:
    return [
        machine.machine_id,
        slug,
        machine.vram_gb,
        machine.num_gpus,
        machine.num_rented,
        machine.price,
        machine.min_bid,
        machine.reliability,
        machine.verification,
        machine.datacenter,
        machine.country,
        machine.end_date,
    ]


Read = Callable[[int], bytes]
Emit = Callable[[Status, Any], None]


def main(watchdog: float, packed: bool) -> None:
    """Parse standard input, gzip when *packed*; end the process after *watchdog* seconds whatever happens."""
    serve(lambda read, emit: parse(read, GpuCatalogue.load(), emit), watchdog, packed)


def serve(work: Callable[[Read, Emit], None], watchdog: float, packed: bool) -> None:
    """Do *work* from standard input to frames on standard output, for this and other large documents."""
    # The event loop of the parent comes first when cores are scarce.
    os.nice(5)
    # Needs no interpreter lock: also ends a hang when the parent, which would kill it much earlier, is gone.
    faulthandler.dump_traceback_later(watchdog, exit=True, file=sys.stderr)
    source = os.fdopen(0, "rb", buffering=0)
    sink = os.fdopen(os.dup(1), "wb")
    # Whatever prints goes to standard error and never into the frames.
    os.dup2(2, 1)

    def emit(status: Status, content: Any) -> None:
        data = json.dumps(content, separators=(",", ":")).encode()
        sink.write(FRAME.pack(status, len(data)) + data)
        sink.flush()

    try:
        try:
            work(_reader(source, packed), emit)
        except WrongShape as error:
            emit(Status.WRONG_SHAPE, str(error))
    except BrokenPipeError:
        os._exit(0)  # nobody waits for the rest


def _reader(source: BinaryIO, packed: bool) -> Callable[[int], bytes]:
    """Unpacks piece by piece, so that a small document cannot become a large one in memory."""
    unpacked = gzip.GzipFile(fileobj=source) if packed else source
    total = 0

    def read(size: int) -> bytes:
        nonlocal total
        try:
            data: bytes = unpacked.read(size)
        except (EOFError, OSError, zlib.error):
            raise WrongShape("the gzip body is damaged or cut short") from None
        total += len(data)
        if total > MAX_UNPACKED:
            raise WrongShape(f"more than {MAX_UNPACKED:,} bytes")
        return data

    return read
