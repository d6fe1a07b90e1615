"""What history files may look like, and what becomes of cells that say something odd."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.csv_text import safe_cell
from gpuscout.market.history_file import FIELDS, TEMPLATE, BadRow, read_rows
from gpuscout.market.history_rows import Observation, Refused, RowReader
from gpuscout.market.models import SeriesKey

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def reader() -> RowReader:
    return RowReader(GpuCatalogue.load(), PlatformCatalogue.load(), NOW)


def cells(**values: str) -> tuple[str, ...]:
    base = {"timestamp": "2026-03-11T04:17:38Z", "platform": "vast", "gpu": "RTX 4090", "price": "0.3"}
    return tuple({**dict.fromkeys(FIELDS, ""), **base, **values}.values())


def keys(reader: RowReader, **values: str) -> list[SeriesKey] | str:
    found = reader.read(cells(**values))
    return found.reason if isinstance(found, Refused) else [row.key for row in found]


def test_the_template_loads(reader: RowReader, tmp_path: Path) -> None:
    path = tmp_path / "template.csv"
    path.write_text(TEMPLATE)
    rows = [row for _, row in read_rows(path)]
    found = [reader.read(row) for row in rows if not isinstance(row, BadRow)]
    assert len(found) == 3 and not any(isinstance(each, Refused) for each in found)
    first = found[0]
    assert not isinstance(first, Refused)
    assert [(row.key.tier, row.source) for row in first] == [("on-demand", "my-scraper"), ("spot", "my-scraper")]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffTime,Provider,GPU Name,Price USD\n2026-03-11,vast,RTX 4090,0.3\n",
        "# a comment\nas-of;platform;model;median\n2026-03-11;vast;RTX 4090;0.3\n",
        "ts\tplatform\tgpu_raw\tspot\tsource\tnotes\n1773187200\tvast\tRTX 4090\t0.3\tme\tx\n",
        '{"at": "2026-03-11T00:00:00Z", "platform": "vast", "gpu": "RTX 4090", "price": 0.3}\n',
        ' [\n {"ts": 1773187200000, "platform": "vast", "gpu": "RTX 4090", "price": "$0.3", "extra": {"a": []}}]',
    ],
)
def test_columns_have_many_names(reader: RowReader, tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    ((_, row),) = read_rows(path)
    assert not isinstance(row, BadRow)
    found = reader.read(row)
    assert not isinstance(found, Refused)
    (only,) = found
    assert isinstance(only, Observation)
    assert (only.ts, only.key.gpu, only.key.platform, only.values.price) == (1773187200, "rtx-4090", "vast", 0.3)


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    head = "timestamp,platform,gpu,price\n"
    good = "2026-03-11,vast,RTX 4090,0.3\n"
    path = tmp_path / "a.csv"
    text = head + good + '2026-03-11,"vast\nvast",RTX 4090,0.3\n' + "1,2\n" + good
    path.write_bytes(text.encode() + b"2026-03-11,v\xff,x,1\n")
    found = list(read_rows(path))
    assert [line for line, _ in found] == [2, 3, 5, 6, 7]
    assert [line for line, row in found if isinstance(row, BadRow)] == [5]
    lines = tmp_path / "b.jsonl"
    lines.write_text('{"timestamp": 1}\n\n{"broken"\n[1]\n{"price": [1]}\n')
    reasons = [(line, row.reason) for line, row in read_rows(lines) if isinstance(row, BadRow)]
    assert reasons == [
        (3, "is not a JSON object on one line"),
        (4, "is not a JSON object"),
        (5, "price is neither text nor a number"),
    ]
    array = tmp_path / "c.json"
    array.write_text('[\n{"price": 1},\n\n{"price": 2},\n7,\n{"price": }]')
    assert [(line, isinstance(row, BadRow)) for line, row in read_rows(array)] == [
        (2, False),
        (4, False),
        (5, True),
        (6, True),
    ]


def test_a_long_array_is_read_in_pieces(tmp_path: Path) -> None:
    rows = [{"timestamp": 1773187200 + n, "gpu": "RTX 4090 " + "x" * 50, "price": n} for n in range(5000)]
    path = tmp_path / "long.json"
    path.write_text(json.dumps(rows, indent=2))
    found = list(read_rows(path))
    assert len(found) == 5000 and not any(isinstance(row, BadRow) for _, row in found)
    assert [line for line, _ in found[:3]] == [2, 7, 12]


def test_texts_are_resolved_or_cleaned(reader: RowReader) -> None:
    assert keys(reader, platform="Vast.AI") == [SeriesKey("vast", "rtx-4090")]
    assert keys(reader, platform="Massed  Compute!") == [SeriesKey("massed-compute", "rtx-4090")]
    assert keys(reader, platform="latitude.sh") == [SeriesKey("latitude.sh", "rtx-4090")]
    assert keys(reader, gpu="A100 SXM4", vram_gb="40") == [SeriesKey("vast", "a100-sxm4-40gb")]
    assert keys(reader, gpu="H100") == [SeriesKey("vast", "h100")]
    assert keys(reader, gpu="Mystery", gpu_raw="RTX 4090") == [SeriesKey("vast", "rtx-4090")]
    assert keys(reader, region="us; any ;US") == [SeriesKey("vast", "rtx-4090", "US"), SeriesKey("vast", "rtx-4090")]
    assert keys(reader, region="<b>Oslo</b> @everyone") == [SeriesKey("vast", "rtx-4090", "bOslo/b everyone")]
    assert keys(reader, tier="Interruptible") == [SeriesKey("vast", "rtx-4090", tier="spot")]
    assert keys(reader, tier="community", region="secure") == [SeriesKey("vast", "rtx-4090", tier="community")]
    assert keys(reader, segment="dc:8+", verification="Verified") == [
        SeriesKey("vast", "rtx-4090", verification="verified", segment="dc:8+")
    ]
    assert keys(reader, platform="💥") == "platform is no name of at most 32 letters and digits"
    assert keys(reader, platform="a\udcff") == "platform is not UTF-8"
    assert keys(reader, rented="5", total="4") == "rented and total must both be given, rented at most total"


@given(st.lists(st.text(max_size=12), min_size=len(FIELDS), max_size=len(FIELDS)))
def test_no_row_breaks_it(row: list[str]) -> None:
    found = RowReader(GpuCatalogue.load(), PlatformCatalogue.load(), NOW).read(tuple(row))
    keys = [] if isinstance(found, Refused) else [each.key for each in found]
    assert all(len(key.region) <= 64 and len(key.platform) <= 32 for key in keys)


def test_cells_are_no_formulas() -> None:
    assert [safe_cell(text) for text in ("=1+1", "+1", "-1", "@x", "\tx", "a=b", "")] == [
        *("'=1+1", "'+1", "'-1", "'@x", "'\tx", "a=b", ""),
    ]
