"""The controls of a price card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gpuscout.market.ports import RANGES
from tests.cogs.conftest import Scene, buttons, selects, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1)


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
    assert "<t:1767225016:d> <t:1767225016:T>" in text
    assert "<t:1767225040:T>" in text
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
