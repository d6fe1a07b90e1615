"""Portfolios of members: what they hold, what it is worth, what could be done better."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.accounts.members import Member, Members
from gpuscout.market.models import Quote
from gpuscout.market.ports import Market
from gpuscout.plans.limits import Allowance, allowance_of
from gpuscout.plans.tiers import Plans, TierOf
from gpuscout.portfolio import csv_import
from gpuscout.portfolio.advice import advise
from gpuscout.portfolio.advice_models import HoldingAdvice
from gpuscout.portfolio.checks import EDITABLE, MACHINE_FIELDS, check_draft, check_question
from gpuscout.portfolio.evidence import Newest, RentEvidence
from gpuscout.portfolio.followed import FACTS, FollowedMachines, facts_of
from gpuscout.portfolio.models import (
    UNDO_FOR,
    AlreadyHeld,
    BadHolding,
    Basis,
    Holding,
    HoldingDraft,
    HoldingValuation,
    Input,
    NoValue,
    Payback,
    PortfolioView,
    RoiQuestion,
    SnapshotPoint,
    UnknownMachine,
)
from gpuscout.portfolio.payback import USE_DAYS, payback_of
from gpuscout.portfolio.ports import HoldingRows, MachineRows, OnChange, nothing_follows
from gpuscout.portfolio.tariffs import TariffPlan, check_plan, plan_json, plan_of
from gpuscout.portfolio.valuation import Terms, find_basis, terms_of, totals_of, value_holding
from storage.holdings import VALUES, Added

_TURN: Final = 10
"""Holdings valued before others get a turn: a millisecond or two."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What is asked once for all holdings of one look."""

    at: datetime
    member: Member
    plan: TariffPlan | None
    quotes: Mapping[str, Sequence[Quote]]
    newest: Newest


