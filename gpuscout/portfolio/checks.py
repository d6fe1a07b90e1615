"""What a holding may say. Whatever a member or a file gives passes here before anything is computed or stored."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import date
from typing import Any, Final

from config.catalogue import GpuCatalogue
from config.countries import COUNTRIES
from config.platforms import PlatformCatalogue
from gpuscout.market.models import GLOBAL, SEGMENTS, Tier, Verification
from gpuscout.portfolio.models import BadHolding, HoldingDraft, RoiQuestion

NAME_LENGTH: Final = 60
RANGES: Final[dict[str, tuple[float, float]]] = {
    "asked_price": (0.001, 1_000.0),
    "price": (0.001, 1_000.0),
    "power_w": (1.0, 3_000.0),
    "tariff": (0.0, 5.0),
    "fee": (0.0, 0.95),
    "purchase_price": (0.0, 100_000_000.0),
    "cost": (0.01, 100_000_000.0),
    "mining_usd_day": (0.0, 1_000.0),
}
"""Least and most that can be meant, both included; units as in :class:`HoldingDraft`."""
QUANTITY: Final = (1, 10_000)
EARLIEST_PURCHASE: Final = date(2000, 1, 1)
MACHINE_FIELDS: Final = frozenset(
    {"gpu", "quantity", "platform", "region", "tier", "verification", "segment", "asked_price"}
)
"""What a holding that follows a machine takes from the market."""
EDITABLE: Final = frozenset(field.name for field in fields(HoldingDraft)) - {"machine_id"}

_TIERS = frozenset(tier.value for tier in Tier)
_VERIFICATIONS = frozenset(verification.value for verification in Verification)


def check_draft(draft: HoldingDraft, gpus: GpuCatalogue, platforms: PlatformCatalogue, today: date) -> HoldingDraft:
    """The draft with its texts trimmed, if it can be.

    Raises:
        BadHolding: a value that cannot be.
    """
    check_gpu(draft.gpu, gpus)
    check_quantity(draft.quantity)
    if draft.platform is not None and platforms.get(draft.platform) is None:
        raise BadHolding("platform", draft.platform, "unknown")
    check_split(draft.region, draft.verification, draft.segment)
    if draft.tier not in _TIERS:
        raise BadHolding("tier", draft.tier, "unknown")
    for name in ("asked_price", "power_w", "tariff", "fee", "purchase_price", "mining_usd_day"):
        check_number(name, getattr(draft, name))
    if draft.purchased_on is not None:
        if draft.purchased_on > today:
            raise BadHolding("purchased_on", draft.purchased_on, "future")
        if draft.purchased_on < EARLIEST_PURCHASE:
            raise BadHolding("purchased_on", draft.purchased_on)
    if draft.machine_id is not None and not 0 < draft.machine_id < 1 << 53:
        raise BadHolding("machine_id", draft.machine_id)
    return replace(draft, name=clean_name(draft.name))


def check_question(question: RoiQuestion, gpus: GpuCatalogue, platforms: PlatformCatalogue) -> None:
    """Raises :class:`BadHolding` where the question cannot be meant."""
    check_gpu(question.gpu, gpus)
    check_quantity(question.quantity)
    if question.platform is not None and platforms.get(question.platform) is None:
        raise BadHolding("platform", question.platform, "unknown")
    check_split(question.region, question.verification, question.segment)
    for name in ("cost", "price", "power_w", "tariff", "fee"):
        check_number(name, getattr(question, name))


def check_gpu(slug: str, gpus: GpuCatalogue) -> None:
    """A model of the catalogue, or a name that the market uses and the catalogue does not know."""
    if gpus.get(slug) is None and not (slug.startswith("x-") and len(slug) <= 80):
        raise BadHolding("gpu", slug, "unknown")


def check_quantity(quantity: int) -> None:
    """A number of GPUs."""
    low, high = QUANTITY
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not low <= quantity <= high:
        raise BadHolding("quantity", quantity)


def check_split(region: str, verification: str, segment: str) -> None:
    """Region, verification and segment of a series."""
    if region != GLOBAL and region not in COUNTRIES:
        raise BadHolding("region", region, "unknown")
    if verification not in _VERIFICATIONS:
        raise BadHolding("verification", verification, "unknown")
    if segment not in SEGMENTS:
        raise BadHolding("segment", segment, "unknown")


def check_number(name: str, value: Any) -> None:
    """A number within :data:`RANGES`, or None."""
    if value is None:
        return
    low, high = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadHolding(name, value, "number")
    if not low <= value <= high:
        raise BadHolding(name, value)


def clean_name(name: str | None) -> str | None:
    """A name on one line, without characters that do not print; None when nothing is left.

    Raises:
        BadHolding: it is too long.
    """
    if name is None:
        return None
    plain = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    if len(plain) > NAME_LENGTH:
        raise BadHolding("name", plain, "long")
    return plain or None
