"""A message as Discord shows it, turned into a mail: the same words, without Discord's markup."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.delivery.channels import Message, Picture
from gpuscout.delivery.mail.models import (
    Attachment,
    Block,
    Facts,
    Heading,
    Listing,
    Paragraph,
    Span,
    Table,
    Tone,
)
from gpuscout.delivery.mail.models import Picture as Shown

_MARK = re.compile(
    r"\\(?P<escaped>[\\*_~|`#>\[\]<])"
    r"|\*\*(?P<bold>(?:\\.|[^*\\])+)\*\*"
    r"|`(?P<code>[^`]+)`"
    r"|\[(?P<name>(?:\\.|[^\]\\])+)\]\(<?(?P<url>https?://[^\s<>()\"']+)>?\)"
    r"|<t:(?P<time>-?\d{1,12})(?::(?P<style>[a-zA-Z]))?>"
    r"|</(?P<command>[^:>]{1,100}):\d+>"
    r"|<a?:(?P<emoji>\w+):\d+>"
    r"|<(?:@[!&]?|#)\d+>"
)
_ESCAPED = re.compile(r"\\([\\*_~|`#>\[\]<])")
_FENCE = re.compile(r"```(?:\w*\n)?(.*?)```", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-•*]|\d+[.)])\s+")
_HEADING = re.compile(r"^#{1,3}\s+")
_TONES: Final[dict[str, Tone]] = {"critical": "critical", "warning": "warning", "info": "info"}
MAX_PICTURE: Final = 2_000_000


def tone_of(severity: str) -> Tone:
    """The colour of a severity."""
    return _TONES.get(severity, "info")


def spans(line: str, t: Text, zone: str) -> tuple[Span, ...]:
    """One line of Discord's markup as runs of text. What it does not know stays as it is written."""
    small = line.startswith("-# ")
    line = (line[3:] if small else line).replace("\u200b", "")
    found: list[Span] = []
    at = 0
    for mark in _MARK.finditer(line):
        if mark.start() > at:
            found.append(Span(line[at : mark.start()], small=small))
        at = mark.end()
        if (span := _span(mark, t, zone, small)) is not None:
            found.append(span)
    if at < len(line):
        found.append(Span(line[at:], small=small))
    return tuple(_joined(found))


def _span(mark: re.Match[str], t: Text, zone: str, small: bool) -> Span | None:
    group = mark.groupdict()
    if group["escaped"] is not None:
        return Span(group["escaped"], small=small)
    if group["bold"] is not None:
        inner = "".join(span.text for span in spans(group["bold"], t, zone))
        return Span(inner, bold=True, small=small)
    if group["code"] is not None:
        return Span(group["code"], small=small)
    if group["name"] is not None:
        return Span(_ESCAPED.sub(r"\1", group["name"]), url=group["url"], small=small)
    if group["time"] is not None:
        return Span(_moment(int(group["time"]), t, zone), small=small)
    if group["command"] is not None:
        return Span(f"/{group['command']}", bold=True, small=small)
    return None  # a custom emoji or a mention says nothing outside of Discord


def _moment(seconds: int, t: Text, zone: str) -> str:
    """A mail may be read at any time, so every time in it is a point of time and no age."""
    try:
        return t.datetime(datetime.fromtimestamp(seconds, UTC), zone)
    except (OverflowError, OSError, ValueError):
        return str(seconds)


def _joined(found: Iterable[Span]) -> Iterable[Span]:
    """Neighbours of one kind as one run."""
    last: Span | None = None
    for span in found:
        same = last is not None and (last.bold, last.small, last.url) == (span.bold, span.small, span.url)
        if last is not None and same:
            last = Span(last.text + span.text, last.bold, last.small, last.url)
        else:
            if last is not None:
                yield last
            last = span
    if last is not None:
        yield last


