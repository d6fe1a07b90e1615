"""The stand-in's list of machines: the machines behind the statistics, with everything a host would not want kept."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gpuscout.market.weighted import weighted_side, whole_cents
from sandbox.farm import MOUNT, FarmServer, Market, SimClock, document_v1, document_v2
from sandbox.farm.machines import BAD_MACHINES, machines_of

MARKET = Market(seed=5)
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PATH = f"{MOUNT}/machines"


def counted(machines: list[Any]) -> dict[str, Any]:
    """Statistics over machines, as a version 1 document words them."""

    def stat(side: Any) -> dict[str, Any]:
        names = {"price_median": side.median, "price_10th_percentile": side.p10, "price_90th_percentile": side.p90}
        return {"count": side.count} | {name: cents / 100 for name, cents in names.items() if cents is not None}

    priced = [(whole_cents(m["dph_base"], m["num_gpus"]), m["num_gpus"], m["num_gpus_rented"]) for m in machines]
    return {
        "rented": [stat(weighted_side((price, rented) for price, _, rented in priced))],
        "available": [stat(weighted_side((price, gpus - rented) for price, gpus, rented in priced))],
        "all": [stat(weighted_side((price, gpus) for price, gpus, _ in priced))],
    }


def segment(machine: Any) -> tuple[bool, str, bool]:
    gpus = machine["num_gpus"]
    size = "8+" if gpus >= 8 else "4-7" if gpus >= 4 else "1-3"
    return machine["hosting_type"] > 0, size, machine["verification"] == "verified"


@pytest.mark.parametrize("hours", [0, 7, 31])
def test_statistics_over_the_machines_are_the_statistics_documents(hours: int) -> None:
    snapshot = MARKET.snapshot(NOW + timedelta(hours=hours))
    by_model: defaultdict[str, list[Any]] = defaultdict(list)
    for machine in machines_of(snapshot, MARKET.seed):
        by_model[machine["gpu_name"]].append(machine)
    for model in document_v1(snapshot)["models"]:
        machines = by_model[model["name"]]
        found = counted(machines)
        assert found == {side: model["stats"][side]["all"] for side in found}, model["name"]
        verified = counted([m for m in machines if m["verification"] == "verified"])
        assert verified == {side: model["stats"][side]["verified"] for side in found}, model["name"]
    for model in document_v2(snapshot)["models"]:
        for category in model["categories"]:
            key = category["datacenter"], category["gpu_count_range"], category["verified"]
            assert counted([m for m in by_model[model["name"]] if segment(m) == key]) == category["stats"]


def test_a_machine_is_the_same_at_every_instant() -> None:
    stays = ("host_id", "gpu_name", "num_gpus", "geolocation", "public_ipaddr", "reliability2", "hosting_type")
    first, later = [
        {m["machine_id"]: m for m in machines_of(MARKET.snapshot(NOW + timedelta(days=days)), MARKET.seed)}
        for days in (0, 20)
    ]
    both = first.keys() & later.keys()
    assert len(both) > 800 and first.keys() != later.keys()
    for number in both:
        assert all(first[number][field] == later[number][field] for field in stays)
    assert any(first[number]["num_gpus_rented"] != later[number]["num_gpus_rented"] for number in both)


def test_chunks_and_ids_agree_with_the_counts() -> None:
    machines = list(machines_of(MARKET.snapshot(NOW), MARKET.seed))
    assert [m["machine_id"] for m in machines] == sorted((m["machine_id"] for m in machines), reverse=True)
    assert len({m["machine_id"] for m in machines}) == len(machines)
    for m in machines:
        free = sum(chunk["size"] for chunk in m["chunks"] if chunk["rentable"])
        assert free == m["num_gpus"] - m["num_gpus_rented"]
        assert sorted(i for chunk in m["chunks"] for i in chunk["gpu_ids"]) == m["gpu_ids"]
        assert m["public_ipaddr"].startswith("203.0.113.") and m["location"]["isp"]


async def test_it_is_served_like_the_other_documents() -> None:
    async with (
        FarmServer(MARKET, SimClock(NOW, NOW, wall_source=lambda: NOW.timestamp())) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        answer = await client.get(PATH)
        assert answer.status_code == 200 and answer.headers["content-encoding"] == "gzip"
        document = answer.json()
        assert document["url"] == "/machines" and document["count"] == len(document["offers"]) > 1000
        v1 = (await client.get(f"{MOUNT}/gpu-stats")).json()
        assert document["timestamp"] == v1["timestamp"]
        again = await client.get(PATH, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        assert (await client.post(PATH)).status_code == 405


@pytest.mark.parametrize(
    "mode", ["half", "bad_items", "hostile_names", "malformed", "wrong_shape", "status:503", "down"]
)
async def test_switches_apply(mode: str) -> None:
    async with FarmServer(MARKET, SimClock(NOW, NOW, wall_source=lambda: NOW.timestamp())) as server:
        good = (await server.publisher.machines()).raw
        server.set_mode(mode)
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            if mode == "down":
                with pytest.raises(httpx.TransportError):
                    await client.get(PATH)
                return
            answer = await client.get(PATH)
        match mode:
            case "status:503":
                assert answer.status_code == 503
            case "malformed":
                with pytest.raises(ValueError, match=r"."):
                    answer.json()
            case "wrong_shape":
                assert answer.json() == {"error": "internal", "success": False}
            case "half":
                assert len({m["gpu_name"] for m in answer.json()["offers"]}) * 2 <= 42
            case "bad_items":
                assert answer.json()["offers"][-len(BAD_MACHINES) :] == list(BAD_MACHINES)
            case "hostile_names":
                assert answer.json()["count"] > json.loads(good)["count"]


async def test_a_recorded_list_is_served_byte_for_byte() -> None:
    record = b'{"offers": []}'
    async with FarmServer(MARKET, SimClock(NOW, NOW, wall_source=lambda: NOW.timestamp())) as server:
        server.set_machines(record)
        body = await server.publisher.machines()
        assert body.raw == record and gzip.decompress(body.gzipped) == record
        server.set_machines(None)
        assert (await server.publisher.machines()).raw != record
