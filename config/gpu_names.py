"""Reading a GPU name as the outside world spells it.

Sources write one card in a dozen ways (``RTX_4090``, ``NVIDIA GeForce RTX 4090``,
``geforcertx4090-pcie-24gb``, ``gpu_8x_h100_sxm5``). The functions here reduce a
spelling to lookup keys and to a video memory size, and make a safe label of a name
that no catalogue entry knows. Keys are only ever compared whole: a substring match
would take an L40S for an L4.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator

MAX_LABEL = 64
"""Longest label and longest slug of an unknown name, in characters."""

VRAM_TOLERANCE = 0.07
"""Drivers report up to 7 % less than the size on the box (24564 MB is a 24 GB card)."""

_MAX_INPUT = 256
_MAX_VRAM_GB = 4096.0

# Sizes that are sold or modded; a measured size is named after the nearest one.
_MARKETED_GB = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 16, 20, 22, 24, 32, 40, 48, 64, 72, 80),
    *(94, 96, 128, 141, 144, 180, 186, 192, 256, 288, 384, 432, 512),
)

VENDOR_WORDS = frozenset(
    ["nvidia", "amd", "ati", "intel", "geforce", "tesla", "quadro", "instinct", "radeon", "grid", "corporation"]
)
_GLUED_VENDOR = re.compile(r"^(?:nvidia|geforce|tesla|quadro|instinct|radeon)(?=[a-z]*\d)")
_FILLER_WORDS = frozenset(
    [
        "gpu",
        "gpus",
        "graphics",
        "card",
        "generation",
        "gen",
        "edition",
        "hbm2",
        "hbm2e",
        "hbm3",
        "hbm3e",
        "gddr6",
        "gddr6x",
        "gddr7",
    ]
)
_COUNT_WORD = re.compile(r"\d{1,3}x|x\d{1,3}")
_VRAM_WORD = re.compile(r"(\d{1,4})(?:gb|gib|g)")
_VRAM_UNITS = frozenset({"gb", "gib", "g"})
_PCIE_ONLY = re.compile(r"^(?:rtx|gtx|\d{4})")

_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_TAG = re.compile(r"<[^<>]*>")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://\S*", re.IGNORECASE)
_MASS_MENTION = re.compile(r"@(?:everyone|here)\b", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """Lower-case runs of letters and digits; everything else separates."""
    folded = unicodedata.normalize("NFKC", text[:_MAX_INPUT]).casefold()
    return "".join(ch if ch.isalnum() else " " for ch in folded).split()


def key(text: str) -> str:
    """``text`` with case and separators folded away: ``"RTX_4090 Ti"`` → ``"rtx4090ti"``."""
    return "".join(words_of(text))


def _split_vram(words: list[str]) -> tuple[list[str], float | None]:
    """Take ``24gb`` or ``24 gb`` out of the words; return the rest and the size in GB."""
    rest: list[str] = []
    size: float | None = None
    skip = False
    for position, word in enumerate(words):
        if skip:
            skip = False
            continue
        following = words[position + 1] if position + 1 < len(words) else ""
        if match := _VRAM_WORD.fullmatch(word):
            size = float(match[1])
        elif word.isascii() and word.isdigit() and len(word) <= 4 and following in _VRAM_UNITS:
            size, skip = float(word), True
        else:
            rest.append(word)
    return rest, size


def lookup_keys(name: str) -> Iterator[tuple[str, float | None]]:
    """Keys to try for ``name``, most literal first, each with the VRAM it set aside.

    The second item is the size in GB that was read out of the name and is therefore no
    longer part of the key, or None when nothing was set aside.
    """
    words = words_of(name)
    seen: set[str] = set()

    def fresh(candidate: list[str]) -> str | None:
        joined = "".join(candidate)
        if not joined or joined in seen:
            return None
        seen.add(joined)
        return joined

    if found := fresh(words):
        yield found, None
    if words and words[0] == "gpu" and len(words) > 2 and _COUNT_WORD.fullmatch(words[1]):
        words = words[1:]
    words = [word for word in words if not _COUNT_WORD.fullmatch(word)] or words
    if words:
        words = [_GLUED_VENDOR.sub("", words[0]) or words[0], *words[1:]]
    words = [word for word in words if word not in VENDOR_WORDS] or words
    if len(words) > 1 and words[0] == "q":  # Vast.ai's short form of Quadro
        words = words[1:]
    if found := fresh(words):
        yield found, None
    words = [word for word in words if word not in _FILLER_WORDS] or words
    if found := fresh(words):
        yield found, None
    words, size = _split_vram(words)
    if found := fresh(words):
        yield found, size
    # A GeForce or Quadro card has no other bus, so the word says nothing.
    if _PCIE_ONLY.match("".join(words)) and (found := fresh([word for word in words if word != "pcie"])):
        yield found, size


def usable_vram(vram_gb: float | None) -> float | None:
    """``vram_gb`` when it can be a card's memory size in GB, else None."""
    if vram_gb is None or not math.isfinite(vram_gb) or not 0 < vram_gb <= _MAX_VRAM_GB:
        return None
    return float(vram_gb)