def blocks(text: str, t: Text, zone: str) -> list[Block]:
    """Several lines of Discord's markup as blocks."""
    found: list[Block] = []
    at = 0
    for fence in _FENCE.finditer(text):
        found += _lines(text[at : fence.start()], t, zone)
        found.append(Table(tuple(line.rstrip() for line in fence.group(1).strip("\n").splitlines())))
        at = fence.end()
    return found + _lines(text[at:], t, zone)


def _lines(text: str, t: Text, zone: str) -> list[Block]:
    found: list[Block] = []
    items: list[tuple[Span, ...]] = []
    for line in [*text.splitlines(), ""]:
        if _ITEM.match(line):
            items.append(spans(_ITEM.sub("", line), t, zone))
            continue
        if items:
            found.append(Listing(tuple(items)))
            items = []
        if _HEADING.match(line):
            found.append(Heading(flat(spans(_HEADING.sub("", line), t, zone))))
        elif line.strip():
            found.append(Paragraph(spans(line.strip(), t, zone)))
    return found


def flat(runs: Sequence[Span]) -> str:
    """Runs as text alone."""
    return " ".join("".join(run.text for run in runs).split())


def message_blocks(message: Message, t: Text, zone: str) -> tuple[str | None, list[Block]]:
    """(title of the first embed or heading, everything else) of a message."""
    title: str | None = None
    found: list[Block] = []
    for embed in message.embeds:
        heading = flat(spans(embed.title or "", t, zone))
        if title is None:
            title = heading or None
        elif heading:
            found.append(Heading(heading))
        found += _embed(embed, t, zone)
    if message.card is not None:
        body = blocks("\n".join(_card_texts(message.card)), t, zone)
        if title is None and body and isinstance(body[0], Heading):
            title = body.pop(0).text  # type: ignore[union-attr]
        found += body
    if not message.embeds and message.card is None:
        found += blocks(message.text or message.plain, t, zone)
    return title, found


def _embed(embed: discord.Embed, t: Text, zone: str) -> list[Block]:
    found = blocks(embed.description or "", t, zone)
    rows = []
    for field in embed.fields:
        lines = [spans(line, t, zone) for line in str(field.value or "").splitlines() if line.strip()]
        value: list[Span] = []
        for number, line in enumerate(lines):
            value += [Span(" · "), *line] if number else line
        rows.append((flat(spans(field.name or "", t, zone)), tuple(value)))
    if embed.timestamp is not None:
        rows.append((t("Time"), (Span(t.datetime(embed.timestamp, zone)),)))
    if rows:
        found.append(Facts(tuple(rows)))
    if embed.footer.text:
        found.append(Paragraph((Span(embed.footer.text.replace("\u200b", ""), small=True),)))
    return found


def _card_texts(card: ui.LayoutView) -> Iterable[str]:
    """Everything a card says, in reading order."""
    for item in card.walk_children():
        if isinstance(item, ui.TextDisplay):
            yield item.content


def convert_pictures(pictures: Sequence[Picture]) -> tuple[list[Shown], list[Attachment]]:
    """Pictures as PNG, which every mail program shows. Slow: for a thread.

    A picture that cannot be read, or is too large for a mail, is left out: its words stand in the mail.
    """
    from PIL import Image, UnidentifiedImageError

    shown: list[Shown] = []
    attached: list[Attachment] = []
    for number, picture in enumerate(pictures[:4]):
        try:
            with Image.open(io.BytesIO(picture.data)) as image:
                written = io.BytesIO()
                image.convert("RGB").save(written, "PNG", optimize=True)
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
            continue
        if written.tell() > MAX_PICTURE:
            continue
        name = f"chart{number + 1}.png"
        shown.append(Shown(name, picture.description or ""))
        attached.append(Attachment(name, "image/png", written.getvalue()))
    return shown, attached


def plain_line(message: Message, t: Text, zone: str) -> str:
    """The message in one line, for a preheader."""
    return flat(spans(" ".join(message.plain.split()), t, zone))[:200]
