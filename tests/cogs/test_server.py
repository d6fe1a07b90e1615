"""``/server``: what admins choose, who may choose it, and what the bot says it lacks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.sync import command_payload
from gpuscout.accounts.servers import ERASE_AFTER, FeedPause, ServerSettings, read_settings
from storage.servers import FeedPost, feed_state_key
from tests.cogs.conftest import Scene, buttons, components, selects, texts
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


@pytest.fixture
def admin(scene: Scene) -> Any:
    """A member who may manage the server."""
    guild = scene.channel.guild
    role = guild.create_role("staff", permissions=discord.Permissions(manage_guild=True))
    return guild.add_member(scene.env.create_user("ada"), roles=[role])


def stored(world: World, scene: Scene) -> ServerSettings:
    row = world.server_rows.rows[scene.channel.guild.id]
    return read_settings(row.settings)


def feed_ids(message: Any) -> list[str]:
    return [c["custom_id"] for c in components(message) if "custom_id" in c]


async def feed_panel(scene: Scene, admin: Any, world: World, **feed: Any) -> Any:
    """The feed's panel with some settings made beforehand."""
    if feed:
        services = scene.env.bot.services
        await services.servers.change(scene.channel.guild.id, lambda s: s.with_feed(**feed))
    return (await admin.slash(scene.channel, "server feed")).response


@pytest.mark.parametrize("command", ["show", "feed", "digest", "channels", "roles", "defaults"])
async def test_only_admins(scene: Scene, command: str) -> None:
    """Discord hides the commands; a server's owner may show them to everybody, and then this still holds."""
    (server,) = [c for c in scene.env.bot.tree.get_commands() if c.name == "server"]
    assert server.default_permissions == discord.Permissions(manage_guild=True)
    ids = scene.env.bot._command_ids
    scene.channel.guild.set_command_permissions(ids["server"], {scene.channel.guild.default_role: True})

    result = await scene.alice.slash(scene.channel, f"server {command}")

    assert result.ephemeral
    assert "You need the permission “Manage Server” for this." in texts(result.response)


async def test_controls_ask_again_who_clicks(scene: Scene, world: World, admin: Any) -> None:
    panel = await feed_panel(scene, admin, world)
    role = scene.channel.guild.roles["staff"]
    scene.env.backend.get_guild(scene.channel.guild.id).members[admin.id].role_ids.remove(role.id)

    result = await admin.select(panel, ["daily"], custom_id="srv1|feedmode")

    assert "You need the permission “Manage Server”" in texts(result.response or result.followups[0])
    assert scene.channel.guild.id not in world.server_rows.rows


async def test_show_of_a_new_server(scene: Scene, admin: Any) -> None:
    result = await admin.slash(scene.channel, "server show")

    assert result.ephemeral
    text = texts(result.response)
    assert "**Public answers** everywhere" in text
    assert "**Market feed** off" in text
    assert "**Defaults** none" in text
    assert "**Time zone** UTC" in text
    assert "**Alert roles** none" in text
    assert "✅ I lack no permission" in text
    assert "</server feed:" in text


async def test_public_channels_and_private_answers_elsewhere(scene: Scene, world: World, admin: Any) -> None:
    other = scene.channel.guild.create_text_channel("talk")
    panel = (await admin.slash(scene.channel, "server channels")).response
    await admin.select(panel, [scene.channel], custom_id="srv1|channels")

    assert stored(world, scene).public_channels == (scene.channel.id,)
    for channel, private in ((scene.channel, False), (other, True)):
        for command, options in (("price", {"gpu": "rtx-4090"}), ("status", {}), ("about", {})):
            result = await scene.alice.slash(channel, command, **options)
            assert result.ephemeral is private, (command, channel.name)
    assert "renters pay" in texts((await scene.alice.slash(other, "price", gpu="rtx-4090")).response)

    await admin.click(panel, label="Public everywhere")
    assert stored(world, scene).public_channels == ()
    assert not (await scene.alice.slash(other, "price", gpu="rtx-4090")).ephemeral


async def test_a_private_card_is_turned_in_place(scene: Scene, admin: Any) -> None:
    other = scene.channel.guild.create_text_channel("talk")
    panel = (await admin.slash(scene.channel, "server channels")).response
    await admin.select(panel, [scene.channel], custom_id="srv1|channels")
    card = await scene.alice.slash(other, "price", gpu="rtx-4090")
    await scene.alice.click(card.response, label="30 d")
    assert not other.history()


