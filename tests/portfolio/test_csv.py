"""CSV of holdings: what is understood, what is refused and where, and files that are safe to open."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.portfolio.csv_import import (
    COLUMNS,
    MAX_BYTES,
    MAX_ROWS,
    CsvReport,
    parse_csv,
    template_csv,
    to_csv,
)
from gpuscout.portfolio.models import HoldingDraft

TODAY = date(2026, 1, 1)
GPUS, PLATFORMS = GpuCatalogue.load(), PlatformCatalogue.load()


def parse(text: str | bytes) -> CsvReport:
    return parse_csv(text if isinstance(text, bytes) else text.encode(), GPUS, PLATFORMS, TODAY)


def test_the_template_is_understood() -> None:
    report = parse(template_csv())
    assert report.refused is None
    assert (report.errors, report.bad, report.ignored) == ([], 0, [])
    assert [(row.gpu, row.quantity, row.asked_price) for row in report.rows] == [("rtx-4090", 8, 0.35)]
    assert template_csv().splitlines()[0].split(",") == list(COLUMNS)


def test_names_are_resolved_and_defaults_filled() -> None:
    report = parse("GPU,Quantity,Platform,region\nNVIDIA GeForce RTX 4090,4,vast.ai,DE\nrtx 3060,,,\n")
    assert report.bad == 0
    first, second = report.rows
    assert (first.gpu, first.quantity, first.platform, first.region) == ("rtx-4090", 4, "vast", "de")
    assert (second.gpu, second.quantity, second.platform, second.region) == ("rtx-3060", 1, None, "global")
    assert (second.tier, second.verification, second.segment) == ("on-demand", "any", "any")


def test_a_german_spreadsheets_file() -> None:
    text = "\ufeffgpu;quantity;price_usd_gpu_hour;fee_percent;purchased_on\r\nRTX 4090;2;0,35;25 %;2025-03-01\r\n"
    (row,) = parse(text).rows
    assert (row.asked_price, row.fee, row.purchased_on) == (0.35, 0.25, date(2025, 3, 1))


@pytest.mark.parametrize(
    ("delimiter", "typed", "meant"),
    [
        (";", "16.000", 16_000.0),
        (";", "16,000", 16_000.0),
        (";", "16.000,50", 16_000.5),
        (";", "1.234.567", 1_234_567.0),
        (";", "16000,5", 16_000.5),
        (";", "16000.5", 16_000.5),
        (";", "0,125", 0.125),
        ("\t", "$ 16.000", 16_000.0),
        (",", '"16,000"', 16_000.0),
        (",", '"$16,000.50"', 16_000.5),
        (",", "123.456", 123.456),
    ],
)
def test_sums_as_spreadsheets_of_both_kinds_write_them(delimiter: str, typed: str, meant: float) -> None:
    (row,) = parse(f"gpu{delimiter}purchase_usd\nRTX 4090{delimiter}{typed}\n").rows
    assert row.purchase_price == meant


def test_a_price_per_hour_is_no_sum() -> None:
    rows = parse("gpu;price_usd_gpu_hour\nRTX 4090;1.234\nRTX 4090;1,234\n").rows
    assert [row.asked_price for row in rows] == [1.234, 1.234]


def test_a_machine_stands_there_once() -> None:
    report = parse("machine_id,platform\n31416,vast\n27,vast\n31416,vast.ai\n")
    assert [row.machine_id for row in report.rows] == [31416, 27]
    assert [(error.line, error.field, error.problem) for error in report.errors] == [(4, "machine_id", "twice")]


def test_bad_rows_are_named_by_line_and_reason_and_good_ones_kept() -> None:
    text = (
        "gpu,quantity,price_usd_gpu_hour,platform,purchased_on,name\n"  # 1
        "RTX 4090,8,0.35,vast,,Rig\n"  # 2
        "RTX 9999,8,0.35,vast,,\n"  # 3
        "\n"  # 4
        "RTX 4090,eight,0.35,vast,,\n"  # 5
        "RTX 4090,8,free,vast,,\n"  # 6
        'RTX 4090,8,0.35,nowhere,,"a\nb"\n'  # 7 and 8
        "RTX 4090,8,0.35,vast,01.03.2024,\n"  # 9
        "RTX 4090,8,9999,vast,,\n"  # 10
        ",8,0.35,vast,,\n"  # 11
        "RTX 4090,8,0.35,vast,2030-01-01,\n"  # 12
        "RTX 4090,8,0.35,vast,,,surplus\n"  # 13
        "RTX 3060,1,0.06,vast,,\n"  # 14
    )
    report = parse(text)
    assert [row.gpu for row in report.rows] == ["rtx-4090", "rtx-3060"]
    assert [(error.line, error.field, error.problem) for error in report.errors] == [
        (3, "gpu", "unknown"),
        (5, "quantity", "whole"),
        (6, "asked_price", "number"),
        (7, "platform", "unknown"),
        (9, "purchased_on", "date"),
        (10, "asked_price", "range"),
        (11, "gpu", "missing"),
        (12, "purchased_on", "future"),
        (13, "", "cells"),
    ]
    assert report.bad == 9
    assert report.errors[0].value == "RTX 9999"


def test_a_machine_needs_no_gpu_but_a_platform() -> None:
    report = parse("machine_id,platform\n31416,vast\n31416,\nabc,vast\n")
    (row,) = report.rows
    assert (row.machine_id, row.platform) == (31416, "vast")
    assert [(error.field, error.problem) for error in report.errors] == [
        ("platform", "missing"),
        ("machine_id", "whole"),
    ]


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"", "empty"),
        (b"\n\n \n", "empty"),
        (b"\xff\xfe\x00g", "text"),
        (b"gpu\0,quantity\n", "text"),
        (b"model,count\nRTX 4090,8\n", "columns"),
        (b"gpu,gpu\nRTX 4090,RTX 4090\n", "columns"),
        (b"gpu\n" + b"RTX 4090\n" * (MAX_ROWS + 1), "rows"),
        (b"gpu\n" + b"x" * MAX_BYTES, "large"),
    ],
)
def test_files_that_are_none_are_refused_whole(data: bytes, refused: str) -> None:
    report = parse(data)
    assert report.refused == refused
    assert report.rows == ()


def test_the_largest_file_that_is_taken() -> None:
    report = parse(b"gpu\n" + b"RTX 4090\n" * MAX_ROWS)
    assert (len(report.rows), report.refused) == (MAX_ROWS, None)


def test_each_bad_row_is_named() -> None:
    report = parse("gpu\n" + "nothing\n" * MAX_ROWS)
    assert ([error.line for error in report.errors], report.bad) == (list(range(2, MAX_ROWS + 2)), MAX_ROWS)


def test_a_broken_quotation_is_an_error_not_a_crash() -> None:
    report = parse('gpu,name\nRTX 4090,"never ends\n')
    assert [error.problem for error in report.errors] == ["csv"]
    assert parse('gpu,name\nRTX 4090,"a"b\n').bad == 1


def test_unknown_columns_are_named() -> None:
    report = parse("gpu,colour,quantity\nRTX 4090,red,2\n")
    assert list(report.ignored) == ["colour"]
    assert report.rows[0].quantity == 2


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@SUM(A1)", "=HYPERLINK(1)", "'quoted", "'=1", "＝1"])
def test_no_cell_is_a_formula(name: str) -> None:
    text = to_csv([HoldingDraft(gpu="rtx-4090", name=name)])
    cell = list(csv.reader(io.StringIO(text)))[1][0]
    assert not cell.startswith(("=", "+", "-", "@", "＝"))
    (row,) = parse(text).rows
    assert row.name == name


DRAFTS = st.builds(
    HoldingDraft,
    gpu=st.sampled_from(["rtx-4090", "rtx-3060", "h100-sxm", "a100-sxm4"]),
    quantity=st.integers(1, 10_000),
    name=st.none() | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=60),
    platform=st.sampled_from([None, "vast", "tensordock"]),
    region=st.sampled_from(["global", "de", "us"]),
    asked_price=st.none() | st.floats(0.001, 1_000),
    power_w=st.none() | st.floats(1, 3_000),
    tariff=st.none() | st.floats(0, 5),
    fee=st.none() | st.floats(0, 0.95),
    purchase_price=st.none() | st.floats(0, 1e8),
    purchased_on=st.none() | st.dates(date(2000, 1, 1), TODAY),
    mining_usd_day=st.none() | st.floats(0, 1_000),
)


@settings(deadline=None, max_examples=80)
@given(st.lists(DRAFTS, min_size=1, max_size=5))
def test_what_is_written_is_read_again(drafts: list[HoldingDraft]) -> None:
    report = parse(to_csv(drafts))
    assert report.bad == 0
    for read, written in zip(report.rows, drafts, strict=True):
        for name in COLUMNS.values():
            value = getattr(written, name)
            if name == "fee" and value is not None:
                assert read.fee == pytest.approx(value, abs=1e-9)
            else:
                assert getattr(read, name) == value


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=400)
    | st.text(max_size=400).map(lambda text: ("gpu,quantity\n" + text).encode("utf-8", "replace"))
)
def test_no_bytes_break_it(data: bytes) -> None:
    report = parse(data)
    assert report.refused in (None, "text", "empty", "columns", "rows", "large")
