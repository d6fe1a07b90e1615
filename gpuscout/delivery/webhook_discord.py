"""What a webhook carries for a Discord channel: an embed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

import structlog
from pydantic import ValidationError

from config.catalogue import GpuCatalogue
from config.i18n import Text, translator_for
from config.platforms import PlatformCatalogue
from gpuscout.alerts.messages import AlertItem
from gpuscout.cards.alert_message import MessageFacts, alert_message
from gpuscout.cards.alert_text import Names
from gpuscout.cards.kit import ACCENT, plain
from storage.webhooks_model import StoredEvent

log = structlog.get_logger(__name__)

_TITLES: Final = {
    "alert.triggered": "Alert",
    "market.updated": "The market was updated",
    "portfolio.summary": "Your portfolio",
    "subscription.updated": "Your plan changed",
}
_LINES: Final = 15
_FIELDS: Final = 9


class DiscordMessages:
    """Makes the messages of a Discord channel's webhook. They are in English: nobody knows who reads the channel."""

    def __init__(self, gpus: GpuCatalogue, platforms: PlatformCatalogue, *, simulated: bool = False) -> None:
        self._gpus = gpus
        self._platforms = platforms
        self._simulated = simulated
        self._t = translator_for(None)

    def body(self, event: StoredEvent, data: Mapping[str, Any]) -> bytes:
        """A message with one embed, which mentions nobody."""
        embeds = self._alert(data) if event.event == "alert.triggered" else None
        body = {"embeds": embeds or [_embed(event, data, self._t)], "allowed_mentions": {"parse": []}}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def _alert(self, data: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """The alert as its message shows it, without what is only the member's; None: it is none of this version's."""
        try:
            item = AlertItem.model_validate(data)
        except ValidationError as error:
            log.info("webhook_alert_unreadable", errors=error.error_count())
            return None
        source = self._platforms.source(item.source) if item.source else None
        facts = MessageFacts(
            names=Names(gpu=self._gpus.label_of, platform=self._platforms.name_of),
            sources={source.slug: (source.name, source.url)} if source is not None else {},
            private=False,
            simulated=self._simulated,
        )
        return [dict(embed.to_dict()) for embed in alert_message([item], facts, self._t).embeds]


def _embed(event: StoredEvent, data: Mapping[str, Any], t: Text) -> dict[str, Any]:
    embed: dict[str, Any] = {
        "title": _title(event, data),
        "color": ACCENT,
        "timestamp": event.at.astimezone(UTC).isoformat(),
        "footer": {"text": "GPUScout"},
    }
    if event.event == "market.updated":
        embed["description"] = _market(data, t)
    else:
        embed |= _plain_embed(data)
    return embed


def _title(event: StoredEvent, data: Mapping[str, Any]) -> str:
    title = _TITLES.get(event.event, event.event)
    named = data.get("title")
    if isinstance(named, str) and named.strip():
        title = plain(named, 200)
    return f"TEST · {title}" if data.get("test") is True else title


def _market(data: Mapping[str, Any], t: Text) -> str:
    quotes = [quote for quote in data.get("quotes", ()) if isinstance(quote, dict)]
    lines = [
        f"**{plain(str(quote.get('name') or quote.get('gpu')), 60)}** "
        + (t.money(float(quote["price"]), "h") if isinstance(quote.get("price"), int | float) else "–")
        + (f" · {t.percent(quote['utilization'])} used" if isinstance(quote.get("utilization"), int | float) else "")
        for quote in quotes[:_LINES]
    ]
    if len(quotes) > _LINES:
        lines.append(f"… and {len(quotes) - _LINES} more")
    where = data.get("platform")
    head = [f"-# {plain(where, 40)}, median price and utilization"] if isinstance(where, str) else []
    return "\n".join([*lines, *head]) or "No prices."


def _plain_embed(data: Mapping[str, Any]) -> dict[str, Any]:
    """A description and the simple values as fields."""
    embed: dict[str, Any] = {}
    described = data.get("description")
    if isinstance(described, str) and described.strip():
        embed["description"] = plain(described, 1500)
    fields = [
        {"name": plain(name.replace("_", " ").capitalize(), 100), "value": plain(_value(value), 200), "inline": True}
        for name, value in data.items()
        if name not in ("title", "description", "test") and isinstance(value, str | int | float) and _value(value)
    ]
    if fields:
        embed["fields"] = fields[:_FIELDS]
    return embed


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).strip()
