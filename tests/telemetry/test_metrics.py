from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gpuscout.charts.pool import RendererStats
from gpuscout.telemetry.metrics import OTHER, Bounded, Metrics


def families(metrics: Metrics) -> dict[str, Metric]:
    text, _ = metrics.expose()
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def values(metrics: Metrics, sample: str) -> dict[tuple[str, ...], float]:
    """Samples of one name, by the values of their labels in the order of the labels' names."""
    found = [s for family in families(metrics).values() for s in family.samples if s.name == sample]
    return {tuple(label for _, label in sorted(s.labels.items())): s.value for s in found}


def test_every_metric_has_a_help_text_and_an_own_registry() -> None:
    first, second = Metrics("1.0"), Metrics("2.0")
    found = families(first)
    assert all(family.documentation for family in found.values())
    assert {"ingest_cycles", "jobs", "breaker_state", "event_loop_delay_seconds", "process_cpu_seconds"} <= set(found)
    assert values(first, "gpuscout_build_info") != values(second, "gpuscout_build_info")


def test_an_ingest_cycle_is_counted() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.ingest_cycle(
            "500.farm", outcome="ok", read=88, rejected={"price below zero": 2}, stored=86, seconds=1.5
        )
    metrics.ingest_cycle("500.farm", outcome="failed", seconds=31.0)
    assert values(metrics, "ingest_cycles_total") == {("ok", "500.farm"): 2, ("failed", "500.farm"): 1}
    assert values(metrics, "ingest_read_total") == {("500.farm",): 176}
    assert values(metrics, "ingest_rejected_total") == {("price below zero", "500.farm"): 4}
    assert values(metrics, "ingest_stored_total") == {("500.farm",): 172}
    assert values(metrics, "ingest_seconds_sum") == {("500.farm",): 34.0}


def test_the_age_of_the_data_grows_while_nothing_happens() -> None:
    now = [1_800_000_000.0]
    metrics = Metrics(clock=lambda: now[0])
    metrics.market_data_at("500.farm", datetime.fromtimestamp(now[0] - 30, UTC))
    assert values(metrics, "market_data_age_seconds") == {("500.farm",): 30}
    now[0] += 600
    assert values(metrics, "market_data_age_seconds") == {("500.farm",): 630}
    metrics.market_data_at("500.farm", datetime.fromtimestamp(now[0] + 5, UTC))
    assert values(metrics, "market_data_age_seconds") == {("500.farm",): 0}, "a source ahead of us is not negative"


def test_outside_services() -> None:
    metrics = Metrics()
    metrics.external_request("500.farm", "ok", 0.2)
    metrics.external_request("500.farm", "timeout", 10.0)
    metrics.external_up("500.farm", False)
    metrics.breaker_state("500.farm", "open")
    metrics.breaker_state("500.farm", "half_open")
    assert values(metrics, "external_request_duration_seconds_count") == {
        ("ok", "500.farm"): 1,
        ("timeout", "500.farm"): 1,
    }
    assert values(metrics, "external_up") == {("500.farm",): 0}
    assert values(metrics, "breaker_state") == {
        ("500.farm", "closed"): 0,
        ("500.farm", "half-open"): 1,
        ("500.farm", "open"): 0,
    }
    with pytest.raises(ValueError, match="sideways"):
        metrics.breaker_state("500.farm", "sideways")


def test_jobs_that_are_gone_become_zero() -> None:
    metrics = Metrics()
    metrics.jobs({"ready": 3, "dead": 1})
    metrics.jobs({"ready": 1, "running": 2})
    assert values(metrics, "jobs") == {("ready",): 1, ("running",): 2, ("dead",): 0}


def test_cache_commands_gateway_and_loop() -> None:
    metrics = Metrics()
    metrics.cache_requests(1, 0)
    metrics.cache_requests(2, 1)
    metrics.cache_requests(2, 1)
    metrics.command("price", "ok", 0.12)
    metrics.gateway_latency(0, 0.08)
    metrics.gateway_latency(1, float("nan"))
    metrics.gateway_latency(2, float("inf"))
    metrics.loop_delay(0.003)
    assert values(metrics, "cache_requests_total") == {("hit",): 2, ("miss",): 1}
    assert values(metrics, "command_duration_seconds_count") == {("price", "ok"): 1}
    assert values(metrics, "discord_gateway_latency_seconds") == {("0",): 0.08}
    assert values(metrics, "event_loop_delay_seconds_count") == {(): 1}


def test_the_chart_renderer_is_read_when_asked() -> None:
    metrics = Metrics()
    stats = [RendererStats(0, 0, 0, 0, 0, 0, 0, 0.0, 0, 0, 0, 0)]
    metrics.watch_charts(lambda: stats[0])
    assert values(metrics, "chart_render_seconds_count") == {(): 0}
    stats[0] = RendererStats(
        hits=5, misses=3, joined=1, drawn=2, failures=1, timeouts=1, starts=2, drawing_seconds=0.25,
        queued=4, workers=2, cached_images=2, cached_bytes=70_000,
    )  # fmt: skip
    assert values(metrics, "chart_render_seconds_sum") == {(): 0.25}
    assert values(metrics, "chart_render_seconds_count") == {(): 2}
    assert values(metrics, "chart_failures_total") == {(): 1}
    assert values(metrics, "chart_requests_total") == {("cached",): 5, ("joined",): 1, ("drawn",): 3}
    assert values(metrics, "chart_cache_bytes") == {(): 70_000}
    with pytest.raises(ValueError, match="chart_render_seconds"):
        metrics.watch_charts(lambda: stats[0])


@given(st.lists(st.text(max_size=120), max_size=200))
def test_a_label_never_has_more_values_than_its_limit(seen: list[str]) -> None:
    bounded = Bounded(limit=5, length=10)
    given_out = [bounded(value) for value in seen]
    assert len(set(given_out) - {OTHER}) <= 5
    assert all(0 < len(value) <= 10 for value in given_out)
    assert [bounded(value) for value in seen[:1]] == given_out[:1], "a value keeps its label"


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
@example("\ud800", "\ud800", "\ud800")
def test_no_label_breaks_the_format(source: str, reason: str, command: str) -> None:
    metrics = Metrics()
    metrics.ingest_cycle(source, outcome=reason, rejected={reason: 1})
    metrics.command(command, reason, 0.1)
    metrics.external_request(source, command, 0.1)
    families(metrics)
    metrics.expose("application/openmetrics-text")
