"""The price card, and its plain embed for answers to a mention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import ACCENT, OFFLINE, WARNING, Card, Rows
from gpuscout.cards.state import PriceAction, PriceState, choice_value, pack
from gpuscout.market.models import ANY, Freshness, PriceView, Quote, Verification
from gpuscout.market.ports import RANGES

_ALT_LIMIT = 1024
_OPTIONS = 25


@dataclass(frozen=True, slots=True)
class ChartFile:
    """A chart that is sent along: the name of its attachment and its alternative text."""

    filename: str
    alt: str


@dataclass(frozen=True, slots=True)
class PriceFacts:
    """What a price card shows besides the view itself.

    Attributes:
        platform_name: The platform as people call it.
        methodology: Address of the page that explains the figures.
        chart: The chart sent along; None when there is none.
        others: Current quotes of the same model on other platforms.
        platform_names: Names of the platforms in *others*.
        local: The member's own currency, shown beside US dollars; None for US dollars alone.
    """

    platform_name: str
    methodology: str | None = None
    chart: ChartFile | None = None
    others: Sequence[Quote] = ()
    platform_names: dict[str, str] = field(default_factory=dict)
    local: words.LocalRate | None = None


def price_card(view: PriceView, state: PriceState, facts: PriceFacts, t: Text) -> Card:
    """The card: figures, chart, choice of machines, ranges, and more to do. Under 40 components, 4,000 characters."""
    container: ui.Container[Card] = ui.Container(accent_colour=_colour(view))
    heading = f"## {words.title(view, facts.platform_name, t)}"
    if view.simulated:
        heading += f"  {words.badge(t)}"
    container.add_item(ui.TextDisplay(f"{heading}\n-# {words.subtitle(view, t)}"))
    local = words.local_line(view, facts.local, t)
    container.add_item(
        ui.TextDisplay(
            f"### {words.price_line(view, t)}\n{f'-# {local}' + chr(10) if local else ''}"
            f"-# {words.price_basis(view, t)}\n{words.changes_line(view, t)}"
        )
    )
    body = [words.table(view.quote, t), *words.use_lines(view, t)]
    body += [
        line
        for line in (words.verification_line(view, t), words.others_line(facts.others, facts.platform_names, t))
        if line
    ]
    container.add_item(ui.TextDisplay("\n".join(body)))
    if notes := words.remarks(view, t):
        container.add_item(ui.TextDisplay("\n".join(f"⚠️ {note}" for note in notes)))
    if facts.chart is not None:
        container.add_item(
            ui.MediaGallery(
                discord.MediaGalleryItem(
                    f"attachment://{facts.chart.filename}", description=_shorten(facts.chart.alt, _ALT_LIMIT)
                )
            )
        )
    else:
        container.add_item(ui.TextDisplay("-# " + t("The chart is unavailable right now; the figures are complete.")))
    container.add_item(ui.TextDisplay(f"-# {words.source_line(view, facts.methodology, t)}"))
    container.add_item(ui.Separator())
    for row in _controls(view, state, t):
        container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def price_embed(view: PriceView, facts: PriceFacts, t: Text) -> discord.Embed:
    """The same figures as one plain embed, for places without components."""
    embed = discord.Embed(
        title=words.title(view, facts.platform_name, t),
        description="\n".join(
            [
                words.price_line(view, t),
                words.changes_line(view, t),
                words.table(view.quote, t),
                *words.use_lines(view, t),
                *(line for line in (words.verification_line(view, t),) if line),
                *(f"⚠️ {note}" for note in words.remarks(view, t)),
            ]
        ),
        colour=_colour(view),
        timestamp=view.quote.at,
    )
    if view.simulated:
        embed.set_author(name=t("SIMULATED"))
    embed.add_field(name=t("Counted"), value=words.subtitle(view, t), inline=False)
    embed.add_field(name=t("Evidence"), value=words.source_line(view, facts.methodology, t), inline=False)
    return embed


def _colour(view: PriceView) -> int:
    if view.freshness is Freshness.UNAVAILABLE:
        return OFFLINE
    return WARNING if view.freshness is Freshness.STALE or view.quote.thin or view.quote.outlier else ACCENT


def _controls(view: PriceView, state: PriceState, t: Text) -> list[Rows]:
    ranges = [_range_button(name, state, t) for name in RANGES]
    extras = [
        ui.Button[Card](label=t("Refresh"), emoji="🔄", custom_id=pack(state, PriceAction.REFRESH)),
        ui.Button[Card](label=t("Show data"), emoji="🧾", custom_id=pack(state, PriceAction.DATA)),
        ui.Button[Card](label=t("Export CSV"), emoji="📄", custom_id=pack(state, PriceAction.EXPORT)),
    ]
    rows: list[Rows] = []
    if options := _series_options(view, state, t):
        rows.append(
            ui.ActionRow(
                ui.Select(
                    custom_id=pack(state, PriceAction.SEGMENT), placeholder=t("Which machines count"), options=options
                )
            )
        )
    # Three to a row: Discord breaks longer rows on phones.
    own = [
        ui.Button[Card](label=t("Alert me"), emoji="🔔", custom_id=pack(state, PriceAction.ALERT)),
        ui.Button[Card](label=t("Add to portfolio"), emoji="➕", custom_id=pack(state, PriceAction.HOLD)),
    ]
    rows += [ui.ActionRow(*ranges[:3]), ui.ActionRow(*ranges[3:]), ui.ActionRow(*extras), ui.ActionRow(*own)]
    return rows


def _range_button(name: str, state: PriceState, t: Text) -> ui.Button[Card]:
    active = name == state.range
    return ui.Button(
        label=range_label(name, t),
        custom_id=pack(state, PriceAction.RANGE, name),
        style=discord.ButtonStyle.primary if active else discord.ButtonStyle.secondary,
    )


def range_label(name: str, t: Text) -> str:
    """A range as its button says it."""
    labels = {"24h": t("24 h"), "7d": t("7 d"), "30d": t("30 d"), "90d": t("90 d"), "1y": t("1 y"), "2y": t("2 y")}
    return labels.get(name, name)


def _series_options(view: PriceView, state: PriceState, t: Text) -> list[discord.SelectOption]:
    """Every series of this model that can be shown; empty when there is only one."""
    known: dict[tuple[str, str], Quote] = {}
    for verification in Verification:
        if quote := view.headline.get(verification.value):
            known[verification.value, ANY] = quote
    for quote in view.segments:
        known.setdefault((quote.key.verification, quote.key.segment), quote)
    known.setdefault((state.verification, state.segment), view.quote)
    if len(known) < 2:
        return []
    chosen = (state.verification, state.segment)
    keys = list(known)[:_OPTIONS]
    if chosen not in keys:
        keys[-1] = chosen
    return [
        discord.SelectOption(
            label=_shorten(words.series_name(*key, t), 100),
            value=choice_value(*key),
            description=_shorten(_option_note(known[key], t), 100),
            default=key == chosen,
        )
        for key in keys
    ]


def _option_note(quote: Quote, t: Text) -> str:
    price = words.NOTHING if quote.price is None else t.money(quote.price, per="h")
    use = "" if quote.utilization is None else " · " + t("{share} rented", share=t.percent(quote.utilization))
    return f"{price} · {words.gpus(quote, t)}{use}"


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
