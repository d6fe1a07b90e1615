"""What one met trigger means: the state machine of a rule, without any storage.

A trigger of role ``fire`` waits for its level; once it fired it becomes ``rearm``, which waits for the value to come
back by the band, and then ``fire`` again. Rules in per cent and extremes go to an **anchored** level of the price
instead, until their window has passed. Steps are two triggers around an anchor that move together. ``reset`` ends the
count of polls of a part that has not fired yet; ``follow`` moves an anchor in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

from gpuscout.alerts.bands import EPSILON, SLACK, band_of, beyond, rearm_level, tick_of
from gpuscout.alerts.messages import Metric
from gpuscout.alerts.ports import HeldReason
from gpuscout.alerts.rules import (
    WINDOWS,
    ChangeRule,
    ExtremeRule,
    FleetRule,
    MachineRule,
    NewModelRule,
    Rule,
    StepsRule,
)

Role = Literal["fire", "rearm", "reset", "follow"]
RELIABILITY_DROP: Final = 0.02
LOWEST: Final = -1e300
"""A level that every value lies above."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A row of ``alert_trigger``; ``id`` is 0 before it is stored."""

    rule_id: int
    receiver: int
    key_id: int
    direction: int
    level: float
    role: Role
    part: str
    side: int
    base: float
    id: int = 0
    home_id: int | None = None
    anchor: float | None = None
    pending: int = 0
    pending_poll: int | None = None
    fired_at: int | None = None
    fired_value: float | None = None
    wake_at: int | None = None

    def row(self) -> dict[str, Any]:
        """The columns."""
        return {name: getattr(self, name) for name in _COLUMNS}


_COLUMNS: Final = tuple(column.name for column in fields(Trigger))


@dataclass(frozen=True, slots=True)
class Seen:
    """A key's value at one poll.

    Attributes:
        at: source time, epoch seconds.
        price, price_key: median price of the same series, and the key of it; None where there is none.
    """

    key_id: int
    metric: Metric
    platform: str | None
    value: float
    at: int
    poll: int
    price: float | None = None
    price_key: int | None = None


@dataclass(slots=True)
class Outcome:
    """What follows: rows to store, rows to delete, and a firing or what held it back."""

    stored: list[Trigger] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    fired: Trigger | None = None
    repeat: bool = False
    held: HeldReason | None = None
    about: Trigger | None = None


Behaviour = Literal["level", "anchored", "step"]


