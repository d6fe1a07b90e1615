"""What a webhook carries for a program: the event's JSON, narrowed to what its endpoint wants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from storage.webhooks_model import Endpoint, StoredEvent


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
