"""Lists of machines for tests: as the exporter makes them, with everything in them that must not be kept."""

from __future__ import annotations

import gzip
import io
import json
import random
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from config.catalogue import GpuCatalogue
from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.machines_process import MachineRow, Parsed
from gpuscout.market.sources.machines_worker import Status, parse

SECRETS = (
    "203.0.113.", "198.51.100.", "2001:db8:", "rack-secret", "secret-host.example", "Secret ISP", "Secret Org",
    "50.07551", "14.43781", "Secretville",
)  # fmt: skip
"""What no database, log, report or sample may hold."""
COUNTRIES = ("US", "DE", "CZ", "CA", "SE", "NO", "FR", "GB", "PL", "TW", "KR", "JP", "IN", "AU")


def machine(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A valid machine, with private fields beside those that are kept; None takes a field away."""
    found: dict[str, Any] = {
        "machine_id": number,
        "host_id": 77,
        "gpu_name": "RTX 4090",
        "num_gpus": 2,
        "num_gpus_rented": 1,
        "dph_base": 0.6666666666666666,
        "min_bid": 0.3,
        "gpu_ram": 24564,
        "reliability2": 0.9912,
        "verification": "verified",
        "verified": True,
        "hosting_type": 0,
        "geolocation": "Secretville, DE",
        "end_date": 1761871428.0,
        "public_ipaddr": "203.0.113.42",
        "ip_addresses": ["198.51.100.7", "2001:db8::7"],
        "hostname": "rack-secret",
        "location": {
            "country": "DE",
            "location": "Secretville, DE",
            "lat": 50.07551,
            "long": 14.43781,
            "isp": "Secret ISP",
            "organization": "Secret Org",
            "domain": "secret-host.example",
        },
    }
    found |= changes
    return {name: value for name, value in found.items() if value is not None}


def document(items: Sequence[Any], at: datetime | str | None = None, **more: Any) -> bytes:
    """The bytes of an answer."""
    stamp = at if isinstance(at, str) else (at or datetime.now(UTC)).isoformat()
    return json.dumps(
        {"url": "/machines", "timestamp": stamp, "count": len(items), "notes": ["x"], "offers": list(items), **more}
    ).encode()


def parse_bytes(data: bytes) -> Parsed:
    """What the parsing process makes of *data*, in this process."""
    parsed = Parsed()

    def take(status: Status, content: Any) -> None:
        content = json.loads(json.dumps(content))
        match status:
            case Status.MACHINES:
                parsed.machines.extend(map(MachineRow._make, content))
            case Status.GROUPS:
                parsed.groups.extend(content)
            case Status.DONE:
                parsed.timestamp, parsed.read = content["timestamp"], content["read"]
                parsed.reasons, parsed.samples = content["reasons"], content["samples"]
            case Status.WRONG_SHAPE:
                raise WrongShape(content)

    parse(io.BytesIO(data).read, GpuCatalogue.load(), take)
    return parsed


async def parse_here(file: BinaryIO, packed: bool) -> Parsed:
    """Parses in this process: quicker where the process is not what is tested."""
    file.seek(0)
    data = file.read()
    return parse_bytes(gzip.decompress(data) if packed else data)


def large_document(count: int, at: datetime, seed: int = 1) -> bytes:
    """As many machines as the real list has, with about as many bytes each (4.5 KB)."""
    rng = random.Random(seed)
    names = ["RTX 4090", "RTX 5090", "RTX 3090", "RTX 3060", "H200", "H100 SXM", "A100 SXM4", "RTX A4000", "L40S"]
    names += [f"RTX {n}" for n in (4060, 4070, 3080, 5070, 5060, 3070, 2080, 2070, 2060, 4080, 5080)]
    # Of the real item's ninety fields most are numbers that nobody reads here.
    filler = {f"measured_quantity_{n:02}": rng.random() * 1000 for n in range(80)}
    items = []
    for number in range(count):
        gpus = rng.choice((1, 1, 2, 4, 8))
        items.append(
            machine(
                count - number,
                gpu_name=rng.choice(names),
                num_gpus=gpus,
                num_gpus_rented=rng.randint(0, gpus),
                dph_base=rng.uniform(0.05, 3.0) * gpus,
                gpu_ram=rng.choice((None, 24564, 81559)),
                reliability2=rng.uniform(0.8, 1.0),
                geolocation=f"Secretville, {rng.choice(COUNTRIES)}",
                public_ipaddr=f"203.0.113.{number % 256}",
                chunks=[
                    {"size": 1, "offerId": rng.randrange(10**8), "rentable": True, "gpu_ids": [n]} for n in range(gpus)
                ],
                **filler,
            )
        )
    return document(items, at)


def spooled(data: bytes) -> Any:
    """*data* in a nameless file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the test closes it
    file.write(data)
    file.flush()
    return file
