"""The words and figures of a price, shared by the card and the embed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from config.countries import country_name
from config.i18n import Text
from gpuscout.cards.kit import code_block, code_safe, link, pad, plain, relative
from gpuscout.market.models import ANY, GLOBAL, Freshness, PriceView, Quote, Verification

NOTHING = "–"


def title(view: PriceView, platform: str, t: Text) -> str:
    """E.g. ``RTX 4090 on Vast.ai``."""
    return t("{gpu} on {platform}", gpu=plain(view.gpu_name, 80), platform=plain(platform, 40))


def badge(t: Text) -> str:
    """The mark of simulated data."""
    return f"`{t('SIMULATED')}`"


def region_name(region: str, t: Text) -> str:
    """A region as people call it: a country by its name in the reader's language."""
    if region == GLOBAL:
        return t("Worldwide")
    return country_name(region, t.locale) or plain(region, 64)


def tier_name(tier: str, t: Text) -> str:
    """A tier as people call it."""
    names = {
        "on-demand": t("on-demand"),
        "spot": t("spot"),
        "community": t("community cloud"),
        "secure": t("secure cloud"),
        "reserved": t("reserved"),
    }
    return names.get(tier, plain(tier, 20))


def series_name(verification: str, segment: str, t: Text) -> str:
    """Which machines a series counts, e.g. ``Datacenter, 8+ GPUs, verified``."""
    checked = {
        Verification.VERIFIED.value: t("verified"),
        Verification.UNVERIFIED.value: t("unverified"),
    }.get(verification)
    if segment == ANY:
        return {
            Verification.VERIFIED.value: t("Verified machines"),
            Verification.UNVERIFIED.value: t("Unverified machines"),
        }.get(verification, t("All machines"))
    place, _, gpus = segment.partition(":")
    where = t("Datacenter") if place == "dc" else t("Not datacenter")
    size = t("{count} GPUs", count=code_safe(gpus, 8))
    return ", ".join(part for part in (where, size, checked) if part)


def subtitle(view: PriceView, t: Text) -> str:
    """Where, how and which machines, and how old the reading is."""
    key = view.quote.key
    return " · ".join(
        (
            region_name(view.region, t),
            tier_name(key.tier, t),
            series_name(key.verification, key.segment, t),
            t("as of {when}", when=relative(view.quote.at)),
        )
    )


def price_line(view: PriceView, t: Text) -> str:
    """Renter price with the host's take beside it."""
    price = view.quote.price
    if price is None:
        return t("No price: nothing is listed")
    renter = t("**{price}** renters pay", price=t.money(price, per="h"))
    if view.host_take is None:
        return renter
    return renter + " · " + t("**{price}** hosts get", price=t.money(view.host_take, per="h"))


@dataclass(frozen=True, slots=True)
class LocalRate:
    """A currency to show beside US dollars: *per_usd* units for one dollar, as written down on the day *as_of*."""

    code: str
    per_usd: float
    as_of: date


def local_line(view: PriceView, local: LocalRate | None, t: Text) -> str | None:
    """The two prices in the member's currency, with the rate and its day; None without either."""
    price = view.quote.price
    if local is None or price is None:
        return None
    amounts = [t.currency(price * local.per_usd, local.code, per="h")]
    if view.host_take is not None:
        amounts.append(t.currency(view.host_take * local.per_usd, local.code, per="h"))
    return t(
        "≈ {amounts} at {rate} {code} for $1, the operator's rate of {day}",
        amounts=" · ".join(amounts),
        rate=t.number(local.per_usd, digits=4 if local.per_usd < 10 else 2),
        code=local.code,
        day=t.day(local.as_of),
    )


def price_basis(view: PriceView, t: Text) -> str:
    """What the two prices are."""
    if not view.quote.sized:
        said = t("As the source says it, per GPU-hour; GPUs are not counted.")
        return (
            said if view.host_share is None else said + " " + t("Hosts keep {share}.", share=t.percent(view.host_share))
        )
    count = t.number(view.quote.all.count)
    if view.host_share is None:
        return t("Median of {count} listed GPUs, per GPU-hour.", count=count)
    return t(
        "Median of {count} listed GPUs, per GPU-hour, of which hosts keep {share}.",
        count=count,
        share=t.percent(view.host_share),
    )


def signed(ratio: float, text: str) -> str:
    """A change with its direction in shape as well as in sign, never in colour alone."""
    arrow = "▲" if ratio > 0 else "▼" if ratio < 0 else "→"
    return f"{arrow} {text.replace('-', '−')}"


