"""The list of machines, ``/machines``: the simulated machines of a snapshot as the exporter's raw offers.

Counts, prices and categories are those of the snapshot, so that statistics over the list equal the statistics
documents. Everything else is made up from the machine's own key and stays with it: id, host, country, reliability, end
of the listing, and the address, coordinates and provider that no reader may keep (documentation ranges and invented
names only).
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sandbox.farm.documents import Document, rfc3339
from sandbox.farm.faults import HOSTILE_NAMES, Fault, reshape
from sandbox.farm.market import ModelSnapshot, Snapshot
from sandbox.farm.noise import key

PATH = "/machines"
FIRST_ID = 10_000
_NOTES = ["Newest first."]
_DAY = 86_400

#: Code, name, share of hosts, a place in it (latitude, longitude).
_COUNTRIES: tuple[tuple[str, str, int, float, float], ...] = (
    ("US", "Texas", 30, 31.0, -99.0),
    ("CA", "Quebec", 8, 52.0, -72.0),
    ("DE", "Germany", 8, 51.0, 10.0),
    ("SE", "Sweden", 7, 62.0, 15.0),
    ("CZ", "Czechia", 6, 49.8, 15.5),
    ("NO", "Norway", 5, 61.0, 9.0),
    ("PL", "Poland", 5, 52.0, 19.0),
    ("FR", "France", 4, 46.0, 2.0),
    ("GB", "", 4, 54.0, -2.0),
    ("KR", "South Korea", 4, 36.0, 128.0),
    ("TW", "Taiwan", 4, 23.7, 121.0),
    ("IN", "India", 3, 21.0, 78.0),
    ("JP", "Japan", 3, 36.0, 138.0),
    ("HU", "Hungary", 3, 47.0, 19.5),
    ("ES", "Spain", 3, 40.0, -4.0),
    ("AU", "Australia", 2, -25.0, 134.0),
    ("IS", "Iceland", 1, 65.0, -18.0),
)
_PROVIDERS = ("Example Fibre", "Sample Telecom", "Demo Broadband")


def machines_of(snapshot: Snapshot, seed: int) -> Iterator[Document]:
    """Every machine of a snapshot, newest (largest id) first."""
    listed = [(int(row), model, i) for model in snapshot.models for i, row in enumerate(model.rows)]
    for row, model, i in sorted(listed, key=lambda entry: -entry[0]):
        yield _machine(row, model, i, snapshot.at, seed)


def _machine(row: int, model: ModelSnapshot, i: int, at: datetime, seed: int) -> Document:
    rng = random.Random(key(seed, row, "machine"))
    host = random.Random(key(seed, int(model.hosts[i]), "place"))
    country, region, _, lat, long = host.choices(_COUNTRIES, [share for _, _, share, _, _ in _COUNTRIES])[0]
    gpus, rented, datacenter = int(model.num_gpus[i]), int(model.rented[i]), bool(model.datacenter[i])
    # Within the cent that the statistics show, never at its edge.
    total = (int(model.cents[i]) + rng.uniform(0.1, 0.9)) / 100 * gpus
    ids = [(FIRST_ID + row) * 16 + n for n in range(gpus)]
    chunk = int(model.min_chunk[i])
    parts = [ids[n : n + chunk] for n in range(0, gpus, chunk)]
    verified = bool(model.verified[i])
    ends = (int(at.timestamp()) // (30 * _DAY) + 1) * 30 * _DAY + rng.randrange(60 * _DAY)
    return {
        "machine_id": FIRST_ID + row,
        "host_id": 50_000 + host.randrange(10_000),
        "gpu_name": model.name,
        "num_gpus": gpus,
        "num_gpus_rented": rented,
        "gpu_ids": ids,
        "min_chunk": chunk,
        "chunks": [
            {"size": len(part), "offerId": 10 * part[0] + 7, "rentable": n * chunk >= rented, "gpu_ids": part}
            for n, part in enumerate(parts)
        ],
        "gpu_ram": round(int(model.vram[i]) * 1024 * 0.998),
        "gpu_total_ram": round(int(model.vram[i]) * 1024 * 0.998) * gpus,
        "gpu_arch": "nvidia",
        "gpu_display_active": False,
        "gpu_lanes": 16,
        "dph_base": total,
        "min_bid": round(total * rng.uniform(0.4, 0.7), 6),
        "storage_cost": rng.choice([0.1, 0.15, 0.2]) / 0.75,
        "inet_up_cost": 0.002604166666666667,
        "inet_down_cost": 0.002604166666666667,
        "inet_up": rng.uniform(100, 9000),
        "inet_down": rng.uniform(100, 9000),
        "reliability2": min(0.9999, rng.betavariate(30, 0.6)),
        "verification": "verified" if verified else "deverified" if rng.random() < 0.05 else "unverified",
        "verified": verified,
        "hosting_type": 1 if datacenter else 0,
        "geolocation": f"{region}, {country}",
        "static_ip": datacenter,
        "dlperf": float(model.dlperf[i]) * gpus,
        "dlperf_chunk": float(model.dlperf[i]) * chunk,
        "total_flops": float(model.tflops[i]) * gpus,
        "cpu_name": "Example 64-Core Processor",
        "cpu_cores": 64,
        "cpu_ram": 257_000,
        "disk_name": "Example NVMe",
        "disk_space": rng.uniform(100, 4000),
        "driver_version": "575.64.03",
        "cuda_max_good": 12.9,
        "os_version": "22.04",
        "start_date": None,
        "end_date": float(ends),
        "duration": ends - at.timestamp(),
        "vms_enabled": False,
        "public_ipaddr": f"203.0.113.{host.randrange(1, 255)}",
        "location": {
            "country": country,
            "location": f"{region or country}, {country}",
            "lat": round(lat + host.uniform(-1, 1), 4),
            "long": round(long + host.uniform(-1, 1), 4),
            "accuracy": 20,
            "isp": host.choice(_PROVIDERS),
            "organization": f"{host.choice(_PROVIDERS)} {host.randrange(1000)}",
            "domain": f"host{host.randrange(10_000)}.example",
        },
    }


def _bad(**changes: Any) -> Document:
    """A machine that is wrong in one way, with an address that must not be kept in a sample either."""
    good = {
        "machine_id": 900_000,
        "gpu_name": "RTX 4090",
        "num_gpus": 2,
        "num_gpus_rented": 1,
        "dph_base": 0.7,
        "verification": "verified",
        "geolocation": "Germany, DE",
        "public_ipaddr": "198.51.100.77",
    }
    return {**good, **changes}


#: Items that no reader may take, each wrong in one way.
BAD_MACHINES: tuple[Any, ...] = (
    None,
    "RTX 4090 198.51.100.77",
    _bad(machine_id="198.51.100.77"),
    _bad(machine_id=-1),
    _bad(gpu_name=None),
    _bad(gpu_name=" "),
    _bad(gpu_name="RTX 198.51.100.77"),
    _bad(num_gpus=0),
    _bad(num_gpus=True),
    _bad(num_gpus_rented=3),
    _bad(dph_base="198.51.100.77"),
    _bad(dph_base=-0.1),
    _bad(dph_base=10**9),
)


def document_machines(snapshot: Snapshot, timestamp: int, seed: int, fault: Fault) -> bytes:
    """``/machines`` under a fault, as bytes; ``timestamp`` in nanoseconds since 1970."""
    machines: list[Any] = list(machines_of(snapshot, seed))
    match fault.mode:
        case "half":
            kept = set(sorted({machine["gpu_name"] for machine in machines})[1::2])
            machines = [machine for machine in machines if machine["gpu_name"] in kept]
        case "bad_items":
            machines += BAD_MACHINES
        case "hostile_names":
            machines += [_bad(machine_id=910_000 + n, gpu_name=name) for n, name in enumerate(HOSTILE_NAMES)]
    head = {"url": PATH, "timestamp": rfc3339(timestamp), "count": len(machines), "notes": _NOTES}
    if fault.mode == "wrong_shape":
        return json.dumps(reshape(fault.shape, {**head, "offers": machines}, "offers", "machine_id")).encode()
    pieces = []
    for i, machine in enumerate(machines):
        pieces.append(json.dumps(machine))
        if i % 20 == 0:
            time.sleep(0)  # hands the interpreter to a waiting event loop
    raw = f'{json.dumps(head)[:-1]}, "offers": [\n'.encode() + ",\n".join(pieces).encode() + b"\n]}"
    return raw[: len(raw) // 2] + b"\xff\xfe" if fault.mode == "malformed" else raw
