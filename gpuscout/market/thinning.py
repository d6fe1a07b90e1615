"""Thinning history to a number of points without losing its extremes."""

from __future__ import annotations

from collections.abc import Sequence


def thin(prices: Sequence[float | None], limit: int) -> list[int]:
    """Indices of at most *limit* of *prices*, in order, extremes kept.

    The range is cut into equal stretches of points; each keeps its lowest and highest price, and the first and last
    point of all stay. (Min-max decimation; cf. the M4 aggregation of Jugel et al., VLDB 2014.) A stretch without
    any price keeps its first point, so that an unpriced stretch does not turn into a gap.

    Args:
        limit: 1 or more.
    """
    count = len(prices)
    if limit < 1:
        raise ValueError("limit must be 1 or more")
    if count <= limit:
        return list(range(count))
    if limit < 4:
        # Too few for pairs of extremes: evenly spread, ends included.
        return [round(i * (count - 1) / max(1, limit - 1)) for i in range(limit)]
    inner = count - 2
    stretches = (limit - 2) // 2
    keep = {0, count - 1}
    for stretch in range(stretches):
        first = 1 + stretch * inner // stretches
        last = 1 + (stretch + 1) * inner // stretches
        known = [(price, index) for index, price in enumerate(prices[first:last], first) if price is not None]
        if known:
            keep.add(min(known)[1])
            keep.add(max(known, key=_price_then_earliest)[1])
        else:
            keep.add(first)
    return sorted(keep)


def _price_then_earliest(item: tuple[float, int]) -> tuple[float, int]:
    return item[0], -item[1]
