"""A server's channel that takes no alert: its alerts are paused, and whoever made them hears why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.cards.kit import WARNING
from gpuscout.cards.page import Page, page_card
from gpuscout.delivery.channels import Letter, Message
from storage.alerts import pause_channel
from storage.attempts import Notification
from storage.notifications import NotificationStore, Target

log = structlog.get_logger(__name__)

CHANNEL_REFUSED: Final = "alert_channel"
Refused = Callable[[AsyncConnection, Notification, datetime], Awaitable[None]]
"""Called in the transaction that gives up a notification to a server's channel."""


def pause_refused(notifications: NotificationStore) -> Refused:
    """Pauses the alerts of a channel that refused one, and tells the members who made them."""

    async def refused(conn: AsyncConnection, told: Notification, at: datetime) -> None:
        guild_id, channel_id = told.target.guild_id, told.target.channel_id
        if told.kind not in ("alert", "notice") or guild_id is None or channel_id is None:
            return
        by_member = await pause_channel(conn, guild_id, channel_id, at)
        for member_id, count in sorted(by_member.items()):
            if member_id:  # who was erased is not told
                await notifications.add(
                    conn,
                    Target(member_id),
                    "notice",
                    {"notice": CHANNEL_REFUSED, "channel": str(channel_id), "count": count},
                    item_key=f"{CHANNEL_REFUSED}:{told.id}:{member_id}",
                    group_key=f"notice:{CHANNEL_REFUSED}:{member_id}:{channel_id}",
                    at=at,
                )
        if by_member:
            log.warning("alerts_paused", guild=guild_id, channel=channel_id, rules=sum(by_member.values()))

    return refused


async def channel_refused(payload: Mapping[str, Any], letter: Letter) -> Message:
    """The notice to the member who made the alerts."""
    return Message(card=page_card(channel_refused_page(int(payload["channel"]), int(payload["count"]), letter)))


def channel_refused_page(channel_id: int, count: int, letter: Letter) -> Page:
    """What he is told."""
    t = letter.t
    paused = t("An alert that you made there is paused.")
    if count > 1:
        paused = t("{count} alerts that you made there are paused.", count=t.number(count))
    return Page(
        t("A channel takes no alerts"),
        [
            t(
                "I could not post an alert in {channel}: it is gone, or I may not write there.",
                channel=f"<#{channel_id}>",
            )
            + " "
            + paused,
            t(
                "To get them again: let me see the channel, send messages and embed links there, or choose another "
                "channel, then resume them in `/server alerts`."
            ),
        ],
        colour=WARNING,
    )
