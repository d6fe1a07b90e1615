"""What hinders a start is said in one sentence; whatever the moment, the process ends cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from tests.e2e.harness import (
    PATIENCE,
    TOKEN,
    Product,
    World,
    bare_environment,
    code_of,
    command,
    until,
    web,
    words,
)

pytestmark = pytest.mark.xdist_group("e2e-start")


def said(product: Product) -> str:
    """The one line that a person reads; no log record goes with it that would hide it."""
    [line] = product.plain_errors
    assert line.startswith("gpuscout: ")
    assert "Traceback" not in line
    assert TOKEN not in "\n".join(product.lines)
    return line


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as first:
        await first.start()
        second = await command(world.environment(tmp_path), tmp_path, "run")
        assert code_of(second) == 1
        assert first.process is not None
        assert f"GPUScout is already running here (process {first.process.pid}" in said(second)
        assert await first.stop() < 10
        # Given back with the end of the first.
        async with Product(world.environment(tmp_path), folder=tmp_path) as third:
            await third.start()
            await third.stop()


async def test_a_busy_port(tmp_path: Path) -> None:
    environment = bare_environment(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        product = await command(environment | {"WEB_PORT": str(port)}, tmp_path, "run")
    assert code_of(product) == 1
    assert f"127.0.0.1:{port} is in use by another program; set WEB_PORT to a free port" in said(product)


async def test_a_token_that_discord_does_not_accept(tmp_path: Path) -> None:
    wrong = TOKEN.replace("e2e", "bad")
    async with World() as world:
        product = await command(world.environment(tmp_path, DISCORD_TOKEN=wrong), tmp_path, "run")
    assert code_of(product) == 1
    assert "Discord does not accept DISCORD_TOKEN" in said(product)
    assert wrong not in "\n".join(product.lines)


async def test_without_a_token_the_other_roles_run(tmp_path: Path) -> None:
    async with World() as world:
        environment = world.environment(tmp_path)
        del environment["DISCORD_TOKEN"]
        async with Product(environment, folder=tmp_path) as product:
            await product.start()
            async with web(product.url) as site:
                await site.ready()
                assert (await site.get("/api/v1/prices"))[1]["count"] > 10
            assert [entry["reason"] for entry in product.events("bot_off")] == ["DISCORD_TOKEN is not set"]
            naming = [entry for entry in product.logs if "DISCORD_TOKEN" in str(entry)]
            assert len(naming) == 1
            await product.stop()
            assert product.trouble == []


async def test_discord_that_is_away_at_the_start(tmp_path: Path) -> None:
    """The market goes on being kept, and the bot comes when Discord does."""
    async with World() as world:
        await world.discord.control.apply_faults({"status": {"route": "GET /users/@me", "times": 1, "code": 503}})
        async with Product(world.environment(tmp_path), folder=tmp_path) as product:
            await product.start()
            async with web(product.url) as site:
                await site.ready()
            await world.bot_answers()
            async with world.actor("ada") as ada:
                assert "RTX 4090" in words(await ada.run(world.channel, "price", {"gpu": "rtx-4090"}, within=30))
            await product.stop()


_DEEP = pytest.mark.deep


@pytest.mark.parametrize(
    ("delay", "how"),
    [
        (0.05, signal.SIGTERM),
        (0.8, signal.SIGINT),
        (1.2, signal.SIGTERM),
        *(
            pytest.param(tenths / 10, how, marks=_DEEP)
            for tenths in range(2, 30, 2)
            for how in (signal.SIGTERM, signal.SIGINT)
        ),
    ],
)
async def test_a_signal_during_the_start(tmp_path: Path, delay: float, how: signal.Signals) -> None:
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as product:
        await product.spawn()
        await asyncio.sleep(delay)  # the moment is what is tested; wherever it falls, the end is the same
        assert product.process is not None
        product.process.send_signal(how)
        started = time.monotonic()
        code = await product.ended(within=PATIENCE)
        assert time.monotonic() - started < 10
        # Before the program has set its handlers the signal itself ends it.
        assert code in (0, 130, -how), product.tail()
        if code == 0:
            assert product.trouble == []
        assert not [line for line in product.plain_errors if "Error" in line], product.tail()
        # Nothing is left that hinders the next start.
        await product.start()
        async with web(product.url) as site:
            await site.ready()
        assert await product.stop() < 10


async def test_ctrl_c_twice_ends_at_once(tmp_path: Path) -> None:
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as product:
        world.farm.set_mode("slow", seconds=60)
        await product.start()
        await until(lambda: job_states(tmp_path)[:1] == ["running"], "the first cycle hangs in the slow source")
        assert product.process is not None
        started = time.monotonic()
        product.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.3)
        with contextlib.suppress(ProcessLookupError):
            product.process.send_signal(signal.SIGINT)
        code = await product.ended(within=PATIENCE)
        assert time.monotonic() - started < 3
        assert code in (0, 130)
        assert not product.plain_errors, product.tail()


def job_states(folder: Path) -> list[str]:
    """States of the ingest jobs in the embedded database."""
    with contextlib.closing(sqlite3.connect(folder / "gpuscout.db")) as db:
        return [state for (state,) in db.execute("SELECT state FROM job WHERE kind = 'market.ingest' ORDER BY id")]


async def test_a_stop_while_the_source_hangs(tmp_path: Path) -> None:
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as product:
        world.farm.set_mode("slow", seconds=60)
        await product.start()
        await until(lambda: job_states(tmp_path)[:1] == ["running"], "the first cycle hangs in the slow source")
        assert await product.stop() < 10
        assert product.trouble == []
        assert set(job_states(tmp_path)) == {"ready"}, "the job was given back"


async def test_a_database_locked_by_another_writer_loses_nothing(tmp_path: Path) -> None:
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as product:
        await product.start()
        await product.said("ingest_done")
        await world.bot_answers()
        other = sqlite3.connect(tmp_path / "gpuscout.db", isolation_level=None, timeout=30)
        other.execute("BEGIN IMMEDIATE")
        asked = len(world.farm.requests)
        async with world.actor("ada") as ada, web(product.url) as site:
            # Reading goes on, also when it is told to write something down.
            card = await ada.run(world.channel, "price", {"gpu": "rtx-4090"}, within=30)
            assert "RTX 4090" in words(card)
            assert (await site.get("/api/v1/prices"))[0] == 200
            await asyncio.sleep(5)
            done = len(product.polls())
            other.execute("COMMIT")
            other.close()
            await until(lambda: len(product.polls()) >= done + 2, "polls go on")
        await product.stop()
        assert product.trouble == []
        assert len(world.farm.requests) > asked
        db = sqlite3.connect(tmp_path / "gpuscout.db")
        used = db.execute("SELECT count(*) FROM usage_event WHERE name = 'price' AND outcome = 'ok'").fetchone()
        states = dict(db.execute("SELECT state, count(*) FROM job GROUP BY state"))
        updates = db.execute("SELECT count(*) FROM market_update WHERE feed = 'v1'").fetchone()
        db.close()
        assert used == (1,)
        # What a tick added in the last moment waits for the next start.
        assert set(states) <= {"done", "ready"}
        # Two polls one right after the other meet the same publication: the second stores nothing.
        assert updates == (len([poll for poll in product.polls() if "v1" in poll["updates"]]),)
