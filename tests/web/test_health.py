from __future__ import annotations

import asyncio
from datetime import timedelta

from aiohttp.test_utils import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gpuscout.telemetry.metrics import Metrics
from tests.web.conftest import Opener
from tests.web.fakes import NOW, FakeMarket, status
from web.services import ReadinessCheck, WebLimits

Client = TestClient  # type: ignore[type-arg]


async def ready(client: Client) -> tuple[int, dict[str, dict[str, object]], dict[str, object]]:
    response = await client.get("/readyz")
    body = await response.json(content_type=None)
    return response.status, {check["name"]: check for check in body["checks"]}, body


async def test_alive_whatever_happens(client: Client, market: FakeMarket) -> None:
    market.broken = RuntimeError("database gone")
    response = await client.get("/healthz")
    assert (response.status, await response.json()) == (200, {"status": "ok", "version": "1.2.3"})


async def test_ready_with_data(client: Client) -> None:
    code, checks, body = await ready(client)
    assert (code, body["status"]) == (200, "ready")
    assert all(check["ok"] for check in checks.values())


async def test_not_ready_before_the_first_data(client: Client, market: FakeMarket) -> None:
    market.stored.clear()
    code, checks, body = await ready(client)
    assert code == 503
    assert checks["market data"] == {
        "name": "market data",
        "ok": False,
        "critical": True,
        "reason": "there are no market data yet; the first poll is due in 180 s",
    }
    assert "no market data yet" in str(body["detail"]) and body["title"] == "Service Unavailable"


async def test_a_sick_source_degrades_and_does_not_stop(client: Client, market: FakeMarket) -> None:
    market.statuses = [status(problem="HTTP 502 from the exporter", failing_since=NOW)]
    code, checks, body = await ready(client)
    assert (code, body["status"]) == (200, "degraded")
    assert checks["market sources"]["reason"] == "500.farm: HTTP 502 from the exporter"
    market.statuses = [status(last_source_time=NOW - timedelta(hours=5))]
    code, checks, body = await ready(client)
    assert (code, body["status"]) == (200, "degraded")
    assert "07:00" in str(checks["market sources"]["reason"])


async def test_each_check_is_asked_and_a_hanging_or_broken_one_is_not_ready(open_web: Opener) -> None:
    async def well() -> str | None:
        return None

    async def behind() -> str | None:
        return "the database is 2 migrations behind; run gpuscout db upgrade"

    async def hangs() -> str | None:
        await asyncio.sleep(60)
        return None

    async def breaks() -> str | None:
        raise RuntimeError("password=hunter2")

    client = await open_web(
        readiness=[
            ReadinessCheck("database", well),
            ReadinessCheck("migrations", behind),
            ReadinessCheck("cache", hangs),
            ReadinessCheck("disk", breaks),
        ],
        limits=WebLimits(check_seconds=0.05),
    )
    code, checks, body = await ready(client)
    assert code == 503
    assert checks["database"]["ok"] is True
    assert checks["migrations"]["reason"] == "the database is 2 migrations behind; run gpuscout db upgrade"
    assert checks["cache"]["reason"] == "did not answer within 0.05 s"
    assert checks["disk"]["ok"] is False
    assert "hunter2" not in str(body)


async def test_metrics_in_both_formats(client: Client, services: object) -> None:
    await client.get("/api/v1/prices?gpu=rtx-4090")
    await client.get("/nowhere/at/all")
    plain = await client.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in parse_text(await plain.text())}
    requests = families["http_server_request_duration_seconds"]
    counted = {
        (s.labels["method"], s.labels["route"], s.labels["status"]): s.value
        for s in requests.samples
        if s.name.endswith("_count")
    }
    assert counted[("GET", "/api/v1/prices", "200")] == 1
    assert counted[("GET", "unmatched", "404")] == 1
    assert "/nowhere" not in await plain.text()
    assert all(family.documentation for family in families.values())

    for accept in (
        "application/openmetrics-text; version=1.0.0,text/plain;q=0.5",
        "application/openmetrics-text; version=nonsense",
    ):
        openmetrics = await client.get("/metrics", headers={"Accept": accept})
        assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert {family.name for family in parse_openmetrics(await openmetrics.text())} >= {"gpuscout_build", "jobs"}


async def test_a_strange_method_makes_no_label_of_its_own(open_web: Opener) -> None:
    metrics = Metrics()
    client = await open_web(metrics=metrics)
    for method in ("PROPFIND", "MKCOL", "UNLINK"):
        assert (await client.request(method, "/api/v1/prices")).status == 405
    text = metrics.expose()[0].decode()
    assert 'method="OTHER"' in text and "PROPFIND" not in text
