"""Charts: our renderer against a fresh matplotlib ``Figure`` of the same content, and the pool around it.

Run ``python -m benchmarks chart_render [--quick]``; one JSON object a line. ``ratio`` is the
value divided by the same work done barely in the same run, or by the limit where the limit
is absolute.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import math
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.measure import emit, quiet
from gpuscout.charts import ChartPanel, ChartRenderer, ChartSeries, ChartSpec

_DAY = 86400.0
_END = 1_765_116_000.0

DELAY_LIMIT_MS = 5.0
HIT_LIMIT_MS = 1.0
SIZE_LIMIT_KIB = 80.0
RENDER_LIMIT = 1.0
WORKERS_LIMIT = 1.7


def _walk(seed: int, points: int, base: float, step: float, days: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    numbers = random.Random(seed)
    value, values = base, []
    for _ in range(points):
        value += (base - value) * 0.05 + numbers.gauss(0, step)
        values.append(round(max(value, 0.01), 4))
    start = _END - days * _DAY
    return tuple(start + days * _DAY * i / (points - 1) for i in range(points)), tuple(values)


def comparison(points: int = 500) -> ChartSpec:
    """Five models over a week, the chart of ``/compare``."""
    models = {"RTX 4090": 0.33, "RTX 5090": 0.48, "RTX 3090": 0.17, "A100 SXM4": 0.74, "L40S": 0.52}
    series = tuple(
        ChartSeries(name, name, *_walk(seed, points, base, 0.006, 7), emphasis=seed == 0)
        for seed, (name, base) in enumerate(models.items())
    )
    return ChartSpec(
        title="Five models compared",
        subtitle="Median price per GPU-hour, 7 days",
        panels=(ChartPanel("usd_per_hour", series),),
        start=_END - 7 * _DAY,
        end=_END,
        gap_seconds=3 * 7 * _DAY / points,
        source="simulator",
        as_of=_END,
        badge="SIMULATED",
    )


def price(points: int = 360) -> ChartSpec:
    """One model over a month with band, gap and utilization, the chart of ``/price``."""
    days = 30.0
    times, rented = _walk(1, points, 0.33, 0.004, days)
    _, available = _walk(2, points, 0.36, 0.004, days)
    _, used = _walk(3, points, 0.48, 0.01, days)
    keep = [i for i in range(points) if not 0.55 * points < i < 0.63 * points]

    def series(key: str, label: str, values: tuple[float, ...], band: bool = False) -> ChartSeries:
        kept = tuple(values[i] for i in keep)
        low = tuple(v - 0.05 - 0.01 * math.sin(i / 20) for i, v in enumerate(kept)) if band else None
        high = tuple(v + 0.06 + 0.01 * math.cos(i / 25) for i, v in enumerate(kept)) if band else None
        return ChartSeries(key, label, tuple(times[i] for i in keep), kept, low, high, emphasis=band)

    return ChartSpec(
        title="RTX 4090 · Vast.ai",
        subtitle="Price per GPU-hour, 30 days",
        panels=(
            ChartPanel(
                "usd_per_hour",
                (series("rented", "Rented", rented, band=True), series("available", "Available", available)),
            ),
            ChartPanel("ratio", (series("utilization", "Utilization", used),)),
        ),
        start=_END - days * _DAY,
        end=_END,
        gap_seconds=3 * days * _DAY / points,
        source="simulator",
        as_of=_END,
        badge="SIMULATED",
    )


def fresh_figure(spec: ChartSpec) -> bytes:
    """The same picture by matplotlib's ordinary means: a new figure, axes, its own ticks and formatters.

    Leaves out what only ours does (fitting texts, spreading labels, finding gaps), so
    the comparison favours it.
    """
    from datetime import UTC, datetime

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from gpuscout.charts import theme
    from gpuscout.charts.canvas import encode

    # Typed loosely: matplotlib takes tuples with None, its annotations do not say so.
    numbers: Any = date2num
    figure: Any = Figure(figsize=(theme.WIDTH / theme.DPI, theme.HEIGHT / theme.DPI), dpi=theme.DPI)
    figure.set_facecolor(theme.BACKGROUND)
    canvas: Any = FigureCanvasAgg(figure)
    two = len(spec.panels) > 1
    places = [(0.1, 0.38, 0.72, 0.39), (0.1, 0.165, 0.72, 0.15)] if two else [(0.1, 0.165, 0.66, 0.6)]
    colors = iter(theme.PALETTE)
    for number, (panel, place) in enumerate(zip(spec.panels, places, strict=True)):
        axes = figure.add_axes(place, facecolor="none")
        axes.spines[:].set_visible(False)
        axes.grid(axis="y", color=theme.GRID, linewidth=theme.GRID_LINE)
        axes.tick_params(length=0, colors=theme.MUTED, pad=14)
        for series in panel.series:
            color = next(colors)
            dates = numbers([datetime.fromtimestamp(t, UTC) for t in series.times])
            gaps = [i for i in range(1, len(dates)) if series.times[i] - series.times[i - 1] > spec.gap_seconds]
            values = [math.nan if i in gaps else v for i, v in enumerate(series.values)]
            width = theme.LINE_EMPHASIS if series.emphasis else theme.LINE
            axes.plot(dates, values, color=color, linewidth=width)
            axes.plot(dates[-1:], values[-1:], "o", color=color, markersize=2 * theme.DOT)
            if series.low is not None:
                axes.fill_between(dates, series.low, series.high, color=color, alpha=theme.BAND_ALPHA, linewidth=0)
            if number:
                axes.fill_between(dates, 0, series.values, color=color, alpha=theme.AREA_ALPHA, linewidth=0)
            for gap in gaps if series is panel.series[0] else ():
                hatch = {"facecolor": theme.GAP_FILL, "edgecolor": theme.GAP_HATCH, "linewidth": 0, "hatch": "/"}
                axes.axvspan(dates[gap - 1], dates[gap], **hatch)
            end = f"${values[-1]:.2f}" if panel.unit == "usd_per_hour" else f"{values[-1]:.0%}"
            axes.annotate(
                end, (dates[-1], values[-1]), (26, -10), textcoords="offset points", color=color,
                fontproperties=theme.font(theme.LABEL_TEXT, strong=True), parse_math=False, annotation_clip=False,
            )  # fmt: skip
            axes.annotate(
                series.label, (dates[-1], values[-1]), (140, -10), textcoords="offset points", color=color,
                fontproperties=theme.font(theme.LABEL_TEXT), annotation_clip=False,
            )  # fmt: skip
        axes.set_xlim(*numbers([datetime.fromtimestamp(t, UTC) for t in (spec.start, spec.end)]))
        locator: Any = AutoDateLocator(maxticks=5)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
        axes.yaxis.set_major_locator(MaxNLocator(4 if not number else 2))
        written = (lambda v, _: rf"\${v:.2f}") if panel.unit == "usd_per_hour" else (lambda v, _: f"{v:.0%}")
        axes.yaxis.set_major_formatter(FuncFormatter(written))
        if two and not number:
            axes.xaxis.set_visible(False)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_fontproperties(theme.font(theme.TICK_TEXT))
    texts = (
        (0.0275, 0.902, spec.title, theme.TITLE_TEXT, theme.TEXT, "left"),
        (0.0275, 0.835, spec.subtitle, theme.SUBTITLE_TEXT, theme.MUTED, "left"),
        (0.9725, 0.902, spec.badge or "", theme.BADGE_TEXT, theme.BADGE, "right"),
        (0.9725, 0.835, "No data" if two else "", theme.LABEL_TEXT, theme.MUTED, "right"),
        (0.84, 0.835, "p10–p90" if two else "", theme.LABEL_TEXT, theme.MUTED, "right"),
        (0.0275, 0.038, f"Source: {spec.source}", theme.FOOTER_TEXT, theme.MUTED, "left"),
        (0.9725, 0.038, "as of Dec 7, 2025, 2:00 PM UTC", theme.FOOTER_TEXT, theme.MUTED, "right"),
    )
    for x, y, text, size, color, align in texts:
        figure.text(x, y, text, color=color, ha=align, fontproperties=theme.font(size, strong=y > 0.9))
    canvas.draw()
    return encode(canvas, spec.format)


def _against_fresh(spec: ChartSpec, rounds: int) -> tuple[float, float]:
    """Median milliseconds (ours, fresh figure), measured in turns so that a busy machine hits both."""
    from gpuscout.charts.render import render

    ours: list[float] = []
    theirs: list[float] = []
    ways: tuple[tuple[Callable[[ChartSpec], bytes], list[float]], ...] = ((render, ours), (fresh_figure, theirs))
    for number in range(rounds + 3):
        for way, times in ways:
            begun = time.perf_counter()
            way(spec)
            if number >= 3:
                times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(ours), statistics.median(theirs)


async def _throughput(workers: int, charts: list[ChartSpec]) -> float:
    """Charts a second with so many warm workers."""
    async with ChartRenderer(workers, timeout=60, queue_limit=len(charts) + workers) as renderer:
        await asyncio.gather(*(renderer.render(_variant(charts[0], -1 - i)) for i in range(2 * workers)))
        begun = time.perf_counter()
        await asyncio.gather(*map(renderer.render, charts))
        return len(charts) / (time.perf_counter() - begun)


async def _watch(delays: list[float]) -> None:
    """Collects how late, in milliseconds, the event loop wakes a sleeper."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.002)
        delays.append(max(0.0, (time.perf_counter() - begun - 0.002) * 1000))


