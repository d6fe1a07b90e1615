"""What others ask of portfolios, and what portfolios ask of storage.

:class:`PortfolioPort` is what cogs, alerts and digests see; :class:`gpuscout.portfolio.portfolios.Portfolios`
implements it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.portfolio.advice_models import HoldingAdvice
from gpuscout.portfolio.csv_import import CsvReport
from gpuscout.portfolio.models import Holding, HoldingDraft, Payback, PortfolioView, RoiQuestion, SnapshotPoint
from gpuscout.portfolio.tariffs import TariffPlan
from storage.holdings import Added, OnChange

__all__ = ["OnChange", "PortfolioPort", "nothing_follows"]


async def nothing_follows(_conn: AsyncConnection, _member_id: int) -> None:
    """Nobody needs to know of a change."""


class PortfolioPort(Protocol):
    """Portfolios of members. Every call names the member; another member's holding is as if it did not exist."""

    async def limit(self, member_id: int) -> int | None:
        """Holdings that the member's plan allows; None: as many as wanted."""
        ...

    async def list(self, member_id: int) -> Sequence[Holding]:
        """The holdings, oldest first; those that follow a machine with what the market says of it now."""
        ...

    async def get(self, member_id: int, holding_id: str) -> Holding | None:
        """One holding; None when the member has none of this id."""
        ...

    async def add(self, member_id: int, draft: HoldingDraft) -> Holding:
        """Store a holding.

        Raises:
            BadHolding: a value that cannot be.
            gpuscout.plans.limits.LimitReached: the plan's holdings are used up.
        """
        ...

    async def add_many(self, member_id: int, drafts: Sequence[HoldingDraft]) -> Sequence[Holding]:
        """Store all or none; raises as :meth:`add`."""
        ...

    async def find_machine(self, machine_id: int, platform: str = "vast") -> HoldingDraft:
        """What :meth:`add_machine` would store, without storing it.

        Raises:
            UnknownMachine: the market does not know it.
        """
        ...

    async def add_machine(self, member_id: int, machine_id: int, platform: str = "vast") -> Holding:
        """Store a holding that follows a machine of the market.

        Raises:
            UnknownMachine, AlreadyHeld, gpuscout.plans.limits.LimitReached
        """
        ...

    async def edit(self, member_id: int, holding_id: str, values: Mapping[str, Any]) -> Holding | None:
        """Change some attributes of :class:`HoldingDraft`; None when the member has no such holding.

        Raises:
            BadHolding: a value that cannot be, or one that the holding takes from its machine.
        """
        ...

    async def remove(self, member_id: int, holding_id: str) -> Holding | None:
        """Remove a holding; it can be brought back for a day. None when there is none."""
        ...

    async def restore(self, member_id: int, holding_id: str) -> Holding | None:
        """Bring a removed holding back; None when it is gone for good.

        Raises:
            gpuscout.plans.limits.LimitReached, AlreadyHeld
        """
        ...

    async def value(self, member_id: int) -> PortfolioView:
        """The portfolio, valued at the market's newest data. Missing data leave holdings unvalued, never fail."""
        ...

    async def preview(self, member_id: int, draft: HoldingDraft) -> PortfolioView:
        """A holding that is not stored (yet), valued as if it were.

        Raises:
            BadHolding: a value that cannot be.
        """
        ...

    async def advice(self, member_id: int) -> Sequence[HoldingAdvice]:
        """Advice for each holding, in the order of :meth:`list`."""
        ...

    async def roi(self, member_id: int, question: RoiQuestion) -> Payback:
        """Payback of a purchase.

        Raises:
            BadHolding: a value that cannot be.
            NoValue: something that is needed is not known.
        """
        ...

    async def history(self, member_id: int, days: int) -> Sequence[SnapshotPoint]:
        """Daily snapshots of the last *days* days, oldest first. A day without one is left out."""
        ...

    async def tariff_plan(self, member_id: int) -> TariffPlan | None:
        """The member's tariff by time of use, if he has one."""
        ...

    async def set_tariff_plan(self, member_id: int, plan: TariffPlan | None) -> None:
        """Set or (None) forget it.

        Raises:
            BadHolding: a value that cannot be.
        """
        ...

    def parse_csv(self, data: bytes) -> CsvReport:
        """Rows of a CSV file, good ones and bad ones; nothing is stored."""
        ...

    def to_csv(self, holdings: Sequence[Holding]) -> str:
        """Holdings as a CSV file that :meth:`parse_csv` reads again."""
        ...

    def template_csv(self) -> str:
        """A file to fill in: the columns and one example."""
        ...


class HoldingRows(Protocol):
    """Where holdings are stored; :class:`storage.holdings.HoldingStore`."""

    async def list(self, member_id: int) -> Sequence[Mapping[str, Any]]: ...
    async def get(self, member_id: int, holding_id: str) -> Mapping[str, Any] | None: ...
    async def add(
        self, member_id: int, rows: Sequence[Mapping[str, Any]], at: datetime, limit: int | None, on_change: OnChange
    ) -> Added: ...
    async def edit(
        self, member_id: int, holding_id: str, values: Mapping[str, Any], at: datetime, on_change: OnChange
    ) -> Mapping[str, Any] | None: ...
    async def remove(
        self, member_id: int, holding_id: str, at: datetime, on_change: OnChange
    ) -> Mapping[str, Any] | None: ...
    async def restore(
        self, member_id: int, holding_id: str, since: datetime, at: datetime, limit: int | None, on_change: OnChange
    ) -> Added: ...
    async def tariff_plan(self, member_id: int) -> Mapping[str, Any] | None: ...
    async def put_tariff_plan(self, member_id: int, plan: Mapping[str, Any] | None, at: datetime) -> None: ...
    async def snapshots(self, member_id: int, since: date) -> Sequence[Mapping[str, Any]]: ...


class MachineRows(Protocol):
    """Where machines are stored; :class:`storage.machines.MachineStore`."""

    async def listed_since(self, source: str) -> int | None: ...
    async def get(self, platform: str, machine_id: int) -> Any: ...
    async def get_many(self, platform: str, machine_ids: Sequence[int]) -> Sequence[Any]: ...
    async def asks(self, since: int, which: Any, limit: int = ...) -> Sequence[Any]: ...
