"""The process that parses Vast.ai's offers into statistics; see :mod:`gpuscout.market.sources.machines_worker`.

The platform lists each machine as one offer of the whole (``gpu_frac`` 1) and one of each part of it that can be rented
by itself. The whole gives the price and what the machine is; the parts tell which of its GPUs are free: a GPU is rented
when no offer that can be rented (``rentable``) holds it. Machines are then put together as 500.farm's exporter does it,
with the one difference that prices are not cut to a cent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from gpuscout.market.models import ANY, Side, Verification, segment_slug
from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.json_stream import ObjectStream
from gpuscout.market.sources.machines_schema import MAX_GPUS, MAX_ID, BadMachine, Machine, read_machine, sample_of
from gpuscout.market.sources.machines_worker import MAX_SAMPLES, ROWS_A_FRAME, Emit, Read, Status, serve
from gpuscout.market.weighted import weighted_side

LIMIT = 100_000
"""Offers asked for; the market has about a quarter of it. An answer of so many was cut."""

_VERIFICATIONS = (Verification.ANY.value, Verification.VERIFIED.value, Verification.UNVERIFIED.value)
_Entry = tuple[float, int, int]
"""USD per GPU-hour, GPUs, rented GPUs."""


def gpu_range(num_gpus: int) -> str:
    """The size class of a machine as the exporter words it."""
    return "8+" if num_gpus >= 8 else "4-7" if num_gpus >= 4 else "1-3"


def _ids(item: dict[str, Any]) -> frozenset[int]:
    ids = item.get("gpu_ids")
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_GPUS:
        raise BadMachine("gpu_ids: no list of numbers")
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in ids):
        raise BadMachine("gpu_ids: no list of numbers")
    return frozenset(ids)


class Offers:
    """Offers put together into machines, machines into statistics."""

    def __init__(self) -> None:
        self._whole: dict[int, tuple[Machine, frozenset[int]]] = {}
        self._free: defaultdict[int, set[int]] = defaultdict(set)
        self._seen: set[int] = set()

    def add(self, item: object) -> None:
        """Take one offer.

        Raises:
            BadMachine: it cannot be used.
        """
        if not isinstance(item, dict):
            raise BadMachine("not an object")
        machine_id = item.get("machine_id")
        if isinstance(machine_id, bool) or not isinstance(machine_id, int) or not 1 <= machine_id <= MAX_ID:
            raise BadMachine("machine_id: missing or out of range")
        rentable = item.get("rentable")
        if not isinstance(rentable, bool):
            raise BadMachine("rentable: not true or false")
        if rentable:
            # Before all else: a part that is free is free, whatever else is odd about its offer.
            self._free[machine_id] |= _ids(item)
        self._seen.add(machine_id)
        if item.get("gpu_frac") != 1:
            return
        ids = _ids(item)
        machine = read_machine({**item, "num_gpus_rented": 0}, self._whole)
        if len(ids) != machine.num_gpus:
            raise BadMachine("gpu_ids: not as many as GPUs")
        self._whole[machine_id] = (machine, ids)

    @property
    def headless(self) -> int:
        """Machines of which no offer of the whole is known."""
        return len(self._seen - self._whole.keys())

    def rows(self) -> Iterator[list[Any]]:
        """``[gpu_name, verification, segment, rented, available, all]``, a side as ``[count, median, p10, p90]``."""
        by_model: defaultdict[str, list[tuple[Machine, int]]] = defaultdict(list)
        for machine_id, (machine, ids) in self._whole.items():
            by_model[machine.gpu_name].append(
                (machine, machine.num_gpus - len(ids & self._free.get(machine_id, set())))
            )
        for name, machines in by_model.items():
            groups: dict[tuple[str, str], list[_Entry]] = {(verification, ANY): [] for verification in _VERIFICATIONS}
            for machine, rented in machines:
                checked = _VERIFICATIONS[1] if machine.verification == "verified" else _VERIFICATIONS[2]
                segment = segment_slug(machine.datacenter, gpu_range(machine.num_gpus))
                for key in ((ANY, ANY), (checked, ANY), (checked, segment)):
                    groups.setdefault(key, []).append((machine.price, machine.num_gpus, rented))
            for (verification, segment), entries in groups.items():
                sides = (
                    weighted_side((price, rented) for price, _, rented in entries),
                    weighted_side((price, gpus - rented) for price, gpus, rented in entries),
                    weighted_side((price, gpus) for price, gpus, _ in entries),
                )
                yield [name, verification, segment, *map(_side, sides)]


def _side(side: Side) -> list[Any]:
    return [side.count, side.median, side.p10, side.p90]


def parse(read: Read, emit: Emit) -> None:
    """Parse one answer; *emit* is called with each frame's status and content.

    Raises:
        WrongShape: it is no such answer at all, or one that was cut.
    """
    stream = ObjectStream(read, "offers")
    offers = Offers()
    reasons: Counter[str] = Counter()
    samples: list[tuple[str, str]] = []
    number = 0
    for number, item in enumerate(stream.items(), 1):
        if number >= LIMIT:
            raise WrongShape(f"the list of offers was cut at {LIMIT}")
        try:
            offers.add(item)
        except BadMachine as error:
            reasons[str(error)] += 1
            if len(samples) < MAX_SAMPLES:
                samples.append((str(error), sample_of(item)))
    if not number:
        raise WrongShape("the list of offers is empty")
    if offers.headless:
        reasons["no usable offer of the whole machine"] += offers.headless
    rows: list[list[Any]] = []
    found = False
    for row in offers.rows():
        found = True
        rows.append(row)
        if len(rows) == ROWS_A_FRAME:
            emit(Status.GROUPS, rows)
            rows = []
    if not found:
        raise WrongShape(f"none of {number} offers is a valid whole machine")
    emit(Status.GROUPS, rows)
    emit(Status.DONE, {"timestamp": None, "read": number, "reasons": reasons, "samples": samples})


def main(watchdog: float, packed: bool) -> None:
    """Parse standard input, gzip when *packed*; end the process after *watchdog* seconds whatever happens."""
    serve(parse, watchdog, packed)
