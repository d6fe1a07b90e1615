"""``/market``: rankings, pages, controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpuscout.cards.market_state import VIEWS
from gpuscout.market.models import MarketUnavailable, SeriesKey
from gpuscout.market.overview import Gone
from tests.cogs.conftest import Scene, buttons, components, selects, texts
from tests.fakes import NOW, SEEN, World, quote, side

pytestmark = pytest.mark.simcord(shard_count=1)

PAGER = ("⏮", "◀", "▶", "⏭")


def crowd(world: World, count: int) -> None:
    """*count* models of the catalogue, each dearer and rarer than the one before."""
    models = [model for model in world.market.catalogue.models if not model.is_family][:count]
    world.market.stored = [
        quote(model.slug, side(50, 0.1 + n / 100), side(150 - n, 0.1 + n / 100), side(200 - n, 0.1 + n / 100))
        for n, model in enumerate(models)
    ]


def pager(message: Any) -> dict[str, dict[str, Any]]:
    """The pager's buttons by sign, the page number under ``n``."""
    found = {}
    for component in components(message):
        if component["type"] == 2 and component.get("custom_id", "").startswith("market1.page|"):
            found["n" if component.get("label") else component["emoji"]["name"]] = component
    return found


def menu(message: Any, name: str) -> dict[str, Any]:
    return next(select for select in selects(message) if select["custom_id"].startswith(f"market1.{name}|"))


async def test_at_a_glance(scene: Scene, world: World) -> None:
    world.market.past = {"rtx-5090": 0.9, "rtx-3060": 1.1}
    world.market.first_seen = {"rtx-5090": NOW - timedelta(days=2)}
    world.market.gone = [Gone(SeriesKey("vast", "gtx-1080"), "GTX 1080", NOW - timedelta(days=3), 0.04, 12)]

    result = await scene.alice.slash(scene.channel, "market")

    assert not result.ephemeral
    text = texts(result.response)
    assert "5 models · 9,947 GPUs · 55% rented · as of <t:1767225016:R>\n-# Vast.ai where no place is named" in text
    assert "### Up in 24 h\n▲ +10.0% **RTX 3060** $0.055/h" in text
    assert "### Down in 24 h\n▼ −10.0% **RTX 5090** $0.40/h" in text
    assert "### Most rented\n77% rented **RTX 4090** (RunPod) $0.61/h" in text
    assert "### Best earners\n$3.41/day **RTX 5090** $0.40/h" in text
    assert "after electricity at an assumed $0.15/kWh (</settings:" in text
    assert "### New models\n**RTX 5090**" in text
    assert "### Vanished models\n**GTX 1080**" in text
    assert "[500.farm](<https://500.farm>)" in text
    assert "https://gpuscout.example/methodology" in text
    assert pager(result.response) == {}
    assert world.usage.outcomes == [("market", "slash", "ok")]


@pytest.mark.parametrize("view", VIEWS)
async def test_every_ranking_by_option_and_by_menu(scene: Scene, world: World, view: str) -> None:
    world.market.past = {"rtx-5090": 0.9}
    asked = await scene.alice.slash(scene.channel, "market", sort=view)
    shown = await scene.alice.slash(scene.channel, "market", sort="supply" if view != "supply" else "up-7d")

    await scene.alice.select(shown.response, [view], custom_id=menu(shown.response, "view")["custom_id"])

    assert texts(asked.response) == texts(shown.response)
    chosen = [option["value"] for option in menu(shown.response, "view")["options"] if option.get("default")]
    assert chosen == [view]


@pytest.mark.parametrize(
    ("sort", "first", "behind"),
    [
        ("up-24h", "**1. RTX 4090** · ▲ +2.0%", "-# $0.335/h · 48% rented · 4,986 GPUs"),
        ("utilization", "**1. RTX 4090** · 77% rented", "-# $0.61/h · ▲ +2.0% · 52 GPUs · RunPod"),
        ("earnings", "**1. RTX 5090** · $3.41/day", "-# $0.40/h · ▲ +2.0% · 67% rented · 3,612 GPUs"),
        ("supply", "**1. RTX 4090** · 4,986 GPUs", "-# $0.335/h · ▲ +2.0% · 48% rented"),
        ("demand", "**1. RTX 4090** · 61 of 100", "-# $0.335/h · ▲ +2.0% · 48% rented · 4,986 GPUs"),
    ],
)
async def test_entries(scene: Scene, sort: str, first: str, behind: str) -> None:
    text = texts((await scene.alice.slash(scene.channel, "market", sort=sort)).response)
    assert f"{first}\n{behind}" in text


