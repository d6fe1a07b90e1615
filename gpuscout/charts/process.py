"""One drawing process as its parent sees it: start, exchange, kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import structlog

from gpuscout.charts.worker import MAX_FRAME, REQUEST, RESPONSE, Status

log = structlog.get_logger(__name__)

_ROOT = str(Path(__file__).resolve().parents[2])

# The child finds this very copy of the program, installed or checked out.
_BOOT = (
    "import sys; root = sys.argv[1]; root in sys.path or sys.path.insert(0, root); "
    "from gpuscout.charts.worker import main; main(float(sys.argv[2]))"
)

#: What a child may see of the environment: nothing that could hold a secret.
_ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "PYTHONTZPATH"),
    *("PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
)


class WorkerDied(Exception):
    """The process ended or broke the protocol; it can't be used any more."""


class DrawingFailed(Exception):
    """The process lives but could not draw this chart; the message says why."""


class Worker:
    """A drawing process; one chart at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a worker needs pipes to its three standard streams")
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._errors = asyncio.create_task(
            _log_errors(process.stderr, process.pid), name=f"chart-worker-{process.pid}-stderr"
        )
        self.drawn = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @classmethod
    async def start(cls, start_timeout: float, watchdog: float) -> Worker:
        """Starts a process and waits until it can draw.

        Raises ``WorkerDied`` when it ends before that or needs over ``start_timeout`` seconds.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _BOOT, _ROOT, str(watchdog)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **{name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                # One chart keeps one core busy; numpy's thread pools would only cost memory.
                **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            },
            # Ctrl-C in the terminal ends the parent, and that ends the child in good order.
            process_group=0,
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(start_timeout):
                await worker._receive(Status.READY)
        except TimeoutError:
            await worker.kill()
            raise WorkerDied(f"chart worker was not ready within {start_timeout:g} s") from None
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def draw(self, payload: bytes) -> bytes:
        """Image bytes for a pickled spec. Raises ``WorkerDied`` or ``DrawingFailed``.

        When cancelled, the process is in the middle of something: kill it.
        """
        try:
            self._stdin.write(REQUEST.pack(len(payload)) + payload)
            await self._stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise WorkerDied(f"chart worker {self.pid} is gone") from error
        try:
            return await self._receive(Status.IMAGE)
        finally:
            self.drawn += 1

    async def kill(self) -> None:
        """Ends the process at once and collects it."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._collect()

    async def stop(self, patience: float) -> None:
        """Lets the process end by itself; kills it after ``patience`` seconds."""
        self._stdin.close()
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            log.warning("chart_worker_did_not_stop", pid=self.pid)
        await self.kill()

    async def _collect(self) -> None:
        await self._process.wait()
        self._stdin.close()
        # asyncio closes its transport once both pipes were read to their end.
        try:
            async with asyncio.timeout(0.5):
                await self._stdout.read()
                await self._errors
        except (TimeoutError, ConnectionError):
            log.warning("chart_worker_pipes_stay_open", pid=self.pid)
            self._errors.cancel()

    async def _receive(self, expected: Status) -> bytes:
        try:
            status, size = RESPONSE.unpack(await self._stdout.readexactly(RESPONSE.size))
            data = await self._stdout.readexactly(size) if size <= MAX_FRAME else b""
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise WorkerDied(f"chart worker {self.pid} ended while it was needed") from error
        if status == Status.ERROR:
            raise DrawingFailed(data.decode(errors="replace"))
        if status != expected or size > MAX_FRAME:
            raise WorkerDied(f"chart worker {self.pid} sent frame {status} of {size} bytes")
        return data


async def _log_errors(stderr: asyncio.StreamReader, pid: int) -> None:
    while chunk := await stderr.read(4096):
        for line in chunk.decode(errors="replace").splitlines():
            if line.strip():
                log.warning("chart_worker_output", pid=pid, line=line[:500])
