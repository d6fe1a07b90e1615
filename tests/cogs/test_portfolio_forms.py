"""The forms of a portfolio: a rig, changes, costs, electricity by the hour; and what they do not take."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cogs.conftest import Scene, buttons, texts
from tests.fake_portfolio import MACHINE
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)

FILLED: dict[str, Any] = {
    "gpu": "RTX 4090",
    "quantity": "8",
    "price": "0,35 $",
    "platform": ["vast"],
    "electricity": "",
}


async def opened(scene: Scene, label: str) -> Any:
    """A form of a member who has a rig, and the card it was opened from."""
    await scene.alice.slash(scene.channel, "portfolio add", gpu="rtx-4090", quantity=8, price=0.35, platform="vast")
    card = await scene.alice.slash(
        scene.channel, "portfolio edit", holding="8 × RTX 4090 · Vast.ai · $0.35/h", name="Rig 1"
    )
    return card, await scene.alice.click(card.response, label=label)


def only(world: World) -> dict[str, Any]:
    (row,) = world.holding_rows.rows.values()
    return row


async def test_add_without_options_is_a_form(scene: Scene, world: World) -> None:
    form = await scene.alice.slash(scene.channel, "portfolio add")
    shown = await scene.alice.submit_modal(form, FILLED)
    assert shown.ephemeral
    assert "8 × RTX 4090" in texts(shown.response)
    row = only(world)
    assert (row["gpu"], row["quantity"], row["asked_price"], row["platform"]) == ("rtx-4090", 8, 0.35, "vast")
    assert row["tariff"] is None
    assert ("portfolio add form", "component", "ok") in world.usage.outcomes


async def test_the_empty_card_turns_into_the_new_rig(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "portfolio show")
    form = await scene.alice.click(card.response, label="Add a rig")
    await scene.alice.submit_modal(form, {**FILLED, "platform": ["undecided"], "electricity": "30c/kWh"})
    assert "✅ Added to your portfolio." in texts(card.response)
    assert (only(world)["platform"], only(world)["tariff"]) == (None, 0.3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gpu": "RTX 4900"}, "I don't know a GPU called “RTX 4900”"),
        ({"quantity": "many"}, "“many” is not possible for the number of GPUs; write a whole number like 8."),
        ({"quantity": "0"}, "“0” is not possible for the number of GPUs: it takes 1 to 10,000."),
        ({"quantity": "2.5"}, "“2.5” is not possible for the number of GPUs"),
        ({"price": "cheap"}, "“cheap” is no number for the price per GPU-hour."),
        ({"price": "5%"}, "“5%” is no number for the price per GPU-hour."),
        ({"price": "-1"}, "“-1.0” is not possible for the price per GPU-hour: it takes $0.001 to $1,000.00."),
        ({"electricity": "9"}, "“9.0” is not possible for the electricity price: it takes $0.00 to $5.00."),
    ],
)
async def test_what_the_form_does_not_take(scene: Scene, world: World, changed: dict[str, Any], said: str) -> None:
    form = await scene.alice.slash(scene.channel, "portfolio add")
    shown = await scene.alice.submit_modal(form, {**FILLED, **changed})
    assert shown.ephemeral
    assert said in texts(shown.response)
    assert world.holding_rows.rows == {}


async def test_from_the_price_card_with_its_machines(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    await scene.alice.select(card.response, ["verified/dc:8+"])
    form = await scene.bob.click(card.response, label="Add to portfolio")
    shown = await scene.bob.submit_modal(
        form, {"gpu": "RTX 4090", "quantity": "4", "price": "", "platform": ["vast"], "electricity": ""}
    )
    assert shown.ephemeral
    assert "4 × RTX 4090" in texts(shown.response)
    row = only(world)
    assert (row["member_id"], row["verification"], row["segment"]) == (scene.bob.id, "verified", "dc:8+")
    assert "RTX 4090 on Vast.ai" in texts(card.response)  # the public card stays


async def test_edit_and_clear_in_a_form(scene: Scene, world: World) -> None:
    card, form = await opened(scene, "Edit")
    values = {"name": "Rack", "quantity": "6", "price": "", "power": "350 W", "electricity": "0.2"}
    await scene.alice.submit_modal(form, values)
    row = only(world)
    assert (row["name"], row["quantity"], row["asked_price"], row["power_w"], row["tariff"]) == (
        "Rack",
        6,
        None,
        350.0,
        0.2,
    )
    assert "✅ Saved." in texts(card.response)
    assert "Rack: 6 × RTX 4090" in texts(card.response)


async def test_edit_without_options_is_the_form(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "portfolio add", gpu="rtx-4090", name="Rig 1")
    form = await scene.alice.slash(scene.channel, "portfolio edit", holding="Rig 1")
    await scene.alice.submit_modal(
        form, {"name": "Rig 2", "quantity": "1", "price": "", "power": "", "electricity": ""}
    )
    assert only(world)["name"] == "Rig 2"


async def test_a_machine_keeps_what_the_market_says(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "portfolio add", machine=MACHINE)
    form = await scene.alice.click(card.response, label="Edit")
    await scene.alice.submit_modal(form, {"name": "Garage", "power": "300", "electricity": "0.1"})
    assert (only(world)["name"], only(world)["power_w"], only(world)["asked_price"]) == ("Garage", 300.0, 0.3467)


async def test_purchase_and_costs(scene: Scene, world: World) -> None:
    card, form = await opened(scene, "Purchase and costs")
    await scene.alice.submit_modal(form, {"fee": "20 %", "purchase": "$16,000", "date": "2025-03-01", "mining": "0.4"})
    row = only(world)
    assert (row["fee"], row["purchase_price"], str(row["purchased_on"])) == (0.2, 16_000.0, "2025-03-01")
    assert row["mining_usd_day"] == 0.4
    assert "$16,000.00 paid back on" in texts(card.response)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fee": "120"}, "“120%” is not possible for the platform's fee: it takes 0% to 95%."),
        ({"fee": "$3"}, "“$3” is no number for the platform's fee."),
        ({"purchase": "a lot"}, "“a lot” is no number for the purchase price."),
        ({"date": "31/12"}, "“31/12” is no day for the day of purchase"),
    ],
)
async def test_costs_that_cannot_be(scene: Scene, values: dict[str, str], said: str) -> None:
    _, form = await opened(scene, "Purchase and costs")
    shown = await scene.alice.submit_modal(form, values)
    assert said in texts(shown.response)


async def test_electricity_by_the_hour(scene: Scene, world: World) -> None:
    await opened(scene, "Edit")
    card = await scene.alice.slash(scene.channel, "portfolio show")
    form = await scene.alice.click(card.response, label="Electricity by the hour")
    await scene.alice.submit_modal(form, {"base": "0.30", "windows": "Mon-Fri 22:00-06:00 0.12\nSa, So 0-24 0,20"})
    # five nights of eight hours at 0.12, first come; the rest of the weekend at 0.20; the others at 0.30
    plan = world.holding_rows.plans[scene.alice.id]
    assert plan == {
        "base": 0.3,
        "windows": [
            {"days": [0, 1, 2, 3, 4], "start": 1320, "end": 360, "price": 0.12},
            {"days": [5, 6], "start": 0, "end": 1440, "price": 0.2},
        ],
    }
    mean = (40 * 0.12 + 42 * 0.2 + 86 * 0.3) / 168  # six hours of Saturday belong to Friday's night
    assert f"✅ Saved: ${mean:.3f}/kWh on average over your week." in texts(card.response)

    again = await scene.alice.click(card.response, label="Electricity by the hour")
    await scene.alice.submit_modal(again, {"base": "", "windows": ""})
    assert world.holding_rows.plans == {}
    assert "One electricity price counts for all hours now" in texts(card.response)


@pytest.mark.parametrize(
    ("base", "windows", "said"),
    [
        ("", "Mon 1-2 0.1", "The price outside of the windows is missing."),
        ("0.3", "Mon 22:00 0.1", "“Mon 22:00 0.1” is no window; write it like"),
        ("0.3", "Mon 22:07-23:00 0.1", "“22:07” is no quarter of an hour for the start"),
        ("0.3", "Xyz 22:00-23:00 0.1", "is no window"),
        ("9", "", "“9.0” is not possible for the price outside of the windows"),
        ("0.3", "\n".join(["Mon 1-2 0.1"] * 13), "At most 12 windows are kept."),
    ],
)
async def test_tariffs_that_cannot_be(scene: Scene, world: World, base: str, windows: str, said: str) -> None:
    await opened(scene, "Edit")
    card = await scene.alice.slash(scene.channel, "portfolio show")
    form = await scene.alice.click(card.response, label="Electricity by the hour")
    shown = await scene.alice.submit_modal(form, {"base": base, "windows": windows})
    assert said in texts(shown.followups[-1] if shown.followups else shown.response)
    assert world.holding_rows.plans == {}
    assert list(buttons(card.response))  # the card stays
