"""The circuit breaker, by cases and as a state machine."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gpuscout.resilience import (
    BadStatus,
    BreakerState,
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    Permit,
    ResponseTooLarge,
    UpstreamUnavailable,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("service", clock=clock)


async def fail(error: Exception | None = None) -> None:
    raise error or UpstreamUnavailable("service", "down")


async def succeed() -> str:
    return "answer"


async def break_it(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        with pytest.raises(UpstreamUnavailable):
            await breaker.call(fail)
    assert breaker.state is OPEN


async def test_five_failures_in_a_row_open_it_and_four_do_not(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(UpstreamUnavailable):
                await breaker.call(fail)
        assert await breaker.call(succeed) == "answer"
        assert (breaker.state, breaker.failures) == (CLOSED, 0)
    await break_it(breaker)


async def test_open_refuses_for_sixty_seconds_and_says_how_long(breaker: CircuitBreaker, clock: Clock) -> None:
    await break_it(breaker)
    clock.now += 59.5
    with pytest.raises(CircuitOpen) as refusal:
        await breaker.call(succeed)
    assert refusal.value.retry_after == pytest.approx(0.5)
    clock.now += 0.5
    assert breaker.state is HALF_OPEN
    assert await breaker.call(succeed) == "answer"
    assert breaker.state is CLOSED


async def test_a_failed_probe_opens_it_for_another_sixty_seconds(breaker: CircuitBreaker, clock: Clock) -> None:
    await break_it(breaker)
    clock.now += 60
    with pytest.raises(UpstreamUnavailable):
        await breaker.call(fail)
    assert breaker.state is OPEN
    clock.now += 59.9
    with pytest.raises(CircuitOpen):
        await breaker.call(succeed)


@pytest.mark.parametrize("answers", [True, False])
async def test_of_twenty_callers_at_recovery_one_reaches_the_service(
    breaker: CircuitBreaker, clock: Clock, answers: bool
) -> None:
    await break_it(breaker)
    clock.now += 61
    reached, may_answer = 0, asyncio.Event()

    async def service() -> str:
        nonlocal reached
        reached += 1
        await may_answer.wait()
        if not answers:
            await fail()
        return "answer"

    callers = [asyncio.create_task(breaker.call(service)) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert reached == 1
    may_answer.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert reached == 1
    assert sum(isinstance(result, CircuitOpen) for result in results) == 19
    assert breaker.state is (CLOSED if answers else OPEN)


async def test_a_cancelled_probe_lets_the_next_caller_ask(breaker: CircuitBreaker, clock: Clock) -> None:
    await break_it(breaker)
    clock.now += 61
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    probe = asyncio.create_task(breaker.call(hang))
    await started.wait()
    with pytest.raises(CircuitOpen):
        await breaker.call(succeed)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert breaker.state is HALF_OPEN
    assert await breaker.call(succeed) == "answer"


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BadStatus("s", 400), False),
        (BadStatus("s", 401), False),
        (BadStatus("s", 404), False),
        (BadStatus("s", 408), True),
        (BadStatus("s", 429), True),
        (BadStatus("s", 500), True),
        (ResponseTooLarge("s", 10), False),
        (ValueError("a fault of ours"), False),
        (TimeoutError(), True),
        (DeadlineExceeded(), True),
        (ConnectionResetError(), True),
    ],
)
async def test_what_counts_as_a_failure(breaker: CircuitBreaker, error: Exception, counts: bool) -> None:
    for _ in range(8):
        with pytest.raises((type(error), CircuitOpen)):
            await breaker.call(lambda: fail(error))
    assert breaker.state is (OPEN if counts else CLOSED)


async def test_a_fault_of_ours_does_not_undo_the_count(breaker: CircuitBreaker) -> None:
    for error in [TimeoutError()] * 4 + [ValueError(), TimeoutError()]:
        with pytest.raises(type(error)):
            await breaker.call(partial(fail, error))
    assert breaker.state is OPEN


def test_the_call_that_opened_it_may_finish_its_tries_and_no_other(breaker: CircuitBreaker, clock: Clock) -> None:
    mine, other = breaker.admit(), breaker.admit()
    other.failure()
    for _ in range(4):
        assert breaker.admit(mine) is mine
        mine.failure()
    assert breaker.state is OPEN
    with pytest.raises(CircuitOpen):
        breaker.admit(other)
    assert breaker.admit(mine) is mine
    mine.failure()
    assert breaker.state is OPEN
    clock.now += 60
    probe = breaker.admit(other)
    assert probe.probe and probe is not other
    with pytest.raises(CircuitOpen):
        breaker.admit(mine)


def test_changes_are_told_and_a_broken_listener_does_no_harm(clock: Clock) -> None:
    told: list[tuple[str, BreakerState, BreakerState]] = []

    def listen(service: str, old: BreakerState, new: BreakerState) -> None:
        told.append((service, old, new))
        raise RuntimeError("listener")

    breaker = CircuitBreaker("s", threshold=1, open_seconds=5, clock=clock, on_change=listen)
    breaker.admit().failure()
    clock.now += 5
    breaker.admit().success()
    assert told == [("s", CLOSED, OPEN), ("s", OPEN, HALF_OPEN), ("s", HALF_OPEN, CLOSED)]


@pytest.mark.parametrize("arguments", [{"threshold": 0}, {"open_seconds": -1}])
def test_senseless_settings_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="breaker"):
        CircuitBreaker("s", **arguments)  # type: ignore[arg-type]


class Machine(RuleBasedStateMachine):
    """Any order of calls, outcomes and time against the rules of the breaker."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = CircuitBreaker("s", threshold=3, open_seconds=10, clock=self.clock)
        self.open_probes: set[Permit] = set()
        self.failures = 0
        self.opened_at: float | None = None

    @rule(target=permits)
    def ask(self) -> Permit | None:
        state = self.breaker.state
        try:
            permit = self.breaker.admit()
        except CircuitOpen as refusal:
            assert state is OPEN or (state is HALF_OPEN and self.open_probes)
            assert 0 <= (refusal.retry_after or 0) <= 10
            return None
        assert state is not OPEN
        assert permit.probe is (state is HALF_OPEN)
        if permit.probe:
            assert not self.open_probes, "a second probe was let through"
            self.open_probes.add(permit)
        return permit

    @rule(permit=consumes(permits))
    def succeed(self, permit: Permit | None) -> None:
        if permit is None:
            return
        permit.success()
        self.open_probes.clear()  # closed: whoever still probes is an ordinary caller now
        self.failures, self.opened_at = 0, None
        assert self.breaker.state is CLOSED

    @rule(permit=consumes(permits))
    def fail(self, permit: Permit | None) -> None:
        if permit is None:
            return
        before = self.breaker.state
        probing = permit in self.open_probes
        permit.failure()
        self.open_probes.discard(permit)
        if before is CLOSED:
            self.failures += 1
            assert self.breaker.state is (OPEN if self.failures >= 3 else CLOSED)
        elif probing:
            assert self.breaker.state is OPEN
        else:
            assert self.breaker.state is before, "a late failure changed the state"
        if self.breaker.state is OPEN and before is not OPEN:
            self.opened_at = self.clock.now

    @rule(permit=consumes(permits))
    def abandon(self, permit: Permit | None) -> None:
        if permit is None:
            return
        before = self.breaker.state
        permit.release()
        self.open_probes.discard(permit)
        assert self.breaker.state is before

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 9.875, 10.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_is_open_for_exactly_its_time(self) -> None:
        if self.breaker.state is OPEN:
            assert self.opened_at is not None and self.clock.now - self.opened_at < 10
        if self.breaker.state is HALF_OPEN:
            assert self.opened_at is not None and self.clock.now - self.opened_at >= 10


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBreakerMachine = Machine.TestCase
