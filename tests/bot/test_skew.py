"""The clock estimate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from bot.skew import ClockSkew

T0 = 1_767_225_600.0


@given(
    offset=st.floats(-7200, 7200),
    answers=st.lists(st.tuples(st.floats(0, 600), st.floats(0, 0.4), st.floats(0, 0.4)), min_size=1, max_size=30),
)
def test_estimate_is_within_a_second_and_never_overcorrects(
    offset: float, answers: list[tuple[float, float, float]]
) -> None:
    """True local - Discord = offset; each answer is made between being asked for and received."""
    skew = ClockSkew(lambda: 0.0)
    for at, before, after in answers:
        discord_now = T0 + at
        skew.observe(float(int(discord_now)), discord_now - before + offset, discord_now + after + offset)
    assert abs(skew.seconds - offset) <= 1.5
    assert abs(skew.seconds) <= abs(offset) + 0.01


def test_right_clock_is_left_alone() -> None:
    steady = iter([0.4, 2.0])
    skew = ClockSkew(lambda: T0 + 2, lambda: next(steady))
    skew.observe(T0, T0 + 0.3, T0 + 0.4)
    assert skew.seconds == 0
    assert skew.age(T0) == 2


@pytest.mark.parametrize("set_by", [3 * 3600, -3 * 3600])
def test_clock_that_is_set_after_the_last_answer_changes_no_age(set_by: float) -> None:
    steady = iter([100.0, 160.0])
    skew = ClockSkew(lambda: T0 + 60 + set_by, lambda: next(steady))
    skew.observe(T0, T0 - 0.1, T0)
    assert skew.age(T0 + 59) == pytest.approx(1)


def test_no_evidence_no_correction() -> None:
    assert ClockSkew(lambda: T0).seconds == 0


def test_clock_that_is_set_is_believed_at_once() -> None:
    skew = ClockSkew(lambda: 0.0)
    for n in range(20):
        skew.observe(T0 + n, T0 + n + 0.1, T0 + n + 0.2)
    skew.observe(T0 + 21, T0 + 3621.1, T0 + 3621.2)
    assert 3599 <= skew.seconds <= 3601


def test_slow_answers_tell_nothing() -> None:
    skew = ClockSkew(lambda: 0.0)
    skew.observe(T0, T0 + 500, T0 + 515)
    skew.observe(T0, T0 + 500, T0 + 499)
    assert skew.seconds == 0


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def answer(request: web.Request) -> web.Response:
        response = web.Response(text="{}")
        date = request.query.get("date")
        if date:
            response.headers["Date"] = date
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as running:
        yield running


async def test_reads_the_header_of_real_answers(server: TestServer) -> None:
    now = 1_767_229_200.0  # an hour ahead of the server
    skew = ClockSkew(lambda: now)
    async with aiohttp.ClientSession(trace_configs=[skew.trace_config()]) as session:
        async with session.get(server.make_url("/").with_query(date=formatdate(T0, usegmt=True))) as response:
            assert response.status == 200
        assert 3599 <= skew.seconds <= 3600
        async with session.get(server.make_url("/").with_query(date="yesterday, or so")) as response:
            assert response.status == 200
    assert 3599 <= skew.seconds <= 3600
