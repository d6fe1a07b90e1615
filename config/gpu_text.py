"""Finding the GPUs that a text written by people names: ``two 3090s and an RTX 4070 Ti SUPER``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from config.catalogue import GpuCatalogue, GpuModel
from config.gpu_names import VENDOR_WORDS, words_of

LONGEST_TEXT = 8_000
MOST_WORDS = 1_200
_LONGEST_NAME = 7
"""Words of the longest names people write: "NVIDIA RTX PRO 6000 Blackwell Max-Q 96GB"."""

_NOT_PROSE = re.compile(r"<[^<>\n]{1,200}>|\b[a-z][a-z0-9+.-]{1,15}://\S*", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_COUNT_BEFORE = re.compile(r"\d{1,3}[x×](?=[a-z0-9]*\d)", re.IGNORECASE)
_COUNT_BEHIND = re.compile(r"(?<=\d)[x×]\d{1,3}$", re.IGNORECASE)
_MONEY_BEFORE = re.compile(r"[$€£¥#.,]\s?$")
_UNIT_BEHIND = re.compile(
    r"[.,]\d|\s?(?:[$€£¥%°]|(?:usd|eur|gbp|dollars?|euros?|bucks|w|watts?|kwh|mhz|ghz|mb|gb|tb|gib|mib|hours?|hrs?"
    r"|days?|weeks?|months?|years?|people|members|p|fps|k|km|mi|miles|steps|tokens)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    joined: bool
    """Whether only a space, a hyphen or an underscore stands between it and the word before."""


class NamesInText:
    """Reads texts with one catalogue; made once."""

    def __init__(self, catalogue: GpuCatalogue) -> None:
        self._catalogue = catalogue
        spellings = (s for model in catalogue.models for s in (model.slug, model.name, *model.aliases))
        found = [words_of(spelling) for spelling in spellings]
        # A name begins with the first word of a spelling, or with all of it glued together.
        self._beginnings = VENDOR_WORDS | {w[0] for w in found if w} | {"".join(w) for w in found if w}

    def find(self, text: str, limit: int = 6) -> list[GpuModel]:
        """The models that *text* names, each once, in the order of the text, at most *limit*.

        The longest name at a place wins. A bare number such as 4090 counts unless it stands with a currency or a
        unit; an ``s`` behind it is a plural; ``8x``, ``x8`` and a memory size are understood.
        """
        prose = _NOT_PROSE.sub(" \n ", text[:LONGEST_TEXT])
        words = list(_words(prose))
        known: dict[str, GpuModel | None] = {}
        found: dict[str, GpuModel] = {}
        index = 0
        while index < len(words) and len(found) < limit:
            model, used = self._at(prose, words, index, known)
            if model is not None:
                found.setdefault(model.slug, model)
            index += used
        return list(found.values())

    def _at(
        self, prose: str, words: Sequence[_Word], index: int, known: dict[str, GpuModel | None]
    ) -> tuple[GpuModel | None, int]:
        """The model whose name begins at a word, and how many words it takes (1 for none)."""
        first = words[index]
        if self._plausible(first.text):
            end = index + 1
            while end < len(words) and words[end].joined and end - index < _LONGEST_NAME:
                end += 1
            for stop in range(end, index, -1):
                for name in _readings(words[index:stop]):
                    if name not in known:
                        known[name] = self._catalogue.resolve(name).model
                    if known[name] is not None and _is_meant(prose, words[index:stop]):
                        return known[name], stop - index
        return None, 1

    def _plausible(self, word: str) -> bool:
        folded = word.casefold()
        return folded in self._beginnings or folded.removesuffix("s") in self._beginnings


def _words(prose: str) -> Iterator[_Word]:
    """Words with glued counts taken off, at most :data:`MOST_WORDS`."""
    last = None
    for number, match in enumerate(_WORD.finditer(prose)):
        if number == MOST_WORDS:
            return
        joined = last is not None and re.fullmatch(r"[ \t\u00a0_-]{1,2}", prose[last : match.start()]) is not None
        last = match.end()
        text, start = match[0], match.start()
        if before := _COUNT_BEFORE.match(text):
            text, start, joined = text[before.end() :], start + before.end(), False
        text = _COUNT_BEHIND.sub("", text)
        yield _Word(text, start, start + len(text), joined)


def _readings(words: Sequence[_Word]) -> Iterator[str]:
    """What the words may spell: as they stand, or without a plural's ``s``. A number's lower-case ``s`` is a plural."""
    spelled = " ".join(word.text for word in words)
    last = words[-1].text
    plural = len(last) > 1 and last.endswith("s")
    if plural and last[:-1].isdigit():
        yield spelled[:-1]
        return
    yield spelled
    if plural:
        yield spelled[:-1]


def _is_meant(prose: str, words: Sequence[_Word]) -> bool:
    """Whether a spelling that the catalogue knows is a name here, and not a price, a size or two words by chance."""
    texts = [word.text for word in words]
    if len(texts) > 1:
        # "a 40 dollar card" is no A40, "10 80" no GTX 1080.
        return len(texts[0]) > 1 and not all(text.isdigit() for text in texts)
    if not texts[0].removesuffix("s").isdigit():
        return True
    before, behind = prose[max(0, words[0].start - 2) : words[0].start], prose[words[0].end : words[0].end + 12]
    return _MONEY_BEFORE.search(before) is None and _UNIT_BEHIND.match(behind) is None
