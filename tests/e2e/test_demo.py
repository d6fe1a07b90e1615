"""``gpuscout demo`` as a newcomer meets it: one address, a card, an end, and a second start that goes on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from sandbox.discord.actor import Actor

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
PAGE = re.compile(r"Open  (http://127\.0\.0\.1:\d+)")


class Demo:
    """The running command and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[tuple[float, str]] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.decode().rstrip()))

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)

    async def page(self) -> str:
        """The address it prints."""
        deadline = time.monotonic() + PATIENCE
        while (found := PAGE.search(self.text)) is None:
            assert self.process.returncode is None, self.text
            assert time.monotonic() < deadline, self.text
            await asyncio.sleep(0.1)
        return found.group(1)

    async def stop(self) -> float:
        """Ctrl-C; the seconds until it has ended."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(self.process.wait(), 30)
        await self._reader
        return time.monotonic() - started


@asynccontextmanager
async def running(folder: Path, *options: str) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "demo",
        *options,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    demo = Demo(process)
    try:
        yield demo
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await demo._reader


async def _member(page: str) -> tuple[str, str]:
    """(user id, #market's id) of the demo's first member."""
    async with aiohttp.ClientSession() as session, session.get(f"{page}/sandbox/state") as answer:
        state = await answer.json()
    [market] = [channel for channel in state["guilds"][0]["channels"] if channel["name"] == "market"]
    assert state["badge"] == "SIMULATED" and state["suggestions"]
    return state["me"]["id"], market["id"]


@pytest.mark.xdist_group("demo")
async def test_a_newcomers_demo(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        async with running(tmp_path, "--port", str(taken)) as demo:
            page = await demo.page()
            assert f"port {taken} is busy" in demo.text
            assert "Simulated market – no account or key used. Ctrl-C stops." in demo.text
            shown = [at for at, _ in demo.lines]
            assert max(b - a for a, b in pairwise(shown)) < 5.0 + 3.0  # 3 s for a busy machine
            user, market = await _member(page)
            async with Actor(page, int(user)) as ada:
                choices = await ada.autocomplete(market, "price", "gpu", "40")
                assert choices[0]["value"] == "rtx-4090" and "RTX 4090" in choices[0]["name"]
                card = await ada.run(market, "price", {"gpu": "rtx-4090"}, within=30)
                text = json.dumps(card, ensure_ascii=False)
                assert "SIMULATED" in text and card["attachments"]
            assert await demo.stop() < 10.0
            assert demo.process.returncode == 0, demo.text
    state = json.loads((tmp_path / "data/demo/demo.json").read_text())

    async with running(tmp_path, "--port", "0") as again:
        page = await again.page()
        assert f"going on with the market of the last demo (seed {state['seed']})" in again.text
        assert "writing two years" not in again.text
        user, market = await _member(page)
        async with Actor(page, int(user)) as ada:
            before = await ada.messages(market)
            assert any(message["attachments"] for message in before), "the earlier card is still there"
        assert await again.stop() < 10.0
    later = json.loads((tmp_path / "data/demo/demo.json").read_text())
    assert later["seed"] == state["seed"] and later["simulated"] > state["simulated"]


@pytest.mark.xdist_group("demo")
async def test_ctrl_c_while_the_history_is_written(tmp_path: Path) -> None:
    async with running(tmp_path, "--port", "0") as demo:
        while "writing two years" not in demo.text:
            assert demo.process.returncode is None, demo.text
            await asyncio.sleep(0.05)
        assert await demo.stop() < 10.0
        assert demo.process.returncode == 0
        assert "begins it anew" in demo.text
