"""Comparable machines behind a holding: read from the newest list of machines, fitted once, remembered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Final

from config.catalogue import GpuCatalogue
from gpuscout.market.machines import segment_filter
from gpuscout.market.models import GLOBAL, STALE_LIMIT, Tier
from gpuscout.portfolio.advice_models import TooLittle
from gpuscout.portfolio.models import HoldingDraft, Input
from gpuscout.portfolio.ports import MachineRows

if TYPE_CHECKING:
    from gpuscout.portfolio.rentfit import Ask, RentFit

MIN_MACHINES: Final = 20
"""Comparable machines below which nothing is said about prices."""
MIN_PRICES: Final = 5
"""Different prices among them."""
MIN_SIDE: Final = 10
"""GPUs that must be rented, and that must be idle: with (nearly) all on one side nothing can be compared."""
_REMEMBERED: Final = 128

Newest = Mapping[str, int | None]
"""Time of a platform's newest list of machines (epoch seconds), by platform; None before the first."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """Listed machines of one model, platform, verification, segment and region, with the fit over them.

    ``lacking`` says what is missing for a judgement; ``fit`` may be there all the same, for a picture.
    """

    platform: str
    gpu: str
    region: str
    verification: str
    segment: str
    machines: int
    gpus: int
    rented: int
    as_of: datetime
    source: str
    fit: RentFit | None
    lacking: TooLittle | None


class RentEvidence:
    """Finds comparable machines.

    Args:
        lists: platforms whose machines are listed one by one, and the source that lists them.
    """

    def __init__(self, machines: MachineRows, gpus: GpuCatalogue, lists: Mapping[str, str]) -> None:
        self._machines = machines
        self._gpus = gpus
        self.lists = dict(lists)
        self._known: OrderedDict[tuple[int, str, str, str, str, str], Comparable] = OrderedDict()

    async def newest(self) -> Newest:
        """Time of each platform's newest list: asked once for many holdings."""
        return {platform: await self._machines.listed_since(source) for platform, source in self.lists.items()}

    async def find(self, draft: HoldingDraft, platform: str, newest: Newest, now: datetime) -> Comparable | None:
        """Machines like those of a holding, of the same series and segment, or None without a (fresh) list.

        A holding's country counts where enough machines stand in it; else they are the world's. Only on-demand prices
        are listed, so a holding of another tier has no comparison.
        """
        since = newest.get(platform)
        if since is None or draft.tier != Tier.ON_DEMAND.value:
            return None
        if now - datetime.fromtimestamp(since, UTC) > STALE_LIMIT:
            return None
        if draft.region != GLOBAL and draft.machine_id is None:
            near = await self._get(since, platform, draft, draft.region)
            if near.lacking is None:
                return near
        return await self._get(since, platform, draft, GLOBAL)

    async def rent_shares(
        self, draft: HoldingDraft, platform: str, newest: Newest, now: datetime, *prices: float | None
    ) -> list[Input | None]:
        """The share that is rented at each price; None without enough evidence.

        Beyond the prices that are asked it is that of the dearest or cheapest band: dearer, at most so much is rented.
        """
        found = await self.find(draft, platform, newest, now)
        return [None if found is None or price is None else _share(found, price) for price in prices]

    async def _get(self, since: int, platform: str, draft: HoldingDraft, region: str) -> Comparable:
        key = (since, platform, draft.gpu, draft.verification, draft.segment, region)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        which = segment_filter(
            self._gpus,
            draft.gpu,
            platform=platform,
            segment=draft.segment,
            verification=draft.verification,
            region=None if region == GLOBAL else region,
        )
        rentfit = await asyncio.to_thread(_rentfit)
        asks = [rentfit.Ask(*row) for row in await self._machines.asks(since, which)]
        fit = await asyncio.to_thread(rentfit.fit_rents, asks)
        found = Comparable(
            platform=platform,
            gpu=draft.gpu,
            region=region,
            verification=draft.verification,
            segment=draft.segment,
            machines=len(asks),
            gpus=sum(ask.gpus for ask in asks),
            rented=sum(ask.rented for ask in asks),
            as_of=datetime.fromtimestamp(since, UTC),
            source=self.lists[platform],
            fit=fit,
            lacking=lacking(asks),
        )
        self._known[key] = found
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found


def _share(found: Comparable, price: float) -> Input | None:
    if found.fit is None or found.lacking is not None:
        return None
    return Input("rented share at this price", found.fit.share_at(price), "share", found.source, found.as_of)


def _rentfit() -> ModuleType:
    """The fit, which needs numpy: loaded in a thread, once somebody asks for advice."""
    from gpuscout.portfolio import rentfit

    return rentfit


def lacking(asks: Sequence[Ask]) -> TooLittle | None:
    """What these machines lack for a judgement about prices; None when it is enough."""
    if len(asks) < MIN_MACHINES:
        return "few_machines"
    if len({ask.price for ask in asks}) < MIN_PRICES:
        return "few_prices"
    rented = sum(ask.rented for ask in asks)
    if min(rented, sum(ask.gpus for ask in asks) - rented) < MIN_SIDE:
        return "one_sided"
    return None
