"""Prices of the GPUs that a message names: a line each, and the way to every card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import market_text as words
from gpuscout.cards.compare_state import CompareAction, CompareState
from gpuscout.cards.compare_state import pack as pack_comparison
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, plain, relative
from gpuscout.cards.market_text import MarketFacts
from gpuscout.cards.price_text import badge
from gpuscout.cards.state import PriceAction, PriceState, pack
from gpuscout.market.models import METHOD_VERSION, Freshness
from gpuscout.market.overview import MarketLine

_WINDOW = "24h"


@dataclass(frozen=True, slots=True)
class NamedGpu:
    """A model that a message names, with its line of the market; None where it is not listed now."""

    name: str
    line: MarketLine | None


def named_card(found: Sequence[NamedGpu], owner: int, facts: MarketFacts, t: Text) -> Card:
    """The card, for *owner* alone. At least one model."""
    listed = [item.line for item in found if item.line is not None]
    stale = facts.freshness is not Freshness.FRESH
    container: ui.Container[Card] = ui.Container(accent_colour=WARNING if stale else ACCENT)
    heading = "## " + t("GPUs named there")
    if facts.simulated:
        heading += f"  {badge(t)}"
    if listed:
        as_of = t("as of {when}", when=relative(max(line.quote.at for line in listed)))
        heading += f"\n-# {as_of} · {words.changes_over(_WINDOW, t)}"
    container.add_item(ui.TextDisplay(heading))
    container.add_item(ui.TextDisplay("\n".join(_entry(item, facts, t) for item in found)))
    if facts.simulated:
        container.add_item(ui.TextDisplay("⚠️ " + t("Simulated market: no real prices.")))
    container.add_item(ui.TextDisplay(f"-# {words.source_line(facts, METHOD_VERSION, t)}"))
    if listed:
        container.add_item(ui.Separator())
    for row in _controls(listed, owner, t):
        container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def nothing_named_card(price: str, market: str, t: Text) -> Card:
    """What is said when a message names none; *price* and *market* are mentions of commands."""
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    container.add_item(
        ui.TextDisplay(
            "\n".join(
                (
                    "## " + t("No GPU named there"),
                    t("I look for names such as RTX 4090, 3090, H100 SXM or A100 80GB, and that message has none."),
                    t("Ask {price} for any model, or {market} for all of them.", price=price, market=market),
                )
            )
        )
    )
    card = Card()
    card.add_item(container)
    return card


def _entry(item: NamedGpu, facts: MarketFacts, t: Text) -> str:
    name = f"**{plain(item.name, 60)}**"
    line = item.line
    if line is None:
        return f"{name} {t('not listed now')}"
    behind = (
        words.rented(line, t),
        words.sample(line, t),
        words.place_name(line, facts, t),
        words.weak_mark(line, None, t),
    )
    small = " · ".join(part for part in behind if part is not None)
    return f"{name} {words.price(line, t)} · {words.moved(line, _WINDOW, t)}\n-# {small}"


def _controls(listed: Sequence[MarketLine], owner: int, t: Text) -> list[Rows]:
    buttons: list[ui.Button[Card]] = []
    for line in listed:
        state = PriceState(owner, line.key.gpu, line.key.platform, line.key.region)
        label = " ".join(line.gpu_name.split())[:80] or line.key.gpu[:80]
        buttons.append(ui.Button(label=label, custom_id=pack(state, PriceAction.OPEN)))
    rows: list[Rows] = [ui.ActionRow(*buttons[first : first + 3]) for first in range(0, len(buttons), 3)]
    if len(listed) > 1:
        comparison = CompareState(owner, tuple(line.key for line in listed))
        rows.append(
            ui.ActionRow(
                ui.Button[Card](
                    label=t("Compare them"),
                    emoji="📈",
                    style=discord.ButtonStyle.primary,
                    custom_id=pack_comparison(comparison, CompareAction.OPEN),
                )
            )
        )
    return rows
