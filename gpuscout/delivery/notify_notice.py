"""Notices: what members are told about how they are reached. Rendered by name; other rooms add theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from config.i18n import Text
from gpuscout.cards.kit import WARNING
from gpuscout.cards.page import Page, page_card
from gpuscout.delivery.channels import Letter, Message, Renderer
from gpuscout.delivery.notify import DM_OFF
from gpuscout.delivery.notify_refused import CHANNEL_REFUSED, channel_refused
from storage.attempts import Notification

NoticeRenderer = Callable[[Mapping[str, Any], Letter], Awaitable[Message | None]]
"""Makes the message of one notice, from its payload."""


def notice_renderer(
    more: Mapping[str, NoticeRenderer] | None = None, *, whole: Mapping[str, Renderer] | None = None
) -> Renderer:
    """The renderer of the kind ``notice``.

    Args:
        more: further notices by the ``notice`` of their payload; of several in one message the newest is told.
        whole: notices by the ``type`` of their payload that tell of all their items.
    """
    known: dict[str, NoticeRenderer] = {DM_OFF: _dm_off, CHANNEL_REFUSED: channel_refused, **(more or {})}
    of_type = dict(whole or {})

    async def render(told: Notification, letter: Letter) -> Message | None:
        newest = told.items[-1]
        if (kind := newest.get("type")) in of_type:
            return await of_type[str(kind)](told, letter)
        return await known[str(newest["notice"])](newest, letter)

    return render


async def _dm_off(_payload: Mapping[str, Any], letter: Letter) -> Message:
    return Message(card=page_card(dm_off_page(letter.t)))


def dm_off_page(t: Text) -> Page:
    """What a member is told whose direct messages do not arrive."""
    return Page(
        t("Direct messages are switched off"),
        [
            t(
                "I could not send you a direct message three times in a row, so I have stopped trying. I now tell you "
                "through the other channels that you chose in `/settings`."
            ),
            t(
                "To get direct messages again: allow them from members of a server that we share (Discord's privacy "
                "settings of that server), then switch them on in `/settings`."
            ),
        ],
        colour=WARNING,
    )
