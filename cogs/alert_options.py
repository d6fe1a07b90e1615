"""Options of ``/alert``: kinds, levels with the present price beside them, own machines and holdings, own alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import discord
from discord import app_commands
from discord.app_commands import locale_str

from cogs.alert_errors import BadLevel, NotRule, UnknownCondition
from cogs.alert_kinds import BY_SLUG, KindChoice, find_kind, search_kinds
from cogs.alert_values import read_count
from cogs.options import CHOICES, find_gpu, find_platform
from cogs.portfolio_options import gpu_label, holding_label
from cogs.replies import text_of
from cogs.services import Services
from cogs.usage import seam
from config.i18n import Text
from gpuscout.alerts.ports import RuleView
from gpuscout.cards.alert_text import Names, rule_text
from gpuscout.cards.portfolio_text import short_title
from gpuscout.market.models import MarketUnavailable, Quote, UnknownSeries

Interaction = discord.Interaction[Any]
_LONGEST: Final = 100
_RATIOS: Final = (-0.05, 0.05, -0.10, 0.10, -0.20, 0.20)

SEVERITIES: Final = [
    app_commands.Choice(name=locale_str(name), value=value)
    for name, value in (("info", "info"), ("warning", "warning"), ("critical", "critical"))
]
SCOPES: Final = [
    app_commands.Choice(name=locale_str(name), value=value)
    for name, value in (("one GPU", "gpu"), ("all of my portfolio", "portfolio"), ("my watchlist", "watchlist"))
]


def cut(text: str) -> str:
    """At most the hundred characters of a choice."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class KindOption(app_commands.Transformer):
    """What must happen; the value is the kind's slug."""

    async def transform(self, interaction: Interaction, value: str, /) -> KindChoice:
        found = find_kind(value, text_of(interaction))
        if found is None:
            raise UnknownCondition(value)
        return found

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        t = text_of(interaction)
        return [app_commands.Choice(name=cut(kind.label(t)), value=kind.slug) for kind in search_kinds(str(value), t)][
            :CHOICES
        ]


class LevelOption(app_commands.Transformer):
    """A level as typed; completed with some around the present value of what was chosen before."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return value

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        t = text_of(interaction)
        kind = BY_SLUG.get(str(getattr(interaction.namespace, "when", "") or ""))
        quote = await _quote(interaction)
        found = suggested_levels(kind, quote, t)
        typed = str(value).strip().casefold()
        if typed and not any(typed in name.casefold() for name, _ in found):
            return [app_commands.Choice(name=cut(typed), value=cut(typed))]
        return [app_commands.Choice(name=cut(name), value=text) for name, text in found if typed in name.casefold()][
            :CHOICES
        ]


async def _quote(interaction: Interaction) -> Quote | None:
    """The present quote of the GPU and platform that were filled in; None where there is none (yet)."""
    services = seam(interaction.client).services
    space = interaction.namespace
    try:
        gpu = await find_gpu(services, str(getattr(space, "gpu", "") or ""))
        named = getattr(space, "platform", None)
        platform = find_platform(services, str(named)) if named else None
        return (await services.market.price(gpu, platform=platform)).quote
    except (MarketUnavailable, UnknownSeries):
        return None
    except Exception as error:  # noqa: BLE001 - half a name while typing; completion shows no errors
        _ = error
        return None


def suggested_levels(kind: KindChoice | None, quote: Quote | None, t: Text) -> list[tuple[str, str]]:
    """(what is shown, value) of levels that make sense for a kind now."""
    slug = kind.slug if kind is not None else ""
    head = slug.partition("-")[0]
    if head in ("price", "rented", "available"):
        side = None if quote is None else {"rented": quote.rented, "available": quote.available}.get(head, quote.all)
        price = None if side is None else side.median
        if price is None:
            return [(text, text) for text in ("0.20", "0.30", "0.50", "1.00", "2.00")]
        wanted = [
            r for r in _RATIOS if not (slug.endswith("below") and r > 0) and not (slug.endswith("above") and r < 0)
        ]
        levels: dict[str, str] = {}
        for ratio in wanted:
            level = f"{max(0.01, round(price * (1 + ratio), 2)):.2f}"
            if abs(float(level) - price) < 0.005:
                continue
            gap = t.percent(float(level) / price - 1, signed=True)
            levels.setdefault(
                level, t("{level} ({gap}, now {price})", level=t.money(float(level)), gap=gap, price=t.money(price))
            )
        return [(name, level) for level, name in levels.items()]
    texts = {
        "change": ("10%", "-10%", "+10%", "5%", "-20%"),
        "steps": ("5%", "10%", "2c"),
        "utilization": ("90%", "80%", "60%", "40%"),
        "supply": ("1", "10", "50", "100"),
        "demand": ("80", "60", "40", "20"),
        "spread": ("10%", "20%", "50%"),
        "fleet": ("5%", "8%", "15%"),
        "machine": ("95%", "98%", "90%"),
        "digest": ("8", "12", "18", "20"),
    }.get(head, ())
    return [(text, text) for text in texts]


class WindowOption(app_commands.Transformer):
    """A window or a time, as typed."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return value

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        kind = BY_SLUG.get(str(getattr(interaction.namespace, "when", "") or ""))
        return _texts(str(value), kind.window if kind is not None and kind.window else ("1h", "24h", "7d", "30d"))


