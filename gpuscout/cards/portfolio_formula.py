"""How the figures of a portfolio are computed: each formula, and each input with its source and its age."""

from __future__ import annotations

from collections.abc import Iterable

from config.i18n import Text
from gpuscout.cards import portfolio_text as say
from gpuscout.cards.kit import Card, link, plain, relative
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.portfolio_holding import formula_line
from gpuscout.cards.portfolio_text import NOTHING, PortfolioFacts
from gpuscout.portfolio.models import Earnings, Figure, HoldingValuation, Input, PortfolioView, Unit

_MOST_HOLDINGS = 10


def known_words(t: Text) -> dict[str, str]:
    """Names and formulas of the domain in the reader's language."""
    return {
        "asked price": t("asked price"),
        "market's median": t("market's median"),
        "market's utilization": t("market's utilization"),
        "expected utilization": t("expected utilization"),
        "utilization": t("utilization"),
        "rented share at this price": t("rented share at this price"),
        "platform's fee": t("platform's fee"),
        "power draw of one GPU": t("power draw of one GPU"),
        "board power of one GPU": t("board power of one GPU"),
        "electricity price": t("electricity price"),
        "electricity price, mean of your week": t("electricity price, mean of your week"),
        "GPUs": t("number of GPUs"),
        "days in a mean month": t("days in a mean month"),
        "Gross a day": t("Gross a day"),
        "Fee a day": t("Fee a day"),
        "Electricity a day": t("Electricity a day"),
        "Net a day": t("Net a day"),
        "Gross a month": t("Gross a month"),
        "Net a month": t("Net a month"),
        "24 h × GPUs × utilization × price": t("24 h × GPUs × utilization × price"),
        "gross × platform's fee": t("gross × platform's fee"),
        "24 h × GPUs × utilization × power ÷ 1000 × electricity price": t(
            "24 h × GPUs × utilization × power ÷ 1000 × electricity price"
        ),
        "gross − fee − electricity": t("gross − fee − electricity"),
        "gross a day × days in a month": t("gross a day × days in a month"),
        "net a day × days in a month": t("net a day × days in a month"),
    }


def word(name: str, t: Text) -> str:
    """A name or formula of the domain; itself where no translation is known."""
    return known_words(t).get(name, name)


def quantity(value: float, unit: Unit, t: Text) -> str:
    """A number with its unit, in full enough precision to compute with."""
    if unit == "USD/GPU-hour":
        return t("{amount} per GPU-hour", amount=_usd(value, 4, t))
    if unit == "USD/kWh":
        return f"{_usd(value, 4, t)}/kWh"
    if unit == "USD/day":
        return t("{amount}/day", amount=_usd(value, 4, t))
    if unit == "USD/month":
        return t("{amount}/month", amount=_usd(value, 2, t))
    if unit == "USD":
        return _usd(value, 2, t)
    if unit == "share":
        return t.percent(value, digits=2)
    if unit == "W":
        return f"{t.number(value)} W"
    if unit == "GPUs":
        return t.number(value)
    text = t.number(value, digits=0 if value == int(value) else 2)
    return {
        "months": t("{count} months", count=text),
        "hours": t("{count} hours", count=text),
    }.get(unit, t("{count} days", count=text))


def _usd(value: float, digits: int, t: Text) -> str:
    text = "$" + t.number(abs(value), digits=digits)
    return say.MINUS + text if value < 0 else text


def source_words(known: Input, facts: PortfolioFacts, t: Text) -> str:
    """Who says a number: the member, the catalogue, an assumption, or a price source."""
    own = {
        "member": t("entered by you"),
        "catalogue": t("from the catalogue"),
        "assumption": t("assumed"),
    }.get(known.source)
    return own if own is not None else link(*facts.source_link(known.source))


def input_line(known: Input, facts: PortfolioFacts, t: Text) -> str:
    """One input with its value, its source and its age."""
    value = quantity(known.value, known.unit, t)
    said = f"{plain(word(known.name, t), 80)}: **{value}** · {source_words(known, facts, t)}"
    return said if known.as_of is None else f"{said} · {t('as of {when}', when=relative(known.as_of))}"


