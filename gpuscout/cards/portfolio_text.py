"""Words and figures of holdings, shared by the cards of portfolios, advice and payback."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import link, plain, relative
from gpuscout.market.models import GLOBAL
from gpuscout.portfolio.models import Basis, Holding, HoldingDraft, HoldingValuation, Position

NOTHING: Final = words.NOTHING
MINUS: Final = "−"


@dataclass(frozen=True, slots=True)
class PortfolioFacts:
    """What the cards show besides the figures.

    Attributes:
        platform_name: a platform's slug as people call it.
        source_link: name and address of a price source.
        is_simulated: whether a price source simulates.
        is_stale: whether a reading of that time is too old to be called current.
        gpu_name: a model's slug as people call it.
        mention: how to name a command.
        methodology: address of the page that explains the figures.
        local: the member's own currency; None for US dollars alone.
        timezone: zone of the member's charts and dates.
    """

    platform_name: Callable[[str], str]
    source_link: Callable[[str], tuple[str, str | None]]
    is_simulated: Callable[[str], bool]
    is_stale: Callable[[datetime], bool]
    gpu_name: Callable[[str], str]
    mention: Callable[[str], str]
    methodology: str
    local: words.LocalRate | None = None
    timezone: str = "UTC"


def title(holding: HoldingDraft, gpu_name: str, t: Text) -> str:
    """E.g. ``Rig 1: 8 × RTX 4090``."""
    model = f"{t.number(holding.quantity)} × {plain(gpu_name, 60)}"
    return f"{plain(holding.name, 60)}: {model}" if holding.name else model


def short_title(holding: HoldingDraft, gpu_name: str, t: Text) -> str:
    """The same without markup, for menus and choices."""
    model = f"{t.number(holding.quantity)} × {gpu_name}"
    return f"{holding.name}: {model}" if holding.name else model


def place(holding: HoldingDraft, facts: PortfolioFacts, t: Text) -> str:
    """The platform, or that none is chosen."""
    return plain(facts.platform_name(holding.platform), 40) if holding.platform else t("platform undecided")


def subtitle(valued: HoldingValuation, facts: PortfolioFacts, t: Text) -> str:
    """Where, how and which machines."""
    holding = valued.holding
    return " · ".join(
        (
            place(holding, facts, t),
            words.region_name(holding.region, t),
            words.tier_name(holding.tier, t),
            words.series_name(holding.verification, holding.segment, t),
        )
    )


def machine_line(holding: Holding, t: Text) -> str | None:
    """What the market says of the machine that a holding follows; None for one entered by hand."""
    if holding.machine_id is None:
        return None
    now = holding.machine
    if now is None:
        return t("Machine {id}: the market does not list it; the last known facts are shown.", id=holding.machine_id)
    if not now.listed:
        return t("Machine {id}: gone from the list since {when}.", id=holding.machine_id, when=relative(now.seen_at))
    rented = t("{rented} of {count} GPUs rented", rented=t.number(now.num_rented), count=t.number(now.num_gpus))
    said = t("Machine {id}: {rented}", id=holding.machine_id, rented=rented)
    if now.reliability is not None:
        said += " · " + t("reliability {share}", share=t.percent(now.reliability, digits=1))
    return f"{said} · {relative(now.seen_at)}"


def signed_money(usd: float, t: Text) -> str:
    """Dollars with their sign, for gains and losses."""
    return ("+" if usd > 0 else "") + t.money(usd).replace("-", MINUS)


def amount(usd: float, t: Text) -> str:
    """Dollars with a true minus sign."""
    return t.money(usd).replace("-", MINUS)


def per_day(usd: float, t: Text) -> str:
    """Dollars a day."""
    return t("{amount}/day", amount=amount(usd, t))


def per_month(usd: float, t: Text) -> str:
    """Dollars a month."""
    return t("{amount}/month", amount=amount(usd, t))


def local_line(day: float, month: float, facts: PortfolioFacts, t: Text) -> str | None:
    """The same in the member's currency, with the rate and its day; None without one."""
    local = facts.local
    if local is None:
        return None
    return t(
        "≈ {amounts} at {rate} {code} for $1, the operator's rate of {day}",
        amounts=" · ".join(
            (
                t("{amount}/day", amount=t.currency(day * local.per_usd, local.code)),
                t("{amount}/month", amount=t.currency(month * local.per_usd, local.code)),
            )
        ),
        rate=t.number(local.per_usd, digits=4 if local.per_usd < 10 else 2),
        code=local.code,
        day=t.day(local.as_of),
    )


