"""What members are offered while they type."""

from __future__ import annotations

import pytest

from gpuscout.market.models import GLOBAL
from tests.cogs.conftest import Scene
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1)


async def test_empty_query_offers_what_is_listed_most(scene: Scene) -> None:
    choices = await scene.alice.autocomplete(scene.channel, "price", "gpu", "")
    assert len(choices) == 25
    assert [choice["value"] for choice in choices[:3]] == ["rtx-4090", "rtx-5090", "rtx-3060"]
    assert choices[0]["name"] == "RTX 4090 · 24 GB · 5,038 listed"


async def test_forty_finds_the_4090_first(scene: Scene) -> None:
    choices = await scene.alice.autocomplete(scene.channel, "price", "gpu", "40")
    assert choices[0]["value"] == "rtx-4090"


async def test_models_that_only_the_market_knows_are_offered(scene: Scene) -> None:
    choices = await scene.alice.autocomplete(scene.channel, "price", "gpu", "frob")
    assert [choice["value"] for choice in choices] == ["x-frobnicator-9000"]


@pytest.mark.parametrize("typed", ["", "rtx", "@everyone **", "x" * 200, "\u0000", "🦆"])
async def test_choices_fit_discord(scene: Scene, typed: str) -> None:
    choices = await scene.alice.autocomplete(scene.channel, "price", "gpu", typed)
    assert len(choices) <= 25
    assert len({choice["value"] for choice in choices}) == len(choices)
    for choice in choices:
        assert 1 <= len(choice["name"]) <= 100
        assert 1 <= len(choice["value"]) <= 100


async def test_goes_on_without_the_market(scene: Scene, world: World) -> None:
    world.market.error = RuntimeError("database is gone")
    choices = await scene.alice.autocomplete(scene.channel, "price", "gpu", "4090")
    assert choices[0] == {"name": "RTX 4090 · 24 GB", "value": "rtx-4090"}


async def test_platforms_with_prices(scene: Scene) -> None:
    choices = await scene.alice.autocomplete(scene.channel, "price", "platform", "")
    assert {choice["value"] for choice in choices} == {"vast", "runpod"}
    typed = await scene.alice.autocomplete(scene.channel, "price", "platform", "vas")
    assert typed[0] == {"name": "Vast.ai", "value": "vast"}


async def test_regions(scene: Scene, world: World) -> None:
    world.market.regional = [GLOBAL, "eu-north", "us-east"]
    every = await scene.alice.autocomplete(scene.channel, "price", "region", "")
    assert every == [
        {"name": "Worldwide", "value": "global"},
        {"name": "eu-north", "value": "eu-north"},
        {"name": "us-east", "value": "us-east"},
    ]
    typed = await scene.alice.autocomplete(scene.channel, "price", "region", "EU")
    assert [choice["value"] for choice in typed] == ["eu-north"]


async def test_a_country_is_offered_by_its_name(scene: Scene, world: World) -> None:
    world.market.regional = [GLOBAL, "us", "de", "cz"]
    every = await scene.alice.autocomplete(scene.channel, "price", "region", "")
    assert [choice["name"] for choice in every] == ["Worldwide", "United States", "Germany", "Czechia"]
    typed = await scene.alice.autocomplete(scene.channel, "price", "region", "germ")
    assert typed == [{"name": "Germany", "value": "de"}]


async def test_blocked_member_is_offered_nothing(scene: Scene, world: World) -> None:
    world.blocklist.blocked.add(scene.alice.id)
    assert await scene.alice.autocomplete(scene.channel, "price", "gpu", "40") == []


async def test_completion_is_free_of_charge(scene: Scene, world: World) -> None:
    for _ in range(3):
        await scene.alice.autocomplete(scene.channel, "price", "gpu", "40")
    assert world.usage.events == []
    assert len(scene.env.bot.gate._allowance) == 0
