"""The overview against brute force over every stored row, and its rankings against plain Python."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.changes import read_changes
from gpuscout.market.earlier import Earlier, read_earlier
from gpuscout.market.models import (
    THIN_SAMPLE,
    MarketUnavailable,
    Quote,
    QuoteFlag,
    SeriesKey,
    Side,
)
from gpuscout.market.overview import MarketLine, Overview, Ranking, rank
from gpuscout.market.overview_read import read_overview
from gpuscout.market.rows import texts_of, values_of
from storage import market_many
from storage.engine import Database
from storage.market import MarketStore, UpdateRows
from storage.tables import metadata
from tests.market.helpers import FakeClock, model_v1
from tests.market.test_ingest import Desk, make_desk
from tests.market.test_reader import processor_time_of_callbacks

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GPUS, PLATFORMS = GpuCatalogue.load(), PlatformCatalogue.load()
MODELS = ("rtx-4090", "rtx-3090", "rtx-3060-laptop", "x-nameless")
HOUR, WEEK = 3600, 7 * 86400


def quote_at(
    key: SeriesKey, ago: int, *, price: float | None, rented: int, total: int, flags: QuoteFlag = QuoteFlag.NONE
) -> Quote:
    """A quote *ago* seconds before NOW."""
    at = NOW - timedelta(seconds=ago)
    if total < THIN_SAMPLE and not flags & QuoteFlag.UNSIZED:
        flags |= QuoteFlag.THIN
    return Quote(
        key=key,
        at=at,
        fetched_at=at,
        source="500.farm",
        rented=Side(rented, price),
        available=Side(total - rented, price),
        all=Side(total, price),
        demand=50.0,
        flags=flags,
    )


async def store_quotes(store: MarketStore, quotes: Sequence[Quote]) -> None:
    """Each instant as an update of its own."""
    by_time: dict[datetime, list[Quote]] = {}
    for quote in quotes:
        by_time.setdefault(quote.at, []).append(quote)
    async with store.db.write() as conn:
        for at, found in sorted(by_time.items()):
            rows = [(texts_of(quote.key), values_of(quote)) for quote in found]
            await store.store_update(
                conn, UpdateRows("500.farm", "v1", int(at.timestamp() * 1000), at, 1, len(rows), rows, (), ())
            )


def newest_of(quotes: Sequence[Quote]) -> dict[SeriesKey, Quote]:
    newest: dict[SeriesKey, Quote] = {}
    for quote in sorted(quotes, key=lambda quote: quote.at):
        newest[quote.key] = quote
    return newest


async def overview_of(store: MarketStore, quotes: Sequence[Quote]) -> Overview:
    """What the reader would read: the newest quotes of the last four hours."""
    newest = max(quote.at for quote in quotes)
    current = [q for q in newest_of(quotes).values() if newest - q.at <= timedelta(hours=4)]
    return await read_overview(
        store, GPUS, PLATFORMS, version=1, newest=newest, quotes=current, name=lambda slug: slug.upper()
    )


# --- against brute force ---

AGES = st.one_of(
    st.integers(0, 5 * HOUR),
    st.integers(86400 - 2 * HOUR, 86400 + 2 * HOUR),
    st.integers(WEEK - 8 * HOUR, WEEK + 8 * HOUR),
    st.integers(0, 12 * 86400),
)
KEYS = [
    *(SeriesKey("vast", model) for model in MODELS),
    SeriesKey("vast", "rtx-4090", verification="verified"),
    SeriesKey("vast", "rtx-4090", region="DE"),
    SeriesKey("vast", "rtx-4090", segment="dc:8+"),
    SeriesKey("runpod", "rtx-4090", tier="secure"),
    SeriesKey("runpod", "rtx-4090", tier="community"),
]


@st.composite
def stored_quotes(draw: st.DrawFn) -> list[Quote]:
    made = {}
    for _ in range(draw(st.integers(1, 60))):
        key, ago = draw(st.sampled_from(KEYS)), draw(AGES)
        total = draw(st.sampled_from([0, 1, 9, 10, 200]))
        price = draw(st.sampled_from([None, 0.05, 0.4, 2.0])) if total else None
        flags = draw(st.sampled_from([QuoteFlag.NONE, QuoteFlag.NONE, QuoteFlag.OUTLIER]))
        rented = draw(st.integers(0, total))
        made[key, ago] = quote_at(key, ago, price=price, rented=rented, total=total, flags=flags)
    return list(made.values())


def brute_then(quotes: Sequence[Quote], now: Quote, window: timedelta, tolerance: timedelta) -> Earlier | None:
    at = now.at - window
    near = sorted(
        (q for q in quotes if q.key == now.key and abs(q.at - at) <= tolerance), key=lambda q: (abs(q.at - at), q.at)
    )
    if not near:
        return None
    price = next((q.price for q in near if q.price is not None and not q.outlier), None)
    return Earlier(price, near[0].utilization, near[0].demand, near[0].all.count)


def brute_overview(quotes: Sequence[Quote]) -> tuple[dict[SeriesKey, MarketLine], set[tuple[str, str]], int]:
    """Lines by series, places that are gone, and how many are flagged, the slow and plain way."""
    newest = max(q.at for q in quotes)
    headline = [q for q in quotes if (q.key.region, q.key.verification, q.key.segment) == ("global", "any", "any")]
    listed = [q for q in newest_of(headline).values() if newest - q.at <= timedelta(hours=4) and q.all.count]
    ever = [q for q in headline if q.all.count]

    def first(platform: str, gpu: str | None = None) -> datetime:
        return min(q.at for q in ever if q.key.platform == platform and gpu in (None, q.key.gpu))

    lines = {}
    for q in listed:
        if q.outlier:
            continue
        began = first(q.key.platform, q.key.gpu)
        then = {
            "24h": brute_then(quotes, q, timedelta(hours=24), timedelta(hours=1)),
            "7d": brute_then(quotes, q, timedelta(days=7), timedelta(hours=6)),
        }
        lines[q.key] = MarketLine(
            quote=q,
            gpu_name=q.key.gpu.upper(),
            earlier={window: found for window, found in then.items() if found is not None},
            share=0.75 if q.key.platform == "vast" else None,
            power_w={"rtx-4090": 450, "rtx-3090": 350}.get(q.key.gpu),
            first_seen=began if began > first(q.key.platform) else None,
        )
    gone = set()
    for platform in {q.key.platform for q in listed}:
        alive = max(q.at for q in listed if q.key.platform == platform)
        for gpu in {q.key.gpu for q in ever if q.key.platform == platform}:
            if any(q.key.platform == platform and q.key.gpu == gpu for q in listed):
                continue
            last = max(q.at for q in ever if (q.key.platform, q.key.gpu) == (platform, gpu))
            if timedelta(hours=4) < alive - last <= timedelta(days=7):
                gone.add((platform, gpu))
    return lines, gone, sum(q.outlier for q in listed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored_quotes())
async def test_the_overview_is_what_brute_force_finds(quotes: list[Quote]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite+aiosqlite:///{Path(folder) / 'overview.db'}")
        try:
            async with db.write() as conn:
                await conn.run_sync(metadata.create_all)
            store = MarketStore(db)
            await store_quotes(store, quotes)
            overview = await overview_of(store, quotes)
            lines, gone, flagged = brute_overview(quotes)
            assert {line.key: line for line in overview.lines} == lines
            assert {(item.key.platform, item.key.gpu) for item in overview.gone} == gone
            assert overview.flagged == flagged
            for item in overview.gone:
                last = max((q for q in quotes if q.key == item.key and q.all.count), key=lambda q: q.at)
                price = None if last.outlier else last.price
                assert (item.last_seen, item.price, item.total) == (last.at, price, last.all.count)
            # /price and /market say the same of the same thing.
            for line in overview.lines:
                changes = await read_changes(store, line.quote)
                assert {window: line.change(window) for window in ("24h", "7d")} == {
                    window: changes[window] for window in ("24h", "7d")
                }
        finally:
            await db.close()


# --- on both databases ---


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    yield make_desk(db, FakeClock(NOW - timedelta(days=12)))


@pytest.fixture
async def lite(sqlite_db: Database) -> AsyncIterator[Desk]:
    """On SQLite only, for what does not depend on the database."""
    yield make_desk(sqlite_db, FakeClock(NOW))


async def test_movers_news_and_rollups_on_the_whole_way(desk: Desk) -> None:
    """Polls of twelve days, raw quotes kept for two of them: the week's change comes from rollups."""
    for hour in range(0, 12 * 24 + 1, 4):
        models = [model_v1("RTX 4090", 30, 20, 0.30 + hour / 1000), model_v1("RTX 3090", 40, 60, 0.20)]
        if hour < 8 * 24:
            models.append(model_v1("RTX 3080", 5, 15, 0.12))
        if hour >= 9 * 24:
            models.append(model_v1("RTX 5090", 9, 21, 0.50))
        await desk.poll(*models)
        if hour % 24 == 0:
            await desk.trends.run()
        desk.clock.forward(hours=4)
    desk.clock.forward(hours=-4)
    assert (await desk.store.oldest_raw() or 0) > (NOW - timedelta(days=4)).timestamp()
    overview = await desk.reader.overview()
    lines = {line.key.gpu: line for line in overview.lines}
    assert set(lines) == {"rtx-4090", "rtx-3090", "rtx-5090"}
    assert overview.sources == ["500.farm"]
    # The hour of the rollup holds one poll: 7 days = 168 hours ago the price was 0.30 + 120 / 1000.
    assert lines["rtx-4090"].change("24h").price_ratio == pytest.approx(0.588 / 0.564 - 1)
    assert lines["rtx-4090"].change("7d").price_ratio == pytest.approx(0.588 / 0.420 - 1)
    assert lines["rtx-5090"].change("7d").price_ratio is None
    assert lines["rtx-5090"].first_seen is not None
    assert abs(lines["rtx-5090"].first_seen - (NOW - timedelta(days=3))) < timedelta(days=1)
    assert lines["rtx-4090"].first_seen is None, "it was there when the records began"
    [gone] = overview.gone
    assert (gone.key.gpu, gone.price, gone.total) == ("rtx-3080", 0.12, 20)
    assert abs(gone.last_seen - (NOW - timedelta(days=4, hours=4))) <= timedelta(hours=1)
    assert await desk.reader.overview() is overview, "read once a data version"
    then = await desk.reader.earlier([SeriesKey("vast", "rtx-4090"), SeriesKey("vast", "rtx-9999")], "7d")
    assert list(then) == [SeriesKey("vast", "rtx-4090")]
    assert then[SeriesKey("vast", "rtx-4090")].price == pytest.approx(0.420)


