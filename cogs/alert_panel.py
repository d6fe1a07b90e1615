"""What is done with stored alerts: listed, opened, paused, snoozed, tested, explained, removed."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import discord

from cogs.alert_errors import NoSense, NotRule, NotServerRule, Same
from cogs.alert_flow import AlertFlow, needs_holdings
from cogs.alert_judge import cases
from cogs.drawn import DrawnChart
from cogs.preferences import preferences_of
from cogs.replies import PATIENT, QUICK, Place, Reply, text_of
from cogs.server_flow import require_admin
from cogs.usage import seam
from gpuscout.alerts.ports import Absurd, Current, Duplicate, RuleView
from gpuscout.cards import alert_card as cards
from gpuscout.cards.alert_chart import figure_chart, shown_metric
from gpuscout.cards.alert_state import AlertAction, AlertControl
from gpuscout.cards.alert_text import Names
from gpuscout.cards.alert_why import why_card
from gpuscout.cards.pager import Paging
from gpuscout.charts.model import ChartSpec
from gpuscout.plans.limits import allowance_of

Interaction = discord.Interaction[Any]

RENEWED_FOR: Final = timedelta(days=90)
_CHART_SPAN: Final = timedelta(days=7)


class AlertPanel:
    """Answers of the list, of panels and of the buttons on messages."""

    def __init__(self, flow: AlertFlow) -> None:
        self.flow = flow
        self.services = flow.services

    # --- finding ---

    async def find(self, interaction: Interaction, control: AlertControl) -> RuleView:
        """The rule that a control is about. Of a server's rule only admins may change anything.

        Raises:
            NotRule, NotServerRule: there is none of whoever clicked.
            discord.app_commands.MissingPermissions: he is no admin of the server.
        """
        if control.whose == "g":
            guild = require_admin(interaction)
            view = await self.services.alerts.get(f"g:{guild.id}", control.rule_id)
            if view is None or guild.id != control.guild_id:
                raise NotServerRule
            return view
        view = await self.services.alerts.get(control.owner_key(interaction.user.id), control.rule_id)
        if view is None:
            raise NotRule
        return view

    # --- list ---

    async def list(self, reply: Reply, page: int = 0, *, guild_id: int | None = None, note: str | None = None) -> None:
        """The member's alerts, or those of a server."""
        interaction = reply.interaction
        t = text_of(interaction)
        key = f"m:{interaction.user.id}" if guild_id is None else f"g:{guild_id}"
        rules = await reply.within(PATIENT, self.services.alerts.list(key))
        mention = seam(interaction.client).mention
        allowance = await allowance_of(self.services.plans, self.services.tiers, interaction.user.id, "alerts")
        names = await self.flow.names(interaction, holdings=any(needs_holdings(view.rule) for view in rules))
        facts = cards.ListFacts(
            names=names,
            now=self.services.clock(),
            add=mention("alert add") if guild_id is None else mention("server alerts"),
            limit=allowance.limit,
            guild_id=guild_id,
            note=note,
            muted=await self.services.alerts.muted(interaction.user.id) if guild_id is None else (),
            simulated=self.services.settings.simulated,
        )
        paging = Paging.of(len(rules), cards.PAGE, page)
        await reply.send(view=cards.list_card(rules, paging.page, facts, t))

    # --- one ---

    async def open(self, reply: Reply, view: RuleView, note: str | None = None, *, chart: bool = False) -> None:
        """The panel of a rule."""
        interaction = reply.interaction
        t = text_of(interaction)
        names = await self.flow.names(interaction, holdings=needs_holdings(view.rule))
        current = await reply.within(QUICK, self._current(view))
        drawn = await reply.within(QUICK, self._chart(interaction, view, current, names)) if chart else None
        facts = cards.PanelFacts(
            names=names,
            now=self.services.clock(),
            current=current,
            note=note or (t("There is no chart of what this alert watches.") if chart and drawn is None else None),
            chart=None if drawn is None else drawn.file,
            simulated=self.services.settings.simulated,
        )
        await reply.send(view=cards.panel_card(view, facts, t), files=[] if drawn is None else [drawn.upload()])

    async def open_public(self, reply: Reply, owner_key: str, rule_id: int) -> None:
        """What a server's rule watches, as a chart, for any member of the server.

        Raises:
            NotServerRule: there is no such rule.
        """
        interaction = reply.interaction
        t = text_of(interaction)
        view = await reply.within(PATIENT, self.services.alerts.get(owner_key, rule_id))
        if view is None:
            raise NotServerRule
        names = await self.flow.names(interaction)
        current = await reply.within(QUICK, self._current(view))
        drawn = await reply.within(QUICK, self._chart(interaction, view, current, names))
        facts = cards.PanelFacts(
            names=names,
            now=self.services.clock(),
            current=current,
            note=t("There is no chart of what this alert watches.") if drawn is None else None,
            chart=None if drawn is None else drawn.file,
            simulated=self.services.settings.simulated,
        )
        card = cards.panel_card(view, facts, t, controls=False)
        await reply.send(view=card, files=[] if drawn is None else [drawn.upload()])

    async def _current(self, view: RuleView) -> Sequence[Current]:
        """What it watches now; nothing where that cannot be told."""
        try:
            preview = await self.services.alerts.preview(view.owner, view.rule)
        except Absurd:
            return []
        return preview.current

    async def _chart(
        self, interaction: Interaction, view: RuleView, current: Sequence[Current], names: Names
    ) -> DrawnChart | None:
        """The last week of the (first) series, with the levels."""
        found = cases(view.rule, current)
        if not found:
            return None
        t, timezone = text_of(interaction), preferences_of(interaction).timezone
        case = found[0]
        watched = case.parts[0].key.metric
        metric = shown_metric(watched)
        levels = sorted({part.base for part in case.parts}) if watched == metric and view.rule.kind != "steps" else []
        end = self.flow.book.end(self.services.clock())

        async def describe() -> ChartSpec:
            history = await self.services.market.history(case.key, end - _CHART_SPAN, end, points=400)
            spec = figure_chart(
                history, metric, t, names, levels=levels, timezone=timezone, simulated=self.services.settings.simulated
            )
            if spec is None:
                raise LookupError(f"nothing of {metric} is stored")
            return spec

        version = await self.services.market.version()
        key = ("alert now", version, case.key, metric, tuple(levels), t.locale, timezone, end)
        return await self.flow.book.draw(key, describe, f"alert-{case.key.gpu}-{case.key.platform}-7d")

    # --- changing ---

    async def pause(self, reply: Reply, view: RuleView) -> None:
        """Stop watching, with a button that resumes."""
        t = text_of(reply.interaction)
        paused = self._there(await self.services.alerts.pause(view.owner.key, view.id), view)
        await self._done(
            reply, paused, "⏸️ " + t("**Paused.** I watch nothing for it until you resume it."), AlertAction.RESUME
        )

    async def resume(self, reply: Reply, view: RuleView) -> None:
        """Watch again, as from new."""
        t = text_of(reply.interaction)
        work = self.services.alerts.resume(view.owner.key, view.id)
        resumed = self._there(await self._checked(reply.interaction, work), view)
        await self.open(reply, resumed, "▶️ " + t("Resumed: it begins anew, from the present value."))

    async def snooze(self, reply: Reply, view: RuleView, hours: int) -> None:
        """Hold its firings back for some hours."""
        t = text_of(reply.interaction)
        until = self.services.clock() + timedelta(hours=hours)
        snoozed = self._there(await self.services.alerts.snooze(view.owner.key, view.id, until), view)
        note = "💤 " + t("**Snoozed until {when}.** What it holds back stands in its ledger.", when=_full(until))
        await self._done(reply, snoozed, note, AlertAction.WAKE)

    async def wake(self, reply: Reply, view: RuleView) -> None:
        """End a snooze."""
        t = text_of(reply.interaction)
        awake = self._there(await self.services.alerts.snooze(view.owner.key, view.id, None), view)
        await self.open(reply, awake, "⏰ " + t("The snooze is over."))

    async def ask_remove(self, reply: Reply, view: RuleView) -> None:
        """Ask before it is removed."""
        names = await self.flow.names(reply.interaction, holdings=needs_holdings(view.rule))
        await reply.send(view=cards.remove_card(view, names, text_of(reply.interaction)))

    async def remove(self, reply: Reply, view: RuleView) -> None:
        """Remove, with a button that takes it back."""
        t = text_of(reply.interaction)
        gone = self._there(await self.services.alerts.remove(view.owner.key, view.id), view)
        await self._done(reply, gone, "🗑️ " + t("**Removed.** You can undo it for a day."), AlertAction.RESTORE)

    async def restore(self, reply: Reply, owner_key: str, rule_id: int) -> None:
        """Bring a removed rule back.

        Raises:
            NotRule: it is gone for good.
        """
        t = text_of(reply.interaction)
        back = await self._checked(reply.interaction, self.services.alerts.restore(owner_key, rule_id))
        if back is None:
            raise NotRule
        await self.open(reply, back, "↩️ " + t("It is back, and watches anew from the present value."))

    async def renew(self, reply: Reply, view: RuleView) -> None:
        """Give it another ninety days."""
        t = text_of(reply.interaction)
        until = self.services.clock() + RENEWED_FOR
        work = self.services.alerts.renew(view.owner.key, view.id, until)
        renewed = self._there(await self._checked(reply.interaction, work), view)
        await self.open(reply, renewed, "🔄 " + t("Renewed: it runs until {when}.", when=_full(until)))

    async def test(self, reply: Reply, view: RuleView) -> None:
        """Send a sample through the real path; none where the member switched alerts off, as with a real one."""
        t = text_of(reply.interaction)
        if not view.owner.server and not (await self.services.choices.get(view.owner.member_id)).wants("alert"):
            settings = seam(reply.interaction.client).mention("settings")
            note = "⚠️ " + t("You switched alerts off in {settings}: nothing would be sent.", settings=settings)
            await self._done(reply, view, note, AlertAction.WHY)
            return
        sent = await reply.within(PATIENT, self.services.alerts.send_test(view.owner.key, view.id))
        if sent is None:
            raise NotRule
        note = "🧪 " + t(
            "**A sample is on its way**, marked as one, by the same path as a real alert. Its notification is {id}.",
            id=f"`{sent}`",
        )
        await self._done(reply, view, note, AlertAction.WHY)

    # --- explaining ---

    async def why(self, reply: Reply, owner_key: str, rule_id: int) -> None:
        """The ledger; of a server's rule only its admins see where messages went.

        Raises:
            NotRule, NotServerRule: there is no such rule.
        """
        interaction = reply.interaction
        why = await reply.within(PATIENT, self.services.alerts.why(owner_key, rule_id=rule_id))
        if why is None:
            raise NotServerRule if owner_key.startswith("g:") else NotRule
        names = await self.flow.names(interaction, holdings=needs_holdings(why.rule.rule))
        ledger = not why.rule.owner.server or interaction.permissions.manage_guild
        simulated = self.services.settings.simulated
        await reply.send(view=why_card(why, names, text_of(interaction), simulated=simulated, ledger=ledger))

    async def mute(self, reply: Reply, control: AlertControl, *, off: bool) -> None:
        """A member does not want to hear of a server's rule, or does again.

        Raises:
            NotServerRule: it is gone.
        """
        interaction = reply.interaction
        t = text_of(interaction)
        alerts, member_id = self.services.alerts, interaction.user.id
        if not off:
            await alerts.unmute(member_id, control.rule_id)
            await self.list(reply, note="🔔 " + t("Unmuted."))
            return
        if not await alerts.mute(member_id, control.rule_id):
            raise NotServerRule
        names = await self.flow.names(interaction)
        view = next((one for one in await alerts.muted(member_id) if one.id == control.rule_id), None)
        if view is None:
            raise NotServerRule
        note = "🔕 " + t(
            "**Muted for you.** I tell you nothing of this server's alert myself. The channel's message stays, for it "
            "is everybody's: to silence its mention too, give up the role or mute the channel."
        )
        await reply.send(view=cards.done_card(view, note, names, t, undo=AlertAction.UNMUTE, label=t("Unmute")))

    # --- helpers ---

    async def _checked(self, interaction: Interaction, work: Awaitable[RuleView | None]) -> RuleView | None:
        try:
            return await work
        except Absurd as error:
            raise NoSense(error) from error
        except Duplicate as error:
            raise Same(error.existing, await self.flow.names(interaction)) from error

    @staticmethod
    def _there(found: RuleView | None, view: RuleView) -> RuleView:
        if found is None:
            raise NotServerRule if view.owner.server else NotRule
        return found

    async def _done(self, reply: Reply, view: RuleView, note: str, then: AlertAction) -> None:
        t = text_of(reply.interaction)
        names = await self.flow.names(reply.interaction, holdings=needs_holdings(view.rule))
        label = {
            AlertAction.RESUME: t("Resume"),
            AlertAction.WAKE: t("End the snooze"),
            AlertAction.RESTORE: t("Undo"),
            AlertAction.WHY: t("Why?"),
        }[then]
        await reply.send(view=cards.done_card(view, note, names, t, undo=then, label=label))


def _full(at: datetime) -> str:
    return f"<t:{int(at.timestamp())}:f>"


def place_of(interaction: Interaction) -> Place:
    """Where the answer to a click goes: into a private card that was clicked, else a private message of its own."""
    message = interaction.message
    private = message is not None and message.flags.ephemeral
    return Place.IN_PLACE if private else Place.PRIVATE
