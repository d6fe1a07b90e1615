"""Digests that are due: claimed once, merged after an outage, moved with the clocks and the member."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from config.catalogue import GpuCatalogue
from config.currencies import Currencies
from config.platforms import PlatformCatalogue
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.accounts.servers import Servers
from gpuscout.alerts.messages import AlertItem
from gpuscout.alerts.rules import GpuScope, PriceRule
from gpuscout.digests.compose import DigestComposer
from gpuscout.digests.digests import Digests
from gpuscout.digests.models import DigestContent, merged, read_content
from gpuscout.digests.planner import WAITS, DigestPlanner
from gpuscout.digests.schedule import Rhythm
from gpuscout.market.models import MarketUnavailable
from gpuscout.portfolio.models import HoldingDraft
from storage.delivery_choices import DeliveryChoiceStore
from storage.digests import DigestStore, Owner
from storage.engine import Database
from storage.events import EventStore
from storage.jobs import JobStore
from storage.members import MemberStore
from storage.notifications import NotificationStore, Target
from storage.servers import ServerStore
from storage.tables import job
from storage.tables_delivery import notification, notification_item, outgoing_event
from tests.fakes import FakeMarket, World

START = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
ANN, BEN, GUILD, CHANNEL = (1 << 62) + 1, (1 << 62) + 2, (1 << 62) + 9, (1 << 62) + 10
RULE = PriceRule(scope=GpuScope(gpu="rtx-4090", platform="vast"), direction="below", level=0.3)


@dataclass
class Desk:
    db: Database
    market: FakeMarket
    world: World
    members: Members
    store: DigestStore
    digests: Digests
    planner: DigestPlanner
    choices: DeliveryChoices
    notifications: NotificationStore

    def go(self, at: datetime) -> None:
        """The time becomes *at*, and the market was read ten minutes before."""
        self.market.now = at
        self.market.stored = [replace(q, at=at - timedelta(minutes=10)) for q in self.market.stored]

    async def contents(self) -> list[tuple[Any, DigestContent]]:
        """Notifications with what they say, oldest first."""
        query = (
            select(notification, notification_item.c.payload)
            .join(notification_item, notification_item.c.notification_id == notification.c.id)
            .where(notification.c.kind == "digest")
            .order_by(notification_item.c.id)
        )
        async with self.db.read() as conn:
            return [(row, read_content(row.payload)) for row in await conn.execute(query)]

    async def events(self) -> list[Any]:
        async with self.db.read() as conn:
            return list(await conn.execute(select(outgoing_event).order_by(outgoing_event.c.created_at)))

    async def alert(self, at: datetime, *, member: int | None = ANN, number: int = 1, **changes: Any) -> None:
        item = AlertItem(
            rule_id=1, when=RULE, kind="price", happened="below", metric="price", gpu="rtx-4090", after=0.29, at=at
        )
        target = Target(member) if member else Target(None, GUILD, CHANNEL)
        async with self.db.write() as conn:
            await self.notifications.add(
                conn,
                target,
                "alert",
                {**item.model_dump(mode="json"), **changes},
                item_key=f"{target.key}:{number}",
                group_key=f"alert:{target.key}:{number}",
                at=at,
            )


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    world = World()
    market, clock = world.market, world.market.time
    members = Members(MemberStore(db), Currencies({}), member_hash=str, clock=clock)
    store, jobs = DigestStore(db), JobStore(db, clock=clock)
    servers = Servers(ServerStore(db), clock=clock)
    choices = DeliveryChoices(DeliveryChoiceStore(db), clock=clock)
    notifications = NotificationStore(db, jobs)
    gpus, platforms = GpuCatalogue.load(), PlatformCatalogue.load()
    composer = DigestComposer(market, members, store, gpus, platforms, world.portfolios(), clock=clock)
    planner = DigestPlanner(db, store, notifications, EventStore(db, jobs), composer, choices, servers, clock=clock)
    desk = Desk(
        db,
        market,
        world,
        members,
        store,
        Digests(store, composer, servers, clock=clock),
        planner,
        choices,
        notifications,
    )
    desk.go(START)
    yield desk


async def subscribe(desk: Desk, rhythm: Rhythm | None = None, member: int = ANN, zone: str = "Europe/Berlin") -> None:
    await desk.members.change(member, {"timezone": zone})
    await desk.digests.set(Owner(member_id=member), rhythm or Rhythm("daily", 8), zone, "en-US", CHANNEL)


async def test_a_due_digest_is_put_on_its_way_once_with_its_event(desk: Desk) -> None:
    await subscribe(desk)
    await desk.members.watch(ANN, "rtx-4090")
    assert await desk.planner.plan() == 0

    desk.go(datetime(2026, 3, 28, 7, 0, 30, tzinfo=UTC))
    assert await desk.planner.plan() == 1
    assert await desk.planner.plan() == 0

    [(row, content)] = await desk.contents()
    assert (row.member_id, row.channel_id, row.kind, row.state) == (ANN, CHANNEL, "digest", "pending")
    assert content.due_at == datetime(2026, 3, 28, 7, 0, tzinfo=UTC)
    assert [line.gpu for line in content.movers] == ["rtx-4090"]
    assert content.missed == 0
    [event] = await desk.events()
    assert (event.event, event.member_id, event.data["cadence"]) == ("portfolio.summary", ANN, "daily")
    async with desk.db.read() as conn:
        kinds = [each.kind for each in await conn.execute(select(job.c.kind))]
    assert sorted(kinds) == ["delivery.notify", "webhook.fanout"]


async def test_planners_at_the_same_instant_send_it_once(desk: Desk) -> None:
    await subscribe(desk)
    desk.go(datetime(2026, 3, 28, 7, 1, tzinfo=UTC))
    made = await asyncio.gather(*(desk.planner.plan() for _ in range(4)))
    assert sum(made) == 1
    assert len(await desk.contents()) == 1


async def test_the_local_hour_stays_when_the_clocks_change(desk: Desk) -> None:
    """On 2026-03-29 Berlin's clocks go forward: 08:00 is 07:00 UTC before, 06:00 UTC after."""
    await subscribe(desk)
    slots = []
    for hour in range(24 * 5):
        desk.go(START + timedelta(hours=hour))
        if await desk.planner.plan():
            slots.append(desk.market.now.astimezone(ZoneInfo("Europe/Berlin")).hour)
    assert slots == [8, 8, 8, 8, 8]


