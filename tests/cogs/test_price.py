"""``/price`` as a member uses it."""

from __future__ import annotations

import pytest

from tests.cogs.conftest import Scene, buttons, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1)


async def test_card_shows_the_recorded_figures(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert not result.ephemeral
    text = texts(result.response)
    print(text)
    assert "RTX 4090 on Vast.ai" in text
    assert buttons(result.response)["7 d"]["style"] == 1
