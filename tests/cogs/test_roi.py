"""``/roi``: payback with its range, its assumptions, and honest refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.client import ScoutBot
from gpuscout.portfolio.models import DAYS_A_MONTH
from tests.cogs.conftest import Scene, buttons, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


async def roi(scene: Scene, **options: Any) -> Any:
    return await scene.alice.slash(scene.channel, "roi", **{"gpu": "rtx-4090", "price": 1800.0, **options})


async def test_payback_before_and_after_electricity(scene: Scene) -> None:
    shown = await roi(scene, electricity=0.2)
    assert shown.ephemeral
    text = texts(shown.response)
    share = 2402 / 4986
    before = 24 * DAYS_A_MONTH * share * 0.335 * 0.75
    after = before - 24 * DAYS_A_MONTH * share * 0.45 * 0.2
    assert "## Payback: 1 × RTX 4090 for $1,800.00" in text
    assert f"### {1800 / after:.1f} months" in text
    assert f"Before electricity: {1800 / before:.1f} months" in text
    assert "Range " in text and "(p90 to p10 of price and utilization)" in text
    assert "- electricity price: **$0.2000/kWh** · entered by you" in text
    assert "- board power of one GPU: **450 W** · from the catalogue" in text
    assert "Price, utilization and electricity stay as they are; wear, taxes and resale are left out." in text


async def test_the_members_tariff_and_currency_count(scene: Scene) -> None:
    await scene.alice.slash(scene.channel, "settings", electricity=0.3, currency="EUR")
    text = texts((await roi(scene)).response)
    assert "**$0.3000/kWh** · entered by you" in text
    assert "The purchase is ≈ €1,548.00 at 0.8600 EUR for $1" in text
    assert "**$0.1500/kWh** · assumed" in texts(
        (await scene.bob.slash(scene.channel, "roi", gpu="rtx-4090", price=1.0)).response
    )


async def test_how_it_is_computed_works_after_a_restart(scene: Scene, make_bot: Callable[[], ScoutBot]) -> None:
    shown = await roi(scene, quantity=8, power=320.0, electricity=0.25, platform="vast", fee=20.0, ask=0.4)
    await scene.env.restart_bot(make_bot())
    how = await scene.alice.click(shown.response, label="How is this computed?")
    assert how.ephemeral
    text = texts(how.response)
    assert "months = purchase price ÷ net a month" in text
    assert "- asked price: **$0.4000 per GPU-hour** · entered by you" in text
    assert "- power draw of one GPU: **320 W** · entered by you" in text
    assert "- platform's fee: **20.00%** · entered by you" in text


async def test_into_the_portfolio(scene: Scene, world: World) -> None:
    shown = await roi(scene, quantity=2, platform="vast", power=320.0)
    await scene.alice.click(shown.response, label="Add to portfolio")
    (row,) = world.holding_rows.rows.values()
    assert (row["gpu"], row["quantity"], row["purchase_price"], row["power_w"]) == ("rtx-4090", 2, 1800.0, 320.0)
    assert "✅ Added to your portfolio." in texts(shown.response)
    assert "Add to portfolio" not in buttons(shown.response)


async def test_never_pays(scene: Scene) -> None:
    text = texts((await roi(scene, electricity=2.0)).response)
    assert "### It does not pay back at these figures" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpu": "RTX 4900"}, "I don't know a GPU called “RTX 4900”"),
        ({"gpu": "h100-sxm"}, "There are no current market data to compute with"),
        ({"platform": "runpod"}, "What this platform keeps is not known; give its fee"),
        ({"gpu": "x-frobnicator-9000"}, "The power draw of this GPU is not known; give it, in watts"),
        ({"platform": "lambda"}, "Nobody lists such GPUs right now"),
    ],
)
async def test_refusals(scene: Scene, options: dict[str, Any], said: str) -> None:
    shown = await roi(scene, **options)
    assert shown.ephemeral
    assert said in texts(shown.response)


@pytest.mark.parametrize("state", ["", "how|rtx-4090||1|nan||||", "how|../x||1|1||||", "spend|rtx-4090||1|1||||"])
async def test_forged_buttons(scene: Scene, state: str) -> None:
    import discord

    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="x", custom_id=f"roi1|{state}"))
    message = await scene.env.bot.get_channel(scene.channel.id).send(view=view)
    result = await scene.alice.click(message, label="x")
    assert "This card is too old to answer" in texts(result.response)
