"""Channel messages and DMs of the bot: permissions, edits, files, rate limits, error codes."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord.permissions import Perm
from tests.sandbox.discord_bot import PNG, Bot, picture, running, staged, until


def code_of(caught: pytest.ExceptionInfo[discord.HTTPException]) -> tuple[int, int]:
    return caught.value.status, caught.value.code


async def test_message_content_reaches_the_bot_only_when_it_may() -> None:
    async with staged(sync=False) as stage:
        await stage.ann.send(stage.channel, "just talking")
        await stage.ann.send(stage.channel, f"<@{stage.bot.application_id}> price 4090")
        dm = await stage.ann.open_dm()
        await stage.ann.send(dm["id"], "hello in private")
        await until(lambda: sum(kind == "message" for kind, _ in stage.bot.seen) == 3)
        talk, mention, private = (what for kind, what in stage.bot.seen if kind == "message")
        assert talk.content == ""
        assert mention.content.endswith("price 4090")
        assert [user.id for user in mention.mentions] == [stage.bot.application_id]
        assert (private.content, private.guild) == ("hello in private", None)


async def test_send_edit_delete_with_files() -> None:
    async with staged(sync=False) as stage:
        channel = stage.bot.get_channel(stage.channel)
        assert isinstance(channel, discord.TextChannel)
        files = [picture("a b/ü?.png"), discord.File(io.BytesIO(b"x,y"), "data.csv", description="the rows")]
        message = await channel.send("two files", files=files)
        names = [attachment.filename for attachment in message.attachments]
        assert names == ["ü_.png", "data.csv"]
        assert message.attachments[1].description == "the rows"
        assert (message.attachments[0].width, message.attachments[0].content_type) == (2, "image/png")
        assert await message.attachments[0].read() == PNG
        edited = await message.edit(content="one file", attachments=[message.attachments[1]])
        assert [a.filename for a in edited.attachments] == ["data.csv"]
        edited = await edited.edit(attachments=[*edited.attachments, picture()])
        assert [a.filename for a in edited.attachments] == ["data.csv", "chart.png"]
        fetched = await channel.fetch_message(message.id)
        assert (fetched.content, fetched.edited_at is not None) == ("one file", True)
        history = [m async for m in channel.history(limit=10)]
        assert [m.id for m in history] == [message.id]
        await message.delete()
        await stage.ann.wait_for("MESSAGE_DELETE", lambda d: d["id"] == str(message.id))
        with pytest.raises(discord.NotFound) as caught:
            await channel.fetch_message(message.id)
        assert code_of(caught) == (404, 10008)


async def test_reply_mentions_and_allowed_mentions() -> None:
    async with staged(sync=False) as stage:
        sent = await stage.ann.send(stage.channel, f"<@{stage.bot.application_id}> hi")
        channel = stage.bot.get_channel(stage.channel)
        assert isinstance(channel, discord.TextChannel)
        target = channel.get_partial_message(int(sent["id"]))
        hosts = stage.sandbox.setup.add_role(stage.guild.id, "hosts")
        text = f"<@{stage.ann.user_id}> <@&{hosts.id}> @everyone"
        meek = await target.reply(text)
        assert (meek.mention_everyone, meek.role_mentions) == (False, []), "that takes a permission"
        stage.sandbox.setup.add_role(stage.guild.id, "hosts", mentionable=True)
        await until(lambda: stage.bot.count("GUILD_ROLE_UPDATE") == 1)
        assert [role.name for role in (await channel.send(text)).role_mentions] == ["hosts"]
        stage.sandbox.setup.add_bot(stage.guild.id, int(Perm.DM | Perm.MENTION_EVERYONE))
        loud = await target.reply(text)
        assert loud.mention_everyone
        assert [user.name for user in loud.mentions] == ["ann"]
        assert loud.reference is not None
        assert loud.reference.message_id == int(sent["id"])
        quiet = await channel.send(text, allowed_mentions=discord.AllowedMentions.none())
        assert (quiet.mention_everyone, quiet.mentions, quiet.role_mentions) == (False, [], [])


async def test_nonce_makes_sending_idempotent() -> None:
    async with staged(sync=False) as stage:
        channel = stage.bot.get_partial_messageable(stage.channel)
        first = await channel.send("alert", nonce="alert-1")
        second = await channel.send("alert", nonce="alert-1")
        third = await channel.send("alert", nonce="alert-2")
        assert first.id == second.id != third.id
        assert len(await stage.ann.messages(stage.channel)) == 2


async def test_a_nonce_is_forgotten_after_some_minutes() -> None:
    async with staged(sync=False) as stage:
        channel = stage.bot.get_partial_messageable(stage.channel)
        first = await channel.send("alert", nonce="alert-1")
        await stage.sandbox.control.apply_faults({"clock_skew_s": 170})
        assert (await channel.send("alert", nonce="alert-1")).id == first.id
        await stage.sandbox.control.apply_faults({"clock_skew_s": 190})
        assert (await channel.send("alert", nonce="alert-1")).id != first.id


async def test_a_lost_answer_leaves_the_message() -> None:
    async with staged(sync=False) as stage:
        channel = stage.bot.get_partial_messageable(stage.channel)
        await stage.sandbox.control.apply_faults({"lose_answer": {"route": "POST /channels/{channel_id}/messages"}})
        with pytest.raises(aiohttp.ClientError):
            await channel.send("alert", nonce="alert-1")
        (kept,) = await stage.ann.messages(stage.channel)
        assert int(kept["id"]) == (await channel.send("alert", nonce="alert-1")).id


async def test_dms_and_who_does_not_take_them() -> None:
    async with staged(sync=False) as stage:
        ann_id = int(stage.ann.user_id)
        ann = await stage.bot.fetch_user(ann_id)
        message = await ann.send("price dropped")
        channel = await stage.ann.wait_for("CHANNEL_CREATE", lambda d: d["type"] == 1)
        assert channel["recipients"][0]["username"] == "GPUScout"
        assert (await stage.ann.wait_for_message())["id"] == str(message.id)
        assert (await stage.ann.state())["dms"][0]["id"] == str(message.channel.id)
        await stage.sandbox.control.apply_faults({"close_dms": [ann_id]})
        with pytest.raises(discord.Forbidden) as caught:
            await ann.send("again")
        assert code_of(caught) == (403, 50007)
        await stage.sandbox.control.apply_faults({"open_dms": [ann_id]})
        await ann.send("open again")
        stage.sandbox.setup.remove_bot(stage.guild.id)
        with pytest.raises(discord.Forbidden) as caught:
            await ann.send("nothing in common")
        assert code_of(caught) == (403, 50278)


async def test_channel_permissions() -> None:
    view, send, files = int(Perm.VIEW_CHANNEL), int(Perm.SEND_MESSAGES), int(Perm.ATTACH_FILES)
    async with staged(sync=False, permissions=0, rate_limits=False) as stage:
        setup, guild_id = stage.sandbox.setup, stage.guild.id
        stage.guild.roles[guild_id].permissions = 0
        channel = stage.bot.get_partial_messageable(stage.channel)
        for granted, code in ((0, 50001), (view, 50013), (view | send, None)):
            setup.add_bot(guild_id, granted)
            if code is None:
                await channel.send("may")
                continue
            with pytest.raises(discord.Forbidden) as caught:
                await channel.send("may not")
            assert caught.value.code == code
        with pytest.raises(discord.Forbidden) as caught:
            await channel.send(embed=discord.Embed(title="no embed links"))
        assert caught.value.code == 50013
        with pytest.raises(discord.Forbidden) as caught:
            await channel.send(file=picture())
        assert caught.value.code == 50013
        setup.add_bot(guild_id, view | send | files)
        await channel.send(file=picture())
        bot_id = stage.bot.application_id
        setup.set_overwrites(stage.channel, [{"id": str(bot_id), "type": 1, "allow": "0", "deny": str(send)}])
        with pytest.raises(discord.Forbidden):
            await channel.send("denied here")
        await until(lambda: stage.bot.count("CHANNEL_UPDATE") == 1)
        known = stage.bot.get_channel(stage.channel)
        assert isinstance(known, discord.TextChannel)
        assert not known.permissions_for(known.guild.me).send_messages


async def test_messages_of_others_can_be_deleted_but_not_edited() -> None:
    async with staged(sync=False) as stage:
        sent = await stage.ann.send(stage.channel, "mine")
        message = stage.bot.get_partial_messageable(stage.channel).get_partial_message(int(sent["id"]))
        with pytest.raises(discord.Forbidden) as caught:
            await message.edit(content="yours")
        assert caught.value.code == 50005
        with pytest.raises(discord.Forbidden) as caught:
            await message.delete()
        assert caught.value.code == 50013
        stage.sandbox.setup.add_bot(stage.guild.id, int(Perm.DM | Perm.MANAGE_MESSAGES))
        await message.delete()


async def test_bodies_that_discord_refuses() -> None:
    async with staged(sync=False, rate_limits=False) as stage:
        channel = stage.bot.get_partial_messageable(stage.channel)
        button = discord.ui.Button[discord.ui.View]
        twice, empty, linked = discord.ui.View(), discord.ui.View(), discord.ui.View()
        twice.add_item(button(label="a", custom_id="same")).add_item(button(label="b", custom_id="same"))
        empty.add_item(button(custom_id="empty"))
        linked.add_item(button(label="x", url="ftp://example.com"))
        cases: list[tuple[dict[str, Any], str]] = [
            ({"content": "x" * 4001}, "Must be 4000 or fewer"),
            ({"content": "x" * 2001}, "Must be 2000 or fewer"),
            ({"embed": discord.Embed(description="x" * 4097)}, "Must be 4096 or fewer"),
            ({"embed": discord.Embed(title="t", url="nonsense")}, "Not a well formed URL"),
            ({"view": twice}, "cannot be duplicated"),
            ({"view": empty}, "label or emoji is required"),
            ({"view": linked}, "Scheme must be one of"),
        ]
        for arguments, words in cases:
            with pytest.raises(discord.HTTPException, match=words) as caught:
                await channel.send(**arguments)
            assert code_of(caught) == (400, 50035), words
        with pytest.raises(discord.HTTPException) as caught:
            await channel.send("")
        assert code_of(caught) == (400, 50006)
        with pytest.raises(discord.HTTPException) as caught:
            await channel.send(file=discord.File(io.BytesIO(b"x" * (10 * 1024 * 1024 + 1)), "big.bin"))
        assert code_of(caught) == (413, 40005)
        with pytest.raises(discord.NotFound):
            await stage.bot.get_partial_messageable(1).send("nowhere")
        recorded = [record for record in stage.sandbox.requests if record.schema_errors]
        assert recorded[0].schema_errors[0]["path"] == ["content"]
        assert await stage.ann.messages(stage.channel) == []


async def test_rate_limits_are_announced_and_kept() -> None:
    async with staged(sync=False) as stage:
        channel = stage.bot.get_partial_messageable(stage.channel)
        await stage.sandbox.control.apply_faults(
            {"rate_limit": {"route": "POST /channels/{channel_id}/messages", "times": 2, "retry_after": 0.1}}
        )
        started = time.monotonic()
        await channel.send("in the end")
        assert time.monotonic() - started >= 0.2
        answers = [r.status for r in stage.sandbox.requests if r.route == "/channels/{channel_id}/messages"]
        assert answers == [429, 429, 200]


async def test_a_full_bucket_answers_429_to_who_does_not_wait() -> None:
    import aiohttp

    async with staged(sync=False) as stage:
        url = f"{stage.sandbox.api_url}/channels/{stage.channel}/messages"
        headers = {"Authorization": f"Bot {stage.sandbox.token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            statuses, left = [], []
            for number in range(7):
                async with session.post(url, json={"content": str(number)}) as response:
                    statuses.append(response.status)
                    left.append(response.headers["X-RateLimit-Remaining"])
                    assert response.headers["Content-Type"] == "application/json"
                    assert response.headers["Via"]
                    body = await response.json()
            assert statuses == [200] * 5 + [429] * 2
            assert left == ["4", "3", "2", "1", "0", "0", "0"]
            assert 0 < body["retry_after"] <= 5
            assert body["global"] is False


async def test_server_errors_latency_and_clock() -> None:
    async with staged(sync=False) as stage:
        channel = stage.bot.get_partial_messageable(stage.channel)
        faults = stage.sandbox.control.apply_faults
        await faults({"status": {"route": "POST /users/@me/channels", "times": 1, "code": 403, "error_code": 40003}})
        with pytest.raises(discord.Forbidden) as caught:
            await (await stage.bot.fetch_user(int(stage.ann.user_id))).create_dm()
        assert caught.value.code == 40003
        await faults({"status": {"route": f"/channels/{stage.channel}/messages", "times": 1, "code": 502}})
        started = time.monotonic()
        await channel.send("after a bad gateway")  # discord.py waits a second and tries again
        assert time.monotonic() - started >= 1
        await faults({"latency_ms": 150})
        started = time.monotonic()
        await channel.send("slow")
        assert time.monotonic() - started >= 0.15
        await faults({"latency_ms": 0, "clock_skew_s": 3600})
        message = await channel.send("from the future")
        ahead = message.created_at - discord.utils.utcnow()
        assert 3590 < ahead.total_seconds() < 3610
        await faults({"clear": True})
        message = await channel.send("now")
        assert abs((message.created_at - discord.utils.utcnow()).total_seconds()) < 30


async def test_typing_is_shown() -> None:
    async with staged(sync=False) as stage:
        async with stage.bot.get_partial_messageable(stage.channel).typing():
            data = await stage.ann.wait_for("TYPING", lambda d: d["channel_id"] == str(stage.channel))
        assert data["user_id"] == str(stage.bot.application_id)


async def test_entitlements_emojis_and_skus() -> None:
    async with staged(sync=False) as stage:
        created = asyncio.Event()
        stage.bot.add_listener(_setter(created), "on_entitlement_create")
        from sandbox.discord import Control

        async with Control(stage.sandbox.page_url) as control:
            made = await control.post("entitlements", {"sku_id": "77", "user_id": stage.ann.user_id})
        await asyncio.wait_for(created.wait(), 30)
        found = [e async for e in stage.bot.entitlements(user=discord.Object(int(stage.ann.user_id)))]
        assert [str(e.id) for e in found] == [made["id"]]
        assert [e async for e in stage.bot.entitlements(user=discord.Object(int(stage.bob.user_id)))] == []
        assert [sku.id for sku in await stage.bot.fetch_skus()] == [77]
        await found[0].delete()
        assert [e async for e in stage.bot.entitlements(exclude_deleted=True)] == []
        emoji = await stage.bot.create_application_emoji(name="vast", image=PNG)
        assert [e.name for e in await stage.bot.fetch_application_emojis()] == ["vast"]
        await emoji.delete()
        assert await stage.bot.fetch_application_emojis() == []


def _setter(event: asyncio.Event) -> Callable[..., Coroutine[Any, Any, None]]:
    async def listener(entitlement: discord.Entitlement) -> None:
        event.set()

    return listener


async def test_reading_about_itself_and_its_guilds() -> None:
    async with staged(sync=False) as stage:
        info = await stage.bot.application_info()
        assert info.name == "GPUScout"
        guild = await stage.bot.fetch_guild(stage.guild.id)
        assert guild.approximate_member_count == 4  # owner, ann, bob, bot
        assert [g.id async for g in stage.bot.fetch_guilds()] == [stage.guild.id]
        assert (await guild.fetch_member(int(stage.ann.user_id))).name == "ann"
        assert [c.name for c in await guild.fetch_channels()] == ["market"]
        with pytest.raises(discord.NotFound):
            await stage.bot.fetch_user(1)
        dm = await (await stage.bot.fetch_user(int(stage.ann.user_id))).create_dm()
        assert (await stage.bot.fetch_channel(dm.id)).id == dm.id


async def test_unknown_routes_say_so() -> None:
    async with staged(sync=False) as stage:
        guild = stage.bot.guilds[0]
        with pytest.raises(discord.NotFound):
            await guild.create_role(name="not in the sandbox")
        assert stage.sandbox.requests[-1].route == "?"


async def test_a_second_bot_process_replaces_the_first() -> None:
    async with staged(sync=False) as stage:
        await stage.bot.close()
        async with running(Bot(), stage.sandbox) as again:
            await again.get_partial_messageable(stage.channel).send("back")
            assert (await stage.ann.wait_for_message())["content"] == "back"
