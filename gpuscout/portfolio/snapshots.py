"""Daily snapshots of portfolios: what the chart of a portfolio's value and the digests compare with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from gpuscout.portfolio.models import UNDO_FOR, PortfolioView
from storage.holdings import HoldingStore

log = structlog.get_logger(__name__)

SNAPSHOT_JOB: Final = "portfolio.snapshot"
KEPT: Final = timedelta(days=400)
"""A year and a month."""
BATCH: Final = 50
"""Members whose snapshots are stored in one transaction."""
WITHOUT: Final = ("no_fee", "no_power", "no_platform", "unlisted")
"""Why a holding may have no value for good: it does not stand in the way of the others."""
OUTAGE: Final = timedelta(days=2)
"""For so long the market may say nothing of a model that it spoke of; then the portfolio goes on without it."""


class Values(Protocol):
    """What values a portfolio; :class:`gpuscout.portfolio.portfolios.Portfolios`."""

    async def keep_facts(self, member_id: int) -> int: ...
    async def value(self, member_id: int) -> PortfolioView: ...


class Snapshots:
    """Takes the snapshots of all members with holdings."""

    def __init__(self, store: HoldingStore, portfolios: Values, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._portfolios = portfolios
        self._clock = clock

    async def take(self) -> int:
        """Look at every portfolio once; returns how many snapshots were stored.

        Safe to repeat and to stop anywhere: a later look at the same day (UTC) replaces the earlier one. A portfolio of
        which a holding lost its value (no market data) keeps what it had for two days, so that an outage is no fall.
        What holdings take from their machines is stored along the way, and what is due to be erased goes.
        """
        taken, after = 0, None
        while members := await self._store.members(after, BATCH):
            rows = []
            for member in members:
                await self._portfolios.keep_facts(member)
                view = await self._portfolios.value(member)
                if await self._counts(view):
                    rows.append(_row(view))
            await self._store.put_snapshots(rows)
            taken += len(rows)
            after = members[-1]
        now = self._clock()
        erased = await self._store.forget_removed(now - UNDO_FOR)
        forgotten = await self._store.forget_snapshots((now - KEPT).date())
        log.info("portfolio_snapshots", taken=taken, holdings_erased=erased, forgotten=forgotten)
        return taken

    async def _counts(self, view: PortfolioView) -> bool:
        """Whether this look says more about the portfolio than about the market's data."""
        totals = view.totals
        if not totals.valued:
            return False
        for_good = sum(1 for found in view.holdings if found.unvalued in WITHOUT)
        if totals.valued + for_good >= totals.holdings:
            return True
        today = view.at.astimezone(UTC).date()
        before = await self._store.snapshots(view.member_id, today - OUTAGE)
        # The last look lacked something too: a model that nobody lists, not one that is gone for the moment.
        return not before or before[-1]["holdings"] < totals.holdings - for_good


def _row(view: PortfolioView) -> dict[str, Any]:
    totals = view.totals
    return {
        "member_id": view.member_id,
        "day": view.at.astimezone(UTC).date(),
        "holdings": totals.valued,
        "gpus": totals.valued_gpus,
        "gross_day": totals.gross_day,
        "net_day": totals.net_day,
        "market_net_day": totals.market_net_day,
        "at": view.at,
    }