def same_vram(measured_gb: float, marketed_gb: float) -> bool:
    """Whether a measured size is the marketed one within `VRAM_TOLERANCE`."""
    return abs(measured_gb - marketed_gb) <= VRAM_TOLERANCE * marketed_gb


def marketing_gb(vram_gb: float) -> int:
    """The size on the box nearest to a measured one, in GB: 23.99 → 24, 140.4 → 141."""
    nearest = min(_MARKETED_GB, key=lambda size: abs(size - vram_gb))
    return nearest if same_vram(vram_gb, nearest) else max(1, round(vram_gb))


def vram_from_mb(vram_mb: float) -> int:
    """The size on the box in GB of a size that a driver reports in MiB: 24564 → 24."""
    return marketing_gb(vram_mb / 1024)


def _printable(text: str) -> str:
    """Letters, digits and harmless punctuation only; no markup, mention, link or control."""
    kept: list[str] = []
    for ch in text:
        category = unicodedata.category(ch)
        if category[0] in "LN" or ch in "+-()":
            kept.append(ch)
        elif ch == "." or category[0] in "ZP" or ch in "\t\r\n":
            kept.append("." if ch == "." else " ")
        # Controls, format characters, surrogates, combining marks and symbols vanish.
    spaced = re.sub(r"(?<!\d)\.|\.(?!\d)", " ", "".join(kept))
    return " ".join(spaced.split())


def clean_label(name: str) -> str:
    """A name from outside as plain text of 1 to `MAX_LABEL` characters, safe to show.

    Mentions, tags, links, markup, control and direction characters are gone. A name of
    which nothing is left becomes ``Unnamed GPU``.
    """
    text = unicodedata.normalize("NFKC", name[: 4 * _MAX_INPUT])
    for pattern in (_TERMINAL_CODE, _URL, _TAG, _MASS_MENTION):
        text = pattern.sub(" ", text)
    text = _printable(text)[:MAX_LABEL].strip(" +-.")
    # Unbalanced brackets are what is left of a cut-off or a masked link.
    if text.count("(") != text.count(")"):
        text = " ".join(re.sub(r"[()]", " ", text).split())
    return text or "Unnamed GPU"


def unknown_slug(name: str) -> str:
    """The stable slug of an unknown name: ``x-`` and what can be read of it.

    Two names share a slug only when they differ in nothing but case and the separators
    space, ``_`` and ``-``. Whenever more than that is lost, ``--`` and ten hex digits of
    the name's SHA-256 are appended; no other slug contains ``--``.
    """
    readable = "-".join(re.findall(r"[a-z0-9]+", clean_label(name).casefold()))
    plain = re.sub(r"[ _-]+", "-", name.casefold()).strip("-")
    if readable and readable == plain and len(readable) <= MAX_LABEL - 2:
        return f"x-{readable}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    stem = readable[: MAX_LABEL - 14].strip("-") or "unnamed"
    return f"x-{stem}--{digest}"


def closeness(left: str, right: str) -> float:
    """1 for equal keys down to 0, from the optimal string alignment distance.

    Counts insertion, deletion, substitution and the swap of two neighbours as one each.
    """
    if not left or not right:
        return 0.0
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, previous = previous, row
    return 1.0 - previous[-1] / max(len(left), len(right))


def bigrams(text: str) -> frozenset[str]:
    """Pairs of neighbouring characters, the first and last marked, for cheap likeness."""
    padded = f"^{text}$"
    return frozenset(padded[i : i + 2] for i in range(len(padded) - 1))


def word_prefixes(query: Iterable[str], words: Iterable[str]) -> bool:
    """Whether every query word begins some word of a name."""
    for part in query:
        for word in words:
            if word.startswith(part):
                break
        else:
            return False
    return True
