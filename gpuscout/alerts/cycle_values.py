"""The values that one cycle of updates brings to the keys that rules watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

from gpuscout.alerts.messages import Metric
from gpuscout.alerts.readings import Readings
from gpuscout.alerts.values import MACHINE_METRICS, Doubt, Figures, Reading, SeriesAsk, gpu_of
from storage import alerts_values as figures
from storage.alerts_eval import EvaluationStore, KeyValue
from storage.alerts_work import WorkRow
from storage.machines import FEED as MACHINES

DAY_BACK: Final = 86_400
LOST_SHARE: Final = 0.5
"""A document that reads fewer than this part of the models of the one before says nothing of what it leaves out."""


class CycleValues:
    """Computes the values of a cycle."""

    def __init__(self, evaluation: EvaluationStore, numbers: Figures, readings: Readings) -> None:
        self._evaluation = evaluation
        self._figures = numbers
        self._readings = readings
        self._db = evaluation.db

    async def of(self, works: Sequence[WorkRow], doubt: Doubt) -> list[KeyValue]:
        """Values of every key that the updates say something about; what cannot be told is left out."""
        by_update = {work.update_id: work for work in works}
        rows = await self._evaluation.watched_quotes(
            list(by_update), min(work.oldest for work in works), max(work.at for work in works)
        )
        asks: dict[int, SeriesAsk] = {}
        for row in rows:  # oldest first: of several quotes of one series the newest stays
            work = by_update[row.update_id]
            asks[row.key_id] = SeriesAsk(
                row.key_id, cast(Metric, row.metric), row.days, gpu_of(row.subject), row, work.feed, work.fetched_at
            )
        readings: dict[int, Reading] = await self._figures.of_series(list(asks.values()), doubt)
        found = [value for key_id, reading in readings.items() if (value := _value(key_id, reading)) is not None]
        found += await self._absent(works, set(asks))
        found += await self._others(works, doubt)
        return found

    async def _absent(self, works: Sequence[WorkRow], present: set[int]) -> list[KeyValue]:
        """None left: a model that its document no longer lists, unless the document lost half of the market."""
        keys = [k for k in await self._evaluation.keys_of(("available",)) if k.id not in present and k.value]
        if not keys:
            return []
        whole: dict[tuple[str, str], WorkRow] = {}
        for work in works:
            before = await figures.previous_update(self._db, work.update_id)
            if work.feed != MACHINES and before is not None and work.read >= before[0] * LOST_SHARE:
                whole[(work.source, work.feed)] = work
        at = max(work.at for work in works)
        newest: dict[int, Any] = {}
        for row in await figures.newest_of(self._db, [k.series_id for k in keys if k.series_id], at - DAY_BACK):
            newest[row.series_id] = row
        found = []
        for key in keys:
            last: Any = newest.get(key.series_id)
            work_of = whole.get((last.source, last.feed)) if last is not None else None
            if work_of is not None and last.ts < work_of.at:
                found.append(KeyValue(key.id, 0.0, work_of.at))
        return found

    async def _others(self, works: Sequence[WorkRow], doubt: Doubt) -> list[KeyValue]:
        """Keys that are of no single series."""
        at = max(work.at for work in works)
        readings: dict[int, Reading] = {}
        if any(work.feed == MACHINES for work in works):
            readings |= await self._figures.of_machines(await self._evaluation.keys_of(MACHINE_METRICS), at)
        if any(work.feed != MACHINES for work in works):
            for key in await self._evaluation.keys_of(("spread_percent", "spread_usd", "models", "fleet_net")):
                reading: Reading | None
                if key.metric == "models":
                    reading = Reading(float(await figures.newest_model(self._db, key.subject)), at)
                elif key.metric == "fleet_net":
                    reading = replace(await self._readings.fleet(int(key.subject), doubt), at=at)
                else:
                    reading = await self._figures.of_spread(key.subject, cast(Metric, key.metric), at, doubt)
                if reading is not None:
                    readings[key.id] = reading
        return [value for key_id, reading in readings.items() if (value := _value(key_id, reading)) is not None]


def _value(key_id: int, reading: Reading) -> KeyValue | None:
    return None if reading.value is None else KeyValue(key_id, reading.value, reading.at, reading.held)
