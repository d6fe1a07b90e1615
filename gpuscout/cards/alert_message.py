"""The message of an alert: a real embed as the specification words it, with buttons that work after a restart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.alerts.messages import AlertItem, ExpiredItem
from gpuscout.cards import alert_text as words
from gpuscout.cards.alert_chart import alert_chart
from gpuscout.cards.alert_happened import action_text, happened_line, impact_text, story
from gpuscout.cards.alert_state import SNOOZE_HOURS, AlertAction, pack
from gpuscout.cards.kit import OFFLINE, Stateless, plain, relative
from gpuscout.charts.model import ChartSpec
from gpuscout.market.models import History

FULL: Final = 3
"""Up to so many items each has an embed of its own; more are one list."""
LISTED: Final = 25
_RANK: Final = {"critical": 0, "warning": 1, "info": 2}


class Controls(Stateless, ui.View):
    """Classic buttons without callbacks, as :class:`gpuscout.cards.kit.Card` is for layouts."""

    def __init__(self) -> None:
        super().__init__(timeout=None)


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What a message says besides its items.

    Attributes:
        names: of models, platforms, holdings.
        mention: a command as something to click, by its name.
        sources: name and address of the price sources, by slug.
        private: whether only the member reads it; else nothing of his own is in it.
        simulated: whether the market is a simulator's.
        guild_id: the server, of a server's own alert.
        history: for the chart of a single item (see :func:`gpuscout.cards.alert_chart.wish`); None: no chart.
        timezone: IANA name of the reader's zone.
    """

    names: words.Names
    mention: Callable[[str], str] = lambda name: f"`/{name}`"
    sources: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    private: bool = True
    simulated: bool = False
    guild_id: int | None = None
    history: History | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """A rendered alert.

    Attributes:
        text: the whole in one plain sentence or two, for a mention, a push notice and plain e-mail.
        embeds, view: what Discord shows.
        chart: the picture to draw; :meth:`show` puts it into the message.
    """

    text: str
    embeds: Sequence[discord.Embed]
    view: ui.View
    chart: ChartSpec | None = None

    def show(self, filename: str) -> None:
        """Show the attachment *filename* in the (first) embed."""
        self.embeds[0].set_image(url=f"attachment://{filename}")


def alert_message(items: Sequence[AlertItem], facts: MessageFacts, t: Text) -> AlertMessage:
    """One message for several firings, the severest first.

    Raises:
        ValueError: there is nothing to tell.
    """
    if not items:
        raise ValueError("an alert message needs an item")
    ordered = sorted(items, key=lambda item: (_RANK[item.severity], -item.at.timestamp()))
    unique = list({_identity(item): item for item in ordered}.values())
    chart = alert_chart(unique[0], facts.history, facts.names, t, facts.timezone, simulated=facts.simulated)
    return AlertMessage(
        text=plain_text(unique, facts, t),
        embeds=_embeds(unique, facts, t),
        view=_controls(unique, facts, t),
        chart=chart if len(unique) == 1 else None,
    )


def _identity(item: AlertItem) -> tuple[object, ...]:
    """What a firing is told of; of two with the same, one is enough."""
    series = (item.gpu, item.platform, item.region, item.tier, item.verification)
    return (item.rule_id, *series, item.machine_id, item.holding_id, item.at)


def plain_text(items: Sequence[AlertItem], facts: MessageFacts, t: Text) -> str:
    """The message without markup: a sentence an item, at most three, then how many more."""
    lines = [happened_line(item, facts.names, t) for item in items[:FULL]]
    marks = [mark for mark in (_mark(items, facts, t),) if mark]
    if len(items) > FULL:
        lines.append(t("and {count} more", count=t.number(len(items) - FULL)))
    return " ".join([*marks, "🔔" if not marks else "", "; ".join(lines)]).replace("  ", " ").strip()[:1900]


def _mark(items: Sequence[AlertItem], facts: MessageFacts, t: Text) -> str:
    marks = []
    if any(item.test for item in items):
        marks.append(f"[{t('TEST')}]")
    if facts.simulated:
        marks.append(f"[{t('SIMULATED')}]")
    return " ".join(marks)


def _embeds(items: Sequence[AlertItem], facts: MessageFacts, t: Text) -> list[discord.Embed]:
    caught_up = any(item.catch_up for item in items)
    digest = items[0].kind == "digest"
    if not digest and not caught_up and len(items) <= FULL:
        return [_embed(item, facts, t) for item in items]
    if len(items) == 1 and not caught_up:
        return [_digest_embed(items[0], facts, t)]
    return [_list_embed(items, facts, t, caught_up=caught_up)]


