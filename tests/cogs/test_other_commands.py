"""``/status``, ``/help`` and ``/about``."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from discord import app_commands

from cogs.services import JobCounts
from gpuscout.market.models import SourceStatus
from tests.cogs.conftest import Scene, buttons, components, selects, texts
from tests.fakes import NOW, SEEN, World

pytestmark = pytest.mark.simcord(shard_count=1)

WELL = SourceStatus(
    source="500.farm",
    last_attempt=NOW,
    last_success=NOW - timedelta(seconds=5),
    last_source_time=SEEN,
    failing_since=None,
    problem=None,
    series=412,
    rejected_last=3,
)


def colour(message: object) -> int:
    return next(c["accent_color"] for c in components(message) if c["type"] == 17)


async def test_status_when_all_is_well(scene: Scene, world: World) -> None:
    world.market.health = [WELL]

    result = await scene.alice.slash(scene.channel, "status")

    text = texts(result.response)
    assert "Status: All well" in text
    assert "🟢 **Market data**: fresh, as of <t:1767225016:R>" in text
    assert "Next poll in about 40 s." in text
    assert "🟢 [500.farm](<https://500.farm>): answered <t:1767225596:R> · 412 series · 3 items refused" in text
    assert "**Servers** 1 · **Shards** 1" in text
    assert "**Database** 1.8 ms" in text
    assert "2 waiting, 1 running, 0 given up" in text
    assert colour(result.response) == 0x3FA66B


async def test_status_of_a_sick_source(scene: Scene, world: World) -> None:
    sick = replace(
        WELL,
        failing_since=NOW - timedelta(minutes=40),
        problem="the timestamp stands still **since** @everyone",
        breaker="open",
        last_source_time=SEEN - timedelta(minutes=45),
    )
    world.market.health = [sick]

    text = texts((await scene.alice.slash(scene.channel, "status")).response)

    assert "Status: Working, with remarks" in text
    assert "🟡 **Market data**: stale, shown with their age" in text
    assert "🔴 [500.farm](<https://500.farm>): failing since <t:1767223201:R>: the timestamp stands still" in text
    assert "Requests are paused for a while." in text
    assert "@everyone" not in text
    assert "**since**" not in text


async def test_status_when_data_are_too_old(scene: Scene, world: World) -> None:
    world.market.health = [replace(WELL, last_source_time=SEEN - timedelta(hours=5))]
    result = await scene.alice.slash(scene.channel, "status")
    assert "🔴 **Market data**: Data temporarily unavailable" in texts(result.response)
    assert colour(result.response) == 0xD9534F


async def test_status_before_the_first_poll(scene: Scene, world: World) -> None:
    world.market.health = [SourceStatus("500.farm", None, None, None, None, None)]
    text = texts((await scene.alice.slash(scene.channel, "status")).response)
    assert "**Market data**: none yet" in text
    assert "not asked yet" in text


async def test_status_without_database_and_with_dead_jobs(scene: Scene, world: World) -> None:
    world.market.health = [WELL]
    world.operations.latency, world.operations.counts = None, JobCounts(dead=2)
    text = texts((await scene.alice.slash(scene.channel, "status")).response)
    assert "Status: Trouble" in text
    assert "**Database** no answer" in text
    assert "2 given up" in text


async def test_help_is_private_and_its_commands_can_be_clicked(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "help")

    assert result.ephemeral
    text = texts(result.response)
    for name in ("price", "status", "help", "about"):
        assert re.search(rf"</{name}:\d+> – ", text)
    (menu,) = selects(result.response)
    values = [option["value"] for option in menu["options"]]
    assert values == ["market", "rigs", "alerts", "yours", "server", "bot", "reading"]


async def test_help_leaves_no_command_out(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "help")
    (menu,) = selects(result.response)
    overview = texts(result.response)
    pages = ""
    for option in menu["options"]:
        await scene.alice.select(result.response, [option["value"]])
        pages += texts(result.response)
    for command in scene.env.bot.tree.walk_commands():
        if isinstance(command, app_commands.Command) and command.extras.get("category"):
            mention = f"</{command.qualified_name}:"
            assert mention in overview
            assert mention in pages
    assert "…" not in overview + pages


@pytest.mark.parametrize(
    ("category", "shown", "hidden"),
    [
        ("market", "</price:", "</about:"),
        ("bot", "</about:", "</price:"),
        ("reading", "**Utilization** is rented GPUs", "</price:"),
    ],
)
async def test_help_menu_turns_in_place(scene: Scene, category: str, shown: str, hidden: str) -> None:
    result = await scene.alice.slash(scene.channel, "help")

    await scene.alice.select(result.response, [category])

    text = texts(result.response)
    assert shown in text
    assert hidden not in text
    (menu,) = selects(result.response)
    assert [option["value"] for option in menu["options"] if option.get("default")] == [category]


async def test_about(scene: Scene, world: World) -> None:
    world.market.health = [WELL]

    result = await scene.alice.slash(scene.channel, "about")

    text = texts(result.response)
    assert "**Version** 0.1.0 · **Running** since <t:1766952001:R>" in text
    assert "**Prices come from** [500.farm](<https://500.farm>)" in text
    links = {label: button["url"] for label, button in buttons(result.response).items()}
    assert links["Market page"] == "https://gpuscout.example/"
    assert links["Methodology"] == "https://gpuscout.example/methodology"
    invite = links["Add to Discord"]
    assert "scope=bot+applications.commands" in invite
    permissions = int(re.search(r"permissions=(\d+)", invite)[1])  # type: ignore[index]
    assert permissions & 0x8 == 0, "never Administrator"


async def test_usage_of_every_command(scene: Scene, world: World) -> None:
    shown = await scene.alice.slash(scene.channel, "help")
    await scene.alice.select(shown.response, ["bot"])
    await scene.alice.slash(scene.channel, "status")
    await scene.alice.slash(scene.channel, "about")
    assert world.usage.outcomes == [
        ("help", "slash", "ok"),
        ("help menu", "component", "ok"),
        ("status", "slash", "ok"),
        ("about", "slash", "ok"),
    ]
