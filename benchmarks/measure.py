"""What the benchmarks share: measuring in turns, printing measurements, and knowing which limit was missed."""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

_missed: list[str] = []


def quiet() -> None:
    """Keep standard output for measurements: logs of what is measured go to standard error, warnings and worse."""
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )


def emit(
    name: str,
    value: float,
    unit: str,
    limit: float | None = None,
    ratio: float | None = None,
    *,
    at_least: bool = False,
) -> None:
    """Prints one measurement on standard output, and notes when its limit is missed.

    Args:
        limit: what *value* may be at most, or at least with *at_least*; None where it is only reported.
        ratio: *value* divided by the same work done barely in the same run, or by the limit where that is absolute.
    """
    rounded = {"name": name, "value": round(value, 4), "unit": unit, "limit": limit}
    print(json.dumps({**rounded, "ratio": None if ratio is None else round(ratio, 4)}), flush=True)
    if limit is not None and (value < limit if at_least else value > limit):
        _missed.append(name)
        say(f"MISSED {name}: {value:.4g} {unit}, {'at least' if at_least else 'at most'} {limit:g}")


def missed() -> list[str]:
    """Names of the measurements of this process that missed their limits."""
    return list(_missed)


def say(text: str) -> None:
    """Progress for a person, on standard error."""
    print(f"  {text}", file=sys.stderr, flush=True)


def percentile(values: list[float], percent: int) -> float:
    """The *percent*-th percentile (1 to 99); of few values it is close to an extreme."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def in_turns(
    ways: Mapping[str, Callable[[int], Awaitable[object]]], rounds: int, *, warm_up: int = 2
) -> dict[str, list[float]]:
    """Milliseconds of every round of each way.

    All ways have their turn in a round, each time another one first, so that whatever else the machine does hits all
    alike. A way is told the number of the round; *warm_up* rounds before 0 have negative numbers and do not count.
    A way that measures itself returns its milliseconds.
    """
    names = list(ways)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            begun = time.perf_counter()
            own = await ways[name](number)
            if number >= 0:
                times[name].append(own if isinstance(own, float) else (time.perf_counter() - begun) * 1000)
            # What the last way left to be done later is not the next one's.
            await asyncio.sleep(0)
    return times


def median_ratio(times: Mapping[str, list[float]], way: str, other: str) -> float:
    """Time of *way* divided by that of *other*: the median over the rounds, each compared within itself."""
    return statistics.median(a / b for a, b in zip(times[way], times[other], strict=True))
