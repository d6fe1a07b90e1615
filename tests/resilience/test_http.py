"""The HTTP client against a real server on loopback that misbehaves in every way we know."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from gpuscout.resilience import (
    BACKGROUND,
    BadEncoding,
    BadStatus,
    BreakerState,
    CircuitBreaker,
    CircuitOpen,
    HealthBoard,
    HealthState,
    QueueFull,
    RequestQueue,
    ResilientClient,
    ResponseTooLarge,
    RetryPolicy,
    UpstreamUnavailable,
    interactive,
)
from tests.services import free_port

NO_RETRY = RetryPolicy(retries=0)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """Answers by a handler that a test can replace, and keeps what it was asked."""

    url: str = ""
    handler: Handler | None = None
    requests: list[web.Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        assert self.handler is not None
        return await self.handler(request)

    def answers(self, *responses: Callable[[], web.Response]) -> None:
        """Give these answers in turn, the last one for ever."""
        count = 0

        async def handle(_request: web.Request) -> web.Response:
            nonlocal count
            response = responses[min(count, len(responses) - 1)]()
            count += 1
            return response

        self.handler = handle


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


class Pauses:
    """Takes the place of sleeping between tries."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@dataclass
class Setup:
    client: ResilientClient
    pauses: Pauses
    outcomes: Counter[str]
    health: HealthBoard


@asynccontextmanager
async def client_of(*urls: str, **options: Any) -> AsyncIterator[Setup]:
    pauses, outcomes, health = Pauses(), Counter[str](), HealthBoard()
    client = ResilientClient(
        "farm",
        urls,
        health=health,
        sleep=pauses,
        metrics=lambda _service, outcome, _seconds: outcomes.update([outcome]),
        **{"timeout": 2.0, **options},
    )
    async with client:
        yield Setup(client, pauses, outcomes, health)


@asynccontextmanager
async def raw_server(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[tuple[str, list[int]]]:
    """A server below HTTP: reads a request's head, then does what ``talk`` does."""
    connections: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()
        await server.wait_closed()


def ok(body: bytes = b"{}", **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def status(code: int, **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def test_an_answer_and_what_was_asked(server: Server) -> None:
    server.answers(ok(b'{"a": 1}', ETag='"x"'))
    async with client_of(server.url + "/base/", headers={"x-key": "k"}) as setup:
        answer = await setup.client.get("/stats", params={"q": "a b&c"}, headers={"If-None-Match": '"w"'})
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b'{"a": 1}', '"x"')
    assert (answer.mirror, answer.attempts) == (f"{server.url}/base", 1)
    assert 0 < answer.elapsed < 2
    (request,) = server.requests
    assert (request.path, request.query["q"]) == ("/base/stats", "a b&c")
    assert request.headers["user-agent"].startswith("GPUScout")
    assert request.headers["accept-encoding"] == "gzip"
    assert (request.headers["if-none-match"], request.headers["x-key"]) == ('"w"', "k")
    assert setup.outcomes == {"ok": 1}
    assert setup.health.get("farm").state is HealthState.OK


async def test_own_user_agent(server: Server) -> None:
    server.answers(ok())
    async with client_of(server.url, user_agent="Other/1 (+https://other.example)") as setup:
        await setup.client.get("/")
    assert server.requests[0].headers["user-agent"] == "Other/1 (+https://other.example)"


async def test_not_modified_is_an_answer(server: Server) -> None:
    server.answers(status(304, ETag='"x"'))
    async with client_of(server.url) as setup:
        answer = await setup.client.get("/stats")
    assert (answer.status, answer.body) == (304, b"")
    assert setup.outcomes == {"not_modified": 1}


async def test_five_repetitions_then_unavailable(server: Server) -> None:
    server.answers(status(503))
    async with client_of(server.url) as setup:
        with pytest.raises(UpstreamUnavailable, match="farm: answered with status 503") as failure:
            await setup.client.get("/stats")
    assert not isinstance(failure.value, CircuitOpen)
    assert len(server.requests) == 6
    assert setup.pauses.seconds == list(BACKGROUND.pauses())
    assert setup.outcomes == {"server_error": 6}
    health = setup.health.get("farm")
    assert (health.consecutive_failures, health.message) == (1, "answered with status 503")


async def test_a_service_that_comes_back_is_heard(server: Server) -> None:
    server.answers(status(500), status(502), ok(b"back"))
    async with client_of(server.url) as setup:
        answer = await setup.client.get("/stats")
    assert (answer.body, answer.attempts) == (b"back", 3)
    assert setup.health.get("farm").consecutive_failures == 0


async def test_retry_after_in_seconds_is_kept(server: Server) -> None:
    server.answers(status(429, Retry_After="7"), ok())
    async with client_of(server.url) as setup:
        await setup.client.get("/stats")
    assert setup.pauses.seconds == [7]
    assert setup.outcomes == {"rate_limited": 1, "ok": 1}


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 410])
async def test_a_no_is_believed_at_once(server: Server, code: int) -> None:
    server.answers(lambda: web.Response(status=code, body=b"because" * 1000, headers={"Location": "/elsewhere"}))
    async with client_of(server.url) as setup:
        with pytest.raises(BadStatus) as failure:
            await setup.client.get("/stats")
        assert next(iter(setup.client.breakers.values())).failures == 0
    assert failure.value.status == code
    assert failure.value.body.startswith(b"because") and len(failure.value.body) <= 2048
    assert len(server.requests) == 1, "neither repeated nor redirected"
    refused = code in (401, 403)
    assert setup.health.get("farm").state is (HealthState.DEGRADED if refused else HealthState.OK)


