"""``/watchlist``: the GPUs a member follows, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from discord import ui

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import ACCENT, Card, Rows, code_block, code_safe, link, pad, relative
from gpuscout.cards.state import PriceAction, PriceState, pack
from gpuscout.market.models import Freshness, PriceView

_NAME = 13
_BUTTONS: Final = 9


@dataclass(frozen=True, slots=True)
class Followed:
    """One followed GPU; ``view`` is None while nobody lists it."""

    slug: str
    name: str
    view: PriceView | None


def watchlist_card(
    followed: Sequence[Followed], limit: int, note: str | None, commands: tuple[str, str], t: Text
) -> Card:
    """The list.

    Args:
        limit: how many may be followed.
        note: what was just changed, in a sentence.
        commands: mentions of ``/watchlist add`` and ``/watchlist remove``.
    """
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    simulated = any(entry.view is not None and entry.view.simulated for entry in followed)
    container.add_item(ui.TextDisplay(f"## {t('Your watchlist')}" + (f"  {words.badge(t)}" if simulated else "")))
    if note:
        container.add_item(ui.TextDisplay(note))
    add, remove = commands
    if not followed:
        container.add_item(
            ui.TextDisplay(t("You follow no GPU yet. {add} puts one here, with its price and how it moves.", add=add))
        )
        return _card(container)
    container.add_item(ui.TextDisplay(_table(followed, t)))
    container.add_item(ui.TextDisplay("\n".join(_remarks(followed, t))))
    for row in _buttons(followed):
        container.add_item(row)
    count = t("{count} of {limit}", count=len(followed), limit=limit)
    container.add_item(ui.TextDisplay(f"-# {count} · {add} · {remove}"))
    return _card(container)


def _card(container: ui.Container[Card]) -> Card:
    card = Card()
    card.add_item(container)
    return card


def _table(followed: Sequence[Followed], t: Text) -> str:
    """About 30 characters wide."""
    views = [entry.view for entry in followed if entry.view is not None]
    digits = words.decimals(view.quote.price for view in views)
    cells = [["", "$/h", t("24 h"), t("used")]]
    for entry in followed:
        name = code_safe(entry.name, _NAME)
        view = entry.view
        if view is None or view.quote.price is None:
            cells.append([name, words.NOTHING, words.NOTHING, words.NOTHING])
            continue
        change = view.changes.get("24h")
        ratio = None if change is None else change.price_ratio
        mark = "!" if view.quote.outlier else "~" if view.quote.thin else ""
        cells.append(
            [
                name,
                mark + t.number(view.quote.price, digits=digits),
                words.NOTHING if ratio is None else t.percent(round(ratio, 3), digits=1, signed=True),
                words.NOTHING if view.quote.utilization is None else t.percent(view.quote.utilization),
            ]
        )
    return code_block(pad(cells, gap=1))


def _remarks(followed: Sequence[Followed], t: Text) -> list[str]:
    views = [entry.view for entry in followed if entry.view is not None]
    lines = []
    missing = [entry for entry in followed if entry.view is None]
    if missing:
        lines.append("-# " + t("– nobody lists it right now"))
    if any(view.quote.thin and not view.quote.outlier for view in views):
        lines.append("-# " + t("~ thin sample"))
    if any(view.quote.outlier for view in views):
        lines.append("-# " + t("! outlier, left out of medians"))
    if any(view.freshness is Freshness.STALE for view in views):
        lines.append(
            "⚠️ " + t("Stale: the source was last heard {when}.", when=relative(min(v.quote.at for v in views)))
        )
    if views:
        newest = max(view.quote.at for view in views)
        names = sorted({(view.source, view.source_url) for view in views}, key=lambda pair: pair[0])
        sources = ", ".join(link(name, url) for name, url in names)
        where = t("Median of all listed GPUs on the platform that lists most, worldwide.")
        lines.append(f"-# {where} {t('Source: {source}', source=sources)} · {t('as of {when}', when=relative(newest))}")
    return lines


def _buttons(followed: Sequence[Followed]) -> list[Rows]:
    """A button for the card of each GPU that has one; three to a row."""
    shown = [(entry, entry.view) for entry in followed if entry.view is not None][:_BUTTONS]
    rows: list[Rows] = []
    for start in range(0, len(shown), 3):
        row: Rows = ui.ActionRow()
        for entry, view in shown[start : start + 3]:
            # Nobody's card: whoever clicks gets his own.
            state = PriceState(0, view.gpu, view.platform, view.region)
            row.add_item(ui.Button[Card](label=entry.name[:80], custom_id=pack(state, PriceAction.REFRESH)))
        rows.append(row)
    return rows
