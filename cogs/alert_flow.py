"""From a rule that is wanted to its proposal, from its proposal to a stored rule."""

from __future__ import annotations

from typing import Any

import discord

from cogs.alert_errors import NoSense, NothingToWatch, Same
from cogs.alert_judge import Judge, Verdict
from cogs.drawn import ChartBook, DrawnChart
from cogs.options import or_nothing
from cogs.portfolio_options import gpu_label
from cogs.preferences import preferences_of
from cogs.replies import PATIENT, QUICK, Reply, text_of
from cogs.services import Services
from cogs.usage import seam
from config.i18n import Text
from gpuscout.accounts import timezones
from gpuscout.alerts.ports import Absurd, Duplicate, Preview, RuleView
from gpuscout.alerts.rules import (
    DigestRule,
    HoldingRule,
    MachineRule,
    Owner,
    PortfolioScope,
    Rule,
    WatchlistScope,
    scope_of,
)
from gpuscout.cards.alert_proposal import ProposalFacts, Reach
from gpuscout.cards.alert_text import Names
from gpuscout.cards.portfolio_text import short_title
from gpuscout.plans.limits import allowance_of

Interaction = discord.Interaction[Any]


class AlertFlow:
    """Everything that making an alert needs, wherever it begins."""

    def __init__(self, services: Services, book: ChartBook) -> None:
        self.services = services
        self.book = book
        self.judge = Judge(services, book)

    # --- who and where ---

    def owner(self, interaction: Interaction) -> Owner:
        """The member, and where he is: a channel in which I may mention him, if it is one."""
        here = interaction.guild_id is not None and interaction.client.get_guild(interaction.guild_id) is not None
        rights = interaction.app_permissions
        known = here and (rights.send_messages or rights.send_messages_in_threads)
        return Owner(
            member_id=interaction.user.id,
            guild_id=interaction.guild_id if known else None,
            channel_id=interaction.channel_id if known else None,
        )

    async def names(self, interaction: Interaction, *, holdings: bool = False) -> Names:
        """How models, platforms and (if asked) the member's own holdings are called."""
        unknown = {slug: name for slug, name, _ in await or_nothing(self.services.market.known_gpus())}
        t = text_of(interaction)
        mine: dict[str, str] = {}
        if holdings:
            for held in await self.services.portfolios.list(interaction.user.id):
                mine[held.id] = short_title(held, gpu_label(self.services, held.gpu), t)

        def gpu(slug: str) -> str:
            model = self.services.gpus.get(slug)
            return model.label if model is not None else unknown.get(slug, slug)

        return Names(gpu, self.services.platform_name, mine.get)

    # --- proposing ---

    async def prepare(
        self, reply: Reply, owner: Owner, rule: Rule, editing: RuleView | None = None
    ) -> tuple[ProposalFacts, DrawnChart | None]:
        """What is shown before it is saved.

        Raises:
            NoSense, Same, NothingToWatch, gpuscout.plans.limits.LimitReached: it would not be stored.
        """
        interaction = reply.interaction
        t = text_of(interaction)
        names = await self.names(interaction, holdings=needs_holdings(rule))
        preview = await reply.within(PATIENT, self._preview(owner, rule, names, editing))
        verdict = await reply.within(QUICK, self._judged(preview, names, t))
        timezone = preferences_of(interaction).timezone
        drawn = await reply.within(
            QUICK, self.judge.chart(verdict, names, t, timezone, simulated=self.services.settings.simulated)
        )
        facts = ProposalFacts(
            preview=preview,
            names=names,
            reach=await self.reach(interaction, owner),
            judged=verdict.judged,
            settings=seam(interaction.client).mention("settings"),
            chart=None if drawn is None else drawn.file,
            simulated=self.services.settings.simulated,
            editing=editing is not None,
        )
        return facts, drawn

    async def _preview(self, owner: Owner, rule: Rule, names: Names, editing: RuleView | None) -> Preview:
        try:
            preview = await self.services.alerts.preview(owner, rule)
        except Absurd as error:
            raise NoSense(error) from error
        if preview.duplicate is not None and (editing is None or preview.duplicate.id != editing.id):
            raise Same(preview.duplicate, names)
        scope = scope_of(rule)
        if not preview.current and isinstance(scope, PortfolioScope | WatchlistScope):
            machines = isinstance(rule.when, MachineRule) and await self.services.portfolios.list(owner.member_id)
            raise NothingToWatch("machines" if machines else scope.type)
        if not preview.current and isinstance(rule.when, HoldingRule):
            raise NothingToWatch("portfolio")
        if editing is None:
            allowance = await allowance_of(self.services.plans, self.services.tiers, owner.member_id, "alerts")
            allowance.check(preview.used + 1)
        return preview

    async def _judged(self, preview: Preview, names: Names, t: Text) -> Verdict:
        if isinstance(preview.rule.when, DigestRule):
            return Verdict([])
        return await self.judge.judge(preview.rule, preview.current, names, t)

    async def reach(self, interaction: Interaction, owner: Owner) -> Reach:
        """Where and when it would arrive."""
        if owner.server:
            return Reach(server_channel=owner.channel_id, role=owner.role_id)
        choice = await self.services.choices.get(owner.member_id)
        mail = await self.services.mail.panel(owner.member_id)
        await timezones.warm()
        zone = preferences_of(interaction).member.timezone or "UTC"
        return Reach(
            channels=choice.usable,
            place=owner.channel_id,
            quiet=choice.quiet,
            zone=timezones.label(zone, self.services.clock(), text_of(interaction).locale),
            critical_passes=choice.critical_passes,
            muted=not choice.wants("alert"),
            dm_off=choice.dm_off_at is not None,
            email_on=mail.on and mail.address is not None,
        )

    # --- saving ---

    async def save(self, owner: Owner, rule: Rule, names: Names, editing: RuleView | None) -> RuleView | None:
        """Store it; None when the edited rule is gone.

        Raises:
            NoSense, Same, gpuscout.plans.limits.LimitReached: meanwhile it cannot be stored any more.
        """
        alerts = self.services.alerts
        try:
            if editing is None:
                return await alerts.create(owner, rule)
            return await alerts.edit(
                editing.owner.key,
                editing.id,
                rule,
                channel_id=owner.channel_id if owner.server else None,
                role_id=owner.role_id if owner.server else None,
            )
        except Absurd as error:
            raise NoSense(error) from error
        except Duplicate as error:
            raise Same(error.existing, names) from error


def needs_holdings(rule: Rule) -> bool:
    """Whether names of the member's holdings are shown."""
    return isinstance(rule.when, HoldingRule) or isinstance(scope_of(rule), PortfolioScope)
