"""``/roi``: after how many months a purchase is paid, with its range and all that is assumed."""

from __future__ import annotations

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import portfolio_text as say
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, code_block, pad, plain
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.portfolio_formula import input_line, quantity
from gpuscout.cards.portfolio_text import NOTHING, PortfolioFacts
from gpuscout.cards.price_text import badge
from gpuscout.cards.roi_state import pack
from gpuscout.portfolio.models import Payback, PaybackCase, RoiQuestion

_LONG = 600.0
"""Months beyond which a figure says nothing."""


def roi_card(found: Payback, question: RoiQuestion, facts: PortfolioFacts, t: Text) -> Card:
    """The payback: in a line, as a table of three cases, and its assumptions."""
    heading = t(
        "Payback: {count} × {gpu} for {cost}",
        count=t.number(found.quantity),
        gpu=plain(found.gpu_name, 60),
        cost=t.money(found.cost),
    )
    if facts.is_simulated(found.basis.source):
        heading += f"  {badge(t)}"
    lines = [f"### {_headline(found.expected.months, t)}"]
    if (before := _headline(found.expected.months_before_electricity, t)) and found.expected.months is not None:
        lines.append(t("Before electricity: {months}", months=before))
    lines.append(_range(found, t))
    if facts.local is not None:
        local = facts.local
        lines.append(
            "-# "
            + t(
                "The purchase is ≈ {amount} at {rate} {code} for $1, the operator's rate of {day}",
                amount=t.currency(found.cost * local.per_usd, local.code),
                rate=t.number(local.per_usd, digits=4 if local.per_usd < 10 else 2),
                code=local.code,
                day=t.day(local.as_of),
            )
        )
    assumed = [f"**{t('Assumptions')}**", *(f"- {input_line(known, facts, t)}" for known in found.inputs)]
    assumed += [f"- {line}" for line in _assumptions(found, t)]
    remarks = [f"⚠️ {note}" for note in say.basis_remarks(found.basis, facts, t)]
    sections = [
        "\n".join(lines),
        _table(found, t),
        "\n".join(assumed),
        "\n".join([*remarks, f"-# {say.basis_line(found.basis, facts, t)}"]),
    ]
    colour = WARNING if found.expected.months is None or remarks else ACCENT
    page = Page(heading, sections, colour=colour, links=[(t("Methodology"), facts.methodology)])
    return page_card(page, *_controls(question, t))


def _months(value: float | None, t: Text) -> str:
    if value is None:
        return t("never")
    if value > _LONG:
        return t("over {months}", months=t.number(_LONG))
    return t.number(value, digits=1)


def _headline(months: float | None, t: Text) -> str:
    if months is None:
        return t("It does not pay back at these figures")
    return t("{months} months", months=_months(months, t))


def _range(found: Payback, t: Text) -> str:
    fast, slow = _months(found.fast.months, t), _months(found.slow.months, t)
    return t("Range {fast} to {slow} months (p90 to p10 of price and utilization)", fast=fast, slow=slow)


def _table(found: Payback, t: Text) -> str:
    """Three cases side by side, 28 characters wide: it fits a phone."""
    cases = (found.slow, found.expected, found.fast)

    def money(value: float) -> str:
        return t.number(value, digits=0 if abs(value) >= 100 else 2).replace("-", say.MINUS)

    def months(value: float | None) -> str:
        return NOTHING if value is None else _months(value, t)

    before, after = f" {t('$/month')}", f" {t('months')}"
    lines = pad(
        [
            ["", t("slow"), t("exp."), t("fast")],
            ["$/GPU-h", *(t.number(case.price, digits=3) for case in cases)],
            [t("rented"), *(t.percent(case.utilization) for case in cases)],
            [before, *(money(case.before_electricity_month) for case in cases)],
            [after, *(months(case.months_before_electricity) for case in cases)],
            [before, *(money(case.net_month) for case in cases)],
            [after, *(months(case.months) for case in cases)],
        ],
        gap=1,
    )
    return code_block([*lines[:3], t("before electricity"), *lines[3:5], t("after electricity"), *lines[5:]])


def _assumptions(found: Payback, t: Text) -> list[str]:
    lines = [
        t("Price, utilization and electricity stay as they are; wear, taxes and resale are left out."),
        t("Electricity counts for rented hours alone, at the board power."),
    ]
    if found.days:
        lines.append(t("Range of utilization: p10 and p90 of the daily medians of {days} days.", days=found.days))
    else:
        lines.append(t("Too few days of history for a range of utilization: the present one stands in all cases."))
    return lines


def _controls(question: RoiQuestion, t: Text) -> list[Rows]:
    row: Rows = ui.ActionRow()
    for action, label, emoji in (("how", t("How is this computed?"), "🧮"), ("add", t("Add to portfolio"), "➕")):
        custom_id = pack(action, question)
        if custom_id is not None:
            row.add_item(
                ui.Button[Card](label=label[:80], emoji=emoji, custom_id=custom_id, style=discord.ButtonStyle.secondary)
            )
    return [row] if row.children else []


def roi_formula_card(found: Payback, facts: PortfolioFacts, t: Text) -> Card:
    """The formula with each case's numbers, and the inputs with their sources and ages."""
    formula = [
        t("before electricity = 24 h × days in a month × GPUs × utilization × price × (1 − fee)"),
        t("net = before electricity − 24 h × days in a month × GPUs × utilization × power ÷ 1000 × electricity price"),
        t("months = purchase price ÷ net a month"),
    ]
    cases = [
        f"**{name}** {_case(case, found, t)}"
        for name, case in ((t("slow"), found.slow), (t("expected"), found.expected), (t("fast"), found.fast))
    ]
    inputs = [f"**{t('Inputs')}**", *(f"- {input_line(known, facts, t)}" for known in found.inputs)]
    return page_card(
        Page(
            t("How this is computed"),
            ["\n".join(formula), "\n".join(cases), "\n".join(inputs)],
            links=[(t("Methodology"), facts.methodology)],
        )
    )


def _case(case: PaybackCase, found: Payback, t: Text) -> str:
    return t(
        "{price} at {share} rented: {net} a month; {cost} ÷ that = {months} months",
        price=quantity(case.price, "USD/GPU-hour", t),
        share=t.percent(case.utilization, digits=1),
        net=say.amount(case.net_month, t),
        cost=t.money(found.cost),
        months=_months(case.months, t),
    )
