"""Which channel a notification goes through next: the member's order, what was refused, and the deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gpuscout.delivery.channels import NONCE_SECONDS, Via
from storage.attempts import Attempt, Notification

DEADLINE: Final = timedelta(minutes=15)
"""From here on e-mail may follow although the outcome of an earlier channel is unsure."""
LATE: Final = timedelta(minutes=5)
"""A message that comes this long after it was due says that it is late."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now.

    Attributes:
        via: the channel to try; None: none is left.
        may_repeat: the receiver may get a second copy.
        note: what the ledger says about it.
        again_by: when the next channel may be tried at the latest, for the wait after a failure.
    """

    via: Via | None
    may_repeat: bool = False
    note: str | None = None
    again_by: datetime | None = None


def deadline_of(told: Notification) -> datetime:
    """When e-mail may follow an unsure outcome."""
    return told.deadline_at or max(told.created_at, told.due_at) + DEADLINE


def is_late(told: Notification, now: datetime) -> bool:
    """Whether the message owes an apology; quiet hours are no lateness."""
    return now - max(told.created_at, told.due_at) > LATE


def next_step(told: Notification, channels: Sequence[Via], now: datetime) -> Step:
    """The channel to try at *now*.

    It is the first of *channels* that has not refused for good; while it fails for other reasons it is tried again and
    again, and no other Discord channel instead of it: while Discord is down, none of them works. From the deadline
    on, e-mail and Discord take turns; then the receiver may get two copies, and the notification says so.

    Args:
        channels: those that this notification can use, in the member's order.
    """
    left = [via for via in channels if not refused(told, via)]
    if not left:
        return Step(None)
    via = left[0]
    other = next((each for each in left if _service(each) != _service(via)), None)
    late = now >= deadline_of(told)
    last = _last_try(told, via)
    if late and other is not None and last is not None and (_last_try(told, other) or _NEVER) < last:
        return Step(other, True, "after the deadline, the outcome of the other channel unsure; may repeat")
    unsure = _unsure(told.attempts, via, now)
    note = "later than the nonce lasts; may repeat" if unsure else None
    return Step(via, unsure, note, None if late or other is None else deadline_of(told))


def refused(told: Notification, via: Via) -> bool:
    """Whether *via* refused this notification for good."""
    return any(attempt.channel == via and attempt.outcome == "refused" for attempt in told.attempts)


def _service(via: str) -> str:
    return "mail" if via == "email" else "discord"


def _last_try(told: Notification, via: Via) -> datetime | None:
    tries = [attempt.at for attempt in told.attempts if _service(attempt.channel) == _service(via)]
    return max(tries, default=None)


def _unsure(attempts: Sequence[Attempt], via: str, now: datetime) -> bool:
    """Whether an earlier try through *via* may have arrived and its nonce is too old to find out.

    E-mail has no nonce: each repeat after a lost answer may be a second copy.
    """
    unknown = [attempt.at for attempt in attempts if attempt.channel == via and attempt.outcome == "unknown"]
    window = NONCE_SECONDS if via != "email" else 0.0
    return bool(unknown) and (now - min(unknown)).total_seconds() > window
