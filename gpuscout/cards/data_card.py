"""The evidence behind a price card: the stored rows of its series."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from discord import ui

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import ACCENT, Card, code_block, link, moment, pad, plain
from gpuscout.market.models import Quote, SeriesKey


def data_card(
    key: SeriesKey,
    rows: Sequence[Quote],
    *,
    gpu_name: str,
    platform_name: str,
    source_name: str,
    source_url: str | None,
    methodology: str,
    simulated: bool,
    t: Text,
) -> Card:
    """Newest rows first; for the member who asked. *rows* may be empty."""
    heading = "## " + t("Stored rows: {gpu} on {platform}", gpu=plain(gpu_name, 80), platform=plain(platform_name, 40))
    if simulated:
        heading += f"  {words.badge(t)}"
    series = " · ".join(
        (
            words.region_name(key.region, t),
            words.tier_name(key.tier, t),
            words.series_name(key.verification, key.segment, t),
        )
    )
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    container.add_item(ui.TextDisplay(f"{heading}\n-# {series}"))
    if not rows:
        container.add_item(ui.TextDisplay(t("Nothing is stored for this series: raw rows are kept for some days.")))
    else:
        container.add_item(ui.TextDisplay(f"{rows_table(rows, t)}\n-# {rows_legend(rows, t)}"))
        container.add_item(ui.TextDisplay(_newest(rows[0], source_name, source_url, t)))
    container.add_item(ui.TextDisplay("-# " + link(t("How these figures are made"), methodology)))
    card = Card()
    card.add_item(container)
    return card


def rows_table(rows: Sequence[Quote], t: Text) -> str:
    """One line a row under its day, 27 characters wide: it fits a phone."""
    digits = words.decimals(quote.price for quote in rows)
    cells = [[t("seen"), t("read"), "$/h", t("rented")]]
    for quote in rows:
        mark = "!" if quote.outlier else "~" if quote.thin else ""
        price = words.NOTHING if quote.price is None else t.number(quote.price, digits=digits)
        cells.append(
            [
                quote.at.astimezone(UTC).strftime("%H:%M"),
                quote.fetched_at.astimezone(UTC).strftime("%H:%M"),
                mark + price,
                f"{quote.rented.count}/{quote.all.count}" if quote.sized else words.NOTHING,
            ]
        )
    table = pad(cells, gap=1)
    lines, day = table[:1], None
    for quote, line in zip(rows, table[1:], strict=True):
        if quote.at.astimezone(UTC).date() != day:
            day = quote.at.astimezone(UTC).date()
            lines.append(day.isoformat())
        lines.append(line)
    return code_block(lines)


def rows_legend(rows: Sequence[Quote], t: Text) -> str:
    """What the columns and marks of :func:`rows_table` mean."""
    legend = [t("seen by the source and read by me, UTC · rented/all GPUs")]
    if any(q.outlier for q in rows):
        legend.append(t("! outlier, left out of medians"))
    if any(q.thin and not q.outlier for q in rows):
        legend.append(t("~ thin sample"))
    return " · ".join(legend)


def _newest(quote: Quote, source_name: str, source_url: str | None, t: Text) -> str:
    sample = (
        t(
            "{all} GPUs: {rented} rented, {available} available",
            all=t.number(quote.all.count),
            rented=t.number(quote.rented.count),
            available=t.number(quote.available.count),
        )
        if quote.sized
        else words.gpus(quote, t)
    )
    return "\n".join(
        (
            f"**{t('Newest row')}**",
            f"{t('Source')}: {link(source_name, source_url)}",
            f"{t('Source time')}: {moment(quote.at)}",
            f"{t('Fetched')}: {moment(quote.fetched_at)}",
            f"{t('Sample')}: {sample}",
            f"{t('Method')}: {t('version {version}', version=quote.method)}",
        )
    )
