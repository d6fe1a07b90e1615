"""A mail's content as responsive HTML and as plain text."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from config.i18n import Text
from gpuscout.delivery.mail.models import Footer, MailContent, Span, one_line

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent.parent / "templates"
WIDTH: Final = 72
"""Columns of the text part, RFC 5322 §2.1.1 (at most 78)."""


@lru_cache(maxsize=2)
def _environment(markup: bool) -> Environment:
    """Jinja2, loaded with the first mail."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=markup,  # noqa: S701 - off for the plain text part alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["wrapped"] = _wrapped
    made.filters["flat"] = lambda text: one_line(text, 10_000)
    made.filters["flow"] = _flow
    return made


def render_html(content: MailContent, footer: Footer, t: Text) -> str:
    """The HTML part. Everything in *content* is text: markup in it is shown, not obeyed."""
    template = _environment(True).get_template("mail.html")
    return template.render(mail=content, footer=footer, t=t, lang=t.locale.split("-")[0])


def render_text(content: MailContent, footer: Footer, t: Text) -> str:
    """The plain text part."""
    text = _environment(False).get_template("mail.txt").render(mail=content, footer=footer, t=t)
    lines = [line.rstrip() for line in text.splitlines()]
    kept = [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]
    return "\n".join(kept).strip() + "\n"


def _flow(spans: tuple[Span, ...]) -> str:
    """Spans as text, addresses behind the words that link to them."""
    shown = (span.text if span.url is None else f"{span.text} <{span.url}>" for span in spans)
    return one_line("".join(shown), 10_000)


def _wrapped(text: str, indent: str = "") -> str:
    """Lines of at most :data:`WIDTH` columns; an address is never broken."""
    import textwrap

    return textwrap.fill(
        text, WIDTH, initial_indent="", subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
