"""The simulated market: every figure is a pure function of seed and time.

Nothing is stored and nothing evolves step by step, so any instant of the past two years or of
next week costs the same, and a restart goes on where the market would have been anyway.

* *Level*: each model's prices revert to a mean that drifts slowly; swings last weeks, days and
  hours, and a high demand lifts the level.
* *Hosts* reprice in steps of their own, a quarter of them many times a day.
* *Demand* has a daily and a weekly rhythm, slow swings of the model and of the whole market.
  A machine is rented while demand exceeds its reluctance, which rises with its price and has
  noise of its own lasting days, hours and minutes; so cheaper machines go first, mostly.
* *Supply*: machines and whole hosts are listed and delisted for days, go offline for a quarter
  of an hour, and arrive after a model's launch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sandbox.farm.calibration import Calibration, epoch, load_calibration
from sandbox.farm.fleet import DAY, HOUR, LONGEST_REPRICE, Fleet, build_fleet
from sandbox.farm.noise import VALUE_NOISE_STD, Floats, Ints, Keys, key, lattice, value_noise
from sandbox.farm.stats import STATS_DTYPE, Stats, weighted_stats

Side = Literal["rented", "available", "all"]
Verification = Literal["verified", "unverified", "all"]
GpuRange = Literal["1-3", "4-7", "8+"]
Series = tuple[Side, Verification]
Segment = tuple[bool, GpuRange, bool]
"""(datacenter, range of GPUs in the machine, verified)"""

SIDES: tuple[Side, ...] = ("rented", "available", "all")
VERIFICATIONS: tuple[Verification, ...] = ("verified", "unverified", "all")
SERIES: tuple[Series, ...] = tuple((s, v) for s in SIDES for v in VERIFICATIONS)
SEGMENTS: tuple[Segment, ...] = tuple(
    (dc, size, ver) for dc in (False, True) for size in ("1-3", "4-7", "8+") for ver in (False, True)
)

#: Share of a machine's reluctance that comes from its price; the rest is its own noise.
PRICE_WEIGHT = 0.28
_NOISE_WEIGHT = (1 - PRICE_WEIGHT**2) ** 0.5
# (period in seconds, weight) of a machine's own noise: days, hours, minutes.
_RENT_OCTAVES = ((47 * HOUR, 0.70), (8 * HOUR, 0.65), (40 * 60, 0.30))
_RENT_SCALE = VALUE_NOISE_STD * sum(w * w for _, w in _RENT_OCTAVES) ** 0.5
# The price level: months, days, hours.
_LEVEL_OCTAVES = ((34 * DAY, 0.16), (5 * DAY, 0.055), (9 * HOUR, 0.018))
_OFFLINE_SPELL = 900
_OFFLINE_BELOW = -0.992  # of a uniform value in [-1, 1): 0.4 % of the time
_PRESENT_ABOVE = -0.25
# Demand through the day (UTC hours) and through the week (from Monday), as normal deviates.
_DAY_HOURS = np.arange(0, 25, 3, dtype=np.float64)
_DAY_DEMAND = np.array([-0.08, -0.16, -0.18, -0.04, 0.08, 0.17, 0.15, 0.05, -0.08])
_WEEK_DAYS = np.arange(0, 8, dtype=np.float64)
_WEEK_DEMAND = np.array([-0.02, 0.07, 0.10, 0.09, 0.05, -0.08, -0.14, -0.02])
_MONDAY = 4 * DAY  # 1970-01-05
_CHUNK_CELLS = 60_000  # machine-instants worked on at once; fits the processor's cache


@dataclass(frozen=True, slots=True)
class Activity:
    """What machines do at some instants. Shape (instants, machines)."""

    present: NDArray[np.bool_]
    cents: Ints
    """Listed price, whole US cents per GPU-hour, truncated."""
    rented: Ints
    """Rented GPUs."""


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """The listed machines of one model, cheapest first; all arrays share the length."""

    name: str
    num_gpus: Ints
    rented: Ints
    cents: Ints
    verified: NDArray[np.bool_]
    datacenter: NDArray[np.bool_]
    vram: Ints
    dlperf: Floats
    tflops: Floats
    min_chunk: Ints
    rows: Ints
    """Who each machine is: the same number at every instant."""
    hosts: Ints
    """Equal for machines that stand at one host."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The market at one instant: the models that have at least one listed machine."""

    at: datetime
    models: tuple[ModelSnapshot, ...]


def gpu_range(num_gpus: int) -> GpuRange:
    """The size class of a machine."""
    return "8+" if num_gpus >= 8 else "4-7" if num_gpus >= 4 else "1-3"


def series_weights(num_gpus: Ints, rented: Ints, verified: NDArray[np.bool_]) -> Iterator[tuple[Series, Ints]]:
    """For each headline series, how many GPUs each machine brings to it."""
    by_side = {"rented": rented, "available": num_gpus - rented, "all": num_gpus}
    keep = {"verified": verified, "unverified": ~verified, "all": np.ones_like(verified)}
    for side, verification in SERIES:
        yield (side, verification), by_side[side] * keep[verification]


