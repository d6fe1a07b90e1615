"""A rig, and the members who may have it."""

from __future__ import annotations

from typing import Any

from gpuscout.portfolio.models import HoldingDraft

ANN, BEN = 11, 22


def draft(**values: Any) -> HoldingDraft:
    """Eight RTX 4090 on Vast.ai, with changes."""
    rig: dict[str, Any] = {"gpu": "rtx-4090", "quantity": 8, "platform": "vast", "asked_price": 0.35}
    return HoldingDraft(**(rig | values))
