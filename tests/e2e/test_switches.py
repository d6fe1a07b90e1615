"""Everything that can go wrong with 500.farm, and what members, operators and monitors then see."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.app import App
from sandbox.discord import Actor
from sandbox.farm.faults import BAD_V1, BAD_V2, HOSTILE_NAMES
from tests.e2e.harness import OffsetClock, Web, World, cycle, is_chart, running_app, web, words

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("e2e-switches")]


@dataclass
class Scene:
    """One product by a clock that tests move, a quarter of an hour a cycle."""

    world: World
    clock: OffsetClock
    app: App
    site: Web
    ada: Actor

    async def next_cycle(self, minutes: float = 15) -> None:
        self.clock.forward(minutes=minutes)
        await cycle(self.app)
        await self.app.vitals.measure()

    async def switch(self, mode: str, **options: Any) -> None:
        """Turn the switch and let one cycle meet it."""
        self.clock.pauses.clear()
        self.world.farm.set_mode(mode, **options)
        await self.next_cycle()

    async def price(self, gpu: str = "rtx-4090") -> dict[str, Any]:
        return await self.ada.run(self.world.channel, "price", {"gpu": gpu}, within=30)

    async def status(self) -> str:
        return words(await self.ada.run(self.world.channel, "status", within=30))

    async def readiness(self) -> dict[str, Any]:
        status, body = await self.site.get("/readyz")
        assert status == 200, body
        [sources] = [check for check in body["checks"] if check["name"] == "market sources"]
        return {"status": body["status"], "reason": sources["reason"]}

    async def well(self) -> None:
        """Back to a source that is well, so that the next test begins there."""
        self.world.farm.set_mode("ok")
        await self.next_cycle(minutes=60)
        await self.next_cycle()
        [source] = [each for each in await self.app.market.sources() if each.source == "500.farm"]
        assert source.problem is None, source.problem

    async def sick(self, reason: str) -> str:
        """What every sick source has in common; returns the status card's text."""
        text = await self.status()
        assert "Working, with remarks" in text
        assert re.search(r"🔴 \[500\.farm\].*failing since <t:\d+:R>", text)
        readiness = await self.readiness()
        assert readiness["status"] == "degraded"
        assert re.search(reason, str(readiness["reason"])), readiness["reason"]
        assert await self.site.metric("external_up", service="500.farm") == 0
        return text

    async def shows_last_data(self, *, stale: bool) -> None:
        """The last data go on being shown; with their age once a poll and a half went without new ones."""
        if stale:
            self.clock.forward(minutes=8)
        card = await self.price()
        assert "RTX 4090 on Vast.ai" in words(card)
        assert ("Stale: the source was last heard <t:" in words(card)) is stale
        _, body = await self.site.get("/api/v1/prices?gpu=rtx-4090")
        assert [quote["stale"] for quote in body["quotes"]] == [stale]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def living(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    clock = OffsetClock()
    folder: Path = tmp_path_factory.mktemp("switches")
    async with World(clock, update_interval=60) as world, running_app(world, folder, clock) as app:
        await world.bot_answers()
        async with web(f"http://127.0.0.1:{app.web_port}") as site, world.actor("ada") as ada:
            await site.ready()
            await site.draws()
            yield Scene(world, clock, app, site, ada)


@pytest_asyncio.fixture(loop_scope="module")
async def scene(living: Scene) -> AsyncIterator[Scene]:
    await living.well()
    yield living
    living.world.farm.set_mode("ok")


async def test_well(scene: Scene) -> None:
    text = await scene.status()
    assert "Status: All well" in text
    assert "🟢 **Market data**: fresh" in text
    assert (await scene.readiness()) == {"status": "ready", "reason": None}
    assert await scene.site.metric("external_up", service="500.farm") == 1
    assert await scene.site.metric("breaker_state", service="500.farm", state="closed") == 1
    assert 0 <= (await scene.site.metric("market_data_age_seconds", source="500.farm") or -1) < 120
    await scene.shows_last_data(stale=False)


@pytest.mark.parametrize(
    ("mode", "options", "reason"),
    [
        ("down", {"how": "close"}, "broke off the connection|cannot be reached"),
        ("down", {"how": "503"}, "answered with status 503"),
        ("status:502", {}, "answered with status 502"),
    ],
    ids=["closed", "503", "502"],
)
async def test_down(scene: Scene, mode: str, options: dict[str, Any], reason: str) -> None:
    await scene.switch(mode, **options)
    # Five failures open the breaker; the sixth try and the other document are then spared.
    assert scene.clock.pauses[:4] == [1, 2, 4, 8]
    text = await scene.sick(reason)
    assert "Requests are paused for a while." in text
    assert await scene.site.metric("breaker_state", service="500.farm", state="open") == 1
    await scene.shows_last_data(stale=True)
    await scene.well()
    assert "Status: All well" in await scene.status()
    assert await scene.site.metric("breaker_state", service="500.farm", state="closed") == 1


async def test_a_short_failure_is_retried_away(scene: Scene) -> None:
    await scene.switch("status:503", times=2)
    assert scene.clock.pauses == [1, 2]
    assert (await scene.readiness())["status"] == "ready"
    await scene.shows_last_data(stale=False)


async def test_too_many_requests_are_waited_for(scene: Scene) -> None:
    await scene.switch("status:429", retry_after=7, times=1)
    assert scene.clock.pauses == [7], "as long as it asked for, not as long as we like"
    assert (await scene.readiness())["status"] == "ready"
    assert await scene.site.metric(
        "external_request_duration_seconds_count", service="500.farm", outcome="rate_limited"
    )


async def test_a_refusal_is_not_repeated(scene: Scene) -> None:
    await scene.switch("status:403")
    assert scene.clock.pauses == []
    await scene.sick("answered with status 403")
    await scene.shows_last_data(stale=True)


async def test_slow(scene: Scene) -> None:
    await scene.switch("slow", seconds=0.7)
    assert scene.clock.pauses == []
    assert (await scene.readiness())["status"] == "ready"
    await scene.shows_last_data(stale=False)


async def test_frozen(scene: Scene) -> None:
    await scene.switch("frozen")
    assert (await scene.readiness())["status"] == "ready", "once may be chance"
    await scene.next_cycle()
    text = await scene.sick("its time has stood still at")
    assert "Requests are paused" not in text
    await scene.shows_last_data(stale=True)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("malformed", {}),
        ("wrong_shape", {"shape": "error"}),
        ("wrong_shape", {"shape": "list"}),
        ("wrong_shape", {"shape": "models_object"}),
        ("wrong_shape", {"shape": "empty"}),
    ],
    ids=["malformed", "error", "list", "models-object", "empty"],
)
async def test_not_what_it_should_be(scene: Scene, mode: str, options: dict[str, Any]) -> None:
    await scene.switch(mode, **options)
    assert scene.clock.pauses == [], "asking again would give the same"
    await scene.sick("unexpected answer")
    await scene.shows_last_data(stale=True)


