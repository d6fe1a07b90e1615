"""All benchmarks, or those that are named: ``python -m benchmarks [names] [--quick] [--large]``.

Measurements go to standard output, one JSON object a line (``name``, ``value``, ``unit``, ``limit``, ``ratio``),
progress to standard error. Each benchmark runs in a process of its own, one after the other. The exit code is 1 when a
limit was missed or a benchmark failed; the last lines say which.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection

from benchmarks import measure

NAMES = ("ingest_upsert", "history_query", "chart_render", "command_dispatch", "start_to_ready")


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


def main() -> int:
    """Parse the arguments and run; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter, for CI")
    parser.add_argument("--large", action="store_true", help="history_query also on 50 million rows (8 GB of disk)")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in NAMES]:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(NAMES)})")
    missed: list[str] = []
    failed: list[str] = []
    for name in args.names or NAMES:
        measure.say(f"{name}:")
        begun = time.monotonic()
        options = {"quick": args.quick} | ({"large": args.large} if name == "history_query" else {})
        result = run_apart(name, options)
        if result is None:
            failed.append(name)
        else:
            missed.extend(result)
        measure.say(f"{name} took {time.monotonic() - begun:.0f} s")
    for text, names in (("Limits missed", missed), ("Benchmarks failed", failed)):
        if names:
            measure.say(f"{text}: {', '.join(names)}")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
