"""The look of a chart: canvas, sizes, colours and fonts. Imported only where charts are drawn.

All lengths are pixels of the image, which is twice the 800x450 canvas that Discord
shows; the figure has 72 dots an inch, so that a point is a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontEntry, FontProperties, fontManager

SCALE = 2
WIDTH, HEIGHT = 800 * SCALE, 450 * SCALE
DPI = 72

#: No text is smaller: 18 px on the 800 px canvas is what a phone still shows legibly.
MIN_TEXT = 18 * SCALE
TITLE_TEXT = 30 * SCALE
SUBTITLE_TEXT = 19 * SCALE
VALUE_TEXT = 22 * SCALE
LABEL_TEXT = MIN_TEXT
TICK_TEXT = MIN_TEXT
FOOTER_TEXT = MIN_TEXT
BADGE_TEXT = MIN_TEXT

BACKGROUND = "#242429"
GAP_FILL = "#2C2D33"
GAP_HATCH = "#50525C"
GRID = "#3C3D45"
TEXT = "#F2F3F5"
MUTED = "#B5BAC1"
BADGE = "#F0B232"
BADGE_INK = "#1A1A1E"

#: After Okabe and Ito (https://jfly.uni-koeln.de/color/), lifted for a dark ground and moved
#: apart: any two differ clearly for protan, deutan and tritan eyes too. Labels stand at the
#: lines, so colour is never alone.
PALETTE = ("#7CC4FF", "#E69F00", "#2FB36A", "#F0E442", "#D98CB8", "#E9664F")

LINE = 2.5 * SCALE
LINE_EMPHASIS = 3.25 * SCALE
DOT = 5.0 * SCALE
GRID_LINE = 1.0 * SCALE
BAND_ALPHA = 0.2
AREA_ALPHA = 0.22

_FONTS = Path(__file__).with_name("fonts")
_MEDIUM, _SEMIBOLD, _FALLBACK = "GPUScout Medium", "GPUScout SemiBold", "GPUScout Fallback"


@contextmanager
def settings() -> Iterator[None]:
    """matplotlib's own defaults while a chart is drawn, whatever a matplotlibrc or a caller has set."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Hinting moves stems to whole pixels of the font's grid; at this size it only distorts.
        matplotlib.rcParams["text.hinting"] = "none"
        yield


@cache
def _register_fonts() -> None:
    # Names of our own, so that no font installed on the machine is taken for the shipped one.
    files = {
        _MEDIUM: _FONTS / "Inter-Medium.ttf",
        _SEMIBOLD: _FONTS / "Inter-SemiBold.ttf",
        _FALLBACK: Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"),
    }
    for name, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"chart font {path} is missing; reinstall GPUScout")
        fontManager.ttflist.append(FontEntry(fname=str(path), name=name, size="scalable", weight=400))


@cache
def font(size: float, *, strong: bool = False) -> FontProperties:
    """The shipped font at ``size`` pixels (at least 36), with DejaVu Sans for glyphs it lacks."""
    if size < MIN_TEXT:
        raise ValueError(f"text of {size} px is below the least of {MIN_TEXT} px")
    _register_fonts()
    return FontProperties(family=[_SEMIBOLD if strong else _MEDIUM, _FALLBACK], size=size)
