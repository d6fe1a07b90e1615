"""What the one-shot commands print: no secrets, one line a job, nothing that steers a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.dead_letters import list_dead_letters, settle_dead_letters, show_dead_letter
from config.settings import Settings
from storage.engine import Database
from storage.jobs import JobStore


async def _bury(url: str) -> int:
    db = Database(url)
    jobs = JobStore(db)
    try:
        async with db.write() as conn:
            payload = {"user_id": 7, "token": "t-1", "text": "red \x1b[31m\x9b2J", "note": "Bearer abcdefgh1234"}
            await jobs.enqueue(conn, "delivery.dm", payload)
        [job] = await jobs.claim(["delivery.dm"], 1, 60)
        async with db.write() as conn:
            await jobs.bury(conn, job, "first line\nsecond \x1b[2Jline")
        return job.id
    finally:
        await db.close()


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    # Commands migrate the embedded database themselves.
    return Settings(_env_file=None, database_url=f"sqlite+aiosqlite:///{tmp_path / 'x.db'}", data_dir=tmp_path)


async def test_dead_letters_are_shown_and_settled(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await list_dead_letters(settings, 10) == 0
    assert capsys.readouterr().out.endswith("no dead letters\n")
    job_id = await _bury(settings.database_url)

    assert await list_dead_letters(settings, 10) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(f"{job_id}  ") and "delivery.dm  after 1 tries: first line second" in line

    assert await show_dead_letter(settings, job_id) == 0
    shown = capsys.readouterr().out
    assert '"token": "[redacted]"' in shown and "abcdefgh1234" not in shown
    assert "\x1b" not in line + shown and "\x9b" not in line + shown

    assert await settle_dead_letters(settings, [job_id, 4242], retry=True) == 1
    both = capsys.readouterr()
    assert "queued again" in both.out and "4242 is not a dead letter" in both.err
    assert await show_dead_letter(settings, 4242) == 1
