"""The first DM goes out when a member asks to be told something: it opens the channel, and shows whether DMs arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, Protocol

import structlog

from config.i18n import Text
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.cards.page import Page, page_card
from gpuscout.delivery.channels import Message, NotSent, Sender
from gpuscout.delivery.ports import DeliveryFailed, Mentions

log = structlog.get_logger(__name__)

SECONDS: Final = 6.0
"""How long a member waits for the answer; the DM may still arrive afterwards."""

Reach = Literal["works", "closed", "unknown"]
"""Whether DMs arrive: surely; surely not; nobody could say now (they are tried when there is something to tell)."""


class OptIn(Protocol):
    """What cogs ask when a member makes his first alert or digest."""

    async def ask(self, member_id: int, t: Text) -> Reach:
        """Send the first DM if none has arrived yet, and say whether DMs work. Never raises for Discord's sake."""
        ...


class DmOptIn:
    """Implements :class:`OptIn`.

    Args:
        discord: gives the sender; None where no token is set.
        mentions: commands as something to click.
    """

    def __init__(
        self, choices: DeliveryChoices, discord: Sender, mentions: Mentions, *, clock: Callable[[], datetime]
    ) -> None:
        self._choices = choices
        self._discord = discord
        self._mentions = mentions
        self._clock = clock

    async def ask(self, member_id: int, t: Text) -> Reach:
        """See :class:`OptIn`."""
        choice = await self._choices.get(member_id)
        if choice.dm_off_at is not None:
            return "closed"
        if choice.dm_opened_at is not None and not choice.dm_failures:
            return "works"
        try:
            async with asyncio.timeout(SECONDS):
                sender = await self._discord()
                if sender is None:
                    return "unknown"
                message = Message(card=page_card(hello_page((await self._mentions())("settings"), t)))
                # The minute keeps two quick clicks from two DMs, and lets a member try again who has opened them.
                await sender.to_member(member_id, message, f"in{member_id}{self._clock():%H%M}")
        except NotSent as error:
            log.info("dm_opt_in_failed", outcome=error.outcome, detail=str(error))
            if not error.closed:
                return "unknown"
            await self._choices.note_dm_failure(member_id)
            return "closed"
        except (TimeoutError, DeliveryFailed) as error:
            log.info("dm_opt_in_failed", outcome="unknown", detail=str(error) or "no answer in time")
            return "unknown"
        await self._choices.note_dm_ok(member_id)
        await self._choices.note_dm_opened(member_id)
        return "works"


class NoOptIn:
    """Where nothing can be sent."""

    async def ask(self, member_id: int, t: Text) -> Reach:
        """See :class:`OptIn`."""
        return "unknown"


def hello_page(settings: str, t: Text) -> Page:
    """The first direct message; *settings* is the command."""
    return Page(
        "👋 " + t("This is where I will tell you"),
        [
            t(
                "You asked me to tell you when something happens. It arrives here, once, at the right moment. Other "
                "channels, quiet hours and what you want to hear: {settings}.",
                settings=settings,
            )
        ],
    )
