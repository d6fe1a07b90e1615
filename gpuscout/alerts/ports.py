"""What cogs, cards and digests ask of alerts, and what alerts ask of other rooms.

:class:`gpuscout.alerts.alerts.Alerts` implements :class:`AlertsPort`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from gpuscout.alerts.messages import Metric
from gpuscout.alerts.rules import Manners, Owner, Rule

RuleState = Literal["active", "paused", "expired", "done", "removed"]
"""``done``: a rule that was to fire once, and did."""


@dataclass(frozen=True, slots=True)
class RuleView:
    """A stored rule.

    Attributes:
        trouble: why it was paused by us; ``channel``: the server's channel takes no post.
    """

    id: int
    owner: Owner
    rule: Rule
    state: RuleState
    created_at: datetime
    updated_at: datetime
    snoozed_until: datetime | None = None
    last_fired_at: datetime | None = None
    fires: int = 0
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Current:
    """One thing that a rule watches, as it is now.

    Attributes:
        already: whether the value is beyond the level already: then the rule fires once it came back and went again.
        levels: at which values it fires, lowest first.
        at: source time; None when the value is unknown.
        held: why a firing would be held back now: ``thin``, ``stale``, ``contradicted``, ``outlier``.
    """

    metric: Metric
    value: float | None
    already: bool
    levels: tuple[float, ...]
    gpu: str | None = None
    platform: str | None = None
    region: str = "global"
    tier: str = "on-demand"
    machine_id: int | None = None
    holding_id: str | None = None
    at: datetime | None = None
    price: float | None = None
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would watch. ``rule`` has what was left open settled: pass it to ``create``."""

    rule: Rule
    current: Sequence[Current]
    duplicate: RuleView | None = None
    used: int = 0
    limit: int | None = None

    @property
    def already(self) -> bool:
        """Whether anything is beyond its level already."""
        return any(one.already for one in self.current)


Outcome = Literal["fired", "repeated", "held", "expired", "tested", "digest"]
HeldReason = Literal[
    "thin",
    "stale",
    "contradicted",
    "outlier",
    "history",
    "cooldown",
    "snoozed",
    "unmoved",
    "polls",
    "muted",
]
"""Why a value beyond its level did not fire. ``history``: less is stored than the rule looks back on; ``unmoved``: as
at the last firing; ``polls``: not shown for enough polls yet; ``muted``: it fired, but the member wants no alerts."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver a notification."""

    at: datetime
    channel: str
    outcome: str
    detail: str | None
    message_id: str | None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What happened to a rule: a firing with its delivery, or what held it back (one entry a reason, thing and day).

    Attributes:
        count: polls that a holding back goes on for.
        level: what the value passed; None of a value that was not judged, whatever it was.
        state, sent_via, message_id, sent_at: of the notification.
    """

    at: datetime
    last_at: datetime
    outcome: Outcome
    reason: HeldReason | None
    count: int
    metric: str | None
    subject: str | None
    value: float | None
    level: float | None
    notification_id: str | None = None
    state: str | None = None
    sent_via: str | None = None
    message_id: str | None = None
    sent_at: datetime | None = None
    may_repeat: bool = False
    attempts: Sequence[Attempt] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Watched:
    """The newest evaluation of one thing that a rule watches: value, time, and the level that it waits for."""

    metric: str
    subject: str
    value: float | None
    at: datetime | None
    level: float
    waits_for: Literal["fire", "rearm"]
    direction: int
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to "why did I get this?" and to "why did I get nothing?"."""

    rule: RuleView
    entries: Sequence[LedgerEntry]
    watched: Sequence[Watched]


class Duplicate(Exception):
    """There is a rule with this condition. ``existing`` is it."""

    def __init__(self, existing: RuleView) -> None:
        self.existing = existing
        super().__init__(f"rule {existing.id} is the same")


AbsurdReason = Literal["far", "within_tick", "impossible", "no_data", "past", "not_a_member", "unknown_machine", "none"]


