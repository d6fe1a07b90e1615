"""The words and figures of a comparison, shared by the card, the embed and the chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import plain, relative
from gpuscout.cards.market_text import per_day
from gpuscout.market.earlier import Earlier
from gpuscout.market.metrics import Hosting, Metric, figure
from gpuscout.market.models import Freshness, Quote, SeriesKey

NOTHING = words.NOTHING
SQUARES = ("🟦", "🟧", "🟩", "🟨", "🟪", "🟥")
"""The colours of the chart's lines, in their order (gpuscout.charts.theme.PALETTE)."""
NO_LINE = "▫️"


@dataclass(frozen=True, slots=True)
class LastPrice:
    """The last price known of a series that is not listed now: USD per GPU-hour, and when."""

    price: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Compared:
    """One series of a comparison.

    Attributes:
        quote: Its current quote; None where it is not listed now.
        then: What it was at the start of the range; None where that is not known.
        hosting: What its earnings depend on.
        last: Its last price; only without a current quote.
    """

    key: SeriesKey
    quote: Quote | None
    then: Earlier | None
    hosting: Hosting
    last: LastPrice | None = None

    @property
    def line(self) -> str:
        """Key of its line in the chart."""
        return " ".join((self.key.platform, self.key.gpu, self.key.tier, self.key.verification))

    def now(self, metric: Metric) -> float | None:
        """The present value; a price that is absurd against its own history is none."""
        if self.quote is None or (self.quote.outlier and metric in (Metric.PRICE, Metric.EARNINGS)):
            return None
        return figure(metric, self.quote, self.hosting)

    def before(self, metric: Metric) -> float | None:
        """The value at the start of the range."""
        return None if self.then is None else figure(metric, self.then, self.hosting)


@dataclass(frozen=True, slots=True)
class Names:
    """How series are told apart: what differs is said of each, what they share once."""

    labels: Mapping[SeriesKey, str]
    shared: str

    @classmethod
    def of(
        cls,
        keys: Sequence[SeriesKey],
        gpu_name: Callable[[str], str],
        platform_name: Callable[[str], str],
        t: Text,
    ) -> Names:
        """Names without markup; escape them before they are shown in a text."""
        parts: dict[SeriesKey, tuple[str, ...]] = {
            key: (
                gpu_name(key.gpu),
                platform_name(key.platform),
                words.tier_name(key.tier, t),
                words.series_name(key.verification, key.segment, t),
            )
            for key in keys
        }
        columns = list(zip(*parts.values(), strict=True))
        differing = [len(set(column)) > 1 for column in columns]
        if not any(differing):
            differing[0] = True
        labels = {
            key: " · ".join(part for part, differs in zip(names, differing, strict=True) if differs)
            for key, names in parts.items()
        }
        shared = [column[0] for column, differs in zip(columns, differing, strict=True) if not differs]
        return cls(labels, " · ".join(shared))


def metric_name(metric: Metric, t: Text) -> str:
    """A figure as menus and headings say it."""
    return {
        Metric.PRICE: t("Price"),
        Metric.UTILIZATION: t("Utilization"),
        Metric.DEMAND: t("Demand"),
        Metric.EARNINGS: t("Earnings a day"),
    }[metric]


def metric_title(metric: Metric, t: Text) -> str:
    """A figure with its unit, as the chart says it."""
    return {
        Metric.PRICE: t("USD per GPU-hour"),
        Metric.UTILIZATION: t("Rented share of the listed GPUs"),
        Metric.DEMAND: t("Demand, 0 to 100"),
        Metric.EARNINGS: t("Expected USD a day of one GPU"),
    }[metric]


def value(metric: Metric, amount: float, t: Text) -> str:
    """An amount of a figure."""
    if metric is Metric.PRICE:
        return t.money(amount, per="h")
    if metric is Metric.UTILIZATION:
        return t("{share} rented", share=t.percent(amount))
    if metric is Metric.DEMAND:
        return t("{score} of 100", score=t.number(round(amount)))
    return per_day(amount, t)


def change(metric: Metric, now: float | None, before: float | None, t: Text) -> str:
    """The change of a figure: of prices in percent, of earnings in dollars, of the others in points."""
    if now is None or before is None:
        return NOTHING
    if metric is Metric.PRICE:
        if not before:
            return NOTHING
        ratio = round(now / before - 1, 3)
        return words.signed(ratio, t.percent(ratio, digits=1, signed=True))
    if metric is Metric.EARNINGS:
        moved = round(now - before, 2)
        return words.signed(moved, ("+" if moved > 0 else "") + t.money(moved))
    points = round((now - before) * (100 if metric is Metric.UTILIZATION else 1), 1)
    said = t("{points} points", points=("+" if points > 0 else "") + t.number(points, digits=1))
    return words.signed(points, said)


def unknown(item: Compared, metric: Metric, t: Text) -> str:
    """Why there is no present value."""
    if item.quote is None:
        return t("not listed now")
    if metric is not Metric.EARNINGS:
        return t("not known")
    if item.hosting.share is None:
        return t("no new host can go there, or its share is not known")
    if item.hosting.power_w is None:
        return t("board power not known")
    return t("not known")


def entry(item: Compared, label: str, square: str, metric: Metric, t: Text) -> str:
    """One series in two lines: figure and change, then what stands behind them."""
    now = item.now(metric)
    said = value(metric, now, t) if now is not None else unknown(item, metric, t)
    head = f"{square} **{plain(label, 90)}** {said}"
    if now is not None:
        head += f" · {change(metric, now, item.before(metric), t)}"
    quote = item.quote
    if quote is None:
        if item.last is None:
            return head
        price = t("last {price}", price=t.money(item.last.price, per="h"))
        return f"{head}\n-# {price} · {relative(item.last.at)}"
    behind = [words.gpus(quote, t)]
    if metric is not Metric.PRICE and quote.price is not None:
        behind.append(t.money(quote.price, per="h"))
    if metric is not Metric.UTILIZATION and quote.utilization is not None:
        behind.append(t("{share} rented", share=t.percent(quote.utilization)))
    if quote.thin:
        behind.append("⚠️ " + t("thin sample"))
    elif item.then is not None and item.then.thin:
        behind.append("⚠️ " + t("thin sample then"))
    if quote.outlier:
        behind.append("⚠️ " + t("outlier"))
    return f"{head}\n-# " + " · ".join(behind)


def squares(items: Sequence[Compared], lines: Sequence[str]) -> list[str]:
    """The colour of each series in a chart with these *lines*; an empty mark for those that it does not have."""
    colours = dict(zip(lines, SQUARES, strict=False))
    return [colours.get(item.line, NO_LINE) for item in items]


def subtitle(items: Sequence[Compared], names: Names, range_name: str, t: Text) -> str:
    """What the series share, how old the newest reading is, and over which range the changes are."""
    newest = max((item.quote.at for item in items if item.quote is not None), default=None)
    parts = [plain(names.shared, 120)] if names.shared else []
    if newest is not None:
        parts.append(t("as of {when}", when=relative(newest)))
    return " · ".join((*parts, t("changes over {window}", window=range_name)))


def remarks(items: Sequence[Compared], band: Freshness, simulated: bool, t: Text) -> list[str]:
    """Everything that weakens the comparison, in words."""
    notes = []
    newest = max((item.quote.at for item in items if item.quote is not None), default=None)
    if band is not Freshness.FRESH and newest is not None:
        notes.append(t("Stale: the source was last heard {when}.", when=relative(newest)))
    if simulated:
        notes.append(t("Simulated market: no real prices."))
    return notes
