"""The list of alerts, and the panel of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.alerts.ports import Current, RuleView
from gpuscout.alerts.rules import DigestRule
from gpuscout.cards import alert_text as words
from gpuscout.cards.alert_message import snooze_menu
from gpuscout.cards.alert_proposal import when_text
from gpuscout.cards.alert_state import PAGE_PREFIX, AlertAction, pack
from gpuscout.cards.kit import ACCENT, OFFLINE, WARNING, Card, relative
from gpuscout.cards.pager import Move, Paging, pager_row
from gpuscout.cards.price_card import ChartFile
from gpuscout.cards.price_text import badge

PAGE: Final = 8
_ALT: Final = 1024
_STATES: Final = {"active": "🟢", "paused": "⏸️", "expired": "⌛", "done": "☑️", "removed": "🗑️"}


@dataclass(frozen=True, slots=True)
class ListFacts:
    """What a list shows besides its rules.

    Attributes:
        mention: commands to click by their names.
        limit: alerts of the owner's plan; None: as many as wanted.
        guild_id: of a server's list.
        note: what was just done, in a sentence.
        muted: servers' alerts that the member muted.
    """

    names: words.Names
    now: datetime
    add: str
    limit: int | None = None
    guild_id: int | None = None
    note: str | None = None
    muted: Sequence[RuleView] = ()
    simulated: bool = False


def state_line(view: RuleView, now: datetime, t: Text) -> str:
    """How a rule is: its state, and its firings."""
    parts = []
    if view.state == "paused" and view.trouble == "channel":
        parts.append("⚠️ " + t("paused: I may not post in its channel, or it is gone"))
    elif view.state == "paused":
        parts.append(t("paused"))
    elif view.state == "expired":
        parts.append(t("ended"))
    elif view.state == "done":
        parts.append(t("done: it was to fire once"))
    elif view.snoozed_until is not None and view.snoozed_until > now:
        parts.append("💤 " + t("snoozed until {when}", when=when_text(view.snoozed_until)))
    if view.last_fired_at is not None:
        when = relative(view.last_fired_at)
        parts.append(
            t("fired once, {when}", when=when)
            if view.fires == 1
            else t("fired {count} times, last {when}", count=t.number(view.fires), when=when)
        )
    elif not isinstance(view.rule.when, DigestRule):
        parts.append(t("not fired yet"))
    return " · ".join(parts) or t("running")


def list_card(rules: Sequence[RuleView], page: int, facts: ListFacts, t: Text) -> Card:
    """The rules, some to a page, each with its state; a menu opens one."""
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    title = t("Alerts of this server") if facts.guild_id is not None else t("Your alerts")
    container.add_item(ui.TextDisplay(f"## {title}" + (f"  {badge(t)}" if facts.simulated else "")))
    if facts.note:
        container.add_item(ui.TextDisplay(facts.note))
    if not rules:
        container.add_item(ui.TextDisplay(_teach(facts, t)))
        _muted(container, facts, t)
        return _card(container)
    paging = Paging.of(len(rules), PAGE, page)
    shown = paging.part(rules)
    container.add_item(ui.TextDisplay("\n".join(_entry(view, facts, t) for view in shown)))
    container.add_item(ui.ActionRow(_open_menu(shown, facts, t)))
    owner = "m" if facts.guild_id is None else str(facts.guild_id)
    row = pager_row(paging, lambda move, target: _page_id(move, target, owner))
    if row is not None:
        container.add_item(row)
    _muted(container, facts, t)
    live = sum(view.state in ("active", "paused") for view in rules)
    count = t.number(live) if facts.limit is None else t("{count} of {limit}", count=live, limit=facts.limit)
    parts = [words_ for words_ in (paging.words(t), count, facts.add) if words_]
    container.add_item(ui.TextDisplay("-# " + " · ".join(parts)))
    return _card(container)


def _page_id(move: Move, target: int, owner: str) -> str:
    return f"{PAGE_PREFIX}|{move.value}.{target}|{owner}"


def _teach(facts: ListFacts, t: Text) -> str:
    if facts.guild_id is not None:
        return t(
            "No alerts yet. Give {add} a channel, a kind and a level, and I post there when it happens.", add=facts.add
        )
    when, level = t("when:"), t("level:")
    lines = [
        t("No alerts yet. {add} makes one, in one line:", add=facts.add),
        f"- `{when} {t('price below …')}` `gpu: RTX 4090` `{level} 0.30`",
        f"- `{when} {t('price changes by … within 1 h, 24 h or 7 d')}` `gpu: H100 SXM` `{level} -10%`",
        f"- `{when} {t('my machine: idle for some hours')}` `{t('window:')} 24h`",
        "-# "
        + t("Before it is saved you see the present value, where it will be told, and how often it would have fired."),
    ]
    return "\n".join(lines)


def _entry(view: RuleView, facts: ListFacts, t: Text) -> str:
    sign = _STATES[view.state]
    line = f"{sign} **{words.rule_text(view.rule.when, facts.names, t)}**"
    extra = state_line(view, facts.now, t)
    if view.owner.server and view.owner.channel_id is not None:
        extra += f" · <#{view.owner.channel_id}>"
    return f"{line}\n-# {extra}"


def _open_menu(shown: Sequence[RuleView], facts: ListFacts, t: Text) -> ui.Select[Any]:
    options = [
        discord.SelectOption(
            label=words.rule_text(view.rule.when, facts.names, t).replace("\\", "")[:100],
            value=str(view.id),
            emoji=_STATES[view.state],
        )
        for view in shown
    ]
    return ui.Select(
        custom_id=pack(AlertAction.PICK, guild_id=facts.guild_id),
        placeholder=t("Open one: edit, pause, test, why, remove"),
        options=options,
    )


def _muted(container: ui.Container[Card], facts: ListFacts, t: Text) -> None:
    """Servers' alerts that the member muted, with a button each that ends it."""
    for view in facts.muted[:3]:
        container.add_item(
            ui.TextDisplay("🔕 " + t("Muted: {rule}", rule=words.rule_text(view.rule.when, facts.names, t)))
        )
        button: ui.Button[Card] = ui.Button(
            label=t("Unmute"), custom_id=pack(AlertAction.UNMUTE, view.id, guild_id=view.owner.guild_id)
        )
        container.add_item(ui.ActionRow(button))


