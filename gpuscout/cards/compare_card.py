"""A comparison as a card with one chart, as a plain embed, and the rows behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import compare_text as words
from gpuscout.cards.chart_spec import chart_labels, gap_seconds, with_breaks
from gpuscout.cards.compare_state import CompareAction, CompareState, pack
from gpuscout.cards.compare_text import Compared, Names
from gpuscout.cards.data_card import rows_legend, rows_table
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, fit, link, plain
from gpuscout.cards.market_text import MarketFacts, earnings_note, source_line
from gpuscout.cards.price_card import ChartFile, range_label
from gpuscout.cards.price_text import badge
from gpuscout.charts.model import MAX_TEXT, ChartPanel, ChartSeries, ChartSpec, Unit
from gpuscout.market.metrics import Metric, figure
from gpuscout.market.models import METHOD_VERSION, Freshness, History, Quote, SeriesKey
from gpuscout.market.ports import RANGES

_UNITS: dict[Metric, Unit] = {
    Metric.PRICE: "usd_per_hour",
    Metric.UTILIZATION: "ratio",
    Metric.DEMAND: "count",
    Metric.EARNINGS: "usd_per_day",
}
_ALT_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a comparison shows.

    Attributes:
        items: Its series, in the order asked for.
        names: How they are told apart.
        facts: Age, tariff, sources; of the whole market's cards too.
    """

    items: Sequence[Compared]
    names: Names
    facts: MarketFacts


def compare_card(
    comparison: Comparison, state: CompareState, chart: ChartFile | None, lines: Sequence[str], t: Text
) -> Card:
    """The card: a line a series, the chart, figure, ranges, refresh, data. *lines* are those of the chart."""
    container: ui.Container[Card] = ui.Container(accent_colour=_colour(comparison))
    heading = "## " + _title(state.metric, t)
    if comparison.facts.simulated:
        heading += f"  {badge(t)}"
    container.add_item(
        ui.TextDisplay(
            f"{heading}\n-# {words.subtitle(comparison.items, comparison.names, range_label(state.range, t), t)}"
        )
    )
    container.add_item(ui.TextDisplay(fit(_entries(comparison, state, lines, t), 2200)))
    if notes := words.remarks(comparison.items, comparison.facts.freshness, comparison.facts.simulated, t):
        container.add_item(ui.TextDisplay("\n".join(f"⚠️ {note}" for note in notes)))
    if chart is not None:
        alt = chart.alt if len(chart.alt) <= _ALT_LIMIT else chart.alt[: _ALT_LIMIT - 1] + "…"
        container.add_item(ui.MediaGallery(discord.MediaGalleryItem(f"attachment://{chart.filename}", description=alt)))
    else:
        container.add_item(ui.TextDisplay("-# " + t("The chart is unavailable right now; the figures are complete.")))
    container.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in _footer(comparison, state.metric, t))))
    container.add_item(ui.Separator())
    for row in _controls(state, t):
        container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def compare_embed(comparison: Comparison, state: CompareState, t: Text) -> discord.Embed:
    """The same figures as one plain embed, for places without components."""
    lines = _entries(comparison, state, (), t)
    notes = words.remarks(comparison.items, comparison.facts.freshness, comparison.facts.simulated, t)
    embed = discord.Embed(
        title=_title(state.metric, t),
        description=fit(
            [
                words.subtitle(comparison.items, comparison.names, range_label(state.range, t), t),
                *lines,
                *(f"⚠️ {note}" for note in notes),
            ],
            3500,
        ),
        colour=_colour(comparison),
    )
    if comparison.facts.simulated:
        embed.set_author(name=t("SIMULATED"))
    embed.add_field(name=t("Evidence"), value=fit(_footer(comparison, state.metric, t), 1000), inline=False)
    return embed


