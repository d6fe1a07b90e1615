"""The chart renderer's own counters as metrics, read when the metrics are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gpuscout.charts.pool import RendererStats


class ChartCollector(Collector):
    """The chart renderer's counters as metrics."""

    def __init__(self, stats: Callable[[], RendererStats]) -> None:
        self._stats = stats

    def describe(self) -> Iterable[Metric]:
        """Names only, so that registering does not need a running renderer."""
        return self._families(None)

    def collect(self) -> Iterable[Metric]:
        return self._families(self._stats())

    @staticmethod
    def _families(stats: RendererStats | None) -> Iterable[Metric]:
        render = SummaryMetricFamily("chart_render_seconds", "Time that workers took to draw charts.")
        failures = CounterMetricFamily("chart_failures", "Requests for a chart that got none.")
        timeouts = CounterMetricFamily("chart_worker_timeouts", "Chart workers killed for taking too long.")
        requests = CounterMetricFamily("chart_requests", "Charts asked for, by how they were had.", labels=("how",))
        queued = GaugeMetricFamily("chart_queue", "Charts being drawn or waiting.")
        workers = GaugeMetricFamily("chart_workers", "Chart worker processes that live.")
        cached = GaugeMetricFamily("chart_cache_bytes", "Size of the images kept.")
        if stats is not None:
            render.add_metric((), stats.drawn, stats.drawing_seconds)
            failures.add_metric((), stats.failures)
            timeouts.add_metric((), stats.timeouts)
            for how, count in (("cached", stats.hits), ("joined", stats.joined), ("drawn", stats.misses)):
                requests.add_metric((how,), count)
            queued.add_metric((), stats.queued)
            workers.add_metric((), stats.workers)
            cached.add_metric((), stats.cached_bytes)
        return (render, failures, timeouts, requests, queued, workers, cached)
