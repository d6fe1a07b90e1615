"""Sending webhooks: GPUScout's sender against a bare aiohttp client, in the same run.

A receiver of its own process on loopback takes both. The bare client posts ready bytes with ready headers over one
session. Ours does what a delivery does besides the database: it opens the sealed address and secret, serialises the
event, signs it twice, judges the address at the socket, and reads the answer bounded. Rates are of requests a second at
the same number at a time; ours must reach 0.7 of the bare one's. The whole delivery, with its job and its log in
SQLite, is reported beside it without a limit: there each delivery ends with a commit to disk.

Run ``python -m benchmarks webhook_delivery [--quick]``.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from benchmarks.measure import emit, in_turns, median_ratio, say
from bot.parts import open_parts
from bot.webhook_role import WebhookWork, make_webhooks
from config.settings import Settings
from gpuscout.accounts.secret_box import SecretBox
from gpuscout.delivery.webhook_body import event_data, json_body
from gpuscout.delivery.webhook_deliver import SIGNING_PURPOSE, URL_PURPOSE
from gpuscout.delivery.webhook_send import WebhookSender
from gpuscout.delivery.webhook_sign import new_secret, signed_headers
from gpuscout.delivery.webhooks import sample
from gpuscout.resilience.public_connect import WITH_LOOPBACK
from storage.events import EventStore
from storage.ids import new_id
from storage.migrate import upgrade
from storage.webhooks_model import Endpoint, StoredEvent

LIMIT = 0.7
AT_ONCE = 4
"""As many connections as the sender opens to one host."""
OWNER = "member:1"
OWNERS = tuple(f"member:{number}" for number in range(8))


def receive(pipe: Connection) -> None:
    """A receiver in a process of its own: answers 204."""

    async def main() -> None:
        async def take(request: web.Request) -> web.Response:
            await request.read()
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/hook", take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.to_thread(pipe.recv)
        await runner.cleanup()

    asyncio.run(main())


async def rate(one: Callable[[], Awaitable[None]], count: int) -> float:
    """Calls a second, :data:`AT_ONCE` at a time."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await one()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - begun)


def endpoint(url_id: str, secret_id: str, now: datetime) -> Endpoint:
    """An endpoint that wants every event."""
    return Endpoint(
        id=new_id(),
        owner=OWNER,
        made_by=1,
        kind="http",
        shown="127.0.0.1",
        events=("market.updated",),
        gpu=None,
        platform=None,
        state="active",
        reason=None,
        failing_since=None,
        last_status=None,
        last_at=None,
        created_at=now,
        earlier_until=None,
        url_secret=url_id,
        signing_secret=secret_id,
        earlier_secret=None,
    )


async def compare(address: str, count: int, rounds: int) -> None:
    """Ours against the bare client, in turns."""
    now = datetime.now(UTC)
    box = SecretBox([b"k" * 32])
    url = box.seal(address, id=new_id(), owner=OWNER, purpose=URL_PURPOSE)
    key = box.seal(new_secret().get_secret_value(), id=new_id(), owner=OWNER, purpose=SIGNING_PURPOSE)
    target = endpoint(url.id, key.id, now)
    event = StoredEvent(new_id(), "market.updated", None, sample("market.updated", target, now), now)
    sender = WebhookSender(WITH_LOOPBACK)

    def prepared() -> tuple[URL, bytes, dict[str, str]]:
        data = event_data(event, target)
        assert data is not None
        opened = URL(box.open(url, owner=OWNER, purpose=URL_PURPOSE).get_secret_value())
        secret = box.open(key, owner=OWNER, purpose=SIGNING_PURPOSE)
        body = json_body(event, data)
        headers = signed_headers(body, event=event.event, delivery_id=new_id(), keys=[secret], at=datetime.now(UTC))
        return opened, body, headers

    async def ours() -> None:
        opened, body, headers = prepared()
        answer = await sender.post(opened, body, headers)
        assert answer.good, answer

    ready_url, ready_body, ready_headers = prepared()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit_per_host=AT_ONCE)) as session:

        async def bare() -> None:
            async with session.post(ready_url, data=ready_body, headers=ready_headers) as answer:
                await answer.read()
                assert answer.status == 204

        async def turn(one: Callable[[], Awaitable[None]]) -> float:
            return 1000 / await rate(one, count)  # milliseconds a request

        ways = {"ours": lambda _: turn(ours), "bare": lambda _: turn(bare)}
        times = await in_turns(ways, rounds)
    await sender.aclose()
    for way, values in times.items():
        emit(f"webhook_delivery.{way}", 1000 / statistics.median(values), "requests/s")
    share = median_ratio(times, "bare", "ours")
    emit("webhook_delivery.vs_bare", share, "ratio", LIMIT, share, at_least=True)


async def whole(address: str, count: int) -> None:
    """Events through fan-out, job, delivery and log on SQLite, to 8 endpoints."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite+aiosqlite:///{folder}/bench.db"
        await upgrade(database)
        settings = Settings(_env_file=None, database_url=database, data_dir=Path(folder), secret_key="k" * 32)
        parts = open_parts(settings)
        webhooks = make_webhooks(parts, rules=WITH_LOOPBACK)
        for number, owner in enumerate(OWNERS):
            await webhooks.add(owner, number, f"{address}?n={number}", ["market.updated"])
        async with parts.db.write() as conn:
            for number in range(count // len(OWNERS)):
                await EventStore(parts.db, parts.jobs).emit(
                    conn,
                    "market.updated",
                    {"platform": "vast", "quotes": []},
                    member_id=None,
                    dedupe_key=f"bench:{number}",
                    at=parts.clock(),
                )
        work = WebhookWork(parts, WITH_LOOPBACK)
        begun = time.perf_counter()
        work.start()
        while (await parts.jobs.counts()).get("done", 0) < count + count // len(OWNERS):
            await asyncio.sleep(0.02)
        emit("webhook_delivery.whole_sqlite", count / (time.perf_counter() - begun), "deliveries/s")
        await work.stop()
        await parts.aclose()


def main(*, quick: bool = False) -> None:
    """Run it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=receive, args=(there,), daemon=True)
    process.start()
    address = f"http://127.0.0.1:{here.recv()}/hook"
    try:
        say("sending to a receiver on loopback")
        asyncio.run(compare(address, 300 if quick else 2000, 3 if quick else 7))
        say("events through fan-out, job, delivery and log on SQLite")
        asyncio.run(whole(address, 80 if quick else 800))
    finally:
        here.send("stop")
        process.join(10)
