"""``GET /api/v1/market``."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aiohttp.test_utils import TestClient

from gpuscout.market.earlier import Earlier
from gpuscout.market.models import SeriesKey
from gpuscout.market.overview import Gone
from tests.web.fakes import NOW, Clock, FakeMarket, quote
from tests.web.test_prices import get

Client = TestClient  # type: ignore[type-arg]


async def test_the_market_at_a_glance(client: Client, market: FakeMarket) -> None:
    market.past[SeriesKey("vast", "rtx-4090")] = Earlier(0.30, 0.45, 60.0, 5000)
    market.past[SeriesKey("vast", "h100-sxm")] = Earlier(2.5, 0.45, 60.0, 200)
    market.gone = [Gone(SeriesKey("vast", "gtx-1080"), "GTX 1080", NOW - timedelta(days=2), 0.04, 12.4)]

    body = await get(client, "/api/v1/market?limit=3")

    assert (body["simulated"], body["stale"], body["tariff"], body["flagged"]) == (False, False, 0.15, 0)
    assert (body["models"], body["listed"], body["rented"]) == (4, 4986 + 260 + 3 + 40, 2402 + 200 + 10)
    assert [line["gpu"] for line in body["movers_24h"]["up"]] == ["rtx-4090"]
    assert [line["gpu"] for line in body["movers_7d"]["down"]] == ["h100-sxm"]
    assert [line["gpu"] for line in body["supply"]] == ["rtx-4090", "h100-sxm", "rtx-3090"]
    assert body["movers_24h"]["up"][0] == {
        "gpu": "rtx-4090",
        "gpu_name": "RTX 4090",
        "platform": "vast",
        "tier": "on-demand",
        "price": 0.36,
        "change_24h": 0.2,
        "change_7d": 0.2,
        "utilization": pytest.approx(2402 / 4986),
        "demand": 61.5,
        "sample": 4986,
        "thin": False,
        "host_take": 0.27,
        "earnings_day": pytest.approx(24 * 2402 / 4986 * (0.27 - 0.45 * 0.15), abs=1e-6),
        "first_seen": None,
        "as_of": "2026-11-24T11:55:00Z",
        "source": "500.farm",
    }
    assert body["gone"] == [
        {
            "gpu": "gtx-1080",
            "gpu_name": "GTX 1080",
            "platform": "vast",
            "last_seen": "2026-11-22T12:00:00Z",
            "last_price": 0.04,
            "last_sample": 12,
        }
    ]


async def test_the_tariff_decides_who_earns(client: Client) -> None:
    cheap = await get(client, "/api/v1/market?tariff=0")
    dear = await get(client, "/api/v1/market?tariff=1")
    assert cheap["earnings"][0]["earnings_day"] > dear["earnings"][0]["earnings_day"]
    assert dear["tariff"] == 1


async def test_thin_samples_come_last(client: Client, market: FakeMarket) -> None:
    market.stored.append(quote("rtx-5090", 0.5, rented=4, total=4))
    body = await get(client, "/api/v1/market")
    assert [line["thin"] for line in body["utilization"]] == [False, False, False, True, True]


async def test_one_platform(client: Client, market: FakeMarket) -> None:
    market.stored.append(quote("rtx-4090", 0.6, platform="runpod", source="runpod"))
    everywhere = await get(client, "/api/v1/market")
    there = await get(client, "/api/v1/market?platform=RunPod")
    assert {line["platform"] for line in everywhere["supply"]} == {"vast", "runpod"}
    assert [line["platform"] for line in there["supply"]] == ["runpod"]
    assert there["listed"] == 4986
    assert there["earnings"] == [], "no host can go there"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "tariff=-1", "tariff=nan", "tariff=99", "x=1", "platform="])
async def test_wrong_parameters(client: Client, query: str) -> None:
    await get(client, f"/api/v1/market?{query}", 400)


async def test_an_unknown_platform_is_named(client: Client) -> None:
    body = await get(client, "/api/v1/market?platform=vats", 404)
    assert "Did you mean vast" in body["detail"]


async def test_old_data_are_unavailable(client: Client, clock: Clock, market: FakeMarket) -> None:
    clock.advance(timedelta(hours=5))
    response = await client.get("/api/v1/market")
    assert response.status == 503
    assert response.headers["Retry-After"] == "180"
    assert "Data temporarily unavailable" in (await response.json(content_type=None))["detail"]
