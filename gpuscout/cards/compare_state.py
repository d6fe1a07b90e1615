"""The state of a comparison, packed into the custom ids of its components.

Six series do not fit into 100 characters by name, so each is a digest of nine, found again among the known series.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gpuscout.cards.state import BadState, from_base36, to_base36
from gpuscout.market.metrics import Metric
from gpuscout.market.models import SeriesKey
from gpuscout.market.ports import RANGES

PREFIX: Final = "compare1"
MAX_SERIES: Final = 6
"""Lines that a chart tells apart."""
DIGEST: Final = 9
"""Characters of five bits each: among 30,000 series two share one with a chance of 1 in 80,000."""

_METRICS: Final = {metric.value[0]: metric for metric in Metric}


class CompareAction(StrEnum):
    """What a component of the card does."""

    REFRESH = "refresh"
    DATA = "data"
    METRIC = "metric"
    RANGE = "range"
    OPEN = "open"
    """Always a new card, for whoever clicked alone."""


@dataclass(frozen=True, slots=True)
class CompareState:
    """Whose comparison it is (Discord user id), of what, by which figure, over which range."""

    owner: int
    keys: tuple[SeriesKey, ...]
    metric: Metric = Metric.PRICE
    range: str = "7d"

    def owned_by(self, user: int) -> CompareState:
        """The same comparison for somebody else."""
        return replace(self, owner=user)


@dataclass(frozen=True, slots=True)
class PackedComparison:
    """A parsed custom id; its series are still digests."""

    action: CompareAction
    target: str
    owner: int
    metric: Metric
    range: str
    digests: tuple[str, ...]

    def missing(self, known: Iterable[SeriesKey]) -> bool:
        """Whether a digest stands for none of the *known* series."""
        return bool(set(self.digests) - {digest(key) for key in known})

    def open(self, known: Iterable[SeriesKey]) -> CompareState:
        """The state, its digests replaced by the series they stand for.

        Raises:
            BadState: a digest stands for nothing known.
        """
        by_digest = {digest(key): key for key in known}
        try:
            keys = tuple(by_digest[word] for word in self.digests)
        except KeyError:
            raise BadState("the series is not known any more") from None
        return CompareState(self.owner, keys, self.metric, self.range)


def digest(key: SeriesKey) -> str:
    """Nine characters for a series."""
    texts = "|".join((key.platform, key.gpu, key.region, key.tier, key.verification, key.segment))
    return b32encode(hashlib.blake2b(texts.encode(), digest_size=8).digest()).decode().lower()[:DIGEST]


def pack(state: CompareState, action: CompareAction, target: str = "") -> str:
    """The custom id of a component that does *action*; *target* is the range of a range button."""
    return "|".join(
        (
            PREFIX,
            action.value + (f".{target}" if target else ""),
            to_base36(state.owner),
            state.metric.value[0],
            state.range,
            "".join(digest(key) for key in state.keys),
        )
    )


def unpack(custom_id: str) -> PackedComparison:
    """Read a custom id back, trusting nothing in it.

    Raises:
        BadState: with the reason; the card is of another version, or the id was forged.
    """
    parts = custom_id.split("|")
    if len(parts) != 6 or parts[0] != PREFIX:
        raise BadState("another version")
    _, act, owner, metric, range_, digests = parts
    name, _, target = act.partition(".")
    try:
        action = CompareAction(name)
    except ValueError:
        raise BadState("unknown action") from None
    if (action is CompareAction.RANGE) != (target in RANGES) or range_ not in RANGES:
        raise BadState("unknown range")
    if metric not in _METRICS:
        raise BadState("unknown figure")
    count, rest = divmod(len(digests), DIGEST)
    if rest or not 1 <= count <= MAX_SERIES or not re.fullmatch(r"[a-z2-7]+", digests):
        raise BadState("not a list of series")
    words = tuple(digests[i * DIGEST : (i + 1) * DIGEST] for i in range(count))
    return PackedComparison(action, target, from_base36(owner), _METRICS[metric], range_, words)
