"""Mails as they are seen: at phone width, in light and in dark, in a browser; and what text may not become."""

from __future__ import annotations

import os
import shutil
from html.parser import HTMLParser
from typing import Any

import discord
import pytest
from playwright.async_api import async_playwright

from config.i18n import translator_for
from gpuscout.delivery.channels import Message
from gpuscout.delivery.mail.contents import (
    STEPS,
    BillingNotice,
    SecurityNotice,
    Site,
    billing_mail,
    confirm_mail,
    security_mail,
    welcome_mail,
)
from gpuscout.delivery.mail.models import Footer, MailContent
from gpuscout.delivery.mail.notification import notification_content
from gpuscout.delivery.mail.render import render_html, render_text
from tests.mail.conftest import START

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PHONE = {"width": 360, "height": 740}
SITE = Site("https://gpuscout.example")
PREFERENCES, UNSUBSCRIBE = f"{SITE.base}/mail/preferences?t=x", f"{SITE.base}/mail/unsubscribe?t=x"
FOOTER = Footer("GPUScout", SITE.base, "mail@gpuscout.example", PREFERENCES, UNSUBSCRIBE)


def alert(title: str = "RTX 4090 fell below $0.35", value: str = "RTX 4090 · Vast.ai") -> Message:
    embed = discord.Embed(
        title=f"⚠️ {title}",
        description="**$0.340/h** now, **$0.361/h** before\nThat is the lowest in 30 days.",
        timestamp=START,
    )
    embed.add_field(name="GPU Model", value=value)
    embed.add_field(name="Expected Impact", value="−$42.10 a month on your 8 GPUs")
    embed.add_field(name="Action Required", value="Look at your price: </portfolio advice:1>")
    embed.set_footer(text="Your alert: RTX 4090 below $0.35 · Source: 500.farm")
    return Message(plain=f"{title} now", embeds=[embed])


def every_mail(locale: str) -> dict[str, MailContent]:
    t = translator_for(locale)
    return {
        "confirm": confirm_mail(f"{SITE.base}/mail/confirm?t={'a' * 90}", 24, t),
        **{f"{kind}-{v}": welcome_mail(n, v, SITE, t) for n, kind in enumerate(STEPS, 1) for v in ("a", "b")},
        "alert": notification_content("alert", "warning", alert(), t, "Europe/Berlin"),
        "security": security_mail(SecurityNotice(happened="api_key", at=START, label="ci"), SITE, "UTC", t),
        "billing": billing_mail(
            BillingNotice(happened="payment_failed", plan="Individual", at=START, amount_cents=900, until=START),
            SITE,
            "UTC",
            t,
        ),
    }


class Tags(HTMLParser):
    """Which elements and addresses a page has, and whether they close."""

    VOID = frozenset({"meta", "img", "br", "input", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("locale", ["en-US", "de"])
def test_every_mail_is_whole(locale: str) -> None:
    t = translator_for(locale)
    for name, content in every_mail(locale).items():
        page, text = render_html(content, FOOTER, t), render_text(content, FOOTER, t)
        tags = Tags(page)
        assert tags.open == [], name
        assert {"script", "iframe", "form"} & set(tags.found) == set()
        assert all(link.startswith(("https://gpuscout.example", "https://discord.com", "cid:")) for link in tags.links)
        assert f'lang="{t.locale.split("-")[0]}"' in page
        assert max(len(line) for line in text.splitlines() if "https://" not in line) <= 78, name
        assert "\n\n\n" not in text
        assert PREFERENCES in text and UNSUBSCRIBE in text
        assert len(page) < 100_000  # Gmail cuts what is longer than 102 kB


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7*7 }}{% for x in y %}",
        "[click](javascript:alert(1))",
        '[click](<https://evil.example/"onmouseover="x>)',
        "</td></tr></table><a href=//evil.example>",
        "a\r\nBcc: eve@example.com",
        "**" * 500 + "\\" * 500,
        "<t:99999999999999:R> <t:1:R> <@1> </x:1>",
    ],
)
def test_what_others_wrote_stays_text(hostile: str) -> None:
    t = translator_for("en-US")
    content = notification_content("alert", "info", alert(hostile[:200], hostile), t, "UTC")
    page = render_html(content, FOOTER, t)
    tags = Tags(page)
    assert tags.open == []
    assert {"script", "img", "iframe"} & set(tags.found) == set()
    assert not any("javascript" in link or "onmouseover" in link for link in tags.links)
    assert "\n" not in content.data()["subject"] and "\r" not in content.data()["subject"]
    assert "49" not in page.partition("<body")[2].partition("GPU Model")[0].replace("5c6773", "")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_at_phone_width(scheme: Any) -> None:
    """Nothing is wider than the phone, the button is large enough for a thumb, and dark is dark."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: none on the PATH, and CHROMIUM names none")
    t = translator_for("de")
    async with async_playwright() as tools:
        browser = await tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport=PHONE, color_scheme=scheme)
        for name, content in every_mail("de").items():
            await page.set_content(render_html(content, FOOTER, t))
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
            ground = await page.evaluate("getComputedStyle(document.querySelector('.sheet')).backgroundColor")
            assert (ground == "rgb(255, 255, 255)") is (scheme == "light")
            size = await page.evaluate(
                "parseFloat(getComputedStyle(document.querySelector('p.text, .value')).fontSize)"
            )
            assert size >= 16
            for box in [await each.bounding_box() for each in await page.query_selector_all(".act a")]:
                assert box is not None and box["height"] >= 44
        await browser.close()
