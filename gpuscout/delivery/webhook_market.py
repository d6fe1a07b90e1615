"""``market.updated``: told of stored updates, for those who subscribed; nothing is written while nobody did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy import Row

from config.catalogue import GpuCatalogue
from gpuscout.delivery.webhook_body import iso
from storage.engine import Database
from storage.events import EventStore
from storage.state import AppState
from storage.webhooks import EndpointStore
from storage.webhooks_market import headline_quotes, last_update, updates_after

log = structlog.get_logger(__name__)

CURSOR: Final = "webhook.market"
_LOOK: Final = 20
"""Updates looked at in one go. After an outage only the newest of each source and platform is told."""
_THIN = 1
_OUTLIER = 2


class MarketEvents:
    """Writes one event for each platform of each new update."""

    def __init__(
        self,
        db: Database,
        state: AppState,
        events: EventStore,
        endpoints: EndpointStore,
        gpus: GpuCatalogue,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._state = state
        self._events = events
        self._endpoints = endpoints
        self._gpus = gpus
        self._clock = clock

    async def look(self) -> int:
        """Tell of what was stored since the last look; returns how many events are new.

        Safe to repeat: an update and platform is one event, and the place where the next look begins moves in the
        same transaction.
        """
        after = await self._state.get(CURSOR)
        wanted = await self._endpoints.wants_market()
        if not wanted or not isinstance(after, int):
            # Whoever subscribes later hears of what comes then.
            newest = await last_update(self._db)
            if newest != after:
                await self._state.set(CURSOR, newest)
            return 0
        updates = await updates_after(self._db, after, _LOOK)
        if not updates:
            return 0
        told: dict[tuple[int, str], tuple[Row[Any], list[Row[Any]]]] = {}
        for update in updates:  # newest first: older ones of a source and platform are past
            rows = await headline_quotes(self._db, update.id, update.source_id, update.source_time_ms // 1000)
            platforms: dict[str, list[Row[Any]]] = {}
            for row in rows:
                platforms.setdefault(row.platform, []).append(row)
            for platform, quotes in platforms.items():
                told.setdefault((update.source_id, platform), (update, quotes))
        made = 0
        async with self._db.write() as conn:
            for (_, platform), (update, quotes) in told.items():
                made += (
                    await self._events.emit(
                        conn,
                        "market.updated",
                        self._data(update, platform, quotes),
                        member_id=None,
                        dedupe_key=f"market.updated:{update.id}:{platform}",
                        at=self._clock(),
                    )
                    is not None
                )
            await self._state.set(CURSOR, int(updates[0].id), conn=conn)
        return made

    def _data(self, update: Row[Any], platform: str, rows: Sequence[Row[Any]]) -> Mapping[str, Any]:
        as_of = datetime.fromtimestamp(update.source_time_ms / 1000, tz=UTC)
        return {
            "platform": platform,
            "source": update.source,
            "as_of": iso(as_of),
            "quotes": [self._quote(row) for row in rows],
        }

    def _quote(self, row: Row[Any]) -> dict[str, Any]:
        """One model in short; the whole quote is in the REST API."""
        sized = row.rented_count + row.available_count
        used = row.utilization if row.utilization is not None else row.rented_count / sized if sized else None
        model = self._gpus.get(row.gpu)
        return {
            "gpu": row.gpu,
            "name": model.name if model is not None else row.gpu,
            "tier": row.tier,
            "price": row.all_median,
            "available": row.available_count,
            "rented": row.rented_count,
            "utilization": None if used is None else round(used, 4),
            "thin": bool(row.flags & (_THIN | _OUTLIER)),
        }