class Portfolios:
    """See :class:`gpuscout.portfolio.ports.PortfolioPort`.

    Args:
        lists: platforms whose machines are listed one by one, and the source that lists them.
        on_change: called in every transaction that changes a member's holdings.
    """

    def __init__(
        self,
        rows: HoldingRows,
        machines: MachineRows,
        market: Market,
        members: Members,
        gpus: GpuCatalogue,
        platforms: PlatformCatalogue,
        plans: Plans,
        tiers: TierOf,
        *,
        lists: Mapping[str, str],
        clock: Callable[[], datetime],
        gpu_name: Callable[[str], str] | None = None,
        on_change: OnChange = nothing_follows,
    ) -> None:
        self._rows = rows
        self._machines = machines
        self._market = market
        self._members = members
        self._gpus = gpus
        self._platforms = platforms
        self._plans = plans
        self._tiers = tiers
        self._clock = clock
        self._names = gpu_name
        self._on_change = on_change
        self.evidence = RentEvidence(machines, gpus, lists)
        self._followed = FollowedMachines(machines, self.evidence)

    # --- holdings ---

    async def limit(self, member_id: int) -> int | None:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.limit`."""
        return (await self._allowance(member_id)).limit

    async def _allowance(self, member_id: int) -> Allowance:
        return await allowance_of(self._plans, self._tiers, member_id, "holdings")

    async def list(self, member_id: int) -> Sequence[Holding]:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.list`."""
        return await self._followed.holdings(await self._rows.list(member_id))

    async def get(self, member_id: int, holding_id: str) -> Holding | None:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.get`."""
        row = await self._rows.get(member_id, holding_id)
        return None if row is None else (await self._followed.holdings([row]))[0]

    async def add(self, member_id: int, draft: HoldingDraft) -> Holding:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.add`."""
        return (await self.add_many(member_id, [draft]))[0]

    async def add_many(self, member_id: int, drafts: Sequence[HoldingDraft]) -> Sequence[Holding]:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.add_many`."""
        rows: list[dict[str, Any]] = []
        for draft in drafts:
            checked = self._check(draft)
            if checked.machine_id is not None:
                if any((r["platform"], r["machine_id"]) == (checked.platform, checked.machine_id) for r in rows):
                    raise BadHolding("machine_id", checked.machine_id, "twice")
                found = await self.find_machine(checked.machine_id, checked.platform or "")
                checked = replace(checked, **{name: getattr(found, name) for name in MACHINE_FIELDS})
            rows.append(_row(checked))
        if not rows:
            return ()
        allowed = await self._allowance(member_id)
        added = await self._rows.add(member_id, rows, self._clock(), allowed.limit, self._on_change)
        _refuse(added, allowed, len(rows))
        return await self._followed.holdings(added.rows)

    async def find_machine(self, machine_id: int, platform: str = "vast") -> HoldingDraft:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.find_machine`."""
        row = None
        if 0 < machine_id < 1 << 53:
            row = await self._machines.get(platform, machine_id)
        if row is None:
            raise UnknownMachine(platform, machine_id)
        draft = HoldingDraft(gpu=row.gpu, platform=platform, machine_id=machine_id)
        return replace(draft, **facts_of(row))

    async def add_machine(self, member_id: int, machine_id: int, platform: str = "vast") -> Holding:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.add_machine`."""
        return await self.add(member_id, await self.find_machine(machine_id, platform))

    async def edit(self, member_id: int, holding_id: str, values: Mapping[str, Any]) -> Holding | None:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.edit`."""
        if unknown := values.keys() - EDITABLE:
            raise BadHolding(min(unknown), "", "unknown")
        row = await self._rows.get(member_id, holding_id)
        if row is None:
            return None
        if row["machine_id"] is not None and (taken := values.keys() & MACHINE_FIELDS):
            raise BadHolding(min(taken), values[min(taken)], "machine")
        checked = self._check(_draft({**row, **values}))
        changed = {name: getattr(checked, name) for name in values}
        stored = await self._rows.edit(member_id, holding_id, changed, self._clock(), self._on_change)
        return None if stored is None else (await self._followed.holdings([stored]))[0]

    async def remove(self, member_id: int, holding_id: str) -> Holding | None:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.remove`."""
        row = await self._rows.remove(member_id, holding_id, self._clock(), self._on_change)
        return None if row is None else (await self._followed.holdings([row]))[0]

    async def restore(self, member_id: int, holding_id: str) -> Holding | None:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.restore`."""
        now, allowed = self._clock(), await self._allowance(member_id)
        back = await self._rows.restore(member_id, holding_id, now - UNDO_FOR, now, allowed.limit, self._on_change)
        _refuse(back, allowed, 1)
        return (await self._followed.holdings(back.rows))[0] if back.rows else None

    async def keep_facts(self, member_id: int) -> int:
        """Store what holdings take from their machines now, so that they outlive the market's memory; how many changed.

        Alerts that hang on a holding's price follow it from here.
        """
        changed = 0
        rows = [row for row in await self._rows.list(member_id) if row["machine_id"] is not None]
        for row, holding in zip(rows, await self._followed.holdings(rows), strict=True):
            facts = {name: getattr(holding, name) for name in FACTS}
            if any(row[name] != value for name, value in facts.items()):
                await self._rows.edit(member_id, holding.id, facts, self._clock(), self._on_change)
                changed += 1
        return changed

    def _check(self, draft: HoldingDraft) -> HoldingDraft:
        return check_draft(draft, self._gpus, self._platforms, self._clock().date())

    # --- values ---

    async def value(self, member_id: int) -> PortfolioView:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.value`."""
        return await self._view(member_id, await self.list(member_id))

    async def preview(self, member_id: int, draft: HoldingDraft) -> PortfolioView:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.preview`."""
        now = self._clock()
        row = _row(self._check(draft)) | {"id": "", "member_id": member_id, "created_at": now, "updated_at": now}
        return await self._view(member_id, await self._followed.holdings([row]))

    async def _view(self, member_id: int, holdings: Sequence[Holding]) -> PortfolioView:
        look = await self._look(member_id, holdings)
        valued = []
        for number, holding in enumerate(holdings):
            if number % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            valued.append(await self._value(holding, look))
        return PortfolioView(member_id, look.at, valued, totals_of(valued), await self.limit(member_id))

    async def _look(self, member_id: int, drafts: Sequence[HoldingDraft | RoiQuestion]) -> _Look:
        models = {draft.gpu for draft in drafts}
        return _Look(
            self._clock(),
            await self._members.get(member_id),
            await self.tariff_plan(member_id),
            {gpu: await self._market.quotes(gpu=gpu, segments=True) for gpu in models},
            await self.evidence.newest(),
        )

    async def _value(self, holding: Holding, look: _Look) -> HoldingValuation:
        basis = find_basis(holding, holding.tier, look.quotes[holding.gpu], self._platforms)
        shares: Sequence[Input | None] = (None, None)
        if isinstance(basis, Basis):
            prices = (holding.asked_price, basis.median)
            shares = await self.evidence.rent_shares(holding, basis.key.platform, look.newest, look.at, *prices)
        terms = self._terms(holding, basis, look)
        return value_holding(holding, self.gpu_name(holding.gpu), basis, terms, *shares)

    def _terms(self, draft: HoldingDraft | RoiQuestion, basis: object, look: _Look) -> Terms:
        platform = basis.key.platform if isinstance(basis, Basis) else draft.platform
        known = self._platforms.get(platform) if platform is not None else None
        return terms_of(draft, known, look.member, look.plan, self._gpus)

    def gpu_name(self, slug: str) -> str:
        """Name to show of a model."""
        if self._names is not None:
            return self._names(slug)
        model = self._gpus.get(slug)
        return model.name if model is not None else slug

    async def advice(self, member_id: int) -> Sequence[HoldingAdvice]:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.advice`."""
        holdings = await self.list(member_id)
        look = await self._look(member_id, holdings)
        found = []
        for number, holding in enumerate(holdings):
            if number % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            value = await self._value(holding, look)
            terms = self._terms(holding, value.basis, look)
            quotes = look.quotes[holding.gpu]
            found.append(await advise(value, terms, quotes, self._platforms, self.evidence, look.newest, look.at))
        return found

    async def roi(self, member_id: int, question: RoiQuestion) -> Payback:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.roi`."""
        check_question(question, self._gpus, self._platforms)
        look = await self._look(member_id, [question])
        basis = find_basis(question, "on-demand", look.quotes[question.gpu], self._platforms)
        if not isinstance(basis, Basis):
            raise NoValue(basis)
        terms = self._terms(question, basis, look)
        start = look.at - timedelta(days=USE_DAYS)
        past = await self._market.history(basis.key, start, look.at, 4 * USE_DAYS)
        return payback_of(question, self.gpu_name(question.gpu), basis, terms, past)

    # --- history, tariff ---

    async def history(self, member_id: int, days: int) -> Sequence[SnapshotPoint]:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.history`."""
        since = (self._clock() - timedelta(days=days)).date()
        rows = await self._rows.snapshots(member_id, since)
        names = [field.name for field in fields(SnapshotPoint)]
        return [SnapshotPoint(**{name: row[name] for name in names}) for row in rows]

    async def tariff_plan(self, member_id: int) -> TariffPlan | None:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.tariff_plan`."""
        stored = await self._rows.tariff_plan(member_id)
        return None if stored is None else plan_of(stored)

    async def set_tariff_plan(self, member_id: int, plan: TariffPlan | None) -> None:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.set_tariff_plan`."""
        stored = None if plan is None else plan_json(check_plan(plan))
        await self._rows.put_tariff_plan(member_id, stored, self._clock())

    # --- files ---

    def parse_csv(self, data: bytes) -> csv_import.CsvReport:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.parse_csv`."""
        return csv_import.parse_csv(data, self._gpus, self._platforms, self._clock().date())

    def to_csv(self, holdings: Sequence[Holding]) -> str:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.to_csv`."""
        return csv_import.to_csv(holdings)

    def template_csv(self) -> str:
        """See :meth:`gpuscout.portfolio.ports.PortfolioPort.template_csv`."""
        return csv_import.template_csv()


def _refuse(added: Added, allowed: Allowance, more: int) -> None:
    """Raise what stood in the way of *more* holdings, if anything did."""
    if added.taken is not None:
        raise AlreadyHeld(added.taken)
    if added.full is not None:
        allowed.check(added.full + more)


def _row(draft: HoldingDraft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in VALUES}


def _draft(row: Mapping[str, Any]) -> HoldingDraft:
    return HoldingDraft(**{name: row[name] for name in VALUES})
