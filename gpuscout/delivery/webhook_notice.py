"""The notice that a webhook was switched off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuscout.cards.page import page_card
from gpuscout.cards.webhook_text import off_page
from gpuscout.delivery.channels import Letter, Message
from storage.webhooks_model import OffReason


async def webhook_off(payload: Mapping[str, Any], letter: Letter) -> Message:
    """The message for the member who made the webhook."""
    reason: OffReason = "gone" if payload.get("reason") == "gone" else "failing"
    return Message(card=page_card(off_page(str(payload.get("shown", "")), reason, letter.t)))
