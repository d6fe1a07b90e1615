"""Large answers are written in turns, and small ones not twice."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestClient
from pydantic import BaseModel, Field

from tests.web.fakes import Clock, FakeMarket, quote
from web.router import CHUNK, Bodies, dump

Client = TestClient  # type: ignore[type-arg]


class Item(BaseModel):
    number: int = Field(alias="n")


class Listing(BaseModel):
    title: str
    items: list[Item] = Field(alias="all")
    more: list[Item]


class Bare(BaseModel):
    items: list[Item]


def items(count: int) -> list[Item]:
    return [Item(n=number) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, CHUNK * 2, CHUNK * 3 + 7])
async def test_a_long_list_is_written_as_a_short_one_would_be(count: int) -> None:
    for out in (
        Listing(title='quote " and ü', all=items(count), more=items(3)),
        Listing(title="both", all=items(count), more=items(count)),
        Bare(items=items(count)),
    ):
        assert json.loads(await dump(out)) == json.loads(out.model_dump_json(by_alias=True))


async def test_a_large_answer_gives_the_event_loop_its_turns(client: Client, market: FakeMarket) -> None:
    market.stored = [quote(f"x-card-{number}", total=50, rented=20) for number in range(3000)]
    turns, done = 0, asyncio.Event()

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    response = await client.get("/api/v1/prices")
    body = await response.json()
    done.set()
    await counting
    assert body["count"] == len(body["quotes"]) == 3000
    assert turns >= 2 * 3000 / CHUNK


async def test_an_answer_is_made_once_for_a_burst_and_anew_for_new_data(
    client: Client, market: FakeMarket, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    quotes = market.quotes

    async def counted(**filters: object) -> object:
        nonlocal asked
        asked += 1
        return await quotes(**filters)  # type: ignore[arg-type]

    monkeypatch.setattr(market, "quotes", counted)
    for _ in range(5):
        assert (await client.get("/api/v1/prices")).status == 200
    assert asked == 1
    assert (await client.get("/api/v1/prices?platform=vast")).status == 200
    assert asked == 2
    market.stored.append(quote("rtx-5090"))
    assert (await (await client.get("/api/v1/prices")).json())["count"] == 5
    clock.advance(timedelta(seconds=6))
    await client.get("/api/v1/prices")
    assert asked == 4


async def test_what_is_kept_is_bounded(client: Client, market: FakeMarket, services, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from web.api import OPERATIONS
    from web.schemas import PricesParams

    prices = OPERATIONS[2]
    bodies = Bodies(max_bytes=40_000)
    for region in range(60):
        await bodies.get(services, prices, PricesParams(region=None if region % 2 else f"r{region}"))
    assert 0 < bodies.size <= 40_000
    market.stored = [quote(f"x-card-{number}") for number in range(200)]
    before = bodies.size
    assert len(await bodies.get(services, prices, PricesParams())) > 10_000
    assert bodies.size == before, "an answer over a quarter of the room is not kept"
