"""Hybrid commands: slash commands that also answer to a mention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from discord.app_commands import locale_str
from discord.ext import commands

HYBRID: Final = frozenset({"price", "compare", "market", "status", "help", "about"})
"""The only hybrids: a reply without an interaction cannot be ephemeral, so nothing personal may be one."""


def hybrid(name: str, description: str, category: str) -> Callable[[Any], Any]:
    """Make a method a hybrid command.

    Args:
        name: English name; members see it translated.
        description: What comes out, in at most 100 characters.
        category: Where ``/help`` lists it (a key of :mod:`gpuscout.cards.help_card`).

    Raises:
        ValueError: *name* may not be a hybrid, or Discord would refuse the description.
    """
    if name not in HYBRID:
        raise ValueError(f"{name!r} must be slash-only")
    if not 1 <= len(description) <= 100:
        raise ValueError(f"description of {name!r} must have 1 to 100 characters")
    # mypy cannot match discord.py's union of callables with a ParamSpec, hence the loose types here.
    decorate: Any = commands.hybrid_command
    decorator = decorate(name=locale_str(name), description=locale_str(description))

    def mark(callback: Any) -> Any:
        command = decorator(callback)
        command.app_command.extras["category"] = category
        return command

    return mark
