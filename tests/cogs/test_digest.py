"""``/digest``: set, changed and ended by its member alone; a preview shows what it would say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage.digests import Owner
from tests.cogs.conftest import Scene, buttons, pictures, selects, texts
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


async def test_set_without_options_is_daily_at_eight(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "digest set")

    assert result.ephemeral
    text = texts(result.response)
    assert "✅ Your digest comes every day at 08:00." in text
    assert "**When** every day at 08:00, UTC" in text
    assert "You have set no time zone: /settings does." in text or "You have set no time zone: </settings:" in text
    assert f"(<t:{int(datetime(2026, 1, 1, 8, tzinfo=UTC).timestamp())}:R>)" in text
    assert "**Where** direct message, else mention where you set it" in text
    assert "There is nothing of yours to tell of yet" in text
    stored = world.digest_rows.rows[Owner(member_id=scene.alice.id)]
    assert (stored.cadence, stored.hour, stored.channel_id) == ("daily", 8, scene.channel.id)
    assert world.opt_in.asked == [scene.alice.id]
