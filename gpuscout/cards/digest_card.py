"""A digest in Discord: what changed in a member's portfolio, how his GPUs moved, which alerts fired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import digest_text as says
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import ACCENT, Card, Rows, fit, link, plain, relative
from gpuscout.cards.price_card import ChartFile
from gpuscout.cards.state import PriceAction, PriceState, pack
from gpuscout.digests.models import DigestContent, MoverLine

PREFIX: Final = "dig1|"
OPEN, PANEL, STOP = "open", "panel", "stop"
"""What the buttons do: show the clicker's own digest, his settings of it, end it."""
_BUTTONS: Final = 3
_SECTION: Final = 640


def digest_card(content: DigestContent, chart: ChartFile | None, t: Text, *, preview: bool = False) -> Card:
    """The digest.

    Args:
        chart: the picture that is sent along, drawn from :func:`gpuscout.cards.digest_chart.digest_chart`.
        preview: whether the member looks at it before its time.
    """
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    heading = f"## {says.title(content, t)}" + (f"  {words.badge(t)}" if content.simulated else "")
    if preview:
        heading += f"\n-# {t('A preview: this is how it will look.')}"
    if missed := says.missed_line(content, t):
        heading += f"\n-# ⏱️ {missed}"
    container.add_item(ui.TextDisplay(heading))
    for section in _sections(content, t):
        container.add_item(ui.Separator())
        container.add_item(ui.TextDisplay(fit(section.split("\n"), _SECTION)))
    if chart is not None:
        picture = discord.MediaGalleryItem(f"attachment://{chart.filename}", description=chart.alt[:1024])
        container.add_item(ui.MediaGallery(picture))
    if row := _prices([*content.movers, *content.busiest]):
        container.add_item(row)
    if content.audience == "member":
        container.add_item(_own_row(t, preview=preview))
    if small := _small(content, t):
        container.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in small)))
    card = Card()
    card.add_item(container)
    return card


def mention_card(t: Text) -> Card:
    """What a channel sees when a member's direct messages are closed: that there is a digest, and nothing of it."""
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    said = t("Your digest is ready. I could not send it to you directly, so only you see it when you press the button.")
    container.add_item(ui.TextDisplay(said))
    row: Rows = ui.ActionRow()
    row.add_item(ui.Button[Card](label=t("Show my digest"), custom_id=PREFIX + OPEN, emoji="📰"))
    container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def _sections(content: DigestContent, t: Text) -> list[str]:
    found = []
    part = content.portfolio
    if part is not None:
        lines = [
            f"**{t('Portfolio')}**",
            f"**{says.portfolio_lead(part, t)}**",
            says.portfolio_change(part, relative, t),
            f"-# {says.portfolio_size(part, t)}",
        ]
        lines += [f"- {says.holding_line(line, _short, t)}" for line in part.lines]
        found.append("\n".join(lines))
    if not content.follows and not content.alerts_total:
        return [*found, says.empty(t)]
    home = _home([*content.movers, *content.busiest])
    # Line by line: unlike a table, that fits every width.
    use = content.audience == "member"
    moved = [says.mover_line(line, home, _short, t, use=use) for line in content.movers]
    found.append("\n".join([f"**{says.movers_heading(content, t)}**", *(moved or [says.no_movers(content, t)])]))
    if content.busiest:
        busy = [says.busy_line(line, home, _short, t) for line in content.busiest]
        found.append("\n".join([f"**{t('Rented most')}**", *busy]))
    if content.alerts_total:
        lines = [f"**{says.alerts_heading(content, t)}**"]
        lines += [f"- {says.alert_line(line, relative, t)}" for line in content.alerts]
        if rest := says.more_alerts(content, t):
            lines.append(f"-# {rest}")
        found.append("\n".join(lines))
    return found


def _short(text: str) -> str:
    return plain(text, 48)


def _home(lines: Sequence[MoverLine]) -> str | None:
    """The platform that most of the models are on."""
    return Counter(line.platform for line in lines).most_common(1)[0][0] if lines else None


def _places(content: DigestContent, t: Text) -> str | None:
    """Which platform is meant where none is named; None where all are on one."""
    lines = [*content.movers, *content.busiest]
    home = _home(lines)
    if len({line.platform for line in lines}) < 2:
        return None
    name = next(line.platform_name for line in lines if line.platform == home)
    return t("{platform} where no place is named", platform=plain(name, 40))


def _prices(lines: Sequence[MoverLine]) -> Rows | None:
    """Buttons to the price cards of the first few; each who clicks gets a card of his own."""
    row: Rows = ui.ActionRow()
    seen: set[str] = set()
    for line in lines:
        if line.gpu in seen or len(seen) == _BUTTONS:
            continue
        seen.add(line.gpu)
        state = PriceState(0, line.gpu, line.platform, line.region)
        row.add_item(ui.Button[Card](label=line.name[:80], custom_id=pack(state, PriceAction.REFRESH)))
    return row if seen else None


def _own_row(t: Text, *, preview: bool) -> Rows:
    row: Rows = ui.ActionRow()
    row.add_item(ui.Button[Card](label=t("Change digest"), custom_id=PREFIX + PANEL, emoji="⚙️"))
    if not preview:
        row.add_item(ui.Button[Card](label=t("Stop digest"), custom_id=PREFIX + STOP, emoji="🔕"))
    return row


def _small(content: DigestContent, t: Text) -> list[str]:
    said = says.small_print(content, t)
    if places := _places(content, t):
        said.append(places)
    if content.sources and content.as_of is not None and (content.portfolio or content.movers or content.busiest):
        names = ", ".join(link(name, url) for name, url in content.sources)
        when = t("as of {when}", when=relative(content.as_of))
        said.append(f"{t('Source: {source}', source=names)} · {when}")
    return said
