"""The two documents of the exporter, made from one snapshot."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from sandbox.farm.calibration import epoch
from sandbox.farm.market import (
    SEGMENTS,
    SIDES,
    ModelSnapshot,
    Segment,
    Side,
    Snapshot,
    gpu_range,
    series_weights,
)
from sandbox.farm.noise import Ints
from sandbox.farm.stats import percentile, weighted_stats

Version = Literal["v1", "v2"]
Document = dict[str, Any]

#: Path of each document below the exporter's mount point.
PATHS: dict[Version, str] = {"v1": "/gpu-stats", "v2": "/gpu-stats/v2"}
_NOTES = ["Sorted from most to least popular."]


def nanoseconds(at: datetime) -> int:
    """Nanoseconds since 1970 of an aware datetime, with made-up digits below a microsecond.

    Python's clock ends at microseconds, the exporter's stamps do not.
    """
    micros = epoch(at) * 1_000_000 + at.microsecond
    return micros * 1000 + (micros * 2_654_435_761 >> 7) % 999 + 1


def rfc3339(nanos: int) -> str:
    """A UTC stamp with up to nine digits of fraction, trailing zeros dropped, as Go writes it."""
    seconds, fraction = divmod(nanos, 1_000_000_000)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{digits}Z"


def document_v1(snapshot: Snapshot, timestamp: int | None = None) -> Document:
    """``/gpu-stats``: per model the nine headline groups and what the card is.

    ``timestamp``: nanoseconds since 1970 to stamp it with, by default the snapshot's own time.
    """
    models = sorted(snapshot.models, key=_popularity)
    return _document("v1", snapshot, timestamp, [_model_v1(model) for model in models])


def document_v2(snapshot: Snapshot, timestamp: int | None = None) -> Document:
    """``/gpu-stats/v2``: per model its segments (datacenter, GPUs in the machine, verified)."""
    models = sorted(snapshot.models, key=_popularity)
    return _document("v2", snapshot, timestamp, [_model_v2(model) for model in models])


def render(document: object) -> bytes:
    """JSON as the exporter lays it out: four spaces, UTF-8."""
    pieces = []
    for i, piece in enumerate(json.JSONEncoder(indent=4, ensure_ascii=False).iterencode(document)):
        pieces.append(piece)
        if i % 500 == 0:
            _let_others_run()
    return "".join(pieces).encode()


def _let_others_run() -> None:
    """Hands the interpreter to a waiting thread.

    Documents are made in a thread beside an event loop. Left to itself, Python would switch
    every 5 ms only, and an iteration of the loop waits for two switches.
    """
    time.sleep(0)


def _document(version: Version, snapshot: Snapshot, timestamp: int | None, models: list[Document]) -> Document:
    stamp = nanoseconds(snapshot.at) if timestamp is None else timestamp
    return {
        "url": PATHS[version],
        "timestamp": rfc3339(stamp),
        "notes": list(_NOTES),
        "models": models,
    }


def _popularity(model: ModelSnapshot) -> tuple[int, str]:
    return -int(model.num_gpus.sum()), model.name


def _model_v1(model: ModelSnapshot) -> Document:
    _let_others_run()
    groups = dict(series_weights(model.num_gpus, model.rented, model.verified))
    records = weighted_stats(model.cents, np.stack(list(groups.values())))
    stats: dict[str, dict[str, list[Document]]] = {}
    for (side, verification), record in zip(groups, records, strict=True):
        stats.setdefault(side, {})[verification] = [_stat(record)]
    return {
        "name": model.name,
        "stats": stats,
        "info": {
            "vram": int(model.vram.max()),
            "dlperf": _ninetieth(model.dlperf),
            "tflops": _ninetieth(model.tflops),
        },
    }


def _model_v2(model: ModelSnapshot) -> Document:
    _let_others_run()
    of_machine: list[Segment] = [
        (bool(dc), gpu_range(int(gpus)), bool(ver))
        for dc, gpus, ver in zip(model.datacenter, model.num_gpus, model.verified, strict=True)
    ]
    existing = [segment for segment in SEGMENTS if segment in of_machine]
    by_side: dict[Side, Ints] = {
        "rented": model.rented,
        "available": model.num_gpus - model.rented,
        "all": model.num_gpus,
    }
    weights = np.stack(
        [by_side[side] * np.array([s == segment for s in of_machine]) for segment in existing for side in SIDES]
    )
    records = iter(weighted_stats(model.cents, weights))
    categories = [
        {
            "datacenter": datacenter,
            "gpu_count_range": size,
            "verified": verified,
            "stats": {side: [_stat(next(records))] for side in SIDES},
        }
        for datacenter, size, verified in existing
    ]
    return {"name": model.name, "count": int(model.num_gpus.sum()), "categories": categories}


def _stat(record: np.void) -> Document:
    """One group; what does not exist is left out, not null."""
    names: Mapping[str, str] = {
        "median": "price_median",
        "p10": "price_10th_percentile",
        "p90": "price_90th_percentile",
    }
    stat: Document = {"count": int(record["count"])}
    for field, name in names.items():
        value = float(record[field])
        if value == value:  # not NaN
            stat[name] = _number(value)
    return stat


def _number(value: float) -> float | int:
    """Go writes a float without a fraction as an integer."""
    return int(value) if value.is_integer() else value


def _ninetieth(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | int:
    """90th percentile over machines, or the greatest where it does not exist."""
    value = percentile(values, 90)
    return _number(value if value == value else float(values.max()))
