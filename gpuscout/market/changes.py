"""Change of a series over 24 hours, 7 and 30 days."""

from __future__ import annotations

from collections.abc import Sequence

from gpuscout.market.earlier import TOLERANCES, change_of, read_earlier
from gpuscout.market.models import Change, Quote, SeriesKey
from storage.market import MarketStore


async def read_changes(store: MarketStore, quote: Quote) -> dict[str, Change]:
    """Changes of *quote*'s series by window; one without a comparable quote has None figures, never a guess."""
    return (await read_changes_of(store, [quote]))[quote.key]


async def read_changes_of(store: MarketStore, quotes: Sequence[Quote]) -> dict[SeriesKey, dict[str, Change]]:
    """:func:`read_changes` of many series, in as few statements as of one."""
    then = await read_earlier(store, quotes, *TOLERANCES)
    return {
        quote.key: {window: change_of(quote, found.get(quote.key), window) for window, found in then.items()}
        for quote in quotes
    }
