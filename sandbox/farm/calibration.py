"""The table of models the simulated market is made from."""

from __future__ import annotations

import tomllib
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Usd = Annotated[float, Field(gt=0)]
MachineSize = Annotated[int, Field(ge=1, le=12)]


class ModelCalibration(BaseModel):
    """One GPU model. The fields are explained at the head of ``calibration.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p10: Usd
    median: Usd
    p90: Usd
    util: Annotated[float, Field(gt=0, lt=1)]
    verified: Share
    datacenter: Share
    vram: Annotated[int, Field(gt=0)]
    dlperf: Annotated[float, Field(gt=0)]
    tflops: Annotated[float, Field(gt=0)]
    machines: Annotated[int, Field(gt=0, le=250)] | None = None
    profile: str | None = None
    sizes: tuple[MachineSize, ...] | None = None
    vram_other: Annotated[int, Field(gt=0)] | None = None
    since: AwareDatetime | None = None
    growth: Annotated[float, Field(ge=-1, le=1)] = 0.0
    drift: Annotated[float, Field(ge=-0.3, le=0.3)] = 0.0
    absurd: Annotated[int, Field(ge=0)] = 0
    permanent: bool = False
    cycle_hours: Annotated[float, Field(gt=0)] | None = None
    cycle_share: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _fields_belong_together(self) -> Self:
        if not self.p10 <= self.median <= self.p90:
            raise ValueError("p10, median and p90 must rise")
        if (self.sizes is None) == (self.machines is None):
            raise ValueError("give either sizes or machines with a profile")
        if (self.machines is None) != (self.profile is None):
            raise ValueError("machines and profile go together")
        if (self.cycle_hours is None) != (self.cycle_share is None):
            raise ValueError("cycle_hours and cycle_share go together")
        return self


class Calibration(BaseModel):
    """The whole table: the instant its prices hold for, size mixes, and models by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchor: AwareDatetime
    profiles: dict[str, dict[MachineSize, Annotated[int, Field(gt=0)]]]
    models: dict[str, ModelCalibration]

    @model_validator(mode="after")
    def _profiles_exist(self) -> Self:
        for name, model in self.models.items():
            if model.profile is not None and model.profile not in self.profiles:
                raise ValueError(f"{name}: no size profile is called {model.profile!r}")
        return self

    @property
    def anchor_epoch(self) -> int:
        """The anchor as seconds since 1970."""
        return epoch(self.anchor)


def epoch(at: datetime) -> int:
    """Whole seconds since 1970 of an aware datetime.

    Raises ``ValueError`` for a naive one: its zone would be a guess.
    """
    if at.tzinfo is None:
        raise ValueError("the market needs a time with a zone, for example datetime.now(UTC)")
    return int(at.timestamp() // 1)


@cache
def load_calibration() -> Calibration:
    """The table that ships beside this module."""
    text = files(__package__).joinpath("calibration.toml").read_text(encoding="utf-8")
    return Calibration.model_validate(tomllib.loads(text))
