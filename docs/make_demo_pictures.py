"""Takes the pictures of the demo page: the real demo, in a folder of its own, driven in Chromium like by a person.

Run from the checkout: ``.venv/bin/python docs/make_demo_pictures.py [--out docs/pictures] [--chromium PATH]``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"desktop": (1280, 1340), "phone": (390, 1400)}
START_SECONDS = 180.0


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        print(line.decode().rstrip())
        if found := re.search(r"Open  (http://\S+)", line.decode()):
            return found.group(1)
    raise RuntimeError("the demo ended before it was ready")


async def _run_command(page: Page, command: str, first_option: str) -> None:
    box = page.locator("#composer-input")
    await box.click()
    await page.keyboard.type(command)
    await page.wait_for_selector(".suggest-item")
    await page.keyboard.press("Enter")
    await page.keyboard.type(first_option)
    await page.get_by_text("RTX 4090 · 24 GB").first.wait_for()


async def _shoot(browser: Browser, address: str, out: Path) -> None:
    for size, (width, height) in SIZES.items():
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.goto(address)
        await _run_command(page, "/price", "40")
        await page.screenshot(path=out / f"demo-autocomplete-{size}.png")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        await page.locator(".message .container img").last.wait_for()
        await page.get_by_text("30 d", exact=True).last.click()
        await page.get_by_text("(edited)").last.wait_for()
        await page.wait_for_load_state("networkidle")
        await page.screenshot(path=out / f"demo-{size}.png")
        await _shoot_help(page, out / f"help-{size}.png")
        await page.close()


async def _shoot_help(page: Page, path: Path) -> None:
    """The help menu alone (SimCord's preview does not come to rest on its many command mentions)."""
    await page.locator("#composer-input").click()
    await page.keyboard.type("/help")
    await page.wait_for_selector(".suggest-item")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await page.get_by_text("What would you like to know?").wait_for()
    await page.locator(".message").last.screenshot(path=path)


async def take(out: Path, chromium: str) -> None:
    """Start a fresh demo, take its pictures, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            "demo",
            "--port",
            "0",
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            address = await asyncio.wait_for(_address(process), START_SECONDS)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                try:
                    await _shoot(browser, address, out)
                finally:
                    await browser.close()
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome") or "")
    arguments = parser.parse_args()
    if not arguments.chromium:
        parser.error("no Chromium found; give its path with --chromium")
    arguments.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(arguments.out, arguments.chromium))


if __name__ == "__main__":
    main()