async def test_the_breaker_refuses_later_calls_without_asking(server: Server) -> None:
    server.answers(status(503))
    async with client_of(server.url) as setup:
        with pytest.raises(UpstreamUnavailable):
            await setup.client.get("/stats")
        with pytest.raises(CircuitOpen):
            await setup.client.get("/other")
        assert len(server.requests) == 6
        assert next(iter(setup.client.breakers.values())).state is BreakerState.OPEN
    assert setup.outcomes["circuit_open"] == 1


async def test_twenty_callers_at_recovery_send_one_request(server: Server) -> None:
    now = 0.0
    server.answers(status(503))
    async with client_of(
        server.url, retry=NO_RETRY, breaker=lambda name: CircuitBreaker(name, threshold=1, clock=lambda: now)
    ) as setup:
        with pytest.raises(UpstreamUnavailable):
            await setup.client.get("/stats")
        now = 60.0
        may_answer = asyncio.Event()

        async def slow(_request: web.Request) -> web.Response:
            await may_answer.wait()
            return web.Response()

        server.handler = slow
        server.requests.clear()
        callers = [asyncio.create_task(setup.client.get("/stats")) for _ in range(20)]
        await asyncio.sleep(0.05)
        may_answer.set()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert len(server.requests) == 1
        assert sum(isinstance(result, CircuitOpen) for result in results) == 19
        assert (await setup.client.get("/stats")).status == 200


async def test_the_next_mirror_answers_within_the_same_try(server: Server) -> None:
    async with running() as second:
        server.answers(status(503))
        second.answers(ok(b"second"))
        async with client_of(server.url, second.url) as setup:
            for _ in range(8):
                answer = await setup.client.get("/stats")
                assert (answer.body, answer.mirror, answer.attempts) == (b"second", second.url, 1)
        assert (len(server.requests), len(second.requests)) == (5, 8), "the first is left alone once its circuit opens"
        assert setup.pauses.seconds == []


async def test_a_dead_mirror_is_passed_over_and_a_no_of_one_is_not_the_last_word(server: Server) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    async with running() as third:
        server.answers(status(404))
        third.answers(ok(b"third"))
        async with client_of(dead, server.url, third.url) as setup:
            assert (await setup.client.get("/stats")).body == b"third"
        assert setup.outcomes == {"connection": 1, "client_error": 1, "ok": 1}