async def test_thin_samples_come_last_and_are_marked(scene: Scene) -> None:
    text = texts((await scene.alice.slash(scene.channel, "market", sort="utilization")).response)
    lines = [line for line in text.split("\n") if line.startswith("**")]
    assert [line.split("**")[1] for line in lines[-2:]] == ["5. Frobnicator 9000", "6. Quadro RTX 4000"]
    assert text.count("⚠️ thin sample") == 2


@pytest.mark.parametrize(
    ("sort", "said"),
    [
        ("down-24h", "No price fell within 24 h"),
        ("new", "No model was listed for the first time within 7 days."),
        ("gone", "No model vanished within 7 days."),
    ],
)
async def test_empty_rankings_say_so(scene: Scene, sort: str, said: str) -> None:
    result = await scene.alice.slash(scene.channel, "market", sort=sort)
    assert said in texts(result.response)
    assert len(selects(result.response)) == 1, "no card to open"


async def test_gone_models(scene: Scene, world: World) -> None:
    world.market.gone = [Gone(SeriesKey("vast", "gtx-1080"), "GTX 1080", NOW - timedelta(days=3), 0.04, 12)]
    text = texts((await scene.alice.slash(scene.channel, "market", sort="gone")).response)
    assert "**1. GTX 1080** · last listed <t:1766966401:R>\n-# last $0.04/h · 12 GPUs" in text


async def test_a_members_own_tariff(scene: Scene, world: World) -> None:
    await world.member_rows.put(scene.alice.id, {"tariff": 0.5}, NOW)
    text = texts((await scene.alice.slash(scene.channel, "market", sort="earnings")).response)
    # 24 h × 2404/3612 × (0.40 × 0.75 − 0.575 kW × 0.50)
    assert "RTX 5090** · $0.20/day" in text
    assert "your tariff of $0.50/kWh" in text


async def test_pages_turn_in_place(scene: Scene, world: World) -> None:
    crowd(world, 20)
    card = await scene.alice.slash(scene.channel, "market", sort="supply")
    assert "Page 1 of 3 (20 entries)" in texts(card.response)
    assert list(pager(card.response)) == ["⏮", "◀", "n", "▶", "⏭"]
    assert pager(card.response)["n"]["label"] == "1/3"
    assert [pager(card.response)[sign]["disabled"] for sign in PAGER] == [True, True, False, False]

    for sign, page, entry in (("▶", 2, "**9. "), ("⏭", 3, "**17. "), ("◀", 2, "**9. "), ("⏮", 1, "**1. ")):
        await scene.alice.click(card.response, custom_id=pager(card.response)[sign]["custom_id"])
        assert f"Page {page} of 3" in texts(card.response)
        assert entry in texts(card.response)
    await scene.alice.click(card.response, custom_id=pager(card.response)["⏭"]["custom_id"])
    assert [pager(card.response)[sign]["disabled"] for sign in PAGER] == [False, False, True, True]
    assert len(scene.channel.history()) == 1


async def test_a_page_by_number(scene: Scene, world: World) -> None:
    crowd(world, 20)
    card = await scene.alice.slash(scene.channel, "market", sort="supply")
    form = await scene.alice.click(card.response, custom_id=pager(card.response)["n"]["custom_id"])

    await scene.alice.submit_modal(form, {"page": " 3"})

    assert "Page 3 of 3" in texts(card.response)
    assert len(scene.channel.history()) == 1
    assert world.usage.outcomes[-2:] == [("market1.page page", "component", "ok")] * 2


@pytest.mark.simcord(shard_count=1, check_errors=False)
@pytest.mark.parametrize("typed", ["0", "4", "two", "-1", "٣", "9999"])
async def test_what_is_no_page(scene: Scene, world: World, typed: str) -> None:
    crowd(world, 20)
    card = await scene.alice.slash(scene.channel, "market", sort="supply")
    form = await scene.alice.click(card.response, custom_id=pager(card.response)["n"]["custom_id"])

    result = await scene.alice.submit_modal(form, {"page": typed})

    assert result.ephemeral
    assert "Give a page from 1 to 3." in texts(result.response)
    assert "Page 1 of 3" in texts(card.response)


