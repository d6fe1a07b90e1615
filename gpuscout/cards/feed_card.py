"""What a server's market feed posts: the day at a glance, or big moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import ACCENT, Card, Rows, code_block, code_safe, link, pad, relative
from gpuscout.cards.price_card import ChartFile
from gpuscout.cards.state import PriceAction, PriceState, pack
from gpuscout.market.models import GLOBAL
from gpuscout.market.overview import MarketLine

_BUTTONS: Final = 3
_NAME: Final = 14
_LONG_NAME: Final = 20
Source = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """What every post says besides its lines.

    Attributes:
        sources: name and address of who the prices come from.
        methodology: address of the page that explains the figures.
        platform_names: by slug.
        as_of: time of the newest reading.
        simulated: whether the market is a simulator's.
        test: whether this is an admin's test.
        roles: roles to ping.
        chart: the chart sent along, if any.
    """

    sources: Sequence[Source]
    methodology: str
    platform_names: dict[str, str]
    as_of: datetime
    simulated: bool = False
    test: bool = False
    roles: Sequence[int] = ()
    chart: ChartFile | None = None


def daily_card(
    day: date, movers: Sequence[MarketLine], busiest: Sequence[MarketLine], facts: FeedFacts, t: Text
) -> Card:
    """The market of a day: what moved most within 24 hours, and what is rented most."""
    container = _open(t("GPU market, {day}", day=t.day(day)), facts, t)
    if movers:
        container.add_item(ui.TextDisplay(f"**{t('Moved most in 24 h')}**\n{_table(movers, facts, t)}"))
    else:
        container.add_item(ui.TextDisplay(t("No price moved in the last 24 hours.")))
    if busiest:
        container.add_item(ui.TextDisplay(f"**{t('Rented most')}**\n{_table(busiest, facts, t)}"))
    return _close(container, [*movers, *busiest], facts, t)


def moves_card(moves: Sequence[MarketLine], threshold: float, facts: FeedFacts, t: Text) -> Card:
    """Prices that moved by at least *threshold* percent within 24 hours."""
    title = t(
        "Prices moved by {percent} or more in 24 h", percent=t.percent(threshold / 100, digits=_digits(threshold))
    )
    container = _open(title, facts, t)
    container.add_item(ui.TextDisplay(_table(moves, facts, t)))
    return _close(container, moves, facts, t)


def _digits(percent: float) -> int:
    return 0 if percent == round(percent) else 1


def _open(title: str, facts: FeedFacts, t: Text) -> ui.Container[Card]:
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    heading = f"## {title}" + (f"  {words.badge(t)}" if facts.simulated else "")
    if facts.test:
        heading += f"\n-# {t('A test: this is how the feed will look here.')}"
    if facts.roles:
        heading += "\n" + " ".join(f"<@&{role}>" for role in facts.roles)
    container.add_item(ui.TextDisplay(heading))
    return container


def _close(container: ui.Container[Card], lines: Sequence[MarketLine], facts: FeedFacts, t: Text) -> Card:
    if facts.chart is not None:
        container.add_item(
            ui.MediaGallery(
                discord.MediaGalleryItem(f"attachment://{facts.chart.filename}", description=facts.chart.alt[:1024])
            )
        )
    if row := _buttons(lines):
        container.add_item(row)
    container.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in _small(lines, facts, t))))
    card = Card()
    card.add_item(container)
    return card


def _small(lines: Sequence[MarketLine], facts: FeedFacts, t: Text) -> list[str]:
    said = [t("Median of all listed GPUs, USD per GPU-hour, as renters pay.")]
    if any(line.weak for line in lines):
        said.append(t("~ thin sample"))
    sources = ", ".join(link(name, url) for name, url in facts.sources) or "–"
    method = link(t("How these figures are made"), facts.methodology)
    said.append(f"{t('Source: {source}', source=sources)} · {t('as of {when}', when=relative(facts.as_of))} · {method}")
    return said


def _table(lines: Sequence[MarketLine], facts: FeedFacts, t: Text) -> str:
    """Up to 32 characters wide; the platform's name only where there are several."""
    several = len({line.key.platform for line in lines}) > 1
    digits = words.decimals(line.quote.price for line in lines)
    cells = [["", "$/h", t("24 h"), t("used")]]
    for line in lines:
        ratio = line.change("24h").price_ratio
        price = words.NOTHING if line.quote.price is None else t.number(line.quote.price, digits=digits)
        cells.append(
            [
                _name(line, several, facts),
                ("~" if line.weak else "") + price,
                words.NOTHING if ratio is None else t.percent(round(ratio, 3), digits=1, signed=True),
                words.NOTHING if line.quote.utilization is None else t.percent(line.quote.utilization),
            ]
        )
    return code_block(pad(cells, gap=1))


def _name(line: MarketLine, several: bool, facts: FeedFacts) -> str:
    name = code_safe(line.gpu_name, _NAME)
    if not several:
        return name
    platform = code_safe(facts.platform_names.get(line.key.platform, line.key.platform), 12)
    return f"{name} {platform}"[:_LONG_NAME]


def _buttons(lines: Sequence[MarketLine]) -> Rows | None:
    """Buttons to the price cards of the first few; each who clicks gets a card of his own."""
    row: Rows = ui.ActionRow()
    seen: set[str] = set()
    for line in lines:
        if line.key.gpu in seen or len(seen) == _BUTTONS:
            continue
        seen.add(line.key.gpu)
        state = PriceState(0, line.key.gpu, line.key.platform, line.key.region or GLOBAL)
        row.add_item(ui.Button[Card](label=line.gpu_name[:80], custom_id=pack(state, PriceAction.REFRESH)))
    return row if seen else None
