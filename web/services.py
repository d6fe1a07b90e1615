"""What the web role works with. The composition root builds one :class:`WebServices` and hands it over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from config.settings import Settings
from gpuscout.charts.model import ChartSpec
from gpuscout.delivery.mail.desk import MailDesk
from gpuscout.delivery.mail.events import MAX_BODY, EventDoor
from gpuscout.market.models import History, PriceView
from gpuscout.market.ports import Market
from gpuscout.telemetry.metrics import Metrics
from gpuscout.telemetry.usage import UsageRecorder, outcome_of_status
from web.ratelimit import LOOPBACK, Network


def utc_now() -> datetime:
    """The time now, aware UTC."""
    return datetime.now(UTC)


class Image(Protocol):
    """A drawn chart."""

    @property
    def data(self) -> bytes: ...
    @property
    def mime(self) -> str: ...


class Renderer(Protocol):
    """Draws charts; ``gpuscout.charts.pool.ChartRenderer`` is the implementation."""

    async def render(self, spec: ChartSpec) -> Image:
        """Raises ``ChartUnavailable`` when it cannot be drawn."""
        ...


class ChartSpecBuilder(Protocol):
    """Describes the chart of a price view and its history."""

    def __call__(
        self, view: PriceView, history: History, *, timezone: str, image_format: Literal["webp", "png"]
    ) -> ChartSpec: ...


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """One thing that must hold before traffic is sent here.

    ``check`` answers None when all is well, else one sentence without secrets. A check that is not *critical* only
    degrades: it is reported, and the process still counts as ready.
    """

    name: str
    check: Callable[[], Awaitable[str | None]]
    critical: bool = True


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Limits of the web role. The rate is per client address; generous for people, tight enough for a runaway loop."""

    requests_per_second: float = 5.0
    burst: int = 200
    request_seconds: float = 15.0
    max_body_bytes: int = 64 * 1024
    larger_bodies: Mapping[str, int] = field(default_factory=lambda: {"/webhooks/sendgrid": MAX_BODY})
    """Routes that read more, and how much; they count themselves while they read."""
    shutdown_seconds: float = 2.0
    """How long running requests may go on after the stop, and again how long they may take to be cancelled."""
    check_seconds: float = 3.0
    trusted_proxies: tuple[Network, ...] = LOOPBACK
    """Peers whose ``X-Forwarded-For`` is believed."""


@dataclass(frozen=True, slots=True)
class WebServices:
    """Everything the routes need, by constructor."""

    settings: Settings
    market: Market
    catalogue: GpuCatalogue
    platforms: PlatformCatalogue
    metrics: Metrics
    charts: Renderer | None = None
    """None, here or for ``chart_spec``, switches ``/chart`` off with a 503 that says so."""
    chart_spec: ChartSpecBuilder | None = None
    readiness: Sequence[ReadinessCheck] = ()
    """Checks beside the built-in one that there are market data: database, migrations and the like."""
    usage: UsageRecorder | None = None
    clock: Callable[[], datetime] = utc_now
    version: str = "unknown"
    methodology: str | None = None
    """Markdown of ``/methodology``; None reads the page that ships with the package."""
    limits: WebLimits = field(default_factory=WebLimits)
    mail: MailDesk | None = None
    """What mails' links do; None: e-mail is off."""
    mail_events: EventDoor | None = None
    """The mail service's events; None: its key is not set."""

    def is_simulated(self, *sources: str) -> bool:
        """Whether figures of these sources are a simulator's and must say so."""
        known = (self.platforms.source(slug) for slug in sources)
        return self.settings.simulated or any(source is not None and source.simulated for source in known)

    def record_use(self, route: str, status: int, seconds: float) -> None:
        """Note one use of a page or of the API; nothing about who asked is kept."""
        if route.startswith("/api/"):
            surface = "api"
        elif route in ("/", "/methodology", "/privacy", "/terms") or route.startswith("/chart/"):
            surface = "web"
        else:
            return
        if self.usage is not None:
            self.usage.record(route, surface=surface, outcome=outcome_of_status(status), latency_ms=seconds * 1000)
