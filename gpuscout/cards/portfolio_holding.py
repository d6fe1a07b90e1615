"""One holding: what it should bring, where its price stands, and everything that can be done with it."""

from __future__ import annotations

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import portfolio_text as say
from gpuscout.cards.kit import ACCENT, OFFLINE, WARNING, Card, Rows, code_block, pad
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.portfolio_card import button
from gpuscout.cards.portfolio_state import Do, PortfolioState, pack
from gpuscout.cards.portfolio_text import NOTHING, PortfolioFacts
from gpuscout.cards.price_text import badge
from gpuscout.cards.state import PriceAction, PriceState
from gpuscout.cards.state import pack as pack_price
from gpuscout.portfolio.models import Earnings, Figure, Holding, HoldingValuation


def holding_card(
    valued: HoldingValuation,
    state: PortfolioState,
    facts: PortfolioFacts,
    note: str | None,
    t: Text,
) -> Card:
    """The card of one holding.

    Args:
        note: what was just done, in a sentence.
    """
    holding = valued.holding
    state = state.of(holding.id)
    thin = valued.basis is not None and (valued.basis.thin or not valued.basis.exact)
    colour = OFFLINE if valued.net_day is None else WARNING if thin else ACCENT
    container: ui.Container[Card] = ui.Container(accent_colour=colour)
    heading = f"## {say.title(holding, valued.gpu_name, t)}"
    if say.simulated([valued.basis], facts):
        heading += f"  {badge(t)}"
    lines = [f"✅ {note}"] if note else []
    lines += [heading, f"-# {say.subtitle(valued, facts, t)}"]
    if machine := say.machine_line(holding, t):
        lines.append(f"-# {machine}")
    container.add_item(ui.TextDisplay("\n".join(lines)))
    container.add_item(ui.TextDisplay(_figures(valued, facts, t)))
    if valued.basis is not None:
        remarks = [f"⚠️ {note}" for note in say.basis_remarks(valued.basis, facts, t)]
        container.add_item(ui.TextDisplay("\n".join([*remarks, f"-# {say.basis_line(valued.basis, facts, t)}"])))
    container.add_item(ui.Separator())
    for row in _controls(valued, state, t):
        container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def _figures(valued: HoldingValuation, facts: PortfolioFacts, t: Text) -> str:
    asked, market = valued.asked, valued.market
    if asked is None or market is None:
        return say.unvalued_line(valued, t)
    lines = []
    net, month = asked.net_day.value, asked.net_month.value
    if net is not None and month is not None:
        lines.append(f"### {t('{day} net expected', day=say.per_day(net, t))} · {say.per_month(month, t)}")
        if local := say.local_line(net, month, facts, t):
            lines.append(f"-# {local}")
    else:
        lines.append(say.unvalued_line(valued, t))
    if formula := formula_line(valued, t):
        lines.append(f"-# {formula}")
    lines.append(_table(asked, None if valued.holding.asked_price is None else market, t))
    if valued.position is not None:
        lines.append(say.position_line(valued.position, t))
    if paid := say.payback_line(valued, t):
        lines.append(paid)
    return "\n".join(lines)


def formula_line(valued: HoldingValuation, t: Text) -> str | None:
    """The net income as a sum with its numbers; None where one is missing."""
    asked = valued.asked
    if asked is None:
        return None
    price, share, gross = asked.price.value, asked.utilization.value, asked.gross_day.value
    fee, power = asked.fee_day.value, asked.electricity_day.value
    if price is None or share is None or gross is None or fee is None or power is None:
        return None
    return t(
        "{gpus} GPUs × {price} × 24 h × {share} rented = {gross}, less {fee} fee and {power} electricity",
        gpus=t.number(valued.holding.quantity),
        price=t.money(price),
        share=t.percent(share, digits=1),
        gross=say.amount(gross, t),
        fee=say.amount(fee, t),
        power=say.amount(power, t),
    )


def _table(asked: Earnings, market: Earnings | None, t: Text) -> str:
    """At the asked price and at the market's median, 28 characters wide: it fits a phone."""
    columns = [asked] if market is None else [asked, market]
    heads = [t("median")] if market is None else [t("yours"), t("median")]

    def row(label: str, find: str, shown: str) -> list[str]:
        return [label, *(_cell(getattr(column, find), shown, t) for column in columns)]

    cells = [
        ["", *heads],
        row("$/GPU-h", "price", "price"),
        row(t("rented"), "utilization", "share"),
        row(t("rent $/day"), "gross_day", "usd"),
        row(t("− fee"), "fee_day", "usd"),
        row(t("− electricity"), "electricity_day", "usd"),
        row(t("net $/day"), "net_day", "usd"),
        row(t("net $/month"), "net_month", "usd"),
    ]
    return code_block(pad(cells, gap=1))


def _cell(figure: Figure, shown: str, t: Text) -> str:
    if figure.value is None:
        return NOTHING
    if shown == "share":
        return t.percent(figure.value, digits=1)
    return t.number(figure.value, digits=3 if shown == "price" else 2)


def _controls(valued: HoldingValuation, state: PortfolioState, t: Text) -> list[Rows]:
    return [
        ui.ActionRow(
            button(state, Do.EDIT, t("Edit"), "✏️"),
            button(state, Do.COSTS, t("Purchase and costs"), "🧾"),
            button(state, Do.ASK, t("Remove"), "🗑️"),
        ),
        ui.ActionRow(
            *_alert_button(valued, t),
            button(state, Do.WHY, t("Advice"), "💡"),
            button(state, Do.HOW, t("How is this computed?"), "🧮"),
        ),
        ui.ActionRow(button(state.whole, Do.SHOW, t("Whole portfolio"), "📋")),
    ]


def _alert_button(valued: HoldingValuation, t: Text) -> list[ui.Button[Card]]:
    """Makes an alert on the series that the holding is valued by, as the price card's button does."""
    if valued.basis is None:
        return []
    key = valued.basis.key
    series = PriceState(0, key.gpu, key.platform, key.region, verification=key.verification, segment=key.segment)
    style = discord.ButtonStyle.primary
    return [ui.Button(label=t("Alert me"), emoji="🔔", custom_id=pack_price(series, PriceAction.ALERT), style=style)]


def remove_card(holding: Holding, gpu_name: str, state: PortfolioState, t: Text) -> Card:
    """Asks before a holding is removed."""
    state = state.of(holding.id)
    said = t(
        "Remove **{holding}** from your portfolio? You can undo it for a day.", holding=say.title(holding, gpu_name, t)
    )
    row: Rows = ui.ActionRow(
        ui.Button[Card](label=t("Remove"), custom_id=pack(state, Do.REMOVE), style=discord.ButtonStyle.danger),
        ui.Button[Card](label=t("Keep"), custom_id=pack(state, Do.ONE), style=discord.ButtonStyle.secondary),
    )
    return page_card(Page(t("Remove a holding"), [said], colour=WARNING), row)


def removed_card(holding: Holding, gpu_name: str, state: PortfolioState, t: Text) -> Card:
    """A holding was removed, with the way back."""
    state = state.of(holding.id)
    said = t("**{holding}** is removed. After a day it is erased for good.", holding=say.title(holding, gpu_name, t))
    row: Rows = ui.ActionRow(
        ui.Button[Card](label=t("Undo"), emoji="↩️", custom_id=pack(state, Do.UNDO), style=discord.ButtonStyle.primary),
        button(state.whole, Do.SHOW, t("Whole portfolio"), "📋"),
    )
    return page_card(Page(t("Removed"), [said]), row)
