"""What a notification looks like on its way to a channel, and what can come of sending it."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import discord

from config.i18n import Text
from gpuscout.cards.kit import Card
from storage.attempts import Notification

Via = Literal["dm", "mention", "channel", "email"]
"""Where a message goes: a DM; a mention in the channel where its cause was made; a server's channel; e-mail."""

NONCE_SECONDS: Final = 120.0
"""So long after the first try a repeat with the same nonce surely gives the first message. Discord says "in the past
few minutes"."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of a message; kept as bytes, so that a repeat can send it again."""

    filename: str
    data: bytes
    description: str = ""

    def file(self) -> discord.File:
        """The file, ready to be sent once."""
        return discord.File(io.BytesIO(self.data), filename=self.filename, description=self.description[:1024] or None)


@dataclass(frozen=True, slots=True)
class Message:
    """A rendered notification: an embed with classic buttons, or a card.

    Attributes:
        text: said above it.
        plain: the whole in one plain sentence or two, for push notices of a mention and plain e-mail.
        embeds, view: an embed message and its buttons; None for a card.
        card: a layout of Components V2.
    """

    text: str = ""
    plain: str = ""
    embeds: Sequence[discord.Embed] = ()
    view: discord.ui.View | None = None
    card: Card | None = None
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """How a notification is to be rendered.

    Attributes:
        via: where it goes. A mention is read by everybody in the channel: nothing of the member's own in it.
        t: texts in the reader's language.
        timezone: IANA name of his zone.
    """

    via: Via
    t: Text
    timezone: str


Renderer = Callable[[Notification, Letter], Awaitable[Message | None]]
"""Makes the message of one kind of notification; None: there is nothing to tell (it is dropped)."""
Renderers = Mapping[str, Renderer]


class NotSent(Exception):
    """A try that did not end with a message that is known to be there.

    Attributes:
        outcome: ``refused``: never will be (this way); ``failed``: surely was not sent, may be later; ``unknown``: the
            answer was lost, so it may be there.
        closed: the member's DMs are closed to us.
        ours: what we sent was refused as malformed: a defect of ours.
        retry_after: seconds that the service asked us to wait.
    """

    def __init__(
        self,
        outcome: Literal["refused", "failed", "unknown"],
        detail: str,
        *,
        closed: bool = False,
        ours: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.closed = closed
        self.ours = ours
        self.retry_after = retry_after


class DiscordSender(Protocol):
    """Sends messages over Discord's REST API."""

    async def to_member(self, member_id: int, message: Message, nonce: str) -> int:
        """Send a DM; the message's id.

        Raises:
            NotSent: see there.
        """
        ...

    async def to_channel(
        self, channel_id: int, message: Message, nonce: str, *, user: int | None = None, role: int | None = None
    ) -> int:
        """Post to a channel, mentioning *user* or *role* and nobody else; the message's id.

        Raises:
            NotSent: see there.
        """
        ...


class MailSender(Protocol):
    """The last resort: e-mail to a confirmed address."""

    async def address(self, member_id: int) -> str | None:
        """Where the member may be written to; None: nowhere."""
        ...

    async def send(self, notification: Notification, address: str, letter: Letter, message: Message) -> str:
        """Send *message* as a mail; our id of the mail.

        Raises:
            NotSent: see there.
        """
        ...


Sender = Callable[[], Awaitable[DiscordSender | None]]
"""The Discord sender; None where no token is set."""


def nonce_of(notification_id: str, via: Via) -> str:
    """The same for every try of one notification through one channel; at most 25 characters."""
    return f"{notification_id}{via[0]}"[:25]


def with_line(message: Message, line: str, *, first: bool) -> dict[str, Any]:
    """Arguments of discord.py's ``send`` for *message*, with a *line* of text above (*first*) or below a card.

    An embed's line is the message's content; where there is none, the content stays empty.
    """
    if message.card is not None:
        if line:
            display: discord.ui.TextDisplay[Any] = discord.ui.TextDisplay(line)
            children = list(message.card.children)
            message.card.clear_items()
            for child in [display, *children] if first else [*children, display]:
                message.card.add_item(child)
        return {"view": message.card}
    sent: dict[str, Any] = {"content": line[:2000] or None, "embeds": list(message.embeds)}
    if message.view is not None:
        sent["view"] = message.view
    return sent
