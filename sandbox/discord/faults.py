"""What a test can break on purpose, and the record of what the bot asked for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: Recorded REST calls kept.
MAX_RECORDS = 5000


@dataclass(slots=True)
class RouteFault:
    """A number of answers to replace on the routes that match.

    ``route`` matches when it equals, or is part of, ``"METHOD /route/{template}"`` or
    ``"METHOD /actual/path"``.

    Attributes:
        lost: the request is served as usual, but its answer never arrives: the connection is closed.
    """

    route: str
    times: int = 1
    status: int = 429
    retry_after: float = 0.1
    code: int = 0
    is_global: bool = False
    lost: bool = False

    def matches(self, method: str, template: str, path: str) -> bool:
        """Whether the fault is for this request and not yet used up."""
        here = (f"{method} {template}", f"{method} {path}")
        return self.times > 0 and any(self.route in text for text in here)


@dataclass(slots=True)
class Faults:
    """Standing faults. ``latency_ms`` delays every REST answer; ``age_interactions_ms`` dates
    new interactions back, as if they had been long on the way."""

    routes: list[RouteFault] = field(default_factory=list)
    latency_ms: float = 0.0
    age_interactions_ms: int = 0

    def take(self, method: str, template: str, path: str) -> RouteFault | None:
        """The fault that replaces this answer, counted down."""
        for fault in self.routes:
            if fault.matches(method, template, path):
                fault.times -= 1
                if fault.times <= 0:
                    self.routes.remove(fault)
                return fault
        return None


@dataclass(slots=True)
class Record:
    """One REST call of the bot."""

    method: str
    route: str
    path: str
    body: Any = None
    files: list[str] = field(default_factory=list)
    status: int = 0
    schema_errors: list[Json] = field(default_factory=list)
    lost: bool = False

    def to_json(self) -> Json:
        """The record as the control API shows it."""
        return {
            "method": self.method,
            "route": self.route,
            "path": self.path,
            "body": self.body,
            "files": self.files,
            "status": self.status,
            "schema_errors": self.schema_errors,
            "lost": self.lost,
        }


def new_log() -> deque[Record]:
    """An empty record of calls that forgets the oldest."""
    return deque(maxlen=MAX_RECORDS)
