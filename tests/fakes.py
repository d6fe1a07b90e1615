"""The services that the cogs need, in memory. Anything undefined raises."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from cogs.services import JobCounts, Services, UnknownGpu
from config.catalogue import GpuCatalogue
from config.currencies import Currencies, Rate
from config.i18n import Text
from config.platforms import PlatformCatalogue
from config.settings import Settings
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.accounts.servers import Servers
from gpuscout.charts.model import ChartSpec
from gpuscout.charts.pool import ChartImage, ChartUnavailable
from gpuscout.delivery.notify_optin import Reach
from gpuscout.delivery.promise import DeliveryTimes
from gpuscout.delivery.webhooks import Webhooks
from gpuscout.digests.compose import DigestComposer
from gpuscout.digests.digests import Digests
from gpuscout.plans.tiers import default_plans
from gpuscout.portfolio.portfolios import Portfolios
from gpuscout.portfolio.ports import OnChange, nothing_follows
from storage.job_model import Job
from tests.fake_accounts import FakeMemberRows, FakeServerRows
from tests.fake_alerts import FakeAlerts
from tests.fake_choices import FakeChoiceRows, FakeTiers
from tests.fake_digests import FakeDigestRows
from tests.fake_mail import FakeDesk
from tests.fake_market import INTERVAL, NAMES, NOW, SEEN, FakeMarket, quote, side
from tests.fake_portfolio import FakeHoldingRows, FakeMachineRows
from tests.fake_webhooks import no_webhooks

__all__ = ["INTERVAL", "NAMES", "NOW", "SEEN", "FakeMarket", "World", "quote", "side"]

# A 1x1 WebP: enough to be an image, cheap enough for every test.
TINY_WEBP = bytes.fromhex("524946461a000000574542505650384c0d0000002f00000010071011118888fe0700")


CURRENCIES = Currencies({"EUR": Rate(per_usd=0.86, as_of=date(2025, 12, 19), source="ECB")})


@dataclass
class FakeCharts:
    """Draws nothing, checks that it was given a spec, and can fail."""

    failing: bool = False
    delay: float = 0.0
    specs: list[ChartSpec] = field(default_factory=list)

    async def render(self, spec: ChartSpec) -> ChartImage:
        assert isinstance(spec, ChartSpec)
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.failing:
            raise ChartUnavailable("the worker died")
        self.specs.append(spec)
        return ChartImage(data=TINY_WEBP, mime="image/webp", extension="webp", key=spec.cache_key())


@dataclass
class FakeUsage:
    """Remembers the events."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def record(
        self,
        name: str,
        *,
        surface: str,
        outcome: str,
        latency_ms: float | None = None,
        plan: str = "free",
        member_id: int | None = None,
        guild_id: int | None = None,
        locale: str | None = None,
    ) -> None:
        self.events.append(
            {
                "name": name,
                "surface": surface,
                "outcome": outcome,
                "latency_ms": latency_ms,
                "member_id": member_id,
                "guild_id": guild_id,
                "locale": locale,
            }
        )

    @property
    def outcomes(self) -> list[tuple[str, str, str]]:
        return [(event["name"], event["surface"], event["outcome"]) for event in self.events]


@dataclass
class FakeBlocklist:
    blocked: set[int] = field(default_factory=set)

    async def blocks(self, user_id: int, guild_id: int | None) -> bool:
        return user_id in self.blocked or guild_id in self.blocked


@dataclass
class FakeGuilds:
    greeted: set[int] = field(default_factory=set)
    gone: list[int] = field(default_factory=list)

    async def claim_greeting(self, guild_id: int, at: datetime) -> bool:
        assert at.tzinfo is not None
        new = guild_id not in self.greeted
        self.greeted.add(guild_id)
        return new

    async def left(self, guild_id: int, at: datetime) -> None:
        self.gone.append(guild_id)


@dataclass
class FakeState:
    values: dict[str, Any] = field(default_factory=dict)
    writes: int = 0

    async def get(self, key: str) -> Any | None:
        return self.values.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.writes += 1
        self.values[key] = value


@dataclass
class FakeOptIn:
    """DMs that work, unless a test says otherwise."""

    reach: Reach = "works"
    asked: list[int] = field(default_factory=list)

    async def ask(self, member_id: int, t: Text) -> Reach:
        self.asked.append(member_id)
        return self.reach


