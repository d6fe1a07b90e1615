"""A question about payback, packed into the custom id of a button."""

from __future__ import annotations

import math
import re
from typing import Final

from gpuscout.cards.state import BadState
from gpuscout.portfolio.models import RoiQuestion

PREFIX: Final = "roi1|"
_LIMIT: Final = 100
_WORD = re.compile(r"[a-z0-9][a-z0-9._+-]{0,79}")


def pack(action: str, question: RoiQuestion) -> str | None:
    """The custom id of a button that does *action*; None where a long name leaves no room."""
    numbers = (question.cost, question.price, question.power_w, question.tariff, question.fee)
    # All digits: the button computes with them, and stores them. Nothing is rounded but what is shown.
    cells = ("" if number is None else f"{number:.15g}" for number in numbers)
    parts = (action, question.gpu, question.platform or "", str(question.quantity), *cells)
    packed = PREFIX + "|".join(parts)
    return packed if len(packed) <= _LIMIT else None


def unpack(custom_id: str) -> tuple[str, RoiQuestion]:
    """The action and the question; the domain checks the values.

    Raises:
        BadState: another version made it, or it was forged.
    """
    parts = custom_id.removeprefix(PREFIX).split("|")
    if not custom_id.startswith(PREFIX) or len(parts) != 9:
        raise BadState("another version")
    action, gpu, platform, quantity, *cells = parts
    if not _WORD.fullmatch(gpu) or (platform and not _WORD.fullmatch(platform)):
        raise BadState("no name")
    if not re.fullmatch(r"[0-9]{1,6}", quantity):
        raise BadState("no quantity")
    cost, price, power, tariff, fee = (_number(cell) for cell in cells)
    if cost is None:
        raise BadState("no cost")
    return action, RoiQuestion(
        gpu=gpu,
        cost=cost,
        quantity=int(quantity),
        platform=platform or None,
        price=price,
        power_w=power,
        tariff=tariff,
        fee=fee,
    )


def _number(cell: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        raise BadState("no number") from None
    if not math.isfinite(value):
        raise BadState("no number")
    return value