def _embed(item: AlertItem, facts: MessageFacts, t: Text) -> discord.Embed:
    """Title, description, colour, GPU Model, Expected Impact, Action Required, timestamp."""
    mark = _mark([item], facts, t)
    title = f"{words.SIGNS[item.severity]} {happened_line(item, facts.names, t)}"
    embed = discord.Embed(
        title=f"{mark} {title}".strip()[:256],
        description="\n".join(story(item, facts.names, t))[:4096],
        colour=words.COLOURS[item.severity],
        timestamp=item.at,
    )
    embed.add_field(name=t("GPU Model"), value=_model(item, facts, t)[:1024], inline=True)
    embed.add_field(name=t("Expected Impact"), value=impact_text(item, t, private=facts.private)[:1024], inline=True)
    embed.add_field(name=t("Action Required"), value=action_text(item, facts.mention, t)[:1024], inline=False)
    embed.set_footer(text=_footer(item, facts, t)[:2048])
    return embed


def _model(item: AlertItem, facts: MessageFacts, t: Text) -> str:
    if item.gpu is not None:
        said = words.series_text(item.gpu, item.platform, facts.names, t, region=item.region, tier=item.tier)
    else:
        said = words.subject(item.when, facts.names, t)
    if item.machine_id is not None:
        said += "\n" + t("Machine {id}", id=item.machine_id)
    if facts.private and item.holding_id and (name := facts.names.holding(item.holding_id)):
        said += "\n" + plain(name, 60)
    return said


def _footer(item: AlertItem, facts: MessageFacts, t: Text) -> str:
    rule = words.rule_text(item.when, facts.names, t).replace("\\", "")
    parts = [t("Alert of this server: {rule}", rule=rule) if item.server else t("Your alert: {rule}", rule=rule)]
    if item.source and (source := facts.sources.get(item.source)):
        parts.append(t("Source: {source}", source=source[0]))
    if facts.simulated:
        parts.append(t("simulated market, on the demo's clock"))
    return " · ".join(parts)


def _list_embed(items: Sequence[AlertItem], facts: MessageFacts, t: Text, *, caught_up: bool) -> discord.Embed:
    """Many at once, or what happened while nobody watched."""
    severest = items[0].severity
    rules = len({item.rule_id for item in items})
    count = t.number(rules)
    if items[0].server:
        title = t("{count} alerts of this server at once", count=count)
        title = t("While I was away: {count} alerts of this server were crossed", count=count) if caught_up else title
    elif caught_up:
        title = t("While I was away: {count} of your alerts were crossed", count=count)
    else:
        title = t("{count} of your alerts at once", count=count)
    mark = _mark(items, facts, t)
    lines = [_line(item, facts, t) for item in items[:LISTED]]
    if caught_up:
        lines.insert(
            0, t("I could not watch for a while. This is what the stored readings show, and how it stands now.")
        )
    if len(items) > LISTED:
        lines.append(t("and {count} more", count=t.number(len(items) - LISTED)))
    embed = discord.Embed(
        title=f"{mark} {words.SIGNS[severest]} {title}".strip()[:256],
        colour=words.COLOURS[severest],
        timestamp=max(item.at for item in items),
    )
    gpus = list(dict.fromkeys(facts.names.gpu(item.gpu) for item in items if item.gpu is not None))
    embed.description = _fit(lines, 3500)
    if gpus:
        more = "" if len(gpus) <= 6 else " …"
        embed.add_field(name=t("GPU Model"), value=", ".join(plain(gpu, 60) for gpu in gpus[:6]) + more, inline=True)
    impacts = {item.gpu: item.impact_month for item in items if item.impact_month is not None}
    if facts.private and impacts:
        total = sum(value for value in impacts.values() if value is not None)
        said = t("{amount} a month on your holdings", amount=("+" if total > 0 else "") + t.money(total))
        embed.add_field(name=t("Expected Impact"), value=said, inline=True)
    action = t("Choose one below for its figures, or see {list}.", list=facts.mention("alert list"))
    embed.add_field(name=t("Action Required"), value=action, inline=False)
    if facts.simulated:
        embed.set_footer(text=t("simulated market, on the demo's clock"))
    return embed


def _line(item: AlertItem, facts: MessageFacts, t: Text) -> str:
    said = f"{words.SIGNS[item.severity]} {happened_line(item, facts.names, t)} · {relative(item.at)}"
    if item.catch_up and item.now is not None:
        said += " · " + t("now {value}", value=words.value_text(item.metric, item.now, t))
    return said


def _digest_embed(item: AlertItem, facts: MessageFacts, t: Text) -> discord.Embed:
    """What the member's alerts did."""
    mark = _mark([item], facts, t)
    fired = sum(line.fired for line in item.lines)
    embed = discord.Embed(
        title=f"{mark} 🗒️ {t('Your alerts: {count} firings', count=t.number(fired))}".strip()[:256],
        colour=words.COLOURS["info"] if fired else OFFLINE,
        timestamp=item.at,
    )
    lines = []
    for line in item.lines:
        told = words.rule_text(line.when, facts.names, t)
        if line.fired:
            when = "" if line.last_at is None else f", {relative(line.last_at)}"
            lines.append(f"**{t.number(line.fired)}×** {told}{when}")
        else:
            lines.append(f"– {told}")
    embed.description = _fit(lines, 3900) or t(
        "You have no other alerts. {add} makes one.", add=facts.mention("alert add")
    )
    if facts.simulated:
        embed.set_footer(text=t("simulated market, on the demo's clock"))
    return embed


