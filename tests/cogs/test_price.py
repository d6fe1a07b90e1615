"""``/price`` as a member uses it: the card and its controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gpuscout.cards.state import PriceAction, PriceState, pack, unpack
from gpuscout.market.models import GLOBAL, QuoteFlag
from gpuscout.market.ports import RANGES
from tests.cogs.conftest import Scene, answers, buttons, pictures, selects, texts
from tests.fakes import World, quote, side

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
    assert list(buttons(result.response)) == ["24 h", "7 d", "30 d", "90 d", "1 y", "2 y", "Refresh", "Show data"]


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


@pytest.mark.parametrize("name", list(RANGES))
async def test_range_buttons_edit_the_same_card(scene: Scene, world: World, name: str) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", range="2y" if name == "7d" else "7d")
    label = name[:-1] + " " + name[-1]

    await scene.alice.click(card.response, label=label)

    history = scene.channel.history()
    assert len(history) == 1
    assert history[0].id == card.response.id
    assert buttons(card.response)[label]["style"] == 1
    assert world.charts.specs[-1].end - world.charts.specs[-1].start == RANGES[name].total_seconds()
    assert [a.filename for a in card.response.attachments] == [f"rtx-4090-vast-{name}.webp"]


async def test_segment_select_shows_another_series(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    (menu,) = selects(card.response)
    assert [option["value"] for option in menu["options"]] == [
        "verified/any",
        "unverified/any",
        "any/any",
        "unverified/non-dc:1-3",
        "verified/dc:8+",
    ]
    assert [option["value"] for option in menu["options"] if option.get("default")] == ["any/any"]

    await scene.alice.select(card.response, ["verified/dc:8+"])

    text = texts(card.response)
    assert "Datacenter, 8+ GPUs, verified" in text
    assert "**$0.45/h** renters pay" in text
    assert "Median of 312 listed GPUs" in text
    (menu,) = selects(card.response)
    assert [option["value"] for option in menu["options"] if option.get("default")] == ["verified/dc:8+"]
    # No blend: a range button keeps the chosen series.
    await scene.alice.click(card.response, label="30 d")
    assert "**$0.45/h** renters pay" in texts(card.response)


async def test_refresh_shows_new_figures(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-5090")
    world.market.stored = [
        replace(q, all=replace(q.all, median=0.47)) if q.key.gpu == "rtx-5090" else q for q in world.market.stored
    ]

    await scene.alice.click(card.response, label="Refresh")

    assert "**$0.47/h** renters pay" in texts(card.response)


async def test_show_data_answers_privately_with_stored_rows(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    shown = await scene.bob.click(card.response, label="Show data")

    assert shown.ephemeral
    text = texts(shown.response)
    assert "Stored rows: RTX 4090 on Vast.ai" in text
    assert "2025-12-31" in text
    assert "23:50 23:50 0.335 2402/4986" in text
    assert "4,986 GPUs: 2,402 rented, 2,584 available" in text
    assert "[500.farm](<https://500.farm>)" in text
    assert "<t:1767225016:f>" in text
    assert "<t:1767225040:f>" in text
    assert "version 1" in text
    assert "https://gpuscout.example/methodology" in text


async def test_show_data_works_when_the_data_are_too_old_for_a_card(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    world.market.stored = [replace(q, at=q.at - timedelta(hours=5)) for q in world.market.stored]

    shown = await scene.alice.click(card.response, label="Show data")

    assert "Stored rows" in texts(shown.response)


async def test_strangers_click_gets_an_own_copy(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    before = texts(card.response)

    copy = await scene.bob.click(card.response, label="30 d")

    assert copy.ephemeral
    assert buttons(copy.response)["30 d"]["style"] == 1
    assert buttons(card.response)["7 d"]["style"] == 1
    assert texts(card.response) == before
    # The copy is his: it is edited in place.
    again = await scene.bob.click(copy.response, label="90 d")
    assert not again.followups
    assert buttons(copy.response)["90 d"]["style"] == 1


async def test_strangers_choice_gets_an_own_copy(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    copy = await scene.bob.select(card.response, ["verified/any"])

    assert copy.ephemeral
    assert "Verified machines" in texts(copy.response)
    assert "All machines" in texts(card.response)


async def test_card_works_after_a_restart(scene: Scene, world: World, make_bot: Callable[[], object]) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    await scene.env.restart_bot(make_bot())  # type: ignore[arg-type]
    await scene.alice.click(card.response, label="2 y")
    await scene.alice.select(card.response, ["unverified/any"])

    assert buttons(card.response)["2 y"]["style"] == 1
    assert "Unverified machines" in texts(card.response)


async def test_nothing_is_remembered_of_a_card(scene: Scene) -> None:
    await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert not scene.env.bot.persistent_views
    assert not scene.env.bot._connection._view_store._views


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


async def test_long_slug_survives_in_a_card(scene: Scene, world: World) -> None:
    slug = "x-" + "very-long-unknown-gpu-name-" * 2 + "end"
    from tests import fakes

    fakes.NAMES[slug] = "Very long GPU"
    world.market.stored.append(quote(slug, side(3, 0.5), side(12, 0.6), side(15, 0.55)))
    card = await scene.alice.slash(scene.channel, "price", gpu=slug)

    await scene.alice.click(card.response, label="30 d")

    assert "Very long GPU" in texts(card.response)
    assert buttons(card.response)["30 d"]["style"] == 1
    fakes.NAMES.pop(slug)


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
