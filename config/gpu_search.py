"""Search over a few hundred names in memory, quick enough for every key press.

Generic over what is found, so that GPU models and platforms share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from config.gpu_names import (
    VENDOR_WORDS,
    bigrams,
    closeness,
    key,
    word_prefixes,
    words_of,
)

T = TypeVar("T")

_LONGEST_QUERY = 64
_WORTH_MEASURING = 12
_MIN_LIKENESS = 0.3
_MIN_CLOSENESS = 0.55


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One findable thing with what is compared, prepared once; `order` is unique in an index."""

    item: T
    blob: str
    words: tuple[str, ...]
    spellings: tuple[tuple[str, frozenset[str]], ...]
    popularity: float
    order: int

    @classmethod
    def of(cls, item: T, spellings: Sequence[str], popularity: int | None, order: int) -> Entry[T]:
        """Prepare ``item``, found by any of ``spellings``; the first is its name."""
        keys = tuple(dict.fromkeys(k for k in map(key, spellings) if k))
        words = tuple(dict.fromkeys(word for spelling in spellings for word in words_of(spelling)))
        rank = float("inf") if popularity is None else float(popularity)
        return cls(item, "\n".join(("", *keys, "")), words, tuple((k, bigrams(k)) for k in keys), rank, order)

    def grade(self, query: str, query_words: Sequence[str]) -> int | None:
        """How well the query fits: 0 whole, 1 beginning, 2 words, 3 part; None not at all."""
        if not query:
            return None
        # One substring search through all spellings is quicker than a loop over them.
        if query in self.blob:
            if f"\n{query}\n" in self.blob:
                return 0
            if f"\n{query}" in self.blob:
                return 1
            return 2 if word_prefixes(query_words, self.words) else 3
        return 2 if word_prefixes(query_words, self.words) else None


class SearchIndex(Generic[T]):
    """Entries that can be searched by what someone types."""

    def __init__(self, entries: Iterable[Entry[T]]) -> None:
        self._entries = tuple(entries)
        self._spellings = [(entry, k, grams) for entry in self._entries for k, grams in entry.spellings]
        self._postings: dict[str, list[int]] = {}
        for position, (_, _, grams) in enumerate(self._spellings):
            for gram in grams:
                self._postings.setdefault(gram, []).append(position)

    def search(self, query: str, limit: int, *, popular_first: bool = True, extra: Sequence[Entry[T]] = ()) -> list[T]:
        """Best matches first; the nearest spellings when nothing matches; all for no query."""
        if limit <= 0:
            return []

        def tie(entry: Entry[T]) -> tuple[float, int]:
            return (entry.popularity if popular_first else 0.0, entry.order)

        typed = words_of(query[:_LONGEST_QUERY])
        telling = [word for word in typed if word not in VENDOR_WORDS]
        entries = (*self._entries, *extra)
        for words in (typed, telling) if telling != typed else (typed,):
            wanted = "".join(words)
            graded = [(grade, *tie(e), e) for e in entries if (grade := e.grade(wanted, words)) is not None]
            if graded:
                graded.sort(key=lambda row: row[:3])
                return [row[3].item for row in graded[:limit]]
        if not telling:
            # Nothing typed yet, or nothing but markup or a vendor's name.
            return [entry.item for entry in sorted(entries, key=tie)[:limit]]
        return self._nearest("".join(telling), limit, extra)

    def nearest(self, text: str, limit: int) -> list[T]:
        """Entries spelled almost like ``text``, nearest first."""
        words = words_of(text[:_LONGEST_QUERY])
        wanted = "".join([word for word in words if word not in VENDOR_WORDS] or words)
        return self._nearest(wanted, limit, ()) if wanted and limit > 0 else []

    def _nearest(self, wanted: str, limit: int, extra: Sequence[Entry[T]]) -> list[T]:
        """Shared bigrams choose the candidates, edit distance orders them."""
        grams = bigrams(wanted)
        shared = Counter(position for gram in grams for position in self._postings.get(gram, ()))
        found = [(count, *self._spellings[position]) for position, count in shared.items()]
        found += [(len(grams & g), entry, k, g) for entry in extra for k, g in entry.spellings]
        best: dict[int, tuple[float, str, Entry[T]]] = {}
        for count, entry, spelling, its in found:
            likeness = 2 * count / (len(grams) + len(its))  # Dice coefficient
            if likeness >= _MIN_LIKENESS and likeness > best.get(entry.order, (0.0,))[0]:
                best[entry.order] = (likeness, spelling, entry)
        rough = sorted(best.values(), key=lambda row: (-row[0], row[2].popularity, row[2].order))
        exact = [(closeness(wanted, spelling), entry) for _, spelling, entry in rough[:_WORTH_MEASURING]]
        exact = [row for row in exact if row[0] >= _MIN_CLOSENESS]
        exact.sort(key=lambda row: (-row[0], row[1].popularity, row[1].order))
        return [entry.item for _, entry in exact[:limit]]
