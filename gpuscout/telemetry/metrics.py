"""Every metric of the process, on a registry of its own.

Names follow Prometheus' conventions (base units, ``_total`` on counters). Labels are bounded: a value that could
come from outside (a reject reason, a command name) is folded to ``other`` once a label has shown its limit of
distinct values, so no input can grow the registry without end.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector

from gpuscout.charts.pool import RendererStats
from gpuscout.telemetry.chart_metrics import ChartCollector

# The text format would carry a second series, the time of creation, beside each counter and histogram.
disable_created_metrics()  # type: ignore[no-untyped-call]

OTHER = "other"
BREAKER_STATES = ("closed", "half-open", "open")
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OUTSIDE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_DELIVERY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_LOOP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Bounded:
    """Lets through at most *limit* distinct values of a label; later new ones become ``other``."""

    def __init__(self, limit: int = 64, length: int = 80) -> None:
        self._limit = limit
        self._length = length
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        # A lone surrogate, as JSON may carry it, could not be written out and would end every later reading.
        value = value[: self._length].encode("utf-8", "replace").decode() or OTHER
        if value in self._seen:
            return value
        if len(self._seen) >= self._limit:
            return OTHER
        self._seen.add(value)
        return value


class Metrics:
    """The process's metrics: one object, handed to whoever has something to count.

    Args:
        version: release shown in ``gpuscout_build_info``.
        clock: epoch seconds; ages are computed with it when the metrics are read.
    """

    def __init__(self, version: str = "unknown", clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        reg = self.registry
        ProcessCollector(registry=reg)
        Info("gpuscout_build", "Release of GPUScout and of Python that run here.", registry=reg).info(
            {"version": version, "python": platform.python_version()}
        )
        self._started = Gauge(
            "gpuscout_start_time_seconds", "When this process built its metrics, epoch seconds.", registry=reg
        )
        self._started.set(clock())

        self._http = Histogram(
            "http_server_request_duration_seconds",
            "Time to answer a request of the web role, by route template.",
            ("method", "route", "status"),
            buckets=_REQUEST_SECONDS,
            registry=reg,
        )

        self._cycles = Counter(
            "ingest_cycles", "Ingest cycles run, by source and outcome.", ("source", "outcome"), registry=reg
        )
        self._read = Counter("ingest_read", "Items read from market sources.", ("source",), registry=reg)
        self._rejected = Counter(
            "ingest_rejected", "Items rejected by validation, by reason.", ("source", "reason"), registry=reg
        )
        self._stored = Counter("ingest_stored", "Quotes stored.", ("source",), registry=reg)
        self._ingest_seconds = Histogram(
            "ingest_seconds", "Length of an ingest cycle.", ("source",), buckets=_OUTSIDE_SECONDS, registry=reg
        )
        self._age = Gauge(
            "market_data_age_seconds",
            "Age of the newest stored quotes of a source, by the source's own time.",
            ("source",),
            registry=reg,
        )

        self._external = Histogram(
            "external_request_duration_seconds",
            "Time of requests to outside services, by service and outcome.",
            ("service", "outcome"),
            buckets=_OUTSIDE_SECONDS,
            registry=reg,
        )
        self._up = Gauge(
            "external_up",
            "1 when the last request to an outside service succeeded, else 0.",
            ("service",),
            registry=reg,
        )
        self._breaker = Gauge(
            "breaker_state",
            "State of an outside service's circuit breaker: 1 on the state it is in, 0 on the others.",
            ("service", "state"),
            registry=reg,
        )

        self._jobs = Gauge("jobs", "Rows of the job table, by state.", ("state",), registry=reg)
        self._oldest = Gauge(
            "job_oldest_ready_seconds",
            "How long the oldest job that is due has been waiting for a worker; 0 when none is due.",
            registry=reg,
        )
        self._notifications = Counter(
            "notifications",
            "Tries to deliver a notification, by kind, channel and outcome.",
            ("kind", "via", "outcome"),
            registry=reg,
        )
        self._poll_to_message = Histogram(
            "poll_to_message_seconds",
            "From the poll that fired an alert to its DM, quiet hours left out.",
            buckets=_DELIVERY_SECONDS,
            registry=reg,
        )
        self._cache = Counter(
            "cache_requests", "Look-ups in the cache, by result (hit, miss).", ("result",), registry=reg
        )
        self._cache_seen: dict[str, int] = {}
        self._loop = Histogram(
            "event_loop_delay_seconds",
            "How much later than asked the event loop woke a sleeping task.",
            buckets=_LOOP_SECONDS,
            registry=reg,
        )
        self._gateway = Gauge(
            "discord_gateway_latency_seconds",
            "Time between the last heartbeat of a shard and Discord's answer.",
            ("shard",),
            registry=reg,
        )
        self._command = Histogram(
            "command_duration_seconds",
            "Time from receiving a command to its finished answer, by command and outcome.",
            ("command", "outcome"),
            buckets=_REQUEST_SECONDS,
            registry=reg,
        )

        self._source, self._service, self._reason = Bounded(), Bounded(), Bounded()
        self._command_name, self._outcome = Bounded(128), Bounded()
        self._route, self._job_state = Bounded(128), Bounded()
        self._kind = Bounded()

    # --- Web --------------------------------------------------------------------------------------------------------

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; *route* is the template (``/api/v1/prices/{gpu}/history``), never the path."""
        method = method if method in HTTP_METHODS else "OTHER"
        self._http.labels(method, self._route(route), str(status)).observe(seconds)

    # --- Market -----------------------------------------------------------------------------------------------------

    def ingest_cycle(
        self,
        source: str,
        *,
        outcome: str,
        read: int = 0,
        rejected: Mapping[str, int] | None = None,
        stored: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Count one cycle: *rejected* maps a reason to how many items it struck."""
        source = self._source(source)
        self._cycles.labels(source, self._outcome(outcome)).inc()
        self._read.labels(source).inc(read)
        self._stored.labels(source).inc(stored)
        self._ingest_seconds.labels(source).observe(seconds)
        for reason, count in (rejected or {}).items():
            self._rejected.labels(source, self._reason(reason)).inc(count)

    def market_data_at(self, source: str, at: datetime) -> None:
        """Note the source time of the newest stored quotes; the age grows by itself from then on."""
        seen = at.timestamp()
        self._age.labels(self._source(source)).set_function(lambda: max(0.0, self._clock() - seen))

    # --- Outside services -------------------------------------------------------------------------------------------

    def external_request(self, service: str, outcome: str, seconds: float) -> None:
        """Count one request to an outside service, retries each on their own."""
        self._external.labels(self._service(service), self._outcome(outcome)).observe(seconds)

    def external_up(self, service: str, up: bool) -> None:
        """Note whether a service answers."""
        self._up.labels(self._service(service)).set(1 if up else 0)

    def breaker_state(self, service: str, state: str) -> None:
        """Note the state of a breaker: ``closed``, ``half-open`` or ``open``.

        Raises:
            ValueError: for any other state.
        """
        state = state.replace("_", "-").lower()
        if state not in BREAKER_STATES:
            raise ValueError(f"unknown breaker state {state!r}")
        service = self._service(service)
        for each in BREAKER_STATES:
            self._breaker.labels(service, each).set(1 if each == state else 0)

    def gateway_latency(self, shard: int, seconds: float) -> None:
        """Note the heartbeat latency of a shard; NaN before the first heartbeat is left out."""
        if seconds == seconds and seconds != float("inf"):
            self._gateway.labels(str(shard)).set(seconds)

    # --- Inside -----------------------------------------------------------------------------------------------------

    def jobs(self, counts: Mapping[str, int]) -> None:
        """Set the number of jobs by state; states that are not named keep their label and become 0."""
        named = {self._job_state(state): count for state, count in counts.items()}
        known = {sample.labels["state"] for family in self._jobs.collect() for sample in family.samples}
        for state in known | named.keys():
            self._jobs.labels(state).set(named.get(state, 0))

    def job_oldest_ready(self, seconds: float) -> None:
        """Set how long the oldest due job has been waiting."""
        self._oldest.set(seconds)

    def notification(self, kind: str, via: str, outcome: str) -> None:
        """Count one try to deliver a notification."""
        self._notifications.labels(self._kind(kind), self._kind(via), self._outcome(outcome)).inc()

    def poll_to_message(self, seconds: float) -> None:
        """Count one DM by the time since the poll that caused it."""
        self._poll_to_message.observe(seconds)

    def cache_requests(self, hits: int, misses: int) -> None:
        """Note the cache's own counters since the start; they only grow."""
        for result, total in (("hit", hits), ("miss", misses)):
            grown = total - self._cache_seen.get(result, 0)
            self._cache.labels(result).inc(max(0, grown))
            self._cache_seen[result] = total

    def watch_charts(self, stats: Callable[[], RendererStats]) -> None:
        """Read the chart renderer's own counters whenever the metrics are read.

        Raises:
            ValueError: a renderer is watched already.
        """
        self.registry.register(ChartCollector(stats))

    def loop_delay(self, seconds: float) -> None:
        """Count one sample of the event loop's delay."""
        self._loop.observe(seconds)

    def command(self, command: str, outcome: str, seconds: float) -> None:
        """Count one finished command, button or modal of the bot."""
        self._command.labels(self._command_name(command), self._outcome(outcome)).observe(seconds)

    # --- Reading ----------------------------------------------------------------------------------------------------

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type: OpenMetrics where *accept* asks for it, else Prometheus text."""
        # The library's own negotiation parses the version in the header and raises on a bad one.
        wanted = {part.split(";")[0].strip().lower() for part in accept.split(",")}
        if "application/openmetrics-text" in wanted:
            write: Callable[[CollectorRegistry], bytes] = openmetrics.generate_latest
            return write(self.registry), openmetrics.CONTENT_TYPE_LATEST
        return exposition.generate_latest(self.registry), exposition.CONTENT_TYPE_PLAIN_0_0_4
