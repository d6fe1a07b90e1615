"""Retry policies: what is repeated, after what pauses, and when they give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.resilience import (
    BACKGROUND,
    BadStatus,
    CircuitOpen,
    DeadlineExceeded,
    RetryPolicy,
    UpstreamUnavailable,
    interactive,
    is_retriable,
    parse_retry_after,
)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def failing(errors: list[BaseException], answer: str = "done") -> tuple[Callable[[], Awaitable[str]], list[int]]:
    """A call that raises each error once and then answers, and the list of its calls."""
    calls: list[int] = []

    async def call() -> str:
        calls.append(len(calls) + 1)
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]
        return answer

    return call, calls


def status_error(status: int, retry_after: str | None = None) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://service.example/")
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return httpx.HTTPStatusError("refused", request=request, response=httpx.Response(status, headers=headers))


async def test_background_calls_are_repeated_five_times_with_doubling_pauses() -> None:
    time = Time()
    call, calls = failing([ConnectionError(str(n)) for n in range(9)])
    with pytest.raises(ConnectionError, match="5"):
        await BACKGROUND.run(call, sleep=time.sleep, clock=time.clock)
    assert len(calls) == 6
    assert time.slept == [1, 2, 4, 8, 16] == list(BACKGROUND.pauses())


@pytest.mark.parametrize(
    ("policy", "pauses"),
    [
        (RetryPolicy("linear", retries=4, base=2), (2, 4, 6, 8)),
        (RetryPolicy("linear", retries=4, base=2, max_wait=5), (2, 4, 5, 5)),
        (RetryPolicy("immediate", retries=3), (0, 0, 0)),
        (RetryPolicy("exponential", retries=4, base=0.5, max_wait=2), (0.5, 1, 2, 2)),
        (RetryPolicy(retries=0), ()),
    ],
)
async def test_the_pauses_of_each_kind(policy: RetryPolicy, pauses: tuple[float, ...]) -> None:
    time = Time()
    call, calls = failing([TimeoutError()] * 9)
    with pytest.raises(TimeoutError):
        await policy.run(call, sleep=time.sleep, clock=time.clock)
    assert policy.pauses() == pauses
    assert tuple(time.slept) == pauses
    assert len(calls) == len(pauses) + 1


async def test_success_ends_it_and_each_repetition_is_told() -> None:
    time, told = Time(), []
    call, calls = failing([httpx.ConnectError("no"), httpx.ReadTimeout("slow")])
    answer = await BACKGROUND.run(
        call,
        sleep=time.sleep,
        clock=time.clock,
        on_retry=lambda number, pause, error: told.append((number, pause, type(error))),
    )
    assert (answer, len(calls)) == ("done", 3)
    assert told == [(1, 1.0, httpx.ConnectError), (2, 2.0, httpx.ReadTimeout)]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_full_jitter_stays_between_nothing_and_the_pause(seed: int, retries: int) -> None:
    policy = RetryPolicy(retries=retries, jitter=True)
    time = Time()
    call, _ = failing([TimeoutError()] * 20)

    async def go() -> None:
        with pytest.raises(TimeoutError):
            await policy.run(call, sleep=time.sleep, clock=time.clock, rng=random.Random(seed))

    asyncio.run(go())
    assert len(time.slept) == retries
    assert all(0 <= slept <= pause for slept, pause in zip(time.slept, policy.pauses(), strict=True))


async def test_retry_after_lengthens_a_pause_up_to_the_cap_and_never_shortens_it() -> None:
    time = Time()
    asked = [
        UpstreamUnavailable("s", "busy", retry_after=30),
        UpstreamUnavailable("s", "busy", retry_after=0),
        status_error(429, "99999"),
        status_error(503, "nonsense"),
    ]
    call, _ = failing([*asked])
    await RetryPolicy(retry_after_cap=120).run(call, sleep=time.sleep, clock=time.clock)
    assert time.slept == [30, 2, 120, 8]


async def test_no_pause_is_begun_that_would_outlast_the_deadline() -> None:
    time = Time()
    call, calls = failing([UpstreamUnavailable("s", "busy", retry_after=10)] * 3)
    with pytest.raises(UpstreamUnavailable):
        await RetryPolicy(deadline=5).run(call, sleep=time.sleep, clock=time.clock)
    assert (len(calls), time.slept) == (1, [])


async def test_a_call_that_hangs_ends_at_the_deadline() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        await interactive(0.05).run(hang)


async def test_cancellation_is_passed_on_at_once() -> None:
    started = asyncio.Event()
    calls = 0

    async def hang() -> None:
        nonlocal calls
        calls += 1
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(BACKGROUND.run(hang))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ReadTimeout("slow"), True),
        (httpx.ConnectError("no"), True),
        (httpx.RemoteProtocolError("cut"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (status_error(408), True),
        (status_error(429), True),
        (status_error(500), True),
        (status_error(599), True),
        (status_error(400), False),
        (status_error(401), False),
        (status_error(404), False),
        (BadStatus("s", 503), True),
        (BadStatus("s", 404), False),
        (UpstreamUnavailable("s", "gone"), True),
        (CircuitOpen("s", "paused"), False),
        (DeadlineExceeded(), False),
        (httpx.UnsupportedProtocol("ftp"), False),
        (httpx.LocalProtocolError("bad header"), False),
        (ValueError(), False),
        (asyncio.CancelledError(), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_is_worth_another_try(error: BaseException, expected: bool) -> None:
    assert is_retriable(error) is expected


async def test_what_is_not_worth_it_is_tried_once() -> None:
    call, calls = failing([status_error(404)])
    with pytest.raises(httpx.HTTPStatusError):
        await BACKGROUND.run(call)
    assert calls == [1]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 17 ", 17.0),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 400, 999_999_999.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:28:30", 30.0),
        ("Wed, 21 Oct 2020 07:28:00 GMT", 0.0),
        ("soon", None),
        ("Wed, 99 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_retry_after_is_survived(value: str) -> None:
    seconds = parse_retry_after(value)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    "arguments",
    [{"retries": -1}, {"base": -1.0}, {"deadline": 0.0}, {"kind": "fibonacci"}],
)
def test_a_senseless_policy_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        RetryPolicy(**arguments)  # type: ignore[arg-type]