async def test_a_no_from_all_mirrors_is_not_repeated(server: Server) -> None:
    async with running() as second:
        server.answers(status(404))
        second.answers(status(403))
        async with client_of(server.url, second.url) as setup:
            with pytest.raises(BadStatus) as failure:
                await setup.client.get("/stats")
    assert failure.value.status == 404
    assert setup.pauses.seconds == []


async def test_a_silent_service_is_left_after_the_timeout(server: Server) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.handler = silent
    async with client_of(server.url, timeout=0.05, retry=RetryPolicy(retries=1)) as setup:
        with pytest.raises(UpstreamUnavailable, match=r"did not answer within 0\.05 s"):
            await setup.client.get("/stats")
    assert setup.outcomes == {"timeout": 2}


async def test_a_dripping_answer_cannot_outlast_the_timeout(server: Server) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    server.handler = drip
    async with client_of(server.url, timeout=0.15, retry=NO_RETRY) as setup:
        with pytest.raises(UpstreamUnavailable, match="did not answer"):
            await asyncio.wait_for(setup.client.get("/stats"), 20)


async def test_a_silent_mirror_leaves_time_for_the_next_within_the_deadline(server: Server) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.handler = silent
    async with running() as second:
        second.answers(ok(b"second"))
        async with client_of(server.url, second.url, retry=interactive(2.0)) as setup:
            assert (await asyncio.wait_for(setup.client.get("/stats"), 4)).body == b"second"
            assert setup.client.breakers[server.url].failures == 1


async def test_an_interactive_call_ends_at_its_deadline_and_its_breaker_hears_of_it(server: Server) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.handler = silent
    async with client_of(server.url) as setup:
        with pytest.raises(UpstreamUnavailable):
            await asyncio.wait_for(setup.client.get("/stats", retry=interactive(0.1)), 4)
        assert setup.client.breakers[server.url].failures >= 1
        assert setup.health.get("farm").state is HealthState.DEGRADED


async def test_a_deadline_that_falls_before_the_timeout_is_still_the_services_failure(server: Server) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.handler = silent
    ticks = iter([0.0, 0.0, -5.0, -5.0, -5.0])  # so that the request's own limit comes after the deadline
    async with client_of(server.url, clock=lambda: next(ticks, 99.0)) as setup:
        with pytest.raises(UpstreamUnavailable):
            await asyncio.wait_for(setup.client.get("/stats", retry=RetryPolicy(deadline=0.1)), 4)
        assert setup.client.breakers[server.url].failures == 1


async def test_a_reset_connection_is_tried_again() -> None:
    async def reset(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with raw_server(reset) as (url, connections), client_of(url, retry=RetryPolicy(retries=2)) as setup:
        with pytest.raises(UpstreamUnavailable, match="broke off"):
            await setup.client.get("/stats")
    assert len(connections) == 3
    assert setup.outcomes == {"connection": 3}


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
    ],
)
async def test_a_cut_or_foreign_answer_is_never_taken_for_whole(bytes_sent: bytes) -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(bytes_sent)
        await writer.drain()

    async with raw_server(talk) as (url, _), client_of(url, retry=NO_RETRY) as setup:
        with pytest.raises(UpstreamUnavailable, match="broke off"):
            await setup.client.get("/stats")


async def test_gzip_is_unpacked_also_in_several_members(server: Server) -> None:
    body = b"0123456789" * 100_000
    packed = gzip.compress(body[:400_000]) + gzip.compress(body[400_000:])
    server.answers(ok(packed, Content_Encoding="gzip"), ok(b"", Content_Encoding="gzip"))
    async with client_of(server.url) as setup:
        assert (await setup.client.get("/stats")).body == body
        assert (await setup.client.get("/stats")).body == b""


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param(gzip.compress(b"x" * 10_000)[:-12], "gzip", id="cut"),
        (b"\x1f\x8bnonsense and more of it", "gzip"),
        (zlib.compress(b"x"), "deflate"),
        (b"x", "br"),
    ],
)
async def test_a_damaged_or_unasked_packing_is_refused(server: Server, body: bytes, encoding: str) -> None:
    server.answers(ok(body, Content_Encoding=encoding))
    async with client_of(server.url, retry=RetryPolicy(retries=1)) as setup:
        with pytest.raises(BadEncoding):
            await setup.client.get("/stats")
    assert setup.outcomes == {"bad_encoding": 2}


