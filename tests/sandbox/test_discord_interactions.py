"""Interactions as a real bot and real users go through them."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import discord
import pytest

from sandbox.discord import Control, NotAnswered, Refused
from sandbox.discord.actor import components
from tests.sandbox.discord_bot import PNG, Stage, card, staged, until


def text_of(message: dict[str, Any]) -> str:
    return "\n".join([*(str(c.get("content", "")) for c in components(message)), str(message["content"])])


async def test_slash_defer_edit_with_layout_and_file_then_dynamic_click() -> None:
    async with staged() as stage:
        message = await stage.ann.run(stage.channel, "price", {"gpu": "h100", "count": "3"})
        assert "Card 3" in text_of(message)
        assert message["flags"] == 1 << 15
        assert message["edited_timestamp"] is None, "filling in a deferred answer is no edit"
        gallery = next(c for c in components(message) if c["type"] == 12)
        media = gallery["items"][0]["media"]
        assert (media["width"], media["height"]) == (2, 1)
        assert gallery["items"][0]["description"] == "a chart"
        assert await stage.bob.file(media["url"]) == PNG
        facts = message["interaction_metadata"]
        assert facts["name"] == "price"
        assert facts["user"]["username"] == "ann"
        assert (await stage.bob.messages(stage.channel))[-1]["id"] == message["id"]

        await stage.bob.click(message, "n=3")  # anyone may click
        changed = await stage.ann.changed(message)
        assert "Card 4" in text_of(changed)
        assert changed["edited_timestamp"] is not None
        media = next(c for c in components(changed) if c["type"] == 12)["items"][0]["media"]
        assert await stage.ann.file(media["url"]) == PNG, "the picture stays through an edit without a file"
        assert not stage.bot.errors


async def test_deferred_answer_shows_loading_first() -> None:
    async with staged() as stage:
        number = await stage.ann.slash(stage.channel, "price", {"gpu": "h100"})
        loading = await stage.ann.wait_for("MESSAGE_CREATE", lambda m: bool(m["flags"] & 128))
        final = await stage.ann.answer(number)
        assert final["id"] == loading["id"]
        assert not final["flags"] & 128


async def test_immediate_answer_with_embed_picture_and_buttons() -> None:
    async with staged() as stage:
        message = await stage.ann.run(stage.channel, "quick")
        assert message["attachments"] == [], "a picture inside an embed is not listed again"
        assert await stage.ann.file(message["embeds"][0]["image"]["url"]) == PNG
        with pytest.raises(Refused, match="disabled"):
            await stage.ann.click(message, "off")
        with pytest.raises(Refused, match="no component"):
            await stage.ann.click(message, "nowhere")
        await stage.ann.click(message, "n=1")
        assert (await stage.ann.changed(message))["content"] == "clicked 1"


async def test_autocomplete() -> None:
    async with staged() as stage:
        assert len(await stage.ann.autocomplete(stage.channel, "price", "gpu")) == 3
        found = await stage.ann.autocomplete(stage.channel, "price", "gpu", "40", options={"count": 2})
        assert found == [{"name": "RTX 4090", "value": "rtx 4090"}]
        with pytest.raises(Refused, match="no autocomplete"):
            await stage.ann.autocomplete(stage.channel, "price", "count")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "required"),
        ({"gpu": "x", "count": 9}, "1 to 8"),
        ({"gpu": "x", "count": "many"}, "whole number"),
        ({"gpu": "x", "secret": "maybe"}, "true or false"),
        ({"gpu": "x", "other": 1}, "no option"),
        ({"gpu": "x" * 6001}, "characters"),
    ],
)
async def test_client_refuses_bad_options(options: dict[str, Any], text: str) -> None:
    async with staged() as stage:
        with pytest.raises(Refused, match=text):
            await stage.ann.slash(stage.channel, "price", options)


async def test_unknown_commands_channels_and_choices_are_refused() -> None:
    async with staged() as stage:
        for name, options, subcommand in (
            ("nothing", {}, None),
            ("stunt", {"what": "fly"}, None),
            ("portfolio", {}, None),
            ("portfolio", {}, "sell"),
        ):
            with pytest.raises(Refused):
                await stage.ann.slash(stage.channel, name, options, subcommand=subcommand)
        with pytest.raises(Refused, match="channel"):
            await stage.ann.slash(123, "quick")


async def test_every_kind_of_option_is_resolved() -> None:
    async with staged() as stage:
        options = {
            "member": str(stage.bob.user_id),
            "channel": str(stage.channel),
            "role": str(stage.guild.id),
            "number": "1.5",
            "file": {"filename": "rigs.csv", "data_base64": base64.b64encode(b"a,b").decode()},
        }
        message = await stage.ann.run(stage.channel, "every", options)
        assert message["content"] == f"{stage.bob.user_id} market @everyone 1.5 rigs.csv b'a,b'"
        with pytest.raises(Refused, match="base64"):
            await stage.ann.slash(stage.channel, "every", options | {"file": {"data_base64": "*"}})
        with pytest.raises(Refused, match="not something"):
            await stage.ann.slash(stage.channel, "every", options | {"role": "5"})


async def test_ephemeral_answers_are_for_one_user_only() -> None:
    async with staged() as stage:
        message = await stage.ann.run(stage.channel, "price", {"gpu": "h100", "secret": True})
        assert message["flags"] & 64
        assert (await stage.ann.messages(stage.channel))[-1]["id"] == message["id"]
        assert await stage.bob.messages(stage.channel) == []
        with pytest.raises(Refused, match="no such message"):
            await stage.bob.click(message, "n=1")
        with pytest.raises(TimeoutError):
            await stage.bob.wait_for_message(within=0.1)
        assert stage.bot.count("MESSAGE_CREATE") == 0, "the bot does not get ephemeral messages either"


async def test_subcommand_opens_a_form() -> None:
    async with staged() as stage:
        number = await stage.ann.slash(stage.channel, "portfolio", {"gpu": "x"}, subcommand="add")
        form = await stage.ann.form(number)
        assert form["title"] == "Add a machine"
        assert [c["type"] for c in form["components"]] == [10, 18, 18]
        assert all(c["id"] for c in form["components"])
        for values, text in (
            ({"gpu": ["H100"]}, "required"),
            ({"note": "ab", "gpu": ["H100"]}, "3 to 20"),
            ({"note": "abc", "gpu": ["Z80"]}, "not an option"),
            ({"note": "abc", "gpu": ["H100"], "x": "y"}, "no field"),
        ):
            with pytest.raises(Refused, match=text):
                await stage.ann.submit_modal(number, values)
        with pytest.raises(Refused, match="no such form"):
            await stage.bob.submit_modal(number, {"note": "mine!", "gpu": ["H100"]})
        answer = await stage.ann.answer(await stage.ann.submit_modal(number, {"note": "mine!", "gpu": ["H100"]}))
        assert answer["content"] == "mine! / H100"
        triggering = answer["interaction_metadata"]["triggering_interaction_metadata"]
        assert triggering["id"] == number


async def test_select_defers_its_update_or_opens_a_form() -> None:
    async with staged() as stage:
        message = await stage.ann.run(stage.channel, "pick")
        for values in ([], ["nope"], ["H100", "H100"], ["H100", "RTX 4090", "RTX 3090"]):
            with pytest.raises(Refused):
                await stage.ann.select(message, "picker", values)
        number = await stage.ann.select(message, "picker", ["H100", "RTX 4090"])
        assert (await stage.ann.form(number))["custom_id"]
        submitted = await stage.ann.submit_modal(number, {"note": "both", "gpu": "H100"})
        assert (await stage.ann.answer(submitted))["content"] == "both / H100"
        await stage.ann.select(message, "GPUs", ["H100"])
        changed = await stage.ann.changed(message)
        assert (changed["content"], changed["components"]) == ("picked H100", [])


async def test_context_menus() -> None:
    async with staged() as stage:
        sent = await stage.bob.send(stage.channel, "my 4090 at 0.40")
        number = await stage.ann.context_menu(stage.channel, "Repeat", sent["id"])
        assert (await stage.ann.answer(number))["content"] == "They said: my 4090 at 0.40"
        number = await stage.ann.context_menu(stage.channel, "Who is this", stage.bob.user_id)
        assert (await stage.ann.answer(number))["content"] == "That is bob"
        with pytest.raises(Refused):
            await stage.ann.context_menu(stage.channel, "Who is this", sent["id"])


async def test_deadline_of_three_seconds() -> None:
    async with staged(ack_deadline_s=1.0) as stage, Control(stage.sandbox.page_url) as control:
        number = await stage.ann.slash(stage.channel, "silent")
        with pytest.raises(NotAnswered, match="did not respond"):
            await stage.ann.answer(number)
        facts = await control.interaction(number)
        assert (facts["state"], facts["acked_ms"], facts["messages"]) == ("failed", None, [])
        assert await stage.ann.autocomplete(stage.channel, "price", "gpu", "h") != []


async def test_a_late_answer_is_an_unknown_interaction() -> None:
    async with staged() as stage:
        await stage.sandbox.control.apply_faults({"age_interactions_ms": 3100})
        number = await stage.ann.slash(stage.channel, "quick")
        with pytest.raises(NotAnswered):
            await stage.ann.answer(number)
        await until(lambda: stage.bot.errors)
        error = stage.bot.errors[0]
        assert isinstance(error, discord.NotFound)
        assert error.code == 10062
        age = discord.utils.utcnow() - discord.utils.snowflake_time(int(number))
        assert age.total_seconds() > 3


async def stunt(stage: Stage, what: str) -> BaseException:
    """Run a stunt that ends in an error, and return it."""
    await stage.ann.slash(stage.channel, "stunt", {"what": what})
    await until(lambda: stage.bot.errors)
    return stage.bot.errors.pop()


async def test_error_codes_of_answers() -> None:
    async with staged() as stage:
        error = await stunt(stage, "twice")
        assert isinstance(error, discord.HTTPException)
        assert (error.status, error.code) == (400, 40060)
        for what, words in (
            ("long embed", "data.embeds.0.title: Must be 256 or fewer in length."),
            ("many embeds", "Embed size exceeds maximum size of 6000"),
            ("mixed v2", "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"),
            ("missing file", "The referenced attachment chart.png was not found"),
        ):
            error = await stunt(stage, what)
            assert isinstance(error, discord.HTTPException)
            assert (error.status, error.code) == (400, 50035), what
            assert words in str(error)


async def test_original_and_follow_ups() -> None:
    async with staged() as stage, Control(stage.sandbox.page_url) as control:
        number = await stage.ann.slash(stage.channel, "stunt", {"what": "follow"})
        first = await stage.ann.answer(number)
        assert (first["content"], first["flags"] & 64) == ("first becomes the original", 64)
        second = await stage.bob.wait_for_message(lambda m: m["content"] == "second, edited")
        assert second["message_reference"]["message_id"] == first["id"]
        assert len((await control.interaction(number))["messages"]) == 2

        message = await stage.ann.run(stage.channel, "stunt", {"what": "with response"})
        assert (await stage.ann.changed(message))["content"] == "id True"

        message = await stage.ann.run(stage.channel, "stunt", {"what": "delete"})
        gone = await stage.bob.wait_for("MESSAGE_DELETE", lambda d: d["id"] == message["id"])
        assert gone["channel_id"] == str(stage.channel)
        message = await stage.ann.run(stage.channel, "portfolio", subcommand="show")
        assert message["interaction_metadata"]["name"] == message["interaction"]["name"] == "portfolio show"
        follow_up = await stage.ann.wait_for_message(lambda m: m["content"] == "a second one")
        assert follow_up["flags"] & 64
        assert not stage.bot.errors


async def test_tokens_end() -> None:
    async with staged() as stage:
        await stage.ann.run(stage.channel, "quick")
        token = next(iter(stage.sandbox.interactions.by_id.values())).token
        hook = discord.Webhook.partial(
            stage.sandbox.world.bot.id,
            token,
            session=stage.bot.http._HTTPClient__session,  # type: ignore[attr-defined]
        )
        await hook.send("still in time")
        await stage.sandbox.control.apply_faults({"expire_tokens": True})
        with pytest.raises(discord.HTTPException) as caught:
            await hook.send("too late")
        assert (caught.value.status, caught.value.code) == (401, 50027)
        stranger = discord.Webhook.partial(
            stage.sandbox.world.bot.id,
            "x" * 60,
            session=stage.bot.http._HTTPClient__session,  # type: ignore[attr-defined]
        )
        with pytest.raises(discord.NotFound) as missing:
            await stranger.send("?")
        assert missing.value.code == 10015


async def test_user_install_in_a_foreign_guild_and_in_dms() -> None:
    async with staged() as stage:
        stage.sandbox.world.users[int(stage.ann.user_id)].installed = True
        foreign = stage.sandbox.add_guild("Foreign", members=[int(stage.ann.user_id)], bot=False)
        channel = foreign.channel_ids[0]
        assert [c["name"] for c in await stage.ann.commands(channel)] == ["price"]
        number = await stage.ann.slash(channel, "price", {"gpu": "h100"})
        await stage.ann.answer(number)
        payload = stage.sandbox.interactions.by_id[int(number)].payload
        assert payload["authorizing_integration_owners"] == {"1": stage.ann.user_id}
        assert payload["context"] == 0
        with pytest.raises(Refused, match="no command"):
            await stage.ann.slash(channel, "quick")

        dm = await stage.ann.open_dm()
        number = await stage.ann.slash(dm["id"], "price", {"gpu": "h100"})
        await stage.ann.answer(number)
        payload = stage.sandbox.interactions.by_id[int(number)].payload
        assert payload["authorizing_integration_owners"] == {"0": "0", "1": stage.ann.user_id}
        assert (payload["context"], "member" in payload, "guild_id" in payload) == (1, False, False)


async def test_user_install_allows_five_follow_ups() -> None:
    async with staged() as stage:
        stage.sandbox.world.users[int(stage.ann.user_id)].installed = True
        foreign = stage.sandbox.add_guild("Foreign", members=[int(stage.ann.user_id)], bot=False)
        for command in stage.sandbox.world.global_commands.values():
            command["integration_types"] = [0, 1]
        await stage.ann.slash(foreign.channel_ids[0], "stunt", {"what": "many follow ups"})
        await until(lambda: stage.bot.errors)
        error = stage.bot.errors.pop()
        assert isinstance(error, discord.HTTPException)
        assert error.code == 40094
        assert len(await stage.ann.messages(foreign.channel_ids[0])) == 6


async def test_persistent_buttons_work_after_a_restart_of_the_bot() -> None:
    from tests.sandbox.discord_bot import Bot, command_tree, running

    async with staged() as stage:
        channel = stage.bot.get_partial_messageable(stage.channel)
        sent = await channel.send(view=card(7), file=discord.File(__file__, "chart.png"))
        message = await stage.ann.wait_for_message(lambda m: m["id"] == str(sent.id))
        await stage.bot.close()
        again = Bot()
        command_tree(again)
        async with running(again, stage.sandbox):
            await stage.ann.click(message, "n=7")
            assert "Card 8" in text_of(await stage.ann.changed(message))


async def test_many_users_at_once() -> None:
    async with staged() as stage:
        started = asyncio.get_running_loop().time()
        numbers = [await stage.ann.slash(stage.channel, "price", {"gpu": "h100"}) for _ in range(20)]
        answers = await asyncio.gather(*(stage.ann.answer(number) for number in numbers))
        assert len({message["id"] for message in answers}) == 20
        assert asyncio.get_running_loop().time() - started < 3 + 7  # 7 s for a busy machine
        acked = [stage.sandbox.interactions.by_id[int(number)].acked_ms or 9e9 for number in numbers]
        assert max(acked) < 3000
