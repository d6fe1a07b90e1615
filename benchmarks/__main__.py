"""All benchmarks, or those that are named: ``python -m benchmarks [names] [--quick] [--large]``.

Measurements go to standard output, one JSON object a line (``name``, ``value``, ``unit``, ``limit``, ``ratio``),
progress to standard error. Each benchmark runs in a process of its own, one after the other. The exit code is 1 when a
limit was missed or a benchmark failed; the last lines say which.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import measure
from benchmarks.apart import run_apart

NAMES = (
    "ingest_upsert",
    "machines_parse",
    "backfill",
    "history_query",
    "market_overview",
    "chart_render",
    "command_dispatch",
    "start_to_ready",
    "alerts_select_1m",
    "alerts_fire",
    "jobs_throughput",
    "poll_to_dm",
    "webhook_delivery",
)


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