def _card(container: ui.Container[Card]) -> Card:
    card = Card()
    card.add_item(container)
    return card


# --- one ---


@dataclass(frozen=True, slots=True)
class PanelFacts:
    """What a panel shows besides its rule. ``current`` is what it watches now, as far as it is known."""

    names: words.Names
    now: datetime
    current: Sequence[Current] = ()
    note: str | None = None
    chart: ChartFile | None = None
    simulated: bool = False


def panel_card(view: RuleView, facts: PanelFacts, t: Text, *, controls: bool = True) -> Card:
    """One rule with everything that can be done to it; without *controls* only how it is."""
    guild = view.owner.guild_id if view.owner.server else None
    colour = words.COLOURS[view.rule.manners.severity] if view.state == "active" else OFFLINE
    container: ui.Container[Card] = ui.Container(accent_colour=colour)
    title = f"### {_STATES[view.state]} {words.rule_text(view.rule.when, facts.names, t)}"
    container.add_item(ui.TextDisplay(title + (f"  {badge(t)}" if facts.simulated else "")))
    if facts.note:
        container.add_item(ui.TextDisplay(facts.note))
    lines = [state_line(view, facts.now, t)]
    if view.owner.server and view.owner.channel_id is not None:
        role = "" if view.owner.role_id is None else f" · <@&{view.owner.role_id}>"
        lines.append(f"<#{view.owner.channel_id}>{role}")
    lines += _now_lines(facts, t)
    lines.append(f"-# {words.manners_text(view.rule, t)}")
    container.add_item(ui.TextDisplay("\n".join(lines)))
    if facts.chart is not None:
        picture = discord.MediaGalleryItem(f"attachment://{facts.chart.filename}", description=facts.chart.alt[:_ALT])
        container.add_item(ui.MediaGallery(picture))
    for row in _panel_rows(view, facts.now, guild, t) if controls else ():
        container.add_item(row)
    return _card(container)


