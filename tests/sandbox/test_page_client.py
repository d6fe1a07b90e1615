"""The sandbox's web page as a chat client: text, unread marks, connection, widths."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.sandbox import page_browser
from tests.sandbox.page_browser import OpenPage, Served, calls, send_price, until
from tests.sandbox.page_fake import ALICE, BOB, BOT, LOUNGE, MARKET

# Fixtures of this module.
browser, served, open_page = page_browser.browser, page_browser.served, page_browser.open_page
_GAP_BELOW = (
    "(() => { const s = document.getElementById('messages'); return s.scrollHeight - s.scrollTop - s.clientHeight; })()"
)
_TOO_WIDE = (
    "[...document.querySelectorAll('html, #messages, .dock, .topbar, .message')]"
    ".filter(e => e.scrollWidth > e.clientWidth + 1).length"
)

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("page")]


async def test_what_people_write_stays_text(open_page: OpenPage) -> None:
    page = await open_page(channel=LOUNGE)
    await expect(page.locator(".message", has_text="<img src=x onerror=")).to_be_visible()
    await expect(page.locator(".embed-title", has_text="<b>bold?</b>")).to_be_visible()
    assert await page.evaluate("window.hacked") is None
    assert (
        await page.locator(
            ".message-list script, .message-list svg:not(.icon), .message-list b, .message-list i:not(.dots i)"
        ).count()
        == 0
    )
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
    await expect(time).not_to_have_text(before)


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
        picture = {
            "id": "9",
            "filename": "late.png",
            "url": f"/cdn/attachments/1/1/late{number}.png",
            "content_type": "image/png",
        }
        await served.fake.post(served.fake.message(MARKET, content=f"picture {number}", attachments=[picture]))
    await expect(page.locator(".attachments img")).to_have_count(4)
    await until(page, "[...document.querySelectorAll('.attachments img')].every(i => i.complete && i.naturalHeight)")
    await until(page, f"{_GAP_BELOW} < 2")
    await page.mouse.move(600, 250)
    await page.mouse.wheel(0, -600)
    await expect(page.locator(".jump")).to_be_visible()
    top = await page.evaluate("document.getElementById('messages').scrollTop")
    await served.fake.post(served.fake.message(MARKET, content="below", author=BOB))
    await expect(page.locator(".jump")).to_contain_text("1 new message")
    assert await page.evaluate("document.getElementById('messages').scrollTop") == top
    await page.locator(".jump").click()
    await until(page, f"{_GAP_BELOW} < 2")


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
    assert await page.evaluate(_TOO_WIDE) == 0
    await expect(page.locator(".badge")).to_be_in_viewport()
    await expect(page.locator(".sidebar")).to_be_hidden()
    await page.get_by_role("button", name="Servers and channels").click()
    await page.locator(f'.channel[data-channel="{MARKET}"]').click()
    await expect(page.locator(".topbar-name")).to_have_text("market")
    await expect(page.locator(".sidebar")).to_be_hidden()
    await send_price(page)
    assert await page.evaluate(_TOO_WIDE) == 0
