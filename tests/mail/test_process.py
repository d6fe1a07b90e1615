"""The real process against SendGrid and Discord on loopback: from the link to the bounce that switches mail off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientSession

from bot.app import App, build
from config.settings import ALL_ROLES
from sandbox.demo import MAIL_KEY, demo_settings, make_discord
from sandbox.farm import FarmServer, Market, SimClock
from sandbox.sendgrid import SandboxSendGrid
from tests.mail.conftest import until
from tests.services import free_port


async def test_link_welcome_bounce(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with FarmServer(Market(1), SimClock(now, now, 1.0)) as farm, SandboxSendGrid(MAIL_KEY) as mail:
        discord = make_discord(tmp_path)
        await discord.start(port=0)
        web_port = free_port()
        mail.events.url = f"http://127.0.0.1:{web_port}/webhooks/sendgrid"
        settings = demo_settings(tmp_path, farm.url, discord, web_port, None, mail)
        stop, ready = asyncio.Event(), asyncio.Event()
        try:
            async with build(settings, ALL_ROLES, "test") as app:
                running = asyncio.create_task(app.run(stop, lambda _app: ready.set()))
                try:
                    await asyncio.wait_for(ready.wait(), 60)
                    await _story(app, mail)
                finally:
                    stop.set()
                    code = await running
            assert code == 0
        finally:
            await discord.stop()


async def _story(app: App, mail: SandboxSendGrid) -> None:
    desk = app._mail_room().desk
    await desk.ask(7, "ada@example.com", "en")
    await until(lambda: len(mail.mails) == 1, 60)
    text = mail.mails[0].part("text/plain") or ""
    link = next(word for word in text.split() if "/mail/confirm?t=" in word)
    async with ClientSession() as session:
        assert (await session.get(link)).status == 200
        assert (await session.post(link)).status == 200
        assert (await session.post(link)).status == 410
    await until(lambda: len(mail.mails) == 2, 60)
    assert mail.mails[1].body["categories"] == ["welcome1"]
    await until(lambda: len(mail.events.answers) == 2, 60)
    mail.happen(mail.mails[1], "bounce")
    async with asyncio.timeout(60):
        while (await desk.panel(7)).off_reason != "bounce":
            await asyncio.sleep(0.05)
    assert set(mail.events.answers) == {200}


def test_the_start_loads_neither_the_library_nor_the_templates() -> None:
    source = "import sys, bot.app, bot.web_role; print([m for m in ('sendgrid', 'jinja2', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