async def test_the_first_poll_makes_nothing_new_and_nothing_gone(desk: Desk) -> None:
    with pytest.raises(MarketUnavailable):
        await desk.reader.overview()
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.30))
    overview = await desk.reader.overview()
    assert [line.first_seen for line in overview.lines] == [None]
    assert overview.gone == []
    assert all(rank(overview, ranking, desk.clock.now, 0.15) == [] for ranking in (Ranking.NEW, Ranking.GONE))
    desk.clock.forward(hours=5)
    with pytest.raises(MarketUnavailable):
        await desk.reader.overview()


async def test_a_handful_of_statements_whatever_the_number_of_models(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.poll(*(model_v1(f"Card {number}", 30, 20, 0.33) for number in range(60)))
    await desk.reader.quotes()
    asked = 0
    gather = market_many._gather

    async def counting(db: Database, statements: Sequence[object]) -> object:
        nonlocal asked
        asked += len(statements)
        return await gather(db, statements)  # type: ignore[arg-type]

    monkeypatch.setattr(market_many, "_gather", counting)
    assert len((await desk.reader.overview()).lines) == 60
    assert asked <= 12


async def test_reading_it_never_holds_the_loop(lite: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for ago in (24 * 7, 24, 0):
        lite.clock.now = NOW - timedelta(hours=ago)
        await lite.poll(*(model_v1(f"Card {number}", 30, 20, 0.33) for number in range(150)))
    await lite.reader.quotes()
    with processor_time_of_callbacks(monkeypatch) as spent:
        overview = await lite.reader.overview()
    assert len(overview.lines) == 150
    assert all(line.change("7d").price_ratio == 0.0 for line in overview.lines)
    assert max(spent) < 0.010, sorted(spent)[-3:]


async def test_more_series_than_one_statement_takes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_many, "SERIES_AT_ONCE", 3)
    keys = [SeriesKey("vast", f"x-card-{number}") for number in range(8)]
    old = [quote_at(key, 86400, price=0.2, rented=10, total=20) for key in keys]
    new = [quote_at(key, 0, price=0.3, rented=10, total=20) for key in keys]
    await store_quotes(desk.store, [*old, *new])
    then = (await read_earlier(desk.store, new, "24h"))["24h"]
    assert {key: earlier.price for key, earlier in then.items()} == dict.fromkeys(keys, 0.2)
