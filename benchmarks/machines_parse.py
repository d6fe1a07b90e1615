"""Reading the list of machines: our parse against bare ``json.loads`` in a process of its own.

The document has 5,500 machines and about 25 MB, as the real one. Ours starts a process, reads the document item by
item, validates each machine, drops what must not be kept, resolves names, counts the series of every country and memory
size, and hands all of it over in frames. The bare way starts a process that reads the file and calls ``json.loads``, at
the same low priority. What ours does beyond that counts against it.

Run ``python -m benchmarks machines_parse [--quick]``. Beside the ratio: the most memory that our process held together
with what the parent grew by, and for how long at most the parent's event loop was held in one turn (processor time, so
that a busy machine is not blamed on the program).
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from typing import BinaryIO

from benchmarks.measure import emit, in_turns, median_ratio, say
from gpuscout.market.sources.machines_process import parse_machines
from tests.machines.helpers import large_document

RATIO_LIMIT = 2.5
TURN_LIMIT_MS = 10.0
MEMORY_LIMIT_MIB = 200.0
_BARE = "import json, os, sys; os.nice(5); json.loads(sys.stdin.buffer.read())"
_MIB = 1024 * 1024


def _peak(who: int) -> float:
    """MiB a process held at most."""
    return resource.getrusage(who).ru_maxrss / (_MIB if sys.platform == "darwin" else 1024)


class Turns:
    """The longest turn of the event loop in seconds of processor time."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)


async def _bare(file: BinaryIO) -> None:
    file.seek(0)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _BARE, stdin=file)
    if await process.wait():
        raise RuntimeError("the bare process failed")


async def _ours(file: BinaryIO, machines: int) -> None:
    parsed = await parse_machines(file, packed=False, seconds=120)
    if len(parsed.machines) != machines:
        raise RuntimeError(f"{len(parsed.machines)} of {machines} machines were read")


async def run(machines: int, rounds: int) -> None:
    """All measurements on a document of so many machines."""
    data = large_document(machines, datetime(2026, 11, 24, tzinfo=UTC))
    say(f"{machines:,} machines, {len(data) / _MIB:.1f} MiB")
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        del data
        before = _peak(resource.RUSAGE_SELF)
        turns = Turns()
        watching = asyncio.create_task(turns.watch())
        await _ours(file, machines)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        memory = _peak(resource.RUSAGE_SELF) - before + _peak(resource.RUSAGE_CHILDREN)
        times = await in_turns(
            {"ours": lambda _n: _ours(file, machines), "bare": lambda _n: _bare(file)}, rounds, warm_up=1
        )
    emit("machines_parse.memory", memory, "MiB", MEMORY_LIMIT_MIB, memory / MEMORY_LIMIT_MIB)
    turn = turns.longest * 1000
    emit("machines_parse.longest_turn", turn, "ms", TURN_LIMIT_MS, turn / TURN_LIMIT_MS)
    emit("machines_parse.bare", statistics.median(times["bare"]), "ms")
    emit("machines_parse.ours", statistics.median(times["ours"]), "ms")
    ratio = median_ratio(times, "ours", "bare")
    emit("machines_parse.vs_json_loads", ratio, "ratio", RATIO_LIMIT, ratio)


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` on 500 machines."""
    asyncio.run(run(500, 3) if quick else run(5_500, 15))
