"""The sandbox's web page in a real browser, against a stand-in for the sandbox's user side."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.sandbox.page_fake import ALICE, BOB, BOT, LOUNGE, MARKET, PageFake

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("page")]

OpenPage = Callable[..., Awaitable[Page]]


def _chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    contexts = []

    async def open_it(user: str = ALICE["id"], channel: str = MARKET, width: int = 1280, height: int = 800) -> Page:
        context = await browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(8000)
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
    async with asyncio.timeout(8):
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


async def test_typing_price_and_40_offers_the_bots_choices_and_sends_the_value(open_page: OpenPage, served: Served) -> None:
    page = await open_page()
    await page.locator("#composer-input").click()
    await page.keyboard.type("/pri")
    await expect(page.locator(".suggest-item .suggest-command")).to_have_text(["/price"])
    await page.keyboard.press("Tab")
    await expect(page.locator(".suggest-item")).to_have_count(7)  # the empty query
    await page.keyboard.type("40", delay=15)
    await expect(page.locator(".suggest-item")).to_have_text(["RTX 4090", "RTX 4080", "RTX 4070 Ti"])
    asked = calls(served, "autocomplete")
    assert [body["options"] for body in asked] == [{"gpu": ""}, {"gpu": "40"}], "keystrokes are debounced"
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator('[data-option="gpu"] input')).to_have_value("RTX 4080")
    await page.keyboard.press("Enter")
    await expect(page.locator(".thinking")).to_be_visible()
    await expect(page.locator(".container")).to_be_visible()
    assert calls(served, "slash") == [
        {"channel_id": MARKET, "name": "price", "subcommand": None, "options": {"gpu": "rtx-4080"}}
    ]
    await expect(page.locator(".reply-line")).to_contain_text("Alice used /price")
    assert await page.locator(".message").count() == 1, "the answer replaced the pending message"


async def test_enter_before_the_choices_came_takes_the_first_one(open_page: OpenPage, served: Served) -> None:
    served.fake.autocomplete_delay_s = 0.25
    page = await open_page()
    await page.locator("#composer-input").click()
    await page.keyboard.type("/price 4090")
    await page.keyboard.press("Enter")
    await expect(page.locator('[data-option="gpu"]')).to_have_class("pill picked")
    await page.keyboard.press("Enter")
    await expect(page.locator(".container")).to_be_visible()
    assert calls(served, "slash")[0]["options"] == {"gpu": "rtx-4090"}


async def test_subcommand_with_required_and_optional_options(open_page: OpenPage, served: Served) -> None:
    page = await open_page()
    await page.locator("#composer-input").click()
    await page.keyboard.type("/portfolio add ")
    await expect(page.locator(".suggest-item").first).to_have_text("RTX 4090")
    await page.keyboard.press("Enter")  # takes the highlighted GPU, goes on to count
    await page.keyboard.press("Enter")
    await expect(page.locator(".command-error")).to_have_text("count: This option is required. Specify a value.")
    await page.keyboard.type("501")
    await page.keyboard.press("Enter")
    await expect(page.locator(".command-error")).to_have_text("count: Enter a whole number, 1 to 500.")
    await page.keyboard.press("Backspace")
    await page.keyboard.press("Tab")  # to the optional ones
    await page.keyboard.press("Tab")  # adds the first: cost
    await page.keyboard.type("1599.5")
    await page.keyboard.press("Tab")
    await page.keyboard.type("pub")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")  # True
    assert calls(served, "slash") == []
    await page.keyboard.press("Enter")
    await expect(page.locator(".ephemeral-note")).to_be_visible()
    body = calls(served, "slash")[0]
    assert (body["name"], body["subcommand"]) == ("portfolio", "add")
    assert body["options"] == {"gpu": "rtx-4090", "count": 50, "cost": 1599.5, "public": True}


async def test_a_refused_command_keeps_what_was_typed(open_page: OpenPage) -> None:
    page = await open_page()
    await page.locator("#composer-input").click()
    await page.keyboard.type("/refused ")
    await page.keyboard.press("Enter")
    await expect(page.locator(".command-error")).to_have_text("The client would refuse this.")
    await expect(page.locator(".command-name")).to_have_text("/refused")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(page.locator("#composer-input")).to_have_value("")


async def test_a_command_the_bot_never_answers_says_so_to_its_user(open_page: OpenPage) -> None:
    page = await open_page()
    await page.locator("#composer-input").click()
    await page.keyboard.type("/silent ")
    await page.keyboard.press("Enter")
    await expect(page.locator(".interaction-error")).to_have_text("The application did not respond")
    await page.get_by_role("button", name="Dismiss message").click()
    await expect(page.locator(".message")).to_have_count(0)


async def test_buttons_and_selects_change_the_same_card(open_page: OpenPage, served: Served) -> None:
    page = await open_page()
    await send_price(page)
    message = page.locator(".message")
    first = await message.get_attribute("data-id")
    await page.get_by_role("button", name="30d").click()
    await expect(page.locator(".edited")).to_be_visible()
    await expect(page.locator(".gallery img")).to_have_attribute("src", "/cdn/attachments/1/1/chart-rtx-4090-30d.png")
    await page.get_by_role("combobox", name="Segment").click()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(message).to_contain_text("Chosen: dc8")
    assert await message.count() == 1
    assert await message.get_attribute("data-id") == first
    assert [body["custom_id"] for body in calls(served, "component")] == ["range:30d", "segment"]
    assert await page.get_by_role("button", name="Soon").is_disabled()


async def test_a_failed_click_is_told_under_the_message_and_gone_with_the_next(open_page: OpenPage) -> None:
    page = await open_page()
    await send_price(page)
    await page.get_by_role("button", name="Break").click()
    failure = page.locator(".message-content > .interaction-error")
    await expect(failure).to_have_text("This interaction failed")
    await page.get_by_role("button", name="1d", exact=True).click()
    await expect(failure).to_be_hidden()


async def test_a_select_with_several_values_commits_when_closed(open_page: OpenPage, served: Served) -> None:
    page = await open_page(channel=LOUNGE)
    select = page.get_by_role("combobox", name="Pick two or three")
    await select.click()
    await page.get_by_role("option", name="vast").click()
    await page.keyboard.press("Escape")
    await expect(select).to_contain_text("Pick two or three")  # one is too few: taken back
    await select.click()
    for name in ("vast", "lambda", "runpod", "paperspace"):
        await page.get_by_role("option", name=name).click()
    await page.keyboard.press("Escape")
    await expect(page.locator(".message", has_text="Chosen: vast, runpod, lambda")).to_be_visible()
    assert calls(served, "component")[0]["values"] == ["vast", "runpod", "lambda"]


async def test_modal_validates_then_submits(open_page: OpenPage, served: Served) -> None:
    page = await open_page()
    await send_price(page)
    await page.get_by_role("button", name="Alert me").click()
    dialog = page.get_by_role("dialog", name="Alert for RTX 4090")
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("button", name="Submit").click()
    await expect(dialog.locator(".field-error").first).to_have_text(" – This field is required")
    assert calls(served, "modal") == []
    await page.keyboard.type("0.45")  # the first field holds the focus
    await dialog.get_by_role("combobox", name="Direction").click()
    await page.get_by_role("option", name="Above").click()
    await dialog.get_by_label("Note").fill("tell me")
    await dialog.get_by_role("button", name="Submit").click()
    await expect(dialog).to_have_count(0)
    await expect(page.locator(".message.ephemeral")).to_contain_text("Alert saved")
    assert calls(served, "modal")[0]["values"] == {"level": "0.45", "direction": ["above"], "note": "tell me"}


async def test_an_ephemeral_answer_is_seen_by_its_user_only(open_page: OpenPage) -> None:
    alice, bob = await open_page(), await open_page(user=BOB["id"])
    await send_price(alice)
    await expect(bob.locator(".container")).to_be_visible()
    await bob.get_by_role("button", name="Show data").click()
    await expect(bob.locator(".message.ephemeral")).to_contain_text("Only you can see this")
    await expect(alice.locator(".message")).to_have_count(1)
    await bob.reload()
    await expect(bob.locator(".message.ephemeral")).to_have_count(1)
    await bob.get_by_role("button", name="Dismiss message").click()
    await bob.reload()
    await expect(bob.locator(".container")).to_be_visible()
    await expect(bob.locator(".message.ephemeral")).to_have_count(0)


async def test_what_people_write_stays_text(open_page: OpenPage) -> None:
    page = await open_page(channel=LOUNGE)
    await expect(page.locator(".message", has_text="<img src=x onerror=")).to_be_visible()
    await expect(page.locator(".embed-title", has_text="<b>bold?</b>")).to_be_visible()
    assert await page.evaluate("window.hacked") is None
    assert await page.locator(".message-list script, .message-list svg:not(.icon), .message-list b, .message-list i:not(.dots i)").count() == 0
    hrefs = await page.eval_on_selector_all(".message-list a[href]", "all => all.map(a => a.getAttribute('href'))")
    assert hrefs and all(href.startswith(("https://", "/cdn/")) for href in hrefs), hrefs
    assert not any("bank.example" in href for href in hrefs)
    await expect(page.get_by_role("button", name="Bad link")).to_be_disabled()


async def test_markdown_as_discord_renders_it(open_page: OpenPage) -> None:
    page = await open_page(channel=LOUNGE)
    text = page.locator(".message", has_text="Header one").locator(".markdown")
    for selector, expected in {
        ".md-h1": "Header one", ".md-h3": "Header three", ".md-subtext": "Small print under a header",
        "p > strong": "bold", "em > strong": "both", "u": "under", "s": "gone", ".md-code": "code",
        "ul ul li": "nested", ".md-fence code": "price = 0.33  # **not bold**", "blockquote strong": "bold",
    }.items():  # fmt: skip
        await expect(text.locator(selector).first).to_have_text(expected)
    await expect(text.locator("em").nth(1)).to_have_text("also italic")
    await expect(text.locator("ol > li")).to_have_text(["one", "two"])
    await expect(text.locator(".mention")).to_have_text(["@Bob", "#market", "/price", "@everyone"])
    await expect(text.locator("a")).to_have_text(["masked", "https://example.com/x?y=1"])
    assert await text.locator("a").first.get_attribute("href") == "https://example.com/a_(b)"
    assert "snake_case_name" in await text.inner_text()
    spoiler = text.locator(".spoiler")
    await expect(spoiler.locator(".spoiler-text")).to_be_hidden()
    await spoiler.focus()
    await page.keyboard.press("Enter")
    await expect(spoiler.locator(".spoiler-text")).to_be_visible()
    await text.get_by_role("button", name="/price").click()
    await expect(page.locator(".command-name")).to_have_text("/price")


async def test_relative_times_tick_and_have_the_full_time_as_tooltip(open_page: OpenPage) -> None:
    page = await open_page()
    await send_price(page)
    time = page.locator("time[data-relative]")
    before = await time.inner_text()
    assert before.endswith("seconds ago")
    assert await time.get_attribute("title")
    await expect(time).not_to_have_text(before, timeout=4000)


async def test_a_picture_opens_with_its_description(open_page: OpenPage) -> None:
    page = await open_page()
    await send_price(page)
    await page.get_by_role("button", name="Open image: Price of RTX 4090").click()
    box = page.get_by_role("dialog")
    await expect(box.locator("img")).to_have_attribute("alt", "Price of RTX 4090 over 7d: from $0.31 to $0.33")
    await expect(box.locator(".lightbox-alt")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(box).to_have_count(0)


async def test_plain_messages_mentions_and_unread_marks(open_page: OpenPage, served: Served) -> None:
    alice, bob = await open_page(), await open_page(user=BOB["id"], channel=LOUNGE)
    market = bob.locator(f'.channel[data-channel="{MARKET}"]')
    await expect(market).not_to_have_class("channel unread ")
    await alice.locator("#composer-input").click()
    await alice.keyboard.type("hello @GPUS")
    await alice.keyboard.press("Enter")  # takes the member
    await alice.keyboard.type("price RTX 4090")
    await alice.keyboard.press("Enter")
    await expect(alice.locator(".message")).to_contain_text("hello @GPUScout price RTX 4090")
    assert calls(served, "messages")[0]["content"] == f"hello <@{BOT['id']}> price RTX 4090"
    await expect(market).to_have_class("channel  unread")
    await expect(bob).to_have_title("(1) #showcase · sandbox")
    await market.click()
    await expect(bob.locator(".divider-new")).to_be_visible()
    await expect(market).to_have_class("channel selected ")


async def test_the_badge_welcome_and_suggestions_greet_a_newcomer(open_page: OpenPage, served: Served) -> None:
    page = await open_page()
    await expect(page.locator(".badge")).to_have_text("SIMULATED")
    await expect(page.locator(".banner")).to_have_text("Simulated market – no account or key used.")
    await expect(page.locator(".intro")).to_contain_text("Ask what your GPUs should earn")
    await page.get_by_role("button", name="/price gpu:RTX 4090").click()
    await expect(page.locator(".container")).to_be_visible()
    assert calls(served, "slash")[0]["options"] == {"gpu": "rtx-4090"}


async def test_until_the_bot_is_ready_the_page_says_it_waits(open_page: OpenPage, served: Served) -> None:
    served.fake.ready = False
    page = await open_page()
    await expect(page.locator(".waiting")).to_contain_text("Waiting for GPUScout to come online")
    await expect(page.get_by_role("button", name="/help")).to_be_disabled()
    served.fake.ready = True
    await served.fake.push("BOT_READY", {})
    await expect(page.locator(".waiting")).to_be_hidden()
    await page.get_by_role("button", name="/help").click()
    await expect(page.locator(".message.ephemeral")).to_contain_text("Done: /help")


async def test_a_lost_stream_reconnects_and_fetches_what_was_missed(open_page: OpenPage, served: Served) -> None:
    page = await open_page()
    await expect(page.locator(".intro")).to_be_visible()
    await served.fake.drop_sockets()
    missed = served.fake.message(MARKET, content="said while away", author=BOB)
    served.fake.messages[MARKET].append(missed)
    await expect(page.locator(".message")).to_contain_text("said while away")
    await expect(page.locator(".banner")).not_to_have_class("banner offline")


async def test_the_list_stays_at_the_bottom_while_pictures_load(open_page: OpenPage, served: Served) -> None:
    page = await open_page(height=500)
    for number in range(4):
        picture = {"id": "9", "filename": "late.png", "url": f"/cdn/attachments/1/1/late{number}.png", "content_type": "image/png"}
        await served.fake.post(served.fake.message(MARKET, content=f"picture {number}", attachments=[picture]))
    await expect(page.locator(".attachments img")).to_have_count(4)
    await until(page, "[...document.querySelectorAll('.attachments img')].every(i => i.complete && i.naturalHeight)")
    gap = "(() => { const s = document.getElementById('messages'); return s.scrollHeight - s.scrollTop - s.clientHeight; })()"
    await until(page, f"{gap} < 2")
    await page.mouse.move(600, 250)
    await page.mouse.wheel(0, -600)
    await expect(page.locator(".jump")).to_be_visible()
    top = await page.evaluate("document.getElementById('messages').scrollTop")
    await served.fake.post(served.fake.message(MARKET, content="below", author=BOB))
    await expect(page.locator(".jump")).to_contain_text("1 new message")
    assert await page.evaluate("document.getElementById('messages').scrollTop") == top
    await page.locator(".jump").click()
    await until(page, f"{gap} < 2")


async def test_direct_messages_open_and_hide_from_others(open_page: OpenPage) -> None:
    page = await open_page()
    await page.get_by_role("button", name="Direct messages").click()
    await expect(page.locator(".topbar-name")).to_have_text("GPUScout")
    await page.locator("#composer-input").click()
    await page.keyboard.type("hi")
    await page.keyboard.press("Enter")
    await expect(page.locator(".message")).to_contain_text("hi")


async def test_another_member_is_one_click_away(open_page: OpenPage) -> None:
    page = await open_page()
    await page.get_by_role("button", name="Switch member").click()
    await page.get_by_role("link", name="Bob", exact=True).click()
    await expect(page.locator(".user-name")).to_have_text("Bob")
    assert f"user={BOB['id']}" in page.url


async def test_an_unknown_user_in_the_address_becomes_the_first_member(served: Served, browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto(f"{served.url}/?user=424242")
    await expect(page.locator(".user-name")).to_have_text("Alice")
    assert f"user={ALICE['id']}" in page.url
    await page.close()


@pytest.mark.parametrize("width", [360, 390])
async def test_phone_width_has_no_sideways_scroll_and_a_drawer(open_page: OpenPage, width: int) -> None:
    page = await open_page(width=width, height=800, channel=LOUNGE)
    await expect(page.locator(".container")).to_be_visible()
    overflow = "[...document.querySelectorAll('html, #messages, .dock, .topbar, .message')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert await page.evaluate(overflow) == 0
    await expect(page.locator(".badge")).to_be_in_viewport()
    await expect(page.locator(".sidebar")).to_be_hidden()
    await page.get_by_role("button", name="Servers and channels").click()
    await page.locator(f'.channel[data-channel="{MARKET}"]').click()
    await expect(page.locator(".topbar-name")).to_have_text("market")
    await expect(page.locator(".sidebar")).to_be_hidden()
    await send_price(page)
    assert await page.evaluate(overflow) == 0
