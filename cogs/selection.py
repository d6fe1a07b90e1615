"""Several things to compare in one line: ``RTX 4090 vast, RTX 5090`` or ``RTX 4090 verified, unverified``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from cogs.errors import Mention, NoName, Refusal, UnknownName
from cogs.options import SUGGESTIONS, find_gpu, listed_gpus
from cogs.services import Services
from config.i18n import Text
from gpuscout.cards.compare_state import MAX_SERIES
from gpuscout.market.models import ANY, Tier, Verification

LONGEST: Final = 600
"""Characters of a list that are read."""
SEPARATOR: Final = re.compile(r"\s*(?:[,;\n]|\b(?:vs|versus)\b\.?)\s*", re.IGNORECASE)

_TIERS: Final = {tier.value: tier.value for tier in Tier} | {"ondemand": Tier.ON_DEMAND.value}
_VERIFICATIONS: Final = {v.value: v.value for v in Verification} | {"all": ANY}


class TooMany(Refusal):
    """More than a chart can tell apart."""

    outcome = "bad_value"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("I compare at most {count} at once; leave some out.", count=MAX_SERIES)


@dataclass(frozen=True, slots=True)
class Selection:
    """One thing to compare. What is None is left to the market: the platform or tier with the largest sample."""

    gpu: str
    platform: str | None = None
    tier: str | None = None
    verification: str | None = None

    @property
    def plain(self) -> bool:
        """Whether only a model was named."""
        return self.tier is None and self.verification is None and self.platform is None


def split_items(text: str) -> list[str]:
    """The items of a list, without empty ones."""
    return [item for item in SEPARATOR.split(text[:LONGEST]) if item.strip()]


async def parse_selections(services: Services, text: str) -> tuple[Selection, ...]:
    """What *text* names, each once; an item without a model means that of the item before.

    Raises:
        NoName: no model is named.
        TooMany: more than six.
        UnknownName: an item, or a word of it, means nothing here.
    """
    items = split_items(text)
    found: list[Selection] = []
    gpu: str | None = None
    waiting: list[tuple[list[str], int]] = []
    for item in items:
        own, rest = await _model(services, item)
        if own is None and gpu is None:
            waiting.append((rest, len(found)))  # "vast, runpod RTX 4090": the model comes later
            continue
        gpu = own or gpu
        if gpu is not None:
            found += [_qualified(services, gpu, words) for words, _ in waiting]
            waiting.clear()
            found.append(_qualified(services, gpu, rest))
    if not found:
        raise NoName
    unique = tuple(dict.fromkeys(found))
    if len(unique) > MAX_SERIES:
        raise TooMany
    return unique


async def _model(services: Services, item: str) -> tuple[str | None, list[str]]:
    """The model an item begins with, and the words after it; None when all of it says where or which machines."""
    words = item.split()
    found, rest = services.gpus.parse_tail(item)
    if found is not None:
        return found.slug, rest
    names = {name.casefold(): slug for slug, name, _ in await listed_gpus(services)}
    for end in range(len(words), 0, -1):
        if slug := names.get(" ".join(words[:end]).casefold()):
            return slug, words[end:]
    if _understood(services, words):
        return None, words
    return await find_gpu(services, item), []


def _understood(services: Services, words: Sequence[str]) -> bool:
    try:
        _qualified(services, "", words)
    except UnknownName:
        return False
    return True


def _qualified(services: Services, gpu: str, words: Sequence[str]) -> Selection:
    """A model with the platform, tier and verification that *words* say, in any order.

    Raises:
        UnknownName: with the nearest spellings.
    """
    selection = Selection(gpu)
    index = 0
    while index < len(words):
        word = words[index].casefold()
        if word in _TIERS:
            selection = replace(selection, tier=_TIERS[word])
        elif word in _VERIFICATIONS:
            selection = replace(selection, verification=_VERIFICATIONS[word])
        else:
            for end in (2, 1):
                platform = services.platforms.resolve(" ".join(words[index : index + end]))
                if platform is not None and index + end <= len(words):
                    selection = replace(selection, platform=platform.slug)
                    index += end - 1
                    break
            else:
                text = " ".join(words[index:])
                near = [p.name for p in services.platforms.suggest(text, SUGGESTIONS)]
                raise UnknownName("platform", text, near)
        index += 1
    return selection
