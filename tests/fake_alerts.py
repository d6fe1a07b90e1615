"""Alerts in memory, for tests of what shows and changes them. The engine has tests of its own on real databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gpuscout.alerts.absurd import check_plain
from gpuscout.alerts.ports import Absurd, Current, Duplicate, LedgerEntry, Preview, RuleState, RuleView, Watched, Why
from gpuscout.alerts.rules import GpuScope, Owner, Rule, scope_of
from gpuscout.market.models import MarketUnavailable, UnknownSeries
from gpuscout.market.ports import Market
from gpuscout.plans.limits import allowance_of
from gpuscout.plans.tiers import Plans, TierOf, default_plans


@dataclass
class FakeAlerts:
    """Implements :class:`gpuscout.alerts.ports.AlertsPort`.

    Attributes:
        current: what :meth:`preview` shows; None: the scope's median price of the fake market.
        absurd: raised by the next rule that is checked.
    """

    market: Market
    tiers: TierOf
    clock: Callable[[], datetime]
    plans: Plans = field(default_factory=default_plans)
    rules: dict[int, RuleView] = field(default_factory=dict)
    current: Sequence[Current] | None = None
    absurd: Absurd | None = None
    ledger: dict[int, list[LedgerEntry]] = field(default_factory=dict)
    watched: dict[int, list[Watched]] = field(default_factory=dict)
    mutes: set[tuple[int, int]] = field(default_factory=set)
    samples: list[int] = field(default_factory=list)

    async def preview(self, owner: Owner, rule: Rule) -> Preview:
        rule, current = await self._checked(owner, rule)
        allowance = await allowance_of(self.plans, self.tiers, owner.member_id, "alerts")
        return Preview(rule, current, self._same(owner.key, rule), self._live(owner.key), allowance.limit)

    async def create(self, owner: Owner, rule: Rule) -> RuleView:
        rule, _ = await self._checked(owner, rule)
        if (same := self._same(owner.key, rule)) is not None:
            raise Duplicate(same)
        await self._allow(owner, self._live(owner.key) + 1)
        now = self.clock()
        view = RuleView(len(self.rules) + 1, owner, rule, "active", now, now)
        self.rules[view.id] = view
        return view

    async def _checked(self, owner: Owner, rule: Rule) -> tuple[Rule, Sequence[Current]]:
        check_plain(owner, rule, self.clock())
        if self.absurd is not None:
            absurd, self.absurd = self.absurd, None
            raise absurd
        scope, current = scope_of(rule), self.current
        if isinstance(scope, GpuScope):
            try:
                view = await self.market.price(scope.gpu, platform=scope.platform, region=scope.region, tier=scope.tier)
            except (MarketUnavailable, UnknownSeries):
                raise Absurd("no_data") from None
            key = view.quote.key
            settled = scope.model_copy(update={"platform": key.platform, "tier": key.tier})
            rule = rule.model_copy(update={"when": rule.when.model_copy(update={"scope": settled})})
            if current is None:
                price = view.quote.price
                current = [Current("price", price, False, (), key.gpu, key.platform, at=view.quote.at, price=price)]
        return rule, current or ()

    async def _allow(self, owner: Owner, total: int) -> None:
        (await allowance_of(self.plans, self.tiers, owner.member_id, "alerts")).check(total)

    def _live(self, owner_key: str) -> int:
        return sum(v.owner.key == owner_key and v.state in ("active", "paused") for v in self.rules.values())

    def _same(self, owner_key: str, rule: Rule, besides: int = 0) -> RuleView | None:
        for view in self.rules.values():
            live = view.state in ("active", "paused") and view.id != besides
            if live and view.owner.key == owner_key and view.rule.fingerprint == rule.fingerprint:
                return view
        return None

    async def list(self, owner_key: str) -> Sequence[RuleView]:
        return [v for v in self.rules.values() if v.owner.key == owner_key and v.state != "removed"]

    async def get(self, owner_key: str, rule_id: int) -> RuleView | None:
        view = self.rules.get(rule_id)
        return None if view is None or view.owner.key != owner_key or view.state == "removed" else view

    async def _put(self, owner_key: str, rule_id: int, **values: object) -> RuleView | None:
        view = await self.get(owner_key, rule_id)
        if view is None:
            return None
        self.rules[rule_id] = replace(view, **values, updated_at=self.clock())  # type: ignore[arg-type]
        return self.rules[rule_id]

    async def edit(
        self, owner_key: str, rule_id: int, rule: Rule, *, channel_id: int | None = None, role_id: int | None = None
    ) -> RuleView | None:
        view = await self.get(owner_key, rule_id)
        if view is None:
            return None
        rule, _ = await self._checked(view.owner, rule)
        if (same := self._same(owner_key, rule, rule_id)) is not None:
            raise Duplicate(same)
        owner = view.owner
        if channel_id is not None:
            owner = owner.model_copy(update={"channel_id": channel_id, "role_id": role_id})
        state: RuleState = "paused" if view.state == "paused" else "active"
        return await self._put(owner_key, rule_id, rule=rule, owner=owner, state=state)

    async def pause(self, owner_key: str, rule_id: int) -> RuleView | None:
        view = await self.get(owner_key, rule_id)
        return view if view is None or view.state != "active" else await self._put(owner_key, rule_id, state="paused")

    async def resume(self, owner_key: str, rule_id: int) -> RuleView | None:
        view = await self.get(owner_key, rule_id)
        return view if view is None or view.state != "paused" else await self._put(owner_key, rule_id, state="active")

    async def snooze(self, owner_key: str, rule_id: int, until: datetime | None) -> RuleView | None:
        return await self._put(owner_key, rule_id, snoozed_until=until)

    async def renew(self, owner_key: str, rule_id: int, expires_at: datetime | None) -> RuleView | None:
        view = await self.get(owner_key, rule_id)
        if view is None:
            return None
        if view.state not in ("active", "paused"):
            await self._allow(view.owner, self._live(owner_key) + 1)
        manners = view.rule.manners.model_copy(update={"expires_at": expires_at})
        rule = view.rule.model_copy(update={"manners": manners})
        state: RuleState = "paused" if view.state == "paused" else "active"
        return await self._put(owner_key, rule_id, rule=rule, state=state)

    async def remove(self, owner_key: str, rule_id: int) -> RuleView | None:
        return await self._put(owner_key, rule_id, state="removed")

    async def restore(self, owner_key: str, rule_id: int) -> RuleView | None:
        view = self.rules.get(rule_id)
        if view is None or view.owner.key != owner_key or view.state != "removed":
            return None
        if (same := self._same(owner_key, view.rule, rule_id)) is not None:
            raise Duplicate(same)
        await self._allow(view.owner, self._live(owner_key) + 1)
        self.rules[rule_id] = replace(view, state="active", updated_at=self.clock())
        return self.rules[rule_id]

    async def why(
        self, owner_key: str, *, rule_id: int | None = None, notification_id: str | None = None, limit: int = 20
    ) -> Why | None:
        if rule_id is None:
            rows = [(i, entry.notification_id) for i, entries in self.ledger.items() for entry in entries]
            rule_id = next((i for i, found in rows if found == notification_id), 0)
        view = self.rules.get(rule_id)
        if view is None or view.owner.key != owner_key:
            return None
        return Why(view, self.ledger.get(rule_id, [])[:limit], self.watched.get(rule_id, []))

    async def send_test(self, owner_key: str, rule_id: int) -> str | None:
        if await self.get(owner_key, rule_id) is None:
            return None
        self.samples.append(rule_id)
        return f"sample{len(self.samples)}"

    async def mute(self, member_id: int, rule_id: int) -> bool:
        view = self.rules.get(rule_id)
        if view is None or not view.owner.server or view.state == "removed":
            return False
        self.mutes.add((member_id, rule_id))
        return True

    async def unmute(self, member_id: int, rule_id: int) -> bool:
        if (member_id, rule_id) not in self.mutes:
            return False
        self.mutes.discard((member_id, rule_id))
        return True

    async def muted(self, member_id: int) -> Sequence[RuleView]:
        return [self.rules[rule_id] for member, rule_id in sorted(self.mutes) if member == member_id]
