"""Views, layouts, modals and dynamic items with one error handler and one gate.

discord.py calls neither the command tree's checks nor its error handler for components, and swallows what a
dynamic item raises. Everything clickable inherits from here, so that a click is admitted, measured and answered
like a command.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import discord
from discord import ui

from cogs.errors import NotYours
from cogs.replies import answer_error
from cogs.usage import record_interaction, seam, start_clock

ItemT = TypeVar("ItemT", bound="ui.Item[Any]")
Interaction = discord.Interaction[Any]


async def run_component(interaction: Interaction, name: str, work: Callable[[Interaction], Awaitable[None]]) -> None:
    """Admit, do, answer errors, record: the whole life of a click. Raises only what ends the process."""
    client = seam(interaction.client)
    start_clock(interaction)
    outcome = "ok"
    try:
        await client.admit(interaction)
        await work(interaction)
    except Exception as error:  # noqa: BLE001 - the last handler: it tells the member and the log
        outcome = await answer_error(interaction, error, client.mention, name)
    record_interaction(interaction, name, "component", outcome)


async def answer_component_error(interaction: Interaction, error: Exception, name: str) -> None:
    """The ``on_error`` of views and modals."""
    outcome = await answer_error(interaction, error, seam(interaction.client).mention, name)
    record_interaction(interaction, name, "component", outcome)


class ScoutItem(ui.DynamicItem[ItemT], Generic[ItemT], template=r"(?!)"):
    """A component that works after a restart: its custom id is its whole state.

    Subclasses give a ``template`` with a group ``state`` and implement :meth:`act`; they parse the state there,
    where an error is answered, and not in ``from_custom_id``, where discord.py swallows it.
    """

    usage_name = "component"

    def __init__(self, item: ItemT) -> None:
        super().__init__(item)

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: ui.Item[Any], match: Any, /) -> ScoutItem[ItemT]:
        """Wrap the clicked component as it is."""
        return cls(item)  # type: ignore[arg-type]

    async def callback(self, interaction: Interaction) -> None:
        """Run :meth:`act` behind the gate."""
        await run_component(interaction, self.usage_name, self.act)

    async def act(self, interaction: Interaction) -> None:
        """What the component does."""
        raise NotImplementedError


class ScoutView(ui.View):
    """A short-lived view of classic components, for its owner only when ``owner`` is given."""

    def __init__(self, *, owner: int | None = None, timeout: float | None = 180) -> None:
        super().__init__(timeout=timeout)
        self.owner = owner

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Admit the click; a stranger is told so."""
        return await _admit(interaction, self.owner)

    async def on_error(self, interaction: Interaction, error: Exception, item: ui.Item[Any], /) -> None:
        await answer_component_error(interaction, error, type(self).__name__)


class ScoutLayout(ui.LayoutView):
    """A short-lived layout, for its owner only when ``owner`` is given."""

    def __init__(self, *, owner: int | None = None, timeout: float | None = 180) -> None:
        super().__init__(timeout=timeout)
        self.owner = owner

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Admit the click; a stranger is told so."""
        return await _admit(interaction, self.owner)

    async def on_error(self, interaction: Interaction, error: Exception, item: ui.Item[Any], /) -> None:
        await answer_component_error(interaction, error, type(self).__name__)


class ScoutModal(ui.Modal):
    """A form whose errors are answered."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Admit the submission."""
        return await _admit(interaction, None)

    async def on_error(self, interaction: Interaction, error: Exception, /) -> None:  # type: ignore[override]
        await answer_component_error(interaction, error, type(self).__name__)


async def _admit(interaction: Interaction, owner: int | None) -> bool:
    start_clock(interaction)
    await seam(interaction.client).admit(interaction)
    if owner is not None and interaction.user.id != owner:
        raise NotYours
    return True
