"""What a mail is made of, which kinds there are, and which of them a member can decline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

MailKind = Literal["confirm", "welcome1", "welcome2", "welcome3", "digest", "alert", "notice", "security", "billing"]
KINDS: Final[tuple[MailKind, ...]] = get_args(MailKind)
Group = Literal["onboarding", "reports", "alerts"]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
GROUP_OF: Final[dict[MailKind, Group]] = {
    "welcome1": "onboarding",
    "welcome2": "onboarding",
    "welcome3": "onboarding",
    "digest": "reports",
    "alert": "alerts",
    "notice": "alerts",
}
"""What a member can decline by itself. The other kinds belong to his account: they end when e-mail is switched off."""

Tone = Literal["info", "good", "warning", "critical"]
MAX_SUBJECT: Final = 150


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text. Nothing in it is markup; ``url`` makes it a link."""

    text: str
    bold: bool = False
    small: bool = False
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text in one flow."""

    spans: tuple[Span, ...]
    type: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True, slots=True)
class Heading:
    """A title within the mail."""

    text: str
    type: Literal["heading"] = "heading"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with what stands behind them."""

    rows: tuple[tuple[str, tuple[Span, ...]], ...]
    type: Literal["facts"] = "facts"


@dataclass(frozen=True, slots=True)
class Listing:
    """Points of a list."""

    items: tuple[tuple[Span, ...], ...]
    type: Literal["list"] = "list"


@dataclass(frozen=True, slots=True)
class Table:
    """Lines in a fixed width."""

    lines: tuple[str, ...]
    type: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Button:
    """The one thing to do."""

    label: str
    url: str
    type: Literal["button"] = "button"


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that travels with the mail. ``name`` is its content id."""

    name: str
    alt: str
    type: Literal["picture"] = "picture"


Block = Paragraph | Heading | Facts | Listing | Table | Button | Picture


@dataclass(frozen=True, slots=True)
class Attachment:
    """The bytes of a :class:`Picture`."""

    name: str
    media: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailContent:
    """A mail before it is rendered.

    Attributes:
        preheader: the line that mail programs show beside the subject.
        reason: why the receiver gets this mail; the footer says it.
    """

    subject: str
    title: str
    blocks: Sequence[Block]
    reason: str
    preheader: str = ""
    tone: Tone = "info"
    pictures: Sequence[Attachment] = ()

    def data(self) -> dict[str, Any]:
        """The content as JSON, for a dynamic template."""
        return {
            "subject": one_line(self.subject),
            "title": self.title,
            "preheader": self.preheader,
            "tone": self.tone,
            "reason": self.reason,
            "blocks": [{**asdict(block), block.type: True} for block in self.blocks],
        }


@dataclass(frozen=True, slots=True)
class Footer:
    """What stands below every mail.

    Attributes:
        preferences: page where the receiver chooses what he gets; None where there is none yet.
        unsubscribe: address that takes this mail's group off in one click; None where it cannot be declined by itself.
        notes: sentences about this copy, such as that it may be the second one.
    """

    sender: str
    site: str
    contact: str | None = None
    preferences: str | None = None
    unsubscribe: str | None = None
    notes: Sequence[str] = ()


def one_line(text: str, limit: int = MAX_SUBJECT) -> str:
    """*text* without line breaks or control characters: nothing in it begins a new header."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def say(text: str, *, bold: bool = False, small: bool = False) -> Paragraph:
    """A paragraph of plain text."""
    return Paragraph((Span(text, bold=bold, small=small),))


def fact(name: str, value: str, *, bold: bool = False) -> tuple[str, tuple[Span, ...]]:
    """One row of :class:`Facts`."""
    return name, (Span(value, bold=bold),)
