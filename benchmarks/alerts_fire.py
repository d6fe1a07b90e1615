"""Firing: what follows from 500 met triggers, against bare Core inserts of as many rows, on SQLite and PostgreSQL.

Ours is :meth:`gpuscout.alerts.act.Acting.act` on a batch of 500 members with one rule each: it reads how they want to
hear and what they hold, locks the rules, decides, and writes ledger, state, notifications, events and their jobs in one
transaction. The bare way writes as many rows into the same tables by ``executemany`` in one transaction.

Run ``python -m benchmarks alerts_fire [--quick]``. ``alerts_fire.<database>.vs_core`` is at most 2.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from benchmarks.market_fixture import postgres_databases, sqlite_databases
from benchmarks.measure import emit, in_turns, median_ratio, percentile, say
from bot.alerts_role import AlertRoom
from bot.parts import Parts, make_reader, open_parts
from bot.portfolio_role import make_portfolios
from config.currencies import default_currencies
from config.settings import Settings
from gpuscout.accounts.members import Members
from gpuscout.alerts.act import Cycle
from gpuscout.alerts.bands import EPSILON
from gpuscout.alerts.rules import GpuScope, PriceRule, Rule
from storage import tables as t
from storage import tables_alerts as a
from storage import tables_delivery as d
from storage import tables_webhooks as w
from storage.alerts_eval import KeyValue
from storage.engine import Database
from storage.ids import new_id
from storage.members import MemberStore
from tests.services import ServiceMissing, running_postgres

MEMBERS = 500
LIMIT = 2.0
WARM_UP = 2
NOW = datetime(2026, 11, 20, tzinfo=UTC)
AT = int(NOW.timestamp())
_SCOPE = GpuScope(gpu="rtx-4090", platform="vast", tier="on-demand")
_SPEC = Rule(when=PriceRule(scope=_SCOPE, direction="below", level=0.3)).model_dump(mode="json")
_TABLES = (
    a.alert_ledger,
    d.notification,
    d.notification_item,
    d.outgoing_event,
    t.job,
)


async def _fill(db: Database, batches: int) -> None:
    """A key and 500 armed rules for each batch, and a webhook for every member: then each firing is an event too."""
    async with db.write() as conn:
        await conn.execute(insert(w.sealed_secret), [_secret(number) for number in range(1, batches * MEMBERS + 1)])
        await conn.execute(insert(w.webhook_endpoint), [_webhook(number) for number in range(1, batches * MEMBERS + 1)])
    for batch in range(1, batches + 1):
        ids = range((batch - 1) * MEMBERS + 1, batch * MEMBERS + 1)
        async with db.write() as conn:
            key = {"metric": "price", "subject": f"vast|rtx-4090|r{batch}|on-demand|any|any", "days": 0}
            await conn.execute(insert(a.alert_key).values(id=batch, **key, value=0.35, value_at=AT - 900))
            await conn.execute(insert(a.alert_rule), [_rule(number) for number in ids])
            await conn.execute(insert(a.alert_trigger), [_trigger(number, batch) for number in ids])


def _rule(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "owner": f"m:{number}",
        "member_id": number,
        "kind": "price",
        "scope": "gpu",
        "spec": _SPEC,
        "fingerprint": str(number),
        "state": "active",
        "created_at": NOW,
        "updated_at": NOW,
    }


def _secret(number: int) -> dict[str, Any]:
    owner = f"member:{number}"
    seal = {"purpose": "webhook.url", "key_id": "k", "wrapped_key": "w", "box": "b"}
    return {"id": f"s{number}", "owner": owner, "created_at": NOW, **seal}


def _webhook(number: int) -> dict[str, Any]:
    return {
        "id": f"w{number}",
        "owner": f"member:{number}",
        "kind": "http",
        "shown": "hooks.example",
        "fingerprint": str(number),
        "url_secret": f"s{number}",
        "events": ["alert.triggered"],
        "state": "active",
        "created_at": NOW,
    }


def _trigger(number: int, key_id: int) -> dict[str, Any]:
    level = 0.3 - EPSILON
    return {
        "id": number,
        "rule_id": number,
        "receiver": number,
        "key_id": key_id,
        "direction": -1,
        "level": level,
        "role": "fire",
        "part": "-",
        "side": -1,
        "base": level,
    }


class Ours:
    """Batches through the engine's own code."""

    def __init__(self, url: str) -> None:
        self.parts: Parts = open_parts(Settings(_env_file=None, database_url=url), clock=lambda: NOW)
        market = make_reader(self.parts)
        members = Members(MemberStore(self.parts.db), default_currencies(), member_hash=str, clock=self.parts.clock)
        self.room = AlertRoom(self.parts, market, members, make_portfolios(self.parts, market, members))
        self._evaluation = self.room.evaluation

    async def prepare(self, batch: int) -> Any:
        """The update that a batch is about, and the triggers that it meets."""
        async with self.parts.db.write() as conn:
            await self._evaluation.put_values(conn, batch, [KeyValue(batch, 0.25, AT)])
        return await self._evaluation.hits(batch)

    async def fire(self, batch: int, hits: Any) -> None:
        told = await self.room.acting.act(hits, "met", Cycle(batch, AT, AT, NOW))
        if told != MEMBERS:
            raise AssertionError(f"{told} firings of {MEMBERS}")


