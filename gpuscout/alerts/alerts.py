"""Rules of members and servers, for whoever makes, shows and changes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.exc import IntegrityError

from gpuscout.alerts.absurd import check_current, check_plain
from gpuscout.alerts.digest_times import next_digest
from gpuscout.alerts.expand import KeySpec, Part, helpers, parts_of
from gpuscout.alerts.member_things import NOTHING, MemberThings
from gpuscout.alerts.ports import (
    Absurd,
    Attempt,
    Duplicate,
    Preview,
    RuleView,
    Why,
)
from gpuscout.alerts.readings import Readings
from gpuscout.alerts.rules import (
    DigestRule,
    GpuScope,
    HoldingRule,
    MachineRule,
    MachineScope,
    Owner,
    Rule,
    needs_member,
    scope_of,
)
from gpuscout.alerts.rules_rows import owner_of, view_of
from gpuscout.alerts.shown import currents_of, entry_of, hold_of, watched_of
from gpuscout.alerts.tell import Teller
from gpuscout.alerts.values import Reading
from gpuscout.alerts.watching import Watching, receiver_of
from gpuscout.plans.limits import Allowance, allowance_of
from gpuscout.plans.tiers import Plans, TierOf
from storage.alerts import AlertStore
from storage.machines import MachineStore

log = structlog.get_logger(__name__)

KEPT_REMOVED: Final = timedelta(days=1)
"""How long a removed rule can be restored."""


class Alerts:
    """See :class:`gpuscout.alerts.ports.AlertsPort`."""

    def __init__(
        self,
        store: AlertStore,
        watching: Watching,
        things: MemberThings,
        readings: Readings,
        machines: MachineStore,
        teller: Teller,
        plans: Plans,
        tiers: TierOf,
        *,
        clock: Any,
    ) -> None:
        self._store = store
        self._watching = watching
        self._things = things
        self._readings = readings
        self._machines = machines
        self._teller = teller
        self._plans = plans
        self._tiers = tiers
        self._clock = clock

    # --- making ---

    async def preview(self, owner: Owner, rule: Rule) -> Preview:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.preview`."""
        rule, parts, readings = await self._checked(owner, rule)
        allowance = await self._allowance(owner)
        same = await self._store.same(owner.key, rule.fingerprint)
        return Preview(
            rule=rule,
            current=currents_of(parts, readings),
            duplicate=None if same is None else view_of(same),
            used=await self._store.live(owner.key),
            limit=allowance.limit,
        )

    async def create(self, owner: Owner, rule: Rule) -> RuleView:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.create`."""
        rule, parts, readings = await self._checked(owner, rule)
        allowance = await self._allowance(owner)
        ids = await self._watching.series_ids(parts)
        now = self._clock()
        try:
            async with self._store.db.write() as conn:
                await self._store.lock(conn, receiver_of(owner))
                same = await self._store.same(owner.key, rule.fingerprint, conn)
                if same is not None:
                    raise Duplicate(view_of(same))
                allowance.check(await self._store.live(owner.key, conn) + 1)
                values = {
                    "owner": owner.key,
                    **owner.model_dump(),
                    **await self._columns(owner, rule),
                    "state": "active",
                    "created_at": now,
                    "updated_at": now,
                }
                rule_id = await self._store.insert(conn, values)
                await self._watching.fit(conn, rule_id, receiver_of(owner), rule, parts, readings, ids)
        except IntegrityError:
            same = await self._store.same(owner.key, rule.fingerprint)
            if same is None:
                raise
            raise Duplicate(view_of(same)) from None
        return await self._shown(owner.key, rule_id)

    async def _checked(self, owner: Owner, rule: Rule) -> tuple[Rule, list[Part], dict[Any, Reading]]:
        """The rule settled, its parts and their present readings."""
        check_plain(owner, rule, self._clock())
        rule = await self._settled(rule)
        things = await self._things.of(owner.member_id, rule) if needs_member(rule) else NOTHING
        when = rule.when
        if isinstance(when, HoldingRule) and when.holding_id not in (None, *(held.id for held in things.holdings)):
            raise Absurd("none")
        machine = when.scope if isinstance(when, MachineRule) and isinstance(when.scope, MachineScope) else None
        if machine is not None and await self._machines.get(machine.platform, machine.machine_id) is None:
            raise Absurd("unknown_machine")
        parts = [] if isinstance(when, DigestRule) else parts_of(rule, owner.member_id, things)
        readings = await self._read(parts)
        check_current(rule, parts, readings)
        return rule, parts, readings

    async def _read(self, parts: Sequence[Part]) -> dict[Any, Reading]:
        specs: dict[Any, KeySpec] = {part.key.identity: part.key for part in parts}
        specs |= {key.identity: key for key in helpers(parts)}
        return await self._readings.current(list(specs.values()))

    async def _settled(self, rule: Rule) -> Rule:
        """Platform and tier of a GPU that were left open, settled by the largest sample.

        Raises:
            Absurd: nothing is known of it.
        """
        scope = scope_of(rule)
        if not isinstance(scope, GpuScope):
            return rule
        key = await self._things.headline(scope.gpu, scope.platform, scope.tier, scope.region)
        if key is None:
            raise Absurd("no_data")
        settled = scope.model_copy(update={"platform": key.platform, "tier": key.tier, "region": key.region})
        return rule.model_copy(update={"when": rule.when.model_copy(update={"scope": settled})})

    async def _allowance(self, owner: Owner) -> Allowance:
        return await allowance_of(self._plans, self._tiers, owner.member_id, "alerts")

    async def _columns(self, owner: Owner, rule: Rule) -> dict[str, Any]:
        scope = scope_of(rule)
        digest = rule.when if isinstance(rule.when, DigestRule) else None
        zone = await self._teller.zone(owner.member_id) if digest is not None else UTC
        return {
            "kind": rule.kind,
            "scope": "portfolio" if rule.kind in ("holding", "fleet") else scope.type if scope is not None else "none",
            "spec": rule.model_dump(mode="json"),
            "fingerprint": rule.fingerprint,
            "expires_at": rule.manners.expires_at,
            "next_at": None if digest is None else next_digest(digest, zone, self._clock()),
        }

    # --- showing ---

    async def list(self, owner_key: str) -> Sequence[RuleView]:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.list`."""
        return [view_of(row) for row in await self._store.list(owner_key)]

    async def get(self, owner_key: str, rule_id: int) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.get`."""
        row = await self._store.get(owner_key, rule_id)
        return None if row is None or row.state == "removed" else view_of(row)

    async def _shown(self, owner_key: str, rule_id: int) -> RuleView:
        row = await self._store.get(owner_key, rule_id)
        if row is None:
            raise RuntimeError(f"rule {rule_id} is gone")
        return view_of(row)

    async def why(
        self, owner_key: str, *, rule_id: int | None = None, notification_id: str | None = None, limit: int = 20
    ) -> Why | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.why`."""
        if rule_id is None and notification_id is not None:
            behind = await self._store.rules_behind(owner_key, notification_id)
            rule_id = behind[0] if behind else None
        row = await self._store.get(owner_key, rule_id) if rule_id is not None else None
        if row is None or rule_id is None:
            return None
        entries = await self._store.entries(rule_id, limit)
        attempts: dict[str, list[Attempt]] = {}
        for tried in await self._store.attempts({e.notification_id for e in entries if e.notification_id}):
            attempts.setdefault(tried.notification_id, []).append(
                Attempt(tried.at, tried.channel, tried.outcome, tried.detail, tried.message_id)
            )
        told = [entry_of(e, attempts.get(e.notification_id, [])) for e in entries]
        known = {(e.metric, e.subject, e.reason, e.at.date()) for e in told}
        holds = [
            held
            for h in await self._store.holds(rule_id, int(row.created_at.timestamp()), limit)
            if (held := hold_of(h)) and (held.metric, held.subject, held.reason, held.at.date()) not in known
        ]
        return Why(
            view_of(row),
            sorted((*told, *holds), key=lambda entry: entry.last_at, reverse=True)[:limit],
            [watched_of(w) for w in await self._store.watched(rule_id)],
        )

    # --- changing ---

    async def edit(
        self, owner_key: str, rule_id: int, rule: Rule, *, channel_id: int | None = None, role_id: int | None = None
    ) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.edit`."""
        row = await self._store.get(owner_key, rule_id)
        if row is None or row.state == "removed":
            return None
        where = {"channel_id": channel_id, "role_id": role_id, "trouble": None} if channel_id is not None else {}
        owner = owner_of(row)
        rule, parts, readings = await self._checked(owner, rule)
        allowance = await self._allowance(owner)
        state = "paused" if row.state == "paused" else "active"
        values = {**where, **await self._columns(owner, rule), "state": state}
        was = ("active", "paused", "expired", "done")
        return await self._begin(owner, rule_id, was, rule, parts, readings, values, allowance)

    async def resume(self, owner_key: str, rule_id: int) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.resume`."""
        return await self._again(owner_key, rule_id, ("paused",), {})

    async def renew(self, owner_key: str, rule_id: int, expires_at: datetime | None) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.renew`."""
        if expires_at is not None and expires_at <= self._clock():
            raise Absurd("past")
        row = await self._store.get(owner_key, rule_id)
        if row is None or row.state == "removed":
            return None
        rule = Rule.model_validate(row.spec)
        rule = rule.model_copy(update={"manners": rule.manners.model_copy(update={"expires_at": expires_at})})
        values = {"expires_at": expires_at, "spec": rule.model_dump(mode="json")}
        if row.state in ("active", "paused"):
            return await self._set(owner_key, rule_id, values)
        return await self._again(owner_key, rule_id, ("expired", "done"), values, rule)

    async def restore(self, owner_key: str, rule_id: int) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.restore`."""
        row = await self._store.get(owner_key, rule_id)
        if row is None or row.updated_at < self._clock() - KEPT_REMOVED:
            return None
        return await self._again(owner_key, rule_id, ("removed",), {})

    async def pause(self, owner_key: str, rule_id: int) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.pause`."""
        return await self._stop(owner_key, rule_id, "paused", ("active",))

    async def remove(self, owner_key: str, rule_id: int) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.remove`."""
        return await self._stop(owner_key, rule_id, "removed", ("active", "paused", "expired", "done"))

    async def snooze(self, owner_key: str, rule_id: int, until: datetime | None) -> RuleView | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.snooze`."""
        return await self._set(owner_key, rule_id, {"snoozed_until": until})

    async def _set(self, owner_key: str, rule_id: int, values: dict[str, Any]) -> RuleView | None:
        async with self._store.db.write() as conn:
            row = await self._store.get(owner_key, rule_id, conn)
            if row is None or row.state == "removed":
                return None
            await self._store.change(conn, rule_id, {**values, "updated_at": self._clock()})
        return await self._shown(owner_key, rule_id)

    async def _stop(self, owner_key: str, rule_id: int, state: str, was: Sequence[str]) -> RuleView | None:
        async with self._store.db.write() as conn:
            row = await self._store.get(owner_key, rule_id, conn)
            if row is None or row.state == "removed":
                return None
            if row.state in was:
                await self._store.forget_triggers(conn, rule_id)
                await self._store.change(conn, rule_id, {"state": state, "updated_at": self._clock()})
        return await self._shown(owner_key, rule_id)

    async def _again(
        self,
        owner_key: str,
        rule_id: int,
        was: Sequence[str],
        values: dict[str, Any],
        rule: Rule | None = None,
    ) -> RuleView | None:
        """Watch a rule again that was stopped, as one just made."""
        row = await self._store.get(owner_key, rule_id)
        if row is None:
            return None
        if row.state not in was:
            return None if row.state == "removed" else view_of(row)
        rule = rule or Rule.model_validate(row.spec)
        owner = owner_of(row)
        if rule.manners.expires_at is not None and rule.manners.expires_at <= self._clock():
            rule = rule.model_copy(update={"manners": rule.manners.model_copy(update={"expires_at": None})})
        rule, parts, readings = await self._checked(owner, rule)
        allowance = await self._allowance(owner)
        values = {
            **await self._columns(owner, rule),
            **values,
            "state": "active",
            "snoozed_until": None,
            "trouble": None,
        }
        return await self._begin(owner, rule_id, was, rule, parts, readings, values, allowance)

    async def _begin(
        self,
        owner: Owner,
        rule_id: int,
        was: Sequence[str],
        rule: Rule,
        parts: Sequence[Part],
        readings: dict[Any, Reading],
        values: dict[str, Any],
        allowance: Allowance,
    ) -> RuleView | None:
        """Store a rule in a new form and watch it from the start (not at all while it is paused)."""
        ids = await self._watching.series_ids(parts)
        async with self._store.db.write() as conn:
            await self._store.lock(conn, receiver_of(owner))
            row = await self._store.get(owner.key, rule_id, conn)
            if row is None or row.state not in was:
                return None  # somebody else was quicker
            same = await self._store.same(owner.key, rule.fingerprint, conn, besides=rule_id)
            if same is not None:
                raise Duplicate(view_of(same))
            allowance.check(await self._store.live(owner.key, conn, besides=rule_id) + 1)
            await self._store.forget_triggers(conn, rule_id)
            await self._store.change(conn, rule_id, {**values, "updated_at": self._clock()})
            if values.get("state", row.state) == "active":
                await self._watching.fit(conn, rule_id, receiver_of(owner), rule, parts, readings, ids)
        return await self._shown(owner.key, rule_id)

    # --- telling ---

    async def send_test(self, owner_key: str, rule_id: int) -> str | None:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.send_test`."""
        row = await self._store.get(owner_key, rule_id)
        if row is None or row.state == "removed":
            return None
        rule, owner = Rule.model_validate(row.spec), owner_of(row)
        things = await self._things.of(owner.member_id, rule) if needs_member(rule) else NOTHING
        parts = [] if isinstance(rule.when, DigestRule) else parts_of(rule, owner.member_id, things)
        readings = await self._read(parts)
        return await self._teller.sample(row, owner, rule, parts, readings)

    async def mute(self, member_id: int, rule_id: int) -> bool:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.mute`."""
        row = await self._store.any(rule_id)
        if row is None or not row.server or row.state == "removed":
            return False
        await self._store.mute(member_id, rule_id, self._clock())
        return True

    async def unmute(self, member_id: int, rule_id: int) -> bool:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.unmute`."""
        return await self._store.unmute(member_id, rule_id)

    async def muted(self, member_id: int) -> Sequence[RuleView]:
        """See :meth:`gpuscout.alerts.ports.AlertsPort.muted`."""
        return [view_of(row) for row in await self._store.muted(member_id)]

    # --- following what rules are about ---

    async def sync(self, member_id: int | None = None) -> int:
        """Fit rules about portfolios and watchlists to what the members have now; how many changed."""
        changed = 0
        for row in await self._store.of_scopes(member_id):
            try:
                changed += await self._sync(row)
            except Exception:
                if member_id is not None:
                    raise  # his job tries again; one member's trouble stops no other's
                log.exception("alert_not_synced", rule=row.id)
        return changed

    async def _sync(self, row: Any) -> bool:
        owner, rule = owner_of(row), Rule.model_validate(row.spec)
        parts = parts_of(rule, owner.member_id, await self._things.of(owner.member_id, rule))
        readings = await self._read(parts)
        ids = await self._watching.series_ids(parts)
        async with self._store.db.write() as conn:
            again = await self._store.get(owner.key, row.id, conn)
            if again is None or again.state != "active" or again.updated_at != row.updated_at:
                return False
            return await self._watching.fit(conn, row.id, receiver_of(owner), rule, parts, readings, ids)
