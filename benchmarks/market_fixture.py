"""Databases filled with a made-up market, for the benchmarks of storage."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import text

from gpuscout.market.models import METHOD_VERSION, Quote, SeriesKey, Side
from gpuscout.market.normalise import NormalisedDocument
from gpuscout.market.rows import texts_of, values_of
from gpuscout.market.sources.base import FeedDocument, FetchResult
from storage import migrate
from storage.engine import Database
from storage.market import MarketStore, UpdateRows
from tests.services import PostgresServer

Urls = dict[str, str]

SOURCE = "benchmark"
POLL_ROWS = 500
_MODELS = 100
_SEGMENTS = ("any", "dc-1-3", "dc-4-7", "dc-8+", "home-1-3")
_POLLS_A_WRITE = 20


def series_keys() -> list[SeriesKey]:
    """The 500 series of a poll: 100 models in five segments."""
    return [SeriesKey("vast", f"model-{i:03}", segment=segment) for i in range(_MODELS) for segment in _SEGMENTS]


def poll_quotes(keys: Sequence[SeriesKey], at: datetime, number: int) -> list[Quote]:
    """One quote a series; prices and counts drift with the *number* of the poll."""
    quotes = []
    for i, key in enumerate(keys):
        price = 0.2 + i % 40 / 20 + 0.02 * math.sin(number / 30 + i)
        count = 20 + i % 300
        rented = int(count * (0.5 + 0.3 * math.sin(number / 96 + i)))
        quotes.append(
            Quote(
                key,
                at,
                at,
                SOURCE,
                rented=Side(rented, price * 0.97, price * 0.8, price * 1.2),
                available=Side(count - rented, price * 1.05, price * 0.9, price * 1.4),
                all=Side(count, price, price * 0.85, price * 1.3),
                demand=50.0 + 20 * math.sin(number / 50 + i),
            )
        )
    return quotes


def poll(keys: Sequence[SeriesKey], at: datetime, number: int) -> NormalisedDocument:
    """A poll as it comes out of normalisation."""
    document = FeedDocument("v1", at, at, len(keys), (), ())
    return NormalisedDocument(document, poll_quotes(keys, at, number), (), ())


def result_of(document: NormalisedDocument) -> FetchResult:
    """The answer of the source that *document* came from."""
    return FetchResult([document.document])


async def fill_quotes(db: Database, keys: Sequence[SeriesKey], times: Sequence[datetime]) -> None:
    """Store a poll at each of *times*."""
    store = MarketStore(db)
    for first in range(0, len(times), _POLLS_A_WRITE):
        async with db.write() as conn:
            for number, at in enumerate(times[first : first + _POLLS_A_WRITE], first):
                quotes = [(texts_of(quote.key), values_of(quote)) for quote in poll_quotes(keys, at, number)]
                await store.store_update(
                    conn,
                    UpdateRows(
                        SOURCE, "v1", int(at.timestamp()) * 1000, at, METHOD_VERSION, len(quotes), quotes, (), ()
                    ),
                )


@asynccontextmanager
async def sqlite_databases(names: Sequence[str], fill: Callable[[Database], Awaitable[None]]) -> AsyncIterator[Urls]:
    """Addresses of equal SQLite files, one a name, migrated and filled; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="gpuscout-bench-") as folder:
        template = Path(folder) / "template.db"
        url = f"sqlite+aiosqlite:///{template}"
        await _prepare(url, fill)
        for name in names[1:]:
            shutil.copyfile(template, Path(folder) / f"{name}.db")
        template.rename(Path(folder) / f"{names[0]}.db")
        yield {name: f"sqlite+aiosqlite:///{Path(folder) / name}.db" for name in names}


@asynccontextmanager
async def postgres_databases(
    server: PostgresServer, names: Sequence[str], fill: Callable[[Database], Awaitable[None]]
) -> AsyncIterator[Urls]:
    """Addresses of equal databases of *server*, one a name, migrated and filled; dropped afterwards."""
    async with server.admin() as conn:
        await conn.execute("CREATE DATABASE bench_template")
    await _prepare(server.url("bench_template"), fill)
    async with server.admin() as conn:
        for name in names:
            await conn.execute(f"CREATE DATABASE bench_{name} TEMPLATE bench_template")
    yield {name: server.url(f"bench_{name}") for name in names}
    async with server.admin() as conn:
        for name in ("template", *names):
            await conn.execute(f"DROP DATABASE bench_{name} WITH (FORCE)")


async def _prepare(url: str, fill: Callable[[Database], Awaitable[None]]) -> None:
    await migrate.upgrade(url)
    db = Database(url, statement_timeout=3600)
    try:
        await fill(db)
        if db.path is None:
            async with db.write() as conn:
                await conn.execute(text("ANALYZE"))
        else:
            await db.checkpoint()
    finally:
        await db.close()
