"""The real bot on a simulated Discord, with a market in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import simcord
from simcord import interactions

from bot.client import ScoutBot
from bot.gate import Allowance
from tests.fakes import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_bot(world: World) -> Callable[[], ScoutBot]:
    """Makes a bot like the first one, for restarts."""
    # Simulated time stands still within a test: the allowance must not run out.
    return lambda: ScoutBot(world.services(), allowance=Allowance(burst=1000))


@pytest.fixture
def simcord_bot(make_bot: Callable[[], ScoutBot]) -> ScoutBot:
    return make_bot()


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members whose client is German."""
    original = interactions.base_payload

    def payload(*args: Any, **kwargs: Any) -> Any:
        record, data = original(*args, **kwargs)
        data["locale"] = "de"
        return record, data

    monkeypatch.setattr(interactions, "base_payload", payload)


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


def components(message: Any) -> Iterator[dict[str, Any]]:
    """All components of a message, nested ones included, in reading order."""

    def walk(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for component in found:
            yield component
            yield from walk(component.get("components", []))

    raw = message.components
    yield from walk([c if isinstance(c, dict) else c.to_dict() for c in raw])


def texts(message: Any) -> str:
    """Everything a member reads: plain content, embeds and text displays."""
    shown = [message.content]
    for embed in message.embeds:
        shown += [embed.author.name or "", embed.title or "", embed.description or ""]
        shown += [f"{field.name}\n{field.value}" for field in embed.fields]
        shown.append(embed.footer.text or "")
    shown += [component["content"] for component in components(message) if component["type"] == 10]
    return "\n".join(shown)


def buttons(message: Any) -> dict[str, dict[str, Any]]:
    """Buttons by label."""
    return {component["label"]: component for component in components(message) if component["type"] == 2}


def selects(message: Any) -> list[dict[str, Any]]:
    """Select menus."""
    return [component for component in components(message) if component["type"] == 3]


def pictures(message: Any) -> list[dict[str, Any]]:
    """Items of all media galleries."""
    return [item for component in components(message) if component["type"] == 12 for item in component["items"]]


def answers(env: simcord.Env) -> list[tuple[str, str, int | None]]:
    """What the bot sent about interactions: (method, last part of the path, callback type)."""
    return [
        (entry.method, entry.path.rsplit("/", 1)[-1], (entry.json or {}).get("type"))
        for entry in env.http_requests
        if entry.path.startswith(("/interactions/", "/webhooks/"))
    ]
