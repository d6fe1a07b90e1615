"""``/portfolio advice``: a suggestion with its gain and evidence, or the reason why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpuscout.portfolio.advice_models import HoldingAdvice, MoveAdvice
from storage.machines import MachineAsk
from tests.cogs.conftest import Scene, buttons, selects, texts
from tests.fake_portfolio import MACHINE, falling_asks, machine_row
from tests.fakes import NOW, World, quote, side

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


async def add(scene: Scene, **options: Any) -> Any:
    base = {"gpu": "rtx-4090", "quantity": 8, "price": 0.25, "platform": "vast", "name": "Rig 1"}
    return await scene.alice.slash(scene.channel, "portfolio add", **{**base, **options})


async def advice(scene: Scene) -> str:
    return texts((await scene.alice.slash(scene.channel, "portfolio advice")).response)


async def test_an_empty_portfolio_needs_no_advice(scene: Scene) -> None:
    assert "Your portfolio is empty; " in await advice(scene)


async def test_a_cheap_rig_is_told_to_raise_with_gain_and_evidence(scene: Scene, world: World) -> None:
    world.machine_rows.compared = stepped()
    await add(scene)
    shown = await scene.alice.slash(scene.channel, "portfolio advice")
    assert shown.ephemeral
    text = texts(shown.response)
    assert "▲ **Raise to $0.3" in text and " from $0.25/h: **+$" in text
    assert "At $0.25 " in text and "of machines like this are rented" in text
    await scene.alice.select(shown.response, [selects(shown.response)[0]["options"][0]["value"]])
    text = texts(shown.response)
    assert "## Advice for Rig 1: 8 × RTX 4090" in text
    assert "480 machines, " in text
    assert "▸0.3" in text and "•0.2" in text
    assert "the share that never rises with the price" in text
    how = await scene.alice.click(shown.response, label="How is this computed?")
    assert "Net a day = gross − fee − electricity" in texts(how.response)
    await scene.alice.click(shown.response, label="All advice")
    assert texts(shown.response).lstrip().startswith("## Advice")


def stepped() -> list[MachineAsk]:
    """A market in which everything is rented up to 0.40, and nothing above."""
    return [
        MachineAsk(price, 4, 4 if price <= 0.40 else 0) for n in range(480) for price in (round(0.24 + n / 2000, 4),)
    ]


def sided(rented_price: float, idle_price: float) -> list[MachineAsk]:
    """Two groups of machines around two prices."""
    rented = [MachineAsk(round(rented_price + n / 1000, 4), 4, 4) for n in range(20)]
    return rented + [MachineAsk(round(idle_price + n / 1000, 4), 4, 0) for n in range(20)]


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        (falling_asks(8), "8 machines like this are listed, 20 are needed."),
        ([MachineAsk(0.3, 4, 2)] * 40, "machines like this ask fewer than 5 different prices."),
        ([MachineAsk(0.3 + n / 100, 4, 0) for n in range(40)], "fewer than 10 GPUs are rented"),
        (sided(0.45, 0.30), "that proves nothing about raising a price"),
    ],
)
async def test_not_enough_evidence_says_why(scene: Scene, world: World, asks: list[MachineAsk], said: str) -> None:
    world.machine_rows.compared = asks
    await add(scene)
    text = await advice(scene)
    assert "❔ **Not enough evidence** for a price: " in text
    assert said in text


async def test_without_a_list_there_is_no_evidence(scene: Scene, world: World) -> None:
    world.machine_rows.listed = None
    await add(scene)
    assert "no fresh list of single machines is read of this platform." in await advice(scene)


async def test_a_platform_that_takes_no_hosts_is_not_advised(scene: Scene) -> None:
    await add(scene, platform="runpod", price=0.6)
    text = await advice(scene)
    assert "RunPod takes no new hosts: no price is suggested for it." in text
    assert "Raise" not in text


async def test_a_platform_that_sets_the_price(scene: Scene, world: World) -> None:
    world.market.stored.append(
        quote("rtx-4090", side(50, 0.2), side(20, 0.2), side(70, 0.2), platform="salad", source="salad")
    )
    await add(scene, platform="salad", price=0.2)
    assert "Salad sets the price itself: there is none to choose." in await advice(scene)


async def test_a_rented_machine_waits_for_its_contract(scene: Scene, world: World) -> None:
    world.machine_rows.compared = stepped()
    world.machine_rows.rows["vast", MACHINE] = machine_row(num_rented=8, price=0.25)
    await scene.alice.slash(scene.channel, "portfolio add", machine=MACHINE)
    assert "All GPUs are rented now: a new price counts when a contract ends." in await advice(scene)


async def test_dear_electricity_makes_idling_better(scene: Scene) -> None:
    await add(scene, electricity=1.5)
    assert "⚠️ Best use: **leaving it idle**. leaving it idle $0.00/day · hosting −$" in await advice(scene)


async def test_mining_is_weighed(scene: Scene) -> None:
    await add(scene, electricity=0.05, mining=30.0)
    assert "Best use: **mining**. mining $" in await advice(scene)


async def test_hours_in_which_a_rented_hour_loses(scene: Scene, world: World) -> None:
    await add(scene)
    card = await scene.alice.slash(scene.channel, "portfolio show")
    form = await scene.alice.click(card.response, label="Electricity by the hour")
    await scene.alice.submit_modal(form, {"base": "0.1", "windows": "Mon-Fri 17:00-21:00 0.9"})
    text = await advice(scene)
    assert "⚠️ Mon Tue Wed Thu Fri 17:00–21:00: at $0.90/kWh a rented hour loses $" in text
    assert "a GPU; 20 hours a week." in text


async def test_no_place_is_named_whose_fee_is_not_known(scene: Scene, world: World) -> None:
    world.market.stored.append(
        quote("rtx-4090", side(80, 0.8), side(20, 0.8), side(100, 0.8), platform="tensordock", source="tensordock")
    )
    await add(scene)
    assert "➡️" not in await advice(scene)  # what TensorDock keeps is not known


async def test_a_better_place_is_named_with_both_figures(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(scene)
    portfolios = scene.env.bot.services.portfolios
    (known,) = await portfolios.advice(scene.alice.id)
    move = MoveAdvice("tensordock", 0.5, 0.7, net_month=900.0, here_month=600.0, gpus=120, as_of=NOW)

    async def found(_member: int) -> list[HoldingAdvice]:
        return [replace(known, move=move)]

    monkeypatch.setattr(portfolios, "advice", found)
    shown = await scene.alice.slash(scene.channel, "portfolio advice")
    said = "➡️ **TensorDock** would bring +$300.00 a month more: $900.00 against $600.00 at the medians ("
    assert said in texts(shown.response)
    await scene.alice.select(shown.response, [known.holding.id])
    assert said in texts(shown.response)


async def test_pages_of_five(scene: Scene) -> None:
    for number in range(7):
        await add(scene, name=f"Rig {number + 1}")
    shown = await scene.alice.slash(scene.channel, "portfolio advice")
    assert "Page 1 of 2 (7 entries)" in texts(shown.response)
    assert "Rig 5:" in texts(shown.response) and "Rig 6:" not in texts(shown.response)
    await scene.alice.click(shown.response, custom_id="pfa1|next.1|all")
    assert "Rig 6:" in texts(shown.response) and "Rig 5:" not in texts(shown.response)
    await scene.alice.click(shown.response, label="Whole portfolio")
    assert "## Your portfolio" in texts(shown.response)
    assert "Advice" in buttons(shown.response)
