"""The picture itself: deterministic, legible, honest about gaps, inside of its frame."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import subprocess
import sys
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from PIL import Image

from gpuscout.charts import ChartLabels, ChartPanel, ChartSeries, ChartSpec, theme
from gpuscout.charts.plots import boxes_of, prepare
from gpuscout.charts.render import compose, render
from tests.charts.builders import DAY, END, compare_spec, price_spec, series, spec, without

GERMAN = ChartLabels(source="Quelle", as_of="Stand", no_data="Keine Daten")
ONE_POINT = ChartSeries("one", "Lambda", (END,), (1.29,))
LONG = "A very long name that no canvas of this width can hold in one line, whatever its font may be"

CHARTS: dict[str, ChartSpec] = {
    "price": price_spec(),
    "price with badge": price_spec(badge="SIMULATED"),
    "german": price_spec(locale="de", timezone="Europe/Berlin", badge="SIMULIERT", labels=GERMAN),
    "five": compare_spec(5),
    "six close together": compare_spec(6, days=1),
    "one point": spec(ChartPanel("usd_per_hour", (ONE_POINT,))),
    "constant": spec(ChartPanel("usd_per_hour", (ChartSeries("c", "C", (END - DAY, END), (0.34, 0.34)),))),
    "empty": spec(ChartPanel("usd_per_hour", ())),
    "empty below": spec(ChartPanel("usd_per_hour", (series(),)), ChartPanel("ratio", ())),
    "long texts": spec(
        ChartPanel("count", tuple(series(str(i), LONG, base=1e6 + i) for i in range(6))),
        title=LONG, subtitle=LONG, source=LONG, badge="SIMULATED", missing_note=LONG,
    ),
    "expensive": spec(ChartPanel("usd_per_hour", (series(base=98765.0),))),
}  # fmt: skip


def pixels(chart: ChartSpec) -> NDArray[np.int16]:
    """The picture as height x width x RGB."""
    image = Image.open(io.BytesIO(render(dataclasses.replace(chart, format="png"))))
    return np.asarray(image.convert("RGB")).astype(np.int16)


def near(picture: NDArray[np.int16], color: str, tolerance: int = 30) -> NDArray[np.bool_]:
    wanted = np.array(list(bytes.fromhex(color[1:])))
    return np.abs(picture - wanted).max(axis=2) <= tolerance


def columns(chart: ChartSpec, start: float, end: float, panel: int = 0) -> tuple[slice, slice]:
    """Rows and columns of the plotting area between two times."""
    plots = [prepare(each, chart, index) for index, each in enumerate(chart.panels)]
    box = boxes_of(plots)[panel]
    scale = box.width / (chart.end - chart.start)
    x0, x1 = (box.left + (moment - chart.start) * scale for moment in (start, end))
    return slice(int(theme.HEIGHT - box.top), int(theme.HEIGHT - box.bottom)), slice(int(x0) + 4, int(x1) - 4)


@pytest.mark.parametrize("image_format", ["webp", "png"])
def test_image_has_the_size_and_no_metadata(image_format: str) -> None:
    data = render(price_spec(format=image_format))
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == (image_format.upper(), (1600, 900))
    assert not {"exif", "icc_profile", "xmp", "Software", "dpi", "Comment"} & image.info.keys()
    assert b"Matplotlib" not in data
    assert image.convert("RGBA").getextrema()[3] == (255, 255), "the ground is opaque"
    assert image.convert("RGB").getpixel((2, 2)) == pytest.approx((0x24, 0x24, 0x29), abs=2)


@pytest.mark.parametrize("name", CHARTS)
def test_images_are_small(name: str) -> None:
    assert len(render(CHARTS[name])) <= 80 * 1024


def test_equal_specs_give_equal_bytes_whatever_was_drawn_before() -> None:
    first = {name: render(chart) for name, chart in CHARTS.items()}
    again = {name: render(chart) for name, chart in reversed(CHARTS.items())}
    assert first == again
    assert len(set(first.values())) == len(first)


def test_another_process_with_other_settings_gives_the_same_bytes(tmp_path: object) -> None:
    script = (
        "import matplotlib; matplotlib.rcParams.update({'font.size': 40, 'lines.linewidth': 9, 'path.simplify': False,"
        " 'text.hinting': 'force_autohint', 'font.family': 'serif', 'lines.antialiased': False, 'hatch.linewidth': 9,"
        " 'figure.dpi': 31, 'patch.force_edgecolor': True, 'text.parse_math': True, 'savefig.dpi': 31});"
        "import hashlib; from tests.charts.builders import price_spec; from gpuscout.charts.render import render;"
        "print(hashlib.sha256(render(price_spec())).hexdigest(), 'matplotlib.pyplot' in __import__('sys').modules)"
    )
    env = {"PYTHONHASHSEED": "3", "PYTHONPATH": ":".join(sys.path), "MPLCONFIGDIR": str(tmp_path), "TZ": "Asia/Tokyo"}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, check=True, timeout=180
    )
    assert run.stdout.split() == [hashlib.sha256(render(price_spec())).hexdigest(), "False"]


def test_drawing_leaves_global_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    render(price_spec())
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", CHARTS)
def test_all_text_is_legible_inside_and_apart(name: str) -> None:
    sheet = compose(CHARTS[name])
    sheet.canvas.draw()
    texts = [text for text in sheet.figure.findobj(Text) if text.get_text()]
    assert len(texts) >= 4
    for text in texts:
        assert text.get_fontsize() * sheet.figure.dpi / 72 >= 36, text.get_text()
        assert not text.get_parse_math()
    boxes = [text.get_window_extent(sheet.canvas.get_renderer()) for text in texts]
    frame = Bbox.from_extents(20, 10, 1580, 890)
    for text, box in zip(texts, boxes, strict=True):
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1, text.get_text()
        assert frame.y0 <= box.y0 and box.y1 <= frame.y1, text.get_text()
    for (one, a), (two, b) in combinations(zip(texts, boxes, strict=True), 2):
        # Line heights may touch; letters may not.
        smaller = a.padded(-4), b.padded(-4)
        assert not smaller[0].overlaps(smaller[1]), (one.get_text(), two.get_text())


def written(chart: ChartSpec) -> set[str]:
    return {text.get_text() for text in compose(chart).figure.findobj(Text)}


def test_words_numbers_and_times_follow_locale_zone_and_labels() -> None:
    texts = written(CHARTS["german"])
    assert {"SIMULIERT", "Keine Daten", "p10–p90", "Stand 07.12.2025, 15:00 MEZ", "100 %"} <= texts
    assert "Quelle: 500.farm (Vast.ai)" in texts
    assert "1. Dez." in texts
    assert any(text.endswith(" $") for text in texts)
    english = written(CHARTS["price"])
    assert {"as of Dec 7, 2025, 2:00 PM UTC", "Dec 1", "$0.35", "No data"} <= english


def test_dollar_signs_are_money_not_formulas() -> None:
    assert "$0.33 to $0.35" in written(spec(title="$0.33 to $0.35"))


def test_badge_is_bright_and_only_there_when_asked_for() -> None:
    assert near(pixels(CHARTS["price with badge"]), theme.BADGE, 6).sum() > 8000
    assert near(pixels(CHARTS["price"]), theme.BADGE, 6).sum() < 100


def test_no_line_crosses_a_gap_and_the_gap_is_hatched() -> None:
    whole = series("rented", band=True)
    chart = spec(ChartPanel("usd_per_hour", (without(whole, 60, 75),)))
    start, end = whole.times[59], whole.times[75]
    picture = pixels(chart)
    inside = picture[columns(chart, start, end)]
    assert not near(inside, theme.PALETTE[0], 60).any()
    assert near(inside, theme.GAP_HATCH, 16).mean() > 0.03
    assert near(inside, theme.GAP_FILL, 4).mean() > 0.5
    assert near(inside, theme.BACKGROUND, 2).mean() < 0.1
    for left, right in ((chart.start, start), (end, chart.end)):
        beside = near(picture[columns(chart, left, right)], theme.PALETTE[0], 30)
        assert beside.any(axis=0).all(), "a measured column without its line"


def test_a_gap_of_one_line_among_others_is_a_break_without_hatching() -> None:
    broken, other = without(series("a", base=0.5), 60, 75), series("b", base=0.2)
    chart = spec(ChartPanel("usd_per_hour", (broken, other)))
    inside = pixels(chart)[columns(chart, broken.times[59], broken.times[60])]
    assert not near(inside, theme.PALETTE[0], 60).any()
    assert near(inside, theme.PALETTE[1], 30).any(axis=0).all()
    assert not near(inside, theme.GAP_HATCH, 10).any()
    assert "No data" not in written(chart)


def test_a_missing_value_breaks_the_line() -> None:
    whole = series("a", points=40)
    holed = dataclasses.replace(whole, values=(*whole.values[:20], None, *whole.values[21:]))
    chart = spec(ChartPanel("usd_per_hour", (holed,)), gap_seconds=3 * DAY)
    inside = pixels(chart)[columns(chart, whole.times[19], whole.times[21])]
    assert not near(inside, theme.PALETTE[0], 60).any()


def test_one_point_is_a_dot_with_its_value() -> None:
    chart = CHARTS["one point"]
    dots = near(pixels(chart), theme.PALETTE[0], 20)
    rows, cols = np.nonzero(dots[columns(chart, chart.start, END + DAY / 2)])
    assert 150 < len(rows) < 600
    assert np.ptp(rows) <= 24
    assert np.ptp(cols) <= 24
    assert {"$1.29", "Lambda"} <= written(chart)


def test_band_is_filled_between_low_and_high_only() -> None:
    line = ChartSeries("a", "A", (END - 30 * DAY, END), (0.3, 0.3), (0.2, 0.2), (0.4, 0.4))
    chart = spec(ChartPanel("usd_per_hour", (line,)), gap_seconds=40 * DAY)
    plot = prepare(chart.panels[0], chart, 0)
    box = boxes_of([plot])[0]
    picture = pixels(chart)

    def at(value: float) -> NDArray[np.int16]:
        y = box.bottom + (value - plot.axis.low) / (plot.axis.high - plot.axis.low) * box.height
        return picture[int(theme.HEIGHT - y), int(box.left + box.width / 2)]

    ground = np.array([0x24, 0x24, 0x29])
    assert np.abs(at(0.23) - ground).max() > 8
    assert np.abs(at(0.37) - ground).max() > 8
    assert np.abs(at(0.405) - ground).max() <= 3


def test_no_data_is_said_and_no_scale_invented() -> None:
    texts = written(CHARTS["empty"])
    assert "No data" in texts
    assert not any(text.startswith("$") for text in texts)
    assert "Backfill running" in written(spec(ChartPanel("ratio", ()), missing_note="Backfill running"))


def test_a_line_that_ended_has_no_present_value() -> None:
    ended = without(series("a"), 60, 120)
    chart = spec(ChartPanel("usd_per_hour", (ended, series("b"))))
    gone, present = prepare(chart.panels[0], chart, 0).labels
    assert (gone.name, gone.value) == ("A", "")
    assert present.value in written(chart)


def test_lines_are_thick_enough() -> None:
    lines = [line for line in compose(CHARTS["five"]).figure.findobj(Line2D) if line.get_color() in theme.PALETTE]
    curves = [line for line in lines if len(line.get_xdata()) > 10]
    assert len(curves) == 5
    assert all(line.get_linewidth() >= 2.5 * 2 for line in curves)


# Machado, Oliveira, Fernandes 2009, severity 1.0 (https://www.inf.ufrgs.br/~oliveira/pubs_files/CVD_Simulation/).
EYES = {
    "usual": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868],
                       [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968],
                       [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779],
                       [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def linear(color: str) -> NDArray[np.float64]:
    part = np.array(list(bytes.fromhex(color[1:]))) / 255
    return np.where(part > 0.04045, ((part + 0.055) / 1.055) ** 2.4, part / 12.92)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ rgb.clip(0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", EYES)
def test_colours_differ_for_every_kind_of_eye(eye: str) -> None:
    for one, two in combinations(theme.PALETTE, 2):
        distance = float(np.linalg.norm(lab(EYES[eye] @ linear(one)) - lab(EYES[eye] @ linear(two))))
        assert distance > 15, (one, two, distance)


@pytest.mark.parametrize("color", [*theme.PALETTE, theme.TEXT, theme.MUTED])
def test_colours_stand_out_from_the_ground(color: str) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    contrast = (weights @ linear(color) + 0.05) / (weights @ linear(theme.BACKGROUND) + 0.05)
    assert contrast >= 4.5
