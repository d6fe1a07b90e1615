"""Chromium and the stand-in server as fixtures, and what the page's tests do again and again."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.sandbox.page_fake import ALICE, MARKET, PageFake

OpenPage = Callable[..., Awaitable[Page]]
PATIENCE_S = 30.0
"""Seconds for what is quick on a quiet machine."""
expect.set_options(timeout=PATIENCE_S * 1000)


def _chromium() -> str | None:
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return os.environ.get("CHROMIUM") or next((path for path in found if path), None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = _chromium()
    if path is None:
        pytest.skip("needs Chromium: none on the PATH, and CHROMIUM names none")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        await running.close()


class Served:
    """The stand-in on a port of its own."""

    def __init__(self, fake: PageFake) -> None:
        self.fake = fake
        self.url = ""
        self._runner = web.AppRunner(fake.app(), access_log=None)

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module")
async def served() -> AsyncIterator[Served]:
    serving = Served(PageFake())
    await serving.start()
    yield serving
    await serving.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser, served: Served) -> AsyncIterator[OpenPage]:
    """Opens the page as a user; fails the test for any script error or CSP violation."""
    problems: list[str] = []
    contexts: list[BrowserContext] = []

    async def open_it(user: str = ALICE["id"], channel: str = MARKET, width: int = 1280, height: int = 800) -> Page:
        context = await browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
        await page.goto(f"{served.url}/?user={user}#{channel}")
        await expect(page.locator(f'.channel.selected[data-channel="{channel}"]')).to_be_attached()
        return page

    yield open_it
    for context in contexts:
        await context.close()
    assert problems == []


def calls(served: Served, action: str) -> list[dict[str, object]]:
    """The bodies that the page sent for one action."""
    return [body for name, _, body in served.fake.calls if name == action]


async def until(page: Page, expression: str) -> None:
    """Wait until a script expression is true (the page's CSP forbids evaluating it inside)."""
    async with asyncio.timeout(PATIENCE_S):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.03)


async def send_price(page: Page) -> None:
    """Type /price, take the first choice for "40", send, and wait for the card."""
    await page.locator("#composer-input").click()
    await page.keyboard.type("/price ")
    await page.keyboard.type("40")
    await expect(page.locator(".suggest-item").first).to_have_text("RTX 4090")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator(".container")).to_be_visible()
