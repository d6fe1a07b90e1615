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
from typing import Any

import aiohttp
import pytest

from sandbox.discord.actor import Actor, components

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
PAGE = re.compile(r"Open  (http://127\.0\.0\.1:\d+)")
FORMULA = re.compile(
    r"8 GPUs × \$0\.35 × 24 h × ([\d.]+)% rented = \$([\d.]+), less \$([\d.]+) fee and \$([\d.]+) electricity"
)
NET = re.compile(r"\$([\d.]+)/day net expected")
AS_OF = re.compile(r"as of <t:(\d+):R>")


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demos of this file run: whichever comes second need not write the history again."""
    return tmp_path_factory.mktemp("demo")


async def _card_with_chart(ada: Actor, market: str) -> dict[str, Any]:
    """The price card; on a busy machine the first comes without its chart, for which a worker has yet to start."""
    deadline = time.monotonic() + PATIENCE
    while True:
        card = await ada.run(market, "price", {"gpu": "rtx-4090"}, within=30)
        if card["attachments"]:
            return card
        assert time.monotonic() < deadline, card
        await asyncio.sleep(1)


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False)


def _labels(message: dict[str, Any]) -> list[str]:
    return [str(each["label"]) for each in components(message) if each.get("label")]


@pytest.mark.xdist_group("demo")
async def test_a_newcomers_demo(folder: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        async with running(folder, "--port", str(taken)) as demo:
            page = await demo.page()
            assert f"port {taken} is busy" in demo.text
            assert "Simulated market – no account or key used. Ctrl-C stops." in demo.text
            shown = [at for at, _ in demo.lines]
            assert max(b - a for a, b in pairwise(shown)) < 5.0 + 3.0  # 3 s for a busy machine
            user, market = await _member(page)
            async with Actor(page, int(user)) as ada:
                choices = await ada.autocomplete(market, "price", "gpu", "40")
                assert choices[0]["value"] == "rtx-4090" and "RTX 4090" in choices[0]["name"]
                card = await _card_with_chart(ada, market)
                assert "SIMULATED" in _text(card)
            assert await demo.stop() < 10.0
            assert demo.process.returncode == 0, demo.text
    state = json.loads((folder / "data/demo/demo.json").read_text())

    async with running(folder, "--port", "0") as again:
        page = await again.page()
        assert f"going on with the market of the last demo (seed {state['seed']})" in again.text
        assert "writing two years" not in again.text
        user, market = await _member(page)
        async with Actor(page, int(user)) as ada:
            before = await ada.messages(market)
            assert any(message["attachments"] for message in before), "the earlier card is still there"
        assert await again.stop() < 10.0
    later = json.loads((folder / "data/demo/demo.json").read_text())
    assert later["seed"] == state["seed"] and later["simulated"] > state["simulated"]


@pytest.mark.xdist_group("demo")
async def test_a_host_adds_his_rig_and_is_told_once(folder: Path) -> None:
    async with running(folder, "--port", "0") as demo:
        page = await demo.page()
        user, market = await _member(page)
        async with Actor(page, int(user)) as ada:
            rig = {"gpu": "rtx-4090", "quantity": 8, "price": 0.35, "platform": "vast"}
            added = await ada.run(market, "portfolio", rig, subcommand="add", within=30)
            _adds_up(_text(added))

            pressed = await ada.click(added, "Alert me")
            form = await ada.form(pressed, within=30)
            [level] = [each["component"] for each in form["components"] if each["component"]["custom_id"] == "level"]
            answers = {
                "kind": ["price-below"],
                "level": level["value"],
                "window": "",
                "severity": ["info"],
                "expires": "",
            }
            proposal = await ada.answer(await ada.submit_modal(pressed, answers), within=30)
            for said in ("**Now** price $", "**Told by** direct message", "**Last 90 days**"):
                assert said in _text(proposal)
            await ada.click(proposal, "Confirm")
            await ada.changed(proposal, lambda message: "Alert saved" in _text(message), within=30)

            told = await ada.wait_for_message(lambda message: bool(message["embeds"]), within=PATIENCE)
            assert told["channel_id"] == (await ada.open_dm())["id"]
            [embed] = told["embeds"]
            assert "RTX 4090 fell below" in embed["title"] and "a month on your holdings" in _text(embed)
            assert {"Why?", "Pause", "Show chart", "Edit"} <= set(_labels(told))
            [snooze] = [each for each in components(told) if each.get("placeholder", "").startswith("Snooze")]

            await _a_later_poll(ada, market, int(AS_OF.search(_text(embed))[1]))  # type: ignore[index]
            assert [m["id"] for m in await ada.messages(told["channel_id"]) if m["embeds"]] == [told["id"]]
            why = await ada.answer(await ada.click(told, "Why?"), within=30)
            assert "sent by direct message" in _text(why) and told["id"] in _text(why)

            hours = snooze["options"][0]["value"]
            snoozed = await ada.answer(await ada.select(told, snooze["custom_id"], [hours]), within=30)
            assert "Snoozed until" in _text(snoozed)
            paused = await ada.answer(await ada.click(told, "Pause"), within=30)
            assert "Paused" in _text(paused)
        assert await demo.stop() < 10.0
        assert demo.process.returncode == 0, demo.text


def _adds_up(card: str) -> None:
    """The card's net a day is what its own formula gives."""
    formula, net = FORMULA.search(card), NET.search(card)
    assert formula is not None and net is not None, card
    rented, gross, fee, electricity = map(float, formula.groups())
    assert gross == pytest.approx(8 * 0.35 * 24 * rented / 100, abs=0.05)
    assert fee == pytest.approx(0.25 * gross, abs=0.01)
    assert float(net[1]) == pytest.approx(gross - fee - electricity, abs=0.02)


async def _a_later_poll(ada: Actor, market: str, before: int) -> None:
    """Wait until the market has been read anew, and what that caused is done."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = AS_OF.search(_text(await ada.run(market, "price", {"gpu": "rtx-4090"}, within=30)))
        if found is not None and int(found[1]) > before:
            break
        assert time.monotonic() < deadline, "the market was not read again"
        await asyncio.sleep(4)
    await asyncio.sleep(3)


@pytest.mark.xdist_group("demo")
async def test_ctrl_c_while_the_history_is_written(tmp_path: Path) -> None:
    async with running(tmp_path, "--port", "0") as demo:
        while "writing two years" not in demo.text:
            assert demo.process.returncode is None, demo.text
            await asyncio.sleep(0.05)
        assert await demo.stop() < 10.0
        assert demo.process.returncode == 0
        assert "begins it anew" in demo.text