class Market:
    """A market of about forty GPU models and 1,700 machines. Immutable, safe in threads."""

    def __init__(self, seed: int = 0, calibration: Calibration | None = None) -> None:
        self.seed = seed
        self.calibration = calibration if calibration is not None else load_calibration()
        self._fleet, self._rows = build_fleet(seed, self.calibration)
        models = self.calibration.models
        normal = NormalDist()
        self._base_demand = np.array([normal.inv_cdf(m.util) for m in models.values()])
        self._drift = np.array([m.drift for m in models.values()])
        self._market_key = self._keys("market")
        self._level_keys = self._keys("level", *models)
        self._demand_keys = self._keys("demand", *models)

    def _keys(self, stream: str, *names: str) -> Keys:
        return np.array([key(self.seed, n, stream) for n in names or ("",)], dtype=np.uint64)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all models that are ever listed, as the exporter spells them."""
        return tuple(self._rows)

    def snapshot(self, at: datetime) -> Snapshot:
        """The market at ``at`` (aware; fractions of a second are dropped)."""
        seconds = epoch(at)
        fleet = self._fleet
        activity = self._activity(fleet, np.array([seconds], dtype=np.int64))
        present, cents, rented = activity.present[0], activity.cents[0], activity.rented[0]
        models = []
        for name, rows in self._rows.items():
            order = np.argsort(cents[rows], kind="stable")
            chosen = order[present[rows][order]] + rows.start
            if len(chosen):
                models.append(
                    ModelSnapshot(
                        name,
                        fleet.num_gpus[chosen],
                        rented[chosen],
                        cents[chosen],
                        fleet.verified[chosen],
                        fleet.datacenter[chosen],
                        fleet.vram[chosen],
                        fleet.dlperf[chosen],
                        fleet.tflops[chosen],
                        fleet.min_chunk[chosen],
                        chosen.astype(np.int64),
                        (fleet.presence_key[chosen] >> np.uint64(2)).astype(np.int64),
                    )
                )
        return Snapshot(datetime.fromtimestamp(seconds, UTC), tuple(models))

    def history_stats(self, model: str, times: Ints) -> dict[Series, Stats]:
        """The nine headline series of one model.

        ``times``: epoch seconds, shape (T,), any order. Each series is an array of shape (T,)
        of :data:`~sandbox.farm.stats.STATS_DTYPE`, equal to what :meth:`snapshot` would give at
        each instant. Raises ``KeyError`` for a model that does not exist.
        """
        out = {series: np.zeros(len(times), dtype=STATS_DTYPE) for series in SERIES}
        for where, fleet, activity, order in self._ordered(model, times):
            cents = np.take_along_axis(activity.cents, order, axis=1)
            gpus = np.take_along_axis(activity.present * fleet.num_gpus, order, axis=1)
            rented = np.take_along_axis(activity.rented, order, axis=1)
            for series, weights in series_weights(gpus, rented, fleet.verified[order]):
                out[series][where] = weighted_stats(cents, weights)
        return out

    def segment_stats(self, model: str, times: Ints) -> dict[tuple[Segment, Side], Stats]:
        """As :meth:`history_stats`, for the segments in which the model has machines."""
        fleet = self._fleet.part(self._rows[model])
        of_machine = [
            (bool(dc), gpu_range(int(n)), bool(ver))
            for dc, n, ver in zip(fleet.datacenter, fleet.num_gpus, fleet.verified, strict=True)
        ]
        members = {
            segment: np.array([s == segment for s in of_machine]) for segment in SEGMENTS if segment in of_machine
        }
        out = {(segment, side): np.zeros(len(times), dtype=STATS_DTYPE) for segment in members for side in SIDES}
        for where, part, activity, order in self._ordered(model, times):
            cents = np.take_along_axis(activity.cents, order, axis=1)
            gpus = np.take_along_axis(activity.present * part.num_gpus, order, axis=1)
            rented = np.take_along_axis(activity.rented, order, axis=1)
            sides: dict[Side, Ints] = {"rented": rented, "available": gpus - rented, "all": gpus}
            for segment, member in members.items():
                for side, weights in sides.items():
                    out[segment, side][where] = weighted_stats(cents, weights * member[order])
        return out

    def history(
        self, start: datetime, end: datetime, step: timedelta
    ) -> Iterator[tuple[datetime, dict[str, dict[Series, np.void]]]]:
        """All models at ``start``, ``start + step``, … before ``end``.

        Yields the instant and, by model and series, one record of count, median, p10 and p90.
        A model that is not listed at an instant is left out there. For whole columns
        :meth:`history_stats` is much faster.
        """
        seconds = int(step.total_seconds())
        if seconds < 1:
            raise ValueError("the step of a history is at least one second")
        times = np.arange(epoch(start), epoch(end), seconds, dtype=np.int64)
        for first in range(0, len(times), 256):
            block = times[first : first + 256]
            columns = {model: self.history_stats(model, block) for model in self._rows}
            for i, at in enumerate(block):
                yield (
                    datetime.fromtimestamp(int(at), UTC),
                    {
                        model: {series: column[i] for series, column in series_columns.items()}
                        for model, series_columns in columns.items()
                        if series_columns["all", "all"]["count"][i]
                    },
                )

    def _ordered(self, model: str, times: Ints) -> Iterator[tuple[slice, Fleet, Activity, NDArray[np.intp]]]:
        """A model's activity in blocks of instants, with the order of machines by price."""
        fleet = self._fleet.part(self._rows[model])
        times = np.asarray(times, dtype=np.int64)
        size = max(1, _CHUNK_CELLS // len(fleet))
        for first in range(0, len(times), size):
            where = slice(first, min(first + size, len(times)))
            activity = self._activity(fleet, times[where])
            yield where, fleet, activity, np.argsort(activity.cents, axis=1, kind="stable")

    def _activity(self, fleet: Fleet, times: Ints) -> Activity:
        t = times[:, None]
        present = self._present(fleet, t)
        cents = self._cents(fleet, t)
        reluctance = np.zeros(1)
        for period, weight in _RENT_OCTAVES:
            stream = fleet.rent_key + np.uint64(period)
            # Each machine has lattice points of its own: they must not all turn at once.
            position = (t + fleet.reprice_phase) / period
            reluctance = reluctance + value_noise(stream, position) * (weight / _RENT_SCALE)
        reluctance = reluctance * _NOISE_WEIGHT + fleet.reluctance * PRICE_WEIGHT
        models, column = np.unique(fleet.model, return_inverse=True)
        excess = self._demand(models, t)[:, column] - reluctance
        # A machine without width is rented whole; the floor only avoids a division by zero.
        filled = np.clip(0.5 + excess / np.maximum(fleet.width, 1e-9), 0.0, 1.0)
        chunks = np.floor(filled * (fleet.num_gpus // fleet.min_chunk) + 0.5).astype(np.int64)
        return Activity(present, cents, chunks * fleet.min_chunk * present)

    @staticmethod
    def _present(fleet: Fleet, t: Ints) -> NDArray[np.bool_]:
        listed = value_noise(fleet.presence_key, t / fleet.presence_period) > _PRESENT_ABOVE
        offline = lattice(fleet.rent_key, t // _OFFLINE_SPELL) < _OFFLINE_BELOW
        cycle = np.maximum(fleet.cycle, 1)
        in_cycle = (fleet.cycle == 0) | (t % cycle < fleet.cycle_on)
        stays = fleet.permanent & (fleet.starts < 0) & (fleet.ends > 2**61)
        here = (listed | fleet.permanent) & (~offline | stays)
        present: NDArray[np.bool_] = here & in_cycle & (t >= fleet.starts) & (t < fleet.ends)
        return present

    def _cents(self, fleet: Fleet, t: Ints) -> Ints:
        step = (t + fleet.reprice_phase) // fleet.reprice_period
        repriced_hour = (step * fleet.reprice_period - fleet.reprice_phase) // HOUR
        models, column = np.unique(fleet.model, return_inverse=True)
        first = (int(t.min()) - LONGEST_REPRICE) // HOUR - 1
        hours = np.arange(first, int(t.max()) // HOUR + 1, dtype=np.int64)
        level = self._level(models, hours[:, None])[repriced_hour - first, column]
        taste = lattice(fleet.rent_key ^ np.uint64(0x5A5A), step)
        usd = fleet.usd * level * (1.0 + 0.03 * taste)
        cents: Ints = np.maximum(np.floor(usd * 100.0).astype(np.int64), 1)
        return cents

    def _slow_demand(self, models: Ints, t: Ints) -> Floats:
        """Swings of demand over weeks: the whole market's and the model's. Shape (T, K)."""
        own = value_noise(self._demand_keys[models], t / (11 * DAY))
        return 0.22 * value_noise(self._market_key, t / (16 * DAY)) + 0.24 * own

    def _demand(self, models: Ints, t: Ints) -> Floats:
        """Demand as a normal deviate: its normal probability is about the rented share."""
        hour = (t % DAY) / HOUR
        day = ((t - _MONDAY) % (7 * DAY)) / DAY
        rhythm = np.interp(hour, _DAY_HOURS, _DAY_DEMAND) + np.interp(day, _WEEK_DAYS, _WEEK_DEMAND)
        quick = value_noise(self._demand_keys[models] + np.uint64(1), t / (19 * HOUR))
        base = self._base_demand[models]
        demand: Floats = base + rhythm + self._slow_demand(models, t) + 0.12 * quick
        return demand

    def _level(self, models: Ints, hours: Ints) -> Floats:
        """Price level relative to the anchor's mean, by hour. Shape (H, K)."""
        t = hours * HOUR
        years = np.clip((t - self.calibration.anchor_epoch) / (365.25 * DAY), -2.0, 2.0)
        swing = 0.10 * self._slow_demand(models, t)
        for period, weight in _LEVEL_OCTAVES:
            stream = self._level_keys[models] + np.uint64(period)
            swing = swing + weight * value_noise(stream, t / period)
        return (1.0 + self._drift[models] * years) * (1.0 + swing + swing * swing / 2)
