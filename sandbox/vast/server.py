"""``GET /api/v0/bundles/?q={…}``: each machine as one offer of the whole and one of each part."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from sandbox.farm.clock import SimClock
from sandbox.farm.faults import HOSTILE_NAMES
from sandbox.farm.market import Market, ModelSnapshot, Snapshot
from sandbox.standin import StandIn

PATH = "/api/v0/bundles/"
FIRST_PAGE = 64
"""Offers of an answer to a question without a limit."""
REQUESTS_A_MINUTE = 10
BELOW_A_CENT = 0.0046
"""USD per GPU-hour above the whole cents that the exporter shows: the platform's own prices are exact."""
HOST_ADDRESS = "203.0.113.42"
HOST_NAME = "rack7.host.example"
BAD_ITEMS: tuple[Any, ...] = (
    None,
    "RTX 4090",
    {"machine_id": 0, "rentable": True},
    {"machine_id": 900_000_001, "rentable": "yes", "gpu_frac": 1.0},
    {"machine_id": 900_000_002, "rentable": True, "gpu_ids": "1, 2", "gpu_frac": 1.0},
    {"machine_id": 900_000_003, "rentable": False, "gpu_frac": 1.0, "gpu_ids": [1], "gpu_name": HOST_ADDRESS},
    {"machine_id": 900_000_004, "rentable": False, "gpu_frac": 1.0, "gpu_ids": [1], "gpu_name": "Bad price",
     "num_gpus": 1, "dph_base": "cheap", "public_ipaddr": HOST_ADDRESS, "hostname": HOST_NAME},
    {"machine_id": 900_000_005, "rentable": False, "gpu_frac": 1.0, "gpu_ids": [1, 2], "gpu_name": "Bad count",
     "num_gpus": 8, "dph_base": 4.0},
    {"machine_id": 900_000_006, "rentable": True, "gpu_frac": 0.5, "gpu_ids": [7]},
)  # fmt: skip


class VastStandIn(StandIn):
    """Serves the offers.

    Args:
        factor: what the prices are multiplied by; other than 1, the platform disagrees with the exporter.
        moves: what :meth:`sandbox.farm.FarmServer.nudge` does to the exporter's market happens to this one too.
        rate_limited: refuse the eleventh request of a minute as the platform does.
    """

    name = "Vast.ai"

    def __init__(
        self,
        market: Market,
        clock: SimClock | None = None,
        *,
        factor: float = 1.0,
        moves: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
        rate_limited: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.factor = factor
        self._moves = moves
        self.rate_limited = rate_limited
        self._market = market
        self._clock = clock if clock is not None else SimClock.real_time()
        self._recent: deque[float] = deque()

    def paths(self) -> frozenset[str]:
        """See :class:`sandbox.standin.StandIn`."""
        return frozenset({PATH, PATH.rstrip("/")})

    def refuse(self, request: web.Request) -> web.Response | None:
        """See :class:`sandbox.standin.StandIn`."""
        try:
            wanted = json.loads(request.query.get("q", "{}"))
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict):
            return web.json_response({"success": False, "error": "invalid_args", "msg": "q is no query"}, status=400)
        now = time.monotonic()
        while self._recent and now - self._recent[0] > 60:
            self._recent.popleft()
        if self.rate_limited and len(self._recent) >= REQUESTS_A_MINUTE:
            return web.Response(status=429, text="API requests too frequent: endpoint threshold=6.0")
        self._recent.append(now)
        return None

    def document(self, path: str, query: Mapping[str, str], mode: str) -> object:
        """See :class:`sandbox.standin.StandIn`."""
        if mode == "wrong_shape":
            return {"success": False, "error": "internal"}
        if mode == "empty":
            return {"success": True, "offers": []}
        wanted = json.loads(query.get("q", "{}"))
        limit = FIRST_PAGE if mode == "short" else int(wanted.get("limit", FIRST_PAGE))
        offers = list(self._offers(mode))[:limit]
        if mode == "bad_items":
            offers += BAD_ITEMS
        return {"success": True, "offers": offers}

    def _offers(self, mode: str) -> Iterator[Any]:
        models = self._moves(self._market.snapshot(self._clock.now())).models
        number = 0
        for model in models[1::2] if mode == "half" else models:
            for row in range(len(model.num_gpus)):
                number += 1
                yield from self._machine(model, row, number)
        if mode == "hostile_names":
            for name in HOSTILE_NAMES:
                number += 1
                yield _offer(number, name, 1, [number * 100], 1.0, rentable=True, price=0.5)

    def _machine(self, model: ModelSnapshot, row: int, number: int) -> Iterator[dict[str, Any]]:
        gpus, rented = int(model.num_gpus[row]), int(model.rented[row])
        ids = [number * 100 + i for i in range(gpus)]
        price = (int(model.cents[row]) / 100 + BELOW_A_CENT) * self.factor
        facts: dict[str, Any] = {
            "verification": "verified" if model.verified[row] else "unverified",
            "hosting_type": int(model.datacenter[row]),
            "gpu_ram": int(model.vram[row]) * 1024,
        }
        yield _offer(number, model.name, gpus, ids, 1.0, rentable=not rented, price=price, **facts)
        if 0 < rented < gpus:
            for part, free in ((ids[:rented], False), (ids[rented:], True)):
                share = len(part) / gpus
                yield _offer(number, model.name, len(part), part, share, rentable=free, price=price, **facts)


def _offer(
    number: int, name: str, gpus: int, ids: list[int], share: float, *, rentable: bool, price: float, **facts: Any
) -> dict[str, Any]:
    """An offer with the fields that are read, and some of those that must never be kept."""
    return {
        "id": number * 1000 + gpus,
        "machine_id": 10_000 + number,
        "host_id": 50_000 + number // 3,
        "gpu_name": name,
        "num_gpus": gpus,
        "gpu_frac": share,
        "gpu_ids": ids,
        "gpu_ram": 24_576,
        "dph_base": price * gpus,
        "dph_total": price * gpus + 0.0023,
        "min_bid": price * gpus / 2,
        "rentable": rentable,
        "rented": False,
        "verification": "unverified",
        "hosting_type": 0,
        "reliability2": 0.99,
        "geolocation": "Czechia, CZ",
        "public_ipaddr": HOST_ADDRESS,
        "hostname": HOST_NAME,
        **facts,
    }
