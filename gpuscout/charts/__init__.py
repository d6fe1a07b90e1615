"""Market charts: a :class:`ChartSpec` in, an image out, drawn in worker processes.

Importing this package loads neither matplotlib nor numpy; only the workers do.
"""

from gpuscout.charts.alt import alt_text
from gpuscout.charts.model import ChartLabels, ChartPanel, ChartSeries, ChartSpec
from gpuscout.charts.pool import ChartImage, ChartRenderer, ChartUnavailable, RendererStats

__all__ = [
    "ChartImage",
    "ChartLabels",
    "ChartPanel",
    "ChartRenderer",
    "ChartSeries",
    "ChartSpec",
    "ChartUnavailable",
    "RendererStats",
    "alt_text",
]
