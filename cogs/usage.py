"""Usage events: what was used, from where, how it ended and how long it took. Identities only as keyed hashes."""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast

import discord
from discord.ext import commands

from cogs.services import ScoutClient, Services

_STARTED = "scout_started"
_RECORDED = "scout_recorded"


def hash_identity(key: bytes, kind: str, identity: int) -> str:
    """32 hex digits that stay the same for one identity under one key, and tell nothing without the key."""
    return hashlib.blake2b(f"{kind}:{identity}".encode(), key=key[:64], digest_size=16).hexdigest()


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
    _record(
        seam(interaction.client).services,
        name=name,
        surface=surface,
        outcome=outcome,
        latency_ms=None if started is None else (time.monotonic() - started) * 1000,
        user_id=interaction.user.id,
        guild_id=interaction.guild_id,
        locale=interaction.locale.value,
    )


def record_message(ctx: commands.Context[Any], outcome: str, started: float | None = None) -> None:
    """One event for a command given by mention."""
    _record(
        seam(ctx.bot).services,
        name=ctx.command.qualified_name if ctx.command else "unknown",
        surface="mention",
        outcome=outcome,
        latency_ms=None if started is None else (time.monotonic() - started) * 1000,
        user_id=ctx.author.id,
        guild_id=ctx.guild.id if ctx.guild else None,
        locale=None,
    )


def _record(
    services: Services,
    *,
    name: str,
    surface: str,
    outcome: str,
    latency_ms: float | None,
    user_id: int,
    guild_id: int | None,
    locale: str | None,
) -> None:
    services.usage.record(
        name=name[:64],
        surface=surface,
        outcome=outcome,
        latency_ms=latency_ms,
        member_hash=hash_identity(services.usage_key, "member", user_id),
        guild_hash=None if guild_id is None else hash_identity(services.usage_key, "guild", guild_id),
        locale=locale,
    )
