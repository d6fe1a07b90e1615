"""History as CSV: one row a point, each with what it is, where it comes from and how it was made.

``gpuscout backfill`` reads these files back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from gpuscout.market.csv_text import safe_cell
from gpuscout.market.models import METHOD_VERSION, History, HistoryPoint

COLUMNS: Final = (
    *("at", "gpu", "platform", "region", "tier", "verification", "segment", "resolution"),
    *("price", "price_p10", "price_p90", "rented_price", "available_price", "rented", "total", "utilization"),
    *("samples", "source", "method", "simulated"),
)
"""Prices in USD per GPU-hour, counts in GPUs, utilization 0 to 1; an empty cell is "not known"."""
EXPORT_POINTS: Final = 100_000
"""Points asked for: more than any range holds, so that nothing is thinned."""
_END = "\r\n"


def header() -> str:
    """The first line."""
    return ",".join(COLUMNS) + _END


def lines(history: History, is_simulated: Callable[[str], bool]) -> Iterator[str]:
    """One line a point, oldest first.

    Args:
        is_simulated: whether a source's figures are generated.
    """
    key = history.key
    texts = (key.gpu, key.platform, key.region, key.tier, key.verification, key.segment)
    names = ",".join(_text(text) for text in texts)
    made: dict[int | None, str] = {}
    for point in history.points:
        origin = made.get(point.source_id)
        if origin is None:
            source = history.sources.get(point.source_id or 0, history.source)
            flag = "true" if is_simulated(source) else "false"
            origin = made[point.source_id] = f"{_text(source)},{METHOD_VERSION},{flag}"
        at = datetime.fromtimestamp(point.ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        figures = ",".join("" if value is None else repr(value) for value in _figures(point))
        yield f"{at},{names},{history.tier.value},{figures},{point.samples},{origin}{_END}"


def _figures(point: HistoryPoint) -> tuple[float | None, ...]:
    counted = is_counted(point)
    return (
        point.price,
        point.p10,
        point.p90,
        point.rented_price,
        point.available_price,
        point.rented if counted else None,
        point.total if counted else None,
        point.utilization,
    )


def is_counted(point: HistoryPoint) -> bool:
    """Whether the point's GPUs are counted: none listed is a count; a price without a count is one not known."""
    return bool(point.total) or (point.reported is None and point.price is None)


def _text(text: str) -> str:
    """A cell of text: no formula, and quoted where CSV wants it."""
    cell = safe_cell(text)
    if any(ch in cell for ch in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
