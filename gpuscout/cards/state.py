"""The whole state of a price card, packed into the custom ids of its components.

A card must work after a restart and in a process that never saw it, so nothing about it is kept in memory: a
click carries who owns the card, what it shows and what to do. Discord allows 100 characters for that.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gpuscout.market.models import SEGMENTS, Verification
from gpuscout.market.ports import RANGES

VERSION: Final = 1
CUSTOM_ID_LIMIT: Final = 100
DEFAULT_RANGE: Final = "7d"

_SEPARATOR = "|"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[a-z0-9][a-z0-9._+-]*")
_DIGEST_LENGTH = 12
# Longest words kept as they are; a longer one becomes a digest. The sum of all parts stays under 100 characters.
_LONGEST = {"gpu": 26, "platform": 16, "region": 16}
_VERIFICATIONS: dict[str, str] = {"a": Verification.ANY, "v": Verification.VERIFIED, "u": Verification.UNVERIFIED}
_VERIFICATION_CODES = {name: code for code, name in _VERIFICATIONS.items()}


class BadState(ValueError):
    """A custom id that this version did not write: of an older card, or forged."""


class PriceAction(StrEnum):
    """What a component of the price card does."""

    REFRESH = "refresh"
    DATA = "data"
    SEGMENT = "segment"
    RANGE = "range"
    EXPORT = "export"
    HOLD = "hold"
    """Puts the model into the portfolio of whoever clicks."""
    ALERT = "alert"
    """Makes an alert on the model, for whoever clicks."""
    OPEN = "open"
    """Always a new card, for whoever clicked alone: on cards that list several models."""


@dataclass(frozen=True, slots=True)
class PriceState:
    """What a price card shows and whose it is.

    ``owner`` is a Discord user id, 0 for nobody's. ``platform`` and ``region`` are slugs as the view resolved them.
    """

    owner: int
    gpu: str
    platform: str
    region: str
    range: str = DEFAULT_RANGE
    verification: str = Verification.ANY.value
    segment: str = SEGMENTS[0]

    def owned_by(self, user: int) -> PriceState:
        """The same card for somebody else."""
        return replace(self, owner=user)

    def over(self, range_: str) -> PriceState:
        """The same card over another range."""
        return replace(self, range=range_)

    def choosing(self, choice: str) -> PriceState:
        """The same card for the series that a select value names.

        Raises:
            BadState: *choice* is no value that :func:`choice_value` makes.
        """
        verification, _, segment = choice.partition("/")
        if verification not in _VERIFICATION_CODES or segment not in SEGMENTS:
            raise BadState("unknown segment")
        return replace(self, verification=verification, segment=segment)


def choice_value(verification: str, segment: str) -> str:
    """Value of the segment select for a series."""
    return f"{verification}/{segment}"


def pack(state: PriceState, action: PriceAction, target: str = "") -> str:
    """The custom id of a component that does *action* on the card *state*; *target* is the range of a range button."""
    parts = (
        f"price{VERSION}",
        action.value + (f".{target}" if target else ""),
        to_base36(state.owner),
        _word(state.gpu, _LONGEST["gpu"]),
        _word(state.platform, _LONGEST["platform"]),
        _word(state.region, _LONGEST["region"]),
        state.range,
        f"{_VERIFICATION_CODES[state.verification]}{SEGMENTS.index(state.segment)}",
    )
    return _SEPARATOR.join(parts)


@dataclass(frozen=True, slots=True)
class Packed:
    """A parsed custom id. Long slugs may still be digests: :meth:`open` finds them among the known ones."""

    action: PriceAction
    target: str
    state: PriceState

    def open(self, gpus: Iterable[str], platforms: Iterable[str], regions: Iterable[str]) -> PriceState:
        """The state with its digests replaced by the slugs they stand for.

        Raises:
            BadState: a digest stands for nothing known any more.
        """
        return replace(
            self.state,
            gpu=_undigest(self.state.gpu, gpus),
            platform=_undigest(self.state.platform, platforms),
            region=_undigest(self.state.region, regions),
        )

    @property
    def closed(self) -> bool:
        """Whether :meth:`open` is needed."""
        return any(word.startswith("~") for word in (self.state.gpu, self.state.platform, self.state.region))


def unpack(custom_id: str) -> Packed:
    """Read a custom id back, trusting nothing in it.

    Raises:
        BadState: with the reason; the card is of another version, or the id was forged.
    """
    parts = custom_id.split(_SEPARATOR)
    if len(parts) != 8 or parts[0] != f"price{VERSION}":
        raise BadState("another version")
    _, act, owner, gpu, platform, region, range_, series = parts
    name, _, target = act.partition(".")
    try:
        action = PriceAction(name)
    except ValueError:
        raise BadState("unknown action") from None
    if (action is PriceAction.RANGE) != (target in RANGES) or range_ not in RANGES:
        raise BadState("unknown range")
    owner_id = from_base36(owner)
    for word in (gpu, platform, region):
        if not _WORD.fullmatch(word.removeprefix("~")):
            raise BadState("not a slug")
    if not re.fullmatch(r"[avu][0-9]", series) or int(series[1]) >= len(SEGMENTS):
        raise BadState("unknown segment")
    state = PriceState(
        owner=owner_id,
        gpu=gpu,
        platform=platform,
        region=region,
        range=range_,
        verification=_VERIFICATIONS[series[0]],
        segment=SEGMENTS[int(series[1])],
    )
    return Packed(action, target, state)


def to_base36(number: int) -> str:
    """A Discord id in at most 13 characters."""
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"


def from_base36(text: str) -> int:
    """The id that :func:`to_base36` wrote.

    Raises:
        BadState: *text* is none.
    """
    if not re.fullmatch(r"[0-9a-z]{1,13}", text):
        raise BadState("no owner")
    return int(text, 36)


def _digest(word: str) -> str:
    return b32encode(hashlib.blake2b(word.encode(), digest_size=8).digest()).decode().lower()[:_DIGEST_LENGTH]


def _word(word: str, longest: int) -> str:
    if len(word) <= longest and _WORD.fullmatch(word):
        return word
    return "~" + _digest(word)


def _undigest(word: str, known: Iterable[str]) -> str:
    if not word.startswith("~"):
        return word
    for candidate in known:
        if _digest(candidate) == word[1:]:
            return candidate
    raise BadState("the model is not known any more")