class Absurd(Exception):
    """A rule that could never fire, or at every poll.

    Attributes:
        reason: ``far`` (over ten times off the current value), ``within_tick`` (less than the source can show),
            ``impossible`` (a fall of 100 % and the like), ``no_data`` (nothing is known of that series), ``past`` (it
            expires before it begins), ``not_a_member`` (a server has no portfolio, watchlist or digest),
            ``unknown_machine``, ``none`` (no such holding).
        current: the current value; None when there is none.
        metric: what it is.
    """

    def __init__(self, reason: AbsurdReason, current: float | None = None, metric: Metric | None = None) -> None:
        self.reason: AbsurdReason = reason
        self.current = current
        self.metric = metric
        super().__init__(f"absurd rule: {reason} (now {current})")


class AlertsPort(Protocol):
    """Rules of members and servers. Every call names the owner; another owner's rule is as if it did not exist.

    *owner_key* is :attr:`gpuscout.alerts.rules.Owner.key`: ``m:<member>`` or ``g:<guild>``.
    """

    async def preview(self, owner: Owner, rule: Rule) -> Preview:
        """The rule settled, current values, and whether they are beyond already; nothing is stored.

        Raises:
            Absurd
        """
        ...

    async def create(self, owner: Owner, rule: Rule) -> RuleView:
        """Store a rule.

        Raises:
            Absurd, Duplicate, gpuscout.plans.limits.LimitReached
        """
        ...

    async def list(self, owner_key: str) -> Sequence[RuleView]:
        """Rules that are not removed, oldest first."""
        ...

    async def get(self, owner_key: str, rule_id: int) -> RuleView | None:
        """One rule, or None."""
        ...

    async def edit(
        self, owner_key: str, rule_id: int, rule: Rule, *, channel_id: int | None = None, role_id: int | None = None
    ) -> RuleView | None:
        """Replace a rule's condition and manners. It begins anew, as one just made. Raises as :meth:`create`."""
        ...

    async def pause(self, owner_key: str, rule_id: int) -> RuleView | None:
        """Stop watching until :meth:`resume`."""
        ...

    async def resume(self, owner_key: str, rule_id: int) -> RuleView | None:
        """Watch again, as a rule just made."""
        ...

    async def snooze(self, owner_key: str, rule_id: int, until: datetime | None) -> RuleView | None:
        """Hold its firings back until a time (the ledger says so); None ends it."""
        ...

    async def renew(self, owner_key: str, rule_id: int, expires_at: datetime | None) -> RuleView | None:
        """Give an expired (or still running) rule a new end. Raises LimitReached."""
        ...

    async def remove(self, owner_key: str, rule_id: int) -> RuleView | None:
        """Remove; it can be restored for a day."""
        ...

    async def restore(self, owner_key: str, rule_id: int) -> RuleView | None:
        """Bring a removed rule back; None when it is gone for good. Raises Duplicate, LimitReached."""
        ...

    async def why(
        self, owner_key: str, *, rule_id: int | None = None, notification_id: str | None = None, limit: int = 20
    ) -> Why | None:
        """The ledger of a rule, newest first, or of the rule behind a notification."""
        ...

    async def send_test(self, owner_key: str, rule_id: int) -> str | None:
        """A marked sample through the real path; the notification's id, None without such a rule."""
        ...

    async def mute(self, member_id: int, rule_id: int) -> bool:
        """A member does not want to hear of a server's rule; False when there is no such rule of a server."""
        ...

    async def unmute(self, member_id: int, rule_id: int) -> bool:
        """The opposite; False when it was not muted."""
        ...

    async def muted(self, member_id: int) -> Sequence[RuleView]:
        """Servers' rules that a member muted."""
        ...


def changed(rule: Rule, **manners: Any) -> Rule:
    """The rule with other manners, checked."""
    return Rule(when=rule.when, manners=Manners.model_validate({**rule.manners.model_dump(), **manners}))
