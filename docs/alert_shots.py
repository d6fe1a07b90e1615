"""The scenes of the pictures of alerts, for ``make_pictures.py``."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import discord

from config.catalogue import GpuCatalogue
from config.i18n import translator_for
from gpuscout.alerts.messages import AlertItem
from gpuscout.alerts.ports import Attempt, LedgerEntry, RuleView, Watched
from gpuscout.alerts.rules import ChangeRule, GpuScope, MachineRule, Owner, PortfolioScope, PriceRule, Rule, SupplyRule
from gpuscout.cards.alert_chart import wish
from gpuscout.cards.alert_message import MessageFacts, alert_message
from gpuscout.cards.alert_text import Names
from gpuscout.charts.render import render
from tests.fakes import NOW, SEEN

SCOPE: Final = GpuScope(gpu="rtx-4090")
ABOVE: Final = PriceRule(scope=SCOPE, direction="above", level=0.36)
BELOW: Final = PriceRule(scope=SCOPE, direction="below", level=0.34)
FIRED: Final = AlertItem(
    rule_id=1,
    when=BELOW,
    kind="price",
    happened="below",
    severity="warning",
    metric="price",
    gpu="rtx-4090",
    platform="vast",
    before=0.345,
    after=0.335,
    threshold=0.34,
    price=0.335,
    at=SEEN,
    impact_month=-42.1,
    source="simulator",
)
"""The firing that is shown, in Discord and as a mail."""
SUBJECT: Final = "vast|rtx-4090|global|on-demand|any|any"


async def _made(stage: Any, *conditions: Any) -> list[RuleView]:
    owner = Owner(member_id=stage.alice.id, guild_id=stage.channel.guild.id, channel_id=stage.channel.id)
    return [await stage.world.alerts.create(owner, Rule(when=when)) for when in conditions]


async def proposal(stage: Any) -> None:
    """What is seen before an alert is saved."""
    shown = await stage.alice.slash(stage.channel, "alert add", when="price-above", gpu="rtx-4090", level="0.36")
    await stage.shoot("alert-proposal", shown.response)


async def alert_list(stage: Any) -> None:
    """The list."""
    fall = ChangeRule(scope=GpuScope(gpu="rtx-5090"), amount=10, direction="down")
    idle = MachineRule(scope=PortfolioScope(), event="idle", hours=24)
    stage.world.tiers.tiers[stage.alice.id] = "individual"
    rules = await _made(stage, BELOW, fall, idle, SupplyRule(scope=SCOPE, event="none_left"))
    await stage.world.alerts.pause(rules[1].owner.key, rules[1].id)
    await stage.world.alerts.snooze(rules[3].owner.key, rules[3].id, NOW + timedelta(hours=8))
    shown = await stage.alice.slash(stage.channel, "alert list")
    await stage.shoot("alert-list", shown.response)


async def why(stage: Any) -> None:
    """The ledger."""
    (rule,) = await _made(stage, BELOW)
    sent = SEEN + timedelta(seconds=2)
    lost = Attempt(SEEN, "dm", "unknown", "no answer in time", None)
    fired = (
        "fired",
        None,
        1,
        "price",
        SUBJECT,
        0.335,
        0.34,
        "ptt9vdb9c1hy07hnmvrd",
        "sent",
        "dm",
        "1456074443980800123",
    )
    stage.world.alerts.watched[rule.id] = [Watched("price", SUBJECT, 0.335, SEEN, 0.35, "rearm", 1)]
    stage.world.alerts.ledger[rule.id] = [
        LedgerEntry(SEEN, SEEN, *fired, sent, True, [lost]),
        LedgerEntry(
            SEEN - timedelta(days=2), SEEN - timedelta(days=1), "held", "thin", 14, "price", SUBJECT, 0.33, 0.34
        ),
    ]
    shown = await stage.alice.slash(stage.channel, "alert why", alert=str(rule.id))
    await stage.shoot("alert-why", shown.response)


async def message(stage: Any) -> None:
    """The alert itself."""
    gpus = GpuCatalogue.load()
    wanted = wish([FIRED])
    assert wanted is not None
    history = await stage.world.market.history(wanted.key, SEEN - wanted.span, SEEN)
    model = gpus.get("rtx-4090")
    assert model is not None
    names = Names(lambda _: model.label, stage.env.bot.services.platform_name)
    facts = MessageFacts(names, stage.env.bot.mention, simulated=True, history=history)
    shown = alert_message([FIRED], facts, translator_for(None))
    assert shown.chart is not None
    shown.show("alert.png")
    picture = discord.File(io.BytesIO(render(shown.chart)), "alert.png")
    channel = stage.env.bot.get_channel(stage.channel.id)
    await channel.send(embeds=list(shown.embeds), view=shown.view, files=[picture])
    await stage.shoot("alert-message", stage.channel.last_message)


ALERT_SHOTS: Final[dict[str, Callable[[Any], Awaitable[Any]]]] = {
    "alert-proposal": proposal,
    "alert-list": alert_list,
    "alert-why": why,
    "alert-message": message,
}
