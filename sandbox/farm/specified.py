"""A stand-in for a 500.farm that speaks the specified dialect, on the simulated market."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from aiohttp import web

from sandbox.farm.clock import SimClock
from sandbox.farm.faults import HOSTILE_NAMES
from sandbox.farm.market import Market, ModelSnapshot
from sandbox.farm.stats import weighted_stats
from sandbox.standin import StandIn

PRICING, UTILIZATION, DEMAND, HISTORICAL = (
    f"/api/{name}" for name in ("gpu-pricing", "utilization", "demand", "historical")
)
#: What each platform asks, relative to the simulated market; the last one is in nobody's catalogue.
PLATFORMS: Mapping[str, float] = {"Vast.ai": 1.0, "RunPod": 1.55, "Lambda": 1.9, "Nimbus GPU Cloud": 2.25}
HISTORY_DAYS = 20
HISTORY_STEP = timedelta(hours=3)
BAD_ITEMS: tuple[Any, ...] = (
    None,
    "RTX 4090",
    {},
    {"model": "Bad price", "platform": "RunPod", "price": "cheap", "utilization": 50, "updated_at": "{now}"},
    {"model": "Bad comma", "platform": "RunPod", "price": "1,234.50", "utilization": 50, "updated_at": "{now}"},
    {"model": "Bad negative", "platform": "RunPod", "price": -1, "utilization": 50, "updated_at": "{now}"},
    {"model": "Bad nothing", "platform": "RunPod", "price": None, "utilization": 50, "updated_at": "{now}"},
    {"model": "Bad share", "platform": "RunPod", "price": 1, "utilization": 250, "updated_at": "{now}"},
    {"model": "Bad time", "platform": "RunPod", "price": 1, "utilization": 50, "updated_at": "yesterday"},
    {"model": "Bad zone", "platform": "RunPod", "price": 1, "utilization": 50, "updated_at": "2026-01-01T00:00:00"},
    {"model": "", "platform": "RunPod", "price": 1, "utilization": 50, "updated_at": "{now}"},
    {"model": "Bad platform", "platform": "??", "price": 1, "utilization": 50, "updated_at": "{now}"},
)


class SpecifiedFarm(StandIn):
    """Serves the four endpoints.

    Args:
        percent: utilization and demand as 85 instead of 0.85.
        texts: numbers as texts.
        api_key: when set, a request without it as bearer is refused.
        missing: paths that do not exist here.
        interval: wall seconds between two publications.
    """

    name = "specified 500.farm"

    def __init__(
        self,
        market: Market,
        clock: SimClock | None = None,
        *,
        percent: bool = True,
        texts: bool = False,
        api_key: str | None = None,
        missing: frozenset[str] = frozenset(),
        interval: float = 900.0,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.percent, self.texts, self.api_key, self.missing = percent, texts, api_key, missing
        self._market = market
        self._clock = clock if clock is not None else SimClock.real_time()
        self._interval = interval

    def paths(self) -> frozenset[str]:
        """See :class:`sandbox.standin.StandIn`."""
        return frozenset({PRICING, UTILIZATION, DEMAND, HISTORICAL}) - self.missing

    def refuse(self, request: web.Request) -> web.Response | None:
        """See :class:`sandbox.standin.StandIn`."""
        if self.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return web.Response(status=401, text="a key is needed\n")
        return None

    def document(self, path: str, query: Mapping[str, str], mode: str) -> object:
        """See :class:`sandbox.standin.StandIn`."""
        if mode == "wrong_shape":
            return {"error": "internal", "success": False}
        if mode == "empty":
            return []
        at = self._published()
        items = list(self._history(at) if path == HISTORICAL else self._current(path, at))
        if mode == "half":
            kept = set(sorted({item["model"] for item in items})[1::2])
            items = [item for item in items if item["model"] in kept]
        stamp = at.isoformat().replace("+00:00", "Z")
        if mode == "bad_items":
            items += [
                {**item, "updated_at": stamp} if isinstance(item, dict) and item.get("updated_at") == "{now}" else item
                for item in BAD_ITEMS
            ]
        if mode == "hostile_names":
            items += [self._item(name, "RunPod", at, 0.5, 0.5) for name in HOSTILE_NAMES]
        return items

    def _published(self) -> datetime:
        now = self._clock.wall_now().timestamp()
        return datetime.fromtimestamp(now - now % self._interval, UTC)

    def _current(self, path: str, at: datetime) -> Iterator[dict[str, Any]]:
        for model in self._market.snapshot(self._clock.at(at)).models:
            price, share = _figures(model)
            for platform, factor in PLATFORMS.items():
                item = self._item(model.name, platform, at, price * factor, share)
                if path == PRICING and platform == "Lambda":
                    del item["utilization"]  # there it is only in the document of its own
                if path in (UTILIZATION, DEMAND):
                    del item["price"]
                if path == DEMAND:
                    item["demand"] = item.pop("utilization")
                yield item

    def _history(self, at: datetime) -> Iterator[dict[str, Any]]:
        step = int(HISTORY_STEP.total_seconds())
        last = int(at.timestamp()) // step * step
        times = np.arange(last - HISTORY_DAYS * 86_400, last, step, dtype=np.int64)
        shift = int(self._clock.at(at).timestamp()) - int(at.timestamp())
        for name in self._market.models:
            stats = self._market.history_stats(name, times + shift)
            everything, rented = stats["all", "all"], stats["rented", "all"]
            for i, seconds in enumerate(times):
                if count := int(everything["count"][i]):
                    share = int(rented["count"][i]) / count
                    moment = datetime.fromtimestamp(int(seconds), UTC)
                    yield self._item(name, "Vast.ai", moment, float(everything["median"][i]), share)

    def _item(self, model: str, platform: str, at: datetime, price: float, share: float) -> dict[str, Any]:
        figures: dict[str, Any] = {
            "price": round(price, 4),
            "utilization": round(share * 100, 1) if self.percent else round(share, 4),
        }
        if self.texts:
            figures = {name: str(value) for name, value in figures.items()}
        return {
            "model": model,
            "platform": platform,
            **figures,
            "updated_at": at.isoformat().replace("+00:00", "Z"),
        }


def _figures(model: ModelSnapshot) -> tuple[float, float]:
    """Median price of all GPUs in USD, and the rented share."""
    total = int(model.num_gpus.sum())
    median = float(weighted_stats(model.cents, model.num_gpus)["median"])
    return median, int(model.rented.sum()) / total
