"""The message around an exported file."""

from __future__ import annotations

from collections.abc import Sequence

from discord import ui

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import ACCENT, Card, link, plain
from gpuscout.market.models import History, HistoryTier


def export_card(
    history: History,
    filename: str,
    *,
    gpu_name: str,
    platform_name: str,
    range_: str,
    sources: Sequence[tuple[str, str | None]],
    methodology: str,
    simulated: bool,
    t: Text,
) -> Card:
    """What the file holds and where it comes from; *filename* is the attachment sent along."""
    key = history.key
    heading = "## " + t("{gpu} on {platform}", gpu=plain(gpu_name, 80), platform=plain(platform_name, 40))
    if simulated:
        heading += f"  {words.badge(t)}"
    series = " · ".join(
        (
            words.region_name(key.region, t),
            words.tier_name(key.tier, t),
            words.series_name(key.verification, key.segment, t),
            range_,
        )
    )
    rows = t.number(len(history.points))
    held = {
        HistoryTier.RAW: t("{count} readings", count=rows),
        HistoryTier.HOUR: t("{count} hours", count=rows),
        HistoryTier.DAY: t("{count} days", count=rows),
    }[history.tier]
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    container.add_item(ui.TextDisplay(f"{heading}\n-# {series}"))
    container.add_item(ui.TextDisplay(t("{rows} as CSV; prices in USD per GPU-hour, times in UTC.", rows=held)))
    container.add_item(ui.File(f"attachment://{filename}"))
    named = ", ".join(link(name, url) for name, url in sources)
    origin = t("Source: {source}", source=named) + " · " if named else ""
    container.add_item(ui.TextDisplay("-# " + origin + link(t("How these figures are made"), methodology)))
    card = Card()
    card.add_item(container)
    return card
