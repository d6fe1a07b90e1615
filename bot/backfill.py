"""``gpuscout backfill``: progress, the rejects file, and what the load did, for a person to read."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer

from bot.tools import opened
from config.settings import Settings
from gpuscout.market.backfill import Backfill, BackfillReport, Progress, RejectedRow
from gpuscout.market.csv_text import safe_cell
from gpuscout.market.history_file import HistoryFileError

_LINE_SECONDS: Final = 3.0
_REASONS: Final = 20


async def load_history(settings: Settings, paths: list[Path], *, again: bool, rejects: Path | None) -> int:
    """Load *paths*; exit code 1 when a file cannot be read or none of its rows is history."""
    async with opened(settings) as parts:
        backfill = Backfill(parts.store, parts.state, parts.gpus, parts.platforms, clock=parts.clock)
        try:
            with shown_progress() as progress, rejects_file(rejects) as on_reject:
                report = await backfill.load(paths, again=again, progress=progress, on_reject=on_reject)
        except HistoryFileError as error:
            typer.echo(f"gpuscout: {error}", err=True)
            return 1
        await parts.db.checkpoint()
    print_report(report, rejects)
    return 1 if report.files and not report.series else 0


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A bar on a terminal, elsewhere a line every few seconds; both on standard error."""
    if sys.stderr.isatty():
        with _bar() as progress:
            yield progress
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:8}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        tasks = {what: bar.add_task(what, total=None, start=False) for what in ("reading", "storing")}

        def progress(what: str, done: int, total: int) -> None:
            bar.start_task(tasks[what])
            bar.update(tasks[what], completed=done, total=total)

        yield progress


def _lines() -> Progress:
    last = time.monotonic()

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            typer.echo(f"{what}: {done / total if total else 1:.0%}", err=True)

    return progress


@contextmanager
def rejects_file(path: Path | None) -> Iterator[Callable[[RejectedRow], None]]:
    """Writes rejected rows as CSV; without a path they are only counted."""
    if path is None:
        yield lambda row: None
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(RejectedRow._fields)
        # What a file said must not become a formula where the rejects are opened.
        yield lambda row: writer.writerow([safe_cell(row.file), row.line, row.reason, safe_cell(row.value)])


def print_report(report: BackfillReport, rejects: Path | None) -> None:
    """What the load did, a few lines."""
    for name, at in report.skipped:
        typer.echo(f"{name}: loaded already on {at:%Y-%m-%d %H:%M} UTC; --again loads it once more")
    if not report.files:
        return
    rejected = report.rejected.total()
    typer.echo(f"{', '.join(report.files)}: {report.read:,} rows read, {rejected:,} rejected")
    for reason, count in report.rejected.most_common(_REASONS):
        first = report.first_rejected[reason]
        said = f" ({first.value[:60]!r})" if first.value else ""
        typer.echo(f"  rejected {count:,} x {reason}; first in {first.file} line {first.line}{said}")
    if len(report.rejected) > _REASONS:
        typer.echo(f"  and for {len(report.rejected) - _REASONS} more reasons")
    if rejected and rejects is None:
        typer.echo("  --rejects FILE writes each of them with its line and reason")
    if report.first is not None and report.last is not None:
        typer.echo(
            f"  {report.series:,} series of {report.gpus} GPUs on {report.platforms} platforms,"
            f" {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}"
        )
        typer.echo(
            f"  stored {report.stored['hour']:,} hours and {report.stored['day']:,} days;"
            f" {report.kept.total():,} were there already or belong to live data and stay"
        )
        typer.echo(f"  {report.repeated:,} observations repeat another; {report.outliers:,} are flagged as outliers")
    if report.resumed:
        typer.echo(f"  went on after {report.resumed:,} series that an earlier, stopped load had stored")
    if report.unknown:
        typer.echo(f"  unknown GPU names: {', '.join(report.unknown[:20])}")
    rate = report.read / report.seconds if report.seconds else 0.0
    typer.echo(f"  {report.seconds:.1f} s, {rate:,.0f} rows/s")