def changes_line(view: PriceView, t: Text) -> str:
    """Price changes over a day, a week, a month."""
    labels = {"24h": t("24 h"), "7d": t("7 d"), "30d": t("30 d")}
    parts = []
    for window, label in labels.items():
        change = view.changes.get(window)
        ratio = None if change is None else change.price_ratio
        if ratio is None:
            parts.append(f"{label} {NOTHING}")
        else:
            rounded = round(ratio, 3)
            parts.append(f"{label} {signed(rounded, t.percent(rounded, digits=1, signed=True))}")
    return " · ".join(parts)


def use_lines(view: PriceView, t: Text) -> list[str]:
    """Supply, utilization with its trend, demand: a line each."""
    quote = view.quote
    supply = (
        t(
            "{rented} rented, {available} available, {all} in all",
            rented=t.number(quote.rented.count),
            available=t.number(quote.available.count),
            all=t.number(quote.all.count),
        )
        if quote.sized
        else t("not counted by the source")
    )
    use = NOTHING if quote.utilization is None else t.percent(quote.utilization)
    change = view.changes.get("24h")
    if quote.utilization is not None and change is not None and change.utilization_points is not None:
        points = round(change.utilization_points * 100, 1)
        moved = t("{points} points in 24 h", points=("+" if points > 0 else "") + t.number(points, digits=1))
        use += f" ({signed(points, moved)})"
    demand = NOTHING if quote.demand is None else t("{score} of 100", score=t.number(round(quote.demand)))
    return [f"**{t('Supply')}** {supply}", f"**{t('Utilization')}** {use}", f"**{t('Demand')}** {demand}"]


def gpus(quote: Quote, t: Text) -> str:
    """How many GPUs stand behind a quote, e.g. ``24 GPUs``."""
    return t("{count} GPUs", count=t.number(quote.all.count)) if quote.sized else t("GPUs not counted")


def verification_line(view: PriceView, t: Text) -> str | None:
    """Prices of verified and unverified machines; None where the platform makes no difference."""
    parts = []
    for verification, label in (("verified", t("Verified")), ("unverified", t("Unverified"))):
        quote = view.headline.get(verification)
        if quote is not None:
            price = NOTHING if quote.price is None else t.money(quote.price)
            parts.append(f"**{label}** {price} ({gpus(quote, t)})")
    return " · ".join(parts) if parts else None


def others_line(others: Iterable[Quote], names: dict[str, str], t: Text) -> str | None:
    """The same model elsewhere, cheapest first; None when it is nowhere else."""
    priced = sorted((q for q in others if q.price is not None), key=lambda q: q.price or 0.0)[:4]
    if not priced:
        return None
    parts = [f"{plain(names.get(q.key.platform, q.key.platform), 30)} {t.money(q.price or 0.0)}" for q in priced]
    return f"**{t('Elsewhere')}** " + " · ".join(parts)


def decimals(prices: Iterable[float | None]) -> int:
    """Three when a price of a table needs them, else two: its columns stay aligned."""
    return 3 if any(p is not None and p < 1 and round(p, 3) != round(p, 2) for p in prices) else 2


def table(quote: Quote, t: Text) -> str:
    """p10, median and p90 of rented, available and all GPUs; about 25 characters wide, which fits a phone."""
    sides = ((t("Rented"), quote.rented), (t("Avail."), quote.available), (t("All"), quote.all))
    digits = decimals(price for _, side in sides for price in (side.p10, side.median, side.p90))

    def amount(value: float | None) -> str:
        return NOTHING if value is None else t.number(value, digits=digits)

    rows = [["$/h", "p10", t("median"), "p90"]]
    rows += [[label, amount(side.p10), amount(side.median), amount(side.p90)] for label, side in sides]
    return code_block(pad(rows, gap=1))


def remarks(view: PriceView, t: Text) -> list[str]:
    """Everything that weakens the reading, in words."""
    notes = []
    if view.freshness is Freshness.STALE:
        notes.append(t("Stale: the source was last heard {when}.", when=relative(view.quote.at)))
    if not view.quote.sized:
        notes.append(t("Unknown sample: the source says a price without how many GPUs stand behind it."))
    if view.quote.thin:
        notes.append(t("Thin sample: fewer than 10 GPUs, take the figures as a hint."))
    if view.quote.outlier:
        notes.append(t("Outlier: absurd against its own history, left out of medians and chart."))
    if view.simulated:
        notes.append(t("Simulated market: no real prices."))
    return notes


def source_line(view: PriceView, methodology: str | None, t: Text) -> str:
    """Who the numbers come from and how they are made."""
    source = t("Source: {source}", source=link(view.source, view.source_url))
    method = t("Methodology v{version}", version=view.quote.method)
    return f"{source} · {link(method, methodology)}"
