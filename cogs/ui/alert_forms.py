"""The forms of an alert: a new one for a GPU, and changes to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import discord
from discord import ui

from cogs.alert_build import Asked, build_rule
from cogs.alert_errors import BadLevel, UnknownCondition
from cogs.alert_inverse import changed_rule, end_text, kind_of, level_text, window_text
from cogs.alert_kinds import BY_SLUG, ON_A_GPU, KindChoice
from cogs.alert_values import read_count
from cogs.ui.base import Interaction, ScoutModal
from cogs.usage import record_interaction
from config.i18n import Text
from gpuscout.alerts.rules import Rule
from gpuscout.cards.alert_text import SIGNS, Names, rule_text, severity_name
from storage.notifications import SEVERITIES, Severity

_SECONDS: Final = 840.0
Use = Callable[[Interaction, Rule], Awaitable[None]]
"""What is done with the rule that a form describes."""


class _Form(ScoutModal):
    """Fields that both forms share."""

    def __init__(self, title: str, use: Use, t: Text) -> None:
        super().__init__(title=title[:45], timeout=_SECONDS)
        self.use = use
        self.t = t

    def text(self, name: str, label: str, about: str, value: str = "", *, required: bool = False) -> ui.TextInput[Any]:
        """Add a text field."""
        box: ui.TextInput[Any] = ui.TextInput(custom_id=name, default=value or None, max_length=40, required=required)
        self.add_item(ui.Label(text=label[:45], description=about[:100] or None, component=box))
        return box

    def severity_menu(self, chosen: Severity) -> ui.Select[Any]:
        """Add the choice of a severity."""
        menu: ui.Select[Any] = ui.Select(
            custom_id="severity",
            options=[
                discord.SelectOption(
                    label=severity_name(one, self.t), value=one, emoji=SIGNS[one], default=one == chosen
                )
                for one in SEVERITIES
            ],
        )
        about = self.t("Critical ones may come in quiet hours, if you allowed that")
        self.add_item(ui.Label(text=self.t("Severity")[:45], description=about[:100], component=menu))
        return menu


def _severity(menu: ui.Select[Any], default: str) -> str:
    return str(menu.values[0]) if menu.values else default


class AlertForm(_Form):
    """Changes to a rule: its level, window, severity, readings in a row, end; as far as its kind has them."""

    def __init__(self, rule: Rule, asked: Asked, names: Names, now: datetime, use: Use, t: Text) -> None:
        super().__init__(rule_text(rule.when, names, t).replace("\\", ""), use, t)
        self._rule = rule
        self._asked = asked
        self._now = now
        kind = asked.kind
        self.level: ui.TextInput[Any] | None = None
        self.window: ui.TextInput[Any] | None = None
        if kind.level:
            self.level = self.text(
                "level",
                t("Level"),
                t("Like {example}", example=kind.level),
                asked.level or "",
                required="level" in kind.needs,
            )
        if kind.window:
            self.window = self.text(
                "window", t("Time"), t("Like {example}", example=", ".join(kind.window)), asked.window or ""
            )
        self.severity = self.severity_menu(rule.manners.severity)
        shown = "" if rule.manners.for_polls is None else str(rule.manners.for_polls)
        self.polls = self.text(
            "polls", t("Readings in a row that must show it"), t("1 to 96. Empty: 2 for per cent, else 1"), shown
        )
        self.ends = self.text(
            "expires", t("Ends"), t("Like 30d or 2026-12-24; “never” for no end"), end_text(rule, now, t)
        )

    @classmethod
    def of(cls, rule: Rule, names: Names, now: datetime, use: Use, t: Text) -> AlertForm:
        """The form of a rule as it is."""
        kind = kind_of(rule.when)
        # GPU and scope are not asked: they stay, whatever stands here.
        asked = Asked(kind, gpu="-", level=level_text(rule.when), window=window_text(rule.when))
        return cls(rule, asked, names, now, use, t)

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, and hand the changed rule on."""
        ends = self.ends.value.strip()
        if ends == self.t("never"):
            ends = ""
        asked = replace(
            self._asked,
            level=self.level.value if self.level is not None else None,
            window=self.window.value if self.window is not None else None,
            severity=_severity(self.severity, self._rule.manners.severity),
            polls=_polls(self.polls.value),
            expires=ends or None,
        )
        rule = changed_rule(self._rule, asked, self._now)
        if ends == end_text(self._rule, self._now, self.t):
            # Untouched: the very end, not one some hours later.
            manners = rule.manners.model_copy(update={"expires_at": self._rule.manners.expires_at})
            rule = rule.model_copy(update={"manners": manners})
        await self.use(interaction, rule)
        record_interaction(interaction, "alert form", "component", "ok")


def _polls(text: str) -> int | None:
    if not text.strip():
        return None
    count = read_count(text)
    if count is None or not 1 <= count <= 96:
        raise BadLevel(text, "1, 2, 4")
    return count


class NewForm(_Form):
    """A new alert on the GPU of a card.

    Args:
        preset: GPU, platform and region of the card.
        level: level that is filled in.
    """

    def __init__(self, preset: Asked, gpu: str, level: str, now: Callable[[], datetime], use: Use, t: Text) -> None:
        super().__init__(t("Alert me: {gpu}", gpu=gpu), use, t)
        self._preset = preset
        self._now = now
        self.kind: ui.Select[Any] = ui.Select(
            custom_id="kind", options=[_option(kind, preset.kind, t) for kind in ON_A_GPU]
        )
        self.add_item(ui.Label(text=t("When")[:45], component=self.kind))
        self.level = self.text("level", t("Level"), t("Like 0.25, 25c, -10%, 80% or a number of GPUs"), level)
        self.window = self.text("window", t("Time"), t("For changes 1h, 24h or 7d; for lows and highs days, like 30d"))
        self.severity = self.severity_menu("info")
        self.ends = self.text("expires", t("Ends"), t("Like 30d or 2026-12-24; empty for no end"))

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, and hand the rule on."""
        chosen = str(self.kind.values[0]) if self.kind.values else self._preset.kind.slug
        kind = BY_SLUG.get(chosen)
        if kind is None or kind not in ON_A_GPU:
            raise UnknownCondition(chosen)
        asked = replace(
            self._preset,
            kind=kind,
            level=self.level.value,
            window=self.window.value,
            severity=_severity(self.severity, "info"),
            expires=self.ends.value,
        )
        await self.use(interaction, build_rule(asked, self._now()))
        record_interaction(interaction, "alert me form", "component", "ok")


def _option(kind: KindChoice, chosen: KindChoice, t: Text) -> discord.SelectOption:
    return discord.SelectOption(label=kind.label(t)[:100], value=kind.slug, default=kind.slug == chosen.slug)
