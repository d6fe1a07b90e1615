from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from aiohttp.test_utils import TestClient
from PIL import Image

from gpuscout.charts.pool import ChartRenderer
from tests.web.conftest import Opener
from tests.web.fakes import NOW, Clock, FakeMarket, Painter, quote

Client = TestClient  # type: ignore[type-arg]


async def test_a_real_chart_in_both_formats(open_web: Opener) -> None:
    async with ChartRenderer(1, timeout=120, start_timeout=120) as renderer:
        client = await open_web(charts=renderer)
        for extension, kind in (("webp", "WEBP"), ("png", "PNG")):
            path = f"/chart/rtx-4090.{extension}?range=7d&platform=vast&tz=Europe/Berlin"
            response = await client.get(path)
            assert response.status == 200, await response.text()
            assert response.content_type == f"image/{extension}"
            data = await response.read()
            with Image.open(io.BytesIO(data)) as image:
                assert (image.format, image.size) == (kind, (1600, 900))
            tag = response.headers["ETag"]
            again = await client.get(path, headers={"If-None-Match": tag})
            assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
        assert renderer.stats().drawn == 2


async def test_what_is_asked_is_what_is_drawn(open_web: Opener) -> None:
    painter = Painter()
    client = await open_web(charts=painter)
    response = await client.get("/chart/RTX%204090.png?range=24h&verification=verified&segment=dc:8%2B&tz=Asia/Tokyo")
    assert response.status == 200
    (spec,) = painter.specs
    assert spec.timezone == "Asia/Tokyo" and spec.format == "png" and spec.badge is None
    assert spec.end - spec.start == timedelta(hours=24).total_seconds()
    assert datetime.fromtimestamp(spec.as_of, UTC) == NOW - timedelta(minutes=5)
    assert "RTX-4090" in spec.title and "Vast.ai" in spec.subtitle
    assert response.headers["ETag"] == f'"{spec.cache_key()}"'
    assert "max-age" in response.headers["Cache-Control"]
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


async def test_the_picture_changes_with_the_data_and_not_with_the_clock(
    open_web: Opener, market: FakeMarket, clock: Clock
) -> None:
    client = await open_web(charts=Painter())
    first = (await client.get("/chart/rtx-4090.webp")).headers["ETag"]
    clock.advance(timedelta(minutes=4))
    assert (await client.get("/chart/rtx-4090.webp?v=2")).headers["ETag"] == first
    market.stored[0] = quote("rtx-4090", 0.37, at=clock())
    assert (await client.get("/chart/rtx-4090.webp")).headers["ETag"] != first


async def test_the_simulator_puts_its_badge_on_the_chart(open_web: Opener, market: FakeMarket) -> None:
    market.stored = [quote("rtx-4090", source="simulator")]
    painter = Painter()
    client = await open_web(charts=painter)
    assert (await client.get("/chart/rtx-4090.webp")).status == 200
    assert painter.specs[0].badge == "SIMULATED"


async def test_problems_say_why_there_is_no_chart(
    open_web: Opener, client: Client, market: FakeMarket, clock: Clock
) -> None:
    painter = Painter()
    drawing = await open_web(charts=painter)

    async def ask(path: str, at: Client = drawing) -> tuple[int, str, str | None]:
        response = await at.get(path)
        assert response.content_type == "application/problem+json"
        body = await response.json(content_type=None)
        return response.status, body["detail"], response.headers.get("Retry-After")

    assert (await ask("/chart/rtx-4900.webp"))[0] == 404
    status, detail, _ = await ask("/chart/rtx-4090.webp?platform=runpod")
    assert (status, "no quotes" in detail) == (404, True)
    for query, word in (("tz=Mars", "time zone"), ("tz=../x", "time zone"), ("range=3d", "24h"), ("size=9", "known")):
        status, detail, _ = await ask(f"/chart/rtx-4090.webp?{query}")
        assert (status, word in detail) == (400, True), detail

    assert await ask("/chart/rtx-4090.webp", client) == (503, "Charts are switched off here.", "3600")
    painter.broken = True
    status, detail, retry = await ask("/chart/rtx-4090.webp")
    assert (status, retry) == (503, "10") and "no chart within" not in detail
    clock.advance(timedelta(hours=5))
    assert await ask("/chart/rtx-4090.webp") == (503, "Data temporarily unavailable.", "180")
    market.stored.clear()
    market.next_poll = None
    market.points.clear()
    status, detail, retry = await ask("/chart/rtx-4090.webp")
    assert (status, detail, retry) == (503, "There are no market data yet.", "60")
