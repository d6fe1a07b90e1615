"""The web page on the sandbox's own Discord, with a real discord.py bot behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.sandbox import page_browser
from tests.sandbox.discord_bot import Stage, staged

browser = page_browser.browser
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("page")]


@pytest_asyncio.fixture(loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    texts: dict[str, Any] = {"badge": "SIMULATED", "welcome": "Type /price.", "suggestions": ["/price gpu:RTX 4090"]}
    async with staged(ack_deadline_s=2.0, **texts) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, stage: Stage) -> AsyncIterator[Page]:
    """The page as ann; any script error or CSP violation fails the test."""
    problems: list[str] = []
    opened = await browser.new_page()
    opened.set_default_timeout(page_browser.PATIENCE_S * 1000)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda line: problems.append(line.text) if "Security Policy" in line.text else None)
    await opened.goto(f"{stage.sandbox.page_url}/?user={stage.ann.user_id}")
    await expect(opened.locator(".topbar-name")).to_have_text("market")
    yield opened
    await opened.close()
    assert problems == []


async def type_command(page: Page, text: str) -> None:
    """Type into the message box."""
    await page.locator("#composer-input").click()
    await page.keyboard.type(text)


async def test_a_card_from_the_first_keystroke_to_the_edit(page: Page) -> None:
    await expect(page.locator(".badge")).to_have_text("SIMULATED")
    await type_command(page, "/price 40")
    await expect(page.locator(".suggest-item")).to_have_text(["RTX 4090"])
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    card = page.locator(".container")
    await expect(card.locator(".md-h2")).to_have_text("Card 1")
    await expect(card.locator("img")).to_have_attribute("alt", "a chart")
    assert await card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 2
    await page.get_by_role("button", name="n=1").click()
    await expect(card.locator(".md-h2")).to_have_text("Card 2")
    await expect(page.locator(".edited")).to_be_visible()
    await expect(page.locator(".message")).to_have_count(1)


async def test_a_suggestion_is_one_click(page: Page) -> None:
    await page.get_by_role("button", name="/price gpu:RTX 4090").click()
    await expect(page.locator(".container .md-h2")).to_have_text("Card 1")


async def test_a_form_opened_by_a_command(page: Page) -> None:
    await type_command(page, "/portfolio add h100")
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Add a machine")
    await dialog.get_by_label("Note").fill("in the rack")
    await dialog.get_by_role("combobox", name="GPU").click()
    await page.get_by_role("option", name="H100").click()
    await dialog.get_by_role("button", name="Submit").click()
    await expect(page.locator(".message.ephemeral")).to_contain_text("in the rack / H100")
    await expect(dialog).to_have_count(0)


async def test_every_kind_of_option(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "rigs.csv"
    file.write_text("gpu\n")
    await type_command(page, "/every bob")
    await page.keyboard.press("Enter")
    await page.keyboard.type("mark")
    await page.keyboard.press("Enter")
    await page.locator('[data-option="role"] input').click()
    await expect(page.locator(".suggest-note")).to_have_count(0)
    await page.keyboard.press("Escape")
    await page.locator('[data-option="number"] input').fill("1.5")
    await page.locator('[data-option="file"] input[type="file"]').set_input_files(file)
    await expect(page.locator('[data-option="file"] input').first).to_have_value("rigs.csv")
    await expect(page.locator('[data-option="member"] input')).to_have_value("bob")
    await expect(page.locator('[data-option="channel"] input')).to_have_value("market")


async def test_a_select_that_thinks_again_and_a_silent_bot(page: Page) -> None:
    await type_command(page, "/pick ")
    await page.keyboard.press("Enter")
    await page.get_by_role("combobox", name="GPUs").click()
    await page.get_by_role("option", name="H100").click()
    await page.keyboard.press("Escape")
    await expect(page.locator(".message")).to_contain_text("picked H100")
    await type_command(page, "/silent ")
    await page.keyboard.press("Enter")
    await expect(page.locator(".interaction-error", has_text="The application did not respond")).to_be_visible()


async def test_what_only_one_member_sees(page: Page, stage: Stage, browser: Browser) -> None:
    other = await browser.new_page()
    await other.goto(f"{stage.sandbox.page_url}/?user={stage.bob.user_id}")
    await type_command(page, "/portfolio show ")
    await page.keyboard.press("Enter")
    await expect(page.locator(".message.ephemeral")).to_have_count(2)
    await type_command(page, "hello all")
    await page.keyboard.press("Enter")
    await expect(other.locator(".message")).to_have_count(1)
    await expect(other.locator(".message")).to_contain_text("hello all")
    await other.close()


async def test_the_page_waits_when_the_bot_leaves(page: Page, stage: Stage) -> None:
    await stage.bot.close()
    await expect(page.locator(".waiting")).to_contain_text("Waiting for GPUScout to come online")
    await expect(page.locator(".chip")).to_be_disabled()