async def test_what_was_missed_comes_as_one(desk: Desk) -> None:
    await subscribe(desk)
    await desk.alert(START + timedelta(days=1))
    desk.go(START + timedelta(days=5))
    assert await desk.planner.plan() == 1
    [(_, content)] = await desk.contents()
    assert content.missed == 4
    assert content.due_at == datetime(2026, 4, 1, 6, 0, tzinfo=UTC)
    assert await desk.planner.plan() == 0
    stored = await desk.store.get(Owner(member_id=ANN))
    assert stored is not None and stored.next_at == datetime(2026, 4, 2, 6, 0, tzinfo=UTC)


async def test_alerts_since_the_last_one_without_samples(desk: Desk) -> None:
    await subscribe(desk)
    day = timedelta(days=1)
    await desk.alert(START - 3 * day, number=1)
    await desk.alert(START + timedelta(hours=2), number=2)
    await desk.alert(START + timedelta(hours=3), number=3, test=True)
    await desk.alert(START + timedelta(hours=4), number=4, member=BEN)
    await desk.alert(START + timedelta(hours=5), number=5, kind="digest")
    desk.go(START + day)
    await desk.planner.plan()
    await desk.alert(START + day + timedelta(hours=1), number=6, after=0.2)
    desk.go(START + 2 * day)
    await desk.planner.plan()
    first, second = [content for _, content in await desk.contents()]
    assert (first.alerts_total, [line.item.after for line in first.alerts]) == (1, [0.29])
    assert (second.alerts_total, [line.item.after for line in second.alerts]) == (1, [0.2])
    assert first.alerts[0].gpu_name == "RTX 4090"
    both = merged([first, second])
    assert (both.since, both.until, both.missed, both.alerts_total) == (first.since, second.until, 1, 2)
    assert [line.item.after for line in both.alerts] == [0.2, 0.29]


async def test_the_portfolios_change_is_against_what_the_last_digest_showed(desk: Desk) -> None:
    await subscribe(desk)
    portfolios = desk.world.portfolios()
    await portfolios.add(ANN, HoldingDraft(gpu="rtx-4090", quantity=8, platform="vast", tariff=0.1))
    desk.go(START + timedelta(days=1))
    await desk.planner.plan()
    before = desk.market.stored
    desk.market.stored = [
        replace(q, all=replace(q.all, median=q.all.median * 1.1)) if q.all.median else q for q in before
    ]
    desk.go(START + timedelta(days=2))
    await desk.planner.plan()
    first, second = [content.portfolio for _, content in await desk.contents()]
    assert first is not None and second is not None
    assert (first.gpus, first.valued_gpus, first.then_day) == (8, 8, None)
    assert second.then_day == pytest.approx(first.net_day)
    assert second.net_day > first.net_day
    assert (second.then_gpus, second.then_at) == (8, START + timedelta(days=1))
    [_, event] = await desk.events()
    assert event.data["portfolio"]["net_day"] == pytest.approx(second.net_day)