async def test_half_of_the_models_gone(scene: Scene) -> None:
    await scene.switch("half")
    await scene.sick(r"lists \d+ models, \d+ before")
    scene.world.farm.set_mode("ok")
    await scene.next_cycle()
    assert (await scene.readiness())["status"] == "ready"


async def test_bad_items_do_not_stop_the_good_ones(scene: Scene) -> None:
    before = len((await scene.site.get("/api/v1/prices"))[1]["quotes"])
    await scene.switch("bad_items")
    assert (await scene.readiness())["status"] == "ready"
    await scene.shows_last_data(stale=False)
    text = await scene.status()
    assert f"{len(BAD_V1) + len(BAD_V2)} items refused" in text
    samples = await scene.app.parts.store.rejected_samples(100)
    assert len(samples) >= 5
    assert all(sample.reason for sample in samples)
    after = (await scene.site.get("/api/v1/prices"))[1]["quotes"]
    assert len(after) == before
    assert not [quote for quote in after if quote["gpu_name"].startswith("Bad")]


async def test_hostile_names_come_out_harmless(scene: Scene) -> None:
    await scene.switch("hostile_names")
    assert (await scene.readiness())["status"] == "ready"
    quotes = (await scene.site.get("/api/v1/prices"))[1]["quotes"]
    known = {model.slug for model in scene.app.parts.gpus.models}
    strange = [quote for quote in quotes if quote["gpu"] not in known]
    assert len(strange) >= len(HOSTILE_NAMES) - 1
    for quote in strange:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", quote["gpu"]), quote["gpu"]
        assert not set(quote["gpu_name"]) & set("<>@*`\u202e\x00\n"), quote["gpu_name"]
        assert len(quote["gpu_name"]) <= 200
    async with scene.world.actor("ben") as ben:
        card = await ben.run(scene.world.channel, "price", {"gpu": strange[0]["gpu"]}, within=30)
        assert "Thin sample" in words(card)
        assert is_chart(await ben.file(card["attachments"][0]["url"]))
        choices = await ben.autocomplete(scene.world.channel, "price", "gpu", "7777")
        assert [choice["value"] for choice in choices if "7777" in choice["name"]]
        rows = await ben.answer(await ben.click(card, "Show data"), within=30)
        for message in (card, rows):
            assert not re.search(r"@everyone|<@|<script|\]\(https://example", words(message))
    page = (await scene.site.bytes("/"))[2].decode()
    assert "<script>alert(1)" not in page
    await scene.shows_last_data(stale=False)
    sent = [record for record in scene.world.discord.requests if record.body is not None]
    assert [record.schema_errors for record in sent if record.schema_errors] == []
