"""``/portfolio show``: what all holdings bring, one by one and together, and how that moved."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import portfolio_text as say
from gpuscout.cards.kit import ACCENT, MAX_TEXT, OFFLINE, Card, Rows, fit, relative
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.pager import Move, Paging, pager_row
from gpuscout.cards.portfolio_chart import LEAST_POINTS
from gpuscout.cards.portfolio_state import DAYS, PAGE_SIZE, Do, PortfolioState, pack
from gpuscout.cards.portfolio_text import PortfolioFacts
from gpuscout.cards.price_card import ChartFile
from gpuscout.cards.price_text import badge
from gpuscout.portfolio.models import HoldingValuation, PortfolioView, SnapshotPoint

PAGER = "pfp1"
_ROOM = 2_900
"""Characters for the holdings of one page; the rest of the card needs the others."""


def button(state: PortfolioState, do: Do, label: str, emoji: str | None = None) -> ui.Button[Card]:
    """A control in the quiet style."""
    return ui.Button(label=label[:80], emoji=emoji, custom_id=pack(state, do), style=discord.ButtonStyle.secondary)


def empty_card(facts: PortfolioFacts, note: str | None, t: Text) -> Card:
    """A portfolio without holdings teaches how to fill it."""
    state = PortfolioState()
    lines = [
        t(
            "Your portfolio is empty. Put your rigs in, and I tell you what they should bring after fee and "
            "electricity."
        ),
        "- " + t("{add} with a GPU, how many, and the price you ask", add=facts.mention("portfolio add")),
        "- "
        + t("{add} with `machine` alone: I take a Vast.ai machine from the market", add=facts.mention("portfolio add")),
        "- " + t("{import_} for many at once, from a CSV file", import_=facts.mention("portfolio import")),
    ]
    sections = [note] if note else []
    sections.append("\n".join(lines))
    row: Rows = ui.ActionRow(
        ui.Button[Card](
            label=t("Add a rig"), emoji="➕", custom_id=pack(state, Do.ADD), style=discord.ButtonStyle.primary
        ),
        button(state, Do.UPLOAD, t("Import CSV"), "📥"),
        button(state, Do.TEMPLATE, t("Template"), "📄"),
    )
    return page_card(Page(t("Your portfolio"), sections, footer=t("Only you see this.")), row)


def portfolio_card(
    view: PortfolioView,
    state: PortfolioState,
    history: Sequence[SnapshotPoint],
    chart: ChartFile | None,
    facts: PortfolioFacts,
    note: str | None,
    t: Text,
) -> Card:
    """Totals, at most ten holdings, the chart, and the controls.

    Args:
        history: the snapshots in the range that the chart shows.
        chart: the chart sent along; None when there is none.
        note: what was just changed, in a sentence.
    """
    if not view.holdings:
        return empty_card(facts, note, t)
    paging = Paging.of(len(view.holdings), PAGE_SIZE, state.page)
    state = PortfolioState("", state.days, paging.page)
    shown = paging.part(view.holdings)
    simulated = say.simulated((valued.basis for valued in view.holdings), facts)
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT if view.totals.valued else OFFLINE)
    heading = f"## {t('Your portfolio')}" + (f"  {badge(t)}" if simulated else "")
    container.add_item(ui.TextDisplay(f"{heading}\n{note}" if note else heading))
    container.add_item(ui.TextDisplay(_totals(view, facts, t)))
    container.add_item(ui.Separator())
    container.add_item(ui.TextDisplay(_holdings(shown, paging.offset, facts, t)))
    old = [v.basis.at for v in view.holdings if v.basis is not None and facts.is_stale(v.basis.at)]
    if old:
        container.add_item(
            ui.TextDisplay("⚠️ " + t("Stale: the source was last heard {when}.", when=relative(min(old))))
        )
    if words := paging.words(t):
        container.add_item(ui.TextDisplay(f"-# {words}"))
    if chart is not None:
        picture = discord.MediaGalleryItem(f"attachment://{chart.filename}", description=chart.alt[:1024])
        container.add_item(ui.MediaGallery(picture))
    else:
        container.add_item(ui.TextDisplay("-# " + _no_chart(view, history, state.days, t)))
    container.add_item(ui.Separator())
    for row in _controls(shown, state, paging, t):
        container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def _totals(view: PortfolioView, facts: PortfolioFacts, t: Text) -> str:
    totals = view.totals
    count = (
        t("1 holding, {gpus} GPUs", gpus=t.number(totals.gpus))
        if totals.holdings == 1
        else t("{count} holdings, {gpus} GPUs", count=t.number(totals.holdings), gpus=t.number(totals.gpus))
    )
    if not totals.valued:
        return f"{count}\n" + t("None of them can be valued right now; the reasons are below.")
    day, month = say.per_day(totals.net_day, t), say.per_month(totals.net_month, t)
    lines = [f"### {t('{day} net expected', day=day)} · {month}"]
    if local := say.local_line(totals.net_day, totals.net_month, facts, t):
        lines.append(f"-# {local}")
    lines.append(
        t(
            "Rent {gross} − fee {fee} − electricity {power} a day",
            gross=say.amount(totals.gross_day, t),
            fee=say.amount(totals.fee_day, t),
            power=say.amount(totals.electricity_day, t),
        )
    )
    lines.append(
        t(
            "At the market's medians {day} · {month}",
            day=say.per_day(totals.market_net_day, t),
            month=say.per_month(totals.market_net_month, t),
        )
    )
    if totals.valued < totals.holdings:
        count += " · " + t("{count} of them not valued", count=t.number(totals.holdings - totals.valued))
    lines.append(f"-# {count}")
    return "\n".join(lines)


def _holdings(shown: Sequence[HoldingValuation], offset: int, facts: PortfolioFacts, t: Text) -> str:
    """Every holding of the page in full; shorter when that would not fit."""
    for full in (True, False):
        blocks = ["\n".join(_entry(valued, offset + n, facts, t, full=full)) for n, valued in enumerate(shown, 1)]
        text = "\n".join(blocks)
        if len(text) <= _ROOM:
            return text
    return fit(text.split("\n"), min(_ROOM, MAX_TEXT))


def _entry(valued: HoldingValuation, number: int, facts: PortfolioFacts, t: Text, *, full: bool) -> list[str]:
    holding = valued.holding
    lines = [f"**{number}. {say.title(holding, valued.gpu_name, t)}** · {say.place(holding, facts, t)}"]
    asked, market = valued.asked, valued.market
    if asked is None or asked.net_day.value is None or asked.net_month.value is None or asked.price.value is None:
        return [*lines, f"-# {say.unvalued_line(valued, t)}"]
    day, month = say.per_day(asked.net_day.value, t), say.per_month(asked.net_month.value, t)
    price = t.money(asked.price.value, per="h")
    at = t("at the median {price}", price=price) if holding.asked_price is None else t("at your {price}", price=price)
    lines.append(f"**{day}** · {month} {at}")
    if not full:
        return lines
    small = []
    if asked.utilization.value is not None:
        small.append(t("{share} rented", share=t.percent(asked.utilization.value)))
    if holding.asked_price is not None and market is not None and market.net_day.value is not None:
        small.append(
            t(
                "at the median {price}: {day} · {month}",
                price=t.money(market.price.value or 0.0, per="h"),
                day=say.per_day(market.net_day.value, t),
                month=say.per_month(market.net_month.value or 0.0, t),
            )
        )
    if valued.position is not None:
        small.append(say.position_line(valued.position, t))
    if paid := say.payback_line(valued, t):
        small.append(paid)
    if valued.basis is not None and valued.basis.thin:
        small.append(t("thin sample"))
    if small:
        lines.append("-# " + " · ".join(small))
    return lines


def _no_chart(view: PortfolioView, history: Sequence[SnapshotPoint], days: int, t: Text) -> str:
    """Why there is no chart, honestly."""
    if len(history) >= LEAST_POINTS:
        return t("The chart is unavailable right now; the figures are complete.")
    if not history:
        return t(
            "No chart yet: your portfolio's value is noted once a day, and not once in the last {days} days.", days=days
        )
    (point,) = history
    return t(
        "No chart yet: one day is noted so far, {day} with {net}. From the second day on there is a line.",
        day=t.day(point.day),
        net=say.per_day(point.net_day, t),
    )


def _controls(shown: Sequence[HoldingValuation], state: PortfolioState, paging: Paging, t: Text) -> list[Rows]:
    options = [
        discord.SelectOption(label=say.short_title(valued.holding, valued.gpu_name, t)[:100], value=valued.holding.id)
        for valued in shown
    ]
    menu: ui.Select[Card] = ui.Select(
        custom_id=pack(state, Do.PICK), placeholder=t("Open a holding: figures, edit, remove"), options=options
    )
    rows: list[Rows] = [ui.ActionRow(menu)]
    turning = pager_row(paging, lambda move, target: pager_custom_id(move, target, state.days))
    if turning is not None:
        rows.append(turning)
    rows.append(ui.ActionRow(*(_range_button(days, state, t) for days in DAYS)))
    # Three to a row: Discord breaks longer rows on phones.
    rows.append(
        ui.ActionRow(
            ui.Button[Card](
                label=t("Add a rig"), emoji="➕", custom_id=pack(state, Do.ADD), style=discord.ButtonStyle.primary
            ),
            button(state, Do.ADVICE, t("Advice"), "💡"),
            button(state, Do.HOW, t("How is this computed?"), "🧮"),
        )
    )
    rows.append(
        ui.ActionRow(
            button(state, Do.TARIFF, t("Electricity by the hour"), "⚡"),
            button(state, Do.UPLOAD, t("Import CSV"), "📥"),
            button(state, Do.EXPORT, t("Export CSV"), "📄"),
        )
    )
    return rows


def pager_custom_id(move: Move, target: int, days: int) -> str:
    """The custom id of a page button."""
    return f"{PAGER}|{move.value}.{target}|{days}"


def _range_button(days: int, state: PortfolioState, t: Text) -> ui.Button[Card]:
    style = discord.ButtonStyle.primary if days == state.days else discord.ButtonStyle.secondary
    return ui.Button(label=t("{days} d", days=days), custom_id=pack(state.over(days), Do.SHOW), style=style)
