"""The parsing process: small, quick to read, killed when it hangs, silent about what it saw."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from gpuscout.market.sources import machines_worker
from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.machines_process import ParserFailed, parse_machines
from tests.machines.helpers import SECRETS, document, large_document, machine, parse_bytes, spooled

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
MIB = 1024 * 1024


class Turns:
    """Measures how long the event loop is held: the longest time between two of its turns, in seconds.

    Processor time of this thread, not the clock: what other processes take away is not the program's doing.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_a_real_sized_list(packed: bool, record_property: Callable[[str, object], None]) -> None:
    data = large_document(5_500, AT)
    assert 15 * MIB < len(data) < 40 * MIB
    file = spooled(gzip.compress(data, 1) if packed else data)
    del data
    turns = Turns()
    watching = asyncio.create_task(turns.watch())
    started = time.perf_counter()
    try:
        parsed = await parse_machines(file, packed=packed, seconds=60)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        file.close()
    record_property("seconds", round(time.perf_counter() - started, 3))
    record_property("longest_turn_ms", round(turns.longest * 1000, 2))
    assert len(parsed.machines) == parsed.read == 5_500 and parsed.groups
    # Ten times what is measured here: it catches a parse in the wrong place, not a slow machine.
    assert turns.longest < 0.1


ROOT = Path(__file__).resolve().parents[2]
MEMORY_SCRIPT = """
import asyncio, resource, sys
from gpuscout.market.sources.machines_process import parse_machines

idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(sys.argv[1], "rb") as file:
    asyncio.run(parse_machines(file, packed=False, seconds=60))
here, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(here - idle + child)
"""


async def test_a_real_sized_list_needs_little_memory(tmp_path: Path) -> None:
    # In a small process of its own: a child is charged with what its parent held when it was made.
    file = tmp_path / "machines.json"
    file.write_bytes(large_document(5_500, AT))
    script = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MEMORY_SCRIPT, str(file), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asyncio.wait_for(script.communicate(), 120)
    assert script.returncode == 0
    assert int(printed) * (1 if sys.platform == "darwin" else 1024) < 200 * MIB


async def test_the_process_finds_what_the_parser_finds() -> None:
    data = document([machine(1), machine(2, gpu_ram=49140), machine(2), None], AT)
    with spooled(data) as file:
        assert await parse_machines(file, packed=False, seconds=30) == parse_bytes(data)
    with spooled(b"<html>") as file, pytest.raises(WrongShape, match="not a JSON object"):
        await parse_machines(file, packed=False, seconds=30)
    with spooled(gzip.compress(data)[:-20]) as file, pytest.raises(WrongShape, match="damaged"):
        await parse_machines(file, packed=True, seconds=30)
    with spooled(data) as file, pytest.raises(WrongShape, match="damaged"):
        await parse_machines(file, packed=True, seconds=30)


def test_a_small_answer_cannot_become_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines_worker, "MAX_UNPACKED", 10 * MIB)
    bomb = gzip.compress(b" " * (40 * MIB), 1)
    read = machines_worker._reader(io.BytesIO(bomb), packed=True)
    with pytest.raises(WrongShape, match="more than 10,485,760 bytes"):
        list(machines_worker.ObjectStream(read, "offers").items())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def read_pid(path: Path) -> int:
    async with asyncio.timeout(30):
        while not path.exists() or not path.read_text().endswith("\n"):
            await asyncio.sleep(0.01)
    return int(path.read_text())


def hanging(path: Path) -> str:
    """A process that says who it is and then does nothing more, not even when asked politely."""
    return (
        "import os, signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(path)!r}).write_text(f'{{os.getpid()}}\\n'); time.sleep(600)"
    )


async def test_a_hung_process_is_killed(tmp_path: Path) -> None:
    with spooled(b"{}") as file, pytest.raises(ParserFailed, match="not parsed within 3 s"):
        await parse_machines(file, packed=False, seconds=3, boot=hanging(tmp_path / "pid"))
    assert gone(await read_pid(tmp_path / "pid"))


async def test_a_process_that_nobody_waits_for_is_killed(tmp_path: Path) -> None:
    with spooled(b"{}") as file:
        work = asyncio.create_task(parse_machines(file, packed=False, seconds=60, boot=hanging(tmp_path / "pid")))
        pid = await read_pid(tmp_path / "pid")
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert gone(pid)


@pytest.mark.parametrize(
    ("boot", "reason"),
    [
        ("raise SystemExit(3)", "ended before"),
        ("import os; os.kill(os.getpid(), 9)", "ended before"),
        ("import os; os.write(1, bytes(3))", "ended before"),
        ("import os; os.write(1, bytes([9, 0, 0, 0, 2]) + b'{}')", "kind 9"),
        ("import os; os.write(1, bytes([0, 255, 255, 255, 255]))", "frame of"),
    ],
)
async def test_a_process_that_fails_says_nothing_of_the_document(boot: str, reason: str) -> None:
    with spooled(b"{}") as file, pytest.raises(ParserFailed, match=reason):
        await parse_machines(file, packed=False, seconds=30, boot=boot)


async def test_what_a_failing_process_prints_is_not_logged() -> None:
    boot = f"raise ValueError({document([machine()], AT)!r})"
    with structlog.testing.capture_logs() as logs, spooled(b"{}") as file, pytest.raises(ParserFailed):
        await parse_machines(file, packed=False, seconds=30, boot=boot)
    [entry] = [entry for entry in logs if entry["event"] == "machines_parser_failed"]
    assert entry["code"] == 1 and entry["places"]
    assert not [secret for secret in SECRETS if secret in repr(logs)]
