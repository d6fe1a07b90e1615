"""Holdings as CSV: reading a member's file row by row, and writing one that can be read again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from config.catalogue import GpuCatalogue
from config.countries import country_code
from config.platforms import PlatformCatalogue
from gpuscout.market.csv_text import safe_cell
from gpuscout.market.models import ANY, GLOBAL, Tier
from gpuscout.portfolio.checks import check_draft
from gpuscout.portfolio.models import BadHolding, Holding, HoldingDraft

MAX_BYTES: Final = 256 * 1024
MAX_ROWS: Final = 500
MAX_CELL: Final = 200

COLUMNS: Final[Mapping[str, str]] = {
    "name": "name",
    "gpu": "gpu",
    "quantity": "quantity",
    "platform": "platform",
    "machine_id": "machine_id",
    "region": "region",
    "tier": "tier",
    "verification": "verification",
    "segment": "segment",
    "price_usd_gpu_hour": "asked_price",
    "power_w": "power_w",
    "electricity_usd_kwh": "tariff",
    "fee_percent": "fee",
    "purchase_usd": "purchase_price",
    "purchased_on": "purchased_on",
    "mining_usd_gpu_day": "mining_usd_day",
}
"""Columns of the file and the attributes they fill; only ``gpu`` has to be there (or ``machine_id``)."""

_UNDECIDED = frozenset({"", "undecided", "any"})
_UNCATALOGUED = re.compile(r"x-[a-z0-9][a-z0-9._+-]*")
"""Slugs of models that the market lists and the catalogue does not know: an exported file names them so."""
_GROUPED_ENGLISH = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_GROUPED_GERMAN = re.compile(r"\d{1,3}(?:\.\d{3})+,\d*")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:(?:\.\d{3})+|(?:,\d{3})+)")
"""Of a sum, as in the form: ``16.000`` and ``16,000`` are thousands, for nobody writes thousandths of a dollar."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was not understood. ``line`` counts from 1 as an editor does; ``field`` is empty for a whole row."""

    line: int
    field: str
    value: str
    problem: str


@dataclass(frozen=True, slots=True)
class CsvReport:
    """What a file holds. Nothing of it is stored.

    Attributes:
        rows: the good rows, in order.
        errors: what is wrong, row by row.
        bad: rows that are wrong, all of them.
        ignored: columns that mean nothing here.
        refused: why the file as a whole was not read: ``large``, ``rows``, ``text``, ``columns``, ``empty``; else None.
    """

    rows: Sequence[HoldingDraft] = ()
    errors: Sequence[RowError] = ()
    bad: int = 0
    ignored: Sequence[str] = ()
    refused: str | None = None


def parse_csv(data: bytes, gpus: GpuCatalogue, platforms: PlatformCatalogue, today: date) -> CsvReport:
    """Read a file: UTF-8, with commas, semicolons or tabs; with semicolons or tabs a decimal comma is understood.

    A machine counts once, for it cannot be in a portfolio twice.
    """
    if len(data) > MAX_BYTES:
        return CsvReport(refused="large")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return CsvReport(refused="text")
    if "\0" in text:
        return CsvReport(refused="text")
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        return CsvReport(refused="empty")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[HoldingDraft] = []
    errors: list[RowError] = []
    machines: set[tuple[str | None, int]] = set()
    bad = 0
    header: list[str] | None = None
    ignored: list[str] = []
    line = 1
    try:
        for cells in reader:
            begun, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip().lower() for cell in cells]
                ignored = [name[:MAX_CELL] for name in header if name and name not in COLUMNS][:20]
                known = [name for name in header if name in COLUMNS]
                if not {"gpu", "machine_id"} & set(known) or len(known) != len(set(known)):
                    return CsvReport(refused="columns", ignored=ignored)
                continue
            if len(rows) + bad >= MAX_ROWS:
                return CsvReport(refused="rows")
            try:
                draft = _draft(header, cells, delimiter, gpus, platforms, today)
                _once(draft, machines)
                rows.append(draft)
            except BadHolding as error:
                bad += 1
                errors.append(RowError(begun, error.field, str(error.value)[:MAX_CELL], error.problem))
    except csv.Error as error:
        bad += 1
        errors.append(RowError(reader.line_num or 1, "", str(error)[:MAX_CELL], "csv"))
    return CsvReport(rows, errors, bad, ignored)