def compare_chart(
    comparison: Comparison,
    histories: Sequence[History],
    state: CompareState,
    end: datetime,
    t: Text,
    *,
    timezone: str = "UTC",
) -> ChartSpec:
    """One line a series that has values; *histories* are those of the items. A gap in the data is a gap in its line.

    Raises:
        ValueError: the histories hold what cannot be drawn.
    """
    lines, gaps = [], [1.0]
    for item, history in zip(comparison.items, histories, strict=True):
        points = with_breaks(history)
        values = tuple(figure(state.metric, point, item.hosting) for point in points)
        if all(value is None for value in values):
            continue
        gaps.append(gap_seconds(history))
        times = tuple(float(point.ts) for point in points)
        lines.append(ChartSeries(item.line[:MAX_TEXT], comparison.names.labels[item.key][:MAX_TEXT], times, values))
    span = RANGES[state.range]
    newest = max((item.quote.at for item in comparison.items if item.quote is not None), default=end)
    return ChartSpec(
        title=words.metric_title(state.metric, t)[:MAX_TEXT],
        subtitle=(comparison.names.shared or t("{count} series", count=len(comparison.items)))[:MAX_TEXT],
        panels=(ChartPanel(_UNITS[state.metric], tuple(lines)),),
        start=(end - span).timestamp(),
        end=max(end, end - span + timedelta(seconds=1)).timestamp(),
        gap_seconds=max(gaps),
        source=", ".join(name for name, _ in comparison.facts.sources)[:MAX_TEXT],
        as_of=newest.timestamp(),
        timezone=timezone,
        locale=t.locale,
        badge=t("SIMULATED") if comparison.facts.simulated else None,
        missing_note=t("No data"),
        labels=chart_labels(t),
    )


def compare_data_card(
    rows: Mapping[SeriesKey, Sequence[Quote]], names: Names, *, methodology: str, simulated: bool, t: Text
) -> Card:
    """The newest stored rows of each series, for the member who asked."""
    heading = "## " + t("Stored rows")
    if simulated:
        heading += f"  {badge(t)}"
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    shared = f"\n-# {plain(names.shared, 120)}" if names.shared else ""
    container.add_item(ui.TextDisplay(heading + shared))
    for key, found in rows.items():
        name = f"**{plain(names.labels[key], 90)}**"
        text = (
            rows_table(found, t) if found else t("Nothing is stored for this series: raw rows are kept for some days.")
        )
        container.add_item(ui.TextDisplay(f"{name}\n{text}"))
    every = [quote for found in rows.values() for quote in found]
    if every:
        sources = ", ".join(sorted({plain(quote.source, 40) for quote in every}))
        methods = ", ".join(sorted({str(quote.method) for quote in every}))
        said = f"{t('Source')}: {sources} · {t('Method')}: {t('version {version}', version=methods)}"
        container.add_item(ui.TextDisplay(f"-# {rows_legend(every, t)}\n-# {said}"))
    container.add_item(ui.TextDisplay("-# " + link(t("How these figures are made"), methodology)))
    card = Card()
    card.add_item(container)
    return card


def _title(metric: Metric, t: Text) -> str:
    return t("Compared: {metric}", metric=words.metric_name(metric, t))


def _colour(comparison: Comparison) -> int:
    weak = comparison.facts.freshness is not Freshness.FRESH
    return WARNING if weak or all(item.quote is None or item.quote.thin for item in comparison.items) else ACCENT


def _entries(comparison: Comparison, state: CompareState, lines: Sequence[str], t: Text) -> list[str]:
    colours = words.squares(comparison.items, lines)
    return [
        words.entry(item, comparison.names.labels[item.key], square, state.metric, t)
        for item, square in zip(comparison.items, colours, strict=True)
    ]


def _footer(comparison: Comparison, metric: Metric, t: Text) -> list[str]:
    lines = [source_line(comparison.facts, METHOD_VERSION, t)]
    if metric is Metric.EARNINGS:
        lines.insert(0, earnings_note(comparison.facts, t))
    return lines


def _controls(state: CompareState, t: Text) -> list[Rows]:
    ranges = [
        ui.Button[Card](
            label=range_label(name, t),
            custom_id=pack(state, CompareAction.RANGE, name),
            style=discord.ButtonStyle.primary if name == state.range else discord.ButtonStyle.secondary,
        )
        for name in RANGES
    ]
    menu: ui.Select[Any] = ui.Select(
        custom_id=pack(state, CompareAction.METRIC),
        placeholder=t("What to compare"),
        options=[
            discord.SelectOption(
                label=words.metric_name(metric, t)[:100],
                description=words.metric_title(metric, t)[:100],
                value=metric.value,
                default=metric is state.metric,
            )
            for metric in Metric
        ],
    )
    extras = [
        ui.Button[Card](label=t("Refresh"), emoji="🔄", custom_id=pack(state, CompareAction.REFRESH)),
        ui.Button[Card](label=t("Show data"), emoji="🧾", custom_id=pack(state, CompareAction.DATA)),
    ]
    # Three to a row: Discord breaks longer rows on phones.
    return [ui.ActionRow(menu), ui.ActionRow(*ranges[:3]), ui.ActionRow(*ranges[3:]), ui.ActionRow(*extras)]
