"""The pages that mails link to, one-click unsubscribe, and the webhook, over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.delivery.mail.events import MAX_BODY
from gpuscout.telemetry.metrics import Metrics
from sandbox.sendgrid.store import event_of
from tests.fake_market import FakeMarket
from tests.mail.conftest import GROUPS, MailDeskOf, Make, until
from web.app import create_web_app
from web.services import WebServices

Client = TestClient[Any, Any]


def services(desk: MailDeskOf) -> WebServices:
    return WebServices(
        settings=desk.parts.settings,
        market=FakeMarket(),
        catalogue=GpuCatalogue.load(),
        platforms=PlatformCatalogue.load(),
        metrics=Metrics(),
        clock=desk.clock,
        mail=desk.room.desk,
        mail_events=desk.room.door,
    )


@pytest.fixture
async def client(desk: MailDeskOf) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_web_app(services(desk)))) as made:
        yield made


async def test_confirming_takes_a_click_not_a_look(desk: MailDeskOf, client: Client) -> None:
    await desk.room.desk.ask(7, "ada@example.com", "en")
    await desk.work()
    token = desk.link("/mail/confirm")
    for _ in range(2):  # mail programs look at links beforehand
        looked = await client.get("/mail/confirm", params={"t": token})
        page = await looked.text()
        assert looked.status == 200 and "ada@example.com" in page and 'method="post"' in page
    assert await desk.store.confirmed_address(7) is None
    assert looked.headers["Cache-Control"] == "no-store"
    assert looked.headers["Referrer-Policy"] == "no-referrer"
    assert "form-action 'self'" in looked.headers["Content-Security-Policy"]
    done = await client.post("/mail/confirm", data={"t": token})
    assert done.status == 200 and "Your address is on" in await done.text()
    assert await desk.store.confirmed_address(7) == "ada@example.com"
    again = await client.post("/mail/confirm", data={"t": token})
    assert again.status == 410 and "does not work" in await again.text()
    desk.clock.pass_by(days=2)
    assert "too old" in await (await client.get("/mail/confirm", params={"t": token})).text()


@pytest.mark.parametrize("path", ["/mail/confirm", "/mail/preferences", "/mail/unsubscribe"])
@pytest.mark.parametrize("token", ["", "x", "1-a-alerts.ff." + "A" * 43, "<script>", "é" * 400])
async def test_made_up_links(client: Client, path: str, token: str) -> None:
    for answer in (await client.get(path, params={"t": token}), await client.post(path, data={"t": token})):
        assert answer.status == 410
        assert "<script>" not in await answer.text()


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded; charset=none", "multipart/form-data", "multipart/form-data; boundary=x"],
)
async def test_a_form_that_cannot_be_read(client: Client, kind: str) -> None:
    answer = await client.post("/mail/unsubscribe", data=b"\xff\xfea=b", headers={"Content-Type": kind})
    assert answer.status in (400, 410)


async def test_one_click_as_a_mail_program_does_it(desk: MailDeskOf, client: Client) -> None:
    await desk.confirmed()
    await desk.work()
    header = desk.mails[-1].headers["List-Unsubscribe"].strip("<>")
    path = header.removeprefix("https://gpuscout.example")
    assert (await client.get(path)).status == 200
    assert (await desk.room.desk.panel(7)).declined == frozenset()  # a GET changes nothing
    for body in ({"List-Unsubscribe": "One-Click"}, {"List-Unsubscribe": "One-Click"}):  # repeats are fine
        answer = await client.post(path, data=body, allow_redirects=False)
        assert answer.status == 200
    assert (await desk.room.desk.panel(7)).declined == {"onboarding"}
    await desk.work()
    assert desk.sendgrid.store.groups[GROUPS["onboarding"]] == {"ada@example.com"}
    await desk.room.desk.forget(7)
    assert (await client.post(path, data={"List-Unsubscribe": "One-Click"})).status == 200


async def test_preferences(desk: MailDeskOf, client: Client) -> None:
    await desk.confirmed()
    await desk.work()
    token = desk.link("/mail/preferences")
    page = await (await client.get("/mail/preferences", params={"t": token})).text()
    assert page.count(" checked") == 3 and "a…@example.com" in page and "ada@example.com" not in page
    saved = await client.post("/mail/preferences", data={"t": token, "action": "save", "alerts": "on"})
    text = await saved.text()
    assert "Saved." in text and text.count(" checked") == 1
    assert (await desk.room.desk.panel(7)).declined == {"onboarding", "reports"}
    off = await client.post("/mail/preferences", data={"t": token, "action": "off"})
    assert "E-mail is off" in await off.text()
    assert await desk.store.confirmed_address(7) is None
    on = await client.post("/mail/preferences", data={"t": token, "action": "on"})
    assert " checked" in await on.text()
    assert (await desk.room.desk.panel(7)).declined == {"onboarding", "reports"}


async def test_an_old_mails_link_does_not_touch_a_new_address(desk: MailDeskOf, client: Client) -> None:
    await desk.confirmed()
    await desk.work()
    token = desk.link("/mail/preferences")
    await desk.confirmed(address="new@example.com")
    assert (await client.get("/mail/preferences", params={"t": token})).status == 410
    assert (await client.post("/mail/preferences", data={"t": token, "action": "off"})).status == 410
    assert await desk.store.confirmed_address(7) == "new@example.com"


async def test_where_mail_is_off_there_are_no_pages(make_desk: Make) -> None:
    desk = await make_desk(sendgrid_webhook_public_key=None)
    bare = WebServices(
        settings=desk.parts.settings,
        market=FakeMarket(),
        catalogue=GpuCatalogue.load(),
        platforms=PlatformCatalogue.load(),
        metrics=Metrics(),
    )
    async with TestClient(TestServer(create_web_app(bare))) as client:
        assert (await client.get("/mail/confirm?t=x")).status == 404
        answer = await client.post("/webhooks/sendgrid", data=b"[]")
        assert answer.status == 503 and "SENDGRID_WEBHOOK_PUBLIC_KEY" in await answer.text()


async def test_the_webhook_over_the_socket(desk: MailDeskOf, client: Client) -> None:
    await desk.confirmed()
    await desk.work()
    desk.clock.pass_by(minutes=1)
    mail = desk.mails[-1]
    body = json.dumps([event_of(mail, "bounce", desk.clock()) | {"filler": "x" * 200_000}]).encode()
    headers = desk.sendgrid.events.sign(body, int(desk.clock().timestamp()))
    answer = await client.post("/webhooks/sendgrid", data=body, headers=headers)
    assert (answer.status, await answer.json()) == (200, {"received": 1, "new": 1})
    assert (await desk.room.desk.panel(7)).on  # the job's work, not the request's
    again = await client.post("/webhooks/sendgrid", data=body, headers=headers)
    assert await again.json() == {"received": 1, "new": 0}
    await desk.work()
    assert (await desk.room.desk.panel(7)).off_reason == "bounce"
    assert (await client.post("/webhooks/sendgrid", data=body)).status == 403
    assert (await client.post("/webhooks/sendgrid", data=body + b" ", headers=headers)).status == 403
    nonsense = desk.sendgrid.events.sign(b"{}", int(desk.clock().timestamp()))
    assert (await client.post("/webhooks/sendgrid", data=b"{}", headers=nonsense)).status == 400
    assert (await client.get("/webhooks/sendgrid")).status == 405
    assert (await client.post("/webhooks/sendgrid", data=io.BytesIO(b"x" * (MAX_BODY + 1)))).status == 413


async def test_the_stand_in_speaks_with_the_product(desk: MailDeskOf, client: Client) -> None:
    """From the button on the inbox page to the reason in the member's settings."""
    desk.clock.now = datetime.now(UTC)
    desk.sendgrid.events.url = str(client.make_url("/webhooks/sendgrid"))
    await desk.confirmed()
    await desk.work()
    number = desk.mails[-1].number
    desk.clock.pass_by(seconds=90)
    async with (
        ClientSession() as session,
        session.post(f"{desk.sendgrid.url}/mail/{number}", data={"event": "unsubscribe"}) as answer,
    ):
        assert answer.status == 200
    await until(lambda: desk.sendgrid.events.answers.count(200) >= 3)
    async with asyncio.timeout(30):
        while (await desk.room.desk.panel(7)).off_reason is None:
            await desk.work()
            await asyncio.sleep(0.05)
    assert (await desk.room.desk.panel(7)).off_reason == "unsubscribe"
