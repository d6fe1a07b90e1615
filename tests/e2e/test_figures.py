"""Known answers of 500.farm through the running process: every figure comes out as it went in."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sandbox.discord.actor import components
from tests.e2e.harness import ROOT, Product, World, is_chart, options, until, web, words
from tests.market.helpers import model_v1, model_v2

pytestmark = pytest.mark.xdist_group("e2e-figures")

SHARED = Path(os.environ.get("GPUSCOUT_SHARED", ROOT.parent / "shared"))
RECORDED = SHARED / "data" / "500farm_gpu_stats_2025-12-07.json"


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recorded answer is not at {RECORDED}")
async def test_the_recorded_answer(tmp_path: Path) -> None:
    documents = {"v1": RECORDED.read_bytes(), "v2": None}
    async with (
        World(documents=documents, restamp=True) as world,
        Product(world.environment(tmp_path, INGEST_INTERVAL_SECONDS="900"), folder=tmp_path) as product,
    ):
        await product.start()
        async with web(product.url) as site:
            await site.ready()
            _, body = await site.get("/api/v1/prices")
            quotes = {quote["gpu"]: quote for quote in body["quotes"]}
            assert body["count"] == len(quotes) == 88
            assert sum(quote["rented"]["count"] for quote in quotes.values()) == 9_579
            assert sum(quote["sample"] for quote in quotes.values()) == 18_915
            quote = quotes["rtx-4090"]
            assert (quote["rented"]["count"], quote["sample"]) == (2402, 4986)
            assert round(quote["utilization"], 4) == 0.4817
            rented = quote["rented"]
            assert (rented["p10"], rented["median"], rented["p90"]) == (0.26, 0.33, 0.40)
            assert not quote["simulated"]
            assert not quote["stale"]

            async def counted() -> bool:
                return await site.metric("ingest_read_total", source="500.farm") == 88

            await until(counted, "the cycle is counted, which follows its effect")
            # The exporter has no second document today: the first is used all the same, and the lack is said.
            [check] = [c for c in (await site.get("/readyz"))[1]["checks"] if c["name"] == "market sources"]
            assert "v2: " in check["reason"]
            assert "404" in check["reason"]
        await world.bot_answers()
        async with world.actor("ada") as ada:
            card = words(await ada.run(world.channel, "price", {"gpu": "rtx-4090"}, within=30))
            assert "2,402 rented, 2,584 available, 4,986 in all" in card
            assert "Utilization** 48%" in card
            assert re.search(r"Rented +0\.26\d* +0\.33\d* +0\.40\d*", card)


async def test_segments_of_one_model_are_never_blended(tmp_path: Path) -> None:
    dear, cheap = (True, "8+", True, 20, 4, 0.45), (False, "1-3", False, 10, 16, 0.28)
    documents = {
        "v1": {"url": "/gpu-stats", "timestamp": "", "models": [model_v1("RTX 4090", 30, 20, 0.36, verified=20)]},
        "v2": {"url": "/gpu-stats/v2", "timestamp": "", "models": [model_v2("RTX 4090", dear, cheap)]},
    }
    async with (
        World(documents=documents, restamp=True) as world,
        Product(world.environment(tmp_path), folder=tmp_path) as product,
    ):
        await product.start()
        async with web(product.url) as site:
            await site.ready()

            # The programming interface.
            _, body = await site.get("/api/v1/prices?gpu=rtx-4090&segments=1")
            found = {(q["verification"], q["segment"]): (q["price"], q["sample"]) for q in body["quotes"]}
            assert found["verified", "dc:8+"] == (0.45, 24)
            assert found["unverified", "non-dc:1-3"] == (0.28, 26)
            assert found["any", "any"] == (0.36, 50)
            assert {price for price, sample in found.values() if sample} == {0.45, 0.28, 0.36}
            _, body = await site.get("/api/v1/prices?gpu=rtx-4090")
            assert [quote["price"] for quote in body["quotes"]] == [0.36]
            for verification, segment, price in (("verified", "dc:8%2B", 0.45), ("unverified", "non-dc:1-3", 0.28)):
                path = f"/api/v1/prices/rtx-4090/history?verification={verification}&segment={segment}"
                [series] = (await site.get(path))[1]["series"]
                assert {point["price"] for point in series["points"]} == {price}

            await site.draws()
            # The chart: another picture for each, and the same one for the same.
            pictures = []
            for query in ("", "?verification=verified&segment=dc:8%2B", "?verification=unverified&segment=non-dc:1-3"):
                status, _, data = await site.bytes(f"/chart/rtx-4090.webp{query}")
                assert status == 200
                assert is_chart(data)
                pictures.append(data)
            assert len(set(pictures)) == 3

        # The card, by its select.
        await world.bot_answers()
        async with world.actor("ada") as ada:
            card = await ada.run(world.channel, "price", {"gpu": "rtx-4090"}, within=30)
            assert "**$0.36/h** renters pay" in words(card)
            offered = options(card)
            assert "$0.45/h · 24 GPUs" in offered["Datacenter, 8+ GPUs, verified"]["description"]
            assert "$0.28/h · 26 GPUs" in offered["Not datacenter, 1-3 GPUs, unverified"]["description"]
            for label, price, sample, alt in (
                ("Datacenter, 8+ GPUs, verified", "$0.45/h", "20 rented, 4 available, 24 in all", "0.45"),
                ("Not datacenter, 1-3 GPUs, unverified", "$0.28/h", "10 rented, 16 available, 26 in all", "0.28"),
            ):
                await ada.select(card, "Which machines count", [offered[label]["value"]])
                card = await ada.changed(card, lambda m, label=label: label in words(m), within=30)
                assert f"**{price}** renters pay" in words(card)
                assert sample in words(card)
                assert options(card)[label].get("default")
                [item] = [item for part in components(card) if part["type"] == 12 for item in part["items"]]
                assert alt in item["description"]
                assert is_chart(await ada.file(card["attachments"][0]["url"]))
                rows = await ada.answer(await ada.click(card, "Show data"), within=30)
                assert label in words(rows)
                assert "0.36" not in words(rows)
        assert product.trouble == []


async def test_manners_towards_the_source(tmp_path: Path) -> None:
    async with (
        World(update_interval=3600) as world,
        Product(world.environment(tmp_path), folder=tmp_path) as product,
    ):
        await product.start()
        # The same document twice: asked for with its validator, answered without a body, stored once.
        await until(lambda: len(product.polls()) >= 2, "two polls")
        asked = [record for record in world.farm.requests if "gpu-stats" in record.path]
        assert [(record.method, record.path) for record in asked[:4]] == [
            ("GET", "/vastai-exporter/gpu-stats"),
            ("GET", "/vastai-exporter/gpu-stats/v2"),
        ] * 2
        assert [record.status for record in asked[:4]] == [200, 200, 304, 304]
        for record in asked:
            assert "gzip" in record.headers["accept-encoding"]
            assert re.match(r"GPUScout/\d", record.headers["user-agent"]), record.headers["user-agent"]
            assert "authorization" not in record.headers
        assert all("if-none-match" in record.headers for record in asked[2:4])
        first, second = product.polls()[:2]
        assert first["stored"] > 0
        assert second["stored"] == 0
