"""The commands as Discord gets them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from discord.ext import commands

from bot.sync import STATE_KEY, command_payload
from cogs.hybrid import HYBRID, hybrid
from tests.cogs.conftest import Scene
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1)


async def test_only_impersonal_commands_answer_to_a_mention(scene: Scene) -> None:
    by_mention = {command.qualified_name for command in scene.env.bot.walk_commands()}
    assert by_mention == {"price", "compare", "market", "status", "help", "about"}
    assert by_mention == HYBRID
    for command in scene.env.bot.walk_commands():
        assert isinstance(command, commands.HybridCommand)
    assert {c.qualified_name for c in scene.env.bot.tree.walk_commands()} >= by_mention


def test_a_personal_command_cannot_be_a_hybrid() -> None:
    with pytest.raises(ValueError, match="slash-only"):
        hybrid("portfolio", "Your machines", "market")
    with pytest.raises(ValueError, match="1 to 100"):
        hybrid("price", "x" * 101, "market")


async def test_payload(scene: Scene) -> None:
    payload = await command_payload(scene.env.bot.tree)

    payload = [command for command in payload if command["type"] == 1]  # slash commands
    named = {command["name"]: command for command in payload}
    assert list(named) == sorted(named)
    assert named.keys() >= {"about", "help", "price", "status", "settings", "watchlist"}
    for command in payload:
        only_servers = command["name"] == "server"
        assert command["contexts"] == ([0] if only_servers else [0, 1, 2]), "servers, bot DMs, private channels"
        assert command["integration_types"] == ([0] if only_servers else [0, 1]), "servers and users"
        assert _texts_fit(command)
    price = named["price"]
    options = {option["name"]: option for option in price["options"]}
    assert list(options) == ["gpu", "platform", "region", "range"]
    assert [name for name, option in options.items() if option["required"]] == ["gpu"]
    assert [name for name, option in options.items() if option.get("autocomplete")] == ["gpu", "platform", "region"]
    assert [choice["value"] for choice in options["range"]["choices"]] == ["24h", "7d", "30d", "90d", "1y", "2y"]


async def test_message_menu(scene: Scene) -> None:
    (menu,) = [command for command in await command_payload(scene.env.bot.tree) if command["type"] == 3]
    assert menu["name"] == "Prices of GPUs named here"
    assert menu["name_localizations"]["de"] == "Preise der genannten GPUs"
    assert all(1 <= len(name) <= 32 for name in (menu["name"], *menu["name_localizations"].values()))
    assert (menu["contexts"], menu["integration_types"]) == ([0, 1, 2], [0, 1])


async def test_names_and_descriptions_are_translated(scene: Scene) -> None:
    price = next(c for c in await command_payload(scene.env.bot.tree) if c["name"] == "price")
    assert price["name_localizations"]["de"] == "preis"
    assert price["description_localizations"]["de"].startswith("Was eine GPU kostet")
    assert price["description_localizations"]["en-US"] == price["description"]
    names = {option["name"]: option.get("name_localizations", {}).get("de") for option in price["options"]}
    assert names == {"gpu": None, "platform": "plattform", "region": None, "range": "zeitraum"}
    assert all("de" in option["description_localizations"] for option in price["options"])


def _texts_fit(value: Any) -> bool:
    """Discord's limits: names of 32 lower-case word characters, descriptions and choices of 100."""
    if isinstance(value, list):
        return all(_texts_fit(item) for item in value)
    if not isinstance(value, dict):
        return True
    names = [value.get("name", "x"), *value.get("name_localizations", {}).values()]
    described = [value.get("description", "x"), *value.get("description_localizations", {}).values()]
    assert all(re.fullmatch(r"[-_\w]{1,32}", name) and name == name.lower() for name in names), names
    assert all(1 <= len(text) <= 100 for text in described), described
    for choice in value.get("choices", []):
        assert 1 <= len(choice["name"]) <= 100, choice
    return all(_texts_fit(item) for item in value.get("options", []))


async def test_registered_once_and_mentions_know_the_ids(scene: Scene, world: World, make_bot: Any) -> None:
    registered = [entry for entry in scene.env.http_requests if entry.method == "PUT"]
    assert len(registered) == 1
    ids = world.state.values[STATE_KEY]["ids"]
    assert scene.env.bot.mention("price") == f"</price:{ids['price']}>"

    await scene.env.restart_bot(make_bot())

    assert len([entry for entry in scene.env.http_requests if entry.method == "PUT"]) == 1
    assert scene.env.bot.mention("price") == f"</price:{ids['price']}>"
    assert scene.env.bot.mention("not a command") == "`/not a command`"


async def test_client_asks_for_little(scene: Scene) -> None:
    bot = scene.env.bot
    assert not bot.intents.members
    assert not bot.intents.message_content
    assert not bot.intents.presences
    assert {name for name, wanted in bot.intents if wanted} == {"guilds", "guild_messages", "dm_messages"}
    assert bot.allowed_mentions.to_dict() == {"parse": []}
    assert bot._connection.member_cache_flags.value == 0
    assert bot._connection.max_messages is None
    assert bot.help_command is None