async def _calm(seconds: float) -> float:
    """The same percentile with nothing to do: what the machine itself is late."""
    delays: list[float] = []
    watcher = asyncio.create_task(_watch(delays))
    await asyncio.sleep(seconds)
    watcher.cancel()
    await asyncio.wait([watcher])
    return statistics.quantiles(delays, n=100)[98]


async def _burst(charts: list[ChartSpec]) -> float:
    """99th percentile of event-loop delay, in milliseconds, while all charts are drawn."""
    delays: list[float] = []
    async with ChartRenderer(2, timeout=60, queue_limit=len(charts) + 2) as renderer:
        await asyncio.gather(*(renderer.render(_variant(charts[0], -1 - i)) for i in range(4)))
        watcher = asyncio.create_task(_watch(delays))
        await asyncio.gather(*map(renderer.render, charts))
        watcher.cancel()
        await asyncio.wait([watcher])
    return statistics.quantiles(delays, n=100)[98]


async def _hit(spec: ChartSpec, rounds: int) -> tuple[float, float]:
    """Median and 99th percentile, in milliseconds, of a request served from the cache."""
    times: list[float] = []
    async with ChartRenderer(1, timeout=60) as renderer:
        await renderer.render(spec)
        for _ in range(rounds):
            begun = time.perf_counter()
            await renderer.render(spec)
            times.append((time.perf_counter() - begun) * 1000)
        if renderer.stats().drawn != 1:
            raise AssertionError("a request for a cached chart was drawn again")
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def _variant(spec: ChartSpec, number: int) -> ChartSpec:
    return dataclasses.replace(spec, subtitle=f"{spec.subtitle} ({number})")


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` measures less often."""
    rounds, burst = (12, 20) if quick else (60, 60)
    for name, spec in (("compare", comparison()), ("price", price())):
        ours, fresh = _against_fresh(spec, rounds)
        emit(f"chart_render.{name}.p50", ours, "ms", None, None)
        emit(f"chart_render.{name}.fresh_figure_p50", fresh, "ms", None, None)
        emit(f"chart_render.{name}.vs_fresh_figure", ours / fresh, "ratio", RENDER_LIMIT, ours / fresh)
        from gpuscout.charts.render import render

        size = len(render(spec)) / 1024
        emit(f"chart_render.{name}.size", size, "KiB", SIZE_LIMIT_KIB, size / SIZE_LIMIT_KIB)
    hit, slow_hit = asyncio.run(_hit(comparison(), 50 if quick else 500))
    emit("chart_render.cached_p50", hit, "ms", HIT_LIMIT_MS, hit / HIT_LIMIT_MS)
    emit("chart_render.cached_p99", slow_hit, "ms", None, None)
    charts = [_variant(comparison(), number) for number in range(burst)]
    emit("chart_render.loop_delay_idle_p99", asyncio.run(_calm(1 if quick else 4)), "ms", None, None)
    delay = asyncio.run(_burst(charts))
    emit("chart_render.loop_delay_p99", delay, "ms", DELAY_LIMIT_MS, delay / DELAY_LIMIT_MS)
    # In turns, so that other work on the machine hits both alike.
    pairs = [[asyncio.run(_throughput(workers, charts)) for workers in (1, 2)] for _ in range(1 if quick else 3)]
    one, two = (statistics.median(column) for column in zip(*pairs, strict=True))
    gain = statistics.median(pair[1] / pair[0] for pair in pairs)
    emit("chart_render.one_worker", one, "charts/s", None, None)
    emit("chart_render.two_workers", two, "charts/s", None, None)
    emit("chart_render.two_workers_vs_one", gain, "ratio", WORKERS_LIMIT, gain, at_least=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quiet()
    main(parser.parse_args().quick)
