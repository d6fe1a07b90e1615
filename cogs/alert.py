"""``/alert``: what a member wants to be told, when, and why he was (or was not). For his eyes only."""

from __future__ import annotations

from typing import Any

from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.alert_build import Asked, build_rule
from cogs.alert_errors import Lacking
from cogs.alert_flow import AlertFlow
from cogs.alert_kinds import KindChoice
from cogs.alert_options import (
    SCOPES,
    SEVERITIES,
    EndOption,
    KindOption,
    LevelOption,
    MineOption,
    RuleOption,
    RunningRule,
    SpanOption,
    StoppedRule,
    WindowOption,
    read_machine,
)
from cogs.alert_panel import AlertPanel
from cogs.drawn import ChartBook
from cogs.options import GpuOption, PlatformOption, RegionOption
from cogs.portfolio_options import VERIFICATIONS
from cogs.replies import Place, Reply
from cogs.services import Services
from cogs.slash import describe, slash
from cogs.ui.alert_confirm import Proposal
from cogs.ui.alert_items import alert_items, edit
from cogs.ui.base import Interaction
from gpuscout.alerts.ports import RuleView

Any_ = app_commands.Transform[RuleView, RuleOption]
Running = app_commands.Transform[RuleView, RunningRule]
Stopped = app_commands.Transform[RuleView, StoppedRule]


class Alert(commands.GroupCog, name=locale_str("alert"), description=locale_str("Be told when something happens")):
    """Alerts of a member."""

    def __init__(self, panel: AlertPanel) -> None:
        super().__init__()
        self.panel = panel

    @slash("add", "Be told when a price, a supply or a machine does something; shows it before it is saved", "alerts")
    @describe(
        when="What must happen",
        gpu="The GPU model, for example RTX 4090",
        level="Like 0.25, 25c, -10%, 80%, 50",
        window="Time that is looked at: 1h, 24h, 7d; for lows and highs days; for idle machines hours",
        platform="Left out: where most are listed",
        region="Left out: worldwide",
        scope="One GPU, all of your portfolio, or your watchlist",
        mine="One of your machines or holdings; left out: all of them",
        machines="Which machines count",
        severity="Critical ones may come in quiet hours, if you allowed that",
        polls="Readings in a row that must show it; left out: 2 for per cent, else 1",
        cooldown="Least time between two, left out: 1h",
        repeat="Tell it again this often while it lasts",
        expires="When it ends: 30d, 3 months, 2026-12-24; left out: never",
        once="End it after the first time",
    )
    @app_commands.choices(severity=SEVERITIES, scope=SCOPES, machines=VERIFICATIONS)
    async def add(
        self,
        interaction: Interaction,
        when: app_commands.Transform[KindChoice, KindOption],
        gpu: app_commands.Transform[str, GpuOption] | None = None,
        level: app_commands.Transform[str, LevelOption] | None = None,
        window: app_commands.Transform[str, WindowOption] | None = None,
        platform: app_commands.Transform[str, PlatformOption] | None = None,
        region: app_commands.Transform[str, RegionOption] | None = None,
        scope: str | None = None,
        mine: app_commands.Transform[str, MineOption] | None = None,
        machines: str | None = None,
        severity: str | None = None,
        polls: app_commands.Range[int, 1, 96] | None = None,
        cooldown: app_commands.Transform[str, SpanOption] | None = None,
        repeat: app_commands.Transform[str, SpanOption] | None = None,
        expires: app_commands.Transform[str, EndOption] | None = None,
        once: bool = False,
    ) -> None:
        """Propose a rule; nothing is stored before it is confirmed."""
        given: dict[str, Any] = {
            "gpu": gpu,
            "level": level,
            "window": window,
            "platform": platform,
            "region": region,
            "scope": scope or "gpu",
            "machines": machines or "any",
            "severity": severity or "info",
            "polls": polls,
            "cooldown": cooldown,
            "repeat": repeat,
            "expires": expires,
            "once": once,
        }
        asked = Asked(when, **given, **await self._mine(interaction, when, mine))
        rule = build_rule(asked, self.panel.services.clock())
        flow = self.panel.flow
        await Proposal.show(flow, Reply(interaction, Place.PRIVATE), flow.owner(interaction), rule)

    async def _mine(self, interaction: Interaction, kind: KindChoice, mine: str | None) -> dict[str, Any]:
        """The machine or holding that the option names.

        Raises:
            Lacking: a holding without a machine was chosen for an alert about machines.
        """
        if mine is None:
            return {}
        if (machine := read_machine(mine)) is not None:
            return {"machine": machine}
        holding_id = mine.removeprefix("h:")
        if kind.about != "machine":
            return {"holding": holding_id}
        held = await self.panel.services.portfolios.get(interaction.user.id, holding_id)
        if held is None or held.machine_id is None or held.platform is None:
            raise Lacking("mine", "")
        return {"machine": (held.platform, held.machine_id)}

    @slash("list", "Your alerts, how each one stands, and everything that can be done with them", "alerts")
    async def list(self, interaction: Interaction) -> None:
        """The list."""
        await self.panel.list(Reply(interaction, Place.PRIVATE))

    @slash("edit", "Change the level, time, severity or end of an alert; shows it before it is saved", "alerts")
    @describe(alert="One of your alerts")
    async def edit(self, interaction: Interaction, alert: Any_) -> None:
        """The form."""
        await edit(self.panel, interaction, alert)

    @slash("pause", "Stop watching for an alert until you resume it", "alerts")
    @describe(alert="One of your alerts that runs")
    async def pause(self, interaction: Interaction, alert: Running) -> None:
        """Stop watching."""
        await self.panel.pause(Reply(interaction, Place.PRIVATE), alert)

    @slash("resume", "Watch again for an alert that was paused", "alerts")
    @describe(alert="One of your alerts that is paused")
    async def resume(self, interaction: Interaction, alert: Stopped) -> None:
        """Watch again."""
        reply = Reply(interaction, Place.PRIVATE)
        if alert.state in ("expired", "done"):
            await self.panel.renew(reply, alert)
        else:
            await self.panel.resume(reply, alert)

    @slash("remove", "Remove an alert; you can undo it for a day", "alerts")
    @describe(alert="One of your alerts")
    async def remove(self, interaction: Interaction, alert: Any_) -> None:
        """Ask first."""
        await self.panel.ask_remove(Reply(interaction, Place.PRIVATE), alert)

    @slash("test", "Send a marked sample of an alert the way a real one comes", "alerts")
    @describe(alert="One of your alerts")
    async def test(self, interaction: Interaction, alert: Any_) -> None:
        """Send a sample."""
        await self.panel.test(Reply(interaction, Place.PRIVATE), alert)

    @slash("why", "Why an alert came or did not: what was read, what held it back, what was sent where", "alerts")
    @describe(alert="One of your alerts")
    async def why(self, interaction: Interaction, alert: Any_) -> None:
        """The ledger."""
        await self.panel.why(Reply(interaction, Place.PRIVATE), alert.owner.key, alert.id)


async def register(bot: commands.AutoShardedBot, services: Services, book: ChartBook) -> AlertPanel:
    """Add the cog and its controls to *bot*; returns what the server's alerts need."""
    panel = AlertPanel(AlertFlow(services, book))
    bot.add_dynamic_items(*alert_items(panel))
    await bot.add_cog(Alert(panel))
    return panel
