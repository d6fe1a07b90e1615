"""Change of a series over 24 hours, 7 and 30 days."""

from __future__ import annotations

from gpuscout.market.earlier import TOLERANCES, change_of, read_earlier
from gpuscout.market.models import Change, Quote
from storage.market import MarketStore


async def read_changes(store: MarketStore, quote: Quote) -> dict[str, Change]:
    """Changes of *quote*'s series by window; one without a comparable quote has None figures, never a guess."""
    then = await read_earlier(store, [quote], *TOLERANCES)
    return {window: change_of(quote, found.get(quote.key), window) for window, found in then.items()}
