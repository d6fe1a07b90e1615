"""``/watchlist``: the GPUs a member follows, for his eyes only."""

from __future__ import annotations

import pytest

from config.catalogue import GpuCatalogue
from gpuscout.accounts.members import WATCHLIST_LIMIT
from gpuscout.market.models import MarketUnavailable
from tests.cogs.conftest import Scene, buttons, texts
from tests.fakes import NAMES, NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


async def test_an_empty_list_teaches(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "watchlist show")
    assert result.ephemeral
    assert "You follow no GPU yet. </watchlist add:" in texts(result.response)


async def test_add_show_remove(scene: Scene, world: World) -> None:
    added = await scene.alice.slash(scene.channel, "watchlist add", gpu="RTX 4090")
    assert added.ephemeral
    assert "✅ You follow **RTX 4090** now." in texts(added.response)
    again = await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-4090")
    assert "You follow **RTX 4090** already." in texts(again.response)

    shown = texts((await scene.alice.slash(scene.channel, "watchlist show")).response)
    assert "RTX 4090 0.335 +1.5%  48%" in shown
    assert "[500.farm](<https://500.farm>)" in shown
    assert f"1 of {WATCHLIST_LIMIT}" in shown
    assert "You follow no GPU" in texts((await scene.bob.slash(scene.channel, "watchlist show")).response)

    removed = await scene.alice.slash(scene.channel, "watchlist remove", gpu="rtx-4090")
    assert "✅ You no longer follow **RTX 4090**." in texts(removed.response)
    assert world.member_rows.watched[scene.alice.id] == {}
    never = await scene.alice.slash(scene.channel, "watchlist remove", gpu="rtx-5090")
    assert "You did not follow **RTX 5090**." in texts(never.response)


async def test_a_button_opens_the_card(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-4090")
    card = await scene.alice.click(shown.response, label="RTX 4090")
    assert card.ephemeral
    assert "renters pay" in texts(card.response)
    assert "RTX 4090" in buttons(shown.response)


async def test_full(scene: Scene, world: World) -> None:
    unlisted = [model.slug for model in GpuCatalogue.load().models if model.slug not in NAMES][:WATCHLIST_LIMIT]
    world.member_rows.watched[scene.alice.id] = dict.fromkeys(unlisted, NOW)
    result = await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-4090")
    assert result.ephemeral
    assert f"Your watchlist is full: it holds {WATCHLIST_LIMIT} GPUs; take one off with </watchlist remove:" in texts(
        result.response
    )
    full = texts((await scene.alice.slash(scene.channel, "watchlist show")).response)
    assert "nobody lists it right now" in full


async def test_unknown_gpu_is_not_stored(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "watchlist add", gpu="RTX 4900")
    assert "I don't know a GPU called “RTX 4900”" in texts(result.response)
    assert world.member_rows.watched.get(scene.alice.id, {}) == {}


async def test_completion_offers_what_can_be_chosen(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-5090")
    mine = await scene.alice.autocomplete(scene.channel, "watchlist remove", "gpu", "")
    assert [choice["value"] for choice in mine] == ["rtx-5090"]
    assert await scene.bob.autocomplete(scene.channel, "watchlist remove", "gpu", "") == []
    every = await scene.alice.autocomplete(scene.channel, "watchlist add", "gpu", "40")
    assert every[0]["value"] == "rtx-4090"


async def test_without_data_it_says_so_privately(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-4090")
    world.market.error = MarketUnavailable(None)
    result = await scene.alice.slash(scene.channel, "watchlist show")
    assert result.ephemeral
    assert "There are no market data yet" in texts(result.response)


async def test_a_followed_model_that_nobody_lists_any_more_can_be_removed(scene: Scene, world: World) -> None:
    world.member_rows.watched[scene.alice.id] = {"some-forgotten-card": NOW}
    result = await scene.alice.slash(scene.channel, "watchlist remove", gpu="some-forgotten-card")
    assert "✅ You no longer follow" in texts(result.response)
