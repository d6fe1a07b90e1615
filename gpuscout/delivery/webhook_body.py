"""What a webhook carries: JSON for a program, an embed for a Discord channel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from config.i18n import Text, translator_for
from gpuscout.cards.kit import ACCENT, plain
from storage.webhooks_model import Endpoint, StoredEvent

_TITLES: Final = {
    "alert.triggered": "Alert",
    "market.updated": "The market was updated",
    "portfolio.summary": "Your portfolio",
    "subscription.updated": "Your plan changed",
}
_LINES: Final = 15
_FIELDS: Final = 9


def event_data(event: StoredEvent, endpoint: Endpoint) -> Mapping[str, Any] | None:
    """The event's data as *endpoint* gets them; None when its filters leave nothing.

    Of ``market.updated`` an endpoint may want one GPU model, one platform, or both.
    """
    data = event.data
    if event.event != "market.updated" or (endpoint.gpu is None and endpoint.platform is None):
        return data
    if endpoint.platform is not None and data.get("platform") not in (endpoint.platform, None):
        return None
    found = data.get("quotes")
    quotes: Sequence[Any] = found if isinstance(found, list) else []
    kept = [quote for quote in quotes if _wanted(quote, endpoint)]
    return {**data, "quotes": kept} if kept else None


def _wanted(quote: Any, endpoint: Endpoint) -> bool:
    if not isinstance(quote, dict):
        return False
    if endpoint.gpu is not None and quote.get("gpu") != endpoint.gpu:
        return False
    return endpoint.platform is None or quote.get("platform", endpoint.platform) == endpoint.platform


def json_body(event: StoredEvent, data: Mapping[str, Any]) -> bytes:
    """``{"id", "event", "timestamp", "data"}``: the same bytes in every attempt."""
    body = {"id": event.id, "event": event.event, "timestamp": iso(event.at), "data": data}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def discord_body(event: StoredEvent, data: Mapping[str, Any]) -> bytes:
    """A message with one embed, which mentions nobody."""
    t = translator_for(None)
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
    body = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


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
