"""What the exporter says of a single machine, cut down to what GPUScout keeps.

An item of ``/vastai-exporter/machines`` is the platform's raw offer of a whole machine, some ninety fields, among them
the host's public address, coordinates, provider and organisation. Only the fields named in :data:`KEPT` are looked at;
nothing else of an item leaves this module, not even in the sample of a rejected one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container
from typing import Any, NamedTuple

from config.countries import country_code
from config.gpu_names import usable_vram, vram_from_mb

MAX_GPUS = 1_024
MAX_PRICE = 10_000.0
"""USD per GPU-hour above which a figure is a defect, not an ask."""
MAX_ID = 2**53
_LAST_DATE = 4_102_444_800
"""2100-01-01, epoch seconds: an end beyond it means that there is none."""

KEPT = (
    *("machine_id", "gpu_name", "num_gpus", "num_gpus_rented", "dph_base", "min_bid", "gpu_ram"),
    *("reliability2", "verification", "hosting_type", "geolocation", "end_date"),
)

_WORDS = frozenset({"verified", "unverified", "deverified"})
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,}", re.IGNORECASE)
"""IPv4 and IPv6 addresses: a name that holds one is not kept."""


class Machine(NamedTuple):
    """One machine. Prices are USD per GPU-hour as the renter pays them, in full precision."""

    machine_id: int
    gpu_name: str
    vram_gb: int | None
    """Memory of one GPU as marketed."""
    num_gpus: int
    num_rented: int
    total_price: float
    """USD an hour of the whole machine, as the source says it."""
    min_bid: float | None
    reliability: float | None
    """0 to 1."""
    verification: str
    datacenter: bool
    country: str | None
    """Two letters, lower case."""
    end_date: int | None
    """End of the listing, epoch seconds."""

    @property
    def price(self) -> float:
        """USD per GPU-hour."""
        return self.total_price / self.num_gpus


class BadMachine(Exception):
    """An item is no machine that can be kept; the message is the reason in one phrase, without any of its values."""


def _number(value: object) -> float | None:
    """A finite number, else None; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _count(item: dict[str, Any], field: str, low: int, high: int) -> int:
    value = item.get(field)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadMachine(f"{field}: not a whole number" if field in item else f"{field}: missing")
    if not low <= value <= high:
        raise BadMachine(f"{field}: out of range")
    return value


def _price(item: dict[str, Any], field: str, num_gpus: int) -> float:
    value = _number(item.get(field))
    if value is None:
        raise BadMachine(f"{field}: not a number" if item.get(field) is not None else f"{field}: missing")
    if not 0 <= value <= MAX_PRICE * num_gpus:
        raise BadMachine(f"{field}: out of range")
    return value


def _name(item: dict[str, Any]) -> str:
    name = item.get("gpu_name")
    if not isinstance(name, str):
        raise BadMachine("gpu_name: not a text" if "gpu_name" in item else "gpu_name: missing")
    if not name.strip() or len(name) > 200:
        raise BadMachine("gpu_name: empty or too long")
    if _ADDRESS.search(name):
        raise BadMachine("gpu_name: holds an address")
    return name


def country_of(geolocation: object) -> str | None:
    """The country of "Region, CC"; the region may be empty. None when there is no known country in it."""
    return country_code(geolocation.rpartition(",")[2]) if isinstance(geolocation, str) else None


def read_machine(item: object, seen: Container[int] = ()) -> Machine:
    """Validate one item and drop everything that is not kept.

    Args:
        seen: ids that the document has listed already.

    What must be there is the id, the name, the counts and the price. Of the rest, a value that cannot be one (a text
    for a number, a reliability of 3) is left out: one odd field is no reason to lose a machine.

    Raises:
        BadMachine: the item cannot be kept.
    """
    if not isinstance(item, dict):
        raise BadMachine("not an object")
    machine_id = _count(item, "machine_id", 1, MAX_ID)
    if machine_id in seen:
        raise BadMachine("the machine is listed twice")
    name = _name(item)
    num_gpus = _count(item, "num_gpus", 1, MAX_GPUS)
    num_rented = _count(item, "num_gpus_rented", 0, num_gpus)
    total_price = _price(item, "dph_base", num_gpus)
    min_bid = _number(item.get("min_bid"))
    reliability = _number(item.get("reliability2"))
    vram = usable_vram((_number(item.get("gpu_ram")) or 0.0) / 1024)
    end = _number(item.get("end_date"))
    word = item.get("verification")
    return Machine(
        machine_id=machine_id,
        gpu_name=name,
        vram_gb=None if vram is None else vram_from_mb(vram * 1024),
        num_gpus=num_gpus,
        num_rented=num_rented,
        total_price=total_price,
        min_bid=min_bid / num_gpus if min_bid is not None and 0 <= min_bid <= MAX_PRICE * num_gpus else None,
        reliability=reliability if reliability is not None and 0 <= reliability <= 1 else None,
        # Whatever is not the platform's word "verified" counts as unverified, as in the exporter's statistics.
        verification=word if isinstance(word, str) and word in _WORDS else "unverified",
        datacenter=(_number(item.get("hosting_type")) or 0) > 0,
        country=country_of(item.get("geolocation")),
        end_date=int(end) if end is not None and 0 < end < _LAST_DATE else None,
    )


def sample_of(item: object) -> str:
    """What may be kept of a rejected item: the fields of :data:`KEPT`, of texts only the name and the verification.

    Everything else is replaced by the kind of value it was; the place by its country.
    """
    if not isinstance(item, dict):
        return json.dumps(f"<{type(item).__name__}>")
    shown: dict[str, Any] = {}
    for field in KEPT:
        if field not in item:
            continue
        value = item[field]
        if field == "geolocation":
            shown["country"] = country_of(value)
        elif value is None or isinstance(value, bool) or _number(value) is not None:
            shown[field] = value if not isinstance(value, int) or abs(value) <= MAX_ID else "<int>"
        elif isinstance(value, str) and field in ("gpu_name", "verification"):
            shown[field] = _ADDRESS.sub("<address>", value[:200])
        else:
            shown[field] = f"<{type(value).__name__}>"
    return json.dumps(shown)