@dataclass
class FakeOperations:
    counts: JobCounts = field(default_factory=lambda: JobCounts(ready=2, running=1, dead=0))
    latency: float | None = 1.8

    async def jobs(self) -> JobCounts:
        return self.counts

    async def database_latency_ms(self) -> float | None:
        return self.latency

    times: DeliveryTimes = field(default_factory=lambda: DeliveryTimes.of([]))
    waiting_since: datetime | None = None
    dead: dict[int, Job] = field(default_factory=dict)
    requeued: list[int] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)
    unknown: list[UnknownGpu] = field(default_factory=list)

    async def delivery_times(self) -> DeliveryTimes:
        return self.times

    async def oldest_due(self) -> datetime | None:
        return self.waiting_since

    async def dead_letters(self, limit: int, offset: int = 0) -> list[Job]:
        newest = sorted(self.dead.values(), key=lambda job: -job.id)
        return newest[offset : offset + limit]

    async def job(self, job_id: int) -> Job | None:
        return self.dead.get(job_id)

    async def retry_dead(self, job_id: int) -> bool:
        self.requeued.append(job_id)
        return self.dead.pop(job_id, None) is not None

    async def discard_dead(self, job_id: int) -> bool:
        self.discarded.append(job_id)
        return self.dead.pop(job_id, None) is not None

    async def unknown_gpus(self, limit: int) -> list[UnknownGpu]:
        return self.unknown[:limit]


@dataclass
class World:
    """All fakes of one test, and the services made of them."""

    market: FakeMarket = field(default_factory=FakeMarket)
    charts: FakeCharts = field(default_factory=FakeCharts)
    usage: FakeUsage = field(default_factory=FakeUsage)
    blocklist: FakeBlocklist = field(default_factory=FakeBlocklist)
    guilds: FakeGuilds = field(default_factory=FakeGuilds)
    member_rows: FakeMemberRows = field(default_factory=FakeMemberRows)
    server_rows: FakeServerRows = field(default_factory=FakeServerRows)
    choice_rows: FakeChoiceRows = field(default_factory=FakeChoiceRows)
    tiers: FakeTiers = field(default_factory=FakeTiers)
    digest_rows: FakeDigestRows = field(default_factory=FakeDigestRows)
    holding_rows: FakeHoldingRows = field(default_factory=FakeHoldingRows)
    machine_rows: FakeMachineRows = field(default_factory=FakeMachineRows)
    state: FakeState = field(default_factory=FakeState)
    operations: FakeOperations = field(default_factory=FakeOperations)
    webhooks: Webhooks = field(default_factory=no_webhooks)
    opt_in: FakeOptIn = field(default_factory=FakeOptIn)
    mail: FakeDesk = field(default_factory=FakeDesk)
    alerts: FakeAlerts = field(init=False)

    def __post_init__(self) -> None:
        self.alerts = FakeAlerts(self.market, self.tiers, self.market.time)

    def services(self, *, charts: bool = True, settings: Settings | None = None) -> Services:
        members = Members(self.member_rows, CURRENCIES, member_hash=str, clock=self.market.time)
        return Services(
            settings=settings or Settings(_env_file=None, public_url="https://gpuscout.example"),
            market=self.market,
            gpus=GpuCatalogue.load(),
            platforms=PlatformCatalogue.load(),
            charts=self.charts if charts else None,
            usage=self.usage,
            blocklist=self.blocklist,
            guilds=self.guilds,
            members=members,
            servers=Servers(self.server_rows, clock=self.market.time),
            choices=DeliveryChoices(self.choice_rows, clock=self.market.time),
            digests=self.digests(members),
            plans=default_plans(),
            tiers=self.tiers,
            portfolios=self.portfolios(members),
            alerts=self.alerts,
            webhooks=self.webhooks,
            opt_in=self.opt_in,
            mail=self.mail,
            state=self.state,
            operations=self.operations,
            clock=self.market.time,
            started_at=NOW - timedelta(days=3, hours=4),
            version="0.1.0",
        )

    def digests(self, members: Members) -> Digests:
        """The real digests over the fakes' rows."""
        composer = DigestComposer(
            self.market,
            members,
            self.digest_rows,
            GpuCatalogue.load(),
            PlatformCatalogue.load(),
            self.portfolios(members),
            simulated=self.market.simulated,
            clock=self.market.time,
        )
        return Digests(
            self.digest_rows, composer, Servers(self.server_rows, clock=self.market.time), clock=self.market.time
        )

    def portfolios(
        self,
        members: Members | None = None,
        *,
        platforms: PlatformCatalogue | None = None,
        on_change: OnChange = nothing_follows,
    ) -> Portfolios:
        """The real portfolios over the fakes' rows."""
        return Portfolios(
            self.holding_rows,
            self.machine_rows,
            self.market,
            members or Members(self.member_rows, CURRENCIES, member_hash=str, clock=self.market.time),
            GpuCatalogue.load(),
            platforms or PlatformCatalogue.load(),
            default_plans(),
            self.tiers,
            lists={"vast": "500.farm"},
            clock=self.market.time,
            on_change=on_change,
        )
