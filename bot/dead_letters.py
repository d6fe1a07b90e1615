"""``gpuscout dead-letters``: work that was given up, for the operator's terminal. Each returns an exit code."""

from __future__ import annotations

import json
from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.tools import opened
from config.logging import redact_value
from config.settings import Settings
from storage.job_model import Job
from storage.redact import redact

_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code != 0x0A}
"""Control characters as text: what a job was told by others must not steer the operator's terminal."""


async def list_dead_letters(settings: Settings, limit: int, kind: str | None = None) -> int:
    """Dead jobs, newest first: a table on a terminal, one line a job elsewhere."""
    async with opened(settings) as parts:
        dead = await parts.jobs.list_dead(limit, kind=kind)
        total = (await parts.jobs.counts())["dead"]
    if not dead:
        typer.echo("no dead letters")
        return 0
    console = Console()
    if not console.is_terminal:
        for job in dead:
            typer.echo(f"{job.id}  {_when(job):%Y-%m-%d %H:%M}  {job.kind}  after {job.attempts} tries: {_reason(job)}")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "given up (UTC)", "kind", "tries", "last error"):
        table.add_column(name, overflow="fold", justify="right" if name in ("id", "tries") else "left")
    for job in dead:
        cells = (str(job.id), f"{_when(job):%Y-%m-%d %H:%M}", job.kind, str(job.attempts), _reason(job)[:200])
        table.add_row(*(Text(cell) for cell in cells))  # as text: a job's words are no markup
    console.print(table)
    console.print(Text(f"{len(dead)} of {total}. gpuscout dead-letters show|retry|discard ID"), style="dim")
    return 0


async def show_dead_letter(settings: Settings, job_id: int) -> int:
    """Everything about one job, secrets left out."""
    async with opened(settings) as parts:
        job = await parts.jobs.get(job_id)
    if job is None:
        typer.echo(f"gpuscout: there is no job {job_id}", err=True)
        return 1
    fields = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "created": job.created_at.isoformat(),
        "finished": job.finished_at.isoformat() if job.finished_at else None,
        "attempts": f"{job.attempts} of {job.max_attempts}",
        "last error": job.last_error,
        "payload": dict(job.payload),
    }
    typer.echo(json.dumps(redact_value(fields), indent=2, ensure_ascii=False).translate(_VISIBLE))
    return 0


async def settle_dead_letters(settings: Settings, job_ids: list[int], *, retry: bool) -> int:
    """Requeue or discard dead jobs; exit code 1 when one was not dead."""
    failed = 0
    async with opened(settings) as parts:
        for job_id in job_ids:
            done = await (parts.jobs.requeue(job_id) if retry else parts.jobs.discard(job_id))
            word = ("queued again" if retry else "discarded") if done else "is not a dead letter"
            typer.echo(f"{job_id} {word}", err=not done)
            failed += not done
    return 1 if failed else 0


def _when(job: Job) -> datetime:
    return job.finished_at or job.created_at


def _reason(job: Job) -> str:
    return " ".join(redact(job.last_error or "-").split()).translate(_VISIBLE)
