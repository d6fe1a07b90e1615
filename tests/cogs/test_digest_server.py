"""``/server digest``: set, tested and ended by admins alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import discord
import pytest

from gpuscout.digests.schedule import Rhythm
from gpuscout.market.models import MarketUnavailable
from storage.digests import Owner, StoredDigest
from tests.cogs.conftest import Scene, buttons, pictures, selects, texts
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


@pytest.fixture
def admin(scene: Scene) -> Any:
    """A member who may manage the server."""
    guild = scene.channel.guild
    role = guild.create_role("staff", permissions=discord.Permissions(manage_guild=True))
    return guild.add_member(scene.env.create_user("ada"), roles=[role])


def stored(world: World, scene: Scene) -> StoredDigest | None:
    return world.digest_rows.rows.get(Owner(guild_id=scene.channel.guild.id))


async def with_channel(scene: Scene, admin: Any) -> Any:
    panel = (await admin.slash(scene.channel, "server digest")).response
    await admin.select(panel, [scene.channel], custom_id=selects_of(panel, 8)[0]["custom_id"])
    return panel


def selects_of(message: Any, kind: int) -> list[dict[str, Any]]:
    """Menus of one of Discord's kinds (3: texts, 8: channels)."""
    from tests.cogs.conftest import components

    return [component for component in components(message) if component["type"] == kind]


async def test_controls_ask_again_who_clicks(scene: Scene, world: World, admin: Any) -> None:
    panel = await with_channel(scene, admin)
    guild = scene.env.backend.get_guild(scene.channel.guild.id)
    role = next(role for role in guild.roles.values() if role.name == "staff")
    guild.members[admin.id].role_ids.remove(role.id)
    for label in ("Turn off", "Test post"):
        result = await admin.click(panel, label=label)
        assert result.ephemeral
        assert "You need the permission" in texts(result.response)
    assert stored(world, scene) is not None


async def test_a_channel_makes_it_weekly(scene: Scene, world: World, admin: Any) -> None:
    panel = (await admin.slash(scene.channel, "server digest")).response
    assert "No digest is posted here." in texts(panel)
    assert selects(panel) == []
    panel = await with_channel(scene, admin)
    text = texts(panel)
    assert "✅ Saved." in text
    assert "**When** every Monday at 08:00, UTC" in text
    assert f"**Where** <#{scene.channel.id}>" in text
    row = stored(world, scene)
    assert row is not None
    assert (row.member_id, row.channel_id, row.cadence, row.weekday, row.hour) == (
        None,
        scene.channel.id,
        "weekly",
        0,
        8,
    )
    assert scene.channel.guild.id in world.server_rows.rows

    days, hours = selects(panel)
    await admin.select(panel, ["4"], custom_id=days["custom_id"])
    await admin.select(panel, ["17"], custom_id=hours["custom_id"])
    assert "**When** every Friday at 17:00" in texts(panel)
    await admin.click(panel, label="Turn off")
    assert "The server's digest is off." in texts(panel)
    assert stored(world, scene) is None


async def test_a_test_post_shows_the_week(scene: Scene, world: World, admin: Any) -> None:
    world.market.past = {"rtx-5090": 0.9, "rtx-3060": 1.2}
    panel = await with_channel(scene, admin)
    result = await admin.click(panel, label="Test post")
    assert result.ephemeral
    assert "Test post sent" in texts(result.response)
    posted = scene.channel.last_message
    text = texts(posted)
    assert "GPU market of the week, Jan 1, 2026" in text
    assert "A preview: this is how it will look." in text
    assert "**Moved most in 7 d**" in text and "**Rented most**" in text
    assert "Portfolio" not in text
    assert "Change digest" not in buttons(posted)
    assert len(pictures(posted)) == 1


async def test_a_test_without_permissions_names_them(scene: Scene, world: World, admin: Any) -> None:
    await with_channel(scene, admin)
    closed = scene.channel.guild.create_text_channel(
        "closed", overwrites={scene.env.bot.user: discord.PermissionOverwrite(send_messages=False)}
    )
    owner = Owner(guild_id=scene.channel.guild.id)
    world.digest_rows.rows[owner] = replace(world.digest_rows.rows[owner], channel_id=closed.id)
    panel = (await admin.slash(scene.channel, "server digest")).response
    assert f"In <#{closed.id}> I lack “Send Messages”" in texts(panel)
    result = await admin.click(panel, label="Test post")
    assert "grant me “Send Messages”" in texts(result.response)


async def test_refusals_of_the_test_post(scene: Scene, world: World, admin: Any) -> None:
    panel = await with_channel(scene, admin)
    owner = Owner(guild_id=scene.channel.guild.id)
    world.market.error = MarketUnavailable(NOW)
    result = await admin.click(panel, label="Test post")
    assert "First data in about" in texts(result.response) or "no market data" in texts(result.response)
    world.market.error = None
    world.digest_rows.rows[owner] = replace(world.digest_rows.rows[owner], channel_id=12345)
    result = await admin.click(panel, label="Test post")
    assert "The channel is gone; choose another one in" in texts(result.response)
    shown = await admin.slash(scene.channel, "server digest")
    assert "The channel is gone: choose another one." in texts(shown.response)
    del world.digest_rows.rows[owner]
    result = await admin.click(panel, label="Test post")
    assert "Choose the channel first, in" in texts(result.response)


async def test_a_pause_is_said_and_ended_by_choosing_a_channel(scene: Scene, world: World, admin: Any) -> None:
    await with_channel(scene, admin)
    owner = Owner(guild_id=scene.channel.guild.id)
    world.digest_rows.rows[owner] = replace(world.digest_rows.rows[owner], paused="channel")
    panel = (await admin.slash(scene.channel, "server digest")).response
    assert "It has stopped: the channel took no posts." in texts(panel)
    assert "**Next**" not in texts(panel)
    await admin.select(panel, [scene.channel], custom_id=selects_of(panel, 8)[0]["custom_id"])
    row = stored(world, scene)
    assert row is not None and row.paused is None
    assert "**Next**" in texts(panel)


async def test_the_hour_counts_in_the_servers_zone(scene: Scene, world: World, admin: Any) -> None:
    await admin.slash(scene.channel, "server timezone", zone="Asia/Tokyo")
    panel = await with_channel(scene, admin)
    row = stored(world, scene)
    assert row is not None and row.timezone == "Asia/Tokyo"
    assert "Tokyo" in texts(panel)
    assert row.next_at.hour == 23  # 08:00 in Tokyo
    assert Rhythm("weekly").cadence == row.cadence


async def test_the_overview_names_it(scene: Scene, admin: Any) -> None:
    shown = await admin.slash(scene.channel, "server show")
    assert "**Digest** </server digest:" in texts(shown.response)