def _now_lines(facts: PanelFacts, t: Text) -> list[str]:
    lines = []
    for one in list({(c.metric, c.gpu, c.platform, c.machine_id): c for c in facts.current}.values())[:3]:
        if one.value is None:
            continue
        said = f"{words.metric_name(one.metric, t)} {words.value_text(one.metric, one.value, t)}"
        when = "" if one.at is None else " · " + t("as of {when}", when=relative(one.at))
        lines.append(f"**{t('Now')}** {said}{when}")
    return lines


def _panel_rows(view: RuleView, now: datetime, guild: int | None, t: Text) -> list[ui.ActionRow[Card]]:
    """Edit, pause or resume, test; why, chart, remove; and hours to snooze."""

    def button(
        label: str, action: AlertAction, emoji: str, style: discord.ButtonStyle | None = None
    ) -> ui.Button[Card]:
        return ui.Button(
            label=label[:80],
            emoji=emoji,
            custom_id=pack(action, view.id, guild_id=guild),
            style=style or discord.ButtonStyle.secondary,
        )

    first: list[ui.Item[Card]] = [button(t("Edit"), AlertAction.EDIT, "✏️")]
    if view.state == "active":
        first.append(button(t("Pause"), AlertAction.PAUSE, "⏸️"))
    elif view.state == "paused":
        first.append(button(t("Resume"), AlertAction.RESUME, "▶️", discord.ButtonStyle.primary))
    else:
        first.append(button(t("Renew for 90 days"), AlertAction.RENEW, "🔄", discord.ButtonStyle.primary))
    first.append(button(t("Test"), AlertAction.TEST, "🧪"))
    second: list[ui.Item[Card]] = [
        button(t("Why?"), AlertAction.WHY, "🔎"),
        button(t("Show chart"), AlertAction.CHART, "📈"),
    ]
    second.append(button(t("Remove"), AlertAction.REMOVE, "🗑️", discord.ButtonStyle.danger))
    rows: list[ui.ActionRow[Card]] = [ui.ActionRow(*first), ui.ActionRow(*second)]
    if view.state == "active":
        if view.snoozed_until is not None and view.snoozed_until > now:
            rows.append(ui.ActionRow(button(t("End the snooze"), AlertAction.WAKE, "⏰")))
        else:
            rows.append(ui.ActionRow(snooze_menu(view.id, guild, t)))
    return rows


def remove_card(view: RuleView, names: words.Names, t: Text) -> Card:
    """The question before an alert is removed."""
    guild = view.owner.guild_id if view.owner.server else None
    container: ui.Container[Card] = ui.Container(accent_colour=WARNING)
    said = t("Remove this alert? You can undo it for a day.")
    container.add_item(ui.TextDisplay(f"**{words.rule_text(view.rule.when, names, t)}**\n{said}"))
    container.add_item(
        ui.ActionRow(
            ui.Button[Card](
                label=t("Remove"),
                style=discord.ButtonStyle.danger,
                custom_id=pack(AlertAction.DROP, view.id, guild_id=guild),
            ),
            ui.Button[Card](label=t("Keep it"), custom_id=pack(AlertAction.OPEN, view.id, guild_id=guild)),
        )
    )
    return _card(container)


def done_card(
    view: RuleView, note: str, names: words.Names, t: Text, *, undo: AlertAction | None = None, label: str = ""
) -> Card:
    """What was done to a rule, with a button that takes it back."""
    guild = view.owner.guild_id if view.owner.server else None
    container: ui.Container[Card] = ui.Container(accent_colour=OFFLINE)
    container.add_item(ui.TextDisplay(f"{note}\n-# {words.rule_text(view.rule.when, names, t)}"))
    if undo is not None:
        container.add_item(
            ui.ActionRow(ui.Button[Card](label=label[:80], emoji="↩️", custom_id=pack(undo, view.id, guild_id=guild)))
        )
    return _card(container)
