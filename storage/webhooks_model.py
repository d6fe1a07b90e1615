"""Outgoing webhooks as values: an endpoint, a delivery, an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

EndpointKind = Literal["http", "discord"]
EndpointState = Literal["active", "disabled"]
OffReason = Literal["gone", "failing"]
"""Why an endpoint was switched off: it answered that it is gone, or it failed for days."""
DeliveryState = Literal["waiting", "delivered", "failed", "dropped"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a member's or a server's events are sent. Its address and secrets are not in here.

    Attributes:
        owner: ``member:<id>`` or ``guild:<id>``.
        made_by: the member who is told when it is switched off.
        shown: the address without what may be secret in it.
        gpu, platform: ``market.updated`` only for these; None: for all.
        earlier_until: until then the secret before the last rotation signs too.
        failing_since: first failure after the last success; None while it works.
    """

    id: str
    owner: str
    made_by: int | None
    kind: EndpointKind
    shown: str
    events: tuple[str, ...]
    gpu: str | None
    platform: str | None
    state: EndpointState
    reason: OffReason | None
    failing_since: datetime | None
    last_status: int | None
    last_at: datetime | None
    created_at: datetime
    earlier_until: datetime | None
    url_secret: str
    signing_secret: str | None
    earlier_secret: str | None

    @property
    def active(self) -> bool:
        """Whether events are sent to it."""
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was written."""

    id: str
    event: str
    member_id: int | None
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint."""

    id: str
    endpoint_id: str
    event_id: str
    state: DeliveryState
    attempts: int
    replays: int
    created_at: datetime
    next_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery.

    Attributes:
        milliseconds: from connecting to the end of the answer.
        status: HTTP status; None when there was no answer.
        error: why there was none: ``timeout``, ``connection``, ``tls``, ``refused``, ``dns``, ``too_large``, ….
        answer: its first kilobyte, as text, untrusted.
    """

    at: datetime
    milliseconds: int
    status: int | None
    error: str | None
    answer: str


@dataclass(frozen=True, slots=True)
class Logged:
    """A delivery in the log, with its event's name and its last attempt."""

    delivery: Delivery
    event: str
    last: Attempt | None
