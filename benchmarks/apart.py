"""One benchmark in a process of its own: nothing that another one imported, cached or left running counts."""

from __future__ import annotations

import importlib
import multiprocessing
from multiprocessing.connection import Connection

from benchmarks import measure


def _run(name: str, options: dict[str, bool], answer: Connection) -> None:
    """In the child: run one benchmark and tell which limits it missed."""
    measure.quiet()
    importlib.import_module(f"benchmarks.{name}").main(**options)
    answer.send(measure.missed())


def run_apart(name: str, options: dict[str, bool]) -> list[str] | None:
    """Names of the limits that a benchmark missed, or None when it failed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(name, options, theirs), name=f"bench-{name}")
    process.start()
    theirs.close()
    try:
        missed: list[str] | None = ours.recv()
    except EOFError:
        missed = None
    process.join()
    return missed if process.exitcode == 0 else None
