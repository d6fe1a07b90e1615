"""``/privacy`` and ``/terms``: plain words, and who runs this bot."""

from __future__ import annotations

import re
from typing import Any

import pytest

from storage.tables import metadata
from web.pages import contact_of


async def test_pages(client: Any) -> None:
    privacy = await client.get("/privacy")
    assert privacy.status == 200
    assert privacy.content_type == "text/html"
    text = await privacy.text()
    assert "the operator has named no contact (<code>OPERATOR_CONTACT</code>)" in text
    for said in ("Delete my data", "What is stored about me", "30 days", "keyed hash", "up to 25 GPU models"):
        assert said in text
    terms = await (await client.get("/terms")).text()
    assert 'href="/privacy"' in terms
    assert 'href="/methodology"' in terms
    assert 'href="/privacy">Privacy</a> · <a href="/terms">Terms</a>' in await (await client.get("/")).text()


@pytest.mark.parametrize(
    ("contact", "href"),
    [
        (None, None),
        ("mail@example.org", "mailto:mail@example.org"),
        ("https://example.org/contact", "https://example.org/contact"),
        ("Ada Example, Main Street 1, Berlin", None),
        ("javascript:alert(1)", None),
        ('https://x.example/"onmouseover="alert(1)', None),
        ("<b>@x", None),
    ],
)
def test_contact(contact: str | None, href: str | None) -> None:
    assert contact_of(contact) == {"text": contact, "href": href}


async def test_every_table_about_people_is_spoken_of(client: Any) -> None:
    """A new table with a member's or a server's id must not appear without a word on the page."""
    about = {
        table.name
        for table in metadata.tables.values()
        for column in table.columns
        if re.search(r"member|guild|user", column.name) or table.name in ("member", "guild")
    }
    spoken_of = {"member", "watchlist_item", "server_settings", "feed_post", "guild", "usage_event"}
    spoken_of |= {"mail_address", "mail_confirmation", "mail_message", "mail_assignment", "mail_sequence"}
    spoken_of |= {"holding", "portfolio_snapshot", "tariff_plan"}
    spoken_of |= {"alert_rule", "muted_alert", "digest_subscription"}
    spoken_of |= {"member_delivery", "notification", "outgoing_event"}
    assert about == spoken_of
