"""The parsing process as its parent sees it: started for one document, read frame by frame, killed when it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import structlog

from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.machines_worker import FRAME, MAX_FRAME, Status

log = structlog.get_logger(__name__)

_ROOT = str(Path(__file__).resolve().parents[3])
_BOOT = (
    "import sys; root = sys.argv[1]; root in sys.path or sys.path.insert(0, root); "
    "from gpuscout.market.sources.machines_worker import main; main(float(sys.argv[2]), sys.argv[3] == 'packed')"
)
_ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV"),
)
"""What the child sees of the environment: nothing that could hold a secret."""
_ERROR_BYTES = 8192
_LAST_SECONDS = 5.0
"""A process that closed its output is ending; a busy machine may take its time."""


class ParserFailed(Exception):
    """The process ended, hung or broke the protocol; says nothing about the document."""


class MachineRow(NamedTuple):
    """A validated machine with its model's slug. Prices are USD per GPU-hour."""

    machine_id: int
    gpu: str
    vram_gb: float | None
    num_gpus: int
    num_rented: int
    price: float
    min_bid: float | None
    reliability: float | None
    verification: str
    datacenter: bool
    country: str | None
    end_date: int | None


@dataclass(slots=True)
class Parsed:
    """What came out of one document."""

    machines: list[MachineRow] = field(default_factory=list)
    groups: list[list[Any]] = field(default_factory=list)
    timestamp: str | None = None
    read: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    samples: Sequence[Sequence[str]] = ()


async def parse_machines(file: BinaryIO, *, packed: bool, seconds: float, boot: str = _BOOT) -> Parsed:
    """Parse the document in *file* (a real file, read from its start) in a process of its own.

    Args:
        packed: the file holds gzip.
        seconds: after these the process is killed.
        boot: what the process runs; for tests.

    Raises:
        WrongShape: the document is not what the source is known to answer.
        ParserFailed: the process did not do its work.
    """
    file.seek(0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", boot, _ROOT, str(seconds * 2), "packed" if packed else "plain"),
        stdin=file,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        # Ctrl-C in the terminal ends the parent, and that ends the child in good order.
        process_group=0,
    )
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - asked for above
    errors = asyncio.create_task(_read_errors(process.stderr), name=f"machines-parser-{process.pid}-stderr")
    try:
        async with asyncio.timeout(seconds):
            return await _receive(process.stdout)
    except TimeoutError:
        raise ParserFailed(f"the machines were not parsed within {seconds:g} s") from None
    finally:
        await _end(process, errors)


async def _receive(stdout: asyncio.StreamReader) -> Parsed:
    parsed = Parsed()
    while True:
        try:
            status, size = FRAME.unpack(await stdout.readexactly(FRAME.size))
            if size > MAX_FRAME:
                raise ParserFailed(f"the parser sent a frame of {size} bytes")
            content = json.loads(await stdout.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ParserFailed("the parser ended before it was done") from None
        if status == Status.MACHINES:
            parsed.machines.extend(map(MachineRow._make, content))
        elif status == Status.GROUPS:
            parsed.groups.extend(content)
        elif status == Status.WRONG_SHAPE:
            raise WrongShape(content)
        elif status == Status.DONE:
            parsed.timestamp, parsed.read = content["timestamp"], content["read"]
            parsed.reasons, parsed.samples = content["reasons"], content["samples"]
            return parsed
        else:
            raise ParserFailed(f"the parser sent a frame of kind {status}")
        # Frames arrive faster than they are read; between two of them others have their turn.
        await asyncio.sleep(0)


async def _read_errors(stderr: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stderr.read(4096):
        kept = (kept + chunk)[-_ERROR_BYTES:]
    return kept


async def _end(process: asyncio.subprocess.Process, errors: asyncio.Task[bytes]) -> None:
    """Kill the process unless it ends by itself, collect it, and log what it complained of."""
    try:
        # A signal to a process that just ended would collect its exit code in asyncio's stead, and lose it.
        async with asyncio.timeout(_LAST_SECONDS if process.stdout is not None and process.stdout.at_eof() else 0):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    try:
        async with asyncio.timeout(0.5):
            said = await errors
    except TimeoutError:
        log.warning("machines_parser_pipes_stay_open", pid=process.pid)
        return
    if said:
        # Never its words: a traceback could hold a piece of the document. Where it failed is enough.
        places = [line.strip() for line in said.decode(errors="replace").splitlines() if line.startswith("  File ")]
        log.warning("machines_parser_failed", pid=process.pid, code=process.returncode, places=places[-5:])
