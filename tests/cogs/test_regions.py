"""Prices of one country: found by code and name, in either language, and shown by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cogs.errors import UnknownName
from cogs.options import find_region
from config.countries import COUNTRIES, country_code, country_name, find_country
from config.i18n import translator_for
from gpuscout.cards.price_text import region_name
from gpuscout.market.models import GLOBAL
from tests.cogs.conftest import Scene, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


@pytest.fixture
def regional(world: World) -> World:
    """A market that knows the 4090 in Germany and in the United States."""
    world.market.regional = [GLOBAL, "us", "de"]
    first = world.market.stored[0]
    for region in ("us", "de"):
        world.market.stored.append(replace(first, key=replace(first.key, region=region)))
    return world


@pytest.mark.parametrize(
    ("typed", "found"),
    [("de", "de"), ("DE", "de"), ("Germany", "de"), ("united  states", "us"), ("USA", "us"), ("GLOBAL", GLOBAL)],
)
async def test_find_region(regional: World, typed: str, found: str) -> None:
    assert await find_region(regional.services(), typed) == found


async def test_a_name_without_prices_is_answered_with_those_that_have_some(regional: World) -> None:
    with pytest.raises(UnknownName) as caught:
        await find_region(regional.services(), "Atlantis")
    assert caught.value.suggestions == ("Worldwide", "United States", "Germany")
    assert await find_region(regional.services(), "Deutschland", translator_for("de")) == "de"


async def test_the_card_names_the_country(scene: Scene, regional: World) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", region="Germany")
    assert "Germany · on-demand" in texts(result.response)


async def test_a_country_without_quotes_of_the_model_is_named(scene: Scene, regional: World) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-3060", region="us")
    assert result.ephemeral and "United States" in texts(result.response)


async def test_the_mention_form_takes_a_country_and_a_range_after_it(scene: Scene, regional: World) -> None:
    me = scene.env.bot.user
    assert me is not None
    await scene.alice.send(scene.channel, f"<@{me.id}> price RTX 4090 vast united states 30d")
    assert "United States" in texts(scene.channel.history()[-1])


def test_names() -> None:
    german, english = translator_for("de"), translator_for("en-US")
    assert region_name("cz", english) == "Czechia" and region_name("cz", german) == "Tschechien"
    assert region_name(GLOBAL, english) == "Worldwide" and region_name("us-east-1", english) == "us-east-1"
    assert len(COUNTRIES) == 250
    for code in COUNTRIES:
        name = country_name(code, "en-US")
        assert name and find_country(name) == code and country_code(code.upper()) == code
    assert country_name("zz", "de") is None and find_country("Nowhere", "de") is None
