"""Which series made a big move that a server has not been told of yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from gpuscout.accounts.feed_memory import FORGET_DAYS, PAUSE, REARM, FeedMemory, Told
from gpuscout.market.models import SeriesKey
from gpuscout.market.overview import MarketLine

WINDOW = "24h"
MOST_MOVES = 10
"""Series in one post; what is beyond comes with the next one."""


def key_text(key: SeriesKey) -> str:
    """A headline series as text, for job payloads and memory."""
    return "|".join((key.platform, key.gpu, key.region, key.tier))


def change_24h(line: MarketLine) -> float | None:
    """Change of the price over a day as a ratio; None without a comparable price, or on a thin sample."""
    return None if line.moved_weakly(WINDOW) else line.change(WINDOW).price_ratio


def big_moves(
    lines: Sequence[MarketLine], threshold: float, memory: FeedMemory, now: datetime
) -> tuple[list[MarketLine], FeedMemory]:
    """Moves of at least *threshold* percent over a day that were not told yet, largest first.

    Hysteresis: a series that was told of is silent until its change fell below :data:`REARM` of the threshold and
    :data:`PAUSE` has passed, or until it turned into an equally big one the other way. So one that hovers around the
    threshold is told of once.

    Returns:
        The moves, and the memory in which series are armed again. The moves are marked as told by :func:`tell`, for
        only what is posted counts as told.
    """
    limit = threshold / 100
    told = dict(memory.told)
    moves = []
    listed = set()
    for line in lines:
        key = key_text(line.key)
        listed.add(key)
        ratio = change_24h(line)
        if ratio is None:
            continue
        before = told.get(key)
        if before is not None and not before.calm and abs(ratio) < limit * REARM:
            before = told[key] = before.model_copy(update={"calm": True})
        if abs(ratio) >= limit and (before is None or _is_news(before, ratio, now)):
            moves.append((abs(ratio), line))
    oldest = now - timedelta(days=FORGET_DAYS)
    told = {key: move for key, move in told.items() if move.at > oldest or (key in listed and not move.calm)}
    moves.sort(key=lambda item: (-item[0], item[1].key))
    return [line for _, line in moves[:MOST_MOVES]], memory.model_copy(update={"told": told})


def _is_news(before: Told, ratio: float, now: datetime) -> bool:
    return before.up != (ratio > 0) or (before.calm and now - before.at >= PAUSE)


def tell(memory: FeedMemory, moves: Sequence[MarketLine], now: datetime) -> FeedMemory:
    """The memory after these moves are claimed for a post."""
    told = {key_text(line.key): Told(up=(change_24h(line) or 0) > 0, at=now) for line in moves}
    return memory.model_copy(update={"told": {**memory.told, **told}})