def holding_formula_card(valued: HoldingValuation, facts: PortfolioFacts, t: Text) -> Card:
    """Every figure of one holding with its formula; every input once."""
    sections = []
    if valued.asked is None or valued.market is None:
        sections.append(say.unvalued_line(valued, t))
    else:
        if line := formula_line(valued, t):
            sections.append(line)
        heading = t("At the median") if valued.holding.asked_price is None else t("At your price")
        sections.append("\n".join([f"**{heading}**", *_formulas(valued.asked, t)]))
        sections.append(_inputs(valued.asked, facts, t))
        if valued.holding.asked_price is not None:
            heading = f"**{t('At the median')}**"
            sections.append("\n".join([heading, *_formulas(valued.market, t)]))
            known = {(i.name, i.value) for i in _all_inputs(valued.asked)}
            other = [i for i in _all_inputs(valued.market) if (i.name, i.value) not in known]
            if other:
                sections.append("\n".join(f"- {input_line(i, facts, t)}" for i in other))
    title = t("How this is computed")
    return page_card(
        Page(
            title,
            [f"**{say.title(valued.holding, valued.gpu_name, t)}**", *sections],
            footer=t("Electricity counts for rented hours alone. Nothing is rounded before it is shown."),
            links=[(t("Methodology"), facts.methodology)],
        )
    )


def _formulas(earnings: Earnings, t: Text) -> list[str]:
    shown = (
        earnings.gross_day,
        earnings.fee_day,
        earnings.electricity_day,
        earnings.net_day,
        earnings.net_month,
    )
    return [_formula(figure, t) for figure in shown]


def _formula(figure: Figure, t: Text) -> str:
    value = NOTHING if figure.value is None else quantity(figure.value, figure.unit, t)
    line = f"{word(figure.name, t)} = {word(figure.formula, t)} = **{value}**"
    if figure.value is None and figure.missing is not None:
        line += " · " + t("unknown: {what}", what=word(figure.missing, t))
    return line


def _all_inputs(earnings: Earnings) -> list[Input]:
    """Each input once, in the order of the formulas."""
    figures = (earnings.price, earnings.utilization, earnings.net_day, earnings.net_month)
    return _unique(known for figure in figures for known in figure.inputs)


def _unique(inputs: Iterable[Input]) -> list[Input]:
    return list(dict.fromkeys(inputs))


def _inputs(earnings: Earnings, facts: PortfolioFacts, t: Text) -> str:
    lines = [f"- {input_line(known, facts, t)}" for known in _all_inputs(earnings)]
    return "\n".join([f"**{t('Inputs')}**", *lines])


def portfolio_formula_card(view: PortfolioView, facts: PortfolioFacts, t: Text) -> Card:
    """How the totals come about, and each holding's sum."""
    totals = view.totals
    sections = [
        "\n".join(
            (
                t("The totals are those of the one holding that can be valued:")
                if totals.valued == 1
                else t(
                    "The totals are the sums over the {count} holdings that can be valued:",
                    count=t.number(totals.valued),
                ),
                f"{word('Gross a day', t)} = **{quantity(totals.gross_day, 'USD/day', t)}**",
                f"{word('Fee a day', t)} = **{quantity(totals.fee_day, 'USD/day', t)}**",
                f"{word('Electricity a day', t)} = **{quantity(totals.electricity_day, 'USD/day', t)}**",
                f"{word('Net a day', t)} = {word('gross − fee − electricity', t)} = "
                f"**{quantity(totals.net_day, 'USD/day', t)}**",
                f"{t('At the median')}: **{quantity(totals.market_net_day, 'USD/day', t)}**",
            )
        )
    ]
    for valued in view.holdings[:_MOST_HOLDINGS]:
        said = formula_line(valued, t) or say.unvalued_line(valued, t)
        age = "" if valued.basis is None else " · " + t("as of {when}", when=relative(valued.basis.at))
        sections.append(f"**{say.title(valued.holding, valued.gpu_name, t)}**\n{said}{age}")
    hidden = len(view.holdings) - _MOST_HOLDINGS
    if hidden > 0:
        sections.append(t("{count} more: open one of them for its figures.", count=t.number(hidden)))
    text = "\n".join(sections[1:])
    return page_card(
        Page(
            t("How this is computed"),
            [sections[0], text] if text else sections[:1],
            footer=t("Open a holding and ask there: it lists every input with its source and age."),
            links=[(t("Methodology"), facts.methodology)],
        )
    )
