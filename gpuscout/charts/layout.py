"""Where things stand on the canvas. Pure arithmetic in pixels, y upwards as in matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Moves positions the least (in squares) so that neighbours are ``gap`` apart inside of low..high.

    Keeps the order of ``wanted``, equal ones in their given order. When they do not
    all fit, they are spaced evenly over the whole room.
    """
    count = len(wanted)
    if not count:
        return []
    if (count - 1) * gap > high - low:
        gap = (high - low) / (count - 1)
    order = sorted(range(count), key=lambda index: wanted[index])
    # With the gaps subtracted, the task is isotonic regression: pool adjacent violators.
    pools: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        total, size = wanted[index] - rank * gap, 1
        while pools and pools[-1][0] / pools[-1][1] > total / size:
            before = pools.pop()
            total, size = total + before[0], size + before[1]
        pools.append((total, size))
    levels = [total / size for total, size in pools for _ in range(size)]
    top = high - (count - 1) * gap
    placed = [0.0] * count
    for rank, index in enumerate(order):
        placed[index] = min(max(levels[rank], low), top) + rank * gap
    return placed


def shorten(text: str, room: float, width: Callable[[str], float]) -> str:
    """``text``, or its longest beginning with an ellipsis that is at most ``room`` wide."""
    if width(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(_cut(text, middle)) <= room:
            low = middle
        else:
            high = middle - 1
    return _cut(text, low)


def _cut(text: str, length: int) -> str:
    return text[:length].rstrip(" ·-–,(") + "…"


def plain(text: str) -> str:
    """One line of printable characters; control and direction-changing ones are left out."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())
