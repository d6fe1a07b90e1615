"""The notice that a webhook was switched off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuscout.cards.page import page_card
from gpuscout.cards.webhook_text import off_page
from gpuscout.delivery.channels import Letter, Message
from storage.webhooks_model import OffReason


async def webhook_off(payload: Mapping[str, Any], letter: Letter) -> Message:
    """The message for the member who made the webhook. In a channel, others do not read whose server it is."""
    reason: OffReason = "gone" if payload.get("reason") == "gone" else "failing"
    shown = None if letter.via == "mention" else str(payload.get("shown", ""))
    page = off_page(shown, reason, letter.t)
    return Message(plain=page.title, card=page_card(page))
