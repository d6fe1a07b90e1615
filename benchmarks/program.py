"""``gpuscout run`` as a process of its own against a Discord on loopback, for the benchmarks that need all of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.market_fixture import sqlite_databases
from sandbox.discord.server import SandboxDiscord
from storage.engine import Database
from tests.services import free_port

PATIENCE = 60.0
"""Seconds after which a process that does not do what it should is given up."""
ROOT = Path(__file__).resolve().parent.parent

# The program itself; asked by a signal, it writes down what it has imported.
_PROGRAM = """
import pathlib, signal, sys
file = pathlib.Path(sys.argv.pop())
def write(*_):
    file.with_suffix(".tmp").write_text(" ".join(sys.modules))
    file.with_suffix(".tmp").replace(file)
signal.signal(signal.SIGUSR1, write)
from bot.cli import main
main()
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the program runs: its Discord, its folder and its environment."""

    discord: SandboxDiscord
    folder: Path
    environment: dict[str, str]


def clean_environment() -> dict[str, str]:
    """What a process needs of ours, without the settings of whoever runs the benchmarks."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONPATH": str(ROOT)}


@asynccontextmanager
async def open_discord(members: int = 1) -> AsyncIterator[SandboxDiscord]:
    """A Discord on loopback with one server; its rate limits are off, so that only the bot is measured."""
    discord = SandboxDiscord(rate_limits=False)
    users = [discord.add_user(f"member{i}") for i in range(members)]
    discord.add_guild("Hosts", owner=users[0].id, members=[user.id for user in users], channels=["market"])
    await discord.start()
    try:
        yield discord
    finally:
        await discord.stop()


@asynccontextmanager
async def place(
    fill: Callable[[Database], Awaitable[None]], *, members: int = 1, **settings: str
) -> AsyncIterator[Place]:
    """A Discord, and an embedded database that is current and filled."""
    async with open_discord(members) as discord, sqlite_databases(("gpuscout",), fill) as urls:
        folder = Path(urls["gpuscout"].removeprefix("sqlite+aiosqlite:///")).parent
        environment = {
            "DATABASE_URL": urls["gpuscout"],
            "DATA_DIR": str(folder),
            "DISCORD_TOKEN": discord.token,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
            "FARM_URL": "http://127.0.0.1:9",
            "MARKET_FALLBACK": "off",
            "MARKET_MACHINES": "false",
            "LOG_LEVEL": "WARNING",
        }
        yield Place(discord, folder, clean_environment() | environment | settings)


@asynccontextmanager
async def running(where: Place, **settings: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, float]]:
    """The program, with its web and its gateway connected; and the milliseconds that took. Stopped afterwards.

    Raises:
        RuntimeError: it ended by itself, or with an error.
        TimeoutError: it did not start or stop within a minute.
    """
    port = free_port()
    before = where.discord.gateway.identify_count
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAM,
        "run",
        str(where.folder / "modules"),
        cwd=where.folder,
        env={**where.environment, **settings, "WEB_PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            web = False
            while not web or where.discord.gateway.identify_count == before:
                if process.returncode is not None:
                    raise RuntimeError(f"gpuscout run ended with exit code {process.returncode}")
                web = web or _accepts(port)
                await asyncio.sleep(0.002)
        yield process, (time.perf_counter() - begun) * 1000
    finally:
        code = await stop(process)
    if code != 0:
        raise RuntimeError(f"gpuscout run ended with exit code {code}")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def stop(process: asyncio.subprocess.Process) -> int:
    """Interrupt a process as an operator does; its exit code."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(PATIENCE):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


async def imported(where: Place, process: asyncio.subprocess.Process) -> set[str]:
    """Names of the modules that the running program has imported."""
    file = where.folder / "modules"
    file.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR1)
    async with asyncio.timeout(PATIENCE):
        while not file.exists():
            await asyncio.sleep(0.01)
    return set(file.read_text().split())
