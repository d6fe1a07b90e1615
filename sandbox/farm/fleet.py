"""The machines of the simulated market: who they are, not what they do at a given time."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import pairwise
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sandbox.farm.calibration import Calibration, ModelCalibration
from sandbox.farm.noise import Floats, Ints, Keys, key

DAY = 86_400
HOUR = 3_600
ALWAYS = np.int64(2**62)
#: The longest time a host leaves a price alone, in seconds.
LONGEST_REPRICE = 160 * HOUR
_GROWTH_FROM = int(datetime(2024, 7, 1, tzinfo=UTC).timestamp())
_GROWTH_TO = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
_ARRIVAL = 180 * DAY
_NORMAL = NormalDist()
_NEVER = 100.0  # a reluctance beyond any demand


@dataclass(frozen=True, slots=True)
class Fleet:
    """One row a machine; all arrays share the length. Times are epoch seconds."""

    model: Ints
    """Index into the model table."""
    num_gpus: Ints
    min_chunk: Ints
    """GPUs that are rented together at least."""
    verified: NDArray[np.bool_]
    datacenter: NDArray[np.bool_]
    usd: Floats
    """USD per GPU-hour at the anchor, when the model's level is 1."""
    reluctance: Floats
    """How expensive the machine is among its kind, as a normal deviate."""
    width: Floats
    """Range of demand over which the machine fills chunk by chunk."""
    vram: Ints
    dlperf: Floats
    tflops: Floats
    starts: Ints
    ends: Ints
    permanent: NDArray[np.bool_]
    presence_key: Keys
    presence_period: Floats
    reprice_period: Ints
    reprice_phase: Ints
    rent_key: Keys
    cycle: Ints
    """Length of the model's cycle of coming and going, 0 for none."""
    cycle_on: Ints
    """Seconds of each cycle in which the model is listed."""

    def __len__(self) -> int:
        return len(self.model)

    def part(self, rows: slice) -> Self:
        """The machines of a slice."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class _Machine:
    """The row before it goes into the arrays; field names are those of :class:`Fleet`."""

    model: int
    num_gpus: int
    min_chunk: int
    verified: bool
    datacenter: bool
    usd: float
    reluctance: float
    width: float
    vram: int
    dlperf: float
    tflops: float
    starts: int
    ends: int
    permanent: bool
    presence_key: int
    presence_period: float
    reprice_period: int
    reprice_phase: int
    rent_key: int
    cycle: int
    cycle_on: int


_DTYPES: dict[str, type[np.generic]] = {
    "int": np.int64,
    "bool": np.bool_,
    "float": np.float64,
}


def build_fleet(seed: int, calibration: Calibration) -> tuple[Fleet, dict[str, slice]]:
    """All machines, and which rows belong to each model. The same seed gives the same fleet."""
    machines: list[_Machine] = []
    rows: dict[str, slice] = {}
    for index, (name, model) in enumerate(calibration.models.items()):
        first = len(machines)
        machines.extend(_model_machines(seed, index, name, model, calibration))
        rows[name] = slice(first, len(machines))
    columns = []
    for field in fields(_Machine):
        dtype = np.uint64 if field.name.endswith("_key") else _DTYPES[str(field.type)]
        columns.append(np.array([getattr(m, field.name) for m in machines], dtype=dtype))
    return Fleet(*columns), rows


def _model_machines(
    seed: int, index: int, name: str, model: ModelCalibration, calibration: Calibration
) -> Iterator[_Machine]:
    rng = random.Random(key(seed, name, "fleet"))
    sizes = _sizes(rng, model, calibration)
    datacenter = _shares(sizes, model.datacenter, large_first=True)
    verified = _shares(sizes, model.verified, prefer=datacenter)
    quantiles = _quantiles(rng, sizes, verified, datacenter)
    absurd = set(rng.sample([i for i, size in enumerate(sizes) if size <= 2], model.absurd))
    host = 0
    for i, size in enumerate(sizes):
        # A third of the larger nodes share a host with the node before: they come and go together.
        if not (size >= 8 and i and sizes[i - 1] >= 8 and rng.random() < 1 / 3):
            host = i
        at_host = random.Random(key(seed, name, "host", host))
        starts, ends = _lifetime(rng, model)
        automatic = rng.random() < 0.25
        period = rng.randrange(600, 2 * HOUR) if automatic else rng.randrange(12 * HOUR, 160 * HOUR)
        whole = size == 1 or rng.random() < 0.35
        usd = _price(model, quantiles[i]) * (rng.uniform(13, 17) if i in absurd else 1)
        yield _Machine(
            model=index,
            num_gpus=size,
            min_chunk=size if whole else rng.choice([d for d in (1, 2, 4) if size % d == 0]),
            verified=verified[i],
            datacenter=datacenter[i],
            usd=usd,
            reluctance=_NEVER if i in absurd else _NORMAL.inv_cdf(quantiles[i]),
            width=0.0 if whole else rng.uniform(0.3, 1.0),
            vram=model.vram_other if model.vram_other and rng.random() < 0.06 else model.vram,
            dlperf=model.dlperf * rng.uniform(0.92, 1.02),
            tflops=model.tflops * rng.uniform(0.98, 1.0),
            starts=starts,
            ends=ends,
            permanent=model.permanent or at_host.random() < 0.6,
            presence_key=key(seed, name, "presence", host),
            presence_period=at_host.uniform(3, 30) * DAY,
            reprice_period=period,
            reprice_phase=rng.randrange(period),
            rent_key=key(seed, name, "rent", i),
            cycle=int((model.cycle_hours or 0) * HOUR),
            cycle_on=int((model.cycle_hours or 0) * HOUR * (model.cycle_share or 0)),
        )


def _sizes(rng: random.Random, model: ModelCalibration, calibration: Calibration) -> list[int]:
    """GPUs of each machine: the mix of the profile, apportioned by largest remainder."""
    if model.sizes is not None:
        return list(model.sizes)
    if model.profile is None or model.machines is None:  # excluded by validation
        raise ValueError("a model needs sizes or a profile")
    mix = calibration.profiles[model.profile]
    total = sum(mix.values())
    ideal = {size: share * model.machines / total for size, share in mix.items()}
    count = {size: math.floor(value) for size, value in ideal.items()}
    by_remainder = sorted(mix, key=lambda size: ideal[size] - count[size], reverse=True)
    for size in by_remainder[: model.machines - sum(count.values())]:
        count[size] += 1
    sizes = [size for size, n in count.items() for _ in range(n)]
    rng.shuffle(sizes)
    return sizes


def _shares(
    sizes: list[int], share: float, *, large_first: bool = False, prefer: list[bool] | None = None
) -> list[bool]:
    """Marks machines until about ``share`` of all GPUs is marked, never far beyond it."""
    chosen = [False] * len(sizes)
    wanted = share * sum(sizes)
    order = list(range(len(sizes)))
    if large_first:
        order.sort(key=lambda i: -min(sizes[i], 8))
        # Some small machines stand in datacenters too: every fourth changes places.
        order[1::4] = reversed(order[1::4])
    if prefer is not None:
        order.sort(key=lambda i: not prefer[i])
        order[2::6] = reversed(order[2::6])
    for i in order:
        if sizes[i] / 2 <= wanted:
            chosen[i] = True
            wanted -= sizes[i]
    return chosen


def _quantiles(rng: random.Random, sizes: list[int], verified: list[bool], datacenter: list[bool]) -> list[float]:
    """Where each machine stands among the prices of its model, 0-1, spread evenly over GPUs.

    Verified machines and datacenters tend to ask more.
    """
    score = [rng.random() + 0.30 * v + 0.25 * d for v, d in zip(verified, datacenter, strict=True)]
    total, below = sum(sizes), 0
    quantiles = [0.5] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: score[i]):
        quantiles[i] = (below + sizes[i] / 2) / total
        below += sizes[i]
    return quantiles


def _price(model: ModelCalibration, quantile: float) -> float:
    """USD per GPU-hour at a quantile: log-linear between the calibrated figures.

    Half a cent is added because prices are truncated to a cent later.
    """
    knots = [
        (0.0, model.p10 * 0.85),
        (0.1, model.p10),
        (0.5, model.median),
        (0.9, model.p90),
        (1.0, model.p90 * 1.2),
    ]
    for (q0, p0), (q1, p1) in pairwise(knots):
        if quantile <= q1:
            low, high = p0 + 0.005, p1 + 0.005
            return float(low * (high / low) ** ((quantile - q0) / (q1 - q0)))
    raise ValueError(f"a quantile lies between 0 and 1, not at {quantile}")


def _lifetime(rng: random.Random, model: ModelCalibration) -> tuple[int, int]:
    """When the machine is first and last listed, epoch seconds."""
    starts, ends = -int(ALWAYS), int(ALWAYS)
    joins_or_leaves = rng.random() < abs(model.growth)
    when = rng.randrange(_GROWTH_FROM, _GROWTH_TO)
    if joins_or_leaves and model.growth > 0:
        starts = when
    elif joins_or_leaves:
        ends = when
    if model.since is not None:
        launch = int(model.since.timestamp())
        starts = max(starts, launch + int(_ARRIVAL * rng.random() ** 2))
    return starts, ends
