"""What is known about the services we depend on, for ``/status``, metrics and the operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import structlog

from config.logging import redact_text

log = structlog.get_logger(__name__)

_LONGEST_MESSAGE = 200
_QUERY = re.compile(r"(?<=[\w/])\?\S+")
_NAMED_SECRET = re.compile(r"(?i)\b(\w*(?:token|secret|passw(?:or)?d|key|authorization))(\s*[=:]\s*)\S+")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def safe_message(text: str) -> str:
    """``text`` as one line of at most 200 characters without query strings or credentials."""
    line = " ".join("".join(ch if ch.isprintable() else " " for ch in text[:2000]).split())
    line = _NAMED_SECRET.sub(r"\1\2[redacted]", redact_text(_QUERY.sub("?…", line)))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[: _LONGEST_MESSAGE - 1]}…"


class HealthState(StrEnum):
    """Unknown: not tried yet. Degraded: failing at times, or answering poorly."""

    UNKNOWN = "unknown"
    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class DependencyHealth:
    """One dependency at one moment. Times are aware UTC.

    Attributes:
        name: The dependency.
        state: Its state.
        last_success: When it last answered well, or None.
        last_failure: When it last failed, or None.
        consecutive_failures: Failures since the last success.
        failing_since: First failure since the last success, or None.
        down_since: When it was first held to be down in this stretch, or None.
        message: Last trouble in words, without secrets; empty when there is none.
        latency: Seconds that the last success took, when known.
    """

    name: str
    state: HealthState = HealthState.UNKNOWN
    last_success: datetime | None = None
    last_failure: datetime | None = None
    consecutive_failures: int = 0
    failing_since: datetime | None = None
    down_since: datetime | None = None
    message: str = ""
    latency: float | None = None


Listener = Callable[[DependencyHealth, DependencyHealth], None]


class HealthBoard:
    """Keeps the health of each dependency and tells listeners when a state changes."""

    def __init__(self, *, down_after: int = 3, clock: Callable[[], datetime] = _utc_now) -> None:
        """Args:
        down_after: Consecutive failures from which a dependency counts as down.
        clock: The present moment, aware; for tests.
        """
        if down_after < 1:
            raise ValueError("down_after must be at least 1")
        self._down_after = down_after
        self._clock = clock
        self._board: dict[str, DependencyHealth] = {}
        self._listeners: list[Listener] = []

    def register(self, name: str) -> None:
        """Show ``name`` on the board before it is first used."""
        self._board.setdefault(name, DependencyHealth(name))

    def get(self, name: str) -> DependencyHealth:
        """The health of ``name``; unknown when nothing was reported."""
        return self._board.get(name) or DependencyHealth(name)

    def snapshot(self) -> dict[str, DependencyHealth]:
        """All dependencies by name, in alphabetical order."""
        return dict(sorted(self._board.items()))

    def success(self, name: str, latency: float | None = None) -> None:
        """``name`` answered well, after ``latency`` seconds."""
        self._store(
            replace(
                self.get(name),
                state=HealthState.OK,
                last_success=self._clock(),
                consecutive_failures=0,
                failing_since=None,
                down_since=None,
                message="",
                latency=latency,
            )
        )

    def failure(self, name: str, reason: str) -> None:
        """``name`` failed; ``reason`` is in words."""
        old, now = self.get(name), self._clock()
        failures = old.consecutive_failures + 1
        down = failures >= self._down_after
        self._store(
            replace(
                old,
                state=HealthState.DOWN if down else HealthState.DEGRADED,
                last_failure=now,
                consecutive_failures=failures,
                failing_since=old.failing_since or now,
                down_since=(old.down_since or now) if down else None,
                message=safe_message(reason),
            )
        )

    def degraded(self, name: str, reason: str) -> None:
        """``name`` answers, but poorly: its data stand still, say. A success clears it."""
        old = self.get(name)
        if old.state is not HealthState.DOWN:
            self._store(replace(old, state=HealthState.DEGRADED, message=safe_message(reason)))

    def add_listener(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener(old, new)`` at each change of state; the result removes it again."""
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    def _store(self, new: DependencyHealth) -> None:
        old = self.get(new.name)
        self._board[new.name] = new
        if old.state is new.state:
            return
        for listener in tuple(self._listeners):
            try:
                listener(old, new)
            except Exception:
                log.exception("health_listener_failed", dependency=new.name)


class OutageWatch:
    """Tells of a lasting failure once, and once of its end.

    Keeps no clock of its own and can be stored between restarts, so that a restart in the
    middle of an outage neither repeats the notice nor starts the count anew.
    """

    def __init__(self, threshold: timedelta = timedelta(minutes=30)) -> None:
        """Args:
        threshold: How long the failure must last without a break before it is told.
        """
        self.threshold = threshold
        self._failing_since: datetime | None = None
        self._told = False

    @property
    def failing_since(self) -> datetime | None:
        """When the present stretch of failures began, or None."""
        return self._failing_since

    def observe(self, ok: bool, now: datetime) -> Literal["outage", "recovered"] | None:
        """Take in one result.

        Args:
            ok: Whether the service worked.
            now: The moment, aware.

        Returns:
            ``"outage"`` once the failure has lasted for the threshold, ``"recovered"`` at
            the first success after that notice, else None.
        """
        if now.tzinfo is None:
            raise ValueError("the moment of an observation must carry its time zone")
        if ok:
            told, self._told, self._failing_since = self._told, False, None
            return "recovered" if told else None
        # A clock set back restarts the count rather than stretching it.
        if self._failing_since is None or now < self._failing_since:
            self._failing_since = now
        if not self._told and now - self._failing_since >= self.threshold:
            self._told = True
            return "outage"
        return None

    def export_state(self) -> dict[str, Any]:
        """The state as JSON-ready values."""
        since = self._failing_since
        return {"failing_since": since.astimezone(UTC).isoformat() if since else None, "told": self._told}

    def import_state(self, state: Mapping[str, Any]) -> None:
        """Go on from an exported state.

        Raises:
            ValueError: The state is not one that `export_state` gives.
        """
        since, told = state.get("failing_since"), state.get("told")
        if type(told) is not bool or (since is not None and type(since) is not str):
            raise ValueError("not the state of an outage watch")
        moment = datetime.fromisoformat(since) if since is not None else None
        if moment is not None and moment.tzinfo is None:
            raise ValueError("the stored moment carries no time zone")
        self._failing_since, self._told = moment, told
