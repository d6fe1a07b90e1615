"""The pages in a real browser: nothing is blocked by the policy, nothing overflows."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from playwright.async_api import async_playwright

from config.settings import Settings
from tests.web.fakes import Painter
from web.app import WebServer
from web.services import WebServices

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_the_pages_at_two_widths(services: WebServices) -> None:
    settings = Settings(_env_file=None, web_port=0, market_source="simulator")  # type: ignore[call-arg]
    server = WebServer(replace(services, settings=settings, methodology=None, charts=Painter()))
    await server.start()
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for width in (375, 1280):
                page = await browser.new_page(viewport={"width": width, "height": 800})
                said: list[str] = []
                page.on("console", lambda message: said.append(message.text))  # noqa: B023 - read in this round
                page.on("requestfailed", lambda request: said.append(request.url))  # noqa: B023
                for path in ("/", "/methodology", "/privacy", "/terms"):
                    response = await page.goto(f"http://127.0.0.1:{server.port}{path}")
                    assert response is not None and response.status == 200
                    assert await page.get_by_text("SIMULATED", exact=True).is_visible()
                    assert await page.evaluate("document.documentElement.scrollWidth") <= width
                    colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
                    assert colour == "rgb(15, 19, 24)", "the style sheet was applied"
                assert said == []
                await page.close()
            await browser.close()
    finally:
        await server.stop()
