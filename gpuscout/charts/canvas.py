"""A sheet in pixel coordinates over matplotlib's Figure and Agg: text, lines, fills, image bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform
from numpy.typing import NDArray
from PIL import Image

from gpuscout.charts import theme
from gpuscout.charts.layout import Box, plain
from gpuscout.charts.model import ImageFormat

Points = NDArray[np.float64]

#: Larger images are encoded again with less detail.
MAX_BYTES = 80 * 1024


class Sheet:
    """One image being drawn. A fresh figure each time: nothing is left over from an earlier chart."""

    def __init__(self) -> None:
        size = (theme.WIDTH / theme.DPI, theme.HEIGHT / theme.DPI)
        self.figure = Figure(figsize=size, dpi=theme.DPI, facecolor=theme.BACKGROUND, edgecolor="none")
        self.canvas = FigureCanvasAgg(self.figure)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        color: str,
        *,
        strong: bool = False,
        align: Literal["left", "center", "right"] = "left",
        middle: bool = False,
    ) -> None:
        """Text on its baseline at ``y``, or centred on the height of its capitals when ``middle``."""
        if middle:
            # Inter's capitals are 0.727 em high.
            y -= size * 0.3636
        artist = Text(
            round(x),
            round(y),
            plain(text),
            color=color,
            fontproperties=theme.font(size, strong=strong),
            horizontalalignment=align,
            verticalalignment="baseline",
            # A dollar sign is money here, never the start of a formula.
            parse_math=False,
        )
        self._add(artist)

    def line(
        self,
        points: Points,
        color: str,
        width: float,
        clip: Box | None = None,
        *,
        alpha: float = 1.0,
        order: float = 3,
    ) -> None:
        """An open line; rows with NaN interrupt it."""
        artist = Line2D(
            points[:, 0],
            points[:, 1],
            color=color,
            linewidth=width,
            alpha=alpha,
            solid_joinstyle="round",
            solid_capstyle="butt",
            zorder=order,
        )
        self._add(artist, clip)

    def dots(self, points: Points, color: str, radius: float, order: float = 4) -> None:
        """Discs with a thin rim in the colour of the ground, so that they stand off from lines."""
        artist = Line2D(
            points[:, 0],
            points[:, 1],
            linestyle="none",
            marker="o",
            markersize=2 * radius,
            markerfacecolor=color,
            markeredgecolor=theme.BACKGROUND,
            markeredgewidth=theme.SCALE,
            zorder=order,
        )
        self._add(artist)

    def fill(self, outlines: Sequence[Points], color: str, alpha: float, clip: Box) -> None:
        """Closed areas without a rim."""
        artist = PolyCollection(
            list(outlines), facecolors=color, edgecolors="none", linewidths=0, alpha=alpha, zorder=2
        )
        self._add(artist, clip)

    def hatch(self, box: Box) -> None:
        """A faintly hatched area: nothing was measured here."""
        artist = Rectangle(
            (box.left, box.bottom),
            box.width,
            box.height,
            facecolor=theme.GAP_FILL,
            edgecolor=theme.GAP_HATCH,
            linewidth=0,
            hatch="/",
            zorder=1,
        )
        artist.set_hatch_linewidth(1.5 * theme.SCALE)
        self._add(artist)

    def pill(self, box: Box, color: str) -> None:
        """A filled box with round corners."""
        artist = FancyBboxPatch(
            (box.left, box.bottom),
            box.width,
            box.height,
            boxstyle=f"round,pad=0,rounding_size={6 * theme.SCALE}",
            facecolor=color,
            edgecolor="none",
            linewidth=0,
        )
        self._add(artist)

    def _add(self, artist: Artist, clip: Box | None = None) -> None:
        artist.set_transform(IdentityTransform())
        self.figure.add_artist(artist, clip=False)
        if clip is not None:
            artist.set_clip_box(Bbox.from_extents(clip.left, clip.bottom, clip.right, clip.top))

    def encode(self, image_format: ImageFormat) -> bytes:
        """Draws and encodes; no metadata, so that equal sheets give equal bytes."""
        self.canvas.draw()  # type: ignore[no-untyped-call]
        return encode(self.canvas, image_format)


def encode(canvas: FigureCanvasAgg, image_format: ImageFormat) -> bytes:
    """The drawn pixels of ``canvas`` as WebP or PNG, without metadata.

    Charts are flat: a small palette, stored without loss, is sharper and smaller than
    the lossy WebP of photographs and faster to make. Only charts of unusual detail
    exceed ``MAX_BYTES``; they get fewer colours and, as WebP, in the end some loss.
    """
    width, height = canvas.get_width_height(physical=True)
    buffer = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    pixels = Image.frombuffer("RGBA", (width, height), buffer, "raw", "RGBA", 0, 1).convert("RGB")
    data = b""
    for colours in (128, 64):
        flat = pixels.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        if image_format == "png":
            data = _save(flat, "PNG", compress_level=6)
        else:
            data = _save(flat.convert("RGB"), "WEBP", lossless=True, quality=20, method=1)
        if len(data) <= MAX_BYTES:
            return data
    if image_format == "webp":
        for quality in (80, 60):
            lossy = _save(pixels, "WEBP", quality=quality, method=2)
            if len(lossy) < len(data):
                data = lossy
            if len(data) <= MAX_BYTES:
                break
    return data


def _save(image: Image.Image, container: str, **options: int) -> bytes:
    target = io.BytesIO()
    image.save(target, container, **options)
    return target.getvalue()


@cache
def _ruler() -> RendererAgg:
    return RendererAgg(8, 8, theme.DPI)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, strong: bool = False) -> float:
    """Width in pixels of a line of text as :meth:`Sheet.text` sets it."""
    properties = theme.font(size, strong=strong)
    width, _, _ = _ruler().get_text_width_height_descent(  # type: ignore[no-untyped-call]
        plain(text), properties, ismath=False
    )
    return float(width)