async def test_who_moves_to_another_zone_gets_it_at_his_new_hour(desk: Desk) -> None:
    await subscribe(desk)
    await desk.members.change(ANN, {"timezone": "America/New_York"})
    desk.go(datetime(2026, 3, 28, 7, 1, tzinfo=UTC))  # 08:01 in Berlin
    assert await desk.planner.plan() == 0
    desk.go(datetime(2026, 3, 28, 12, 0, 30, tzinfo=UTC))  # 08:00 in New York
    assert await desk.planner.plan() == 1


async def test_muted_digests_are_not_made_up_for(desk: Desk) -> None:
    await subscribe(desk)
    await desk.choices.change(ANN, muted_kinds=["digest"])
    desk.go(START + timedelta(days=1))
    assert await desk.planner.plan() == 0
    await desk.choices.change(ANN, muted_kinds=[])
    assert await desk.planner.plan() == 0
    desk.go(START + timedelta(days=2))
    assert await desk.planner.plan() == 1


async def test_it_waits_for_the_market_but_not_for_ever(desk: Desk) -> None:
    await subscribe(desk)
    await desk.members.watch(ANN, "rtx-4090")
    due = datetime(2026, 3, 28, 7, 0, tzinfo=UTC)
    desk.market.error = MarketUnavailable(START)
    desk.go(due + timedelta(minutes=1))
    assert await desk.planner.plan() == 0
    desk.go(due + WAITS)
    assert await desk.planner.plan() == 1
    [(_, content)] = await desk.contents()
    assert (content.as_of, content.movers) == (None, ())


async def test_an_ended_or_changed_subscription_sends_nothing(desk: Desk) -> None:
    await subscribe(desk)
    await subscribe(desk, member=BEN)
    desk.go(START + timedelta(days=1))
    [ann, _] = await desk.store.due(desk.market.now, 10)
    await desk.digests.off(Owner(member_id=ANN))
    async with desk.db.write() as conn:
        assert not await desk.store.claim(conn, ann, desk.market.now, desk.market.now)
    assert await desk.planner.plan() == 1
    assert [row.member_id for row, _ in await desk.contents()] == [BEN]


async def test_one_members_trouble_stops_no_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await subscribe(desk)
    await subscribe(desk, member=BEN)
    original = desk.members.watchlist

    async def watchlist(member_id: int) -> list[str]:
        if member_id == ANN:
            raise RuntimeError("broken")
        return await original(member_id)

    monkeypatch.setattr(desk.members, "watchlist", watchlist)
    desk.go(START + timedelta(days=1))
    assert await desk.planner.plan() == 1
    assert [row.member_id for row, _ in await desk.contents()] == [BEN]


async def test_a_servers_digest(desk: Desk) -> None:
    owner = Owner(guild_id=GUILD)
    await desk.digests.set(owner, Rhythm("weekly", 9, 0), "UTC", "de", CHANNEL)
    await desk.alert(START + timedelta(hours=1), member=None)
    desk.go(datetime(2026, 3, 30, 9, 0, 10, tzinfo=UTC))
    assert await desk.planner.plan() == 1
    [(row, content)] = await desk.contents()
    assert (row.member_id, row.guild_id, row.channel_id) == (None, GUILD, CHANNEL)
    assert (content.audience, content.cadence, content.locale) == ("server", "weekly", "de")
    assert content.movers and content.busiest
    assert not any(line.weak for line in (*content.movers, *content.busiest))
    assert content.chart is not None and content.chart.kind == "price"
    assert content.alerts_total == 1
    assert await desk.events() == []


async def test_a_channel_that_takes_no_posts_pauses_the_servers_digest(desk: Desk) -> None:
    owner = Owner(guild_id=GUILD)
    await desk.digests.set(owner, Rhythm("daily", 9), "UTC", "en-US", CHANNEL)
    desk.go(START + timedelta(days=1))
    assert await desk.planner.plan() == 1
    async with desk.db.write() as conn:
        await conn.execute(notification.update().values(state="failed"))
    desk.go(START + timedelta(days=2))
    assert await desk.planner.plan() == 0
    stored = await desk.store.get(owner)
    assert stored is not None and stored.paused == "channel"
    desk.go(START + timedelta(days=3))
    assert await desk.planner.plan() == 0
    await desk.digests.set(owner, Rhythm("daily", 9), "UTC", "en-US", CHANNEL)
    desk.go(START + timedelta(days=4))
    assert await desk.planner.plan() == 1


async def test_what_was_sent_long_ago_is_forgotten(desk: Desk) -> None:
    await subscribe(desk)
    desk.go(START + timedelta(days=1))
    await desk.planner.plan()
    stored = await desk.store.get(Owner(member_id=ANN))
    assert stored is not None
    assert await desk.store.last_sent(stored.id) is not None
    assert await desk.planner.tidy() == 0
    desk.go(START + timedelta(days=200))
    assert await desk.planner.tidy() == 1
    assert await desk.store.last_sent(stored.id) is None
