"""A plain page of text, as a card or as an embed: the shape of status, help and about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import discord
from discord import ui

from gpuscout.cards.kit import ACCENT, Card, Rows, fit


@dataclass(frozen=True, slots=True)
class Page:
    """Text in sections.

    Attributes:
        title: Heading, without markup of its own.
        sections: Blocks of text with markup.
        footer: Small print, or None.
        colour: Accent.
        links: (label, address) of link buttons; at most five.
    """

    title: str
    sections: Sequence[str]
    footer: str | None = None
    colour: int = ACCENT
    links: Sequence[tuple[str, str]] = ()


def page_card(page: Page, *rows: Rows) -> Card:
    """The page as a layout, with further *rows* of controls below."""
    container: ui.Container[Card] = ui.Container(accent_colour=page.colour)
    container.add_item(ui.TextDisplay(f"## {page.title}"))
    for number, section in enumerate(page.sections):
        if number:
            container.add_item(ui.Separator())
        container.add_item(ui.TextDisplay(fit(section.split("\n"), 1500)))
    if page.footer:
        container.add_item(ui.TextDisplay(f"-# {page.footer}"))
    if page.links:
        buttons = [ui.Button[Card](label=label[:80], url=url) for label, url in page.links[:5]]
        container.add_item(ui.ActionRow(*buttons))
    for row in rows:
        container.add_item(row)
    card = Card()
    card.add_item(container)
    return card


def page_embed(page: Page) -> discord.Embed:
    """The page as one embed, its links in the text."""
    lines = [*page.sections]
    if page.links:
        lines.append(" · ".join(f"[{label}](<{url}>)" for label, url in page.links))
    embed = discord.Embed(title=page.title, description=fit("\n\n".join(lines).split("\n"), 4000), colour=page.colour)
    if page.footer:
        embed.set_footer(text=page.footer[:2048])
    return embed
