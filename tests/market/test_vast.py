"""Vast.ai itself: offers put together into the exporter's statistics, and the source against the stand-in."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gpuscout.market.models import ANY
from gpuscout.market.sources import vast_worker
from gpuscout.market.sources.base import FeedDocument, FetchResult, Observation, WrongShape
from gpuscout.market.sources.exporter_schema import parse_document
from gpuscout.market.sources.machines_worker import Status
from gpuscout.market.sources.vast import QUERY, VastSource
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.retry import RetryPolicy
from sandbox.farm import Market, SimClock, document_v1, document_v2, render
from sandbox.vast import FIRST_PAGE, PATH, VastStandIn
from sandbox.vast.server import BAD_ITEMS, BELOW_A_CENT, HOST_ADDRESS, HOST_NAME

SHARED = Path(os.environ.get("GPUSCOUT_SHARED", Path(__file__).parents[3] / "shared"))
RECORDED = SHARED / "data" / "vast_offer_raw_2025-09.json"
MARKET = Market(7)
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLOCK = SimClock(AT, AT, wall_source=AT.timestamp)


def offer(machine_id: int, ids: Iterable[int], *, free: bool, whole: bool = True, **more: Any) -> dict[str, Any]:
    """An offer of some GPUs at $0.40 a GPU-hour."""
    ids = list(ids)
    return {
        "machine_id": machine_id,
        "gpu_name": "RTX 4090",
        "num_gpus": len(ids),
        "gpu_ids": ids,
        "gpu_frac": 1.0 if whole else 0.5,
        "dph_base": 0.4 * len(ids),
        "rentable": free,
        "verification": "verified",
        "hosting_type": 0,
        **more,
    }


def parse(*offers: Any, **document: Any) -> tuple[dict[tuple[str, str, str], Any], dict[str, Any]]:
    """(model, verification, segment) → (rented, available, all), and the last frame."""
    rows: list[Any] = []
    done: dict[str, Any] = {}

    def emit(status: Status, content: Any) -> None:
        if status is Status.GROUPS:
            rows.extend(content)
        else:
            done.update(content)

    vast_worker.parse(io.BytesIO(json.dumps({"offers": list(offers), **document}).encode()).read, emit)
    return {tuple(row[:3]): row[3:] for row in rows}, done


@asynccontextmanager
async def source(url: str) -> AsyncIterator[VastSource]:
    reader = VastSource(ResilientClient("vast.ai", [url], retry=RetryPolicy(retries=0)))
    try:
        yield reader
    finally:
        await reader.aclose()


def documents(result: FetchResult) -> dict[str, FeedDocument]:
    return {document.feed: document for document in result.documents}


# --- machines ---


def test_a_gpu_is_rented_when_no_offer_that_can_be_rented_holds_it() -> None:
    groups, _ = parse(
        offer(1, range(8), free=False),
        offer(1, range(2), free=True, whole=False),
        offer(1, range(1), free=True, whole=False),  # a part of the part: not counted twice
        offer(1, range(2, 8), free=False, whole=False),
        offer(2, range(10, 14), free=True),
        offer(3, range(20, 21), free=False),
    )
    rented, available, everything = groups["RTX 4090", ANY, ANY]
    assert (rented[0], available[0], everything[0]) == (6 + 0 + 1, 2 + 4 + 0, 13)


def test_statistics_count_every_gpu_and_have_no_percentiles_of_a_few() -> None:
    groups, _ = parse(
        offer(1, range(9), free=True, dph_base=9 * 0.3),
        offer(2, range(10, 11), free=True, dph_base=1.2345678, verification="deverified", hosting_type=2),
    )
    _, _, everything = groups["RTX 4090", ANY, ANY]
    # Of ten GPUs the first and the ninth; the dear one is the tenth.
    assert everything == [10, *[pytest.approx(0.3)] * 3]
    assert groups["RTX 4090", "verified", ANY][2] == [9, pytest.approx(0.3), None, None]
    assert groups["RTX 4090", "unverified", "dc:1-3"][2] == [1, 1.2345678, 1.2345678, 1.2345678]
    assert groups["RTX 4090", "verified", "non-dc:8+"][2][0] == 9


def test_a_part_without_its_machine_counts_nowhere_and_is_told() -> None:
    groups, done = parse(offer(1, range(4), free=True), offer(2, range(2), free=True, whole=False))
    assert groups["RTX 4090", ANY, ANY][2][0] == 4
    assert done["reasons"] == {"no usable offer of the whole machine": 1}


def test_bad_offers_are_rejected_alone_and_nothing_of_a_host_is_kept() -> None:
    groups, done = parse(offer(1, range(4), free=True), *BAD_ITEMS)
    assert set(groups) >= {("RTX 4090", ANY, ANY)} and not [name for name, *_ in groups if name.startswith("Bad")]
    assert sum(done["reasons"].values()) >= len(BAD_ITEMS) - 1
    assert done["samples"]
    said = json.dumps(done)
    assert HOST_ADDRESS not in said and HOST_NAME not in said and "Czechia" not in said


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"offers": {}}', '{"offers": [', '{"offers": []}', '{"offers": [1]}']
)
def test_what_is_no_market_is_refused(text: str) -> None:
    with pytest.raises(WrongShape):
        vast_worker.parse(io.BytesIO(text.encode()).read, lambda *_: None)


def test_an_answer_that_was_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vast_worker, "LIMIT", 3)
    with pytest.raises(WrongShape, match="cut at 3"):
        parse(*(offer(n, [n], free=True) for n in range(1, 4)))


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recorded offer is not at {RECORDED}")
def test_a_recorded_offer() -> None:
    raw = json.loads(RECORDED.read_text())
    [recorded] = raw if isinstance(raw, list) else [raw]
    groups, done = parse(recorded)
    rented, available, everything = groups["RTX 5090", "verified", "dc:8+"]
    # Not rentable as a whole, and no part of it is offered: all of it is taken. $4.3733 for 8 GPUs, not cut to cents.
    assert (rented[0], available[0], everything[:2]) == (8, 0, [8, pytest.approx(4.373333333 / 8)])
    assert done["reasons"] == {}


# --- the same as the exporter ---


async def test_the_same_machines_give_the_exporters_statistics() -> None:
    snapshot = MARKET.snapshot(AT)
    exporter: dict[tuple[str, str, str], Observation] = {}
    for feed, document in (("v1", document_v1(snapshot)), ("v2", document_v2(snapshot))):
        for item in parse_document(feed, render(document), AT + timedelta(minutes=1)).observations:
            exporter[item.gpu_name, item.verification, item.segment] = item
    async with VastStandIn(MARKET, CLOCK) as vast, source(vast.url) as reader:
        result = await reader.fetch(AT)
    assert not result.problems
    direct = {
        (item.gpu_name, item.verification, item.segment): item
        for document in result.documents
        for item in document.observations
    }
    assert direct.keys() == exporter.keys()
    for key, item in direct.items():
        for side in ("rented", "available", "all"):
            ours, theirs = getattr(item, side), getattr(exporter[key], side)
            assert ours.count == theirs.count, key
            for name in ("median", "p10", "p90"):
                one, other = getattr(ours, name), getattr(theirs, name)
                assert (one is None) is (other is None), key
                # What the exporter cuts off below a cent is kept here.
                assert one is None or one == pytest.approx(other + BELOW_A_CENT, abs=1e-9), key


# --- manners and faults ---


async def test_the_question_is_the_whole_market_with_a_limit() -> None:
    async with VastStandIn(MARKET, CLOCK) as vast, source(vast.url) as reader:
        await reader.fetch(AT)
    [asked] = vast.requests
    assert asked.path == PATH
    assert json.loads(asked.query["q"]) == QUERY
    assert QUERY["limit"] > 50_000 and QUERY["disable_bundling"] is True
    assert "authorization" not in asked.headers
    assert "gzip" in asked.headers["accept-encoding"]


async def test_an_answer_that_never_changes_is_an_old_one() -> None:
    async with VastStandIn(MARKET, CLOCK) as vast, source(vast.url) as reader:
        assert documents(await reader.fetch(AT)).keys() == {"v1", "v2"}
        assert (await reader.fetch(AT + timedelta(minutes=15))).unchanged == ("v1", "v2")
        reader.forget()
        assert documents(await reader.fetch(AT)).keys() == {"v1", "v2"}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("down", "broke off|cannot be reached"),
        ("status:429", "answered with status 429"),
        ("status:403", "403"),
        ("malformed", "unexpected answer: not (JSON|UTF-8)"),
        ("wrong_shape", "unexpected answer: no list of offers"),
        ("empty", "unexpected answer: the list of offers is empty"),
    ],
)
async def test_faults_are_told_and_nothing_is_taken(mode: str, words: str) -> None:
    async with VastStandIn(MARKET, CLOCK) as vast, source(vast.url) as reader:
        vast.set_mode(mode)
        result = await reader.fetch(AT)
        assert not result.documents
        assert result.problems.keys() == {"v1", "v2"}
        assert re.search(words, result.problems["v1"]), result.problems


async def test_bad_items_and_hostile_names_do_not_stop_the_rest() -> None:
    async with VastStandIn(MARKET, CLOCK) as vast, source(vast.url) as reader:
        good = documents(await reader.fetch(AT))["v1"]
        vast.set_mode("bad_items")
        reader.forget()
        bad = documents(await reader.fetch(AT))["v1"]
        assert list(bad.observations) == list(good.observations)
        assert len(bad.rejected) >= len(BAD_ITEMS) - 1 and not good.rejected
        vast.set_mode("hostile_names")
        assert documents(await reader.fetch(AT))["v1"].models > good.models


async def test_the_stand_in_answers_a_page_unless_it_is_told_a_limit() -> None:
    async with (
        VastStandIn(MARKET, CLOCK, rate_limited=True) as vast,
        ResilientClient("vast.ai", [vast.url], retry=RetryPolicy(retries=0)) as client,
    ):
        assert len(json.loads((await client.get(PATH)).body)["offers"]) == FIRST_PAGE
        page = await client.get(PATH, params={"q": '{"limit": 5}'})
        assert len(json.loads(page.body)["offers"]) == 5
        for _ in range(8):
            await client.get(PATH)
        from gpuscout.resilience.errors import UpstreamUnavailable

        with pytest.raises(UpstreamUnavailable, match="429"):
            await client.get(PATH)