async def test_slow_private_answers_are_deferred_privately(scene: Scene, world: World, admin: Any) -> None:
    other = scene.channel.guild.create_text_channel("talk")
    panel = (await admin.slash(scene.channel, "server channels")).response
    await admin.select(panel, [scene.channel], custom_id="srv1|channels")
    world.charts.delay = 5
    result = await scene.alice.slash(other, "price", gpu="rtx-4090")
    assert result.deferred
    assert result.ephemeral


async def test_a_mention_elsewhere_is_pointed_to_the_slash_command(scene: Scene, admin: Any) -> None:
    other = scene.channel.guild.create_text_channel("talk")
    panel = (await admin.slash(scene.channel, "server channels")).response
    await admin.select(panel, [scene.channel], custom_id="srv1|channels")
    await scene.alice.send(other, f"{scene.env.bot.user.mention} price RTX 4090")
    (said,) = [m for m in other.history() if m.author.bot]
    assert "In this channel I answer only slash commands" in texts(said)


async def test_defaults_are_used_where_options_are_left_out(scene: Scene, world: World, admin: Any) -> None:
    result = await admin.slash(scene.channel, "server defaults", gpu="RTX 5090", platform="runpod")
    assert "RTX 5090" in texts(result.response)
    assert "RunPod" in texts(result.response)
    assert (stored(world, scene).gpu, stored(world, scene).platform) == ("rtx-5090", "runpod")

    choices = await scene.alice.autocomplete(scene.channel, "price", "gpu", "")
    assert choices[0]["value"] == "rtx-5090"
    card = texts((await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")).response)
    assert "RTX 4090 on RunPod" in card
    asked = texts((await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", platform="vast")).response)
    assert "RTX 4090 on Vast.ai" in asked
    elsewhere = texts((await scene.alice.slash(scene.channel, "price", gpu="rtx-5090")).response)
    assert "RTX 5090 on Vast.ai" in elsewhere, "the default platform does not list it"

    await admin.click(result.response, label="No defaults")
    assert (stored(world, scene).gpu, stored(world, scene).platform) == (None, None)


async def test_time_zone(scene: Scene, world: World, admin: Any) -> None:
    choices = await admin.autocomplete(scene.channel, "server timezone", "zone", "japan")
    assert choices[0]["value"] == "Asia/Tokyo"
    result = await admin.slash(scene.channel, "server timezone", zone="Asia/Tokyo")
    assert "Tokyo · Japan Time (UTC+09:00)" in texts(result.response)
    assert stored(world, scene).timezone == "Asia/Tokyo"
    await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert world.charts.specs[-1].timezone == "Asia/Tokyo", "a member without a zone of his own sees the server's"
    bad = await admin.slash(scene.channel, "server timezone", zone="Middle-earth")
    assert "I don't know a time zone" in texts(bad.response)


async def test_alert_roles(scene: Scene, world: World, admin: Any) -> None:
    role = scene.channel.guild.create_role("hosts")
    panel = (await admin.slash(scene.channel, "server roles")).response
    await admin.select(panel, [role], custom_id="srv1|roles")
    assert stored(world, scene).roles == (role.id,)
    assert f"<@&{role.id}>" in texts(panel)
    await admin.click(panel, label="No roles")
    assert stored(world, scene).roles == ()


async def test_feed_is_set_up_step_by_step(scene: Scene, world: World, admin: Any) -> None:
    panel = await feed_panel(scene, admin, world)
    await admin.select(panel, ["both"], custom_id="srv1|feedmode")
    assert "no channel chosen yet" in texts(panel)
    await admin.select(panel, [scene.channel], custom_id="srv1|feedchannel")
    form = await admin.click(panel, label="Hour, size, number")
    assert form.modal["title"] == "Market feed"
    await admin.submit_modal(form, {"hour": "18", "threshold": "7,5 %", "posts": "5"})

    feed = stored(world, scene).feed
    assert (feed.mode, feed.channel_id, feed.hour, feed.threshold, feed.max_posts) == (
        "both",
        scene.channel.id,
        18,
        7.5,
        5,
    )
    assert feed.since is not None
    text = texts(panel)
    assert f"<#{scene.channel.id}> · daily at 18:00 · on moves of 7.5% in 24 h · at most 5 a day" in text
    assert "Next daily post <t:1767290400:R>" in text
    assert stored(world, scene).locale == "en-US"
    await admin.select(panel, ["off"], custom_id="srv1|feedmode")
    assert stored(world, scene).feed.mode == "off"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hour": "24"}, "The hour must be a whole number from 0 to 23."),
        ({"hour": "x"}, "The hour must be a whole number from 0 to 23."),
        ({"posts": ".5"}, "The number of posts must be a whole number from 1 to 24."),
        ({"threshold": "0.2"}, "The size of a move must be a number from 1 to 100 percent."),
        ({"threshold": "nan"}, "The size of a move must be a number from 1 to 100 percent."),
        ({"posts": "0"}, "The number of posts must be a whole number from 1 to 24."),
    ],
)
async def test_form_refuses_what_makes_no_sense(
    scene: Scene, world: World, admin: Any, values: dict[str, str], said: str
) -> None:
    panel = await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="daily")
    before = stored(world, scene)
    form = await admin.click(panel, label="Hour, size, number")
    result = await admin.submit_modal(form, {"hour": "9", "threshold": "10", "posts": "3", **values})
    assert result.ephemeral
    assert said in texts(result.response or result.followups[0])
    assert stored(world, scene) == before


async def test_test_post(scene: Scene, world: World, admin: Any) -> None:
    world.market.stored = [replace(quote, at=NOW, fetched_at=NOW) for quote in world.market.stored]
    panel = await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="daily")
    result = await admin.click(panel, label="Test post")

    assert result.ephemeral
    assert "Test post sent" in texts(result.response)
    (post,) = [m for m in scene.channel.history() if m.author.bot]
    text = texts(post)
    assert "GPU market, Jan 1, 2026" in text
    assert "A test: this is how the feed will look here." in text
    assert "RTX 4090" in text
    assert "[500.farm](<https://500.farm>)" in text
    assert [a.filename for a in post.attachments] == ["market-7d.webp"]
    card = await scene.alice.click(post, label="RTX 4090")
    assert card.ephemeral
    assert "renters pay" in texts(card.response)


