"""Data that grow old: fresh, stale with their age, gone; the owner is told once, and once that it is over."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.app import App
from sandbox.discord import Actor
from tests.e2e.harness import (
    OffsetClock,
    Web,
    World,
    cycle,
    is_private,
    running_app,
    settled,
    until,
    web,
    words,
)

pytestmark = pytest.mark.xdist_group("e2e-freshness")


class Watcher:
    """Looks at the product as members, monitors and the owner do."""

    def __init__(self, world: World, clock: OffsetClock, app: App, site: Web, actor: Actor) -> None:
        self.world, self.clock, self.app, self.site, self.actor = world, clock, app, site, actor

    async def pass_time(self, span: timedelta) -> None:
        """Quarters of an hour with a cycle each."""
        for _ in range(span // timedelta(minutes=15)):
            self.clock.forward(minutes=15)
            await cycle(self.app)

    async def ask(self) -> dict[str, Any]:
        return await self.actor.run(self.world.channel, "price", {"gpu": "rtx-4090"}, within=30)

    async def status(self) -> str:
        return words(await self.actor.run(self.world.channel, "status", within=30))

    async def dms(self, count: int) -> list[str]:
        await settled(self.app)
        found: list[str] = await until(lambda: self._enough(count), f"{count} DMs to the owner")
        return found

    def _enough(self, count: int) -> list[str] | None:
        sent = self.world.owner_dms()
        return sent if len(sent) >= count else None


@asynccontextmanager
async def watching(world: World, folder: Path, clock: OffsetClock) -> AsyncIterator[Watcher]:
    async with (
        running_app(world, folder, clock) as app,
        web(f"http://127.0.0.1:{app.web_port}") as site,
        world.actor("ada") as ada,
    ):
        await world.bot_answers()
        yield Watcher(world, clock, app, site, ada)


async def test_a_timestamp_frozen_for_five_hours(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with World(clock, update_interval=60) as world:
        async with watching(world, tmp_path, clock) as seen:
            await seen.site.ready()
            fresh = await seen.ask()
            assert "Stale" not in words(fresh)
            [read] = {int(found) for found in re.findall(r"as of <t:(\d+)", words(fresh))}
            assert read <= clock.epoch()

            world.farm.set_mode("frozen")
            await seen.pass_time(timedelta(minutes=15))
            assert "Stale" not in words(await seen.ask()), "one missed reading is within the band"
            await seen.pass_time(timedelta(minutes=15))
            stale = words(await seen.ask())
            assert f"Stale: the source was last heard <t:{read}:R>" in stale
            assert "🟡 **Market data**: stale, shown with their age" in await seen.status()
            assert world.owner_dms() == [], "not yet half an hour of trouble"

            await seen.pass_time(timedelta(minutes=45))
            [told] = await seen.dms(1)
            assert "**500.farm** has been failing since" in told
            assert "its time has stood still" in told

        # A restart in the middle neither forgets nor repeats.
        async with watching(world, tmp_path, clock) as seen:
            await seen.pass_time(timedelta(hours=2, minutes=30))
            text = words(await seen.ask())
            assert f"Stale: the source was last heard <t:{read}:R>" in text
            await seen.pass_time(timedelta(minutes=15))

            await seen.pass_time(timedelta(hours=1))
            assert clock.epoch() - read > 5 * 3600 - 60
            refused = await seen.ask()
            assert is_private(refused)
            assert f"Data temporarily unavailable: the last reading is from <t:{read}:R>" in words(refused)
            # The old card is not touched by the refusal; a click on it is refused as well.
            click = await seen.actor.answer(await seen.actor.click(fresh, "Refresh"), within=30)
            assert is_private(click)
            assert "Data temporarily unavailable" in words(click)
            old = [m for m in await seen.actor.messages(world.channel) if m["id"] == fresh["id"]]
            assert words(old[0]) == words(fresh)
            # The evidence stays readable.
            rows = await seen.actor.answer(await seen.actor.click(fresh, "Show data"), within=30)
            assert f"<t:{read}" in words(rows)

            assert "🔴 **Market data**: Data temporarily unavailable" in await seen.status()
            _, prices = await seen.site.get("/api/v1/prices")
            assert prices["quotes"] == []
            status, problem = await seen.site.get("/chart/rtx-4090.webp")
            assert (status, problem["detail"]) == (503, "Data temporarily unavailable.")
            status, history = await seen.site.get("/api/v1/prices/rtx-4090/history")
            assert status == 200
            assert history["series"][0]["points"], "history is served whatever the age"
            assert (await seen.site.get("/readyz"))[1]["status"] == "degraded"
            assert len(world.owner_dms()) == 1

            world.farm.set_mode("ok")
            await seen.pass_time(timedelta(minutes=30))
            first, second = await seen.dms(2)
            assert first == told
            assert "**500.farm** is well again" in second
            assert "Stale" not in words(await seen.ask())
            assert "Status: All well" in await seen.status()
            await seen.pass_time(timedelta(hours=1))
            assert len(world.owner_dms()) == 2
            # The hours without data are a gap in the history, not a line.
            _, history = await seen.site.get("/api/v1/prices/rtx-4090/history?points=2000")
            [series] = history["series"]
            assert len(series["gaps"]) == 1
            assert series["missing"] >= 4


async def test_before_the_first_data(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with World(clock, update_interval=60) as world:
        world.farm.set_mode("status:403")
        async with watching(world, tmp_path, clock) as seen:
            await until(lambda: world.farm.requests, "the first poll")
            await settled(seen.app)
            refused = await seen.ask()
            assert is_private(refused)
            found = re.search(r"First data in about ([\d,]+) s; ask again then\.", words(refused))
            assert found is not None, words(refused)
            assert 0 < int(found.group(1).replace(",", "")) <= 900
            assert "**Market data**: none yet" in await seen.status()
            status, problem = await seen.site.get("/readyz")
            assert status == 503
            assert "there are no market data yet; the first poll is due in" in problem["detail"]
            assert (await seen.site.get("/healthz"))[0] == 200
            status, problem = await seen.site.get("/chart/rtx-4090.png")
            assert (status, problem["detail"]) == (503, "There are no market data yet.")
            public = [m for m in await seen.actor.messages(world.channel) if not is_private(m)]
            assert ["Status" in words(message) for message in public] == [True], "no card was ever shown"

            world.farm.set_mode("ok")
            await seen.pass_time(timedelta(minutes=15))
            assert "RTX 4090 on Vast.ai" in words(await seen.ask())


async def test_restart_with_data_that_are_still_fresh_does_not_ask_again(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with World(clock, update_interval=60) as world:
        async with watching(world, tmp_path, clock) as seen:
            await seen.site.ready()
            await settled(seen.app)
        asked = len(world.farm.requests)
        async with watching(world, tmp_path, clock) as seen:
            assert "RTX 4090" in words(await seen.ask())
            assert len(world.farm.requests) == asked, "the data are younger than an interval"
        clock.forward(minutes=16)
        async with watching(world, tmp_path, clock) as seen:
            await until(
                lambda: len(world.farm.requests) >= asked + 2, "data older than an interval are renewed at once"
            )


async def test_the_clock_of_the_host_jumps(tmp_path: Path) -> None:
    """A wrong clock here never makes the bot deaf, even before it hears Discord's time again."""
    clock = OffsetClock()
    async with World(clock, update_interval=60) as world, watching(world, tmp_path, clock) as seen:
        await seen.site.ready()
        assert "RTX 4090" in words(await seen.ask())
        clock.forward(hours=3)
        assert "RTX 4090" in words(await seen.ask())
