"""What goes around every request: problems, limits, headers, ids, time-outs, the server's life."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from structlog.testing import capture_logs

from config.settings import Settings
from tests.web.conftest import Opener
from tests.web.fakes import FakeMarket
from web.app import WebServer, WebServerError
from web.services import WebLimits, WebServices

Client = TestClient  # type: ignore[type-arg]


async def problem(response: aiohttp.ClientResponse) -> dict[str, object]:
    assert response.content_type == "application/problem+json"
    body = json.loads(await response.read())
    assert body["status"] == response.status and body["title"] and body["detail"] and body["type"]
    assert body["id"] == response.headers["X-Request-ID"]
    assert response.headers["Cache-Control"] == "no-store"
    return body  # type: ignore[no-any-return]


async def test_nothing_at_an_address(client: Client) -> None:
    for path in ("/nowhere", "/api/v1", "/api/v1/prices/", "/chart/rtx-4090.gif", "/static/../app.py", "/static/x.css"):
        response = await client.get(path)
        assert response.status == 404, path
        await problem(response)


async def test_a_method_that_is_not_taken(client: Client) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        response = await client.request(method, "/api/v1/prices", data=b"x")
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert "GET, HEAD" in str((await problem(response))["detail"])


async def test_a_body_that_is_too_large_is_refused_unread(client: Client) -> None:
    response = await client.post("/api/v1/prices", data=b"x" * 70_000)
    assert response.status == 413
    await problem(response)


async def test_an_error_of_ours_shows_an_id_and_nothing_else(client: Client, market: FakeMarket) -> None:
    market.broken = RuntimeError("password=hunter2 in /srv/secret.py")
    with capture_logs() as logs:
        response = await client.get("/api/v1/prices")
    assert response.status == 500
    body = await problem(response)
    assert str(body["id"]) in str(body["detail"])
    assert "hunter2" not in json.dumps(body) and "RuntimeError" not in json.dumps(body)
    (failure,) = [entry for entry in logs if entry["event"] == "request_failed"]
    assert failure["log_level"] == "error" and failure["exc_info"]


async def test_a_slow_answer_ends(open_web: Opener, market: FakeMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever() -> int:
        await asyncio.sleep(60)
        return 0

    monkeypatch.setattr(market, "version", forever)
    client = await open_web(limits=WebLimits(request_seconds=0.05))
    began = time.monotonic()
    response = await client.get("/api/v1/prices")
    assert response.status == 503 and time.monotonic() - began < 30
    assert response.headers["Retry-After"] == "5"
    assert "too long" in str((await problem(response))["detail"])


async def test_a_timeout_inside_is_an_error_of_ours(client: Client, market: FakeMarket) -> None:
    market.broken = TimeoutError()
    assert (await client.get("/api/v1/prices")).status == 500


async def test_security_headers_are_on_every_answer(client: Client) -> None:
    for path in ("/", "/api/v1/prices", "/nowhere", "/healthz", "/metrics", "/static/site.css"):
        headers = (await client.get(path)).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy, path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"]
        assert headers["Server"] == "GPUScout"
        assert "Strict-Transport-Security" not in headers


async def test_strict_transport_only_behind_https(open_web: Opener) -> None:
    settings = Settings(_env_file=None, public_url="https://gpuscout.example")  # type: ignore[call-arg]
    client = await open_web(settings=settings)
    assert "max-age" in (await client.get("/healthz")).headers["Strict-Transport-Security"]


async def test_a_client_that_asks_too_often_is_told_when_to_come_back(open_web: Opener) -> None:
    client = await open_web(limits=WebLimits(requests_per_second=0.05, burst=3))
    answers = [await client.get("/api/v1/platforms") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
    assert 10 <= int(answers[3].headers["Retry-After"]) <= 20
    assert "Too many" in str((await problem(answers[3]))["detail"])
    for path in ("/healthz", "/readyz", "/metrics"):
        probe = await client.get(path)
        assert probe.status == 200 and "RateLimit-Limit" not in probe.headers
    other = await client.get("/api/v1/platforms", headers={"X-Forwarded-For": "203.0.113.9"})
    assert other.status == 200, "another client behind the local proxy has a budget of its own"
    refused = await client.get("/nowhere/a", headers={"X-Forwarded-For": "203.0.113.10"})
    assert (refused.status, refused.headers["RateLimit-Remaining"]) == (404, "2"), "a wrong address counts too"


async def test_head_is_get_without_a_body(client: Client) -> None:
    for path in ("/", "/api/v1/gpus", "/healthz", "/readyz", "/metrics", "/static/site.css", "/methodology"):
        head = await client.head(path)
        assert (head.status, await head.read()) == (200, b""), path


async def test_long_text_is_compressed_for_those_who_take_it(client: Client) -> None:
    packed = await client.get("/api/v1/gpus", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["Vary"] == "Accept-Encoding"
    plain = await client.get("/api/v1/gpus", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert await packed.json() == await plain.json()
    assert packed.headers["ETag"] == plain.headers["ETag"]
    short = await client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in short.headers


async def test_the_log_line_has_an_id_and_no_query(client: Client) -> None:
    with capture_logs() as logs:
        response = await client.get("/api/v1/prices?gpu=secret-name", headers={"X-Request-ID": "trace-12345678"})
        forged = await client.get("/healthz", headers={"X-Request-ID": "<script>"})
    assert response.headers["X-Request-ID"] == "trace-12345678"
    assert forged.headers["X-Request-ID"] != "<script>"
    (line,) = [entry for entry in logs if entry.get("route") == "/api/v1/prices"]
    assert (line["event"], line["method"], line["status"]) == ("http_request", "GET", 404)
    assert line["path"] == "/api/v1/prices" and line["ms"] >= 0
    assert "secret-name" not in repr(logs)


async def test_bytes_that_are_no_http_get_a_400(services: WebServices) -> None:
    server = WebServer(replace(services, settings=_settings(0)))
    await server.start()
    try:
        for junk in (b"\x16\x03\x01\x02\x00\x01junk\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(junk)
            assert b" 400 " in (await asyncio.wait_for(reader.readline(), 30))
            writer.close()
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/healthz") as alive:
            assert alive.status == 200
    finally:
        await server.stop()


def _settings(port: int) -> Settings:
    return Settings(_env_file=None, web_port=port)  # type: ignore[call-arg]


async def test_a_taken_port_is_named_with_what_to_do(services: WebServices) -> None:
    first = WebServer(replace(services, settings=_settings(0)))
    await first.start()
    try:
        second = WebServer(replace(services, settings=_settings(first.port)))
        with pytest.raises(WebServerError, match=rf"127\.0\.0\.1:{first.port} is in use.*WEB_PORT"):
            await second.start()
        await second.stop()
    finally:
        await first.stop()
    again = WebServer(replace(services, settings=_settings(first.port)))
    await again.start()
    await again.stop()


async def test_stopping_lets_a_running_request_end(
    services: WebServices, market: FakeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def slow() -> int:
        begun.set()
        await asyncio.sleep(0.3)
        return 1

    monkeypatch.setattr(market, "version", slow)
    server = WebServer(replace(services, settings=_settings(0)))
    await server.start()
    port = server.port
    async with aiohttp.ClientSession() as session:
        running = asyncio.create_task(session.get(f"http://127.0.0.1:{port}/api/v1/prices"))
        await begun.wait()
        await server.stop()
        assert (await running).status == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{port}/healthz")


async def test_stopping_ends_a_hanging_request_within_five_seconds(
    services: WebServices, market: FakeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def forever() -> int:
        begun.set()
        await asyncio.sleep(60)
        return 0

    monkeypatch.setattr(market, "version", forever)
    limits = WebLimits(shutdown_seconds=0.2)
    server = WebServer(replace(services, settings=_settings(0), limits=limits))
    await server.start()
    async with aiohttp.ClientSession() as session:
        running = asyncio.create_task(session.get(f"http://127.0.0.1:{server.port}/api/v1/prices"))
        await begun.wait()
        began = time.monotonic()
        await server.stop()
        assert time.monotonic() - began < 5
        with pytest.raises(aiohttp.ClientError):
            await running
