"""The exporter source over HTTP against the stand-in: conditional requests, mirrors, and every switch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from gpuscout.market.sources.base import FetchResult
from gpuscout.market.sources.exporter import ExporterSource
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.retry import RetryPolicy
from sandbox.farm import FarmServer, Market, SimClock
from sandbox.farm.faults import BAD_V1, BAD_V2

START = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
NO_RETRY = RetryPolicy(retries=0)


class Wall:
    """A wall clock that a test moves by hand."""

    def __init__(self) -> None:
        self.seconds = START.timestamp()

    def __call__(self) -> float:
        return self.seconds

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


@dataclass
class Net:
    """Two mirrors of one market and a source that asks them in order."""

    wall: Wall
    first: FarmServer
    second: FarmServer
    source: ExporterSource

    async def fetch(self, minutes: float = 0) -> FetchResult:
        self.wall.seconds += 60 * minutes
        return await self.source.fetch(self.wall.now)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=5)


@pytest.fixture
async def net(market: Market) -> AsyncIterator[Net]:
    wall = Wall()
    clock = SimClock.real_time(wall_source=wall)
    async with FarmServer(market, clock) as first, FarmServer(market, clock) as second:
        net = Net(wall, first, second, _source([first, second]))
        yield net
        await net.source.aclose()


def _source(
    servers: list[FarmServer],
    retry: RetryPolicy = NO_RETRY,
    slept: list[float] | None = None,
    timeout: float = 10.0,
) -> ExporterSource:
    async def sleep(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)

    urls = [server.url for server in servers]
    return ExporterSource(ResilientClient("500.farm", urls, retry=retry, sleep=sleep, timeout=timeout))


def _last(server: FarmServer, path: str = "/vastai-exporter/gpu-stats") -> dict[str, str]:
    return dict([record for record in server.requests if record.path == path][-1].headers)


async def test_both_documents_are_read_with_manners(net: Net) -> None:
    result = await net.fetch()
    assert [document.feed for document in result.documents] == ["v1", "v2"]
    v1, v2 = result.documents
    assert v1.source_time == v2.source_time and v1.models > 35 and v2.models > 35
    assert not v1.rejected and not v2.rejected and not result.problems
    headers = _last(net.first)
    assert headers["accept-encoding"] == "gzip" and headers["user-agent"].startswith("GPUScout")
    assert "if-none-match" not in headers
    assert not net.second.requests


async def test_an_unchanged_document_is_not_sent_again(net: Net) -> None:
    await net.fetch()
    result = await net.fetch()
    assert (list(result.documents), list(result.unchanged)) == ([], ["v1", "v2"])
    assert net.first.not_modified == 2
    changed = await net.fetch(minutes=2)
    assert len(changed.documents) == 2 and not changed.unchanged


async def test_every_mirror_is_asked_with_the_tag_of_the_document_that_is_held(net: Net) -> None:
    await net.fetch()
    net.first.set_mode("down")
    [held, _] = (await net.fetch(minutes=2)).documents
    assert list((await net.fetch()).unchanged) == ["v1", "v2"] and net.second.not_modified == 2
    # The first is back with a document of another time: the second's tag does not hide it.
    net.first.set_mode("ok")
    [newer, _] = (await net.fetch(minutes=2)).documents
    assert newer.source_time > held.source_time
    tag = _last(net.first)["if-none-match"]
    assert tag == _last(net.second)["if-none-match"]
    await net.fetch()
    assert _last(net.first)["if-none-match"] != tag and net.first.not_modified == 2


async def test_a_mirror_takes_over_and_gives_back(net: Net) -> None:
    net.first.set_mode("status:502")
    assert len((await net.fetch()).documents) == 2
    assert net.second.requests
    net.first.set_mode("ok")
    before = len(net.second.requests)
    assert len((await net.fetch(minutes=2)).documents) == 2
    assert len(net.second.requests) == before


@pytest.mark.parametrize("mode", ["down", "status:503", "status:404"])
async def test_a_feed_that_fails_is_a_problem_in_words(net: Net, mode: str) -> None:
    for server in (net.first, net.second):
        server.set_mode(mode)
    result = await net.fetch()
    assert set(result.problems) == {"v1", "v2"} and not result.documents
    assert all("500.farm" in problem and "http" not in problem for problem in result.problems.values())


async def test_one_feed_that_fails_does_not_stop_the_other(net: Net) -> None:
    for server in (net.first, net.second):
        server.set_documents({"v2": None})
    result = await net.fetch(minutes=2)
    assert [document.feed for document in result.documents] == ["v1"] and set(result.problems) == {"v2"}


@pytest.mark.parametrize("shape", ["error", "list", "models_object", "empty"])
async def test_another_shape_is_a_problem_and_the_next_request_is_unconditional(net: Net, shape: str) -> None:
    await net.fetch()
    net.first.set_mode("wrong_shape", shape=shape)
    result = await net.fetch(minutes=2)
    assert set(result.problems) == {"v1", "v2"}
    assert all(problem.startswith("unexpected answer") for problem in result.problems.values())
    net.first.set_mode("ok")
    assert len((await net.fetch()).documents) == 2
    assert "if-none-match" not in _last(net.first)


async def test_half_a_document_is_a_problem(net: Net) -> None:
    net.first.set_mode("malformed")
    assert set((await net.fetch()).problems) == {"v1", "v2"}


async def test_bad_items_are_rejected_one_by_one(net: Net) -> None:
    good = {document.feed: document for document in (await net.fetch()).documents}
    net.first.set_mode("bad_items")
    bad = {document.feed: document for document in (await net.fetch(minutes=2)).documents}
    assert len(bad["v1"].rejected) == len(BAD_V1) and len(bad["v2"].rejected) == len(BAD_V2)
    assert abs(bad["v1"].models - good["v1"].models) <= 2
    assert all(item.reason for item in bad["v1"].rejected)


async def test_a_frozen_source_repeats_itself(net: Net) -> None:
    await net.fetch()
    net.first.set_mode("frozen")
    assert list((await net.fetch(minutes=15)).unchanged) == ["v1", "v2"]


async def test_what_could_not_be_stored_is_sent_again(net: Net) -> None:
    await net.fetch()
    net.source.forget()
    assert len((await net.fetch()).documents) == 2


async def test_five_retries_before_it_is_a_problem(net: Net, market: Market) -> None:
    slept: list[float] = []
    source = _source([net.first], RetryPolicy(), slept)
    net.first.set_mode("status:503", times=5)
    try:
        result = await source.fetch(net.wall.now)
    finally:
        await source.aclose()
    assert len(result.documents) == 2 and [round(pause) for pause in slept] == [1, 2, 4, 8, 16]


async def test_a_slow_source_is_left_after_its_time(net: Net) -> None:
    source = _source([net.first], timeout=0.2)
    net.first.set_mode("slow", seconds=30)
    try:
        result = await source.fetch(net.wall.now)
    finally:
        await source.aclose()
    assert set(result.problems) == {"v1", "v2"} and "did not answer within" in result.problems["v1"]


async def test_a_clock_of_ours_that_is_wrong_is_said(net: Net) -> None:
    result = await net.source.fetch(datetime(2026, 3, 3, tzinfo=UTC))
    assert "clock" in result.problems["v1"]
