"""Usage events, written behind in batches so that no command waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice

import structlog
from sqlalchemy import insert
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, SQLAlchemyError, StatementError

from storage.engine import Database
from storage.errors import StorageError
from storage.tables import usage_event

log = structlog.get_logger(__name__)

_ROWS_A_TRANSACTION = 500
_LONGEST_PAUSE = 30.0
_CLOSE_SECONDS = 5.0
_AWAY = (SQLAlchemyError, StorageError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One use of a command, button or page. Members and servers are keyed hashes, never ids.

    Attributes:
        at: aware UTC.
        latency_ms: milliseconds from the request to our answer.
    """

    at: datetime
    name: str
    surface: str
    outcome: str
    latency_ms: float | None = None
    plan: str = "free"
    member_hash: str | None = None
    guild_hash: str | None = None
    locale: str | None = None


class UsageStore:
    """Buffers events and writes them every *interval* seconds, or as soon as *batch* have come.

    Nothing is lost on a clean shutdown. While the database is away up to *bound* events are kept; what comes beyond
    is counted in :attr:`dropped`.
    """

    def __init__(self, db: Database, *, interval: float = 1.0, batch: int = 100, bound: int = 10_000) -> None:
        self._db = db
        self._interval = interval
        self._batch = batch
        self._bound = bound
        self._buffer: deque[UsageEvent] = deque()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        """Events that were not kept because the buffer was full or the store closed."""

    @property
    def waiting(self) -> int:
        """Events that are not yet written."""
        return len(self._buffer)

    def record(self, event: UsageEvent) -> None:
        """Keep *event* for the next write. Never waits, never raises."""
        if self._closing.is_set() or len(self._buffer) >= self._bound:
            self.dropped += 1
            return
        self._buffer.append(event)
        if len(self._buffer) >= self._batch:
            self._wake.set()

    async def start(self) -> None:
        """Begin to write behind."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="usage-writer")

    async def flush(self) -> None:
        """Write everything that was recorded before this call. An event that the database refuses is dropped.

        Raises:
            SQLAlchemyError, OSError, TimeoutError: the database is away; the events stay in the buffer.
        """
        async with self._writing:
            left = len(self._buffer)
            while left > 0:
                events = list(islice(self._buffer, min(left, _ROWS_A_TRANSACTION)))
                await self._write(events)
                # Taken out only now: a failed write loses nothing.
                for _ in events:
                    self._buffer.popleft()
                left -= len(events)

    async def _write(self, events: list[UsageEvent]) -> None:
        try:
            async with self._db.write() as conn:
                await conn.execute(insert(usage_event), [asdict(event) for event in events])
        except StatementError as error:
            if isinstance(error, OperationalError | InterfaceError | InternalError):
                raise
            if len(events) > 1:
                # One of them is at fault; the others must not suffer for it.
                for event in events:
                    await self._write([event])
                return
            self.dropped += 1
            log.error("usage_event_refused", name=events[0].name, error=repr(error.orig))

    async def aclose(self) -> None:
        """Write what is left and end. Events that cannot be written within some seconds are logged as lost."""
        self._closing.set()
        self._wake.set()
        if self._task is not None:
            # Not cancelled: a write that is under way is part of what must not be lost.
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.flush()
        except _AWAY as error:
            self.dropped += len(self._buffer)
            log.error("usage_events_lost", events=len(self._buffer), error=repr(error))
            self._buffer.clear()

    async def _run(self) -> None:
        pause = self._interval
        while not self._closing.is_set():
            # After a failure the pause is kept, however many events come meanwhile.
            signal = self._wake if pause == self._interval else self._closing
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await signal.wait()
            self._wake.clear()
            if self._closing.is_set():
                return  # the rest is written by aclose
            try:
                await self.flush()
            except Exception:
                # The database may be away for a while; this task must outlive that, whatever it is.
                if pause == self._interval:
                    log.exception("usage_write_failed", waiting=len(self._buffer))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = self._interval
