"""Whatever stands in a query, the answer is never a 500 and always well formed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from yarl import URL

from tests.web.fakes import Painter
from web.app import create_web_app
from web.services import WebServices

ROUTES = (
    "/api/v1/prices",
    "/api/v1/prices/{}/history",
    "/api/v1/prices/{}/history.csv",
    "/api/v1/fix/{}",
    "/api/v1/fix/{}/2026-11-23",
    "/api/v1/gpus",
    "/chart/{}.webp",
    "/chart/{}.png",
    "/static/{}",
    "/",
    "/methodology",
    "/{}",
)
NAMES = [
    "gpu",
    "platform",
    "region",
    "tier",
    "segments",
    "verification",
    "segment",
    "from",
    "to",
    "points",
    "tz",
    "range",
    "v",
    "x",
]
LIKELY = st.sampled_from(
    [
        *("rtx-4090", "RTX 4090", "vast", "global", "1", "0", "true", "verified", "any", "dc:8+", "2026-11-01", "500"),
        *("2026-11-24T00:00:00Z", "Europe/Berlin", "30d", "../../etc/passwd", "Europe", "NaN", "-1", "1e309", "\x00"),
        *("9999-12-31T23:59:59-14:00", "٣", "<script>", "'; DROP TABLE series; --", "%00", "\ud800", "💥" * 40),
    ]
)
VALUES = st.one_of(LIKELY, st.text(max_size=40), st.integers().map(str), st.datetimes().map(lambda at: at.isoformat()))


@pytest.fixture
def fetch(services: WebServices) -> Iterator[object]:
    """Asks one running application from a loop of its own, since one example is one synchronous call."""
    loop = asyncio.new_event_loop()
    client = TestClient(TestServer(create_web_app(replace(services, charts=Painter())), loop=loop), loop=loop)
    loop.run_until_complete(client.start_server())

    async def ask(path: str) -> tuple[int, str, bytes]:
        response = await client.get(URL(path, encoded=True), allow_redirects=False)
        return response.status, response.content_type, await response.read()

    yield lambda path: loop.run_until_complete(ask(path))
    loop.run_until_complete(client.close())
    loop.close()


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    route=st.sampled_from(ROUTES), place=VALUES, query=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4)
)
@example(route="/api/v1/prices/{}/history", place="rtx-4090", query=[("from", "0001-01-01T00:00:00+23:59")])
@example(route="/chart/{}.webp", place="rtx-4090", query=[("tz", "America")])
@example(route="/chart/{}.webp", place="rtx-4090", query=[("tz", "../../../etc/localtime")])
@example(route="/api/v1/prices", place="", query=[("gpu", "\ud800")])
def test_no_query_breaks_it(fetch, route: str, place: str, query: list[tuple[str, str]]) -> None:  # type: ignore[no-untyped-def]
    def escape(text: str) -> str:
        return quote(text.encode("utf-8", "surrogatepass"), safe="")

    path = route.format(escape(place))
    if query:
        path += "?" + "&".join(f"{name}={escape(value)}" for name, value in query)
    began = time.monotonic()
    status, kind, body = fetch(path)
    assert status in (200, 400, 404), (path, body)
    assert time.monotonic() - began < 5 + 15  # 15 s for a busy machine
    if status >= 400:
        assert kind == "application/problem+json"
        problem = json.loads(body)
        assert problem["status"] == status and problem["detail"]
    if kind == "text/html":
        assert b"<script" not in body
