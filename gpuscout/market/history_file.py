"""Reading a history file row by row: CSV or JSON, an array or one object a line, gzipped or not.

Whatever the file is, a row comes out as one text a field of :data:`FIELDS`, in that order, with the line it begins on.
A row that cannot be read comes out as a :class:`BadRow`; only a file of which nothing can be read is an error.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "timestamp": ("time", "ts", "at", "as_of", "datetime", "date"),
    "platform": ("provider", "cloud", "marketplace"),
    "gpu": ("gpu_model", "model", "gpu_name", "accelerator"),
    "gpu_raw": ("gpu_source_name",),
    "vram_gb": ("vram", "memory_gb"),
    "region": ("location", "country"),
    "tier": ("offering", "pricing_type"),
    "verification": (),
    "segment": (),
    "price": ("price_usd", "price_median", "median", "usd_per_gpu_hour", "price_per_gpu_hour"),
    "spot_price": ("spot",),
    "price_p10": ("p10", "price_10th_percentile"),
    "price_p90": ("p90", "price_90th_percentile"),
    "rented_price": (),
    "available_price": (),
    "rented": ("rented_gpus",),
    "total": ("listed", "listed_gpus"),
    "utilization": ("utilisation",),
    "n_offers": ("offers",),
    "availability": (),
    "source": (),
}
"""Fields of a row, in the order in which a row holds them, with the other names that a column may have."""

TEMPLATE: Final = (
    "timestamp,platform,gpu,vram_gb,region,tier,price,spot_price,price_p10,price_p90,rented,total,source\n"
    "2026-03-11T04:17:38Z,vast,RTX 4090,24,global,on-demand,0.36,0.21,0.26,0.44,2402,4986,my-scraper\n"
    "2026-03-11T04:17:38Z,runpod,RTX 4090,,CA,community,0.34,,,,,,my-scraper\n"
    "2026-03-11T04:17:38Z,runpod,RTX 4090,,CA,secure,0.59,,,,,,my-scraper\n"
)
"""A file that loads; columns that are empty throughout can be left out."""

Cells = tuple[str, ...]
ROW_CHARS: Final = 2_000
_ALIASES: Final = {alias: name for name, others in FIELDS.items() for alias in (name, *others)}
_NAMES: Final = tuple(FIELDS)
_CHUNK: Final = 1 << 16
_LONGEST_ITEM: Final = 1 << 20


class HistoryFileError(Exception):
    """Nothing of the file can be read. The message says why, in a sentence with its name."""


class BadRow(NamedTuple):
    """A row that cannot be read."""

    reason: str
    text: str


@dataclass(slots=True)
class Position:
    """How far reading is: bytes of the file as it lies on the disk."""

    done: int = 0
    size: int = 0


def content_hash(path: Path) -> str:
    """SHA-256 of the file as it lies on the disk, in hex.

    Raises:
        HistoryFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HistoryFileError(f"{path.name} cannot be read: {error.strerror}") from error


def read_rows(path: Path, position: Position | None = None) -> Iterator[tuple[int, Cells | BadRow]]:
    """Rows of *path* with the line on which each begins (1 is the first of the file).

    Args:
        position: kept up to date while reading.

    Raises:
        HistoryFileError: it is not there, neither CSV nor JSON, lacks a column that every row needs, or ends in the
            middle of its compressed data.
    """
    at = position or Position()
    try:
        with path.open("rb") as raw:
            at.size = path.stat().st_size

            def moved() -> None:
                at.done = raw.tell()

            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            plain: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            # Bytes that are not UTF-8 stay recognisable, so that only their row is rejected.
            with io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
                yield from _rows(path, text, moved)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HistoryFileError(f"{path.name} is damaged: its compressed data end too early or are wrong") from error
    except OSError as error:
        raise HistoryFileError(f"{path.name} cannot be read: {error.strerror}") from error


def _rows(path: Path, text: io.TextIOWrapper, moved: Callable[[], None]) -> Iterator[tuple[int, Cells | BadRow]]:
    head = text.read(_CHUNK)
    first = head.lstrip()[:1]
    if not first:
        raise HistoryFileError(f"{path.name} is empty")
    text.seek(0)
    if first in "[{":
        items = _array_items(text) if first == "[" else _line_items(text)
        for number, (line, item) in enumerate(items):
            if not number % 1024:
                moved()
            yield line, item if isinstance(item, BadRow) else _cells_of(item)
    else:
        yield from _csv_rows(path, text, moved)
    moved()


