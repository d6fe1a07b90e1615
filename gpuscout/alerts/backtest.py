"""How often a rule would have fired: the engine's own state machine over stored history.

What is judged is :mod:`gpuscout.alerts.decide`, the code that decides live, fed with the points of a history instead of
polls. An hour of history stands for the polls in it, so a back-test never sees what happened within one: a rule whose
window is finer than two points is not judged at all.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from gpuscout.alerts.bands import beyond
from gpuscout.alerts.decide import Outcome, Seen, Trigger, met, new_triggers, woken
from gpuscout.alerts.expand import Part
from gpuscout.alerts.messages import Metric
from gpuscout.alerts.ports import changed
from gpuscout.alerts.rules import WINDOWS, ChangeRule, ExtremeRule, Rule
from gpuscout.alerts.values import CHANGES, SIZED
from gpuscout.market.models import THIN_SAMPLE, History, HistoryPoint
from gpuscout.market.rollup import DAY

SPAN: Final = timedelta(days=90)
"""How far back is judged."""
POINTS: Final = 4000
"""More than any history of that length has: nothing is thinned away before it is judged."""
LEAST: Final = timedelta(days=2)
"""Less history than this says nothing."""

Reason = Literal["too_fine", "no_history", "short", "figure", "kind"]


@dataclass(frozen=True, slots=True)
class NotJudged:
    """Why there is no back-test.

    Attributes:
        reason: ``too_fine`` (the rule's window is shorter than two points of the data), ``no_history``, ``short`` (less
            than :data:`LEAST` of it), ``figure`` (history lacks it, or does not reach back far enough), ``kind`` (of
            what the rule watches no history is kept).
        step: distance of two points, of ``too_fine``.
    """

    reason: Reason
    step: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """When the rule would have fired, and at which value and median price."""

    at: datetime
    value: float
    price: float | None
    side: int


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have done.

    Attributes:
        firings: oldest first.
        start, end: what was judged, at most :data:`SPAN`.
        covered: share of :data:`SPAN` for which the figure is known, 0 to 1.
        step: distance of two points.
        held: points that were held back because their sample was thin.
        metric: what the firings' values are.
        levels: levels of the figure that is judged, for a chart; empty where it is measured from a moving price.
        coarse: whether one point stands for several polls, or for more than the rule waits for.
    """

    firings: Sequence[Firing]
    start: datetime
    end: datetime
    covered: float
    step: timedelta
    held: int
    metric: Metric
    levels: tuple[float, ...]
    coarse: bool


def lookback(rule: Rule) -> timedelta:
    """History that is needed before the first judged point: what a change or an extreme is measured against."""
    if isinstance(rule.when, ChangeRule):
        return WINDOWS[rule.when.window]
    if isinstance(rule.when, ExtremeRule):
        return timedelta(days=rule.when.days)
    return timedelta(0)


