"""The one-shot commands: ingest now, migrations, command sync. Each returns an exit code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import typer

from bot.parts import (
    Parts,
    make_cycle,
    make_farm_client,
    make_farm_cycle,
    make_machines_client,
    make_machines_cycle,
    make_vast_client,
    make_vast_ingest,
    open_parts,
)
from config.settings import Settings
from gpuscout.market.fallback import Cycle
from gpuscout.market.watch import load_statuses
from storage import migrate
from storage.machines import FEED as MACHINES_FEED


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Parts]:
    """Storage for one command; the embedded database is migrated first."""
    if settings.embedded:
        await migrate.upgrade(settings.database_url)
    parts = open_parts(settings)
    try:
        yield parts
    finally:
        await parts.aclose()


async def ingest_once(settings: Settings, source: str | None, feed: str | None = None) -> int:
    """One cycle now; prints read, rejected with reasons, stored and seconds.

    With *feed* ``machines`` the list of machines is read instead of the statistics.
    """
    makers: dict[str | None, Callable[[Parts], Cycle]] = {
        None: make_cycle,
        settings.market_source: lambda parts: make_farm_cycle(parts, make_farm_client(settings)),
        settings.vast_source: lambda parts: make_vast_ingest(parts, make_vast_client(settings)),
    }
    if feed == MACHINES_FEED:
        makers = dict.fromkeys((None, settings.market_source), _machines_cycle)
    elif feed is not None:
        typer.echo(f"gpuscout: there is no feed {feed!r} to read by itself; there is {MACHINES_FEED}", err=True)
        return 2
    if source not in makers:
        known = " and ".join(name for name in makers if name)
        typer.echo(f"gpuscout: there is no source {source!r}; there are {known}", err=True)
        return 2
    async with opened(settings) as parts:
        ingest = makers[source](parts)
        try:
            report = await ingest.run()
        finally:
            await ingest.aclose()
    rejected = sum(report.rejected.values())
    typer.echo(
        f"{report.source}: read {report.read}, rejected {rejected}, stored {report.stored}, {report.seconds:.2f} s"
    )
    for reason, count in sorted(report.rejected.items(), key=lambda item: -item[1]):
        typer.echo(f"  rejected {count} x {reason}")
    if report.note:
        typer.echo(f"  {report.note}")
    elif report.unchanged and not report.problems:
        typer.echo(f"  unchanged since the last read: {', '.join(report.unchanged)}")
    if report.unknown:
        typer.echo(f"  unknown GPU names: {', '.join(report.unknown)}")
    for problem in report.problems:
        typer.echo(f"  problem: {problem}", err=True)
    return 0 if report.ok else 1


def _machines_cycle(parts: Parts) -> Cycle:
    return make_machines_cycle(parts, make_machines_client(parts.settings))


async def migrate_to(settings: Settings, revision: str, *, up: bool) -> int:
    """Migrate up or down and print where the database now is."""
    if up:
        await migrate.upgrade(settings.database_url, revision)
    else:
        await migrate.downgrade(settings.database_url, revision)
    return await show_revision(settings)


async def show_revision(settings: Settings) -> int:
    """Print the database's revision."""
    typer.echo(await migrate.current(settings.database_url) or "empty (run: gpuscout db upgrade)")
    return 0


async def show_sources(settings: Settings) -> int:
    """A few lines a source; exit code 1 when one is sick."""
    async with opened(settings) as parts:
        statuses = await load_statuses(parts.state)
    for status in statuses:
        typer.echo(f"{status.source}: {status.problem or 'well'}")
        if status.remark:
            typer.echo(f"  {status.remark}")
        typer.echo(f"  last read {_when(status.last_attempt)}, last new data {_when(status.last_success)}")
        typer.echo(f"  source time {_when(status.last_source_time)}, {status.series} series, breaker {status.breaker}")
        for reason, count in status.reject_reasons.items():
            typer.echo(f"  rejected {count} x {reason}")
    if not statuses:
        typer.echo("no source was read yet (run: gpuscout ingest)")
    return 1 if any(status.problem for status in statuses) else 0


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"


async def show_rejected(settings: Settings, limit: int) -> int:
    """Newest samples of rejected items."""
    async with opened(settings) as parts:
        rows = await parts.store.rejected_samples(limit)
    for row in rows:
        typer.echo(f"{_when(row.seen_at)}  {row.source}/{row.feed}  {row.reason}\n    {row.sample[:300]}")
    if not rows:
        typer.echo("nothing was rejected in the last days")
    return 0


async def show_unknown(settings: Settings) -> int:
    """GPU names without an entry in config/gpus.toml."""
    async with opened(settings) as parts:
        rows = await parts.store.unknown_names()
    for row in rows:
        typer.echo(f"{row.times:>6} x  {row.name}  ({row.slug}), last seen {_when(row.last_seen)}")
    if not rows:
        typer.echo("every name is known")
    return 0


async def sync_slash_commands(settings: Settings, force: bool, version: str) -> int:
    """Register the commands with Discord if they changed."""
    from bot.bot_role import make_bot
    from bot.sync import sync_commands

    assert settings.discord_token is not None  # noqa: S101 - the command line has checked it
    async with opened(settings) as parts:
        bot = await make_bot(parts, version, sync=False)
        async with bot:
            await bot.login(settings.discord_token.get_secret_value())
            result = await sync_commands(bot.tree, parts.state, force=force)
    typer.echo(f"{len(result.ids)} commands " + ("registered" if result.changed else "unchanged"))
    return 0
