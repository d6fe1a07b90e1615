"""``market.updated``: of what was stored since the last look, for those who subscribed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from bot.webhook_role import MARKET_JOB
from gpuscout.market.ingest import Ingest
from sandbox.webhooks import WebhookReceiver
from storage.tables_delivery import outgoing_event
from tests.market.helpers import ScriptedSource, document, model_v1
from tests.webhooks.conftest import ALICE, MINE, Desk


async def poll(desk: Desk, price: float) -> None:
    source = ScriptedSource()
    source.answers = {"v1": document(desk.clock.now, model_v1("RTX 4090", 60, 40, price))}
    parts = desk.parts
    ingest = Ingest(source, parts.store, parts.state, parts.jobs, parts.gpus, clock=desk.clock)
    assert (await ingest.run()).problems == ()
    desk.later(minutes=15)


async def look(desk: Desk) -> None:
    async with desk.parts.db.write() as conn:
        await desk.parts.jobs.enqueue(conn, MARKET_JOB, {})
    await desk.run()


async def events(desk: Desk) -> list[Any]:
    async with desk.parts.db.read() as conn:
        rows = await conn.execute(select(outgoing_event).where(outgoing_event.c.event == "market.updated"))
        return list(rows)


async def test_nothing_is_written_while_nobody_subscribed(desk: Desk) -> None:
    await poll(desk, 0.40)
    await look(desk)
    assert await events(desk) == []


async def test_each_update_once_from_the_subscription_on(desk: Desk, receiver: WebhookReceiver) -> None:
    await poll(desk, 0.40)
    await look(desk)
    await desk.webhooks.add(MINE[0], ALICE, receiver.url, ["market.updated"], gpu="rtx-4090")
    await look(desk)
    assert not receiver.received  # what was stored before it subscribed is past
    await poll(desk, 0.41)
    await look(desk)
    await look(desk)
    [came] = receiver.received
    data = came.json()["data"]
    [quote] = data["quotes"]
    assert data["platform"] == "vast"
    assert (quote["gpu"], quote["price"], quote["rented"], quote["available"]) == ("rtx-4090", 0.41, 60, 40)
    assert quote["utilization"] == 0.6
    assert quote["thin"] is False


async def test_after_an_outage_only_the_newest_is_told(desk: Desk, receiver: WebhookReceiver) -> None:
    await desk.webhooks.add(MINE[0], ALICE, receiver.url, ["market.updated"])
    await look(desk)
    for price in (0.40, 0.41, 0.42):
        await poll(desk, price)
    await look(desk)
    [came] = receiver.received
    assert [quote["price"] for quote in came.json()["data"]["quotes"]] == [0.42]
