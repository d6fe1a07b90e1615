"""SIGKILL at any moment: what a stored poll shows is told, and nobody is told two things for one notification."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.alerts_role import AlertRoom
from bot.parts import Parts, make_reader, open_parts
from bot.portfolio_role import make_portfolios
from bot.webhook_role import make_webhooks
from gpuscout.accounts.members import Members
from gpuscout.alerts.rules import GpuScope, Manners, Owner, PriceRule, Rule
from gpuscout.resilience.public_connect import WITH_LOOPBACK
from sandbox.farm import FarmServer, SimClock
from sandbox.webhooks import WebhookReceiver
from storage import migrate
from storage import tables as t
from storage.members import MemberStore
from storage.tables_alerts import alert_ledger
from storage.tables_delivery import notification
from storage.tables_webhooks import webhook_delivery
from tests.e2e.alert_driver import AlertClock, settings_of
from tests.e2e.driver import time_of
from tests.e2e.harness import ROOT, TOKEN, World, market
from tests.e2e.test_kill import Life
from tests.fakes import CURRENCIES
from tests.market.helpers import model_v1, model_v2

pytestmark = pytest.mark.xdist_group("e2e-alert-kill")

HIGH, LOW = 0.40, 0.30


def documents(number: int) -> dict[str, Any]:
    """The price falls and rises again with every document."""
    price = HIGH if number % 2 == 0 else LOW
    models = [model_v1("RTX 4090", 40, 30, price, verified=20), model_v1("RTX 3090", 40, 30, 0.16, verified=20)]
    stamp = time_of(number).isoformat()
    segments = [model_v2("RTX 4090", (True, "8+", True, 20, 10, price))]
    return {
        "v1": {"url": "/gpu-stats", "timestamp": stamp, "models": models},
        "v2": {"url": "/gpu-stats/v2", "timestamp": stamp, "models": segments},
    }


class AlertLife(Life):
    """One life of the driver's process."""

    @classmethod
    async def of(cls, config: dict[str, Any], number: int) -> AlertLife:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.e2e.alert_driver", json.dumps(config), str(number)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return cls(process)


def rule(direction: str, level: float) -> Rule:
    when = PriceRule(scope=GpuScope(gpu="rtx-4090"), direction=direction, level=level)  # type: ignore[arg-type]
    return Rule(when=when, manners=Manners.model_validate({"cooldown": 0, "only_if_moved": False}))


async def make_rules(parts: Parts, world: World, receiver: WebhookReceiver) -> int:
    """Two rules and a webhook for every member; how many members."""
    reader = make_reader(parts)
    members = Members(MemberStore(parts.db), CURRENCIES, member_hash=str, clock=parts.clock)
    room = AlertRoom(parts, reader, members, make_portfolios(parts, reader, members))
    webhooks = make_webhooks(parts, rules=WITH_LOOPBACK)
    for number, member in enumerate(world.members.values()):
        owner = Owner(member_id=member, channel_id=world.channel)
        await room.alerts.create(owner, rule("below", 0.35))
        await room.alerts.create(owner, rule("crossing", 0.34))
        if number % 2 == 0:
            added = await webhooks.add(f"member:{member}", member, f"{receiver.url}?n={number}", ["alert.triggered"])
            assert added.secret is not None
            receiver.trust(added.secret.get_secret_value())
    return len(world.members)


async def run(url: str, folder: Path, count: int, kills: int, seed: int) -> None:
    """Feed *count* documents, kill the process *kills* times, and look at what the receivers got."""
    rng = random.Random(seed)
    doomed = set(rng.sample(range(1, count), kills))
    clock = AlertClock()
    async with (
        World() as world,
        FarmServer(market(), SimClock.real_time(), documents=documents(0)) as farm,
        WebhookReceiver() as receiver,
    ):
        config = {
            "database": url,
            "folder": str(folder),
            "token": TOKEN,
            "discord": world.discord.api_url,
            "gateway": world.discord.gateway_url,
            "farm": farm.url,
        }
        lives = 0
        life = await AlertLife.of(config, lives)
        life.tell(0)
        await life.done(0)
        parts = open_parts(settings_of(config), clock)
        try:
            receivers = await make_rules(parts, world, receiver)
            for number in range(1, count):
                farm.set_documents(documents(number))
                life.tell(number)
                if number in doomed:
                    await asyncio.sleep(rng.uniform(0.0, 0.35))  # the moment is what is tested
                    await life.killed()
                    lives += 1
                    life = await AlertLife.of(config, lives)
                    life.tell(number)
                await life.done(number)
            await life.ended()
            await check(parts, world, receiver, count, receivers)
        finally:
            await parts.aclose()


async def check(parts: Parts, world: World, receiver: WebhookReceiver, count: int, members: int) -> None:
    async with parts.db.read() as conn:
        fired = await conn.scalar(select(func.count()).where(alert_ledger.c.outcome == "fired"))
        states = dict(
            (await conn.execute(select(notification.c.state, func.count()).group_by(notification.c.state))).all()  # type: ignore[arg-type]
        )
        told = {row.id: row for row in await conn.execute(select(notification))}
        stuck = [tuple(row) for row in await conn.execute(select(t.job.c.kind, t.job.c.state)) if row.state != "done"]
        hooks = dict(
            (
                await conn.execute(select(webhook_delivery.c.state, func.count()).group_by(webhook_delivery.c.state))
            ).all()  # type: ignore[arg-type]
        )
    falls, moves = count // 2, count - 1
    # What an undisturbed run gives: "below" at each fall, "crossing" at each move.
    assert fired == members * (falls + moves)
    assert not stuck
    # One message a member and poll, all of them sent.
    assert states == {"sent": members * moves}
    assert hooks == {"delivered": members // 2 * (falls + moves)}

    messages = defaultdict(list)
    for bucket in world.discord.world.messages.values():
        for message in bucket.values():
            if message.author_id == world.discord.world.bot.id:
                messages[message.nonce].append(message)
    assert len(messages) == members * moves
    assert all(len(same) == 1 for same in messages.values())
    ids = {str(same[0].id) for same in messages.values()}
    assert {row.message_id for row in told.values()} == ids

    bodies = defaultdict(set)
    for request in receiver.received:
        # Signed at the product's time, which the receiver's clock does not share here.
        assert request.verified or request.problem == "Message timestamp too old", request.problem
        bodies[request.delivery].add(request.body)
    assert len(bodies) == hooks["delivered"]
    assert all(len(same) == 1 for same in bodies.values())


def sqlite(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'gpuscout.db'}"


async def test_killed_a_few_times(tmp_path: Path) -> None:
    await run(sqlite(tmp_path), tmp_path, count=8, kills=3, seed=1)


@pytest.mark.deep
@pytest.mark.parametrize("seed", [2, 3])
async def test_killed_many_times(tmp_path: Path, seed: int) -> None:
    await run(sqlite(tmp_path), tmp_path, count=60, kills=20, seed=seed)


@pytest.mark.deep
@pytest.mark.postgres
async def test_killed_many_times_on_postgresql(postgres_server: Any, tmp_path: Path) -> None:
    name = "alert_kill"
    async with postgres_server.admin() as conn:
        await conn.execute(f"DROP DATABASE IF EXISTS {name}")
        await conn.execute(f"CREATE DATABASE {name}")
    url = postgres_server.url(name)
    await migrate.upgrade(url)
    await run(url, tmp_path, count=60, kills=20, seed=4)
