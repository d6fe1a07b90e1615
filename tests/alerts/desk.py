"""The real ingest, alerts and portfolios around one database, with a scripted source and a clock that stands still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from bot.alerts_role import AlertRoom
from bot.bot_role import make_members
from bot.parts import Parts, make_reader
from bot.portfolio_role import make_portfolios
from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from config.settings import Settings
from gpuscout.alerts.rules import (
    ChangeRule,
    Condition,
    GpuScope,
    Manners,
    Owner,
    PriceRule,
    Rule,
    SupplyRule,
)
from gpuscout.market.ingest import Ingest
from gpuscout.plans.tiers import Tier
from storage.alerts_work import AlertSync, StoredUpdate, enqueue_evaluation
from storage.cache import MemoryCache
from storage.engine import Database
from storage.ids import new_id
from storage.jobs import JobStore
from storage.leases import LeaseStore
from storage.machines import MachineState, MachineStore
from storage.market import MarketStore, UpdateRows
from storage.state import AppState
from storage.tables_alerts import alert_ledger, alert_rule, alert_trigger
from storage.tables_delivery import notification, notification_item, outgoing_event
from storage.tables_webhooks import sealed_secret, webhook_endpoint
from tests.market.helpers import FakeClock, ScriptedSource, document, model_v1

START = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
STEP = timedelta(minutes=15)
MEMBER = 42
ANNA = Owner(member_id=MEMBER)
CARD = "RTX 4090"
SCOPE = GpuScope(gpu="rtx-4090")
NOW_COOL = Manners(cooldown=timedelta(0))


class Unlimited:
    """Everybody may have as many rules as wanted."""

    def __init__(self, tier: Tier = "enterprise") -> None:
        self.now = tier

    async def tier(self, member_id: int) -> Tier:
        return self.now


class AlertDesk:
    """Everything that an evaluation needs, over a real database."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = FakeClock(START)
        settings = Settings(_env_file=None, ingest_interval_seconds=900)
        self.parts = Parts(
            settings=settings,
            db=db,
            state=AppState(db, clock=self.clock),
            jobs=JobStore(db, clock=self.clock),
            leases=LeaseStore(db, clock=self.clock),
            store=MarketStore(db),
            cache=MemoryCache(),
            gpus=GpuCatalogue.load(),
            platforms=PlatformCatalogue.load(),
            clock=self.clock,
        )
        self.market = make_reader(self.parts)
        self.members = make_members(self.parts, None, None)
        self.portfolios = make_portfolios(self.parts, self.market, self.members, on_change=AlertSync(self.parts.jobs))
        self.tiers = Unlimited()
        self.room = AlertRoom(self.parts, self.market, self.members, self.portfolios, tiers=self.tiers)
        self.alerts, self.engine = self.room.alerts, self.room.engine
        self.source = ScriptedSource()
        self.ingest = Ingest(
            self.source, self.parts.store, self.parts.state, self.parts.jobs, self.parts.gpus, clock=self.clock
        )

    async def listen(self, owner: str) -> None:
        """Give a member (``member:1``) or server (``guild:1``) a webhook, so that events are written."""
        secret, at = new_id(), self.clock.now
        async with self.db.write() as conn:
            await conn.execute(
                insert(sealed_secret).values(
                    id=secret, owner=owner, purpose="webhook.url", key_id="k", wrapped_key="w", box="b", created_at=at
                )
            )
            await conn.execute(
                insert(webhook_endpoint).values(
                    id=new_id(),
                    owner=owner,
                    kind="http",
                    shown="hooks.example",
                    fingerprint=owner,
                    url_secret=secret,
                    events=["alert.triggered"],
                    state="active",
                    created_at=at,
                )
            )

    async def store(self, *models: Any) -> None:
        """One poll at the present instant, not evaluated."""
        self.source.answers = {"v1": document(self.clock.now, *models)}
        await self.ingest.run()
        self.market.invalidate()

    async def poll(self, *models: Any, after: timedelta = STEP) -> int:
        """A poll *after* the last one, evaluated; how many firings were told."""
        self.clock.now += after
        await self.store(*models)
        return await self.engine.evaluate()

    async def machines(self, *states: MachineState, after: timedelta = STEP) -> int:
        """A list of machines *after* the last poll, evaluated; how many firings were told."""
        self.clock.now += after
        at = int(self.clock.now.timestamp())
        async with self.db.write() as conn:
            source = await self.parts.store.source_id(conn, "500.farm")
            await MachineStore(self.db).upsert(conn, "vast", source, at, states)
            rows = UpdateRows("500.farm", "machines", at * 1000, self.clock.now, 1, len(states), (), (), ())
            update_id = await self.parts.store.store_update(conn, rows)
            assert update_id is not None
            stored = [StoredUpdate(update_id, at)]
            await enqueue_evaluation(conn, self.db, self.parts.jobs, stored, self.clock.now)
        return await self.engine.evaluate()

    async def price(
        self, price: float, rented: int = 30, available: int = 20, name: str = CARD, after: timedelta = STEP
    ) -> int:
        """A poll that says one price."""
        return await self.poll(model_v1(name, rented, available, price), after=after)

    async def day(self, price: float, rented: int = 30, available: int = 20, name: str = CARD) -> int:
        """A day and more of polls, one an hour, that all say one price; how many firings were told."""
        hour = timedelta(hours=1)
        return sum([await self.price(price, rented, available, name, hour) for _ in range(26)])

    async def make(self, when: Condition, owner: Owner = ANNA, **manners: Any) -> int:
        """A stored rule; its id."""
        view = await self.alerts.create(owner, Rule(when=when, manners=Manners(**manners)))
        return view.id

    async def rows(self, table: Any) -> list[Any]:
        async with self.db.read() as conn:
            order = list(table.primary_key.columns)
            return list((await conn.execute(select(table).order_by(*order))).all())

    async def items(self) -> list[dict[str, Any]]:
        """What notifications tell, in the order in which it was added."""
        return [row.payload for row in await self.rows(notification_item)]

    async def notifications(self) -> list[Any]:
        return await self.rows(notification)

    async def sent(self) -> None:
        """As if everything that is pending had been sent."""
        async with self.db.write() as conn:
            await conn.execute(notification.update().values(state="sent"))

    async def ledger(self, rule_id: int, outcome: str | None = None) -> list[Any]:
        rows = [row for row in await self.rows(alert_ledger) if row.rule_id == rule_id]
        return [row for row in rows if outcome in (None, row.outcome)]

    async def triggers(self, rule_id: int) -> list[Any]:
        return [row for row in await self.rows(alert_trigger) if row.rule_id == rule_id]

    async def rules(self) -> list[Any]:
        return await self.rows(alert_rule)

    async def events(self) -> list[Any]:
        return await self.rows(outgoing_event)


def below(level: float, scope: GpuScope = SCOPE) -> PriceRule:
    return PriceRule(scope=scope, direction="below", level=level)


def above(level: float, scope: GpuScope = SCOPE) -> PriceRule:
    return PriceRule(scope=scope, direction="above", level=level)


def change(amount: float, direction: Any = "both", window: Any = "24h", scope: GpuScope = SCOPE) -> ChangeRule:
    return ChangeRule(scope=scope, amount=amount, direction=direction, window=window)


def none_left(scope: GpuScope = SCOPE) -> SupplyRule:
    return SupplyRule(scope=scope, event="none_left")
