"""What a member and a server chose, looked up once for each interaction and carried by it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import discord
import structlog

from cogs.services import Services
from gpuscout.accounts.members import Member
from gpuscout.accounts.servers import DEFAULTS, ServerSettings

log = structlog.get_logger(__name__)

_KEY: Final = "scout_preferences"
PATIENCE: Final = 0.5
"""Seconds for both look-ups; both are remembered, so that most take none."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Choices of the member who asked, and of the server where he did (the defaults outside of servers).

    ``private`` is True where an answer must be seen by him alone.
    """

    member: Member
    server: ServerSettings = DEFAULTS
    private: bool = False

    @property
    def timezone(self) -> str:
        """Zone of the member's charts: his own, else the server's, else UTC."""
        return self.member.timezone or self.server.timezone


async def load_preferences(services: Services, interaction: discord.Interaction[Any]) -> None:
    """Look the choices up. When that fails the defaults count, and a server's answers become private: where the
    admins allow public ones is not known then."""
    if _KEY in interaction.extras:
        return
    member, server = Member(interaction.user.id), DEFAULTS
    private = interaction.guild_id is not None
    try:
        async with asyncio.timeout(PATIENCE):
            member = await services.members.get(interaction.user.id)
            if interaction.guild_id is not None:
                server = await services.servers.get(interaction.guild_id)
                private = not server.public_in(*_places(interaction))
    except Exception:
        log.warning("preferences_unavailable", exc_info=True)
    interaction.extras[_KEY] = Preferences(member, server, private)


def preferences_of(interaction: discord.Interaction[Any]) -> Preferences:
    """What :func:`load_preferences` found; the defaults for an interaction that was refused before it."""
    found = interaction.extras.get(_KEY)
    return found if isinstance(found, Preferences) else Preferences(Member(interaction.user.id))


def renew_preferences(interaction: discord.Interaction[Any], member: Member) -> None:
    """Go on with *member*'s new choices in the answer to the interaction that changed them."""
    known = preferences_of(interaction)
    interaction.extras[_KEY] = Preferences(member, known.server, known.private)


def _places(interaction: discord.Interaction[Any]) -> tuple[int | None, ...]:
    """The channel, and for a thread its parent."""
    return interaction.channel_id, getattr(interaction.channel, "parent_id", None)
