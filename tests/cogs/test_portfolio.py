"""``/portfolio add, show, edit, remove``: for the member alone, of his own holdings alone, honest about gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.client import ScoutBot
from gpuscout.portfolio.models import UNDO_FOR
from tests.cogs.conftest import Scene, buttons, components, pictures, selects, texts
from tests.fake_portfolio import GONE, MACHINE
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)

RIG = {"gpu": "rtx-4090", "quantity": 8, "price": 0.35, "platform": "vast", "name": "Rig 1"}


async def add(scene: Scene, **options: Any) -> Any:
    return await scene.alice.slash(scene.channel, "portfolio add", **{**RIG, **options})


def only(world: World) -> dict[str, Any]:
    (row,) = [row for row in world.holding_rows.rows.values() if row["removed_at"] is None]
    return row


async def test_an_empty_portfolio_teaches(scene: Scene, world: World) -> None:
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    assert shown.ephemeral
    assert "Your portfolio is empty" in texts(shown.response)
    assert "portfolio add:" in texts(shown.response)
    assert list(buttons(shown.response)) == ["Add a rig", "Import CSV", "Template"]
    assert world.holding_rows.rows == {}


async def test_a_new_rig_is_shown_with_its_sum(scene: Scene, world: World) -> None:
    shown = await add(scene, electricity=0.15)
    assert shown.ephemeral
    text = texts(shown.response)
    assert "✅ Added to your portfolio." in text
    assert "## Rig 1: 8 × RTX 4090" in text
    # 8 × 0.35 × 24 × share; a quarter is the fee, 450 W at 0.15 the electricity
    row = only(world)
    assert (row["member_id"], row["gpu"], row["quantity"], row["asked_price"]) == (scene.alice.id, "rtx-4090", 8, 0.35)
    view = await world.portfolios().value(scene.alice.id)
    share, net = view.holdings[0].asked.utilization.value, view.holdings[0].net_day  # type: ignore[union-attr]
    assert share is not None and net is not None
    assert net == pytest.approx(8 * 24 * share * (0.35 * 0.75 - 0.45 * 0.15))
    assert f"${net:.2f}/day net expected" in text
    assert "8 GPUs × $0.35 × 24 h × " in text
    assert "$0.35 is inside the market's $0.26 to $0.43 (p10–p90), 53% of the way up" in text


async def test_every_option_is_stored(scene: Scene, world: World) -> None:
    await add(
        scene,
        tier="on-demand",
        segment="dc:8+",
        verification="verified",
        region="global",
        power=320.0,
        electricity=0.2,
        fee=20.0,
        purchase_price=16_000.0,
        purchase_date="1.3.2025",
        mining=0.4,
    )
    row = only(world)
    assert (row["segment"], row["verification"], row["region"], row["tier"]) == (
        "dc:8+",
        "verified",
        "global",
        "on-demand",
    )
    assert (row["power_w"], row["tariff"], row["fee"], row["mining_usd_day"]) == (320.0, 0.2, 0.2, 0.4)
    assert (row["purchase_price"], str(row["purchased_on"])) == (16_000.0, "2025-03-01")


async def test_a_machine_alone_is_taken_from_the_market(scene: Scene, world: World) -> None:
    shown = await scene.alice.slash(scene.channel, "portfolio add", machine=MACHINE, name="Garage")
    text = texts(shown.response)
    assert "Garage: 8 × RTX 4090" in text
    assert f"Machine {MACHINE}: 4 of 8 GPUs rented · reliability 99.7%" in text
    row = only(world)
    assert (row["machine_id"], row["asked_price"], row["region"]) == (MACHINE, 0.3467, "de")


async def test_a_machine_that_left_the_market_says_so(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, "portfolio add", machine=GONE)
    assert f"Machine {GONE}: gone from the list since" in texts(shown.response)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"machine": 999}, "The market does not list a machine 999; check its number"),
        ({"machine": MACHINE, "price": 0.4}, "With machine leave out GPU, quantity, price"),
        ({"machine": MACHINE, "gpu": "rtx-4090"}, "With machine leave out GPU"),
        ({"gpu": "RTX 4900"}, "I don't know a GPU called “RTX 4900”. Did you mean"),
        ({"gpu": "rtx-4090", "platform": "nowhere"}, "I don't know a platform called “nowhere”"),
        ({"gpu": "rtx-4090", "region": "Atlantis"}, "no prices for a region called “Atlantis”"),
        (
            {"gpu": "rtx-4090", "purchase_date": "soon"},
            "“soon” is no day for the day of purchase; write it like 2025-12-31.",
        ),
        ({"gpu": "rtx-4090", "purchase_date": "2031-01-01"}, "“2031-01-01” lies in the future"),
        ({"gpu": "rtx-4090", "purchase_date": "1999-01-01"}, "“1999-01-01” is too early"),
    ],
)
async def test_refusals_store_nothing(scene: Scene, world: World, options: dict[str, Any], said: str) -> None:
    shown = await scene.alice.slash(scene.channel, "portfolio add", **options)
    assert shown.ephemeral
    assert said in texts(shown.response)
    assert world.holding_rows.rows == {}


async def test_the_same_machine_twice_is_refused(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "portfolio add", machine=MACHINE)
    shown = await scene.alice.slash(scene.channel, "portfolio add", machine=MACHINE)
    assert "This machine is in your portfolio already" in texts(shown.response)
    assert len(world.holding_rows.rows) == 1


async def test_the_limit_names_the_plan_that_lifts_it(scene: Scene, world: World) -> None:
    for _ in range(10):
        await add(scene)
    shown = await add(scene)
    assert "Free allows 10 holdings; Individual allows 50." in texts(shown.response)
    assert len(world.holding_rows.rows) == 10
    world.tiers.tiers[scene.alice.id] = "individual"
    await add(scene)
    assert len(world.holding_rows.rows) == 11


async def test_pages_beyond_ten_holdings(scene: Scene, world: World) -> None:
    world.tiers.tiers[scene.alice.id] = "individual"
    for number in range(12):
        await add(scene, name=f"Rig {number + 1}")
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    assert "Page 1 of 2 (12 entries)" in texts(shown.response)
    assert "Rig 10" in texts(shown.response) and "Rig 11" not in texts(shown.response)
    assert len(selects(shown.response)[0]["options"]) == 10
    assert "12 holdings, 96 GPUs" in texts(shown.response)
    next_page = next(c for c in components(shown.response) if "|next." in c.get("custom_id", ""))
    await scene.alice.click(shown.response, custom_id=next_page["custom_id"])
    assert "**12. Rig 12: 8 × RTX 4090**" in texts(shown.response)
    assert "**11." in texts(shown.response) and "**10." not in texts(shown.response)


async def test_ten_long_holdings_fit_one_card(scene: Scene) -> None:
    for number in range(10):
        await add(
            scene, name=f"**{number}** [x](y) {'long ' * 10}"[:60], purchase_price=16_000.0, purchase_date="2025-03-01"
        )
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    text = texts(shown.response)
    assert all(f"**{number}." in text for number in range(1, 11))
    assert len(text) <= 4000


async def test_a_name_is_no_markup(scene: Scene) -> None:
    shown = await add(scene, name="**@everyone** [free](http://x)")
    text = texts(shown.response)
    assert "@everyone" not in text
    assert "\\*\\*@\u200beveryone\\*\\* \\[free\\](http:\u200b//x)" in text


async def test_what_cannot_be_valued_says_why(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "portfolio add", gpu="h100-sxm", platform="vast")
    assert "None of them can be valued" in texts((await scene.alice.slash(scene.channel, "portfolio show")).response)
    await add(scene, gpu="rtx-4090", platform="runpod", price=0.6)
    text = texts((await scene.alice.slash(scene.channel, "portfolio show")).response)
    assert "No net value: what the platform keeps is not known; enter the fee of your contract." in text


async def test_totals_leave_out_what_is_not_valued(scene: Scene) -> None:
    await add(scene)
    await scene.alice.slash(scene.channel, "portfolio add", gpu="h100-sxm", platform="vast")
    text = texts((await scene.alice.slash(scene.channel, "portfolio show")).response)
    assert "2 holdings, 9 GPUs · 1 of them not valued" in text


async def test_old_data_are_called_stale(scene: Scene, world: World) -> None:
    world.market.stored = [replace(quote, at=NOW - timedelta(hours=2)) for quote in world.market.stored]
    assert "⚠️ Stale: the source was last heard <t:" in texts((await add(scene)).response)
    assert "⚠️ Stale: " in texts((await scene.alice.slash(scene.channel, "portfolio show")).response)


async def test_the_members_currency_stands_beside_dollars(scene: Scene) -> None:
    await scene.alice.slash(scene.channel, "settings", currency="EUR")
    assert "≈ €" in texts((await add(scene)).response)
    assert "at 0.8600 EUR for $1" in texts((await scene.alice.slash(scene.channel, "portfolio show")).response)


# --- the chart ---


async def test_no_history_and_one_day_are_said_honestly(scene: Scene, world: World) -> None:
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    assert "No chart yet: your portfolio's value is noted once a day" in texts(shown.response)
    world.holding_rows.remember_days(scene.alice.id, NOW, 1)
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    assert "No chart yet: one day is noted so far, Jan 1, 2026 with $18.00/day." in texts(shown.response)
    assert world.charts.specs == []


async def test_ranges_of_the_chart(scene: Scene, world: World) -> None:
    await add(scene)
    await scene.alice.slash(scene.channel, "settings", timezone="Asia/Tokyo")
    world.holding_rows.remember_days(scene.alice.id, NOW, 60)
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    assert len(pictures(shown.response)) == 1
    spec = world.charts.specs[-1]
    assert [series.key for series in spec.panels[0].series] == ["net", "market"]
    assert len(spec.panels[0].series[0].times) == 31
    assert spec.end - spec.start == pytest.approx(30 * 86_400, abs=2)
    assert spec.timezone == "Asia/Tokyo"
    await scene.alice.click(shown.response, label="90 d")
    assert len(world.charts.specs[-1].panels[0].series[0].times) == 60
    assert [label for label, b in buttons(shown.response).items() if b["style"] == 1] == ["90 d", "Add a rig"]
    await scene.alice.click(shown.response, label="7 d")
    assert len(world.charts.specs[-1].panels[0].series[0].times) == 8


async def test_a_chart_that_fails_leaves_the_figures(scene: Scene, world: World) -> None:
    world.charts.failing = True
    await add(scene)
    world.holding_rows.remember_days(scene.alice.id, NOW, 9)
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    assert "The chart is unavailable right now; the figures are complete." in texts(shown.response)


# --- one holding ---


async def test_open_a_holding_and_go_back(scene: Scene, world: World) -> None:
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    await scene.alice.select(shown.response, [only(world)["id"]])
    assert "## Rig 1: 8 × RTX 4090" in texts(shown.response)
    assert list(buttons(shown.response)) == [
        "Edit",
        "Purchase and costs",
        "Remove",
        "Alert me",
        "Advice",
        "How is this computed?",
        "Whole portfolio",
    ]
    await scene.alice.click(shown.response, label="Whole portfolio")
    assert "## Your portfolio" in texts(shown.response)


async def test_how_it_is_computed_names_every_input(scene: Scene) -> None:
    shown = await add(scene, electricity=0.15)
    how = await scene.alice.click(shown.response, label="How is this computed?")
    assert how.ephemeral
    text = texts(how.response)
    for line in (
        "Gross a day = 24 h × GPUs × utilization × price = **$",
        "Net a day = gross − fee − electricity = **$",
        "- asked price: **$0.3500 per GPU-hour** · entered by you",
        "- platform's fee: **25.00%** · from the catalogue",
        "- board power of one GPU: **450 W** · from the catalogue",
        "- electricity price: **$0.1500/kWh** · entered by you",
        "- market's median: **$0.3350 per GPU-hour** · [500.farm](<https://500.farm>) · as of <t:1767225016:R>",
    ):
        assert line in text


async def test_how_the_totals_are_computed(scene: Scene) -> None:
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    how = await scene.alice.click(shown.response, label="How is this computed?")
    text = texts(how.response)
    assert how.ephemeral
    assert "those of the one holding that can be valued" in text
    assert "**Rig 1: 8 × RTX 4090**\n8 GPUs × $0.35 × 24 h ×" in text


async def test_alert_me_opens_the_alert_form_for_the_holdings_machines(scene: Scene) -> None:
    shown = await add(scene, verification="verified", segment="dc:8+")
    form = await scene.alice.click(shown.response, label="Alert me")
    assert form.modal is not None
    assert form.modal["title"] == "Alert me: RTX 4090"


async def test_what_nobody_lists_has_no_alert_button(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, "portfolio add", gpu="h100-sxm", platform="vast")
    assert "Alert me" not in buttons(shown.response)


# --- edit, remove, undo ---


async def test_own_holdings_are_completed_and_nobody_elses(scene: Scene, world: World) -> None:
    await add(scene)
    await scene.bob.slash(scene.channel, "portfolio add", gpu="rtx-5090", name="Secret")
    choices = await scene.alice.autocomplete(scene.channel, "portfolio edit", "holding", "")
    assert [choice["name"] for choice in choices] == ["Rig 1: 8 × RTX 4090 · Vast.ai · $0.35/h"]
    assert await scene.alice.autocomplete(scene.channel, "portfolio remove", "holding", "secret") == []


async def test_edit_by_options(scene: Scene, world: World) -> None:
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio edit", holding="rig 1", price=0.4, quantity=4)
    assert "✅ Saved." in texts(shown.response)
    assert "Rig 1: 4 × RTX 4090" in texts(shown.response)
    assert (only(world)["asked_price"], only(world)["quantity"]) == (0.4, 4)


async def test_a_machine_says_its_price_itself(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "portfolio add", machine=MACHINE)
    shown = await scene.alice.slash(scene.channel, "portfolio edit", holding=only(world)["id"], price=0.4)
    assert "This holding follows a machine of the market, which says the price per GPU-hour itself." in texts(
        shown.response
    )


@pytest.mark.parametrize("command", ["portfolio edit", "portfolio remove"])
async def test_another_members_holding_does_not_exist(scene: Scene, world: World, command: str) -> None:
    await scene.bob.slash(scene.channel, "portfolio add", gpu="rtx-5090")
    theirs = only(world)["id"]
    shown = await scene.alice.slash(scene.channel, command, holding=theirs)
    assert f"You have no holding “{theirs}”" in texts(shown.response)


async def test_remove_asks_and_can_be_undone(scene: Scene, world: World) -> None:
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio remove", holding=only(world)["id"])
    assert "Remove **Rig 1: 8 × RTX 4090** from your portfolio?" in texts(shown.response)
    await scene.alice.click(shown.response, label="Keep")
    assert only(world)["name"] == "Rig 1"
    await scene.alice.click(shown.response, label="Remove")
    await scene.alice.click(shown.response, label="Remove")
    assert (await world.portfolios().list(scene.alice.id)) == []
    assert "is removed. After a day it is erased for good." in texts(shown.response)
    await scene.alice.click(shown.response, label="Undo")
    assert "✅ It is back." in texts(shown.response)
    assert only(world)["name"] == "Rig 1"


async def test_undo_ends_after_a_day(scene: Scene, world: World) -> None:
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio remove", holding=only(world)["id"])
    await scene.alice.click(shown.response, label="Remove")
    (row,) = world.holding_rows.rows.values()
    row["removed_at"] = NOW - UNDO_FOR - timedelta(minutes=1)
    late = await scene.alice.click(shown.response, label="Undo")
    assert "It is too late to undo that" in texts(late.response)


async def test_undo_keeps_to_the_plans_limit(scene: Scene, world: World) -> None:
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio remove", holding=only(world)["id"])
    await scene.alice.click(shown.response, label="Remove")
    for _ in range(10):
        await add(scene)
    full = await scene.alice.click(shown.response, label="Undo")
    said = "Free allows 10 holdings; Individual allows 50."
    assert said in texts(full.followups[-1] if full.followups else full.response)


async def test_controls_act_on_the_clickers_own_holdings(scene: Scene, world: World) -> None:
    """A forged or copied control: the id is another member's."""
    shown = await add(scene)
    mine = only(world)["id"]
    for do in ("one", "ask", "rm", "edit", "costs", "how", "why"):
        message = await scene.env.bot.get_channel(scene.channel.id).send(view=_forged(f"pf1|{do}|{mine}|30|0"))
        stolen = await scene.bob.click(message, label="x")
        assert "This holding is not in your portfolio any more" in texts(stolen.response), do
        assert stolen.ephemeral
    assert only(world)["id"] == mine
    assert shown.ephemeral


@pytest.mark.parametrize("state", ["", "one|x|30|0", "show||31|0", "show||30|-1", "nonsense||30|0", "show||30|0|0"])
async def test_forged_controls_are_refused(scene: Scene, state: str) -> None:
    message = await scene.env.bot.get_channel(scene.channel.id).send(view=_forged(f"pf1|{state}"))
    result = await scene.alice.click(message, label="x")
    assert "This card is too old to answer" in texts(result.response)


def _forged(custom_id: str) -> Any:
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="x", custom_id=custom_id))
    return view


async def test_controls_work_after_a_restart(scene: Scene, make_bot: Callable[[], ScoutBot]) -> None:
    shown = await add(scene)
    other = make_bot()
    await scene.env.restart_bot(other)
    await scene.alice.click(shown.response, label="Whole portfolio")
    assert "## Your portfolio" in texts(shown.response)


async def test_an_error_of_the_database_is_an_error(scene: Scene, world: World) -> None:
    world.holding_rows.error = RuntimeError("the database is gone")
    shown = await scene.alice.slash(scene.channel, "portfolio show")
    assert "Something went wrong on my side and is logged" in texts(shown.response)
