"""``/compare``: lists, figures, controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cogs.compare_flow import CompareFlow
from gpuscout.cards.compare_state import CompareAction, CompareState, pack, unpack
from gpuscout.cards.state import BadState
from gpuscout.market.models import QuoteFlag, SeriesKey
from gpuscout.market.ports import RANGES
from tests.cogs.conftest import Scene, answers, buttons, pictures, selects, texts
from tests.fakes import SEEN, World, quote, side

pytestmark = pytest.mark.simcord(shard_count=1)


async def test_models_on_one_chart(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "compare", gpus="RTX 4090, RTX 5090")

    assert not result.ephemeral
    text = texts(result.response)
    assert (
        "## Compared: Price\n-# Vast.ai · on-demand · All machines · as of <t:1767225016:R> · changes over 7 d" in text
    )
    assert "🟦 **RTX 4090** $0.335/h · ▲ +2.0%\n-# 4,986 GPUs · 48% rented" in text
    assert "🟧 **RTX 5090** $0.40/h · ▲ +2.0%\n-# 3,612 GPUs · 67% rented" in text
    (picture,) = pictures(result.response)
    assert [attachment.filename for attachment in result.response.attachments] == ["compare-price-7d.webp"]
    (spec,) = world.charts.specs
    assert [series.label for series in spec.panels[0].series] == ["RTX 4090", "RTX 5090"]
    assert spec.panels[0].unit == "usd_per_hour"
    assert spec.subtitle == "Vast.ai · on-demand · All machines"
    assert "RTX 5090: " in picture["description"]
    assert list(buttons(result.response)) == ["24 h", "7 d", "30 d", "90 d", "1 y", "2 y", "Refresh", "Show data"]
    assert buttons(result.response)["7 d"]["style"] == 1
    assert world.usage.outcomes == [("compare", "slash", "ok")]


@pytest.mark.parametrize(
    ("typed", "shared", "labels"),
    [
        ("RTX 4090 vast, runpod", "RTX 4090 · on-demand · All machines", ["Vast.ai", "RunPod"]),
        ("vast, RTX 4090 runpod", "RTX 4090 · on-demand · All machines", ["Vast.ai", "RunPod"]),
        ("4090 verified, unverified", "RTX 4090 · Vast.ai · on-demand", ["Verified machines", "Unverified machines"]),
        ("4090 on-demand vast; RTX 3060", "Vast.ai · on-demand · All machines", ["RTX 4090", "RTX 3060"]),
        (
            "RTX 4090 verified, RTX 5090",
            "Vast.ai · on-demand",
            ["RTX 4090 · Verified machines", "RTX 5090 · All machines"],
        ),
        ("4090 runpod vs 5090", "on-demand · All machines", ["RTX 4090 · RunPod", "RTX 5090 · Vast.ai"]),
        ("4090, 4090, RTX 4090", "RTX 4090 · on-demand · All machines", ["Vast.ai", "RunPod"]),
        ("RTX 4090", "RTX 4090 · on-demand · All machines", ["Vast.ai", "RunPod"]),
        (
            "RTX 4090 vast",
            "RTX 4090 · Vast.ai · on-demand",
            ["All machines", "Verified machines", "Unverified machines"],
        ),
        ("RTX 5090", "Vast.ai · on-demand · All machines", ["RTX 5090"]),
        (
            "Frobnicator 9000, quadro rtx 4000",
            "Vast.ai · on-demand · All machines",
            ["Frobnicator 9000", "Quadro RTX 4000"],
        ),
    ],
)
async def test_lists(scene: Scene, typed: str, shared: str, labels: list[str]) -> None:
    result = await scene.alice.slash(scene.channel, "compare", gpus=typed)
    text = texts(result.response)
    assert f"-# {shared} · as of" in text
    assert [line.split("**")[1] for line in text.split("\n") if "**" in line] == labels


async def test_tiers_stay_apart(scene: Scene, world: World) -> None:
    for tier, price in (("community", 0.34), ("secure", 0.59)):
        made = quote("rtx-4090", side(20, price), side(20, price), side(40, price), platform="runpod")
        world.market.stored.append(replace(made, key=replace(made.key, tier=tier)))
    text = texts((await scene.alice.slash(scene.channel, "compare", gpus="4090 runpod community, secure")).response)
    assert "**community cloud** $0.34/h" in text
    assert "**secure cloud** $0.59/h" in text


@pytest.mark.parametrize(
    ("metric", "unit", "first"),
    [
        ("price", "usd_per_hour", "🟦 **RTX 4090** $0.335/h · ▲ +2.0%"),
        ("utilization", "ratio", "🟦 **RTX 4090** 48% rented · ▲ +1.2 points"),
        ("demand", "count", "🟦 **RTX 4090** 61 of 100 · ▲ +1.4 points"),
        ("earnings", "usd_per_day", "🟦 **RTX 4090** $2.12/day · ▲ +$0.11"),
    ],
)
async def test_figures_by_option_and_by_menu(scene: Scene, world: World, metric: str, unit: str, first: str) -> None:
    asked = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090", metric=metric)
    other = "price" if metric != "price" else "demand"
    shown = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090", metric=other)

    await scene.alice.select(shown.response, [metric])

    for message in (asked.response, shown.response):
        assert first in texts(message)
        (menu,) = selects(message)
        assert [option["value"] for option in menu["options"] if option.get("default")] == [metric]
    assert world.charts.specs[0].panels[0].unit == unit


async def test_earnings_name_what_is_missing_and_use_the_members_tariff(scene: Scene, world: World) -> None:
    await world.member_rows.put(scene.alice.id, {"tariff": 0.5}, SEEN)
    result = await scene.alice.slash(
        scene.channel, "compare", gpus="5090, 4090 runpod, Frobnicator 9000", metric="earnings"
    )
    text = texts(result.response)
    assert "🟦 **RTX 5090 · Vast.ai** $0.20/day" in text
    assert "▫️ **RTX 4090 · RunPod** no new host can go there" in text
    assert "▫️ **Frobnicator 9000 · Vast.ai** board power not known" in text
    assert "your tariff of $0.50/kWh" in text
    assert len(world.charts.specs[0].panels[0].series) == 1


@pytest.mark.parametrize("name", list(RANGES))
async def test_range_buttons_edit_the_same_card(scene: Scene, world: World, name: str) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090", range="2y" if name == "7d" else "7d")
    label = name[:-1] + " " + name[-1]

    await scene.alice.click(card.response, label=label)

    assert len(scene.channel.history()) == 1
    assert buttons(card.response)[label]["style"] == 1
    assert f"· changes over {label}" in texts(card.response)
    assert world.charts.specs[-1].end - world.charts.specs[-1].start == RANGES[name].total_seconds()
    assert [a.filename for a in card.response.attachments] == [f"compare-price-{name}.webp"]


async def test_refresh_shows_new_figures_and_keeps_figure_and_range(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090", range="30d", metric="utilization")
    world.market.stored = [
        replace(q, rented=replace(q.rented, count=q.all.count)) if q.key.gpu == "rtx-5090" else q
        for q in world.market.stored
    ]
    await scene.alice.click(card.response, label="Refresh")
    assert "**RTX 5090** 100% rented" in texts(card.response)
    assert buttons(card.response)["30 d"]["style"] == 1


async def test_show_data_answers_privately_with_the_rows_of_each(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090")
    shown = await scene.bob.click(card.response, label="Show data")
    assert shown.ephemeral
    text = texts(shown.response)
    assert "**RTX 4090**\n```\nseen   read   $/h    rented\n2025-12-31\n23:50 23:50 0.335 2402/4986\n" in text
    assert "**RTX 5090**" in text
    assert "Source: 500.farm · Method: version 1" in text


async def test_a_stranger_gets_an_own_copy(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090")
    copy = await scene.bob.click(card.response, label="30 d")
    assert copy.ephemeral
    assert buttons(copy.response)["30 d"]["style"] == 1
    assert buttons(card.response)["7 d"]["style"] == 1
    again = await scene.bob.select(copy.response, ["demand"])
    assert not again.followups
    assert "Compared: Demand" in texts(copy.response)


async def test_controls_work_after_a_restart(scene: Scene, make_bot: Callable[[], Any]) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090 vast, runpod, 5090, 3060")
    await scene.env.restart_bot(make_bot())
    await scene.alice.click(card.response, label="2 y")
    await scene.alice.select(card.response, ["utilization"])
    assert buttons(card.response)["2 y"]["style"] == 1
    assert texts(card.response).count("rented · ") == 4
    assert not scene.env.bot._connection._view_store._views


async def test_a_series_that_left_the_market_keeps_its_line(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090 vast, 5090")
    world.market.stored = [q for q in world.market.stored if q.key.gpu != "rtx-5090"]
    await scene.alice.click(card.response, label="Refresh")
    text = texts(card.response)
    assert "**RTX 4090** $0.335/h" in text
    assert "**RTX 5090** not listed now" in text


async def test_history_of_what_is_not_listed_any_more(scene: Scene, world: World) -> None:
    for tier, price in (("secure", 0.59), ("community", 0.34)):
        made = quote("rtx-3090", side(0, price), side(0, price), side(0, price), platform="runpod")
        ended = replace(made, key=replace(made.key, tier=tier), at=SEEN - timedelta(days=150))
        world.market.archive.append(ended)
    text = texts(
        (await scene.alice.slash(scene.channel, "compare", gpus="3090 runpod secure, community", range="1y")).response
    )
    assert "-# RTX 3090 · RunPod · All machines · changes over 1 y" in text
    assert "🟦 **secure cloud** not listed now\n-# last $0.59/h · <t:" in text
    assert "🟧 **community cloud** not listed now\n-# last $0.34/h · <t:" in text
    assert len(world.charts.specs[0].panels[0].series) == 2
    alone = texts((await scene.alice.slash(scene.channel, "compare", gpus="RTX 3090")).response)
    assert "**secure cloud**" in alone and "**community cloud**" in alone


async def test_remarks(scene: Scene, world: World) -> None:
    world.market.stored = [
        replace(q, at=SEEN - timedelta(hours=2), flags=q.flags | QuoteFlag.OUTLIER)
        if q.key.gpu == "rtx-5090"
        else replace(q, at=SEEN - timedelta(hours=2))
        for q in world.market.stored
    ]
    world.market.simulated = True
    world.market.stored = [replace(q, source="simulator") for q in world.market.stored]
    text = texts((await scene.alice.slash(scene.channel, "compare", gpus="5090, Frobnicator 9000")).response)
    assert "`SIMULATED`" in text
    assert "Stale: the source was last heard" in text
    assert "**RTX 5090** not known" in text
    assert "⚠️ outlier" in text
    assert "⚠️ thin sample" in text


async def test_without_a_renderer_the_figures_stand_alone(scene: Scene, world: World) -> None:
    world.charts.failing = True
    result = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090")
    text = texts(result.response)
    assert "▫️ **RTX 4090** $0.335/h" in text
    assert "The chart is unavailable right now; the figures are complete." in text
    assert not pictures(result.response)


async def test_a_chart_is_drawn_once_for_a_data_version(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090")
    await scene.bob.slash(scene.channel, "compare", gpus="RTX 4090, RTX 5090")
    assert len(world.charts.specs) == 1
    assert "🟧 **RTX 5090**" in texts(card.response), "the colours are known without reading history again"
    world.market.data_version += 1
    await scene.alice.click(card.response, label="Refresh")
    assert len(world.charts.specs) == 2


async def test_a_slow_chart_is_acknowledged(scene: Scene, world: World) -> None:
    world.charts.delay = 0.2
    await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090")
    assert answers(scene.env)[0][2] == 5


@pytest.mark.simcord(shard_count=1, check_errors=False)
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("RTX 4900, 5090", "I don't know a GPU called “RTX 4900”. Did you mean **RTX 4090**"),
        ("4090 vats, 5090", "I don't know a platform called “vats”. Did you mean **Vast.ai**"),
        ("vast, runpod", "Name a GPU"),
        (" , ;", "Name a GPU"),
        ("4090, 5090, 3060, 3070, 3080, 3090, 4080", "I compare at most 6 at once"),
        ("RTX 4090 salad", "There are no RTX 4090 quotes for salad. There are for **RunPod**, **Vast.ai**."),
        ("RTX 4090, B200", "Nobody lists a B200 right now."),
        ("@everyone **x**", "I don't know a GPU called"),
    ],
)
async def test_what_is_not_understood_is_said_privately(scene: Scene, typed: str, said: str) -> None:
    result = await scene.alice.slash(scene.channel, "compare", gpus=typed)
    assert result.ephemeral
    assert said in texts(result.response)
    assert "@everyone" not in texts(result.response)


@pytest.mark.simcord(shard_count=1, check_errors=False)
async def test_old_data_are_hidden_here_too(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090")
    world.market.stored = [replace(q, at=SEEN - timedelta(hours=5)) for q in world.market.stored]
    for result in (
        await scene.alice.slash(scene.channel, "compare", gpus="4090, 5090"),
        await scene.alice.click(card.response, label="Refresh"),
    ):
        assert "Data temporarily unavailable" in texts(result.response)
    shown = await scene.alice.click(card.response, label="Show data")
    assert "Stored rows" in texts(shown.response)


async def test_a_digest_of_nothing_is_refused(scene: Scene) -> None:
    flow = scene.env.bot.get_cog("Compare").flow
    assert isinstance(flow, CompareFlow)
    known, unknown = SeriesKey("vast", "rtx-4090"), SeriesKey("vast", "x-nobody-knows")
    for key, found in ((known, True), (unknown, False)):
        packed = unpack(pack(CompareState(1, (key,)), CompareAction.REFRESH))
        if found:
            assert (await flow.reopen(packed)).keys == (key,)
        else:
            with pytest.raises(BadState, match="not known"):
                await flow.reopen(packed)