async def test_test_post_needs_a_channel(scene: Scene, world: World, admin: Any) -> None:
    panel = await feed_panel(scene, admin, world)
    result = await admin.click(panel, label="Test post")
    assert "Choose the channel of the feed first, in </server feed:" in texts(result.response)


@pytest.mark.parametrize(
    ("denied", "named"),
    [
        ({"send_messages": False}, "“Send Messages”"),
        ({"embed_links": False, "attach_files": False}, "“Embed Links”, “Attach Files”"),
        ({"view_channel": False}, "“View Channel”"),
    ],
)
async def test_missing_permissions_are_named(
    scene: Scene, world: World, admin: Any, denied: dict[str, bool], named: str
) -> None:
    guild = scene.channel.guild
    closed = guild.create_text_channel("closed", overwrites={scene.env.bot.user: discord.PermissionOverwrite(**denied)})
    await scene.env.settle()
    panel = await feed_panel(scene, admin, world, channel_id=closed.id, mode="daily")
    assert f"In <#{closed.id}> I lack {named}" in texts(panel)

    result = await admin.click(panel, label="Test post")

    said = texts(result.response)
    assert result.ephemeral
    assert f"I cannot post in <#{closed.id}>: grant me " in said
    assert named in said
    assert not closed.history()
    shown = texts((await admin.slash(scene.channel, "server show")).response)
    assert f"In <#{closed.id}> I lack {named}" in shown


async def test_a_role_that_not_everybody_may_ping_needs_a_permission(scene: Scene, world: World, admin: Any) -> None:
    guild = scene.channel.guild
    role = guild.create_role("hosts")
    calm = guild.create_text_channel(
        "calm", overwrites={scene.env.bot.user: discord.PermissionOverwrite(mention_everyone=False)}
    )
    await scene.env.settle()
    await scene.env.bot.services.servers.change(guild.id, lambda s: s.changed(roles=[role.id]))
    panel = await feed_panel(scene, admin, world, channel_id=calm.id, mode="moves")
    await admin.click(panel, label="Ping alert roles")
    assert stored(world, scene).feed.ping
    assert "I lack “Mention @everyone, @here and All Roles”" in texts(panel)


async def test_test_post_into_a_channel_that_is_gone(scene: Scene, world: World, admin: Any) -> None:
    panel = await feed_panel(scene, admin, world, channel_id=4242, mode="daily")
    result = await admin.click(panel, label="Test post")
    assert "The channel of the feed is gone; choose another one in </server feed:" in texts(result.response)
    shown = texts((await admin.slash(scene.channel, "server show")).response)
    assert "A chosen channel is gone: <#4242>" in shown


