"""The state machine alone: whatever the values do, a rule never flaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.alerts.bands import EPSILON, SLACK, band_of, beyond
from gpuscout.alerts.decide import Outcome, Seen, Trigger, met, new_triggers, woken
from gpuscout.alerts.rules import ChangeRule, Condition, GpuScope, Manners, PriceRule, Rule, StepsRule

SCOPE = GpuScope(gpu="rtx-4090", platform="vast", tier="on-demand")
CENTS = st.integers(1, 60).map(lambda cents: cents / 100)
STEP = 900


class Machine:
    """The triggers of one rule, moved as the engine moves them. Key 1 is watched, key 2 is the price behind it."""

    def __init__(self, rule: Rule, base: float, side: int, first: Seen) -> None:
        self.rule = rule
        self.at = 0
        self.fired: list[tuple[int, float]] = []
        self.outcomes: list[Outcome] = []
        self.triggers: dict[int, Trigger] = {}
        self.next_id = 1
        self._store(new_triggers(rule, 1, 1, "=" if isinstance(rule.when, StepsRule) else "+", side, base, first, 1))

    def _store(self, rows: list[Trigger]) -> None:
        for row in rows:
            if row.id == 0:
                row = replace(row, id=self.next_id)
                self.next_id += 1
            self.triggers[row.id] = row

    def poll(self, values: dict[int, Seen], again: bool = False) -> int:
        if not again:
            self.at += STEP
        fired = 0
        for due in (False, True):
            for trigger in list(self.triggers.values()):
                trigger = self.triggers.get(trigger.id, trigger)
                if trigger.id not in self.triggers:
                    continue
                seen = values[trigger.home_id if due and trigger.home_id is not None else trigger.key_id]
                seen = replace(seen, at=self.at, poll=self.at)
                family = [other for other in self.triggers.values() if other.id != trigger.id]
                if due:
                    if trigger.wake_at is None or trigger.wake_at > self.at:
                        continue
                    outcome = woken(self.rule, trigger, seen, snoozed=False)
                elif beyond(seen.value, trigger.level, trigger.direction):
                    outcome = met(self.rule, trigger, seen, family, snoozed=False)
                else:
                    continue
                for gone in outcome.deleted:
                    self.triggers.pop(gone, None)
                self._store(outcome.stored)
                if outcome.fired is not None:
                    fired += 1
                    self.fired.append((self.at, seen.value))
        return fired


def seen(value: float, key: int = 1) -> Seen:
    return Seen(key, "price", "vast", value, 0, 0, value, key)


def level_rule(direction: str, level: float, polls: int = 1, **manners: object) -> Rule:
    when: Condition = PriceRule.model_validate({"scope": SCOPE, "direction": direction, "level": level})
    return Rule(when=when, manners=Manners.model_validate({"cooldown": timedelta(0), "for_polls": polls, **manners}))


@settings(deadline=None, max_examples=150)
@given(direction=st.sampled_from([1, -1]), level=CENTS, values=st.lists(CENTS, min_size=1, max_size=60))
def test_between_two_firings_it_came_back_by_the_band(direction: int, level: float, values: list[float]) -> None:
    rule = level_rule("above" if direction > 0 else "below", level)
    base = level + direction * EPSILON
    machine = Machine(rule, base, direction, seen(values[0]))
    band = band_of(rule, "price", base, values[0], "vast")
    assert band >= 0.01
    armed = not beyond(values[0], base, direction)
    for value in values:
        fires = armed and (value > level + SLACK if direction > 0 else value < level - SLACK)
        assert machine.poll({1: seen(value)}) == int(fires)
        if fires:
            armed = False
            band = band_of(rule, "price", base, value, "vast")
        elif not armed and (value <= level - band + SLACK if direction > 0 else value >= level + band - SLACK):
            armed = True
        assert machine.poll({1: seen(value)}, again=True) == 0  # the same poll again
    assert len(machine.triggers) == 1


@settings(deadline=None, max_examples=100)
@given(level=CENTS, polls=st.integers(2, 4), values=st.lists(CENTS, min_size=1, max_size=60))
def test_polls_are_counted_without_a_return_between_them(level: float, polls: int, values: list[float]) -> None:
    rule = level_rule("below", level, polls)
    base = level - EPSILON
    machine = Machine(rule, base, -1, seen(9.0))
    count, armed, band = 0, True, 0.0
    for value in values:
        beyond_it = value < level - SLACK
        if armed and beyond_it:
            if count == 0:
                band = max(0.01 * value, 0.01)
            count += 1
        elif armed and count and value >= base + band - SLACK:
            count = 0
        fires = armed and beyond_it and count >= polls
        assert machine.poll({1: seen(value)}) == int(fires)
        assert machine.poll({1: seen(value)}, again=True) == 0
        if fires:
            armed, count, band = False, 0, max(0.01 * value, 0.01)
        elif not armed and value >= base + band - SLACK:
            armed = True
    roles = sorted(trigger.role for trigger in machine.triggers.values())
    assert roles in (["fire"], ["rearm"], ["fire", "reset"])


@settings(deadline=None, max_examples=100)
@given(low=st.integers(1, 59), polls=st.integers(1, 3), amount=st.floats(1, 60), start=st.booleans())
def test_a_flap_of_one_tick_is_told_once_at_most(low: int, polls: int, amount: float, start: bool) -> None:
    """Two neighbouring prices in turn: a level between them, a fall in per cent, and steps."""
    a, b = low / 100, (low + 1) / 100
    prices = [(a, b)[(n + start) % 2] for n in range(80)]
    level = Machine(level_rule("below", b, polls), b - EPSILON, -1, seen(b))
    rule = Rule(
        when=ChangeRule(scope=SCOPE, amount=amount, direction="down", window="24h"),
        manners=Manners(cooldown=timedelta(0), for_polls=polls),
    )

    def change(price: float) -> Seen:
        return Seen(1, "change_24h_percent", "vast", 100 * (price / b - 1), 0, 0, price, 2)

    fall = Machine(rule, -amount + EPSILON, -1, change(b))
    steps = Machine(
        Rule(when=StepsRule(scope=SCOPE, amount=1), manners=Manners(cooldown=timedelta(0), for_polls=1)),
        0.0,
        1,
        seen(b),
    )
    for price in prices:
        level.poll({1: seen(price)})
        fall.poll({1: change(price), 2: seen(price, 2)})
        if price * 0.01 < 0.01:  # of a dear card one per cent is more than a tick
            steps.poll({1: seen(price)})
    assert len(level.fired) == 1
    assert len(fall.fired) == int(100 * (1 - a / b) >= amount - 1e-7)
    assert steps.fired == []


@settings(deadline=None, max_examples=60)
@given(prices=st.lists(CENTS, min_size=2, max_size=80), amount=st.integers(5, 50))
def test_within_its_window_a_change_is_measured_from_the_fired_price(prices: list[float], amount: int) -> None:
    rule = Rule(
        when=ChangeRule(scope=SCOPE, amount=amount, direction="down", window="24h"),
        manners=Manners(cooldown=timedelta(0), for_polls=1),
    )
    start = 0.60

    def change(price: float) -> Seen:
        return Seen(1, "change_24h_percent", "vast", 100 * (price / start - 1), 0, 0, price, 2)

    machine = Machine(rule, -amount + EPSILON, -1, change(start))
    for price in prices:
        machine.poll({1: change(price), 2: seen(price, 2)})
    told = [at for at, _ in machine.fired]
    seen_prices = [prices[at // STEP - 1] for at in told]
    for (earlier, later), (before, after) in zip(pairwise(told), pairwise(seen_prices), strict=True):
        if later - earlier < 86_400:
            assert after <= before * (1 - amount / 100) + 1e-6
