"""Usage events of commands and clicks: what was used, from where, how it ended, how long it took."""

from __future__ import annotations

import time
from typing import Any, cast

import discord
from discord.ext import commands

from cogs.services import ScoutClient

_STARTED = "scout_started"
_RECORDED = "scout_recorded"


def seam(client: object) -> ScoutClient:
    """The client as the protocol that components may use."""
    return cast(ScoutClient, client)


def start_clock(interaction: discord.Interaction[Any]) -> None:
    """Remember when the interaction reached us."""
    interaction.extras.setdefault(_STARTED, time.monotonic())


def record_interaction(interaction: discord.Interaction[Any], name: str, surface: str, outcome: str) -> None:
    """One event for an interaction; a second call for the same one changes nothing."""
    if interaction.extras.get(_RECORDED):
        return
    interaction.extras[_RECORDED] = True
    started = interaction.extras.get(_STARTED)
    seam(interaction.client).services.usage.record(
        name,
        surface=surface,
        outcome=outcome,
        latency_ms=None if started is None else (time.monotonic() - started) * 1000,
        member_id=interaction.user.id,
        guild_id=interaction.guild_id,
        locale=interaction.locale.value,
    )


def forget_use(interaction: discord.Interaction[Any]) -> None:
    """Record nothing about this interaction: its member has just had everything erased."""
    interaction.extras[_RECORDED] = True


def record_message(ctx: commands.Context[Any], outcome: str, started: float | None = None) -> None:
    """One event for a command given by mention."""
    seam(ctx.bot).services.usage.record(
        ctx.command.qualified_name if ctx.command else "unknown",
        surface="mention",
        outcome=outcome,
        latency_ms=None if started is None else (time.monotonic() - started) * 1000,
        member_id=ctx.author.id,
        guild_id=ctx.guild.id if ctx.guild else None,
    )
