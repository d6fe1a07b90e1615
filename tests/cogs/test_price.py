"""``/price`` as a member uses it: the card."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gpuscout.cards.state import PriceAction, PriceState, pack, unpack
from gpuscout.market.models import GLOBAL, QuoteFlag
from gpuscout.market.ports import RANGES
from tests.cogs.conftest import Scene, answers, buttons, pictures, texts
from tests.fakes import NAMES, World, quote, side

pytestmark = pytest.mark.simcord(shard_count=1)


async def test_card_shows_what_a_host_asks_for(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert not result.ephemeral
    text = texts(result.response)
    assert "RTX 4090 on Vast.ai" in text
    assert "**$0.335/h** renters pay · **$0.251/h** hosts get" in text
    assert "Median of 4,986 listed GPUs" in text
    assert "of which hosts keep 75%" in text
    assert "Rented 0.260  0.330 0.400" in text
    assert "Avail. 0.260  0.350 0.440" in text
    assert "All    0.260  0.335 0.430" in text
    assert "24 h ▲ +1.5% · 7 d ▼ −1.5% · 30 d –" in text
    assert "2,402 rented, 2,584 available, 4,986 in all" in text
    assert "**Utilization** 48% (▲ +1.2 points in 24 h)" in text
    assert "**Demand** 61 of 100" in text
    assert "**Verified** $0.34 (4,421 GPUs) · **Unverified** $0.29 (565 GPUs)" in text
    assert "**Elsewhere** RunPod $0.61" in text
    assert "as of <t:1767225016:R>" in text
    assert "[500.farm](<https://500.farm>)" in text
    assert "[Methodology v1](<https://gpuscout.example/methodology>)" in text
    assert "SIMULATED" not in text


async def test_card_carries_chart_with_alternative_text(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    (item,) = pictures(result.response)
    assert item["description"].startswith("RTX 4090: USD per GPU-hour")
    assert [a.filename for a in result.response.attachments] == ["rtx-4090-vast-7d.webp"]
    (spec,) = world.charts.specs
    assert [series.key for series in spec.panels[0].series] == ["price", "rented", "available"]
    assert spec.panels[0].series[0].low is not None
    assert [series.key for series in spec.panels[1].series] == ["utilization"]
    assert spec.end - spec.start == RANGES["7d"].total_seconds()


async def test_one_option_suffices_and_the_default_range_is_marked(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    marked = [label for label, button in buttons(result.response).items() if button["style"] == 1]
    assert marked == ["7 d"]
    ranges = ["24 h", "7 d", "30 d", "90 d", "1 y", "2 y"]
    others = ["Refresh", "Show data", "Export CSV", "Alert me", "Add to portfolio"]
    assert list(buttons(result.response)) == [*ranges, *others]


async def test_platform_region_and_range_are_passed_on(scene: Scene, world: World) -> None:
    world.market.regional = [GLOBAL, "eu-north"]
    world.market.stored.append(
        quote("rtx-4090", side(3, 0.5), side(9, 0.5), side(12, 0.5), platform="runpod", region="eu-north")
    )

    result = await scene.alice.slash(
        scene.channel, "price", gpu="rtx-4090", platform="runpod", region="eu-north", range="90d"
    )

    assert "RTX 4090 on RunPod" in texts(result.response)
    assert "eu-north" in texts(result.response)
    assert buttons(result.response)["90 d"]["style"] == 1
    assert world.market.asked[0] == ("price", ("rtx-4090", "runpod", "eu-north", "any", "any"))


@pytest.mark.parametrize("typed", ["RTX 4090", "rtx_4090", "NVIDIA GeForce RTX 4090", "4090", "  rtx-4090 "])
async def test_free_text_is_resolved(scene: Scene, typed: str) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu=typed)
    assert "RTX 4090 on Vast.ai" in texts(result.response)


async def test_model_that_only_the_market_knows(scene: Scene) -> None:
    by_slug = await scene.alice.slash(scene.channel, "price", gpu="x-frobnicator-9000")
    by_name = await scene.alice.slash(scene.channel, "price", gpu="frobnicator 9000")

    for result in (by_slug, by_name):
        text = texts(result.response)
        assert "Frobnicator 9000 on Vast.ai" in text
        assert "Thin sample: fewer than 10 GPUs" in text


async def test_in_direct_messages(scene: Scene) -> None:
    result = await scene.alice.user.slash("price", gpu="rtx-4090")
    assert "RTX 4090 on Vast.ai" in texts(result.response)


async def test_card_without_chart_when_the_renderer_fails(scene: Scene, world: World) -> None:
    world.charts.failing = True

    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert "The chart is unavailable right now" in texts(result.response)
    assert "**$0.335/h** renters pay" in texts(result.response)
    assert not result.response.attachments


async def test_card_without_chart_when_history_fails(scene: Scene, world: World) -> None:
    world.market.history_error = RuntimeError("database is locked")
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert "The chart is unavailable right now" in texts(result.response)


async def test_failing_chart_removes_the_old_picture(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    world.charts.failing = True

    await scene.alice.click(card.response, label="30 d")

    assert not card.response.attachments
    assert "The chart is unavailable right now" in texts(card.response)


async def test_slow_chart_is_drawn_beside_the_acknowledgement(scene: Scene, world: World) -> None:
    world.charts.delay = 1.5

    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert answers(scene.env) == [("POST", "callback", 5), ("PATCH", "@original", None)]
    assert not result.ephemeral
    assert len(scene.channel.history()) == 1
    assert pictures(result.response)
    assert "RTX 4090 on Vast.ai" in texts(result.response)


async def test_quick_answer_is_not_deferred(scene: Scene) -> None:
    await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert answers(scene.env) == [("POST", "callback", 4)]


async def test_stale_data_are_shown_with_their_age(scene: Scene, world: World) -> None:
    world.market.stored = [replace(q, at=q.at - timedelta(hours=2)) for q in world.market.stored]

    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert "Stale: the source was last heard <t:1767217816:R>." in texts(result.response)


async def test_outlier_is_named(scene: Scene, world: World) -> None:
    world.market.stored = [quote("rtx-5090", side(20, 16.0), side(20, 16.0), side(40, 16.0), flags=QuoteFlag.OUTLIER)]
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-5090")
    assert "Outlier: absurd against its own history" in texts(result.response)


async def test_simulated_data_carry_the_badge(scene: Scene, world: World) -> None:
    world.market.simulated = True

    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert "`SIMULATED`" in texts(result.response)
    assert "Simulated market: no real prices." in texts(result.response)
    assert world.charts.specs[0].badge == "SIMULATED"


async def test_every_custom_id_reads_back(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="x-frobnicator-9000")
    ids = [button["custom_id"] for button in buttons(card.response).values()]
    assert len(set(ids)) == len(ids)
    for custom_id in ids:
        assert len(custom_id) <= 100
        assert unpack(custom_id).state.owner == scene.alice.id


async def test_long_slug_survives_in_a_card(scene: Scene, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slug = "x-" + "very-long-unknown-gpu-name-" * 2 + "end"
    monkeypatch.setitem(NAMES, slug, "Very long GPU")
    world.market.stored.append(quote(slug, side(3, 0.5), side(12, 0.6), side(15, 0.55)))
    card = await scene.alice.slash(scene.channel, "price", gpu=slug)

    await scene.alice.click(card.response, label="30 d")

    assert "Very long GPU" in texts(card.response)
    assert buttons(card.response)["30 d"]["style"] == 1


async def test_usage_is_recorded(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    await scene.alice.click(card.response, label="Refresh")

    assert world.usage.outcomes == [("price", "slash", "ok"), ("price button", "component", "ok")]
    event = world.usage.events[0]
    assert event["member_id"] == scene.alice.id
    assert event["guild_id"] == scene.alice.guild.id
    assert event["locale"] == "en-US"
    assert event["latency_ms"] >= 0


def test_forged_state_cannot_name_another_range() -> None:
    state = PriceState(1, "rtx-4090", "vast", "global")
    assert unpack(pack(state, PriceAction.RANGE, "30d")).target == "30d"


async def test_chart_is_drawn_once_for_each_data_version(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    world.market.now += timedelta(seconds=1)
    await scene.bob.slash(scene.channel, "price", gpu="rtx-4090")
    await scene.alice.click(card.response, label="Refresh")
    assert len(world.charts.specs) == 1

    world.market.data_version += 1
    await scene.alice.click(card.response, label="Refresh")
    assert len(world.charts.specs) == 2


async def test_chart_ends_at_the_newest_reading_or_the_last_full_interval(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    midnight = world.market.now.replace(second=0)
    assert world.charts.specs[-1].end == midnight.timestamp()

    world.market.data_version += 1
    world.market.stored = [replace(q, at=midnight + timedelta(seconds=1)) for q in world.market.stored]
    await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert world.charts.specs[-1].end == midnight.timestamp() + 1
