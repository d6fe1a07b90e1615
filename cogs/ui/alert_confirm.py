"""The proposal of an alert with its three buttons: save, edit, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import discord
import structlog
from discord import ui

from cogs.alert_errors import NotRule
from cogs.alert_flow import AlertFlow
from cogs.drawn import DrawnChart
from cogs.replies import Place, Reply, text_of
from cogs.ui.alert_forms import AlertForm
from cogs.ui.base import Interaction, ScoutLayout
from cogs.usage import record_interaction, seam
from config.i18n import Text
from gpuscout.alerts.ports import RuleView
from gpuscout.alerts.rules import Owner, Rule
from gpuscout.cards.alert_proposal import ProposalFacts, proposal, saved_lines
from gpuscout.cards.alert_text import COLOURS
from gpuscout.cards.kit import ACCENT, OFFLINE

log = structlog.get_logger(__name__)

SECONDS: Final = 840.0
"""How long a proposal stays open: a little less than Discord lets its message be edited."""


class Proposal(ScoutLayout):
    """A rule that waits for its member's word. ``await Proposal.show(…)`` returns once it is shown."""

    def __init__(
        self, flow: AlertFlow, owner: Owner, facts: ProposalFacts, member_id: int, t: Text, editing: RuleView | None
    ) -> None:
        super().__init__(owner=member_id, timeout=SECONDS)
        self._flow = flow
        self._owner = owner
        self._facts = facts
        self._editing = editing
        self._t = t
        self._decided = False
        self._asked: Interaction | None = None
        rule = facts.preview.rule
        self._content = proposal(facts, t)
        label = t("Save") if editing is not None else t("Confirm")
        self._buttons = ui.ActionRow(
            _Button(self._on_save, label=label, emoji="✅", style=discord.ButtonStyle.success),
            _Button(self._on_edit, label=t("Edit"), emoji="✏️"),
            _Button(self._on_cancel, label=t("Cancel")),
        )
        self._lay_out([*self._content, self._buttons], COLOURS[rule.manners.severity])

    @classmethod
    async def show(
        cls, flow: AlertFlow, reply: Reply, owner: Owner, rule: Rule, editing: RuleView | None = None
    ) -> None:
        """Propose *rule*.

        Raises:
            NoSense, Same, NothingToWatch, gpuscout.plans.limits.LimitReached: it would not be stored.
        """
        facts, drawn = await flow.prepare(reply, owner, rule, editing)
        shown = cls(flow, owner, facts, reply.interaction.user.id, text_of(reply.interaction), editing)
        await shown.send(reply, drawn)

    async def send(self, reply: Reply, drawn: DrawnChart | None) -> None:
        """Show it."""
        self._asked = reply.interaction
        await reply.send(view=self, files=[] if drawn is None else [drawn.upload()])

    def _lay_out(self, items: Sequence[ui.Item[Any]], colour: int) -> None:
        self.clear_items()
        self.add_item(ui.Container(*items, accent_colour=colour))

    async def _on_save(self, interaction: Interaction) -> None:
        if not self._decide():
            await interaction.response.defer()  # the second of two quick clicks
            return
        # Acknowledged first: the first DM may take some seconds. The buttons go, so that nobody starts it twice.
        self._lay_out(self._content, COLOURS[self._facts.preview.rule.manners.severity])
        await interaction.response.edit_message(view=self)
        t = self._t
        member_id = interaction.user.id
        try:
            stored = await self._flow.save(self._owner, self._facts.preview.rule, self._facts.names, self._editing)
        except Exception:
            # The reason goes to the member by the error handler; here it is only no longer asked.
            await self._settle(interaction, ["❌ " + t("Nothing was saved.")], OFFLINE)
            raise
        if stored is None:
            raise NotRule
        closed = False
        if not self._owner.server:
            closed = await self._flow.services.opt_in.ask(member_id, t) == "closed"
        lines = saved_lines(
            stored.rule,
            self._facts.names,
            t,
            editing=self._editing is not None,
            reach=self._facts.reach,
            dm_closed=closed,
            mention=seam(interaction.client).mention,
        )
        await self._settle(interaction, lines, ACCENT)
        record_interaction(interaction, "alert saved", "component", "ok")

    async def _on_edit(self, interaction: Interaction) -> None:
        rule, now = self._facts.preview.rule, self._flow.services.clock()

        async def again(answer: Interaction, changed: Rule) -> None:
            reply = Reply(answer, Place.IN_PLACE)
            # Refused changes leave this proposal as it is.
            facts, drawn = await self._flow.prepare(reply, self._owner, changed, self._editing)
            self._decide()
            shown = Proposal(self._flow, self._owner, facts, answer.user.id, self._t, self._editing)
            await shown.send(reply, drawn)

        await interaction.response.send_modal(AlertForm.of(rule, self._facts.names, now, again, self._t))

    async def _on_cancel(self, interaction: Interaction) -> None:
        if not self._decide():
            await interaction.response.defer()
            return
        t = self._t
        said = t("Nothing was changed.") if self._editing is not None else t("No alert was made.")
        self._lay_out([ui.TextDisplay(said)], OFFLINE)
        await interaction.response.edit_message(view=self, attachments=[])
        record_interaction(interaction, "alert proposal", "component", "cancelled")

    async def _settle(self, interaction: Interaction, lines: Sequence[str], colour: int) -> None:
        self._lay_out([ui.TextDisplay("\n".join(lines))], colour)
        await interaction.edit_original_response(view=self, attachments=[])

    async def on_timeout(self) -> None:
        """Say that it is too late; the member may have closed the message already."""
        if self._asked is None or not self._decide():
            return
        self._lay_out([ui.TextDisplay(self._t("No alert was made: that took too long to answer."))], OFFLINE)
        try:
            await self._asked.edit_original_response(view=self, attachments=[])
        except discord.HTTPException as error:
            log.info("proposal_not_closed", detail=str(error))

    def _decide(self) -> bool:
        """True for exactly one caller."""
        if self._decided:
            return False
        self._decided = True
        self.stop()
        return True


class _Button(ui.Button[Proposal]):
    def __init__(self, pressed: Any, **options: Any) -> None:
        options.setdefault("style", discord.ButtonStyle.secondary)
        super().__init__(**options)
        self._pressed = pressed

    async def callback(self, interaction: Interaction) -> None:
        await self._pressed(interaction)
