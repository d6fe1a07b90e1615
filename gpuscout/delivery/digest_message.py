"""Notifications of kind ``digest`` as messages."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from config.i18n import Text, translator_for
from gpuscout.cards.digest_card import digest_card, mention_card
from gpuscout.cards.digest_chart import digest_chart
from gpuscout.cards.digest_text import title
from gpuscout.cards.price_card import ChartFile
from gpuscout.charts.alt import alt_text
from gpuscout.delivery.channels import Letter, Message, Picture, Renderer
from gpuscout.delivery.ports import Charts
from gpuscout.digests.models import DigestContent, merged, read_content
from storage.attempts import Notification

log = structlog.get_logger(__name__)

CHART_SECONDS: Final = 10.0


def digest_renderer(charts: Charts | None) -> Renderer:
    """The renderer of the kind ``digest``.

    Args:
        charts: None: digests have no picture.
    """

    async def render(told: Notification, letter: Letter) -> Message:
        content = merged([read_content(item) for item in told.items])
        t = translator_for(content.locale)
        if letter.via == "mention":
            return Message(card=mention_card(t))
        picture = await digest_picture(content, charts, t)
        shown = ChartFile(picture.filename, picture.description) if picture else None
        card = digest_card(content, shown, t)
        return Message(card=card, pictures=[picture] if picture else [])

    return render


async def digest_picture(content: DigestContent, charts: Charts | None, t: Text) -> Picture | None:
    """The digest's chart, or None: a digest without a picture is still one."""
    if charts is None:
        return None
    try:
        spec = digest_chart(content, t)
        if spec is None:
            return None
        async with asyncio.timeout(CHART_SECONDS):
            image = await charts.render(spec)
    except Exception:
        log.warning("digest_without_chart", title=title(content, t), exc_info=True)
        return None
    return Picture(f"digest.{image.extension}", image.data, alt_text(spec))