def _draft(
    header: Sequence[str],
    cells: Sequence[str],
    delimiter: str,
    gpus: GpuCatalogue,
    platforms: PlatformCatalogue,
    today: date,
) -> HoldingDraft:
    if len(cells) > len(header):
        raise BadHolding("", delimiter.join(cells), "cells")
    given: dict[str, str] = {}
    for column, cell in zip(header, cells, strict=False):
        value = cell.strip()
        if value.startswith("'") and _like_formula(value):
            value = value[1:]  # written by :func:`to_csv` before what a spreadsheet would take for a formula
        if len(value) > MAX_CELL:
            raise BadHolding(COLUMNS.get(column, column), value, "long")
        if value and column in COLUMNS:
            given[COLUMNS[column]] = value
    values: dict[str, Any] = {
        name: _number(name, given[name], delimiter)
        for name in ("asked_price", "power_w", "tariff", "purchase_price", "mining_usd_day")
        if name in given
    }
    if "fee" in given:
        values["fee"] = _number("fee", given["fee"].removesuffix("%").strip(), delimiter) / 100
    values["quantity"] = _whole("quantity", given["quantity"]) if "quantity" in given else 1
    if "machine_id" in given:
        values["machine_id"] = _whole("machine_id", given["machine_id"])
    values["platform"] = _platform(given.get("platform", ""), platforms)
    if values.get("machine_id") is not None and values["platform"] is None:
        raise BadHolding("platform", given.get("platform", ""), "missing")
    values["gpu"] = _gpu(given.get("gpu", ""), gpus, follows="machine_id" in values)
    values["region"] = _region(given.get("region", ""))
    values["tier"] = given.get("tier", Tier.ON_DEMAND.value).lower()
    values["verification"] = given.get("verification", ANY).lower()
    values["segment"] = given.get("segment", ANY).lower()
    values["name"] = given.get("name")
    if "purchased_on" in given:
        try:
            values["purchased_on"] = date.fromisoformat(given["purchased_on"])
        except ValueError:
            raise BadHolding("purchased_on", given["purchased_on"], "date") from None
    return check_draft(HoldingDraft(**values), gpus, platforms, today)


def _once(draft: HoldingDraft, machines: set[tuple[str | None, int]]) -> None:
    """Note the machine of a row among *machines*, where it may not be yet."""
    if draft.machine_id is None:
        return
    machine = (draft.platform, draft.machine_id)
    if machine in machines:
        raise BadHolding("machine_id", draft.machine_id, "twice")
    machines.add(machine)


def _number(name: str, text: str, delimiter: str) -> float:
    plain = text.removeprefix("$").strip()
    if delimiter == ",":
        grouped = _GROUPED_ENGLISH.fullmatch(plain) is not None
        plain = plain.replace(",", "") if grouped else plain
    elif _GROUPED_GERMAN.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    elif name == "purchase_price" and _THOUSANDS.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", "")
    elif "." not in plain:
        plain = plain.replace(",", ".")
    try:
        return float(plain)
    except ValueError:
        raise BadHolding(name, text, "number") from None


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise BadHolding(name, text, "whole")
    return int(text)


def _platform(text: str, platforms: PlatformCatalogue) -> str | None:
    if text.lower() in _UNDECIDED:
        return None
    platform = platforms.resolve(text)
    if platform is None:
        raise BadHolding("platform", text, "unknown")
    return platform.slug


def _gpu(text: str, gpus: GpuCatalogue, *, follows: bool) -> str:
    if not text:
        if follows:
            return "x-machine"  # the market says which
        raise BadHolding("gpu", text, "missing")
    if gpus.get(text) is not None or _UNCATALOGUED.fullmatch(text):
        return text
    found = gpus.resolve(text)
    if not found.known:
        raise BadHolding("gpu", text, "unknown")
    return found.slug


def _region(text: str) -> str:
    if text.lower() in ("", ANY, GLOBAL, "worldwide"):
        return GLOBAL
    code = country_code(text)
    if code is None:
        raise BadHolding("region", text, "unknown")
    return code


# --- writing ---


def to_csv(holdings: Sequence[HoldingDraft | Holding]) -> str:
    """Holdings with every column; numbers in full precision, texts safe for spreadsheets."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for holding in holdings:
        writer.writerow([_cell(attribute, getattr(holding, attribute)) for attribute in COLUMNS.values()])
    return out.getvalue()


def template_csv() -> str:
    """The columns, and one row to write over."""
    example = HoldingDraft(
        gpu="rtx-4090",
        quantity=8,
        name="Rig 1",
        platform="vast",
        verification="verified",
        asked_price=0.35,
        tariff=0.15,
        purchase_price=16_000.0,
        purchased_on=date(2024, 3, 1),
    )
    return to_csv([example])


def _cell(attribute: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if attribute == "fee":
        return repr(round(value * 100, 10))
    if isinstance(value, float):
        return repr(value)
    if not isinstance(value, str):
        return str(value)
    return f"'{value}" if value.startswith("'") and _like_formula(value) else safe_cell(value)


def _like_formula(text: str) -> bool:
    """Whether a spreadsheet would take *text* without its apostrophes for a formula."""
    return text.lstrip("'").startswith(_FORMULA)