def position_line(position: Position, t: Text) -> str:
    """Where the asked price stands in the market's p10 to p90."""
    low, high = t.money(position.p10), t.money(position.p90)
    asked = t.money(position.asked)
    said = {
        "below": t("{asked} is below the market's {low} to {high} (p10–p90)", asked=asked, low=low, high=high),
        "above": t("{asked} is above the market's {low} to {high} (p10–p90)", asked=asked, low=low, high=high),
    }.get(position.standing)
    if said is not None:
        return said
    said = t("{asked} is inside the market's {low} to {high} (p10–p90)", asked=asked, low=low, high=high)
    if position.place is None:
        return said
    return said + ", " + t("{share} of the way up", share=t.percent(position.place))


def payback_line(valued: HoldingValuation, t: Text) -> str | None:
    """When the purchase is paid, or why that is not known; None where no purchase price was entered."""
    holding = valued.holding
    if not holding.purchase_price:
        return None
    paid = t.money(holding.purchase_price)
    if valued.payback_on is not None:
        return t("{paid} paid back on {day}", paid=paid, day=t.day(valued.payback_on))
    if holding.purchased_on is None:
        return t("{paid} paid: enter the day of purchase for a payback date", paid=paid)
    if valued.net_day is None:
        return t("{paid} paid: no payback date without a net value", paid=paid)
    return t("{paid} is not paid back at these figures", paid=paid)


def unvalued_line(valued: HoldingValuation, t: Text) -> str:
    """Why a holding has no value."""
    name = plain(valued.gpu_name, 60)
    said = {
        "no_market": t("Not valued: there are no current market data."),
        "unlisted": t("Not valued: nobody lists a {gpu} like this right now.", gpu=name),
        "no_platform": t("Not valued: no platform is chosen, and none that takes hosts lists it."),
        "no_fee": t("No net value: what the platform keeps is not known; enter the fee of your contract."),
        "no_power": t("No net value: the power draw of a {gpu} is not known; enter it in watts.", gpu=name),
    }
    return said.get(valued.unvalued or "", t("Not valued."))


def basis_line(basis: Basis, facts: PortfolioFacts, t: Text) -> str:
    """Which series the figures rest on, and how old it is."""
    key = basis.key
    series = ", ".join(
        part
        for part in (
            plain(facts.platform_name(key.platform), 40),
            words.region_name(key.region, t) if key.region != GLOBAL else "",
            words.series_name(key.verification, key.segment, t),
        )
        if part
    )
    source = t("Source: {source}", source=link(*facts.source_link(basis.source)))
    return f"{series} · {t('as of {when}', when=relative(basis.at))} · {source}"


def basis_remarks(basis: Basis, facts: PortfolioFacts, t: Text) -> list[str]:
    """What weakens a valuation, in words."""
    notes = []
    if facts.is_stale(basis.at):
        notes.append(t("Stale: the source was last heard {when}.", when=relative(basis.at)))
    if not basis.exact:
        notes.append(t("Valued by a wider group of machines: its own is missing or thin."))
    if basis.thin:
        notes.append(t("Thin sample: fewer than 10 GPUs, take the figures as a hint."))
    return notes


def simulated(bases: Iterable[Basis | None], facts: PortfolioFacts) -> bool:
    """Whether any of the figures comes from a simulator."""
    return any(basis is not None and facts.is_simulated(basis.source) for basis in bases)
