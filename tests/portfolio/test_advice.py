"""Advice over a portfolio: where it applies, on which machines, and when a move is proposed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from config.platforms import Platform, PlatformCatalogue
from gpuscout.market.models import Quote
from gpuscout.portfolio.advice_models import NoPriceAdvice, NotEnoughEvidence, PriceAdvice
from gpuscout.portfolio.models import (
    DAYS_A_MONTH,
)
from gpuscout.portfolio.portfolios import Portfolios
from tests.fake_market import NOW, quote, side
from tests.fake_portfolio import MACHINE, falling_asks, machine_row
from tests.fakes import World
from tests.portfolio.helpers import ANN, draft


async def test_advice_says_where_it_does_not_apply(world: World, portfolios: Portfolios) -> None:
    world.market.stored.append(
        quote("rtx-4090", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5), platform="runpod")
    )
    world.market.stored.append(
        quote("rtx-4090", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5), platform="salad")
    )
    world.market.stored.append(
        quote("rtx-4090", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5), platform="tensordock")
    )
    for platform in ("runpod", "salad", "tensordock", "vast"):
        await portfolios.add(ANN, draft(platform=platform))
    await portfolios.add(ANN, draft(gpu="h200-sxm", platform=None))
    found = [advice.price for advice in await portfolios.advice(ANN)]
    assert found[0] == NoPriceAdvice("no_new_hosts")
    assert found[1] == NoPriceAdvice("platform_sets_price")
    assert found[2] == NotEnoughEvidence("no_list")  # nobody lists its machines one by one
    assert isinstance(found[3], NotEnoughEvidence) and found[3].reason == "few_machines"
    assert found[4] == NoPriceAdvice("undecided")


async def test_evidence_is_of_the_same_model_segment_and_verification(world: World, portfolios: Portfolios) -> None:
    await portfolios.add(ANN, draft(verification="verified", segment="dc:8+"))
    await portfolios.advice(ANN)
    which = world.machine_rows.asked[-1]
    assert (which.platform, which.gpus, which.country) == ("vast", ("rtx-4090",), None)
    assert (which.verified, which.datacenter, which.min_gpus, which.max_gpus) == (True, True, 8, None)


async def test_a_large_portfolio_lets_others_take_turns(world: World, portfolios: Portfolios) -> None:
    world.tiers.tiers[ANN] = "professional"
    await portfolios.add_many(ANN, [draft(gpu="h200-sxm", platform=None)] * 500)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    try:
        assert len(await portfolios.advice(ANN)) == 500
    finally:
        task.cancel()
    assert turns >= 40


async def test_old_lists_are_no_evidence(world: World) -> None:
    portfolios = world.portfolios()
    world.machine_rows.listed = int((NOW - timedelta(hours=5)).timestamp())
    await portfolios.add(ANN, draft())
    assert (await portfolios.advice(ANN))[0].price == NotEnoughEvidence("no_list")
    world.machine_rows.listed = None
    assert (await portfolios.advice(ANN))[0].price == NotEnoughEvidence("no_list")


async def test_a_rented_machine_is_told_apart(world: World) -> None:
    world.machine_rows.compared = falling_asks()
    portfolios = world.portfolios()
    world.machine_rows.rows["vast", MACHINE] = machine_row(price=0.46, num_rented=8)
    await portfolios.add_machine(ANN, MACHINE)
    found = (await portfolios.advice(ANN))[0]
    assert found.rented
    assert isinstance(found.price, PriceAdvice) and found.price.kind == "lower"


def platforms_with(**changes: Any) -> PlatformCatalogue:
    """The catalogue with another TensorDock."""
    known = PlatformCatalogue.load()
    others = [
        Platform.model_validate(p.model_dump() | changes) if p.slug == "tensordock" else p for p in known.platforms
    ]
    return PlatformCatalogue(others, known.sources)


def elsewhere(price: float, rented: int = 60, count: int = 100) -> Quote:
    return quote(
        "rtx-4090",
        side(rented, price),
        side(count - rented, price),
        side(count, price, price, price),
        platform="tensordock",
    )


async def test_a_move_is_proposed_where_the_data_say_so(world: World) -> None:
    world.market.stored.append(elsewhere(0.60))
    for changes, moves in (
        ({"host_share": 0.8}, True),
        ({}, False),  # the host's share is not known
        ({"host_share": 0.8, "who_may_host": "existing hosts"}, False),
        ({"host_share": 0.8, "host_sets_price": False}, False),
    ):
        portfolios = world.portfolios(platforms=platforms_with(**changes))
        world.holding_rows.rows.clear()
        await portfolios.add(ANN, draft())
        move = (await portfolios.advice(ANN))[0].move
        assert (move is not None) == moves, changes
        if move is not None:
            assert move.platform == "tensordock"
            assert move.gain_month > 0
            assert move.net_month == pytest.approx(24 * 8 * 0.6 * (0.60 * 0.8 - 0.45 * 0.15) * DAYS_A_MONTH)


@pytest.mark.parametrize(("price", "rented", "count"), [(0.30, 50, 100), (0.9, 4, 8), (0.345, 50, 100)])
async def test_no_move_for_less_or_for_little_or_on_a_thin_sample(
    world: World, price: float, rented: int, count: int
) -> None:
    world.market.stored.append(elsewhere(price, rented, count))
    portfolios = world.portfolios(platforms=platforms_with(host_share=0.75))
    await portfolios.add(ANN, draft())
    assert (await portfolios.advice(ANN))[0].move is None
