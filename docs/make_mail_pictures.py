"""Pictures of mails at phone width, drawn by the product's own renderers.

Usage: ``python docs/make_mail_pictures.py [--out FOLDER] [--chromium PATH]``
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from alert_shots import FIRED
from make_pictures import simulated_world
from playwright.async_api import async_playwright

from config.catalogue import GpuCatalogue
from config.i18n import translator_for
from gpuscout.cards.alert_chart import wish
from gpuscout.cards.alert_message import MessageFacts, alert_message
from gpuscout.cards.alert_text import Names
from gpuscout.charts.render import render
from gpuscout.delivery.channels import Message, Picture
from gpuscout.delivery.mail.contents import Site, welcome_mail
from gpuscout.delivery.mail.models import Footer, MailContent
from gpuscout.delivery.mail.notification import notification_content
from gpuscout.delivery.mail.render import render_html
from tests.fakes import SEEN

PHONE = {"width": 390, "height": 844}
SITE = Site("https://gpuscout.example")
T = translator_for("en-US")
FOOTER = Footer("GPUScout", SITE.base, None, f"{SITE.base}/mail/preferences", f"{SITE.base}/mail/unsubscribe")


async def alert() -> MailContent:
    """The alert of the pictures of Discord, as the mail that follows when Discord fails."""
    market, model = simulated_world().market, GpuCatalogue.load().get("rtx-4090")
    assert model is not None
    wanted = wish([FIRED])
    assert wanted is not None
    history = await market.history(wanted.key, SEEN - wanted.span, SEEN)
    facts = MessageFacts(Names(lambda _: model.label, lambda _: "Vast.ai"), simulated=True, history=history)
    shown = alert_message([FIRED], facts, T)
    assert shown.chart is not None
    pictures = [Picture("alert.webp", render(shown.chart), "RTX 4090 on Vast.ai, 7 days")]
    message = Message(plain=shown.text, embeds=shown.embeds, pictures=pictures)
    return notification_content("alert", "warning", message, T, "Europe/Berlin")


async def take(out: Path, chromium: str) -> None:
    """Each mail in light and in dark."""
    mails = {"alert": await alert(), "welcome": welcome_mail(1, "a", SITE, T)}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = await browser.new_page(viewport=PHONE, device_scale_factor=2, color_scheme=scheme)
            for name, content in mails.items():
                source = render_html(content, FOOTER, T)
                for picture in content.pictures:
                    data = base64.b64encode(picture.data).decode()
                    source = source.replace(f"cid:{picture.name}", f"data:{picture.media};base64,{data}")
                await page.set_content(source)
                path = out / f"email-{name}-{scheme}.png"
                await page.screenshot(path=path, full_page=True)
                print(path)
        await browser.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome") or "")
    arguments = parser.parse_args()
    if not arguments.chromium:
        parser.error("no Chromium found; give its path with --chromium")
    asyncio.run(take(arguments.out, arguments.chromium))


if __name__ == "__main__":
    main()
