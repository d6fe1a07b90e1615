"""``/ops``: what owners see and do, and that nobody else sees or does it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.client import ScoutBot
from bot.gate import Allowance
from cogs.services import JobCounts, UnknownGpu
from config.settings import Settings
from gpuscout.delivery.promise import DeliveryTimes
from storage.job_model import Job
from tests.cogs.conftest import Scene, buttons, components, selects, texts
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


@pytest.fixture
def owners() -> set[int]:
    """Ids of the owners, to be changed by the test."""
    return {1}


@pytest.fixture
def make_bot(world: World, owners: set[int]) -> Callable[[], ScoutBot]:
    def make() -> ScoutBot:
        settings = Settings(_env_file=None, public_url="https://gpuscout.example", discord_owner_ids=(1,))
        bot = ScoutBot(world.services(settings=settings), allowance=Allowance(burst=1000))
        bot.owner_ids = owners
        return bot

    return make


@pytest.fixture
def owner(scene: Scene, owners: set[int]) -> Any:
    """A member who may see administrators' commands and owns the bot."""
    guild = scene.channel.guild
    role = guild.create_role("staff", permissions=discord.Permissions(administrator=True))
    member = guild.add_member(scene.env.create_user("olga"), roles=[role])
    owners.add(member.id)
    return member


def bury(world: World, count: int = 1, **options: Any) -> None:
    for number in range(1, count + 1):
        fields: dict[str, Any] = {
            "kind": "delivery.notify",
            "payload": {"notification": f"n{number}", "api_key": "sk-secret-value"},
            "last_error": f"Discord answered 400 (code 50035) token=abc{number}",
        } | options
        world.operations.dead[number] = Job(
            id=number,
            state="dead",
            run_at=NOW,
            attempts=60,
            max_attempts=60,
            created_at=NOW - timedelta(hours=2),
            finished_at=NOW - timedelta(minutes=number),
            **fields,
        )
    world.operations.counts = JobCounts(ready=2, running=1, dead=len(world.operations.dead))


@pytest.mark.parametrize("command", ["health", "dead-letters", "unknown-gpus"])
async def test_nobody_but_owners(scene: Scene, owner: Any, command: str) -> None:
    """Hidden from most; an administrator of any server sees the command, and then this still holds."""
    (ops,) = [c for c in scene.env.bot.tree.get_commands() if c.name == "ops"]
    assert ops.default_permissions == discord.Permissions(administrator=True)
    guild = scene.channel.guild
    role = guild.create_role("admin", permissions=discord.Permissions(administrator=True))
    admin = guild.add_member(scene.env.create_user("mallory"), roles=[role])

    result = await admin.slash(scene.channel, f"ops {command}")

    assert result.ephemeral
    assert "Only the people who run this bot may do this." in texts(result.response)


async def test_controls_ask_again_who_clicks(scene: Scene, world: World, owner: Any, owners: set[int]) -> None:
    bury(world)
    card = (await owner.slash(scene.channel, "ops dead-letters")).response
    opened = (await owner.select(card, ["1"], custom_id="ops1|open|0")).response or card
    owners.clear()
    owners.add(1)

    result = await owner.click(opened, label="Try again")

    assert "Only the people who run this bot" in texts(result.response or result.followups[0])
    assert world.operations.requeued == []


async def test_health(scene: Scene, world: World, owner: Any) -> None:
    world.operations.times = DeliveryTimes.of([float(n) for n in range(1, 101)])
    world.operations.waiting_since = NOW - timedelta(minutes=5)
    result = await owner.slash(scene.channel, "ops health")
    text = texts(result.response)
    assert result.ephemeral
    assert "Operation: Working, with remarks" in text and "2 waiting, 1 running, 0 given up" in text
    assert "half within 50.5 s, 99 % within 99.0 s (100 in 7 days)" in text and "promised within 60 s" in text
    assert f"the oldest is due since <t:{int((NOW - timedelta(minutes=5)).timestamp())}:R>" in text


async def test_no_dead_letters(scene: Scene, owner: Any) -> None:
    result = await owner.slash(scene.channel, "ops dead-letters")
    assert result.ephemeral and "None: all background work was done" in texts(result.response)
    assert not selects(result.response)


