"""The reader's caches: never behind what is stored, never mixed between versions, never holding the loop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from gpuscout.market.models import SeriesKey
from gpuscout.market.rows import pack, unpack
from storage.engine import Database
from tests.market.helpers import FakeClock, model_v1, model_v2
from tests.market.test_ingest import Desk, make_desk

START = datetime(2026, 11, 20, 0, 2, tzinfo=UTC)


@pytest.fixture
async def desk(sqlite_db: Database) -> AsyncIterator[Desk]:
    yield make_desk(sqlite_db, FakeClock(START))


@contextmanager
def processor_time_of_callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Processor seconds of this thread in each callback of the loop: what others wait for."""
    spent: list[float] = []
    run: Callable[[Any], None] = asyncio.events.Handle._run

    def measured(handle: Any) -> None:
        started = time.thread_time()
        run(handle)
        spent.append(time.thread_time() - started)

    gc.collect()
    gc.disable()  # a collection is the test process's, whose heap is large
    try:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.events.Handle, "_run", measured)
            yield spent
    finally:
        gc.enable()


async def test_a_thousand_quotes_never_hold_the_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(dc, size, True, 12, 11, 0.4) for dc in (True, False) for size in ("1-3", "4-7", "8+")]
    await desk.poll(
        *(model_v1(f"Card {number}", 30, 20, 0.33) for number in range(120)),
        v2=tuple(model_v2(f"Card {number}", *sizes) for number in range(120)),
    )
    await asyncio.sleep(0)
    with processor_time_of_callbacks(monkeypatch) as spent:
        quotes = await desk.reader.quotes(segments=True)
    assert len(quotes) == 120 * 9
    assert max(spent) < 0.010, sorted(spent)[-3:]


async def test_packing_keeps_every_field(desk: Desk) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.435), model_v1("RTX 3090", 0, 3, 0.1))
    for quote in await desk.reader.quotes(segments=True):
        assert unpack(pack(quote)) == quote
        [row] = await desk.reader.rows_behind(quote.key)
        assert row == quote


async def test_a_reader_that_gives_up_does_not_take_the_others_along(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    read, reached, go_on = desk.store.latest_quotes, asyncio.Event(), asyncio.Event()

    async def slow(since: int) -> Any:
        reached.set()
        await go_on.wait()
        return await read(since)

    monkeypatch.setattr(desk.store, "latest_quotes", slow)
    impatient, patient = (asyncio.create_task(desk.reader.price("rtx-4090")) for _ in range(2))
    await reached.wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    go_on.set()
    assert (await patient).quote.price == 0.33


async def test_what_was_stored_while_a_load_ran_is_seen_by_the_next_reader(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    read, reached, go_on = desk.store.latest_quotes, asyncio.Event(), asyncio.Event()

    async def slow_once(since: int) -> Any:
        rows = await read(since)
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        return rows

    monkeypatch.setattr(desk.store, "latest_quotes", slow_once)
    early = asyncio.create_task(desk.reader.price("rtx-4090"))
    await reached.wait()
    desk.clock.forward(minutes=15)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.50))
    late = asyncio.create_task(desk.reader.price("rtx-4090"))
    await asyncio.sleep(0)
    go_on.set()
    assert (await late).quote.price == 0.50
    assert (await early).version < (await late).version
    assert (await desk.reader.price("rtx-4090")).quote.price == 0.50


async def test_a_notice_that_comes_while_the_version_is_read_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    read = desk.state.version

    async def then_stored(name: str, **options: Any) -> int:
        version = await read(name, **options)
        if options:  # the look of another: with a connection
            return version
        monkeypatch.setattr(desk.state, "version", read)
        desk.clock.forward(minutes=15)
        await desk.poll(model_v1("RTX 4090", 30, 20, 0.50))
        return version

    monkeypatch.setattr(desk.state, "version", then_stored)
    await desk.reader.version()
    assert await desk.reader.version() == await read("market")


async def test_bytes_of_another_program_in_the_cache_are_read_past(desk: Desk) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    version = await desk.reader.version()
    cache = desk.reader._cache
    await cache.set(f"market:{version}:quotes:1", b'[["not", "ours"]]', 60)
    assert (await desk.reader.price("rtx-4090")).quote.price == 0.33


async def test_asking_for_what_does_not_exist_reads_one_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))

    async def everything(_conn: object) -> None:
        raise AssertionError("the whole table of series was read")

    monkeypatch.setattr(desk.store, "_load_series", everything)
    key = SeriesKey("vast", "rtx-0000")
    assert not (await desk.reader.history(key, START, desk.clock.now)).points
    assert await desk.reader.rows_behind(key) == ()


async def test_a_memo_never_crosses_versions(desk: Desk) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    first = await desk.reader.price("rtx-4090")
    assert await desk.reader.known_gpus() == [("rtx-4090", "RTX 4090", 50)]
    desk.clock.forward(minutes=15)
    await desk.poll(model_v1("RTX 4090", 40, 20, 0.44), model_v1("H100 SXM", 40, 50, 2.0))
    second = await desk.reader.price("rtx-4090")
    assert (first.quote.price, second.quote.price) == (0.33, 0.44) and second.version > first.version
    assert [slug for slug, *_ in await desk.reader.known_gpus()] == ["h100-sxm", "rtx-4090"]
