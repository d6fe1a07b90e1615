"""History as CSV, by tier, and the daily fix."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from aiohttp.test_utils import TestClient

from gpuscout.market.export import COLUMNS, header, lines
from gpuscout.market.fix import DailyFix, inputs
from gpuscout.market.history_file import read_rows
from gpuscout.market.models import History, HistoryPoint, HistoryTier, SeriesKey
from gpuscout.market.past import StoredSeries
from tests.web.conftest import Opener
from tests.web.fakes import NOW, FakeMarket, Painter, hourly, quote

Client = TestClient  # type: ignore[type-arg]
CSV = "/api/v1/prices/rtx-4090/history.csv"


@pytest.fixture
def archive(market: FakeMarket) -> FakeMarket:
    """Two tiers of a platform that is not read any more."""
    end = NOW - timedelta(days=200)
    for tier in ("community", "secure"):
        key = SeriesKey("runpod", "rtx-4090", tier=tier)
        market.points[key] = hourly(48, end)
        market.archive.append(StoredSeries(key, end - timedelta(days=2), end))
    return market


async def rows_of(client: Client, path: str) -> list[dict[str, str]]:
    response = await client.get(path)
    assert response.status == 200, await response.text()
    assert response.content_type == "text/csv"
    return list(csv.DictReader(io.StringIO(await response.text())))


async def test_every_point_with_its_provenance(client: Client) -> None:
    rows = await rows_of(client, CSV + "?platform=vast")
    assert tuple(rows[0]) == COLUMNS and len(rows) == 24 * 30
    assert rows[-1] == {
        "at": "2026-11-24T11:00:00Z",
        "gpu": "rtx-4090",
        "platform": "vast",
        "region": "global",
        "tier": "on-demand",
        "verification": "any",
        "segment": "any",
        "resolution": "hour",
        "price": "0.39",
        "price_p10": "0.25",
        "price_p90": "0.45",
        "rented_price": "0.33",
        "available_price": "0.36",
        "rented": "24.0",
        "total": "50.0",
        "utilization": "0.48",
        "samples": "4",
        "source": "500.farm",
        "method": "1",
        "simulated": "false",
    }


async def test_it_comes_as_a_file_compressed_and_with_all_headers(client: Client) -> None:
    response = await client.get(CSV)
    assert response.headers["Content-Disposition"] == 'attachment; filename="rtx-4090-history.csv"'
    assert response.headers["Content-Encoding"] in ("gzip", "deflate")
    assert response.headers["X-Content-Type-Options"] == "nosniff" and "X-Request-ID" in response.headers
    assert "Content-Length" not in response.headers
    for _ in range(2):  # twice on one connection: nothing may follow the headers
        assert (await client.head(CSV)).status == 200


async def test_what_is_exported_can_be_loaded_again(client: Client, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "export.csv"
    path.write_bytes(await (await client.get(CSV)).read())
    assert len(list(read_rows(path))) == 24 * 30


async def test_tiers_and_platforms_without_current_quotes(client: Client, archive: FakeMarket) -> None:
    old = "from=2026-05-01&to=2026-06-01"
    both = await rows_of(client, f"{CSV}?platform=runpod&{old}")
    assert {row["tier"] for row in both} == {"community", "secure"}
    one = await rows_of(client, f"{CSV}?platform=runpod&tier=secure&{old}")
    assert {row["tier"] for row in one} == {"secure"} and len(one) == 48
    assert await rows_of(client, CSV + "?platform=runpod&tier=spot") == []

    answer = await (await client.get(f"/api/v1/prices/rtx-4090/history?tier=community&{old}")).json()
    assert [(s["platform"], s["tier"], len(s["points"])) for s in answer["series"]] == [("runpod", "community", 48)]
    assert answer["left_out"] == 0
    everywhere = await (await client.get("/api/v1/prices/rtx-4090/history?from=2026-05-01")).json()
    assert {(s["platform"], s["tier"]) for s in everywhere["series"]} >= {("vast", "on-demand"), ("runpod", "secure")}


async def test_more_series_than_one_answer_holds_are_not_cut_in_silence(client: Client, market: FakeMarket) -> None:
    for n in range(25):
        key = SeriesKey(f"place-{n:02}", "rtx-4090")
        market.archive.append(StoredSeries(key, NOW - timedelta(days=9), NOW - timedelta(days=2)))
        market.points[key] = hourly(24, NOW - timedelta(days=2))
    refused = await client.get(CSV)
    assert refused.status == 400 and "26 series fit, at most 20" in (await refused.json())["detail"]
    answer = await (await client.get("/api/v1/prices/rtx-4090/history")).json()
    assert len(answer["series"]) == 20 and answer["left_out"] == 6
    assert len(await rows_of(client, CSV + "?platform=place-07")) == 24


async def test_a_chart_of_a_place_with_history_alone(open_web: Opener, archive: FakeMarket) -> None:
    painter = Painter()
    client = await open_web(charts=painter)
    assert (await client.get("/chart/rtx-4090.png?platform=runpod&tier=secure&range=1y")).status == 200
    (spec,) = painter.specs
    assert "secure cloud" in spec.subtitle and spec.as_of == archive.archive[1].last.timestamp() + 86400
    assert (await client.get("/chart/rtx-4090.png?platform=runpod&tier=reserved")).status == 404


@pytest.mark.parametrize("query", ["tier=weekly", "points=3", "from=2026-12-01", "from=2010-01-01", "platform="])
async def test_wrong_questions_are_refused_before_anything_is_written(client: Client, query: str) -> None:
    response = await client.get(f"{CSV}?{query}")
    assert response.status == 400 and response.content_type == "application/problem+json"


def test_no_cell_is_a_formula_and_unknown_is_empty() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    history = History(
        key=SeriesKey("vast", "x-card", region="=HYPERLINK(1), a"),
        tier=HistoryTier.DAY,
        start=at,
        end=at,
        step=timedelta(days=1),
        points=[HistoryPoint(0, 0.3, None, None, None, None, 0.0, 0.0, 1, None, 3)],
        sources={3: "@mine"},
    )
    text = header() + "".join(lines(history, lambda source: source == "@mine"))
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["region"] == "'=HYPERLINK(1), a" and row["source"] == "'@mine" and row["simulated"] == "true"
    assert (row["price"], row["price_p10"], row["rented"], row["total"], row["utilization"]) == ("0.3", "", "", "", "")


# --- The daily fix --------------------------------------------------------------------------------------------------

DAY = date(2026, 11, 23)
KEY = SeriesKey("vast", "rtx-4090")
DATA = inputs(("vast", "rtx-4090", "global", "on-demand", "any", "any"), 1795392000, [])


@pytest.fixture
def fixed(market: FakeMarket) -> FakeMarket:
    digest = hashlib.sha256(DATA).hexdigest()
    for days in range(3):
        fix = DailyFix(KEY, DAY - timedelta(days=days), 0.36, 96, False, 1, digest, NOW)
        market.fixed.insert(0, fix)
    market.inputs[KEY, DAY] = DATA
    return market


async def test_fixes_are_listed_with_hash_and_method(client: Client, fixed: FakeMarket) -> None:
    answer = await (await client.get("/api/v1/fix/RTX 4090?platform=Vast.ai&from=2026-11-22&to=2026-11-30")).json()
    assert (answer["gpu"], answer["method"], answer["count"], answer["simulated"]) == ("rtx-4090", 1, 2, False)
    assert answer["fixes"][-1] == {
        "day": "2026-11-23",
        "platform": "vast",
        "tier": "on-demand",
        "value": 0.36,
        "samples": 96,
        "thin": False,
        "method": 1,
        "hash": hashlib.sha256(DATA).hexdigest(),
        "computed_at": "2026-11-24T12:00:00Z",
    }
    assert "Median of the day's raw quotes" in answer["rule"]
    assert (await (await client.get("/api/v1/fix/rtx-4090?tier=spot")).json())["fixes"] == []


async def test_the_inputs_are_served_byte_by_byte_while_they_are_kept(client: Client, fixed: FakeMarket) -> None:
    response = await client.get("/api/v1/fix/rtx-4090/2026-11-23")
    assert response.status == 200 and await response.read() == DATA
    assert (await client.get("/api/v1/fix/rtx-4090/2026-11-22")).status == 410
    fixed.inputs[KEY, DAY] = DATA + b" "
    assert (await client.get("/api/v1/fix/rtx-4090/2026-11-23")).status == 410
    assert (await client.get("/api/v1/fix/rtx-4090/2026-11-01")).status == 404


@pytest.mark.parametrize(
    "path",
    ["rtx-4090?from=2026-11-24&to=2026-11-20", "rtx-4090?from=soon", "rtx-4090/yesterday", "rtx-4090?from=2001-01-01"],
)
async def test_wrong_days_are_refused(client: Client, path: str) -> None:
    assert (await client.get(f"/api/v1/fix/{path}")).status == 400


async def test_a_simulated_market_says_so_in_every_row(client: Client, market: FakeMarket) -> None:
    market.stored = [quote("rtx-4090", source="simulator")]
    market.source = "simulator"
    assert {row["simulated"] for row in await rows_of(client, CSV)} == {"true"}
