"""Every error is one private sentence with an id that the log knows too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import discord
import pytest
import structlog
from discord import app_commands
from discord.ext import commands
from structlog.testing import LogCapture

from cogs.errors import EXPIRED_CODES, error_id, explain, unwrap
from config.i18n import translator_for
from gpuscout.market.models import MarketUnavailable, UnknownSeries
from tests.cogs.conftest import Scene, answers, buttons, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)

ID = re.compile(r"\n-# Error ([0-9A-HJKMNP-TV-Z]{6})$")


@pytest.fixture
def log() -> Iterator[LogCapture]:
    capture = LogCapture()
    old = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**old)


def sentence(result: Any) -> str:
    """The sentence of an ephemeral error; checks its shape."""
    assert result.ephemeral
    content = texts(result.response or result.followups[0])
    assert ID.search(content), content
    return ID.sub("", content)


async def test_unknown_gpu_is_answered_with_the_nearest_names(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="RTX 4900")
    said = sentence(result)
    assert "I don't know a GPU called “RTX 4900”" in said
    assert "Did you mean **RTX 4090**" in said
    assert not scene.channel.history()
    assert world.usage.outcomes == [("price", "slash", "unknown_name")]


async def test_nothing_near_points_to_the_list(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="zzzzqqq")
    assert re.search(r"Pick one from the list that opens while you type in </price:\d+>\.$", sentence(result))


async def test_what_a_member_typed_never_becomes_markup(scene: Scene) -> None:
    result = await scene.alice.slash(
        scene.channel, "price", gpu="**@everyone** <@1> [x](https://evil.example) `code`\n# big"
    )
    said = sentence(result)
    assert "@everyone" not in said
    assert "**@" not in said
    assert "<@1>" not in said.replace("\\<", "")
    assert "](https" not in said.replace("\\]", "").replace("\\[", "") or "\\[" in said
    assert "\n" not in said


async def test_unknown_platform(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", platform="vats")
    assert "I don't know a platform called “vats”" in sentence(result)
    assert "Vast.ai" in sentence(result)


async def test_unknown_region(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", region="atlantis")
    assert "There are no prices for a region called “atlantis”" in sentence(result)


async def test_known_gpu_without_quotes(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="b200")
    assert "Nobody lists a B200 right now." in sentence(result)


async def test_known_gpu_elsewhere_names_where(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-3060", platform="runpod")
    said = sentence(result)
    assert "There are no RTX 3060 quotes for runpod." in said or "RTX 3060" in said
    assert "There are for **vast**." in said


async def test_before_the_first_poll(scene: Scene, world: World) -> None:
    world.market.stored = []
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert "First data in about 40 s; ask again then." in sentence(result)


async def test_before_the_first_poll_without_a_schedule(scene: Scene, world: World) -> None:
    world.market.stored, world.market.next_poll = [], None
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert "There are no market data yet" in sentence(result)


async def test_data_older_than_four_hours(scene: Scene, world: World) -> None:
    world.market.stored = [replace(q, at=q.at - timedelta(hours=5)) for q in world.market.stored]
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    said = sentence(result)
    assert said.startswith("⚠️ Data temporarily unavailable: the last reading is from <t:1767207016:R>")
    assert re.search(r"</status:\d+> tells more", said)
    assert world.usage.outcomes == [("price", "slash", "unavailable")]


async def test_button_when_data_became_too_old(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    before = texts(card.response)
    world.market.stored = [replace(q, at=q.at - timedelta(hours=5)) for q in world.market.stored]

    result = await scene.alice.click(card.response, label="Refresh")

    assert "Data temporarily unavailable" in sentence(result)
    assert texts(card.response) == before
    assert world.usage.outcomes[-1] == ("price button", "component", "unavailable")


async def test_bug_is_logged_with_the_id_that_the_member_sees(scene: Scene, world: World, log: LogCapture) -> None:
    world.market.error = RuntimeError("secret detail")

    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    said = texts(result.response)
    assert "Something went wrong on my side" in said
    assert "secret detail" not in said
    (entry,) = [e for e in log.entries if e["event"] == "command_failed"]
    assert entry["error_id"] == ID.search(said)[1]  # type: ignore[index]
    assert isinstance(entry["exc_info"], RuntimeError)
    assert world.usage.outcomes == [("price", "slash", "error")]


async def test_bug_in_a_button(scene: Scene, world: World, log: LogCapture) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    world.market.error = RuntimeError("boom")

    result = await scene.alice.click(card.response, label="30 d")

    assert "Something went wrong" in sentence(result)
    assert [e["command"] for e in log.entries if e["event"] == "command_failed"] == ["price button"]


async def test_error_after_a_public_thinking_deletes_it(scene: Scene, world: World) -> None:
    world.market.delay, world.market.error = 1.4, MarketUnavailable(None, timedelta(seconds=9))

    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert answers(scene.env) == [
        ("POST", "callback", 5),
        ("PATCH", "@original", None),
        ("POST", result._interaction.token, None),
        ("DELETE", "@original", None),
    ]
    assert not scene.channel.history(viewer=scene.bob)
    assert result.response is None
    (followup,) = result.followups
    assert followup.ephemeral
    assert "First data in about 9 s" in followup.content


async def test_error_after_a_private_thinking_replaces_it(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    world.market.delay, world.market.error = 1.4, UnknownSeries("RTX 4090", None, None)

    result = await scene.bob.click(card.response, label="30 d")

    assert "Nobody lists a RTX 4090 right now." in sentence(result)
    assert not result.followups


async def test_error_after_a_silent_acknowledgement_keeps_the_card(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    before = texts(card.response)
    world.market.delay, world.market.error = 1.4, MarketUnavailable(None)

    result = await scene.alice.click(card.response, label="30 d")

    assert texts(card.response) == before
    (followup,) = result.followups
    assert followup.ephemeral


@pytest.mark.parametrize("code", sorted(EXPIRED_CODES))
async def test_expired_interaction_is_logged_only(scene: Scene, world: World, log: LogCapture, code: int) -> None:
    scene.env.inject_error("POST", "/interactions/*/callback", status=404, code=code, times=None)

    await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    assert [e["event"] for e in log.entries if e["log_level"] in ("warning", "error")] == ["interaction_expired"]
    assert len(answers(scene.env)) == 1
    assert world.usage.outcomes == [("price", "slash", "expired")]


async def test_failing_to_tell_is_logged(scene: Scene, log: LogCapture) -> None:
    scene.env.inject_error("POST", "/interactions/*/callback", status=403, code=50013, times=None)
    await scene.alice.slash(scene.channel, "price", gpu="RTX 4900")
    assert "member_not_told" in [e["event"] for e in log.entries]


async def test_card_of_another_version_says_so(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    stored = scene.env.backend.get_message(card.response.channel_id, card.response.id)
    refresh = buttons(card.response)["Refresh"]["custom_id"]
    forged = refresh.replace("price1|", "price0|", 1)
    _replace(stored.components, refresh, forged)

    result = await scene.alice.click(card.response, custom_id=forged)

    assert re.search(r"This card is too old to answer; ask again with </price:\d+>\.", sentence(result))


@pytest.mark.parametrize(
    "forged",
    [
        "price1|refresh",
        "price1|explode|1|rtx-4090|vast|global|7d|a0",
        "price1|range.9d|1|rtx-4090|vast|global|7d|a0",
        "price1|refresh|1|../../etc|vast|global|7d|a0",
        "price1|refresh|1|rtx-4090|vast|global|7d|a9",
        "price1|refresh|1|~aaaaaaaaaaaa|vast|global|7d|a0",
    ],
)
async def test_forged_custom_ids_are_refused(scene: Scene, forged: str) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    stored = scene.env.backend.get_message(card.response.channel_id, card.response.id)
    _replace(stored.components, buttons(card.response)["Refresh"]["custom_id"], forged)

    result = await scene.alice.click(card.response, custom_id=forged)

    assert "This card is too old to answer" in sentence(result)


async def test_command_that_is_gone(scene: Scene) -> None:
    scene.env.bot.tree.remove_command("price")
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert "This command has changed; restart Discord" in sentence(result)


def _replace(components: list[dict[str, Any]], old: str, new: str) -> None:
    for component in components:
        if component.get("custom_id") == old:
            component["custom_id"] = new
        _replace(component.get("components", []), old, new)


# --- The sentence of each error, without Discord ---------------------------------------------------------------------

T = translator_for("en-US")


def say(error: Exception) -> str:
    return explain(unwrap(error), T, lambda name: f"/{name}").sentence


def test_framework_errors_have_a_sentence() -> None:
    assert "“Manage Server”" in say(app_commands.MissingPermissions(["manage_guild"]))
    assert "“Embed Links”, “Attach Files”" in say(app_commands.BotMissingPermissions(["embed_links", "attach_files"]))
    assert "only in a server" in say(app_commands.NoPrivateMessage())
    assert re.search(r"try again <t:\d+:R>", say(app_commands.CommandOnCooldown(app_commands.Cooldown(1, 5), 3.0)))
    assert "may not use this" in say(app_commands.CheckFailure())
    assert "may not use this" in say(commands.CheckFailure())
    assert "could not read" in say(commands.BadArgument("x"))
    value = app_commands.TransformerError("*x*", discord.AppCommandOptionType.string, app_commands.Transformer())
    assert "“\\*x\\*” does not fit here" in say(value)


def test_region_and_platform_without_quotes() -> None:
    assert say(UnknownSeries("B200", "vast", "eu", ["us", "asia"])) == (
        "There are no B200 quotes for vast · eu. There are for **us**, **asia**."
    )


def test_error_ids_can_be_read_out() -> None:
    ids = {error_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{6}", one) for one in ids)
