"""Loading history from files: rollups of what they say, written where there are none.

Files are read whole, then written series by series in short transactions, so that members are served meanwhile. A load
that was stopped, even by a kill, goes on where it was when it is started again; one that is repeated changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.buckets import QuoteColumns, roll_up_columns, row_columns
from gpuscout.market.history_columns import Gathered, HistoryColumns
from gpuscout.market.history_file import ROW_CHARS, BadRow, Position, content_hash, read_rows
from gpuscout.market.history_rows import Refused, RowReader
from gpuscout.market.reader import VERSION_NAME
from gpuscout.market.rollup import SECONDS
from gpuscout.market.rows import texts_of
from storage.backfill import BackfillStore
from storage.market import MarketStore
from storage.state import AppState

log = structlog.get_logger(__name__)

ROWS_A_WRITE = 4_000
"""Observations of one transaction, about: some 50 ms of the database's time."""
_LOOK_EVERY = 512


class RejectedRow(NamedTuple):
    """A row that was not loaded."""

    file: str
    line: int
    reason: str
    value: str
    """What the row says there, or the row itself."""


Progress = Callable[[str, int, int], None]
"""Told what is being done ("reading" or "storing"), how much of it and of how much; threads call it, too."""


@dataclass(slots=True)
class BackfillReport:
    """What a load did."""

    files: Sequence[str] = ()
    skipped: Sequence[tuple[str, datetime]] = ()
    """Files that were loaded before, with the time."""
    read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected rows by reason."""
    first_rejected: dict[str, RejectedRow] = field(default_factory=dict)
    repeated: int = 0
    outliers: int = 0
    platforms: int = 0
    gpus: int = 0
    series: int = 0
    first: datetime | None = None
    last: datetime | None = None
    unknown: Sequence[str] = ()
    """GPU names that the catalogue does not know."""
    stored: Counter[str] = field(default_factory=Counter)
    """Rollups written, by ``hour`` and ``day``."""
    kept: Counter[str] = field(default_factory=Counter)
    """Rollups that were there already, or belong to live quotes."""
    resumed: int = 0
    """Series that an earlier, stopped load had stored."""
    seconds: float = 0.0
    version: int | None = None
    """The new data version, when something was stored."""


class _Stopped(Exception):
    """The load was cancelled while a thread was reading."""


class Backfill:
    """Loads files of history."""

    def __init__(
        self,
        store: MarketStore,
        state: AppState,
        catalogue: GpuCatalogue,
        platforms: PlatformCatalogue,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._rows = BackfillStore(store.db)
        self._state = state
        self._catalogue = catalogue
        self._platforms = platforms
        self._clock = clock

    async def load(
        self,
        paths: Sequence[Path],
        *,
        again: bool = False,
        progress: Progress = lambda what, done, total: None,
        on_reject: Callable[[RejectedRow], None] = lambda row: None,
    ) -> BackfillReport:
        """Load *paths* together: their rows are rolled up as if they were of one file.

        Args:
            again: load files that were loaded before once more; buckets that are there stay as they are.
            on_reject: told of every rejected row, from a thread.

        Raises:
            HistoryFileError: a file cannot be read, or is no history; nothing is stored then.
        """
        begun = time.monotonic()
        report = BackfillReport()
        hashes: dict[str, Path] = {}
        for path in paths:
            digest = await asyncio.to_thread(content_hash, path)
            known = await self._rows.record(digest)
            if known is not None and known.finished_at is not None and not again:
                report.skipped = [*report.skipped, (path.name, known.finished_at)]
            else:
                hashes.setdefault(digest, path)
        report.files = [path.name for path in hashes.values()]
        if hashes:
            history, per_file = await self._read(list(hashes.values()), report, progress, on_reject)
            await self._write(history, report, _run_hash(hashes, history), again, progress)
            await self._finish(hashes, per_file, _run_hash(hashes, history))
        report.seconds = time.monotonic() - begun
        log.info(
            "backfill_done",
            files=list(report.files),
            read=report.read,
            rejected=report.rejected.total(),
            stored=dict(report.stored),
            seconds=round(report.seconds, 1),
        )
        return report

    # --- reading ---

    async def _read(
        self,
        paths: Sequence[Path],
        report: BackfillReport,
        progress: Progress,
        on_reject: Callable[[RejectedRow], None],
    ) -> tuple[HistoryColumns, list[tuple[int, int]]]:
        stop = threading.Event()
        work = asyncio.to_thread(self._gather, paths, report, progress, on_reject, stop)
        try:
            return await work
        except asyncio.CancelledError:
            stop.set()
            raise

    def _gather(
        self,
        paths: Sequence[Path],
        report: BackfillReport,
        progress: Progress,
        on_reject: Callable[[RejectedRow], None],
        stop: threading.Event,
    ) -> tuple[HistoryColumns, list[tuple[int, int]]]:
        reader = RowReader(self._catalogue, self._platforms, self._clock())
        gathered = Gathered()
        per_file: list[tuple[int, int]] = []
        size = sum(path.stat().st_size for path in paths)
        earlier = 0
        for path in paths:
            position = Position()
            read, rejected = report.read, report.rejected.total()
            for number, (line, cells) in enumerate(read_rows(path, position)):
                report.read += 1
                if not number % _LOOK_EVERY:
                    if stop.is_set():
                        raise _Stopped
                    progress("reading", earlier + position.done, size)
                found = cells if isinstance(cells, BadRow) else reader.read(cells)
                if isinstance(found, BadRow | Refused):
                    row = RejectedRow(path.name, line, found.reason, found[1][:ROW_CHARS])
                    report.rejected[row.reason] += 1
                    report.first_rejected.setdefault(row.reason, row)
                    on_reject(row)
                else:
                    gathered.add(found)
            earlier += position.size
            per_file.append((report.read - read, report.rejected.total() - rejected))
        progress("reading", size, size)
        history = gathered.finish()
        report.repeated, report.outliers = history.repeated, history.outliers
        report.series = len(history.keys)
        report.platforms = len({key.platform for key in history.keys})
        report.gpus = len({key.gpu for key in history.keys})
        report.unknown = [f"{name} ({slug})" for slug, name in sorted(reader.unknown.items())]
        self._unknown = list(reader.unknown.items())
        if len(history.quotes.ts):
            report.first = datetime.fromtimestamp(int(history.quotes.ts.min()), UTC)
            report.last = datetime.fromtimestamp(int(history.quotes.ts.max()), UTC)
        return history, per_file

    # --- writing ---

    async def _write(
        self, history: HistoryColumns, report: BackfillReport, run: str, again: bool, progress: Progress
    ) -> None:
        known = await self._rows.record(run)
        done = 0 if known is None or again or known.finished_at is not None else known.series_done
        report.resumed = done
        while done < len(history.keys):
            progress("storing", done, len(history.keys))
            end = self._batch_end(history, done)
            rolled = await asyncio.to_thread(_roll, history.of_series(done, end), history, done)
            await self._write_batch(history, report, run, done, end, rolled)
            done = end
        progress("storing", done, done)

    @staticmethod
    def _batch_end(history: HistoryColumns, first: int) -> int:
        end, rows = first + 1, history.size(first)
        while end < len(history.keys) and rows + history.size(end) <= ROWS_A_WRITE:
            rows += history.size(end)
            end += 1
        return end

    async def _write_batch(
        self,
        history: HistoryColumns,
        report: BackfillReport,
        run: str,
        first: int,
        end: int,
        rolled: dict[str, tuple[tuple[str, ...], list[list[Any]]]],
    ) -> None:
        """Series, their rollups and how far this is, in one transaction; at least one series, however long it is."""
        keys = history.keys[first:end]
        stored: Counter[str] = Counter()
        version = None
        try:
            async with self._store.db.write() as conn:
                ids = await self._store.series_ids(conn, [texts_of(key) for key in keys])
                sources = [await self._store.source_id(conn, name) for name in history.sources]
                for tier, (names, columns) in rolled.items():
                    places, origins = columns[0], columns[-1]
                    numbered = [
                        [ids[texts_of(history.keys[place])] for place in places],
                        *columns[1:-1],
                        [sources[origin] for origin in origins],
                    ]
                    rows = list(zip(*numbered, strict=True))
                    stored[tier] = await self._rows.fill(conn, tier, SECONDS[tier], names, rows)
                    report.kept[tier] += len(rows) - stored[tier]
                gpus = {key.gpu for key in keys}
                names_of = [(slug, name) for slug, name in self._unknown if slug in gpus]
                await self._rows.name_unknown(conn, sources[0], names_of, self._clock())
                await self._rows.keep_record(
                    conn,
                    run,
                    name=", ".join(report.files),
                    series_done=end,
                    rows_read=report.read,
                    rows_rejected=report.rejected.total(),
                    finished_at=None,
                    updated_at=self._clock(),
                )
                if stored.total():
                    version = await self._state.bump_version(conn, VERSION_NAME)
        except BaseException:
            self._store.forget()
            raise
        report.stored += stored
        report.version = version or report.version

    async def _finish(self, hashes: dict[str, Path], per_file: Sequence[tuple[int, int]], run: str) -> None:
        now = self._clock()
        async with self._store.db.write() as conn:
            await self._rows.forget_record(conn, run)
            for (digest, path), (read, rejected) in zip(hashes.items(), per_file, strict=True):
                await self._rows.keep_record(
                    conn,
                    digest,
                    name=path.name,
                    series_done=0,
                    rows_read=read,
                    rows_rejected=rejected,
                    finished_at=now,
                    updated_at=now,
                )


def _roll(
    quotes: QuoteColumns, history: HistoryColumns, first: int
) -> dict[str, tuple[tuple[str, ...], list[list[Any]]]]:
    """Rollups by tier, as columns. Like live series, only headline ones have hours."""
    import numpy as np

    hourly = np.array([key.is_headline for key in history.keys], dtype=bool)[quotes.series]
    return {
        "hour": row_columns(roll_up_columns(quotes.take(hourly), SECONDS["hour"])),
        "day": row_columns(roll_up_columns(quotes, SECONDS["day"])),
    }


def _run_hash(hashes: dict[str, Path], history: HistoryColumns) -> str:
    """Identity of a load for going on with it: the files, and what their names mean to this program today."""
    digest = hashlib.sha256(b"backfill")
    for file in sorted(hashes):
        digest.update(file.encode())
    for place, key in enumerate(history.keys):
        digest.update(repr((texts_of(key), history.size(place))).encode())
    return digest.hexdigest()
