"""The command tree: one gate before every command, one answer to every error, one usage event for each use."""

from __future__ import annotations

from typing import Any

import discord
import structlog
from discord import app_commands

from cogs.errors import unwrap
from cogs.preferences import load_preferences
from cogs.replies import answer_error
from cogs.usage import record_interaction, start_clock

log = structlog.get_logger(__name__)

Interaction = discord.Interaction[Any]


class ScoutTree(app_commands.CommandTree[Any]):
    """discord.py's tree with our manners."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Admit the interaction; autocompletion is answered with nothing rather than refused."""
        start_clock(interaction)
        if interaction.type is discord.InteractionType.autocomplete:
            return await self._admit_completion(interaction)
        try:
            await self.client.admit(interaction)
        except Exception as error:  # noqa: BLE001 - discord.py would lose it: checks run outside of its handler
            await self.answer(interaction, error)
            return False
        return True

    async def _admit_completion(self, interaction: Interaction) -> bool:
        try:
            if await self.client.gate.admits_completion(interaction):
                await load_preferences(self.client.services, interaction)
                return True
            await interaction.response.autocomplete([])
        except Exception:
            log.warning("autocomplete_failed", command=name_of(interaction), exc_info=True)
        return False

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        """Answer an error of an application command that is not a hybrid one."""
        await self.answer(interaction, error)

    async def answer(self, interaction: Interaction, error: BaseException) -> None:
        """One ephemeral sentence, one log line, one usage event."""
        if interaction.type is discord.InteractionType.autocomplete:
            log.warning("autocomplete_failed", command=name_of(interaction), exc_info=unwrap(error))
            return
        outcome = await answer_error(interaction, error, self.client.mention, name_of(interaction))
        record_interaction(interaction, name_of(interaction), "slash", outcome)


def name_of(interaction: Interaction) -> str:
    """The command as the member typed it, also when it is not ours any more."""
    if interaction.command is not None:
        return interaction.command.qualified_name
    data: dict[str, Any] = dict(interaction.data or {})
    return str(data.get("name", "unknown"))[:64]