def backtest(rule: Rule, parts: Sequence[Part], history: History, interval: timedelta) -> Backtest | NotJudged:
    """Run a rule over the history of one series.

    Args:
        rule: settled.
        parts: its parts on that series (:func:`gpuscout.alerts.expand.parts_of`).
        history: from :data:`SPAN` and :func:`lookback` before its end, not thinned.
        interval: how often the market is read.
    """
    if not parts or any(part.key.texts is None for part in parts):
        return NotJudged("kind")
    if not history.points:
        return NotJudged("no_history")
    step = history.step
    if isinstance(rule.when, ChangeRule) and WINDOWS[rule.when.window] < 2 * step:
        return NotJudged("too_fine", step)
    start = history.end - SPAN
    points = [point for point in history.points if point.price is not None or point.total]
    judged = [point for point in points if point.ts >= start.timestamp()]
    if not judged or judged[-1].ts - judged[0].ts < LEAST.total_seconds():
        return NotJudged("short")
    a_point = max(1, round(step / interval)) if interval else 1
    waits = max(1, math.ceil(rule.polls / a_point))
    course = _Course(changed(rule, for_polls=min(waits, 96), expires_at=None), parts)
    ruler = _Ruler(points, step)
    seconds = step.total_seconds()
    known: set[int] = set()
    for point in judged:
        values = {part.key.metric: ruler.value(part, point) for part in parts}
        if any(value is not None for value in values.values()):
            known.add(int(point.ts // seconds))
        course.take(values, point)
        if rule.manners.once and course.firings:
            known |= {int(later.ts // seconds) for later in judged if later.ts > point.ts}
            break
    if not known:
        return NotJudged("figure")
    metric = parts[0].key.metric
    return Backtest(
        firings=tuple(course.firings),
        start=datetime.fromtimestamp(judged[0].ts, UTC),
        end=history.end,
        covered=min(1.0, len(known) * seconds / SPAN.total_seconds()),
        step=step,
        held=course.held,
        metric=metric,
        levels=() if _moves(rule) else tuple(sorted({part.base for part in parts})),
        coarse=a_point > 1,
    )


def _moves(rule: Rule) -> bool:
    return rule.kind in ("change", "steps", "extreme")


class _Ruler:
    """Values of a metric at the points of a history, as :class:`gpuscout.alerts.values.Figures` has them of quotes."""

    def __init__(self, points: Sequence[HistoryPoint], step: timedelta) -> None:
        self._points = [point for point in points if point.price is not None]
        self._times = [point.ts for point in self._points]
        self._step = step.total_seconds()
        # Of an extreme: indices of prices, each better than those after it would be without it; the best comes first.
        self._window: deque[int] = deque()
        self._entered = 0

    def value(self, part: Part, point: HistoryPoint) -> float | None:
        """The metric at a point; None where it cannot be told."""
        metric = part.key.metric
        if metric == "available":
            return max(0.0, round(point.total - point.rented)) if point.total else None
        if metric.startswith("change_"):
            return self._change(metric, point)
        if metric in ("low", "high"):
            return self._extreme(part, point)
        found: float | None = getattr(point, metric)
        return found

    def _change(self, metric: str, point: HistoryPoint) -> float | None:
        _, window, unit = metric.split("_")
        span, tolerance = CHANGES[window]
        wanted = point.ts - span
        after = bisect_left(self._times, wanted)
        near = [i for i in (after - 1, after) if 0 <= i < len(self._times)]
        if point.price is None or not near:
            return None
        best = min(near, key=lambda i: abs(self._times[i] - wanted))
        earlier = self._points[best].price
        if not earlier or abs(self._times[best] - wanted) > max(tolerance, self._step / 2):
            return None
        return 100 * (point.price / earlier - 1) if unit == "percent" else point.price - earlier

    def _extreme(self, part: Part, point: HistoryPoint) -> float | None:
        """Distance to the lowest or highest price of the days before; None while less of them is known."""
        first = bisect_left(self._times, point.ts - part.key.days * DAY)
        last = bisect_left(self._times, point.ts)
        if point.price is None or first >= last:
            return None
        if self._times[first] > point.ts - (part.key.days - 1.5) * DAY - DAY / 4:
            return None
        return point.price - self._best(part, first, last)

    def _best(self, part: Part, first: int, last: int) -> float:
        """The lowest or highest price of ``_points[first:last]``; both ends only ever move on."""
        sign = 1 if part.key.metric == "low" else -1
        window = self._window
        for index in range(max(first, self._entered), last):
            price = sign * (self._points[index].price or 0.0)
            while window and sign * (self._points[window[-1]].price or 0.0) >= price:
                window.pop()
            window.append(index)
            self._entered = index + 1
        while window[0] < first:
            window.popleft()
        return self._points[window[0]].price or 0.0


@dataclass(slots=True)
class _Course:
    """A rule on its way through the points."""

    rule: Rule
    parts: Sequence[Part]
    firings: list[Firing] = field(default_factory=list)
    held: int = 0
    _triggers: dict[int, Trigger] = field(default_factory=dict)
    _ids: dict[Metric, int] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _next: int = 1
    _poll: int = 0

    def __post_init__(self) -> None:
        self._ids["price"] = 1
        for part in self.parts:
            self._ids.setdefault(part.key.metric, len(self._ids) + 1)

    @property
    def _platform(self) -> str | None:
        texts = self.parts[0].key.texts
        return None if texts is None else texts[0]

    def take(self, values: dict[Metric, float | None], point: HistoryPoint) -> None:
        """One point, which stands for a poll."""
        self._poll += 1
        if self._thin(point):
            self.held += 1
            return
        seen = {
            key_id: Seen(key_id, metric, self._platform, value, point.ts, self._poll, point.price, 1)
            for metric, key_id in self._ids.items()
            if (value := point.price if metric == "price" else values.get(metric)) is not None
        }
        for part in self.parts:
            self._begin(part, seen.get(self._ids[part.key.metric]))
        for identity in list(self._triggers):
            if (trigger := self._triggers.get(identity)) is not None:
                self._look(trigger, seen, point)

    def _thin(self, point: HistoryPoint) -> bool:
        """Whether the engine would hold this point back."""
        metric = self.parts[0].key.metric
        if metric == "available" or not point.total:
            return False
        count = {"rented_price": point.rented, "available_price": point.total - point.rented}.get(metric, point.total)
        return count < THIN_SAMPLE and (metric in SIZED or metric.startswith("change_") or metric in ("low", "high"))

    def _begin(self, part: Part, seen: Seen | None) -> None:
        name = f"{part.key.metric}{part.name}"
        if name in self._begun or seen is None:
            return
        self._begun.add(name)
        key_id = self._ids[part.key.metric]
        self._store(new_triggers(self.rule, 1, 0, part.name, part.side, part.base, seen, key_id))

    def _look(self, trigger: Trigger, seen: dict[int, Seen], point: HistoryPoint) -> None:
        if trigger.wake_at is not None and trigger.wake_at <= point.ts:
            home = seen.get(trigger.home_id if trigger.home_id is not None else trigger.key_id)
            if home is not None:
                self._apply(woken(self.rule, trigger, home, snoozed=False), home)
                return
        now = seen.get(trigger.key_id)
        if now is None or not beyond(now.value, trigger.level, trigger.direction):
            return
        family = [other for other in self._triggers.values() if other.id != trigger.id]
        self._apply(met(self.rule, trigger, now, family, snoozed=False), now)

    def _apply(self, outcome: Outcome, seen: Seen) -> None:
        for identity in outcome.deleted:
            self._triggers.pop(identity, None)
        self._store(outcome.stored)
        if outcome.fired is not None:
            at = datetime.fromtimestamp(seen.at, UTC)
            self.firings.append(Firing(at, seen.value, seen.price, outcome.fired.side))

    def _store(self, triggers: Sequence[Trigger]) -> None:
        for trigger in triggers:
            if not trigger.id:
                trigger = replace(trigger, id=self._next)
                self._next += 1
            self._triggers[trigger.id] = trigger
