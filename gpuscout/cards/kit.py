"""What every card is made of: a callback-free layout, escaping, and Discord's limits."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, TypeAlias

from discord import ui

MAX_TEXT: Final = 4000
"""Characters of all text displays of one layout."""

ACCENT: Final = 0x5B8DEF
WARNING: Final = 0xE0A030
OFFLINE: Final = 0x8A8D93

Rows: TypeAlias = "ui.ActionRow[Any]"


class Stateless(ui.view.BaseView):
    """A view that is sent and forgotten."""

    def is_finished(self) -> bool:
        """Always True, which keeps discord.py from storing one view for each message ever sent."""
        return True

    def is_dispatchable(self) -> bool:
        """Always False: there is nothing here to dispatch to."""
        return False


class Card(Stateless, ui.LayoutView):
    """A layout whose components carry their whole state in their custom ids.

    It holds no callbacks, so discord.py need not remember it: clicks reach the dynamic items registered by the
    cogs, in this process or in any later one.
    """

    def __init__(self) -> None:
        super().__init__(timeout=None)


_MARKUP = re.compile(r"([\\*_~|`#>\[\]<])")
_ZERO_WIDTH = "\u200b"


def plain(text: str, limit: int = 200) -> str:
    """Text from a source or a member as harmless text: no markup, mention, link or line break.

    At most *limit* characters of it are kept. Every mark is escaped, for discord.py's own escaping leaves the second
    of two masked links alive.
    """
    one_line = " ".join(text.split())
    cut = one_line if len(one_line) <= limit else one_line[: limit - 1] + "…"
    escaped = _MARKUP.sub(r"\\\1", cut)
    return escaped.replace("@", "@" + _ZERO_WIDTH).replace("://", ":" + _ZERO_WIDTH + "//")


def code_safe(text: str, limit: int = 40) -> str:
    """Text for the inside of a code block."""
    return " ".join(text.split()).replace("`", "'")[:limit]


def code_block(lines: list[str]) -> str:
    """Lines in a fixed-width block."""
    return "```\n" + "\n".join(lines) + "\n```"


def link(name: str, url: str | None) -> str:
    """A link under an escaped name; only the name when the address is not a plain http(s) one."""
    shown = plain(name, 80)
    if url is None or not url.startswith(("https://", "http://")) or any(c in url for c in " <>()\\\n"):
        return shown
    return f"[{shown}](<{url}>)"


def relative(at: datetime) -> str:
    """A time that Discord shows as an age, in each reader's language."""
    return f"<t:{int(at.timestamp())}:R>"


def moment(at: datetime) -> str:
    """A time that Discord shows as date and time to the second, in each reader's zone."""
    seconds = int(at.timestamp())
    return f"<t:{seconds}:d> <t:{seconds}:T>"


def pad(cells: list[list[str]], gap: int = 2) -> list[str]:
    """A table as lines: the first column left, the others right, *gap* spaces between."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [
        (" " * gap)
        .join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        .rstrip()
        for row in cells
    ]


def fit(lines: list[str], limit: int = MAX_TEXT) -> str:
    """As many whole lines as fit into *limit* characters; an ellipsis stands for the rest."""
    text = "\n".join(lines)
    if len(text) <= limit:
        return text
    kept: list[str] = []
    left = limit - 2
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join([*kept, "…"])
