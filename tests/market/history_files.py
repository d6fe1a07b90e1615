"""Small history files for tests, with the traits of real ones."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    *("timestamp", "platform", "gpu_model", "gpu_raw", "region", "tier", "price", "spot_price", "price_min"),
    *("price_max", "price_p10", "price_p90", "gpu_count", "n_offers", "availability", "source"),
)

SAMPLE = """
2026-03-11T04:17:38Z,runpod,RTX 4090,RTX 4090,,community,0.34,0.2,,,,,1,,Unknown,scraper
2026-03-11T04:17:38Z,runpod,RTX 4090,RTX 4090,,secure,0.59,,,,,,1,,Unknown,scraper
2026-03-11T04:47:38Z,runpod.io,RTX 4090,RTX 4090,secure,on_demand,0.61,,,,,,1,,Unknown,scraper
2026-03-11T05:17:38Z,RunPod,RTX 4090,RTX 4090,any,on_demand,0.69,,,,,,1,,,scraper
2026-03-11T04:17:38Z,lambda,H200 SXM,H200,"Tokyo, Japan; Germany",on_demand,1.99,,,,,,,1,Available,scraper
2026-03-11T04:17:38Z,lambda,H100,H100,"Washington DC, USA",on_demand,2.49,,,,,,,1,Available,scraper
2026-03-11T04:17:38Z,lambda,H100 SXM,H100 SXM,"Washington DC, USA",on_demand,2.99,,,,,,,1,Available,scraper
2024-01-07T17:24:04Z,aws,A100 PCIe 80GB,A100-80GB,us-east-1,on_demand,4.1,1.7,,,,,8,1,,catalog
2024-01-07T18:24:04Z,aws,A100 PCIe 80GB,A100-80GB,us-east-1,on_demand,4.1,1.6,,,,,8,1,,catalog
2026-02-11T21:00:10Z,azure,A100 SXM4 80GB,A100_SXM_80GB,,spot,,0.92,0.92,0.92,,,1,9,,tracker
2025-10-19T21:01:58Z,primeintellect,A100 PCIe 80GB,A100_80GB,,aggregate,1.64,,0.98,1.66,1.35,1.65,,40,available=23,prime
2025-12-07T20:30:16Z,vast.ai,RTX 4090,RTX 4090,,aggregate,0.33,,,,0.26,0.4,,2231,rented/verified,500farm
2025-12-07T20:30:16Z,vast.ai,RTX 4090,RTX 4090,,aggregate,0.33,,,,0.26,0.4,,2402,rented/all,500farm
2025-12-07T20:30:16Z,vast.ai,RTX 4090,RTX 4090,,aggregate,0.35,,,,0.26,0.44,,2584,available/all,500farm
2025-12-07T20:30:16Z,vast.ai,RTX 4090,RTX 4090,,aggregate,0.335,,,,0.26,0.43,,4986,all/all,500farm
2026-05-08T10:00:00Z,vast.ai,RTX 5090,RTX 5090,DE,on_demand,0.42,,,,,,1,5,,tracker
2026-05-09T10:00:00Z,vast.ai,RTX 5090,RTX 5090,de,on_demand,0.44,,,,,,1,5,,tracker
2026-05-10T10:00:00Z,vast.ai,RTX 5090,RTX 5090,DE,on_demand,16.4,,,,,,1,5,,tracker
2026-05-10T11:00:00Z,vast.ai,RTX 5090,RTX 5090,DE,on_demand,0.43,,,,,,1,5,,tracker
2026-05-10T10:00:00Z,dc_gnu,Frobnicator 9000,Frobnicator 9000,,on_demand,0.5,,,,,,1,5,,tracker
""".strip()
"""Twenty rows: tiers, spot beside on-demand, several regions in one cell, one side a row, an absurd ask."""

BAD = (
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,,community,,,,,,,,,,x", "has neither price nor spot_price"),
    ("yesterday,runpod,RTX 4090,,,community,0.3,,,,,,,,,x", "timestamp is neither ISO 8601 nor epoch seconds"),
    ("2099-03-11T04:17:38Z,runpod,RTX 4090,,,community,0.3,,,,,,,,,x", "timestamp lies in the future"),
    ("1999-03-11T04:17:38Z,runpod,RTX 4090,,,community,0.3,,,,,,,,,x", "timestamp is before 2010"),
    (",runpod,RTX 4090,,,community,0.3,,,,,,,,,x", "timestamp is missing"),
    ("2026-03-11T04:17:38Z,,RTX 4090,,,community,0.3,,,,,,,,,x", "platform is missing"),
    ("2026-03-11T04:17:38Z,runpod,,,,community,0.3,,,,,,,,,x", "gpu is missing"),
    (
        "2026-03-11T04:17:38Z,runpod,RTX 4090,,,weekly,0.3,,,,,,,,,x",
        "tier is not on-demand, spot, community, secure, reserved or aggregate",
    ),
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,,community,-0.3,,,,,,,,,x", "price is not above 0"),
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,,community,nan,,,,,,,,,x", "price is not a finite number"),
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,,community,cheap,,,,,,,,,x", "price is not a number"),
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,,community,9999,,,,,,,,,x", "price is over 1,000 USD per GPU-hour"),
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,,community,0.3,,,,0.5,0.4,,,,x", "price_p10 is above price_p90"),
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,,spot,0.3,0.2,,,,,,,,x", "a row of tier spot has two prices"),
    (
        "2026-03-11T04:17:38Z,vast,RTX 4090,,,,0.3,,,,,,,,rented/all,x",
        "a row of one side needs price and n_offers (its GPUs)",
    ),
    ("2026-03-11T04:17:38Z,runpod,RTX 4090,,<script>,on_demand,0.3", "has more or fewer cells than the header"),
    (f"2026-03-11T04:17:38Z,runpod,RTX 4090,,{'x' * 90},,0.3,,,,,,,,,x", "region is no name of at most 64 characters"),
)
"""Rows that are rejected, each with its reason."""


def sample_lines() -> list[str]:
    """The rows of :data:`SAMPLE`."""
    return SAMPLE.splitlines()


def write_csv(path: Path, lines: Sequence[str]) -> Path:
    """A CSV file of *lines* under the usual header, gzipped when its name says so."""
    data = "\n".join([",".join(COLUMNS), *lines, ""]).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def objects(lines: Sequence[str]) -> list[dict[str, Any]]:
    """The same rows as JSON objects, numbers as numbers and empty cells left out."""
    found = []
    for cells in csv.reader(io.StringIO("\n".join(lines))):
        row: dict[str, Any] = {}
        for name, cell in zip(COLUMNS, cells, strict=True):
            if cell and (name.startswith(("price", "spot")) or name == "n_offers"):
                row[name] = float(cell)
            elif cell:
                row[name] = cell
        found.append(row)
    return found


def write_json(path: Path, lines: Sequence[str], *, array: bool) -> Path:
    """The rows as a JSON array or as one object a line."""
    rows = objects(lines)
    text = json.dumps(rows, indent=1) if array else "\n".join(json.dumps(row) for row in rows)
    path.write_text(text, encoding="utf-8")
    return path
