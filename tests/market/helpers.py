"""A market source for tests that answers what it is told to, through the real document parser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from gpuscout.market.sources.base import FetchResult, WrongShape
from gpuscout.market.sources.exporter_schema import parse_document


def stats(count: int, median: float | None, p10: float | None = None, p90: float | None = None) -> list[dict[str, Any]]:
    """A wrapped statistics object as the exporter prints it."""
    values = {"count": count, "price_median": median, "price_10th_percentile": p10, "price_90th_percentile": p90}
    return [{key: value for key, value in values.items() if value is not None}]


def model_v1(name: str, rented: int, available: int, price: float, verified: int | None = None) -> dict[str, Any]:
    """A V1 model whose verified part is *verified* rented GPUs (all of them by default)."""
    verified = rented if verified is None else verified
    none = stats(0, None)

    def side(count: int, part: int) -> dict[str, Any]:
        band = (price * 0.8, price * 1.2)
        return {
            "verified": stats(part, price, *(band if part >= 10 else ())) if part else none,
            "unverified": stats(count - part, price) if count - part else none,
            "all": stats(count, price, *(band if count >= 10 else ())) if count else none,
        }

    return {
        "name": name,
        "stats": {
            "rented": side(rented, verified),
            "available": side(available, available),
            "all": side(rented + available, verified + available),
        },
    }


def model_v2(name: str, *categories: tuple[bool, str, bool, int, int, float]) -> dict[str, Any]:
    """A V2 model of (datacenter, range, verified, rented, available, price) categories."""
    return {
        "name": name,
        "count": sum(rented + available for *_, rented, available, _ in categories),
        "categories": [
            {
                "datacenter": datacenter,
                "gpu_count_range": size,
                "verified": verified,
                "stats": {
                    "rented": stats(rented, price if rented else None),
                    "available": stats(available, price if available else None),
                    "all": stats(rented + available, price),
                },
            }
            for datacenter, size, verified, rented, available, price in categories
        ],
    }


def document(at: datetime, *models: Any) -> bytes:
    """The bytes of an exporter's answer."""
    return json.dumps({"url": "/gpu-stats", "timestamp": at.isoformat(), "models": list(models)}).encode()


class ScriptedSource:
    """Answers the documents that a test put in; a string is a feed's problem, None is "not modified"."""

    name = "500.farm"
    platform = "vast"
    headline_feeds = frozenset({"v1"})

    def __init__(self) -> None:
        self.answers: dict[str, bytes | str | None] = {}

    async def fetch(self, now: datetime) -> FetchResult:
        documents, unchanged, problems = [], [], {}
        for feed, answer in self.answers.items():
            if answer is None:
                unchanged.append(feed)
            elif isinstance(answer, str):
                problems[feed] = answer
            else:
                try:
                    documents.append(parse_document(feed, answer, now))
                except WrongShape as error:
                    problems[feed] = str(error)
        return FetchResult(documents, unchanged, problems)

    def forget(self) -> None:
        """Every answer is given anew."""

    async def aclose(self) -> None:
        """Nothing is open."""


class FakeClock:
    """Aware time that moves only when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


def dump_rows(rows: Any) -> list[Mapping[str, Any]]:
    """Rows as comparable dictionaries."""
    return [dict(row._mapping) for row in rows]
