"""``/portfolio advice``: what could be done better with each holding, and the evidence for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import advice_text as words
from gpuscout.cards import portfolio_text as say
from gpuscout.cards.kit import ACCENT, Card, Rows, link
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.pager import Move, Paging, pager_row
from gpuscout.cards.portfolio_card import button
from gpuscout.cards.portfolio_state import Do, PortfolioState, pack
from gpuscout.cards.portfolio_text import PortfolioFacts
from gpuscout.cards.price_text import badge
from gpuscout.portfolio.advice_models import Evidence, HoldingAdvice, NotEnoughEvidence, PriceAdvice

PAGER: Final = "pfa1"
PAGE_SIZE: Final = 5
_ENTRY = 640
"""Characters for one holding, five of which fit."""


def advice_card(advices: Sequence[HoldingAdvice], page: int, facts: PortfolioFacts, t: Text) -> Card:
    """All holdings, five a page, with a menu that opens the evidence of one."""
    paging = Paging.of(len(advices), PAGE_SIZE, page)
    shown = paging.part(advices)
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    heading = f"## {t('Advice')}" + (f"  {badge(t)}" if _simulated(advices, facts) else "")
    container.add_item(ui.TextDisplay(heading))
    for advice in shown:
        container.add_item(ui.TextDisplay(_entry(advice, facts, t)))
        container.add_item(ui.Separator())
    small = [t("Computed from listings, no promise.")]
    if words_ := paging.words(t):
        small.append(words_)
    container.add_item(ui.TextDisplay(f"-# {' · '.join(small)} · {link(t('Methodology'), facts.methodology)}"))
    options = [
        discord.SelectOption(label=say.short_title(a.holding, a.gpu_name, t)[:100], value=a.holding.id) for a in shown
    ]
    menu: ui.Select[Card] = ui.Select(
        custom_id=pack(PortfolioState(), Do.WHY), placeholder=t("Show the evidence of a holding"), options=options
    )
    container.add_item(ui.ActionRow(menu))
    turning = pager_row(paging, lambda move, target: pager_custom_id(move, target))
    if turning is not None:
        container.add_item(turning)
    container.add_item(ui.ActionRow(button(PortfolioState(), Do.SHOW, t("Whole portfolio"), "📋")))
    card = Card()
    card.add_item(container)
    return card


def pager_custom_id(move: Move, target: int) -> str:
    """The custom id of a page button."""
    return f"{PAGER}|{move.value}.{target}|all"


def _simulated(advices: Sequence[HoldingAdvice], facts: PortfolioFacts) -> bool:
    found = (evidence_of(advice) for advice in advices)
    return any(evidence is not None and facts.is_simulated(evidence.source) for evidence in found)


def evidence_of(advice: HoldingAdvice) -> Evidence | None:
    """What the price advice rests on; None where there is nothing."""
    return advice.price.evidence if isinstance(advice.price, PriceAdvice | NotEnoughEvidence) else None


def _entry(advice: HoldingAdvice, facts: PortfolioFacts, t: Text) -> str:
    holding = advice.holding
    lines = [f"**{say.title(holding, advice.gpu_name, t)}** · {say.place(holding, facts, t)}"]
    lines += words.price_lines(advice, facts, t)
    if isinstance(advice.price, PriceAdvice):
        lines.append(f"-# {words.evidence_line(advice.price, t)}")
    use = words.use_lines(advice, t)
    lines += use[:1] + use[2:3]
    if move := words.move_line(advice, facts, t):
        lines.append(move)
    text = "\n".join(lines)
    while len(text) > _ENTRY and len(lines) > 2:
        lines.pop()
        text = "\n".join([*lines, "-# …"])
    return text


def evidence_card(advice: HoldingAdvice, state: PortfolioState, facts: PortfolioFacts, t: Text) -> Card:
    """One holding: the suggestion, the table behind it, how it was made, and the other uses."""
    holding, evidence = advice.holding, evidence_of(advice)
    heading = t("Advice for {holding}", holding=say.title(holding, advice.gpu_name, t))
    if evidence is not None and facts.is_simulated(evidence.source):
        heading += f"  {badge(t)}"
    first = words.price_lines(advice, facts, t)
    if isinstance(advice.price, PriceAdvice):
        first.append(words.evidence_line(advice.price, t))
    sections = ["\n".join(first)]
    if evidence is not None and isinstance(advice.price, PriceAdvice | NotEnoughEvidence):
        block = [f"-# {words.sample_line(evidence, facts, t)}"]
        if evidence.points:
            block.append(words.bands_table(advice.price, holding.asked_price, t))
            block.append("-# " + _method(t))
        sections.append("\n".join(block))
    if use := words.use_lines(advice, t):
        sections.append("\n".join(use))
    if move := words.move_line(advice, facts, t):
        sections.append(move)
    state = state.of(holding.id)
    row: Rows = ui.ActionRow(
        button(state, Do.ONE, t("Open the holding"), "🔎"),
        button(state, Do.HOW, t("How is this computed?"), "🧮"),
        button(state.whole, Do.ADVICE, t("All advice"), "💡"),
    )
    page = Page(heading, sections, links=[(t("Methodology"), facts.methodology)])
    return page_card(page, row)


def _method(t: Text) -> str:
    return t(
        "Listed machines like yours by price ({now} yours, {best} suggested): **rented** is what is rented now, "
        "**fit** the share that never rises with the price, **$** your expected net income a month there. Intervals "
        "cover 9 of 10 draws of the machines.",
        now=words.NOW_MARK,
        best=words.BEST_MARK,
    )
