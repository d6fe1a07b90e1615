"""Holdings that follow a machine: what the market's newest list says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from gpuscout.market.models import GLOBAL, Verification, segment_slug
from gpuscout.portfolio.evidence import RentEvidence
from gpuscout.portfolio.models import Holding, MachineNow
from gpuscout.portfolio.ports import MachineRows

FACTS: Final = ("gpu", "quantity", "region", "verification", "segment", "asked_price")
"""What a holding takes from its machine."""
MACHINE_BATCH: Final = 500
"""Machines asked for at once."""
_FIELDS: Final = tuple(field.name for field in fields(Holding) if field.name != "machine")


class FollowedMachines:
    """Reads the machines behind holdings."""

    def __init__(self, machines: MachineRows, evidence: RentEvidence) -> None:
        self._machines = machines
        self._evidence = evidence

    async def holdings(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Holding]:
        """Holdings of stored rows, in their order; those with a machine get the market's newest facts."""
        wanted: dict[str, list[int]] = {}
        for row in rows:
            if row["machine_id"] is not None:
                wanted.setdefault(row["platform"], []).append(row["machine_id"])
        seen: dict[tuple[str, int], Any] = {}
        newest = await self._evidence.newest() if wanted else {}
        for platform, ids in wanted.items():
            for first in range(0, len(ids), MACHINE_BATCH):
                for found in await self._machines.get_many(platform, ids[first : first + MACHINE_BATCH]):
                    seen[platform, found.machine_id] = found
        holdings = []
        for row in rows:
            holding = Holding(**{name: row[name] for name in _FIELDS})
            found = seen.get((row["platform"], row["machine_id"]))
            if found is not None:
                machine = _machine(found, newest.get(row["platform"]))
                holding = replace(holding, machine=machine, **facts_of(found))
            holdings.append(holding)
        return holdings


def facts_of(row: Any) -> dict[str, Any]:
    """What a holding takes from a row of the machine table: :data:`FACTS`."""
    size = row.num_gpus
    return {
        "gpu": row.gpu,
        "quantity": size,
        "region": row.country or GLOBAL,
        "verification": "verified" if row.verification == "verified" else Verification.UNVERIFIED.value,
        "segment": segment_slug(row.datacenter, "1-3" if size <= 3 else "4-7" if size <= 7 else "8+"),
        "asked_price": row.price,
    }


def _machine(row: Any, newest: int | None) -> MachineNow:
    return MachineNow(
        platform=row.platform,
        machine_id=row.machine_id,
        listed=newest is not None and row.last_seen >= newest,
        num_gpus=row.num_gpus,
        num_rented=row.num_rented,
        price=row.price,
        reliability=row.reliability,
        verification=row.verification,
        datacenter=row.datacenter,
        ends=None if row.end_date is None else datetime.fromtimestamp(row.end_date, UTC),
        seen_at=datetime.fromtimestamp(row.last_seen, UTC),
    )