async def test_stale_data_are_not_even_tested(scene: Scene, world: World, admin: Any) -> None:
    world.market.stored = [replace(quote, at=NOW - timedelta(hours=2)) for quote in world.market.stored]
    panel = await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="daily")
    result = await admin.click(panel, label="Test post")
    assert result.ephemeral
    assert not [m for m in scene.channel.history() if m.author.bot]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("permissions", "I may not post in"),
        ("access", "I cannot see"),
        ("channel", "the channel is gone. Choose another one."),
    ],
)
async def test_a_paused_feed_says_why_and_goes_on(
    scene: Scene, world: World, admin: Any, reason: Any, said: str
) -> None:
    pause = FeedPause(reason=reason, at=NOW).model_dump()
    panel = await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="daily", paused=pause)
    assert f"⏸️ Paused <t:{int(NOW.timestamp())}:R>" in texts(panel)
    assert said in texts(panel)
    assert said in texts((await admin.slash(scene.channel, "server show")).response)

    await admin.click(panel, label="Resume")

    assert stored(world, scene).feed.paused is None
    assert "Paused" not in texts(panel)
    assert "Resume" not in buttons(panel)


async def test_silence_and_last_post_are_shown(scene: Scene, world: World, admin: Any) -> None:
    guild_id = scene.channel.guild.id
    world.state.values[feed_state_key(guild_id)] = {"silent": "stale", "silent_since": NOW.isoformat()}
    world.server_rows.posts[guild_id] = FeedPost("daily:2025-12-31", scene.channel.id, 5, NOW - timedelta(days=1))
    panel = await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="daily")
    assert "the market data are stale" in texts(panel)
    assert f"Last post <t:{int((NOW - timedelta(days=1)).timestamp())}:R>" in texts(panel)


async def test_kick_and_return(scene: Scene, world: World, admin: Any) -> None:
    await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="daily")
    guild = scene.env.bot.get_guild(scene.channel.guild.id)
    scene.env.bot.dispatch("guild_remove", guild)
    await scene.env.settle()
    assert world.server_rows.rows[guild.id].erase_at == world.market.time() + ERASE_AFTER
    scene.env.bot.dispatch("guild_join", guild)
    await scene.env.settle()
    assert world.server_rows.rows[guild.id].erase_at is None
    assert stored(world, scene).feed.mode == "daily"


async def test_what_happened_while_the_bot_was_away(scene: Scene, world: World, make_bot: Any) -> None:
    services = scene.env.bot.services
    here = scene.channel.guild.id
    await services.servers.change(here, lambda s: s)
    await services.servers.left(here)
    await services.servers.change(99, lambda s: s)
    await scene.env.restart_bot(make_bot())
    assert world.server_rows.rows[here].erase_at is None
    assert world.server_rows.rows[99].erase_at is not None


async def test_erase_all_settings(scene: Scene, world: World, admin: Any) -> None:
    await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="daily")
    shown = await admin.slash(scene.channel, "server show")
    question = await admin.click(shown.response, label="Erase all settings")
    assert scene.channel.guild.id in world.server_rows.rows
    await admin.click(question.response, label="Erase")
    assert "this server's settings are erased" in texts(question.response)
    assert scene.channel.guild.id not in world.server_rows.rows


async def test_when_the_settings_cannot_be_read_answers_are_private(scene: Scene, world: World) -> None:
    world.server_rows.error = RuntimeError("no database")
    assert (await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")).ephemeral


async def test_menus_show_what_is_chosen(scene: Scene, world: World, admin: Any) -> None:
    panel = await feed_panel(scene, admin, world, channel_id=scene.channel.id, mode="moves")
    (mode,) = selects(panel)
    assert [option["value"] for option in mode["options"] if option.get("default")] == ["moves"]
    assert "srv1|feedchannel" in feed_ids(panel)
    channel = next(c for c in components(panel) if c.get("custom_id") == "srv1|feedchannel")
    assert [int(value["id"]) for value in channel["default_values"]] == [scene.channel.id]


async def test_every_text_of_these_commands_is_translated(scene: Scene) -> None:
    payload = {command["name"]: command for command in await command_payload(scene.env.bot.tree)}

    def check(entry: dict[str, Any]) -> None:
        assert "de" in entry["description_localizations"], entry["name"]
        for option in entry.get("options", []):
            check(option)

    for name in ("server", "settings", "watchlist"):
        check(payload[name])
