"""The stand-in over HTTP: the manners of the real exporter and every switch."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from pydantic import ValidationError

from sandbox.farm import MOUNT, FarmServer, Market, SimClock, Snapshot
from sandbox.farm.faults import BAD_V1, BAD_V2, HOSTILE_NAMES

MARKET = Market(seed=5)
V1, V2 = f"{MOUNT}/gpu-stats", f"{MOUNT}/gpu-stats/v2"
SHARED = Path(os.environ.get("GPUSCOUT_SHARED", Path(__file__).parents[3] / "shared"))
REAL_ANSWER = SHARED / "data" / "500farm_gpu_stats_2025-12-07.json"
NOW = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)


class Wall:
    """A wall clock that a test moves by hand."""

    def __init__(self) -> None:
        self.seconds = NOW.timestamp()

    def __call__(self) -> float:
        return self.seconds


class CountingMarket(Market):
    """Counts snapshots and remembers the threads that made them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.threads: list[int] = []

    def snapshot(self, at: datetime) -> Snapshot:
        self.threads.append(threading.get_ident())
        return super().snapshot(at)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def server(wall: Wall) -> AsyncIterator[FarmServer]:
    async with FarmServer(MARKET, SimClock.real_time(wall_source=wall)) as running:
        yield running


@pytest.fixture
async def client(server: FarmServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        yield http


async def raw_exchange(server: FarmServer, request: str) -> bytes:
    """Exactly what comes over the wire until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        lines = f"{request} HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n\r\n"
        writer.write(lines.encode())
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()


# --- manners --------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "url"), [(V1, "/gpu-stats"), (V2, "/gpu-stats/v2")])
async def test_get_answers_json(client: httpx.AsyncClient, path: str, url: str) -> None:
    answer = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    document = answer.json()
    assert document["url"] == url
    assert datetime.fromisoformat(document["timestamp"]) == NOW
    assert len(document["models"]) > 35


async def test_gzip_only_when_asked(server: FarmServer) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        async with session.get(server.url + V1, headers={"Accept-Encoding": "br, gzip"}) as zipped:
            assert zipped.headers["Content-Encoding"] == "gzip"
            small = await zipped.read()
        async with session.get(server.url + V1, headers={"Accept-Encoding": "br"}) as plain:
            assert "Content-Encoding" not in plain.headers
            large = await plain.read()
    assert gzip.decompress(small) == large
    assert len(small) < len(large) / 5


async def test_head_gives_the_headers_of_get_and_no_body(server: FarmServer) -> None:
    got, head = [await raw_exchange(server, f"{method} {V1}") for method in ("GET", "HEAD")]
    got_head, body = got.split(b"\r\n\r\n", 1)
    assert head.endswith(b"\r\n\r\n")
    for name in (b"Content-Length", b"ETag", b"Last-Modified", b"Content-Type"):
        line = next(h for h in got_head.split(b"\r\n") if h.startswith(name))
        assert line in head.split(b"\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_not_allowed(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, V1)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.text == "Method Not Allowed\n"


@pytest.mark.parametrize("path", ["/api/gpu-pricing", "/gpu-stats", f"{MOUNT}/gpu-stats/", f"{MOUNT}/hosts", "/"])
async def test_everything_else_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.text == "404 page not found\n"
    assert answer.headers["content-type"].startswith("text/plain")


async def test_an_entity_tag_saves_the_transfer(server: FarmServer, client: httpx.AsyncClient) -> None:
    tags = []
    for path in (V1, V2):
        first = await client.get(path)
        tag = first.headers["etag"]
        assert len(tag) == 18
        assert tag[0] == tag[-1] == '"'
        int(tag[1:-1], 16)
        again = await client.get(path, headers={"If-None-Match": tag})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
        tags.append(tag)
    assert tags[0] != tags[1]
    assert server.not_modified == 2
    assert server.requests[-1].headers["if-none-match"] == tags[1]


async def test_a_date_saves_the_transfer_unless_a_tag_is_sent_too(client: httpx.AsyncClient) -> None:
    first = await client.get(V1)
    modified = first.headers["last-modified"]
    assert modified == format_datetime(NOW.replace(microsecond=0), usegmt=True)
    earlier = format_datetime(NOW - timedelta(seconds=2), usegmt=True)
    for headers, status in (
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": earlier}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": modified, "If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": earlier, "If-None-Match": first.headers["etag"]}, 304),
        ({"If-None-Match": "W/" + first.headers["etag"]}, 200),
        ({"If-None-Match": "*"}, 200),
    ):
        assert (await client.get(V1, headers=headers)).status_code == status, headers


# --- when it renews -------------------------------------------------------------------------


async def test_a_document_stays_until_the_interval_has_passed(wall: Wall, client: httpx.AsyncClient) -> None:
    first = await client.get(V1)
    wall.seconds += 59.9
    assert (await client.get(V1)).content == first.content
    wall.seconds += 0.1 + 125
    later = await client.get(V1)
    assert later.content != first.content
    # Renewed by its own schedule: three intervals after the first, not at the moment of asking.
    stamp = datetime.fromisoformat(later.json()["timestamp"])
    assert stamp - NOW == timedelta(minutes=3)
    assert (await client.get(V2)).json()["timestamp"] == later.json()["timestamp"]


async def test_a_clock_set_back_renews_nothing(wall: Wall, client: httpx.AsyncClient) -> None:
    first = await client.get(V1)
    wall.seconds -= 7200
    assert (await client.get(V1)).content == first.content


async def test_a_faster_market_keeps_wall_stamps_unless_told_otherwise(wall: Wall) -> None:
    for stamp, seconds in (("wall", 1), ("simulated", 60)):
        wall.seconds = NOW.timestamp()
        clock = SimClock.real_time(speed=60, wall_source=wall)
        async with (
            FarmServer(MARKET, clock, stamp=stamp) as server,
            httpx.AsyncClient(base_url=server.url, timeout=60) as client,
        ):
            wall.seconds += 1  # one simulated minute
            document = (await client.get(V1)).json()
        assert datetime.fromisoformat(document["timestamp"]) == NOW + timedelta(seconds=seconds)
        there = {m.name: m for m in MARKET.snapshot(NOW + timedelta(minutes=1)).models}
        rented = {m["name"]: m["stats"]["rented"]["all"][0]["count"] for m in document["models"]}
        assert rented == {name: int(model.rented.sum()) for name, model in there.items()}


async def test_many_clients_share_one_publication_made_outside_the_loop(wall: Wall) -> None:
    market = CountingMarket(seed=5)
    async with (
        FarmServer(market, SimClock.real_time(wall_source=wall)) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
    ):
        wall.seconds += 60
        answers = await asyncio.gather(*(client.get(path) for path in (V1, V2) * 10))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 2
    assert len(market.threads) == 2  # at the start and after the interval
    assert threading.get_ident() not in market.threads


# --- switches -------------------------------------------------------------------------------


async def test_down_closes_without_an_answer_or_says_503(server: FarmServer, client: httpx.AsyncClient) -> None:
    server.set_mode("down")
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(V1)
    assert server.requests[-1].status is None
    server.set_mode("down", how="503")
    assert (await client.get(V1)).status_code == 503
    server.set_mode("ok")
    assert (await client.get(V1)).status_code == 200


async def test_stopped_it_refuses_and_comes_back_on_the_same_port(server: FarmServer) -> None:
    port = server.port
    await server.stop()
    await server.stop()
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(V1)
        await server.start()
        assert server.port == port
        assert (await client.get(V1)).status_code == 200
    with pytest.raises(RuntimeError, match="already running"):
        await server.start()
    with pytest.raises(OSError, match="in use"):
        await FarmServer(MARKET, port=port).start()


async def test_slow_answers_late_and_does_not_delay_the_stop(server: FarmServer, client: httpx.AsyncClient) -> None:
    loop = asyncio.get_running_loop()
    server.set_mode("slow", seconds=0.3)
    before = loop.time()
    assert (await client.get(V1)).status_code == 200
    assert loop.time() - before >= 0.29
    server.set_mode("slow", seconds=600)
    with pytest.raises(httpx.ReadTimeout):
        await client.get(V1, timeout=0.2)
    hanging = asyncio.create_task(client.get(V1, timeout=30))
    await asyncio.sleep(0.05)
    before = loop.time()
    await server.stop()
    assert loop.time() - before < 10
    with pytest.raises(httpx.HTTPError):
        await hanging


async def test_frozen_serves_the_same_for_ever(wall: Wall, server: FarmServer, client: httpx.AsyncClient) -> None:
    first = await client.get(V1)
    server.set_mode("frozen")
    wall.seconds += 5 * 3600
    frozen = await client.get(V1)
    assert (frozen.status_code, frozen.content) == (200, first.content)
    again = await client.get(V1, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    server.set_mode("ok")
    thawed = (await client.get(V1)).json()
    assert datetime.fromisoformat(thawed["timestamp"]) == NOW + timedelta(hours=5)


async def test_malformed_is_no_json_but_status_200(server: FarmServer, client: httpx.AsyncClient) -> None:
    server.set_mode("malformed")
    answer = await client.get(V1)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode()
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content.decode(errors="replace"))


async def test_half_loses_the_same_models_in_both_documents(server: FarmServer, client: httpx.AsyncClient) -> None:
    names = {m["name"] for m in (await client.get(V1)).json()["models"]}
    tag = (await client.get(V1)).headers["etag"]
    server.set_mode("half")
    answer = await client.get(V1, headers={"If-None-Match": tag})
    assert answer.status_code == 200  # the switch shows at once, tag and stamp are new
    left = {m["name"] for m in answer.json()["models"]}
    assert left < names
    assert len(left) == len(names) // 2
    assert left == {m["name"] for m in (await client.get(V2)).json()["models"]}
    server.set_mode("ok")
    assert {m["name"] for m in (await client.get(V1)).json()["models"]} == names


@pytest.mark.parametrize("shape", ["error", "list", "models_object", "empty"])
async def test_wrong_shape_is_json_without_a_list_of_models(
    server: FarmServer, client: httpx.AsyncClient, shape: str
) -> None:
    server.set_mode("wrong_shape", shape=shape)
    for path in (V1, V2):
        document: Any = (await client.get(path)).json()
        assert not (isinstance(document, dict) and isinstance(document.get("models"), list))


async def test_bad_items_stand_beside_good_ones(server: FarmServer, client: httpx.AsyncClient) -> None:
    good = {path: (await client.get(path)).json()["models"] for path in (V1, V2)}
    server.set_mode("bad_items")
    for path, bad in ((V1, BAD_V1), (V2, BAD_V2)):
        models = (await client.get(path)).json()["models"]
        assert models[: len(good[path])] == good[path]
        assert models[len(good[path]) :] == list(bad)
        assert len(bad) > 10


async def test_hostile_names_are_well_formed_items(server: FarmServer, client: httpx.AsyncClient) -> None:
    server.set_mode("hostile_names")
    for path in (V1, V2):
        models = (await client.get(path)).json()["models"][-len(HOSTILE_NAMES) :]
        assert tuple(model["name"] for model in models) == HOSTILE_NAMES
    v1 = (await client.get(V1)).json()["models"][-1]
    assert v1["stats"]["all"]["all"][0]["count"] == 1


async def test_status_with_retry_after_for_a_number_of_requests(server: FarmServer, client: httpx.AsyncClient) -> None:
    server.set_mode("status:429", retry_after=7, times=2)
    answers = [await client.get(path) for path in (V1, V2, V1)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[0].headers["content-type"].startswith("text/html")
    assert server.fault.mode == "ok"
    assert server.statuses == {429: 2, 200: 1}


@pytest.mark.parametrize("mode", ["off", "status:200", "status:700", "status:", "OK", ""])
def test_a_mode_that_does_not_exist_is_refused(mode: str) -> None:
    with pytest.raises(ValidationError):
        FarmServer(MARKET).set_mode(mode)


# --- control over HTTP ----------------------------------------------------------------------


async def test_the_switch_can_be_turned_over_http(server: FarmServer, client: httpx.AsyncClient) -> None:
    await client.get(V1)
    answer = await client.post("/control", json={"mode": "status:502", "times": 3})
    assert answer.status_code == 200
    await client.get(V1)
    state = (await client.get("/control")).json()
    assert (state["mode"], state["times"]) == ("status:502", 2)
    assert state["statuses"] == {"200": 1, "502": 1}
    assert state["requests"] == 2  # control itself does not count
    assert (state["speed"], state["update_interval"]) == (1, 60)
    assert datetime.fromisoformat(state["simulated_time"]) == NOW


@pytest.mark.parametrize(
    "body", [{"mode": "explode"}, {"mode": "slow", "seconds": -1}, {"mood": "ok"}, {"times": 0}, []]
)
async def test_wrong_control_is_explained_and_changes_nothing(
    server: FarmServer, client: httpx.AsyncClient, body: object
) -> None:
    server.set_mode("frozen")
    answer = await client.post("/control", json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert server.fault.mode == "frozen"


async def test_control_takes_json_only(client: httpx.AsyncClient) -> None:
    form = await client.post("/control", data={"mode": "down"})
    assert form.status_code == 415
    text = await client.post("/control", content="{", headers={"Content-Type": "application/json"})
    assert text.status_code == 400
    assert (await client.delete("/control")).status_code == 405


# --- recorded answers -----------------------------------------------------------------------

RECORDED = {
    "url": "/gpu-stats",
    "timestamp": "2025-12-07T20:30:16.932863812Z",
    "note": "Sorted from most to least popular.",
    "models": [{"name": name, "stats": {}, "info": {}} for name in ("A", "B", "C", "D")],
}


async def test_a_recorded_answer_is_served_byte_for_byte(wall: Wall) -> None:
    text = json.dumps(RECORDED, indent=3) + "\n\n"
    documents = {"v1": text, "v2": None}
    async with (
        FarmServer(MARKET, SimClock.real_time(wall_source=wall), documents=documents) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
    ):
        first = await client.get(V1)
        assert first.content == text.encode()
        assert first.headers["last-modified"] == "Sun, 07 Dec 2025 20:30:16 GMT"
        assert (await client.get(V2)).status_code == 404
        wall.seconds += 3600
        again = await client.get(V1, headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
        server.set_mode("half")
        assert [m["name"] for m in (await client.get(V1)).json()["models"]] == ["B", "D"]
        server.set_mode("ok")
        server.set_documents({"v2": RECORDED})
        assert (await client.get(V2)).json() == RECORDED
        assert len((await client.get(V1)).json()["models"]) > 35


async def test_a_recorded_answer_can_get_fresh_stamps(wall: Wall) -> None:
    documents = {"v1": json.dumps(RECORDED).encode()}
    clock = SimClock.real_time(wall_source=wall)
    async with (
        FarmServer(MARKET, clock, documents=documents, restamp=True) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
    ):
        for minutes in (0, 1, 2):
            document = (await client.get(V1)).json()
            assert datetime.fromisoformat(document["timestamp"]) == NOW + timedelta(minutes=minutes)
            assert document["models"] == RECORDED["models"]
            wall.seconds += 60


@pytest.mark.skipif(not REAL_ANSWER.exists(), reason=f"no recorded answer at {REAL_ANSWER}")
async def test_the_real_answer_passes_through_unchanged() -> None:
    recorded = REAL_ANSWER.read_bytes()
    async with (
        FarmServer(MARKET, documents={"v1": recorded, "v2": None}) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
    ):
        answer = await client.get(V1)
    assert answer.content == recorded
    models = {model["name"]: model["stats"] for model in answer.json()["models"]}
    assert len(models) == 88
    assert models["RTX 4090"]["rented"]["all"][0]["count"] == 2402


# --- as a process ---------------------------------------------------------------------------


async def test_it_runs_by_itself_until_interrupted() -> None:
    command = [sys.executable, "-m", "sandbox.farm", "--port", "{}", "--seed", "5"]
    root = Path(__file__).parents[2]

    async def run(port: int) -> asyncio.subprocess.Process:
        arguments = [part.format(port) for part in command]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*arguments, cwd=root, stdout=pipe, stderr=pipe)

    process = await run(0)
    try:
        assert process.stdout is not None
        line = ""
        while "Simulated market at " not in line:
            line = (await asyncio.wait_for(process.stdout.readline(), 90)).decode()
            assert line, "it ended before it served"
        address = line.split()[3]
        async with httpx.AsyncClient(timeout=60) as client:
            assert (await client.get(address)).status_code == 200
        second = await run(int(address.split(":")[2].split("/")[0]))
        _, complaint = await asyncio.wait_for(second.communicate(), 90)
        assert second.returncode == 1
        assert b"another --port" in complaint
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0
    assert b"Traceback" not in errors


# --- the log --------------------------------------------------------------------------------


async def test_requests_are_remembered_with_their_headers(server: FarmServer, client: httpx.AsyncClient) -> None:
    await client.get(V1, headers={"User-Agent": "GPUScout/test"})
    await client.head("/nowhere")
    first, second = server.requests
    assert (first.method, first.path, first.status) == ("GET", V1, 200)
    assert first.headers["user-agent"] == "GPUScout/test"
    assert first.at == NOW
    assert (second.method, second.path, second.status) == ("HEAD", "/nowhere", 404)
