"""Commands, cards and forms of the sandbox's web page, driven in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.sandbox import page_browser
from tests.sandbox.page_browser import OpenPage, Served, calls, send_price
from tests.sandbox.page_fake import BOB, LOUNGE, MARKET

# Fixtures of this module.
browser, served, open_page = page_browser.browser, page_browser.served, page_browser.open_page
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("page")]


async def test_typing_price_and_40_offers_the_bots_choices_and_sends_the_value(
    open_page: OpenPage, served: Served
) -> None:
    page = await open_page()
    await page.locator("#composer-input").click()
    await page.keyboard.type("/pri")
    await expect(page.locator(".suggest-item .suggest-command")).to_have_text(["/price"])
    await page.keyboard.press("Tab")
    await expect(page.locator(".suggest-item")).to_have_count(7)  # the empty query
    # Two keystrokes with no time between them, however busy the machine is.
    await page.evaluate("for (const key of '40') document.execCommand('insertText', false, key)")
    await expect(page.locator(".suggest-item")).to_have_text(["RTX 4090", "RTX 4080", "RTX 4070 Ti"])
    asked = calls(served, "autocomplete")
    assert [body["options"] for body in asked] == [{"gpu": ""}, {"gpu": "40"}], "keystrokes are debounced"
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator('[data-option="gpu"] input')).to_have_value("RTX 4080")
    served.fake.may_answer.clear()
    await page.keyboard.press("Enter")
    await expect(page.locator(".thinking")).to_be_visible()
    served.fake.may_answer.set()
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
