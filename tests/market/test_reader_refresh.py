"""Taking a new version of the market over without making readers wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from storage.engine import Database
from tests.market.helpers import FakeClock, model_v1
from tests.market.test_ingest import Desk, make_desk

START = datetime(2026, 11, 20, 0, 2, tzinfo=UTC)


@pytest.fixture
async def desk(sqlite_db: Database) -> AsyncIterator[Desk]:
    yield make_desk(sqlite_db, FakeClock(START))


async def test_readers_have_the_version_before_until_the_new_one_is_loaded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    await desk.reader.refresh()
    assert (await desk.reader.price("rtx-4090")).quote.price == 0.33

    read, reached, go_on = desk.store.latest_quotes, asyncio.Event(), asyncio.Event()

    async def slow(since: int) -> Any:
        reached.set()
        await go_on.wait()
        return await read(since)

    monkeypatch.setattr(desk.store, "latest_quotes", slow)
    desk.clock.forward(minutes=15)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.35))
    monkeypatch.setattr("gpuscout.market.reader._VERSION_SECONDS", 60)  # the half second, on a slow machine
    refreshing = asyncio.create_task(desk.reader.refresh())
    async with asyncio.timeout(30):
        await reached.wait()
        assert (await desk.reader.price("rtx-4090")).quote.price == 0.33
        go_on.set()
        await refreshing
    assert (await desk.reader.price("rtx-4090")).quote.price == 0.35


async def test_what_was_looked_at_is_at_hand_with_a_new_version(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.30), model_v1("RTX 3090", 9, 20, 0.16))
    await desk.reader.price("rtx-4090")
    desk.clock.forward(hours=24)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    await desk.reader.refresh()

    async def no_statement(*_: object) -> Any:
        raise AssertionError("the view was not at hand")

    monkeypatch.setattr("gpuscout.market.reader.read_changes", no_statement)
    view = await desk.reader.price("rtx-4090")
    assert view.quote.price == 0.33 and view.changes["24h"].price_ratio == pytest.approx(0.1)