def behaviour(rule: Rule) -> Behaviour:
    """How a rule goes on after it fired."""
    when = rule.when
    if isinstance(when, ChangeRule | ExtremeRule):
        return "anchored"
    if isinstance(when, StepsRule | FleetRule | NewModelRule):
        return "step"
    if isinstance(when, MachineRule) and (
        when.event in ("rented", "freed") or (when.event == "reliability" and when.level is None)
    ):
        return "step"
    return "level"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a step: where it lies, and whether it fires or only moves the anchor."""

    direction: int
    level: float
    role: Role


def step_sides(rule: Rule, anchor: float, platform: str | None) -> list[Side]:
    """The levels around an anchor."""
    when = rule.when
    if isinstance(when, StepsRule):
        amount = anchor * when.amount / 100 if when.unit == "percent" else when.amount
        # A move of one tick may be a move of nothing: prices are cut, not rounded.
        distance = max(amount, 1.5 * tick_of(platform)) - EPSILON
        return [Side(1, anchor + distance, "fire"), Side(-1, anchor - distance, "fire")]
    if isinstance(when, FleetRule):
        distance = max(abs(anchor) * when.percent / 100, 1.0) - EPSILON
        return [Side(1, anchor + distance, "fire"), Side(-1, anchor - distance, "fire")]
    if isinstance(when, NewModelRule):
        return [Side(1, anchor + 0.5, "fire")]
    if isinstance(when, MachineRule):
        match when.event:
            case "rented":
                return [Side(1, anchor + 0.5, "fire"), Side(-1, anchor - 0.5, "follow")]
            case "freed":
                return [Side(-1, anchor - 0.5, "fire"), Side(1, anchor + 0.5, "follow")]
            case "reliability":
                return [Side(-1, anchor - RELIABILITY_DROP + EPSILON, "fire"), Side(1, anchor + 0.001, "follow")]
            case _:
                pass
    raise TypeError(f"a {rule.kind} rule has no steps")


def anchored_level(rule: Rule, side: int, price: float, platform: str | None) -> float:
    """The price at which a rule that fired at *price* fires again within its window."""
    when = rule.when
    tick = tick_of(platform)
    if isinstance(when, ChangeRule):
        amount = price * when.amount / 100 if when.unit == "percent" else when.amount
        return price + side * (max(amount, tick) - EPSILON)
    if isinstance(when, ExtremeRule):
        return price + side * (max(0.01 * price, tick) - SLACK)
    raise TypeError(f"a {rule.kind} rule has no anchor")


def window_seconds(rule: Rule) -> int:
    """How long an anchored level counts."""
    when = rule.when
    if isinstance(when, ChangeRule):
        return int(WINDOWS[when.window].total_seconds())
    if isinstance(when, ExtremeRule):
        return when.days * 86_400
    raise TypeError(f"a {rule.kind} rule has no window")


def met(rule: Rule, trigger: Trigger, seen: Seen, family: Sequence[Trigger], *, snoozed: bool) -> Outcome:
    """What follows from a trigger that its key's value meets.

    Args:
        family: the rule's other triggers.
        snoozed: whether the member put the rule off.
    """
    if trigger.role == "rearm":
        return Outcome(stored=[_armed(trigger)])
    if trigger.role == "reset":
        count = [
            replace(other, pending=0)
            for other in family
            if other.role == "fire" and other.part == trigger.part and _home(other) == _home(trigger)
        ]
        return Outcome(stored=count, deleted=[trigger.id])
    if trigger.role == "follow":
        return Outcome(stored=_moved(rule, trigger, seen, family, fired=False))
    if trigger.pending_poll == seen.poll:
        return Outcome()  # this poll was counted before the work was interrupted
    if snoozed:
        return _held(replace(trigger, pending_poll=seen.poll), "snoozed")
    polls, counted = rule.polls, trigger
    if polls > 1:
        counted = replace(trigger, pending=min(trigger.pending + 1, polls), pending_poll=seen.poll)
    if polls > 1 and counted.pending < polls:
        outcome = _held(counted, "polls")
        if not any(o.role == "reset" and o.part == trigger.part and o.key_id == trigger.key_id for o in family):
            outcome.stored.append(_reset(rule, trigger, seen))
        return outcome
    if trigger.fired_at is not None and seen.at < trigger.fired_at + rule.manners.cooldown.total_seconds():
        return _held(counted, "cooldown")
    if behaviour(rule) == "anchored" and rule.manners.only_if_moved and _unmoved(rule, trigger, seen):
        return _held(counted, "unmoved")
    return Outcome(
        stored=_after(rule, trigger, seen, family),
        deleted=[o.id for o in family if o.role == "reset" and o.part == trigger.part and _home(o) == _home(trigger)],
        fired=trigger,
        about=trigger,
    )


def woken(rule: Rule, trigger: Trigger, seen: Seen, *, snoozed: bool) -> Outcome:
    """What follows from a trigger whose time has come; *seen* is the newest value of its home key."""
    if trigger.home_id is not None:
        home = replace(trigger, key_id=trigger.home_id, home_id=None, wake_at=None, pending=0, pending_poll=None)
        if beyond(seen.value, trigger.base, trigger.side):
            return Outcome(stored=[_disarmed(rule, home, seen)])
        return Outcome(stored=[_armed(home)])
    repeat = rule.manners.repeat
    if trigger.role != "rearm" or repeat is None:
        return Outcome(stored=[replace(trigger, wake_at=None)])
    later = replace(trigger, wake_at=seen.at + int(repeat.total_seconds()))
    if not beyond(seen.value, trigger.base, trigger.side):
        return Outcome(stored=[later])
    if snoozed:
        return _held(later, "snoozed")
    if rule.manners.only_if_moved and trigger.fired_value is not None:
        band = band_of(rule, seen.metric, trigger.base, seen.price, seen.platform)
        if abs(seen.value - trigger.fired_value) < band - SLACK:
            return _held(later, "unmoved")
    told = replace(later, fired_at=seen.at, fired_value=seen.value)
    return Outcome(stored=[told], fired=trigger, about=trigger, repeat=True)


def new_triggers(
    rule: Rule, rule_id: int, receiver: int, part: str, side: int, base: float, seen: Seen | None, key_id: int
) -> list[Trigger]:
    """The triggers of a part that is new: disarmed where the value is beyond already.

    Args:
        seen: the present value; None when it is unknown.
    """
    if behaviour(rule) == "step":
        if seen is None:
            # Whatever comes first is the anchor: the upper side follows any value, and both sides move.
            sides = [replace(side, level=LOWEST, role="follow") for side in step_sides(rule, 0.0, None)]
        else:
            sides = step_sides(rule, seen.value, seen.platform)
        anchor = None if seen is None else seen.value
        return [
            Trigger(rule_id, receiver, key_id, s.direction, s.level, s.role, part, s.direction, base, anchor=anchor)
            for s in sides
        ]
    fresh = Trigger(rule_id, receiver, key_id, side, base, "fire", part, side, base)
    if seen is not None and beyond(seen.value, base, side):
        return [_disarmed(rule, fresh, seen)]
    return [fresh]


def _home(trigger: Trigger) -> int:
    return trigger.home_id if trigger.home_id is not None else trigger.key_id


def _held(trigger: Trigger, reason: HeldReason) -> Outcome:
    return Outcome(stored=[trigger], held=reason, about=trigger)


def _armed(trigger: Trigger) -> Trigger:
    return replace(
        trigger, role="fire", direction=trigger.side, level=trigger.base, pending=0, pending_poll=None, wake_at=None
    )


def _disarmed(rule: Rule, trigger: Trigger, seen: Seen, **changes: Any) -> Trigger:
    band = band_of(rule, seen.metric, trigger.base, seen.price, seen.platform)
    level = rearm_level(trigger.base, trigger.side, band)
    changes |= {"role": "rearm", "direction": -trigger.side, "level": level, "pending": 0, "pending_poll": None}
    return replace(trigger, **changes)


def _reset(rule: Rule, trigger: Trigger, seen: Seen) -> Trigger:
    band = band_of(rule, seen.metric, trigger.level, seen.price, seen.platform)
    level = rearm_level(trigger.level, trigger.side, band)
    return replace(trigger, id=0, role="reset", direction=-trigger.side, level=level, wake_at=None)


def _unmoved(rule: Rule, trigger: Trigger, seen: Seen) -> bool:
    """Whether the price is still the one at which the rule fired last."""
    if trigger.fired_value is None or seen.price is None:
        return False
    band = max(0.01 * seen.price, tick_of(seen.platform)) if rule.manners.band is None else rule.manners.band
    return abs(seen.price - trigger.fired_value) < band - SLACK


def _after(rule: Rule, trigger: Trigger, seen: Seen, family: Sequence[Trigger]) -> list[Trigger]:
    """The rows of a part after it fired."""
    kind = behaviour(rule)
    if kind == "step":
        return _moved(rule, trigger, seen, family, fired=True)
    if kind == "anchored" and seen.price is not None and seen.price_key is not None:
        return [
            replace(
                trigger,
                key_id=seen.price_key,
                home_id=_home(trigger),
                direction=trigger.side,
                level=anchored_level(rule, trigger.side, seen.price, seen.platform),
                pending=0,
                pending_poll=None,
                fired_at=seen.at,
                fired_value=seen.price,
                wake_at=seen.at + window_seconds(rule),
            )
        ]
    repeat = rule.manners.repeat
    wake_at = None if repeat is None else seen.at + int(repeat.total_seconds())
    return [_disarmed(rule, trigger, seen, fired_at=seen.at, fired_value=seen.value, wake_at=wake_at)]


def _moved(rule: Rule, trigger: Trigger, seen: Seen, family: Sequence[Trigger], *, fired: bool) -> list[Trigger]:
    """Both sides of a step around the present value."""
    sides = {side.direction: side for side in step_sides(rule, seen.value, seen.platform)}
    found = []
    for row in (trigger, *(o for o in family if o.part == trigger.part and o.key_id == trigger.key_id)):
        if row.role == "reset" or row.direction not in sides:
            continue
        side = sides[row.direction]
        row = replace(row, level=side.level, role=side.role, anchor=seen.value, pending=0, pending_poll=None)
        found.append(replace(row, fired_at=seen.at, fired_value=seen.value) if fired else row)
    return found
