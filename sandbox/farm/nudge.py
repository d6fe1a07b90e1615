"""Moves of the simulated market on request: a model's prices or its rented share, for a while."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from sandbox.farm.market import ModelSnapshot, Snapshot
from sandbox.farm.noise import Ints


@dataclass(frozen=True, slots=True)
class Nudge:
    """One move.

    Attributes:
        model: as the exporter spells it.
        price: factor on every listed price of the model.
        rented: share of the model's GPUs that is rented, the cheapest first; None: as the market has it.
        until: wall time at which it ends.
    """

    model: str
    until: datetime
    price: float = 1.0
    rented: float | None = None

    def __post_init__(self) -> None:
        if not 0.01 <= self.price <= 100:
            raise ValueError("a price can be moved by a factor of 0.01 to 100")
        if self.rented is not None and not 0 <= self.rented <= 1:
            raise ValueError("a rented share lies between 0 and 1")


def nudge(model: str, wall: datetime, seconds: float, *, price: float = 1.0, rented: float | None = None) -> Nudge:
    """A move that begins at *wall* and lasts *seconds*."""
    return Nudge(model, wall + timedelta(seconds=seconds), price, rented)


def nudged(snapshot: Snapshot, nudges: Iterable[Nudge], wall: datetime) -> Snapshot:
    """The market with the moves that last at *wall*; of two of one model the later given one counts."""
    moves = {one.model: one for one in nudges if wall < one.until}
    if not moves:
        return snapshot
    models = tuple(_moved(model, moves[model.name]) if model.name in moves else model for model in snapshot.models)
    return Snapshot(snapshot.at, models)


def _moved(model: ModelSnapshot, move: Nudge) -> ModelSnapshot:
    cents: Ints = np.maximum(np.floor(model.cents * move.price).astype(np.int64), 1)
    rented = model.rented
    if move.rented is not None:
        # Machines are sorted by price; each is rented whole until the share is reached.
        wanted = round(int(model.num_gpus.sum()) * move.rented)
        before = np.concatenate([[0], np.cumsum(model.num_gpus)[:-1]])
        rented = np.clip(wanted - before, 0, model.num_gpus).astype(np.int64)
    return replace(model, cents=cents, rented=rented)