class SpanOption(app_commands.Transformer):
    """A length of time, as typed."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return value

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        return _texts(str(value), ("30 min", "1h", "6h", "24h", "7d"))


class EndOption(app_commands.Transformer):
    """When an alert ends, as typed."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return value

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        return _texts(str(value), ("7d", "30d", "90d", "12 months"))


def _texts(typed: str, offered: tuple[str, ...]) -> list[Any]:
    asked = typed.strip().casefold()
    found = [text for text in offered if asked in text]
    if asked and not found:
        found = [cut(typed.strip())]
    return [app_commands.Choice(name=text, value=text) for text in found]


class MineOption(app_commands.Transformer):
    """One of the member's machines or holdings, or the number of any machine.

    The value is ``m:platform/number``, ``h:holding``, or what was typed.
    """

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        text = value.strip()
        services = seam(interaction.client).services
        if text.startswith("m:") and read_machine(text) is not None:
            return text
        holdings = await services.portfolios.list(interaction.user.id)
        for held in holdings:
            label = holding_label(services, held, interaction).casefold()
            if text in (f"h:{held.id}", held.id) or text.casefold() in (label, (held.name or "").casefold()):
                return f"h:{held.id}"
        number = read_count(text.removeprefix("machine").removeprefix("#").strip())
        if number is None or number < 1:
            raise BadLevel(value, "12345")
        return f"m:vast/{number}"

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        services = seam(interaction.client).services
        t = text_of(interaction)
        machines = str(getattr(interaction.namespace, "when", "") or "").startswith("machine")
        typed = str(value).strip().casefold()
        found: list[Any] = []
        for held in await services.portfolios.list(interaction.user.id):
            name = holding_label(services, held, interaction)
            slug = f"h:{held.id}"
            if machines:
                if held.machine_id is None or held.platform is None:
                    continue
                name = (
                    f"{t('Machine {id}', id=held.machine_id)} · {short_title(held, gpu_label(services, held.gpu), t)}"
                )
                slug = f"m:{held.platform}/{held.machine_id}"
            if typed in name.casefold():
                found.append(app_commands.Choice(name=cut(name), value=slug))
        number = read_count(typed) if typed else None
        if machines and number:
            found.append(app_commands.Choice(name=cut(t("Machine {id}", id=number)), value=f"m:vast/{number}"))
        return found[:CHOICES]


def read_machine(value: str) -> tuple[str, int] | None:
    """Platform and number of ``m:platform/number``; None when it is none."""
    platform, _, number = value.removeprefix("m:").partition("/")
    if not value.startswith("m:") or not platform or not (number.isascii() and number.isdigit()) or len(number) > 18:
        return None
    return platform, int(number)


class RuleOption(app_commands.Transformer):
    """One of the member's own alerts; the value is its number."""

    states: tuple[str, ...] = ()

    async def transform(self, interaction: Interaction, value: str, /) -> RuleView:
        """The alert with this number, or the only one with this text.

        Raises:
            NotRule: the member has none; another member's counts as none.
        """
        services = seam(interaction.client).services
        rules = await services.alerts.list(f"m:{interaction.user.id}")
        text = value.strip()
        names = names_for(services)
        for view in rules:
            if text == str(view.id):
                return view
        found = [v for v in rules if rule_text(v.rule.when, names, text_of(interaction)).casefold() == text.casefold()]
        if len(found) != 1:
            raise NotRule
        return found[0]

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        services = seam(interaction.client).services
        t, names = text_of(interaction), names_for(services)
        now: datetime = services.clock()
        typed = str(value).strip().casefold()
        found = []
        for view in reversed(await services.alerts.list(f"m:{interaction.user.id}")):
            if self.states and view.state not in self.states:
                continue
            label = rule_text(view.rule.when, names, t).replace("\\", "")
            if view.state == "paused":
                label = f"⏸ {label}"
            elif view.snoozed_until is not None and view.snoozed_until > now:
                label = f"💤 {label}"
            if typed in label.casefold() or typed == str(view.id):
                found.append(app_commands.Choice(name=cut(label), value=str(view.id)))
        return found[:CHOICES]


class RunningRule(RuleOption):
    """One that runs."""

    states = ("active",)


class StoppedRule(RuleOption):
    """One that is paused or over."""

    states = ("paused", "expired", "done")


def names_for(services: Services) -> Names:
    """Names from the catalogues alone, which are in memory."""
    return Names(services.gpus.label_of, services.platform_name)