async def test_a_body_beyond_the_limit_is_not_read_and_not_asked_for_again(server: Server) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent += 65536

    server.handler = endless
    async with client_of(server.url, max_bytes=100_000) as setup:
        with pytest.raises(ResponseTooLarge, match="more than 100,000 bytes"):
            await setup.client.get("/stats")
    assert len(server.requests) == 1
    assert sent < 20_000_000
    assert setup.outcomes == {"too_large": 1}


async def test_a_declared_size_beyond_the_limit_is_refused_before_reading(server: Server) -> None:
    server.answers(ok(b"x" * 5000))
    async with client_of(server.url) as setup:
        with pytest.raises(ResponseTooLarge):
            await setup.client.get("/stats", max_bytes=4999)
        assert len((await setup.client.get("/stats", max_bytes=5000)).body) == 5000


async def test_a_packed_bomb_is_stopped_near_the_limit(server: Server) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
    assert len(bomb) < 1_000_000
    server.answers(ok(bomb, Content_Encoding="gzip"))
    async with client_of(server.url, max_bytes=1_000_000) as setup:
        import tracemalloc

        tracemalloc.start()
        with pytest.raises(ResponseTooLarge):
            await setup.client.get("/stats")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 10_000_000


async def test_unpacking_lets_other_tasks_run(server: Server) -> None:
    server.answers(ok(gzip.compress(bytes(15_000_000), compresslevel=1), Content_Encoding="gzip"))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with client_of(server.url) as setup:
        task = asyncio.create_task(other())
        await setup.client.get("/stats")
        task.cancel()
    assert turns > 30


async def test_the_rate_limit_stands_before_every_request(server: Server) -> None:
    server.answers(ok())
    queue = RequestQueue("farm", rate=1, per_seconds=60, max_queue=0)
    async with client_of(server.url, limiter=queue) as setup:
        await setup.client.get("/stats")
        with pytest.raises(QueueFull):
            await setup.client.get("/stats")
        assert setup.client.breakers[server.url].failures == 0
    assert len(server.requests) == 1
    assert setup.outcomes == {"ok": 1, "queue_full": 1}
    assert setup.health.get("farm").state is HealthState.OK


async def test_a_cancelled_call_stops_at_once_and_is_measured(server: Server) -> None:
    reached = asyncio.Event()

    async def silent(_request: web.Request) -> web.Response:
        reached.set()
        await asyncio.sleep(5)
        return web.Response()

    server.handler = silent
    async with client_of(server.url) as setup:
        task = asyncio.create_task(setup.client.get("/stats"))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert setup.client.breakers[server.url].failures == 0
    assert setup.outcomes == {"cancelled": 1}


async def test_a_failing_metrics_hook_does_no_harm(server: Server) -> None:
    def broken(_service: str, _outcome: str, _seconds: float) -> None:
        raise RuntimeError("metrics")

    server.answers(ok(b"fine"))
    async with ResilientClient("farm", [server.url], metrics=broken) as client:
        assert (await client.get("/stats")).body == b"fine"


@pytest.mark.parametrize("path", ["", "stats", "//evil.example/x", "/a/../b", "/a?b=c", "/a b", "/a#b", "/a\r\nX: y"])
async def test_only_plain_paths_are_asked_for(path: str) -> None:
    async with ResilientClient("farm", ["http://127.0.0.1:9"]) as client:
        with pytest.raises(ValueError, match="path"):
            await client.get(path)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://h.example", "h.example", "https://", "https://u:hunter2@h.example", "https://h.example/?k=hunter2"],
)
def test_only_plain_addresses_are_taken_and_never_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="address") as refusal:
        ResilientClient("farm", [url])
    assert "hunter2" not in str(refusal.value)


def test_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one address"):
        ResilientClient("farm", [])
