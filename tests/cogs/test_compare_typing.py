"""What ``/compare`` offers while a list is typed."""

from __future__ import annotations

import pytest

from tests.cogs.conftest import Scene
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1)


async def offered(scene: Scene, typed: str) -> list[str]:
    choices = await scene.alice.autocomplete(scene.channel, "compare", "gpus", typed)
    assert len(choices) <= 25
    assert len({choice["value"] for choice in choices}) == len(choices)
    assert all(choice["name"] == choice["value"] and 1 <= len(choice["name"]) <= 100 for choice in choices)
    return [choice["value"] for choice in choices]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("", ["RTX 4090", "RTX 5090", "RTX 3060"]),
        ("50", ["RTX 5090"]),
        ("RTX 4090,", ["RTX 4090, RTX 5090", "RTX 4090, RTX 3060"]),
        ("RTX 4090, 50", ["RTX 4090, RTX 5090"]),
        ("4090 vs 50", ["4090, RTX 5090"]),
        ("RTX 4090", ["RTX 4090", "RTX 4090 verified", "RTX 4090 unverified", "RTX 4090 RunPod", "RTX 4090 Vast.ai"]),
        ("RTX 4090 ver", ["RTX 4090 verified"]),
        ("RTX 4090 verified, un", ["RTX 4090 verified, unverified"]),
        ("frob", ["Frobnicator 9000"]),
    ],
)
async def test_the_last_item_is_completed(scene: Scene, typed: str, first: list[str]) -> None:
    assert (await offered(scene, typed))[: len(first)] == first


async def test_what_is_chosen_is_not_offered_again_and_six_are_enough(scene: Scene) -> None:
    assert not any(text.endswith(", RTX 4090") for text in await offered(scene, "RTX 4090, "))
    six = "RTX 4090, RTX 5090, RTX 3060, RTX 3070, RTX 3080, RTX 3090"
    assert await offered(scene, six + ", ") == [six]


async def test_long_names_are_shortened_rather_than_cut(scene: Scene, world: World) -> None:
    typed = "RTX PRO 6000 Max-Q, RTX PRO 6000 S, RTX 6000 Ada Generation, Quadro RTX 8000, A100 SXM4 80GB, h200"
    found = await offered(scene, typed)
    assert found
    for text in found:
        models = [world.market.catalogue.parse_tail(item)[0] for item in text.split(", ")]
        assert len(models) == 6
        assert all(model is not None for model in models), text


@pytest.mark.parametrize("typed", ["@everyone **", "x" * 900, "\u0000", "🦆", ",,,,,,,", "4090 " * 100])
async def test_anything_may_be_typed(scene: Scene, typed: str) -> None:
    await offered(scene, typed)


async def test_completion_goes_on_without_the_market(scene: Scene, world: World) -> None:
    world.market.error = RuntimeError("database is gone")
    assert (await offered(scene, "RTX 4090, 50"))[0] == "RTX 4090, RTX 5090"
