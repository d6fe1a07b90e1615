"""The demo's director: when a newcomer has made an alert, the simulated market moves so that he sees it come.

Only levels of prices, rented shares and supply are played; everything else happens by the simulated market's own clock.
Each rule is played once.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from config.catalogue import GpuCatalogue
from sandbox.farm import FarmServer
from storage.engine import Database
from storage.tables import series
from storage.tables_alerts import alert_key, alert_rule, alert_trigger

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
LASTS_SECONDS: Final = 150.0
"""Long enough for two polls that confirm it."""
REACH: Final = (0.4, 2.5)
"""Factors on the price beyond which the market would call the quote absurd and hold the alert back."""
TICK: Final = 0.01
PRICES: Final = ("price", "rented_price", "available_price")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A level that an alert waits for."""

    rule_id: int
    metric: str
    gpu: str
    direction: int
    level: float
    value: float


@dataclass(frozen=True, slots=True)
class Move:
    """What has to happen to the simulated model: a factor on its prices, or the share of it that is rented."""

    price: float = 1.0
    rented: float | None = None


def move_for(waiting: Waiting) -> Move | None:
    """The smallest move that passes the level well; None when it cannot be played."""
    if waiting.metric in PRICES:
        margin = max(2 * TICK, 0.04 * waiting.level)
        wanted = waiting.level + waiting.direction * margin
        if waiting.value <= 0 or wanted <= 0:
            return None
        factor = wanted / waiting.value
        return Move(price=factor) if REACH[0] <= factor <= REACH[1] else None
    if waiting.metric == "utilization":
        return Move(rented=min(1.0, max(0.0, waiting.level + waiting.direction * 0.05)))
    if waiting.metric == "available":
        return Move(rented=1.0) if waiting.direction < 0 else Move(rented=0.0)
    return None


class Director:
    """Looks for alerts that nothing was played for yet.

    Args:
        db: the product's database; only read.
        models: names of the simulated models as the exporter spells them.
    """

    def __init__(self, db: Database, farm: FarmServer, gpus: GpuCatalogue, models: tuple[str, ...]) -> None:
        self._db = db
        self._farm = farm
        self._names = {gpus.resolve(name).slug: name for name in models}
        self._played: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="demo-director")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        await self.forget_old()
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("demo_director_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def forget_old(self) -> None:
        """Rules of an earlier demo have been played."""
        async with self._db.read() as conn:
            self._played.update(row.id for row in await conn.execute(select(alert_rule.c.id)))

    async def look(self) -> int:
        """Play what is new; how many moves."""
        async with self._db.read() as conn:
            found = await _waiting(conn)
        moves = 0
        for waiting in found:
            if waiting.rule_id in self._played:
                continue
            self._played.add(waiting.rule_id)
            name, move = self._names.get(waiting.gpu), move_for(waiting)
            if name is None or move is None or not math.isfinite(move.price):
                continue
            self._farm.nudge(name, price=move.price, rented=move.rented, seconds=LASTS_SECONDS)
            moves += 1
        return moves


async def _waiting(conn: AsyncConnection) -> list[Waiting]:
    rows = await conn.execute(
        select(
            alert_trigger.c.rule_id,
            alert_key.c.metric,
            series.c.gpu,
            alert_trigger.c.direction,
            alert_trigger.c.level,
            alert_key.c.value,
        )
        .join(alert_key, alert_key.c.id == alert_trigger.c.key_id)
        .join(alert_rule, alert_rule.c.id == alert_trigger.c.rule_id)
        .join(series, series.c.id == alert_key.c.series_id)
        .where(alert_rule.c.state == "active", alert_trigger.c.role == "fire", alert_key.c.value.is_not(None))
        .order_by(alert_trigger.c.rule_id, alert_trigger.c.id)
    )
    return [Waiting(*row) for row in rows]
