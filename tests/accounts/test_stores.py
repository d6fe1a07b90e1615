"""Members and servers in real databases: ownership, limits, erasure, coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from config.currencies import Currencies
from gpuscout.accounts.erasure import POSTS_KEPT, erase_due
from gpuscout.accounts.members import WATCHLIST_LIMIT, BadSetting, Members
from gpuscout.accounts.servers import ERASE_AFTER, Servers, ServerSettings, read_settings
from gpuscout.telemetry.usage import IdHasher
from storage.engine import Database
from storage.members import MemberStore
from storage.servers import ServerStore, feed_state_key
from storage.state import AppState
from storage.tables import feed_post, member, server_settings, usage_event, watchlist_item
from storage.usage import UsageEvent, UsageStore
from tests.market.helpers import FakeClock

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ANN, BEN, GUILD = (1 << 62) + 1, (1 << 62) + 2, (1 << 62) + 9


@dataclass
class Desk:
    db: Database
    clock: FakeClock
    usage: UsageStore
    hasher: IdHasher
    members: Members
    store: ServerStore
    servers: Servers

    async def count(self, table: Any) -> int:
        async with self.db.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    clock = FakeClock(START)
    usage, hasher, store = UsageStore(db), IdHasher(b"0123456789abcdef"), ServerStore(db)
    members = Members(MemberStore(db), Currencies({}), member_hash=hasher.member, clock=clock, usage=usage)
    yield Desk(db, clock, usage, hasher, members, store, Servers(store, clock=clock))


# --- members ---


async def test_nothing_is_stored_before_something_is_chosen(desk: Desk) -> None:
    assert not (await desk.members.get(ANN)).stored
    await desk.members.change(ANN, {})
    assert await desk.count(member) == 0
    assert (await desk.members.stored(ANN)).nothing


async def test_changes_add_up_and_are_seen_at_once(desk: Desk) -> None:
    await desk.members.change(ANN, {"timezone": "Europe/Berlin", "tariff": 0.3})
    desk.clock.forward(days=1)
    changed = await desk.members.change(ANN, {"locale": "de", "tariff": None})
    assert changed == await desk.members.get(ANN)
    assert (changed.timezone, changed.tariff, changed.locale, changed.currency) == ("Europe/Berlin", None, "de", None)
    assert (changed.created_at, changed.updated_at) == (START, START + timedelta(days=1))
    assert not (await desk.members.get(BEN)).stored


@pytest.mark.parametrize(
    "values",
    [
        {"tariff": -0.1},
        {"tariff": float("nan")},
        {"tariff": 5.01},
        {"tariff": "0.3"},
        {"currency": "EUR"},
        {"locale": "fr"},
        {"timezone": ""},
        {"timezone": "x" * 65},
        {"created_at": START},
        {"id": BEN},
    ],
)
async def test_what_cannot_be_is_refused_whole(desk: Desk, values: dict[str, Any]) -> None:
    with pytest.raises(BadSetting):
        await desk.members.change(ANN, {"timezone": "Europe/Berlin", **values})
    assert await desk.count(member) == 0


async def test_watchlists_belong_to_their_members(desk: Desk) -> None:
    assert await desk.members.watch(ANN, "rtx-4090") == "added"
    assert await desk.members.watch(ANN, "rtx-4090") == "known"
    desk.clock.forward(seconds=1)
    await desk.members.watch(ANN, "a100")
    await desk.members.watch(BEN, "rtx-4090")
    assert await desk.members.watchlist(ANN) == ["rtx-4090", "a100"]
    assert not await desk.members.unwatch(BEN, "a100")
    assert await desk.members.unwatch(ANN, "rtx-4090")
    assert await desk.members.watchlist(BEN) == ["rtx-4090"]


async def test_the_limit_holds_for_many_at_once(desk: Desk) -> None:
    outcomes = await asyncio.gather(*(desk.members.watch(ANN, f"gpu-{n}") for n in range(WATCHLIST_LIMIT + 6)))
    assert outcomes.count("added") == WATCHLIST_LIMIT
    assert outcomes.count("full") == 6
    assert len(await desk.members.watchlist(ANN)) == WATCHLIST_LIMIT


async def test_everything_stored_is_listed_and_erased(desk: Desk) -> None:
    for who in (ANN, BEN):
        await desk.members.change(who, {"timezone": "Europe/Berlin"})
        await desk.members.watch(who, "rtx-4090")
        await AppState(desk.db).set(f"discord.dm:{who}", 7)
        desk.usage.record(UsageEvent(START, "price", "slash", "ok", member_hash=desk.hasher.member(who)))

    found = await desk.members.stored(ANN)
    assert found.member.timezone == "Europe/Berlin"
    assert found.watchlist == [("rtx-4090", START)]
    assert found.dm_channel
    assert (found.uses, found.first_use) == (1, START), "events that were still to be written are counted too"

    desk.usage.record(UsageEvent(START, "price", "slash", "ok", member_hash=desk.hasher.member(ANN)))
    erased = await desk.members.erase(ANN)

    assert (erased.settings, erased.watched, erased.channels, erased.uses) == (1, 1, 1, 2)
    assert (await desk.members.stored(ANN)).nothing
    other = await desk.members.stored(BEN)
    assert (other.member.stored, len(other.watchlist), other.dm_channel, other.uses) == (True, 1, True, 1)
    await desk.usage.flush()
    assert (await desk.members.stored(ANN)).nothing, "nothing may come out of a buffer afterwards"
    assert [await desk.count(t) for t in (member, watchlist_item, usage_event)] == [1, 1, 1]


# --- servers ---


def renamed(zone: str) -> Callable[[ServerSettings], ServerSettings]:
    return lambda settings: settings.changed(timezone=zone)


async def test_server_settings_round_trip(desk: Desk) -> None:
    assert await desk.servers.read(GUILD) == ServerSettings()
    made = await desk.servers.change(
        GUILD,
        lambda s: s.changed(public_channels=[GUILD + 1], roles=[GUILD + 2], gpu="rtx-4090").with_feed(
            mode="both", channel_id=GUILD + 3, since=START, threshold=7.5
        ),
    )
    assert await Servers(desk.store, clock=desk.clock).read(GUILD) == made
    assert made.public_channels == (GUILD + 1,)


async def test_changes_at_once_lose_nothing(desk: Desk) -> None:
    def raised(settings: ServerSettings) -> ServerSettings:
        return settings.with_feed(max_posts=settings.feed.max_posts + 1)

    await asyncio.gather(*(Servers(desk.store, clock=desk.clock).change(GUILD, raised) for _ in range(10)))
    assert (await desk.servers.read(GUILD)).feed.max_posts == 13


async def test_what_cannot_be_stored_changes_nothing(desk: Desk) -> None:
    await desk.servers.change(GUILD, renamed("Asia/Tokyo"))
    for bad in ({"hour": 24}, {"threshold": 0.5}, {"max_posts": 0}, {"mode": "hourly"}, {"channel_id": -1}):
        with pytest.raises(ValueError, match="validation error"):
            await desk.servers.change(GUILD, lambda s, bad=bad: s.with_feed(**bad))  # type: ignore[misc]
    assert await desk.servers.read(GUILD) == ServerSettings(timezone="Asia/Tokyo")


async def test_settings_of_another_version_count_as_the_defaults(desk: Desk) -> None:
    async with desk.db.write() as conn:
        await conn.execute(
            insert(server_settings).values(guild_id=GUILD, settings={"feed": {"mode": "weekly"}}, updated_at=START)
        )
    assert await desk.servers.read(GUILD) == ServerSettings()
    assert read_settings({"unheard_of": 1, "timezone": "UTC"}) == ServerSettings()


async def test_kick_then_thirty_days_then_erased(desk: Desk) -> None:
    await desk.servers.change(GUILD, renamed("Asia/Tokyo"))
    await desk.servers.change(GUILD + 1, renamed("Asia/Seoul"))
    await AppState(desk.db).set(feed_state_key(GUILD), {"told": {}})
    async with desk.db.write() as conn:
        await desk.store.claim_post(conn, GUILD, "daily:2026-11-01", 5, START)
    await desk.servers.left(GUILD)
    desk.clock.forward(days=10)
    await desk.servers.left(GUILD)  # the same news twice does not prolong it

    desk.clock.now = START + ERASE_AFTER - timedelta(seconds=1)
    assert await erase_due(desk.store, desk.clock) == 0
    assert (await desk.servers.read(GUILD)).timezone == "Asia/Tokyo"

    desk.clock.forward(seconds=1)
    assert await erase_due(desk.store, desk.clock) == 1
    assert await erase_due(desk.store, desk.clock) == 0
    assert await desk.servers.read(GUILD) == ServerSettings()
    assert await desk.count(feed_post) == 0
    assert await AppState(desk.db).get(feed_state_key(GUILD)) is None
    assert (await desk.servers.read(GUILD + 1)).timezone == "Asia/Seoul"


async def test_back_before_that_keeps_everything(desk: Desk) -> None:
    await desk.servers.change(GUILD, renamed("Asia/Tokyo"))
    await desk.servers.left(GUILD)
    desk.clock.forward(days=29)
    assert await desk.servers.back(GUILD)
    assert not await desk.servers.back(GUILD)
    desk.clock.forward(days=60)
    assert await erase_due(desk.store, desk.clock) == 0
    assert (await desk.servers.read(GUILD)).timezone == "Asia/Tokyo"


async def test_a_change_by_the_worker_does_not_stop_the_thirty_days(desk: Desk) -> None:
    await desk.servers.change(GUILD, renamed("Asia/Tokyo"))
    await desk.servers.left(GUILD)
    await desk.servers.change(GUILD, lambda s: s.with_feed(hour=3))
    desk.clock.forward(days=30)
    assert await erase_due(desk.store, desk.clock) == 1


async def test_reconcile_touches_only_our_shards(desk: Desk) -> None:
    for guild in (1, 2, 3, 4):
        await desk.servers.change(guild, renamed("UTC"))
    await desk.servers.left(3)
    await desk.servers.reconcile({1, 3}, lambda guild: guild != 4)
    assert await desk.store.present() == {1: True, 2: False, 3: True, 4: True}


async def test_many_are_erased_in_batches_and_old_posts_forgotten(desk: Desk) -> None:
    async with desk.db.write() as conn:
        await conn.execute(
            insert(server_settings),
            [{"guild_id": n, "settings": {}, "updated_at": START, "erase_at": START} for n in range(1, 451)],
        )
        await desk.store.claim_post(conn, GUILD, "daily:2026-11-01", 5, START)
    assert await erase_due(desk.store, desk.clock) == 450
    assert await desk.count(feed_post) == 1
    desk.clock.now = START + POSTS_KEPT + timedelta(seconds=1)
    await erase_due(desk.store, desk.clock)
    assert await desk.count(feed_post) == 0


async def test_feeds_are_found_by_their_mode(desk: Desk) -> None:
    for guild, mode in ((1, "off"), (2, "daily"), (3, "both"), (4, "moves")):
        await desk.servers.change(guild, lambda s, mode=mode: s.with_feed(mode=mode, channel_id=9))  # type: ignore[misc]
    await desk.servers.left(4)
    found = await desk.store.with_feed(("daily", "moves", "both"))
    assert [server.guild_id for server in found] == [2, 3]


async def test_a_slot_is_claimed_once(desk: Desk) -> None:
    async def claim() -> bool:
        async with desk.db.write() as conn:
            return await desk.store.claim_post(conn, GUILD, "daily:2026-11-01", 5, START)

    assert sorted(await asyncio.gather(*(claim() for _ in range(5)))) == [False] * 4 + [True]
