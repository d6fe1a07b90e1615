"""Between the domain's quotes and storage's plain rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gpuscout.market.models import Quote, QuoteFlag, SeriesKey, Side
from storage.market import QuoteValues, SeriesTexts

PACKING = 2
"""Version of what :func:`pack_rows` writes; part of every cache key, since different programs may share a cache."""


def texts_of(key: SeriesKey) -> SeriesTexts:
    """The six texts of a series, in storage's order."""
    return (key.platform, key.gpu, key.region, key.tier, key.verification, key.segment)


def key_of(texts: SeriesTexts) -> SeriesKey:
    """The series of six texts."""
    return SeriesKey(*texts)


def values_of(quote: Quote) -> QuoteValues:
    """The measured part of a quote as a row."""
    rented, available, total = quote.rented, quote.available, quote.all
    return QuoteValues(
        rented.count,
        rented.median,
        rented.p10,
        rented.p90,
        available.count,
        available.median,
        available.p10,
        available.p90,
        total.count,
        total.median,
        total.p10,
        total.p90,
        quote.demand,
        int(quote.flags),
        quote.reported_utilization,
    )


def quote_of(row: Any, key: SeriesKey) -> Quote:
    """A quote from a row of :meth:`storage.market.MarketStore.raw_rows` and its kin."""
    return Quote(
        key=key,
        at=datetime.fromtimestamp(row.ts, UTC),
        fetched_at=row.fetched_at,
        source=row.source,
        rented=Side(row.rented_count, row.rented_median, row.rented_p10, row.rented_p90),
        available=Side(row.available_count, row.available_median, row.available_p10, row.available_p90),
        all=Side(row.all_count, row.all_median, row.all_p10, row.all_p90),
        demand=row.demand,
        flags=QuoteFlag(row.flags),
        method=row.method,
        reported_utilization=row.utilization,
        feed=row.feed,
    )


def pack(quote: Quote) -> list[Any]:
    """A quote as a JSON array, for caches shared by processes; :func:`unpack` is its inverse."""
    return [
        list(texts_of(quote.key)),
        int(quote.at.timestamp()),
        quote.fetched_at.timestamp(),
        quote.source,
        list(values_of(quote)),
        quote.method,
        quote.feed,
    ]


def unpack(packed: list[Any]) -> Quote:
    """A quote from :func:`pack`'s array."""
    texts, at, fetched_at, source, values, method, feed = packed
    v = QuoteValues(*values)
    return Quote(
        key=SeriesKey(*texts),
        at=datetime.fromtimestamp(at, UTC),
        fetched_at=datetime.fromtimestamp(fetched_at, UTC),
        source=source,
        rented=Side(*v[0:4]),
        available=Side(*v[4:8]),
        all=Side(*v[8:12]),
        demand=v.demand,
        flags=QuoteFlag(v.flags),
        method=method,
        reported_utilization=v.utilization,
        feed=feed,
    )


def pack_rows(rows: Sequence[Any], texts: Sequence[SeriesTexts]) -> bytes:
    """Stored rows with their series as bytes for a cache; :func:`unpack_all` reads them."""
    packed = [pack(quote_of(row, key_of(of_row))) for row, of_row in zip(rows, texts, strict=True)]
    return json.dumps(packed, separators=(",", ":")).encode()


def unpack_all(data: bytes) -> dict[SeriesKey, Quote]:
    """Quotes of :func:`pack_rows` by series; of several sources the newest.

    Raises:
        ValueError, TypeError: the bytes are not of that form.
    """
    quotes: dict[SeriesKey, Quote] = {}
    for item in json.loads(data):
        quote = unpack(item)
        other = quotes.get(quote.key)
        if other is None or other.at < quote.at:
            quotes[quote.key] = quote
    return quotes
