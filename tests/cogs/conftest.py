"""The real bot on a simulated Discord, with a market in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import simcord

from bot.client import ScoutBot
from bot.gate import Allowance
from tests.fakes import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def simcord_bot(world: World) -> ScoutBot:
    # Simulated time stands still within a test: the allowance must not run out.
    return ScoutBot(world.services(), allowance=Allowance(burst=1000))


@dataclass
class Scene:
    """A server with one channel and two members."""

    env: simcord.Env
    channel: Any
    alice: Any
    bob: Any


@pytest.fixture
def scene(simcord_env: simcord.Env) -> Scene:
    guild = simcord_env.create_guild()
    channel = guild.create_text_channel("market")
    return Scene(
        simcord_env,
        channel,
        guild.add_member(simcord_env.create_user("alice")),
        guild.add_member(simcord_env.create_user("bob")),
    )


def texts(message: Any) -> str:
    """All text displays of a layout message, and its plain content."""

    def walk(components: list[dict[str, Any]]) -> list[str]:
        found = []
        for component in components:
            if component["type"] == 10:
                found.append(component["content"])
            found += walk(component.get("components", []))
        return found

    return "\n".join([message.content, *walk(message.components)])


def buttons(message: Any) -> dict[str, dict[str, Any]]:
    """Buttons of a layout message by label."""

    def walk(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for component in components:
            found += [component] if component["type"] == 2 else walk(component.get("components", []))
        return found

    return {button["label"]: button for button in walk(message.components)}
