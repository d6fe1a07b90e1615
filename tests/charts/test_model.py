"""What a chart spec refuses, and that its key stands for its content."""

from __future__ import annotations

import dataclasses
import math
import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest

from gpuscout.charts import ChartLabels, ChartPanel, ChartSeries, ChartSpec
from tests.charts.builders import END, price_spec, series, spec

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no points": (lambda: ChartSeries("a", "A", (), ()), "1 to 2000 points"),
    "too many": (lambda: ChartSeries("a", "A", tuple(map(float, range(2001))), (1.0,) * 2001), "1 to 2000"),
    "lengths": (lambda: ChartSeries("a", "A", (1.0, 2.0), (1.0,)), "1 values for 2 times"),
    "nan": (lambda: ChartSeries("a", "A", (1.0,), (math.nan,)), "finite"),
    "infinite": (lambda: ChartSeries("a", "A", (1.0,), (math.inf,)), "finite"),
    "absurd": (lambda: ChartSeries("a", "A", (1.0,), (1e300,)), "1e12"),
    "infinite time": (lambda: ChartSeries("a", "A", (math.inf,), (1.0,)), "times must be finite"),
    "order": (lambda: ChartSeries("a", "A", (2.0, 1.0), (1.0, 1.0)), "ascend"),
    "repeated time": (lambda: ChartSeries("a", "A", (1.0, 1.0), (1.0, 1.0)), "ascend"),
    "half a band": (lambda: ChartSeries("a", "A", (1.0,), (1.0,), low=(0.5,)), "both low and high"),
    "band length": (lambda: ChartSeries("a", "A", (1.0,), (1.0,), (0.5, 0.5), (2.0, 2.0)), "2 low for 1"),
    "band upside down": (lambda: ChartSeries("a", "A", (1.0,), (1.0,), (2.0,), (0.5,)), "above high"),
    "unit": (lambda: ChartPanel("euros", ()), "unknown unit"),  # type: ignore[arg-type]
    "repeated key": (lambda: ChartPanel("ratio", (series("a"), series("a"))), "repeat"),
    "seven series": (
        lambda: spec(ChartPanel("ratio", tuple(series(k) for k in "abcdef")), ChartPanel("ratio", (series("g"),))),
        "at most 6",
    ),
    "no panel": (lambda: spec(panels=()), "one main panel"),
    "three panels": (lambda: spec(*[ChartPanel("ratio", ())] * 3), "one main panel"),
    "end before start": (lambda: spec(start=END, end=END), "start must be before end"),
    "gap": (lambda: spec(gap_seconds=0), "gap_seconds"),
    "before 1970": (lambda: spec(start=-1e12), "between 1970 and 2200"),
    "not a time": (lambda: spec(as_of=math.nan), "finite"),
    "zone": (lambda: spec(timezone="Mars/Olympus"), "unknown time zone"),
    "zone path": (lambda: spec(timezone="../../etc/passwd"), "unknown time zone"),
    "locale": (lambda: spec(locale="xx-YY"), "unknown locale"),
    "format": (lambda: spec(format="gif"), "webp or png"),
    "long text": (lambda: spec(title="x" * 201), "longer than 200"),
    "alt template": (lambda: ChartLabels(alt_gaps="{many}"), "unknown field"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    build, reason = REFUSED[case]
    with pytest.raises(ValueError, match=reason):
        build()


def test_key_stands_for_content() -> None:
    assert price_spec().cache_key() == price_spec().cache_key()
    assert pickle.loads(pickle.dumps(price_spec())) == price_spec()
    assert pickle.loads(pickle.dumps(price_spec())).cache_key() == price_spec().cache_key()


def _changes() -> dict[str, ChartSpec]:
    base = price_spec()
    main, lower = base.panels
    first = main.series[0]

    def with_series(**change: object) -> ChartSpec:
        other = dataclasses.replace(first, **change)
        return dataclasses.replace(base, panels=(ChartPanel(main.unit, (other, *main.series[1:])), lower))

    nudged = (first.values[0] or 0) + 1e-9
    changed = {
        name: dataclasses.replace(base, **{name: value})
        for name, value in {
            "title": "Another", "subtitle": "Another", "start": base.start + 1, "end": base.end + 1,
            "gap_seconds": 7.0, "source": "simulator", "as_of": END - 60, "timezone": "Europe/Berlin",
            "locale": "de", "badge": "SIMULATED", "format": "png", "missing_note": "Outage",
            "labels": ChartLabels(band="Band"), "panels": (main,),
        }.items()
    }  # fmt: skip
    changed |= {
        "value": with_series(values=(nudged, *first.values[1:])),
        "missing value": with_series(values=(None, *first.values[1:])),
        "time": with_series(times=(first.times[0] + 1, *first.times[1:])),
        "no band": with_series(low=None, high=None),
        "label": with_series(label="Other"),
        "key": with_series(key="other"),
        "emphasis": with_series(emphasis=False),
        "unit": dataclasses.replace(base, panels=(dataclasses.replace(main, unit="index"), lower)),
    }
    assert {field.name for field in dataclasses.fields(ChartSpec)} <= changed.keys()
    return changed


def test_every_change_changes_the_key() -> None:
    keys = [changed.cache_key() for changed in _changes().values()]
    assert len({price_spec().cache_key(), *keys}) == len(keys) + 1


def test_key_is_the_same_in_another_process() -> None:
    script = "from tests.charts.builders import price_spec; print(price_spec().cache_key())"
    env = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, check=True, timeout=120
    )
    assert other.stdout.strip() == price_spec().cache_key()
