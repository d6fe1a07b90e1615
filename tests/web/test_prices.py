from __future__ import annotations

from datetime import timedelta

from aiohttp.test_utils import TestClient

from tests.web.conftest import Opener
from tests.web.fakes import Clock, FakeMarket, Uses, quote

Client = TestClient  # type: ignore[type-arg]


async def get(client: Client, path: str, status: int = 200) -> dict:  # type: ignore[type-arg]
    response = await client.get(path)
    assert response.status == status, await response.text()
    kind = "application/json" if status < 400 else "application/problem+json"
    assert response.content_type == kind
    return await response.json(content_type=kind)  # type: ignore[no-any-return]


async def test_a_quote_has_the_promised_shape(client: Client) -> None:
    body = await get(client, "/api/v1/prices?gpu=rtx-4090")
    assert body["simulated"] is False
    assert body["count"] == 1
    assert body["quotes"][0] == {
        "gpu": "rtx-4090",
        "gpu_name": "RTX 4090",
        "platform": "vast",
        "region": "global",
        "tier": "on-demand",
        "verification": "any",
        "segment": "any",
        "price": 0.36,
        "price_p10": 0.288,
        "price_p90": 0.432,
        "rented": {"count": 2402, "median": 0.36, "p10": 0.288, "p90": 0.432},
        "available": {"count": 2584, "median": 0.36, "p10": 0.288, "p90": 0.432},
        "utilization": 2402 / 4986,
        "demand": 61.5,
        "sample": 4986,
        "host_take": 0.36 * 0.75,
        "as_of": "2026-11-24T11:55:00Z",
        "source": "500.farm",
        "method": 1,
        "stale": False,
        "thin": False,
        "outlier": False,
        "simulated": False,
    }


async def test_without_filters_the_headline_series_largest_first(client: Client) -> None:
    body = await get(client, "/api/v1/prices")
    assert [q["gpu"] for q in body["quotes"]] == ["rtx-4090", "h100-sxm", "rtx-3090", "x-strange-card"]
    assert body["count"] == 4
    assert {(q["verification"], q["segment"]) for q in body["quotes"]} == {("any", "any")}


async def test_segments_are_kept_apart(client: Client) -> None:
    body = await get(client, "/api/v1/prices?gpu=rtx-4090&segments=1")
    found = {(q["verification"], q["segment"]): (q["price"], q["sample"]) for q in body["quotes"]}
    assert found == {
        ("any", "any"): (0.36, 4986),
        ("verified", "dc:8+"): (0.45, 400),
        ("unverified", "non-dc:1-3"): (0.28, 90),
    }


async def test_stale_thin_and_unpriced_quotes_say_so(client: Client) -> None:
    quotes = {q["gpu"]: q for q in (await get(client, "/api/v1/prices"))["quotes"]}
    assert quotes["rtx-3090"]["stale"] is True
    assert quotes["rtx-4090"]["stale"] is False
    strange = quotes["x-strange-card"]
    assert (strange["price"], strange["host_take"], strange["thin"]) == (None, None, True)
    assert strange["gpu_name"] == "Name of x-strange-card"


async def test_data_past_four_hours_are_hidden_but_history_stays(client: Client, clock: Clock) -> None:
    clock.advance(timedelta(hours=5))
    assert (await get(client, "/api/v1/prices"))["quotes"] == []
    assert (await get(client, "/api/v1/prices/rtx-4090/history"))["series"][0]["points"]


async def test_names_and_spellings_find_the_model(client: Client) -> None:
    for spelling in ("RTX 4090", "rtx_4090", "NVIDIA GeForce RTX 4090", "RTX-4090", "4090"):
        response = await client.get("/api/v1/prices", params={"gpu": spelling, "platform": "Vast.ai"})
        assert response.status == 200, spelling
        assert [q["gpu"] for q in (await response.json())["quotes"]] == ["rtx-4090"], spelling


async def test_an_unknown_model_or_platform_is_a_404_with_near_names(client: Client) -> None:
    problem = await get(client, "/api/v1/prices?gpu=rtx+4900", 404)
    assert problem["status"] == 404 and "rtx-4090" in problem["suggestions"] and "rtx-4090" in problem["detail"]
    problem = await get(client, "/api/v1/prices?platform=vest", 404)
    assert "vast" in problem["suggestions"]


async def test_wrong_parameters_are_named(client: Client) -> None:
    for query, name in (
        ("platfrom=vast", "platfrom"),
        ("segments=maybe", "segments"),
        ("gpu=", "gpu"),
        ("gpu=a&gpu=b", "gpu"),
        ("region=%00", "region"),
        ("gpu=" + "x" * 81, "gpu"),
    ):
        problem = await get(client, f"/api/v1/prices?{query}", 400)
        assert [error["parameter"] for error in problem["errors"]] == [name], problem
        assert name in problem["detail"] and problem["id"]


async def test_history_covers_thirty_days_at_most_points_long(client: Client) -> None:
    body = await get(client, "/api/v1/prices/rtx-4090/history")
    assert (body["from"], body["to"]) == ("2026-10-25T12:00:00Z", "2026-11-24T12:00:00Z")
    (series,) = body["series"]
    assert (series["platform"], series["verification"], series["segment"]) == ("vast", "any", "any")
    assert len(series["points"]) == 500 and series["thinned"] is True
    assert series["points"][-1] == {
        "at": "2026-11-24T11:00:00Z",
        "price": 0.39,
        "price_p10": 0.25,
        "price_p90": 0.45,
        "rented_price": 0.33,
        "available_price": 0.36,
        "rented": 24.0,
        "total": 50.0,
        "utilization": 0.48,
        "samples": 4,
    }
    body = await get(client, "/api/v1/prices/rtx-4090/history?points=7&from=2026-11-24")
    assert [point["at"][11:13] for point in body["series"][0]["points"]] == ["05", "06", "07", "08", "09", "10", "11"]