async def test_a_dead_letter_is_shown_without_secrets_and_tried_again(scene: Scene, world: World, owner: Any) -> None:
    bury(world, 3)
    card = (await owner.slash(scene.channel, "ops dead-letters")).response
    assert "**#3** delivery.notify" in texts(card) and "token=abc" not in texts(card)
    await owner.select(card, ["2"], custom_id="ops1|open|0")
    text = texts(card)
    assert "#2 · delivery.notify" in text and "60 of 60 tries" in text and '"notification": "n2"' in text
    assert "sk-secret-value" not in text and "abc2" not in text
    await owner.click(card, label="Try again")
    assert world.operations.requeued == [2]
    assert "Job 2 is tried again now." in texts(card) and "**#2**" not in texts(card)


async def test_discarding_is_asked_for(scene: Scene, world: World, owner: Any) -> None:
    bury(world, 2)
    card = (await owner.slash(scene.channel, "ops dead-letters")).response
    await owner.select(card, ["1"], custom_id="ops1|open|0")
    asked = await owner.click(card, label="Discard …")
    question = asked.response or asked.followups[0]
    assert "Discard job 1 (delivery.notify)?" in texts(question) and world.operations.discarded == []
    await owner.click(question, label="Discard")
    assert world.operations.discarded == [1]
    assert "Job 1 is discarded." in texts(question)


async def test_what_somebody_else_settled_meanwhile(scene: Scene, world: World, owner: Any) -> None:
    bury(world, 2)
    card = (await owner.slash(scene.channel, "ops dead-letters")).response
    await owner.select(card, ["1"], custom_id="ops1|open|0")
    del world.operations.dead[1]
    await owner.click(card, label="Discard …")
    assert "Job 1 is no dead letter any more." in texts(card)
    await owner.select(card, ["2"], custom_id="ops1|open|0")
    del world.operations.dead[2]
    await owner.click(card, label="Try again")
    assert "Job 2 is no dead letter any more." in texts(card)


async def test_many_are_paged(scene: Scene, world: World, owner: Any) -> None:
    bury(world, 20)
    card = (await owner.slash(scene.channel, "ops dead-letters")).response
    assert "Page 1 of 3 (20 entries)" in texts(card) and "**#20**" in texts(card) and "**#12**" not in texts(card)
    ids = [c["custom_id"] for c in components(card) if "custom_id" in c]
    await owner.click(card, custom_id=next(i for i in ids if i.startswith("opspage1|next")))
    assert "Page 2 of 3" in texts(card) and "**#12**" in texts(card)


async def test_what_others_wrote_is_no_markup(scene: Scene, world: World, owner: Any) -> None:
    bury(world, last_error="**bold** <@1> @everyone https://evil.example", payload={"x": "``` @everyone"})
    card = (await owner.slash(scene.channel, "ops dead-letters")).response
    await owner.select(card, ["1"], custom_id="ops1|open|0")
    text = texts(card)
    assert "**bold**" not in text and "<@1>" not in text and "https://evil" not in text
    assert text.count("```") == 2


async def test_unknown_gpus(scene: Scene, world: World, owner: Any) -> None:
    assert "Every name" in texts((await owner.slash(scene.channel, "ops unknown-gpus")).response)
    world.operations.unknown = [UnknownGpu("RTX 9090 **Ti**", "rtx-9090-ti", 12, NOW)]
    text = texts((await owner.slash(scene.channel, "ops unknown-gpus")).response)
    assert "RTX 9090 \\*\\*Ti\\*\\*" in text and "12 times" in text


async def test_status_says_what_is_promised_and_what_was_measured(scene: Scene, world: World) -> None:
    text = texts((await scene.alice.slash(scene.channel, "status")).response)
    assert "not measured yet: no alert in the last 7 days · promised within 60 s" in text
    world.operations.times = DeliveryTimes.of([6.0, 8.0])
    text = texts((await scene.alice.slash(scene.channel, "status")).response)
    assert "half within 7.0 s" in text
    assert "ops" not in buttons((await scene.alice.slash(scene.channel, "help")).response)
