"""``gpuscout backfill`` as a process: its words, its rejects file, and a kill in the middle."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from storage import migrate
from storage.engine import Database
from tests.market.history_files import BAD, sample_lines, write_csv
from tests.market.test_backfill import day_rows, tables

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("GPUSCOUT_SHARED", ROOT.parent / "shared"))
REAL = SHARED / "data" / "history_to_2026-06.csv.gz"


Migrated = Callable[[str], Awaitable[Database]]


@pytest.fixture
async def migrated(tmp_path: Path) -> AsyncIterator[Migrated]:
    """Makes an empty database as the program makes it."""
    made: list[Database] = []

    async def make(name: str) -> Database:
        url = f"sqlite+aiosqlite:///{tmp_path}/{name}.db"
        await migrate.upgrade(url)
        made.append(Database(url))
        return made[-1]

    yield make
    for db in made:
        await db.close()


def environment(folder: Path, url: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "DATABASE_URL": url, "DATA_DIR": str(folder), "PYTHONPATH": str(ROOT), "LOG_LEVEL": "WARNING"}


def run(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", "backfill", *arguments],
        cwd=folder,
        env=environment(folder, url),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_it_says_what_it_did_and_writes_the_rejects(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
    lines = [*sample_lines(), *(line for line, _ in BAD), "2026-03-11T04:17:38Z,=cmd|x,?,,,weekly =1+1,,,,,,,,,,"]
    write_csv(tmp_path / "history.csv", lines)

    done = run(tmp_path, url, "history.csv", "--rejects", "bad.csv")

    assert done.returncode == 0, done.stderr
    assert f"history.csv: 38 rows read, {len(BAD) + 1} rejected" in done.stdout
    assert "rejected 1 x price is not above 0; first in history.csv line 30 ('-0.3')" in done.stdout
    assert "2024-01-07 to 2026-05-10" in done.stdout and "unknown GPU names: Frobnicator 9000" in done.stdout
    with (tmp_path / "bad.csv").open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [row["reason"] for row in rejects[:-1]] == [reason for _, reason in BAD]
    assert [int(row["line"]) for row in rejects] == list(range(22, 23 + len(BAD)))
    again = run(tmp_path, url, "history.csv")
    assert again.returncode == 0 and "loaded already on" in again.stdout


def test_wrong_use_and_wrong_files_end_with_a_sentence(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
    (tmp_path / "words.csv").write_text("hello\n")
    assert "timestamp,platform,gpu" in run(tmp_path, url, "--template").stdout
    for arguments, code, sentence in (
        ((), 2, "name a file"),
        (("nowhere.csv",), 2, "there is no file nowhere.csv"),
        (("words.csv",), 1, "words.csv has no column for timestamp, platform, gpu, price"),
    ):
        done = run(tmp_path, url, *arguments)
        assert done.returncode == code and sentence in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


async def test_killed_in_the_middle_it_goes_on(tmp_path: Path, migrated: Migrated) -> None:
    lines = []
    for n in range(60_000):
        at = f"2026-0{1 + n % 6}-{1 + n % 28:02}T{n % 24:02}:{n % 60:02}:00Z"
        lines.append(f"{at},place-{n % 400},RTX 4090,,,,{0.2 + n % 97 / 100},,,,,,,,,x")
    path = write_csv(tmp_path / "many.csv", lines)
    whole, killed = await migrated("whole"), await migrated("killed")
    assert run(tmp_path, str(whole.url), str(path)).returncode == 0

    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "backfill", str(path)], env=environment(tmp_path, str(killed.url)), cwd=tmp_path
    )
    deadline = time.monotonic() + 120
    while not await day_rows(killed) and process.poll() is None and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    part = len(await day_rows(killed))

    done = run(tmp_path, str(killed.url), str(path))
    assert done.returncode == 0, done.stderr
    assert await tables(killed) == await tables(whole)
    if part < len(await day_rows(killed)):  # else it was quicker than the kill
        assert "went on after" in done.stdout


@pytest.mark.deep
@pytest.mark.skipif(not REAL.exists(), reason=f"the recorded history is not here: {REAL}")
async def test_the_recorded_history_of_four_years(migrated: Migrated, tmp_path: Path) -> None:
    db = await migrated("real")
    begun = time.monotonic()
    done = run(tmp_path, str(db.url), str(REAL))
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 120
    assert "302,269 rows read, 0 rejected" in done.stdout and "on 58 platforms" in done.stdout
    first = await tables(db)
    (community, *_), (secure, *_) = [
        await day_rows(db, platform="runpod", gpu="rtx-4090", tier=tier, region="global")
        for tier in ("community", "secure")
    ]
    assert (community.price, secure.price) == (0.34, 0.59) and community.ts == secure.ts
    assert not await day_rows(db, platform="lambda", gpu="h100-sxm", tier="community")
    assert await day_rows(db, platform="lambda", gpu="h100")
    again = run(tmp_path, str(db.url), "--again", str(REAL))
    assert "stored 0 hours and 0 days" in again.stdout and await tables(db) == first
