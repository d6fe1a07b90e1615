"""Slash-only commands: everything personal, and everything that only admins may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from discord import app_commands
from discord.app_commands import locale_str

T = TypeVar("T")


def slash(name: str, description: str, category: str) -> Callable[[Any], Any]:
    """Make a method a slash command.

    Args:
        name: English name; members see it translated.
        description: What comes out, in at most 100 characters.
        category: Where ``/help`` lists it (a key of :mod:`gpuscout.cards.help_card`).

    Raises:
        ValueError: Discord would refuse the description.
    """
    if not 1 <= len(description) <= 100:
        raise ValueError(f"description of {name!r} must have 1 to 100 characters")
    command: Any = app_commands.command(
        name=locale_str(name), description=locale_str(description), extras={"category": category}
    )
    return command  # type: ignore[no-any-return]


def describe(**options: str) -> Callable[[T], T]:
    """Descriptions of a command's options, translated like everything else."""
    described: Callable[[T], T] = app_commands.describe(**{name: locale_str(text) for name, text in options.items()})
    return described