async def test_history_of_a_segment_and_of_a_series_without_quotes(client: Client, market: FakeMarket) -> None:
    body = await get(client, "/api/v1/prices/rtx-4090/history?verification=verified&segment=dc:8%2B")
    assert len(body["series"][0]["points"]) == 48
    unescaped = await get(client, "/api/v1/prices/rtx-4090/history?verification=verified&segment=dc:8+")
    assert unescaped == body
    market.stored.clear()
    body = await get(client, "/api/v1/prices/rtx-4090/history?platform=vast")
    assert len(body["series"][0]["points"]) == 500
    assert (await get(client, "/api/v1/prices/rtx-3090/history?platform=vast"))["series"] == []
    assert (await get(client, "/api/v1/prices/rtx-4090/history"))["series"] == []
    market.stored.append(quote("rtx-3090"))
    body = await get(client, "/api/v1/prices/rtx-4090/history")
    assert [series["platform"] for series in body["series"]] == ["vast"], "a model that left the market keeps its past"


async def test_history_times(client: Client) -> None:
    path = "/api/v1/prices/rtx-4090/history?"
    for start in ("2026-11-20T00:00:00Z", "2026-11-20T02:00:00+02:00", "2026-11-20", "2026-11-20T02:00:00%2B02:00"):
        assert (await get(client, f"{path}from={start}"))["from"] == "2026-11-20T00:00:00Z", start
    for query, word in (
        ("from=2026-11-20&to=2026-11-19", "before"),
        ("from=2021-01-01", "5 years"),
        ("from=yesterday", "ISO 8601"),
        ("from=0001-01-01T00:00:00%2B14:00", "ISO 8601"),
        ("from=1969-12-31", "1970"),
        ("points=0", "greater"),
        ("points=2001", "less"),
        ("points=5.5", "integer"),
        ("segment=dc", "dc:8+"),
    ):
        problem = await get(client, path + query, 400)
        assert word in problem["detail"], (query, problem)
    assert (await get(client, f"{path}to=2027-05-01"))["to"] == "2026-11-24T12:00:00Z"


async def test_catalogues(client: Client) -> None:
    body = await get(client, "/api/v1/gpus")
    assert body["count"] == len(body["gpus"]) >= 88
    first = body["gpus"][0]
    assert (first["slug"], first["vram_gb"], first["listed"], first["known"]) == ("rtx-4090", 24, 4986, True)
    strange = next(gpu for gpu in body["gpus"] if gpu["slug"] == "x-strange-card")
    assert (strange["known"], strange["vram_gb"], strange["listed"]) == (False, None, 3)

    body = await get(client, "/api/v1/platforms")
    vast = next(platform for platform in body["platforms"] if platform["slug"] == "vast")
    assert (vast["host_share"], vast["has_quotes"], vast["who_may_host"]) == (0.75, True, "open")
    assert not any(p["has_quotes"] for p in body["platforms"] if p["slug"] != "vast")


async def test_the_simulator_says_so_everywhere(open_web: Opener, services: object) -> None:
    from config.settings import Settings

    client = await open_web(settings=Settings(_env_file=None, market_source="simulator"))  # type: ignore[call-arg]
    for path in ("prices", "gpus", "platforms", "prices/rtx-4090/history"):
        assert (await get(client, f"/api/v1/{path}"))["simulated"] is True
    assert all(q["simulated"] for q in (await get(client, "/api/v1/prices"))["quotes"])


async def test_a_simulated_source_says_so_whatever_the_settings_are(client: Client, market: FakeMarket) -> None:
    market.stored.append(quote("rtx-5090", source="simulator"))
    body = await get(client, "/api/v1/prices")
    assert body["simulated"] is True
    assert {q["source"] for q in body["quotes"] if q["simulated"]} == {"simulator"}
    assert "SIMULATED" in await (await client.get("/")).text()


async def test_the_same_answer_is_not_sent_twice(client: Client, market: FakeMarket) -> None:
    first = await client.get("/api/v1/prices")
    tag = first.headers["ETag"]
    assert "max-age" in first.headers["Cache-Control"]
    again = await client.get("/api/v1/prices", headers={"If-None-Match": tag})
    assert (again.status, await again.read()) == (304, b"")
    market.stored.pop()
    changed = await client.get("/api/v1/prices", headers={"If-None-Match": tag})
    assert changed.status == 200


async def test_uses_are_noted_by_route(client: Client, uses: Uses) -> None:
    await client.get("/api/v1/prices/rtx-4090/history")
    await client.get("/api/v1/prices?gpu=nothing-like-it")
    await client.get("/healthz")
    assert [(use.name, use.surface, use.outcome) for use in uses.seen] == [
        ("/api/v1/prices/{gpu}/history", "api", "ok"),
        ("/api/v1/prices", "api", "refused"),
    ]
    assert all(use.latency_ms is not None and use.latency_ms >= 0 for use in uses.seen)
