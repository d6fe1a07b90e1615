"""What the cogs need of the rest of the program, by constructor. The composition root fills it in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import discord

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from config.settings import Settings
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.accounts.servers import Servers
from gpuscout.alerts.ports import AlertsPort
from gpuscout.charts.model import ChartSpec
from gpuscout.delivery.mail.desk import Desk
from gpuscout.delivery.notify_optin import OptIn
from gpuscout.delivery.promise import DeliveryTimes
from gpuscout.delivery.webhooks import Webhooks
from gpuscout.digests.digests import Digests
from gpuscout.market.ports import Market
from gpuscout.plans.tiers import Plans, TierOf
from gpuscout.portfolio.ports import PortfolioPort
from gpuscout.telemetry.usage import UsageRecorder
from storage.job_model import Job


class ChartImage(Protocol):
    """An encoded chart."""

    @property
    def data(self) -> bytes: ...
    @property
    def extension(self) -> str: ...


class Charts(Protocol):
    """Draws charts in worker processes."""

    async def render(self, spec: ChartSpec) -> ChartImage:
        """The image, from the cache when it was drawn before.

        Raises:
            gpuscout.charts.pool.ChartUnavailable: the renderer is busy, slow or broken.
        """
        ...


class Blocklist(Protocol):
    """Members and servers that the operator shut out."""

    async def blocks(self, user_id: int, guild_id: int | None) -> bool:
        """Whether this member or server is blocked. Cheap: asked for each interaction."""
        ...


class GuildRegister(Protocol):
    """Which servers the bot is in, and which it has greeted."""

    async def claim_greeting(self, guild_id: int, at: datetime) -> bool:
        """Note the join; True for exactly one caller in the life of the database."""
        ...

    async def left(self, guild_id: int, at: datetime) -> None:
        """Note that the bot was removed."""
        ...


class StateStore(Protocol):
    """Small pieces of state that outlive the process (JSON values)."""

    async def get(self, key: str) -> Any:
        """The value, or None."""
        ...

    async def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        ...


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Background work: waiting, running, and given up."""

    ready: int = 0
    running: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class UnknownGpu:
    """A name that a market source gave and the catalogue does not know."""

    name: str
    slug: str
    times: int
    last_seen: datetime


class Operations(Protocol):
    """How the program itself is doing, for ``/status`` and ``/ops``."""

    async def jobs(self) -> JobCounts:
        """Background work by state."""
        ...

    async def database_latency_ms(self) -> float | None:
        """Time of one trivial query in milliseconds; None when the database does not answer."""
        ...

    async def delivery_times(self) -> DeliveryTimes:
        """How long alerts took from the poll to the DM in the last seven days; at most a minute old."""
        ...

    async def oldest_due(self) -> datetime | None:
        """Since when the oldest job that is due has been waiting."""
        ...

    async def dead_letters(self, limit: int, offset: int = 0) -> Sequence[Job]:
        """Jobs that were given up, newest first."""
        ...

    async def job(self, job_id: int) -> Job | None:
        """One job, in whatever state."""
        ...

    async def retry_dead(self, job_id: int) -> bool:
        """Give a dead job a fresh set of tries; False when it is none."""
        ...

    async def discard_dead(self, job_id: int) -> bool:
        """Close a dead job for good; False when it is none."""
        ...

    async def unknown_gpus(self, limit: int) -> Sequence[UnknownGpu]:
        """Names that the catalogue does not know, most often seen first."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a cog may ask.

    Attributes:
        settings: The process's settings.
        market: Read side of the market.
        gpus: GPU catalogue.
        platforms: Platform catalogue.
        charts: Chart renderer; None makes every card text-only.
        usage: Where usage events go.
        blocklist: Who is shut out.
        guilds: Servers and greetings.
        members: What members chose, and their watchlists.
        servers: What servers chose.
        choices: Where and when members want to hear.
        digests: Subscriptions to digests.
        plans: What each plan allows.
        tiers: Which plan a member is on.
        portfolios: What members hold, what it is worth, and advice.
        alerts: Rules of members and servers.
        webhooks: Where members' and servers' events are sent.
        opt_in: The first DM, when a member asks to be told something.
        mail: Members' e-mail addresses.
        state: Small persistent state (command hash and ids).
        operations: Jobs and database, for ``/status``.
        clock: Current time, aware UTC.
        started_at: Start of the process.
        version: Version shown by ``/about``.
    """

    settings: Settings
    market: Market
    gpus: GpuCatalogue
    platforms: PlatformCatalogue
    charts: Charts | None
    usage: UsageRecorder
    blocklist: Blocklist
    guilds: GuildRegister
    members: Members
    servers: Servers
    choices: DeliveryChoices
    digests: Digests
    plans: Plans
    tiers: TierOf
    portfolios: PortfolioPort
    alerts: AlertsPort
    webhooks: Webhooks
    opt_in: OptIn
    mail: Desk
    state: StateStore
    operations: Operations
    clock: Callable[[], datetime]
    started_at: datetime
    version: str

    @property
    def methodology_url(self) -> str:
        """The page that explains every figure."""
        return f"{self.settings.public_url}/methodology"

    @property
    def privacy_url(self) -> str:
        """The page that says what is stored and how to erase it."""
        return f"{self.settings.public_url}/privacy"

    @property
    def terms_url(self) -> str:
        """The terms of use."""
        return f"{self.settings.public_url}/terms"

    def platform_name(self, slug: str) -> str:
        """A platform as people call it; its slug when it is not in the catalogue."""
        return self.platforms.name_of(slug)

    def source_link(self, slug: str) -> tuple[str, str | None]:
        """Name and address of a price source."""
        slug, _, part = slug.partition("/")  # one source may be watched in parts: 500.farm/machines
        source = self.platforms.source(slug)
        name, url = (source.name, source.url) if source is not None else (slug, None)
        return (f"{name} · {part}", url) if part else (name, url)


class ScoutClient(Protocol):
    """What a component may ask of the client that discord.py hands it: the one seam besides constructors."""

    services: Services

    async def admit(self, interaction: discord.Interaction[Any]) -> None:
        """Let an interaction in or raise the reason."""
        ...

    def mention(self, command: str) -> str:
        """A clickable ``</command:id>``, or the plain ``/command`` while its id is unknown."""
        ...
