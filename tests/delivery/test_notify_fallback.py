"""Which channel is next, and how Discord's windows are kept: pure rules, and properties of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.delivery.channels import NONCE_SECONDS, Via, nonce_of
from gpuscout.delivery.fallback import DEADLINE, is_late, next_step
from gpuscout.delivery.pacing import Window
from gpuscout.delivery.promise import DeliveryTimes
from storage.attempts import Attempt, Notification, Outcome
from storage.notifications import Target

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CHANNELS: tuple[Via, ...] = ("dm", "mention", "email")


def told(*tries: tuple[str, Outcome, float]) -> Notification:
    """A notification with tries: channel, outcome, seconds after it was made."""
    attempts = tuple(
        Attempt(number, START + timedelta(seconds=after), channel, outcome, None, None, "n")
        for number, (channel, outcome, after) in enumerate(tries)
    )
    return Notification("n" * 20, "alert", Target(1, 2, 3), "info", "sending", START, START, ({"x": 1},), attempts)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_first_channel_until_it_refuses() -> None:
    assert next_step(told(), CHANNELS, at(0)).via == "dm"
    assert next_step(told(("dm", "failed", 0)), CHANNELS, at(5)).via == "dm"
    assert next_step(told(("dm", "unknown", 0)), CHANNELS, at(5)).via == "dm"
    assert next_step(told(("dm", "refused", 0)), CHANNELS, at(5)).via == "mention"
    both = told(("dm", "refused", 0), ("mention", "refused", 1))
    assert next_step(both, CHANNELS, at(5)).via == "email"
    assert next_step(both, ("dm", "mention"), at(5)).via is None
    assert not next_step(both, CHANNELS, at(5)).may_repeat


def test_within_a_nonces_time_a_repeat_is_safe_and_later_not() -> None:
    unsure = told(("dm", "unknown", 0))
    assert not next_step(unsure, CHANNELS, at(NONCE_SECONDS - 1)).may_repeat
    late = next_step(unsure, CHANNELS, at(NONCE_SECONDS + 1))
    assert late.via == "dm" and late.may_repeat and late.note
    # What surely was not sent can be sent at any time.
    assert not next_step(told(("dm", "failed", 0)), CHANNELS, at(NONCE_SECONDS + 1)).may_repeat


def test_at_the_deadline_email_follows_only_what_was_tried() -> None:
    deadline = DEADLINE.total_seconds()
    assert next_step(told(("dm", "unknown", 0)), CHANNELS, at(deadline - 1)).via == "dm"
    step = next_step(told(("dm", "unknown", 0)), CHANNELS, at(deadline))
    assert (step.via, step.may_repeat) == ("email", True)
    # The worker was away until now: Discord has its turn first.
    assert next_step(told(), CHANNELS, at(deadline * 4)).via == "dm"
    # Without e-mail Discord is tried on.
    assert next_step(told(("dm", "failed", 0)), ("dm", "mention"), at(deadline * 4)).via == "dm"


def test_the_wait_ends_at_the_deadline_where_email_can_follow() -> None:
    assert next_step(told(("dm", "failed", 0)), CHANNELS, at(60)).again_by == START + DEADLINE
    assert next_step(told(("dm", "failed", 0)), ("dm", "mention"), at(60)).again_by is None


def test_quiet_hours_are_no_lateness() -> None:
    assert is_late(told(), at(301)) and not is_late(told(), at(299))


OUTCOMES = st.sampled_from(["refused", "failed", "unknown"])
TRIES = st.lists(st.tuples(st.sampled_from(CHANNELS), OUTCOMES, st.floats(0, 5000)), max_size=8)


@given(TRIES, st.permutations(CHANNELS), st.floats(0, 5000))
def test_a_channel_that_refused_is_never_tried_and_one_that_did_not_always_is(
    tries: list[tuple[str, Outcome, float]], order: list[Via], now: float
) -> None:
    step = next_step(told(*tries), order, at(now))
    refused = {channel for channel, outcome, _ in tries if outcome == "refused"}
    assert step.via not in refused
    assert (step.via is None) == (refused == set(CHANNELS))


@given(TRIES, st.floats(0, DEADLINE.total_seconds() - 1))
def test_before_the_deadline_no_two_services_are_tried_without_a_refusal(
    tries: list[tuple[str, Outcome, float]], now: float
) -> None:
    step = next_step(told(*tries), CHANNELS, at(now))
    if step.via == "email":
        assert {"dm", "mention"} <= {channel for channel, outcome, _ in tries if outcome == "refused"}


def test_nonces_fit_and_differ_by_channel() -> None:
    nonces = {nonce_of("0123456789abcdefghjk", via) for via in ("dm", "mention", "channel")}
    assert len(nonces) == 3 and all(len(nonce) <= 25 for nonce in nonces)


# --- pacing ---


class Time:
    """Seconds that pass only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_place_is_free_again_a_second_after_its_answer() -> None:
    time = Time()
    window = Window(2, 1.0, clock=time)
    async with window.use():
        time.now = 0.4
        assert window.wait() == 0.0  # the second place
        async with window.use():
            assert window.wait() is None  # that depends on the answers
    assert window.wait() == pytest.approx(1.0)
    time.now = 1.3
    assert window.wait() == pytest.approx(0.1)
    time.now = 1.41
    assert window.wait() == 0.0


async def test_never_more_in_any_second_wherever_it_is_counted() -> None:
    window = Window(10, 0.2)
    counted: list[float] = []
    loop = asyncio.get_running_loop()

    async def request(number: int) -> None:
        async with window.use():
            await asyncio.sleep(0.001 * (number % 7))  # on the way there
            counted.append(loop.time())
            await asyncio.sleep(0.001 * (number % 5))  # and back

    async with asyncio.timeout(30):
        await asyncio.gather(*(request(number) for number in range(45)))
    counted.sort()
    assert all(later - earlier >= 0.2 for earlier, later in zip(counted, counted[10:], strict=False))


async def test_a_pause_holds_everybody() -> None:
    time = Time()
    window = Window(5, 1.0, clock=time)
    window.pause(600.0)
    assert window.wait() == pytest.approx(600.0)
    time.now = 601.0
    assert window.wait() == 0.0


async def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    window = Window(1, 0.05)
    async with window.use():
        waiting = asyncio.create_task(_use(window))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(30):
        await _use(window)


async def _use(window: Window) -> None:
    async with window.use():
        return


def test_percentiles() -> None:
    assert DeliveryTimes.of([]) == DeliveryTimes(0, None, None)
    assert DeliveryTimes.of([3.0]) == DeliveryTimes(1, 3.0, 3.0)
    times = DeliveryTimes.of([float(n) for n in range(101)])
    assert (times.p50, times.p99) == (50.0, 99.0)
