"""The tiers and what each allows, read from ``config/plans.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Tier = Literal["free", "individual", "professional", "enterprise"]
TIERS: Final[tuple[Tier, ...]] = ("free", "individual", "professional", "enterprise")

Limited = Literal["alerts", "holdings", "webhooks"]

_FILE: Final = Path(__file__).resolve().parents[2] / "config" / "plans.toml"


class Plan(BaseModel):
    """One tier. A limit of None means: as much as wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Tier
    name: str
    alerts: int | None = Field(default=None, ge=0)
    holdings: int | None = Field(default=None, ge=0)
    webhooks: int | None = Field(default=None, ge=0)

    def limit(self, what: Limited) -> int | None:
        """How many of *what* the plan allows; None: as many as wanted."""
        found: int | None = getattr(self, what)
        return found


class Plans:
    """All plans, cheapest first."""

    def __init__(self, plans: Mapping[Tier, Plan]) -> None:
        self._plans = {tier: plans[tier] for tier in TIERS}

    @classmethod
    def load(cls, path: Path = _FILE) -> Plans:
        """Read the plans' file.

        Raises:
            ValueError: a tier is missing or a value is not understood.
        """
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        missing = [tier for tier in TIERS if tier not in data]
        if missing:
            raise ValueError(f"{path.name} lacks the plans {', '.join(missing)}")
        return cls({tier: Plan.model_validate({"tier": tier, **data[tier]}) for tier in TIERS})

    def __getitem__(self, tier: Tier) -> Plan:
        return self._plans[tier]

    def lifts(self, what: Limited, count: int) -> Plan | None:
        """The cheapest plan that allows *count* of *what*; None when none does."""
        for plan in self._plans.values():
            limit = plan.limit(what)
            if limit is None or limit >= count:
                return plan
        return None


@lru_cache(maxsize=1)
def default_plans() -> Plans:
    """The plans of ``config/plans.toml``."""
    return Plans.load()


class TierOf(Protocol):
    """Says which tier a member is on."""

    async def tier(self, member_id: int) -> Tier:
        """The member's tier."""
        ...


class EveryoneFree:
    """While nothing is sold, every member is on the free tier."""

    async def tier(self, member_id: int) -> Tier:
        """See :class:`TierOf`."""
        return "free"