async def test_a_list_that_became_shorter_shows_its_last_page(scene: Scene, world: World) -> None:
    crowd(world, 20)
    card = await scene.alice.slash(scene.channel, "market", sort="supply")
    crowd(world, 10)
    await scene.alice.click(card.response, custom_id=pager(card.response)["⏭"]["custom_id"])
    assert "Page 2 of 2 (10 entries)" in texts(card.response)
    crowd(world, 3)
    await scene.alice.click(card.response, label="Refresh")
    assert "Page" not in texts(card.response)
    assert pager(card.response) == {}


async def test_refresh_keeps_the_page(scene: Scene, world: World) -> None:
    crowd(world, 20)
    card = await scene.alice.slash(scene.channel, "market", sort="supply")
    await scene.alice.click(card.response, custom_id=pager(card.response)["▶"]["custom_id"])
    world.market.stored = [replace(q, all=replace(q.all, median=9.87)) for q in world.market.stored]
    await scene.alice.click(card.response, label="Refresh")
    assert "Page 2 of 3" in texts(card.response)
    assert "$9.87/h" in texts(card.response)


async def test_an_entry_opens_its_price_card_privately(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "market", sort="utilization")
    options = menu(card.response, "open")["options"]
    assert options[0] == {
        "label": "RTX 4090",
        "value": "runpod/rtx-4090",
        "description": "$0.61/h · RunPod",
        "default": False,
    }

    opened = await scene.bob.select(
        card.response, ["runpod/rtx-4090"], custom_id=menu(card.response, "open")["custom_id"]
    )

    assert opened.ephemeral
    assert "RTX 4090 on RunPod" in texts(opened.response)
    await scene.bob.click(opened.response, label="30 d")
    assert buttons(opened.response)["30 d"]["style"] == 1
    assert "Most rented" in texts(card.response)


async def test_a_stranger_gets_an_own_copy(scene: Scene, world: World) -> None:
    crowd(world, 20)
    card = await scene.alice.slash(scene.channel, "market", sort="supply")

    copy = await scene.bob.click(card.response, custom_id=pager(card.response)["▶"]["custom_id"])

    assert copy.ephemeral
    assert "Page 2 of 3" in texts(copy.response)
    assert "Page 1 of 3" in texts(card.response)
    again = await scene.bob.click(copy.response, custom_id=pager(copy.response)["▶"]["custom_id"])
    assert not again.followups
    assert "Page 3 of 3" in texts(copy.response)


async def test_controls_work_after_a_restart(scene: Scene, world: World, make_bot: Callable[[], Any]) -> None:
    crowd(world, 20)
    card = await scene.alice.slash(scene.channel, "market", sort="supply")
    await scene.env.restart_bot(make_bot())
    await scene.alice.click(card.response, custom_id=pager(card.response)["▶"]["custom_id"])
    assert "Page 2 of 3" in texts(card.response)
    assert not scene.env.bot._connection._view_store._views


async def test_simulated_badge(scene: Scene, world: World) -> None:
    world.market.simulated = True
    text = texts((await scene.alice.slash(scene.channel, "market")).response)
    assert "`SIMULATED`" in text
    assert "Simulated market: no real prices." in text


async def test_stale_data_say_so(scene: Scene, world: World) -> None:
    world.market.stored = [replace(q, at=SEEN - timedelta(hours=2)) for q in world.market.stored]
    text = texts((await scene.alice.slash(scene.channel, "market")).response)
    assert "Stale: the source was last heard <t:1767217816:R>." in text


@pytest.mark.simcord(shard_count=1, check_errors=False)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MarketUnavailable(SEEN), "Data temporarily unavailable"),
        (MarketUnavailable(None, timedelta(seconds=40)), "First data in about 40 s"),
        (RuntimeError("gone"), "Something went wrong on my side"),
    ],
)
async def test_errors_are_private(scene: Scene, world: World, error: Exception, said: str) -> None:
    world.market.error = error
    result = await scene.alice.slash(scene.channel, "market")
    assert result.ephemeral
    assert said in texts(result.response)


@pytest.mark.simcord(shard_count=1, check_errors=False)
async def test_a_forged_choice_is_refused(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "market", sort="utilization")
    world.market.stored = [q for q in world.market.stored if q.key.gpu != "rtx-5090"]
    result = await scene.alice.select(
        card.response, ["vast/rtx-5090"], custom_id=menu(card.response, "open")["custom_id"]
    )
    assert result.ephemeral
    assert "This card is too old to answer" in texts(result.response)