# --- CSV ------------------------------------------------------------------------------------------------------------


def _csv_rows(path: Path, text: io.TextIOWrapper, moved: Callable[[], None]) -> Iterator[tuple[int, Cells | BadRow]]:
    lines = 0
    header = ""
    for header in text:
        lines += 1
        if header.strip() and not header.startswith("#"):
            break
    delimiter = max(",;\t", key=header.count)
    try:
        names = next(csv.reader([header], delimiter=delimiter))
    except csv.Error as error:
        raise HistoryFileError(f"{path.name} has no header line that can be read: {error}") from error
    pick = _picker(path, names)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        begins = lines + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, BadRow(f"is not CSV: {error}", "")
            continue
        if len(cells) == len(names):
            cells.append("")
            yield begins, pick(cells)
        elif cells:
            yield begins, BadRow("has more or fewer cells than the header", delimiter.join(cells)[:ROW_CHARS])
        if not begins % 1024:
            moved()


def _picker(path: Path, names: list[str]) -> Callable[[list[str]], Cells]:
    """What puts a row's cells into the order of :data:`FIELDS`; a missing column reads the empty cell at the end."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if (field := field_of(name)) is not None and field not in places:
            places[field] = place
    # The proper name of a field outranks its other names, wherever it stands.
    places.update((word, place) for place, name in enumerate(names) if (word := _word(name)) in FIELDS)
    missing = [name for name in ("timestamp", "platform", "gpu") if name not in places]
    if "gpu" in missing and "gpu_raw" in places:
        missing.remove("gpu")
    if "price" not in places and "spot_price" not in places:
        missing.append("price")
    if missing:
        raise HistoryFileError(
            f"{path.name} has no column for {', '.join(missing)}; print a template with: gpuscout backfill --template"
        )
    pick = itemgetter(*(places.get(name, -1) for name in _NAMES))
    return lambda cells: pick(cells)


def field_of(name: str) -> str | None:
    """The field that a column of this name holds, in any case and with any separators; None when it holds none."""
    return _ALIASES.get(_word(name))


def _word(name: str) -> str:
    return re.sub(r"[\s.-]+", "_", name.strip().lower())


# --- JSON -----------------------------------------------------------------------------------------------------------


def _line_items(text: io.TextIOWrapper) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, BadRow("is not a JSON object on one line", line.strip()[:ROW_CHARS])


def _array_items(text: io.TextIOWrapper) -> Iterator[tuple[int, Any]]:
    """Items of one array, read a piece at a time. What follows a broken item is lost, and said to be."""
    decode = json.JSONDecoder().raw_decode
    buffer, line, begun, more = "", 1, False, True
    while True:
        skipped = len(buffer) - len(buffer.lstrip(" \t\r\n," if begun else " \t\r\n["))
        if not begun and "[" in buffer[:skipped]:
            skipped, begun = buffer.index("[") + 1, True
            line, buffer = line + buffer.count("\n", 0, skipped), buffer[skipped:]
            continue
        line, buffer = line + buffer.count("\n", 0, skipped), buffer[skipped:]
        if buffer.startswith("]"):
            return
        try:
            # A number or word at the end of the buffer may go on in the next piece; objects close themselves.
            item, end = decode(buffer)
        except (ValueError, RecursionError):
            if not more or len(buffer) > _LONGEST_ITEM:
                yield line, BadRow("is not JSON; the array is not read any further", buffer[:ROW_CHARS])
                return
            piece = text.read(_CHUNK)
            more, buffer = bool(piece), buffer + piece
            continue
        yield line, item
        line, buffer = line + buffer.count("\n", 0, end), buffer[end:]


def _cells_of(item: Any) -> Cells | BadRow:
    if not isinstance(item, dict):
        return BadRow("is not a JSON object", json.dumps(item)[:ROW_CHARS])
    cells = dict.fromkeys(_NAMES, "")
    proper: set[str] = set()
    for name, value in item.items():
        field = field_of(name)
        if field is None or field in proper:
            continue
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                return BadRow(f"{field} is neither text nor a number", json.dumps(item)[:ROW_CHARS])
            cells[field] = str(value)
        if _word(name) == field:
            proper.add(field)
    return tuple(cells.values())