async def _core(db: Database, batch: int, payload: Mapping[str, Any]) -> None:
    """As many rows of the same tables, by Core's ``executemany``."""
    ids = range((batch - 1) * MEMBERS + 1, batch * MEMBERS + 1)
    names = [(number, new_id(), new_id()) for number in ids]
    async with db.write() as conn:
        await conn.execute(
            insert(d.notification),
            [
                {
                    "id": found,
                    "kind": "alert",
                    "member_id": number,
                    "group_key": f"alert:m:{number}",
                    "severity": "info",
                    "state": "pending",
                    "created_at": NOW,
                    "due_at": NOW,
                    "deadline_at": NOW,
                    "poll_at": NOW,
                }
                for number, found, _ in names
            ],
        )
        await conn.execute(
            insert(d.notification_item),
            [{"notification_id": f, "item_key": f"alert:{n}:{n}:{batch}", "payload": payload} for n, f, _ in names],
        )
        await conn.execute(
            insert(d.outgoing_event),
            [
                {
                    "id": event,
                    "event": "alert.triggered",
                    "member_id": number,
                    "dedupe_key": f"alert:{number}:{number}:{batch}",
                    "data": payload,
                    "created_at": NOW,
                }
                for number, _, event in names
            ],
        )
        for kind, jobs in (
            ("delivery.notify", [(f, {"notification": f}, f"member:{n}") for n, f, _ in names]),
            ("webhook.fanout", [(event, {"event": event}, None) for _, _, event in names]),
        ):
            await conn.execute(insert(t.job), [_job(kind, *job) for job in jobs])
        await conn.execute(
            update(a.alert_trigger)
            .where(a.alert_trigger.c.id == bindparam("_id"))
            .values(direction=1, level=0.31, role="rearm", fired_at=AT, fired_value=0.25),
            [{"_id": number} for number in ids],
        )
        await conn.execute(
            insert(a.alert_ledger),
            [
                {
                    "rule_id": number,
                    "mark": f"f:{number}:{batch}",
                    "at": NOW,
                    "last_at": NOW,
                    "outcome": "fired",
                    "count": 1,
                    "metric": "price",
                    "subject": "vast|rtx-4090|global|on-demand|any|any",
                    "value": 0.25,
                    "level": 0.3,
                    "notification_id": found,
                }
                for number, found, _ in names
            ],
        )
        await conn.execute(
            update(a.alert_rule)
            .where(a.alert_rule.c.id == bindparam("_id"))
            .values(fires=a.alert_rule.c.fires + 1, last_fired_at=NOW),
            [{"_id": number} for number in ids],
        )


def _job(kind: str, name: str, payload: Mapping[str, Any], concurrency_key: str | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "payload": payload,
        "dedupe_key": f"{kind}:{name}",
        "concurrency_key": concurrency_key,
        "state": "ready",
        "run_at": NOW,
        "attempts": 0,
        "max_attempts": 60,
        "created_at": NOW,
    }


async def _counts(db: Database) -> Sequence[int]:
    async with db.read() as conn:
        return [int((await conn.execute(select(func.count()).select_from(table))).scalar_one()) for table in _TABLES]


async def _compare(name: str, urls: Mapping[str, str], rounds: int) -> None:
    async with AsyncExitStack() as stack:
        ours = Ours(urls["ours"])
        stack.push_async_callback(ours.parts.aclose)
        core = Database(urls["core"])
        stack.push_async_callback(core.close)
        hits = {n: await ours.prepare(n + WARM_UP + 1) for n in range(-WARM_UP, rounds)}
        payload: dict[str, Any] = {}

        async def fire(number: int) -> None:
            await ours.fire(number + WARM_UP + 1, hits[number])
            if not payload:
                async with ours.parts.db.read() as conn:
                    payload.update((await conn.execute(select(d.notification_item.c.payload).limit(1))).scalar_one())

        async def bare(number: int) -> None:
            await _core(core, number + WARM_UP + 1, payload)

        gc.collect()
        gc.freeze()  # as App.run does once it is up: for both ways alike
        times = await in_turns({"ours": fire, "core": bare}, rounds, warm_up=WARM_UP)
        gc.unfreeze()
        if await _counts(ours.parts.db) != await _counts(core):
            raise AssertionError("the ways stored different rows")
        emit(f"alerts_fire.{name}.firings", MEMBERS / percentile(times["ours"], 50) * 1000, "firings/s")
        emit(f"alerts_fire.{name}.p50", percentile(times["ours"], 50), "ms")
        ratio = median_ratio(times, "ours", "core")
        emit(f"alerts_fire.{name}.vs_core", ratio, "ratio", LIMIT, ratio)


async def run(quick: bool) -> None:
    """Both databases."""
    rounds = 5 if quick else 30

    async def fill(db: Database) -> None:
        await _fill(db, rounds + WARM_UP)

    say(f"SQLite: {rounds} batches of {MEMBERS}")
    async with sqlite_databases(("ours", "core"), fill) as urls:
        await _compare("sqlite", urls, rounds)
    try:
        with running_postgres() as server:
            say(f"PostgreSQL: {rounds} batches of {MEMBERS}")
            async with postgres_databases(server, ("ours", "core"), fill) as urls:
                await _compare("postgresql", urls, rounds)
    except ServiceMissing as missing:
        say(f"PostgreSQL left out: {missing}")


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` measures fewer batches."""
    asyncio.run(run(quick))
