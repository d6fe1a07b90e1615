"""``/help``: a menu of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards.kit import Card
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.state import BadState

PREFIX: Final = "help1|"
READING: Final = "reading"
_CHUNK: Final = 8
"""Commands in one block of text, which is cut beyond some length."""
_FEW: Final = 4


@dataclass(frozen=True, slots=True)
class HelpEntry:
    """One command as help shows it: a clickable mention, what comes out, and its category's key."""

    mention: str
    description: str
    category: str


def categories(t: Text) -> dict[str, tuple[str, str]]:
    """Key → (title, one line about it), in the order of the menu."""
    return {
        "market": (t("Prices and history"), t("What GPUs rent for, and how that moved")),
        "rigs": (t("Your rigs"), t("What they should bring, payback, advice")),
        "alerts": (t("Alerts and messages"), t("What I tell you by myself, when, and where")),
        "yours": (t("Yours"), t("What you follow, your settings, your data")),
        "server": (t("Your server"), t("For admins: where I answer, feed, digest, alerts, defaults")),
        "bot": (t("GPUScout itself"), t("Is it well, who makes it, where to get help")),
        READING: (t("How to read a card"), t("What the figures mean and do not mean")),
    }


def check_category(key: str, t: Text) -> str:
    """*key* when it is a category.

    Raises:
        BadState: it is none.
    """
    if key not in categories(t):
        raise BadState("unknown help category")
    return key


def help_page(entries: Sequence[HelpEntry], category: str | None, methodology: str, t: Text) -> Page:
    """One category, or the overview of all commands when *category* is None."""
    if category == READING:
        return Page(t("How to read a card"), [_reading(t)], footer=None, links=[(t("Methodology"), methodology)])
    names = categories(t)
    groups = {key: [entry for entry in entries if entry.category == key] for key in names}
    if category is not None:
        sections = [
            "\n".join(f"{entry.mention} – {entry.description}" for entry in groups[category][first : first + _CHUNK])
            for first in range(0, len(groups[category]), _CHUNK)
        ]
        return Page(names[category][0], sections, footer=_footer(t))
    sections = [t("I watch what GPUs rent for, keep the history, and tell hosts what theirs should earn.")]
    sections += [f"**{names[key][0]}**\n{_overview(group, names[key][1])}" for key, group in groups.items() if group]
    return Page(t("Help"), sections, footer=_footer(t))


def _overview(group: Sequence[HelpEntry], about: str) -> str:
    """Few commands each with its line; of many the names alone, for the menu tells the rest."""
    if len(group) <= _FEW:
        return "\n".join(f"{entry.mention} – {entry.description}" for entry in group)
    return f"{about}\n" + " · ".join(entry.mention for entry in group)


def _footer(t: Text) -> str:
    return t("You can also mention me: “price RTX 4090 vast”.")


def help_card(entries: Sequence[HelpEntry], category: str | None, methodology: str, t: Text) -> Card:
    """The page with its menu."""
    menu: ui.Select[Card] = ui.Select(
        custom_id=f"{PREFIX}menu",
        placeholder=t("What would you like to know?"),
        options=[
            discord.SelectOption(label=title[:100], description=about[:100], value=key, default=key == category)
            for key, (title, about) in categories(t).items()
        ],
    )
    return page_card(help_page(entries, category, methodology, t), ui.ActionRow(menu))


def _reading(t: Text) -> str:
    lines = (
        t("**Price** is the median of all listed GPUs, what a renter pays for one GPU for an hour."),
        t("**Hosts get** their share of it: the platform keeps the rest."),
        t("**p10–p90**: a tenth of the GPUs is cheaper than p10, a tenth dearer than p90."),
        t("**Rented** prices are present listings of rented machines, not what their contracts say."),
        t("**Utilization** is rented GPUs over all listed ones."),
        t("**Demand** (0 to 100) sums up the rented share, its trend, the price gap and the supply."),
        t("**Thin sample** means fewer than 10 GPUs: a hint, not a market."),
    )
    return "\n".join(f"- {line}" for line in lines)