def _fit(lines: Sequence[str], limit: int) -> str:
    kept: list[str] = []
    left = limit
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            kept.append("…")
            break
        kept.append(line)
    return "\n".join(kept)


# --- controls ---


def _controls(items: Sequence[AlertItem], facts: MessageFacts, t: Text) -> Controls:
    rules = list({item.rule_id: item for item in items}.values())
    view = Controls()
    if len(rules) > 1:
        view.add_item(_pick(rules, facts, t))
        return view
    item = rules[0]
    if item.server:
        _add(view, t("Mute for me"), AlertAction.MUTE, item, facts)
        _add(view, t("Show chart"), AlertAction.CHART, item, facts, row=0)
        _add(view, t("Why?"), AlertAction.WHY, item, facts)
        return view
    view.add_item(snooze_menu(item.rule_id, None, t))
    _add(view, t("Pause"), AlertAction.PAUSE, item, facts, row=1)
    if item.gpu is not None:
        _add(view, t("Show chart"), AlertAction.CHART, item, facts, row=1)
    _add(view, t("Edit"), AlertAction.EDIT, item, facts, row=1)
    _add(view, t("Why?"), AlertAction.WHY, item, facts, row=1)
    return view


def _add(
    view: Controls, label: str, action: AlertAction, item: AlertItem, facts: MessageFacts, row: int | None = None
) -> None:
    guild = facts.guild_id if item.server else None
    view.add_item(ui.Button(label=label[:80], custom_id=pack(action, item.rule_id, guild_id=guild), row=row))


def snooze_menu(rule_id: int, guild_id: int | None, t: Text) -> ui.Select[Any]:
    """Hours of silence to choose from."""
    labels = {1: t("1 hour"), 8: t("8 hours"), 24: t("24 hours")}
    return ui.Select(
        custom_id=pack(AlertAction.SNOOZE, rule_id, guild_id=guild_id),
        placeholder=t("Snooze for …"),
        options=[discord.SelectOption(label=labels[hours], value=str(hours), emoji="💤") for hours in SNOOZE_HOURS],
    )


def _pick(items: Sequence[AlertItem], facts: MessageFacts, t: Text) -> ui.Select[Any]:
    guild = facts.guild_id if items[0].server else None
    options = [
        discord.SelectOption(
            label=words.rule_text(item.when, facts.names, t).replace("\\", "")[:100], value=str(item.rule_id)
        )
        for item in items[:LISTED]
    ]
    return ui.Select(
        custom_id=pack(AlertAction.PICK, guild_id=guild),
        placeholder=t("Choose an alert: chart, snooze, pause, edit, why …"),
        options=options,
    )


# --- the end of a rule ---


def _ended_line(item: ExpiredItem, facts: MessageFacts, t: Text) -> str:
    rule = words.rule_text(item.when, facts.names, t)
    if item.fired == 0:
        return t("{rule} – not fired", rule=rule)
    if item.fired == 1:
        return t("{rule} – fired once", rule=rule)
    return t("{rule} – fired {count} times", rule=rule, count=t.number(item.fired))


def expired_message(items: Sequence[ExpiredItem], facts: MessageFacts, t: Text) -> AlertMessage:
    """The notice that rules have ended, with a button that renews.

    Raises:
        ValueError: there is nothing to tell.
    """
    if not items:
        raise ValueError("a notice needs an item")
    one = items[0]
    lines = [_ended_line(item, facts, t) for item in items[:LISTED]]
    guild = facts.guild_id if one.server else None
    count = t.number(len(items))
    if guild is not None:
        title = t("{count} of this server's alerts have ended", count=count)
        title = t("An alert of this server has ended") if len(items) == 1 else title
    else:
        title = t("{count} of your alerts have ended", count=count)
        title = t("An alert of yours has ended") if len(items) == 1 else title
    embed = discord.Embed(
        title=f"⌛ {title}", description=_fit(lines, 3900), colour=OFFLINE, timestamp=max(i.expired_at for i in items)
    )
    view = Controls()
    if len(items) == 1:
        view.add_item(
            ui.Button(
                label=t("Renew for 90 days"),
                style=discord.ButtonStyle.primary,
                custom_id=pack(AlertAction.RENEW, one.rule_id, guild_id=guild),
            )
        )
        why = pack(AlertAction.WHY, one.rule_id, guild_id=guild)
        view.add_item(ui.Button(label=t("Why?"), custom_id=why))
    else:
        options = [
            discord.SelectOption(
                label=words.rule_text(item.when, facts.names, t).replace("\\", "")[:100], value=str(item.rule_id)
            )
            for item in items[:LISTED]
        ]
        pick = pack(AlertAction.PICK, guild_id=guild)
        view.add_item(ui.Select(custom_id=pick, placeholder=t("Choose one to renew it …"), options=options))
    return AlertMessage(f"⌛ {title}: {lines[0]}"[:1900], [embed], view)
