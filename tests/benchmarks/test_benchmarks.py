"""The benchmarks run and print what programs read. No times are asserted here: that is their own work."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measure
from benchmarks.measure import emit, in_turns, median_ratio

ROOT = Path(__file__).resolve().parents[2]
KEYS = ["name", "value", "unit", "limit", "ratio"]


async def bench(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, measurements and progress of ``python -m benchmarks``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(300):
        out, err = await process.communicate()
    code = process.returncode
    assert code is not None
    return code, [json.loads(line) for line in out.decode().splitlines()], err.decode()


@pytest.fixture
def no_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_missed", [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ingest_upsert", {"sqlite.vs_core", "sqlite.vs_sqlite3", "sqlite.p50"}),
        ("history_query", {"sqlite.100k.vs_bare", "sqlite.100k.duckdb_p50", "sqlite.100k.p50"}),
        ("jobs_throughput", {"sqlite.ours", "sqlite.vs_bare"}),
        ("poll_to_dm", {"rate", "vs_permitted", "refused", "p50", "p99"}),
    ],
)
async def test_a_quick_run_prints_json_lines_and_names_missed_limits(name: str, expected: set[str]) -> None:
    code, measurements, progress = await bench(name, "--quick")
    assert {f"{name}.{part}" for part in expected} <= {m["name"] for m in measurements}, progress
    for measurement in measurements:
        assert list(measurement) == KEYS
        assert measurement["name"].startswith(f"{name}.")
        # No answer with 429 is what is wanted; of everything else nothing would mean that nothing was measured.
        assert measurement["value"] > 0 or measurement["name"] == "poll_to_dm.refused"
        assert isinstance(measurement["unit"], str)
    limited = [m for m in measurements if m["limit"] is not None]
    assert limited and all(m["ratio"] is not None for m in limited)
    # A busy machine may miss a limit: then, and only then, the exit code says so and the last line which.
    assert code == (1 if "MISSED" in progress else 0), progress
    assert ("Limits missed: " in progress) == (code == 1)


async def test_an_unknown_name_is_wrong_use() -> None:
    code, measurements, progress = await bench("speed")
    assert (code, measurements) == (2, [])
    assert "no such benchmark: speed" in progress


@pytest.mark.usefixtures("no_misses")
def test_a_limit_is_a_ceiling_or_a_floor(capsys: pytest.CaptureFixture[str]) -> None:
    emit("a", 2.0, "ms", 3.0)
    emit("b", 4.0, "ms", 3.0)
    emit("c", 0.95, "ratio", 0.9, 0.95, at_least=True)
    emit("d", 0.85, "ratio", 0.9, 0.85, at_least=True)
    emit("e", 100.0, "MiB")
    assert measure.missed() == ["b", "d"]
    printed = capsys.readouterr()
    assert [json.loads(line)["name"] for line in printed.out.splitlines()] == ["a", "b", "c", "d", "e"]
    assert "MISSED b" in printed.err and "MISSED d" in printed.err


async def test_ways_take_turns_and_warm_up_does_not_count() -> None:
    calls: list[tuple[str, int]] = []

    async def own(number: int) -> float:
        calls.append(("own", number))
        return 10.0 + number

    async def other(number: int) -> float:
        calls.append(("other", number))
        return 5.0 + number / 2

    times = await in_turns({"own": own, "other": other}, 3, warm_up=1)
    assert times == {"own": [10.0, 11.0, 12.0], "other": [5.0, 5.5, 6.0]}
    assert median_ratio(times, "own", "other") == 2.0
    rounds = [{name for name, number in calls if number == n} for n in (-1, 0, 1, 2)]
    assert rounds == [{"own", "other"}] * 4
    assert calls[2][0] != calls[4][0]  # each has the first turn in its turn
