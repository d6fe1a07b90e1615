"""The market as a card: at a glance, or one ranking page by page; and as a plain embed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import market_text as words
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, fit, plain
from gpuscout.cards.market_state import GLANCE, PAGE_PREFIX, VIEWS, MarketState, pack, pack_state
from gpuscout.cards.market_text import MarketFacts, by_movement
from gpuscout.cards.pager import Move, Paging, pager_row
from gpuscout.cards.price_text import badge
from gpuscout.market.models import METHOD_VERSION, Freshness, SeriesKey
from gpuscout.market.overview import Gone, MarketLine, Overview, Ranking, rank

PAGE_SIZE: Final = 8
"""Entries a page: two lines each, about a phone's screen."""
_GLANCE: Final = 3
_GLANCED: Final = (Ranking.UP_DAY, Ranking.DOWN_DAY, Ranking.UTILIZATION, Ranking.EARNINGS)
_NEWS: Final = (Ranking.NEW, Ranking.GONE)


def market_card(overview: Overview, state: MarketState, facts: MarketFacts, t: Text) -> Card:
    """The card of a view. A page beyond the end shows the last one."""
    container: ui.Container[Card] = ui.Container(accent_colour=_colour(facts))
    heading = f"## {_title(state.view, t)}"
    if facts.simulated:
        heading += f"  {badge(t)}"
    container.add_item(ui.TextDisplay(f"{heading}\n-# {words.totals(overview, facts, _window(state.view), t)}"))
    body = _body(overview, state, facts, t)
    for section in body.sections:
        container.add_item(ui.TextDisplay(fit(section.split("\n"), 2800 // len(body.sections))))
    if notes := words.remarks(overview, facts, t):
        container.add_item(ui.TextDisplay("\n".join(f"⚠️ {note}" for note in notes)))
    container.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in _footer(state, body.paging, facts, t))))
    container.add_item(ui.Separator())
    for row in _controls(state, body, facts, t):
        container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def market_embed(overview: Overview, view: str, facts: MarketFacts, t: Text) -> discord.Embed:
    """The first page of a view as one plain embed, for places without components."""
    state = MarketState(0, view)
    body = _body(overview, state, facts, t)
    notes = [f"⚠️ {note}" for note in words.remarks(overview, facts, t)]
    embed = discord.Embed(
        title=_title(view, t),
        description=fit(
            [
                words.totals(overview, facts, _window(view), t).replace("\n-# ", "\n"),
                *"\n\n".join(body.sections).split("\n"),
                *notes,
            ],
            3500,
        ),
        colour=_colour(facts),
        timestamp=overview.newest,
    )
    if facts.simulated:
        embed.set_author(name=t("SIMULATED"))
    evidence = [line for line in _footer(state, body.paging, facts, t) if line]
    embed.add_field(name=t("Evidence"), value=fit(evidence, 1000), inline=False)
    return embed


def _title(view: str, t: Text) -> str:
    if view == GLANCE:
        return t("GPU hosting market")
    return f"{t('GPU hosting market')}: {words.view_name(view, t)}"


def _window(view: str) -> str | None:
    """The window of changes that no heading names; None where one does, or where there are no changes."""
    if view in (GLANCE, Ranking.GONE.value):
        return None
    return None if by_movement(Ranking(view)) else Ranking(view).window


def _colour(facts: MarketFacts) -> int:
    return WARNING if facts.freshness is Freshness.STALE else ACCENT


@dataclass(frozen=True, slots=True)
class _Body:
    """What a view shows: its text, its page, and the entries whose cards can be opened."""

    sections: Sequence[str]
    paging: Paging
    items: Sequence[MarketLine | Gone]


def _body(overview: Overview, state: MarketState, facts: MarketFacts, t: Text) -> _Body:
    if state.view == GLANCE:
        return _glance(overview, facts, t)
    ranking = Ranking(state.view)
    ranked = rank(overview, ranking, facts.now, facts.tariff)
    paging = Paging.of(len(ranked), PAGE_SIZE, state.page)
    items = paging.part(ranked)
    lines = [words.entry(number, item, ranking, facts, t) for number, item in enumerate(items, paging.offset + 1)]
    return _Body(["\n".join(lines) or words.nothing_to_rank(ranking, t)], paging, items)


def _glance(overview: Overview, facts: MarketFacts, t: Text) -> _Body:
    """A few entries of each ranking; news in one line each."""
    sections: list[str] = []
    items: dict[SeriesKey, MarketLine | Gone] = {}
    for ranking in _GLANCED:
        best = rank(overview, ranking, facts.now, facts.tariff)[:_GLANCE]
        items.update((item.key, item) for item in best)
        lines = [words.brief(item, ranking, facts, t) for item in best] or [words.nothing_to_rank(ranking, t)]
        sections.append("\n".join((f"### {words.view_name(ranking.value, t)}", *lines)))
    news = []
    for ranking in _NEWS:
        found = rank(overview, ranking, facts.now, facts.tariff)
        if found:
            names = ", ".join(f"**{plain(item.gpu_name, 40)}**" for item in found[:5])
            more = "" if len(found) <= 5 else " " + t("and {count} more", count=t.number(len(found) - 5))
            news.append(f"### {words.view_name(ranking.value, t)}\n{names}{more}")
    if news:
        sections.append("\n".join(news))
    return _Body(sections, Paging.of(0, PAGE_SIZE, 0), list(items.values()))


def _footer(state: MarketState, paging: Paging, facts: MarketFacts, t: Text) -> list[str]:
    lines = []
    if (page := paging.words(t)) is not None:
        lines.append(page)
    if state.view in (GLANCE, Ranking.EARNINGS.value):
        lines.append(words.earnings_note(facts, t, brief=state.view == GLANCE))
    lines.append(words.source_line(facts, METHOD_VERSION, t))
    return lines


def _controls(state: MarketState, body: _Body, facts: MarketFacts, t: Text) -> list[Rows]:
    packed = pack_state(state)

    def turn(move: Move, target: int) -> str:
        return f"{PAGE_PREFIX}|{move.value}.{target}|{packed}"

    rows: list[Rows] = []
    if (pager := pager_row(body.paging, turn)) is not None:
        rows.append(pager)
    rows.append(ui.ActionRow(_view_menu(state, t)))
    if cards := _card_options(body.items, facts, t):
        rows.append(
            ui.ActionRow(ui.Select[Card](custom_id=pack(state, "open"), placeholder=t("Open a card"), options=cards))
        )
    rows.append(ui.ActionRow(ui.Button[Card](label=t("Refresh"), emoji="🔄", custom_id=pack(state, "refresh"))))
    return rows


def _view_menu(state: MarketState, t: Text) -> ui.Select[Card]:
    return ui.Select(
        custom_id=pack(state, "view"),
        placeholder=t("What to show"),
        options=[
            discord.SelectOption(label=words.view_name(view, t)[:100], value=view, default=view == state.view)
            for view in VIEWS
        ],
    )


def _card_options(shown: Sequence[MarketLine | Gone], facts: MarketFacts, t: Text) -> list[discord.SelectOption]:
    """One option a model and platform on the page; the value is ``platform/model``."""
    options: dict[str, discord.SelectOption] = {}
    for item in shown:
        value = f"{item.key.platform}/{item.key.gpu}"
        if isinstance(item, MarketLine) and len(value) <= 100:
            label = " ".join(item.gpu_name.split())[:100] or item.key.gpu[:100]
            about = f"{words.price(item, t)} · {facts.platform_name(item.key.platform)}"
            options[value] = discord.SelectOption(label=label, value=value, description=about[:100])
    return list(options.values())[:25]
