"""The project's own Markdown pages as HTML that a strict Content-Security-Policy accepts."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources

from markdown_it import MarkdownIt
from markdown_it.token import Token

_ALIGN = re.compile(r"text-align:\s*(left|right|center)")


def read_methodology() -> str:
    """The methodology page; it lives in the package, so that a checkout and an installed wheel both carry it.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    return resources.files("gpuscout.market").joinpath("methodology.md").read_text(encoding="utf-8")


def render(text: str) -> str:
    """Markdown (CommonMark and tables) as HTML. Raw HTML in it is shown as text; headings get ids to link to."""
    tokens = _parser().parse(text)
    taken: set[str] = set()
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", _anchor(tokens[index + 1], taken))
        # Inline styles are what the policy forbids; the style sheet has classes for them.
        style = token.attrs.pop("style", None)
        if style is not None and (match := _ALIGN.search(str(style))):
            token.attrJoin("class", f"align-{match[1]}")
    parser = _parser()
    return str(parser.renderer.render(tokens, parser.options, {}))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _anchor(inline: Token, taken: set[str]) -> str:
    """``Which machines count?`` → ``which-machines-count``, with a number behind it when that is taken."""
    words = unicodedata.normalize("NFKD", inline.content).encode("ascii", "ignore").decode().lower()
    base = "-".join(re.findall(r"[a-z0-9]+", words)) or "section"
    anchor, number = base, 2
    while anchor in taken:
        anchor, number = f"{base}-{number}", number + 1
    taken.add(anchor)
    return anchor
