"""The receiver on loopback: it tells genuine from forged, misbehaves on request, and its page is safe and readable."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from gpuscout.delivery.webhook_sign import new_secret, signed_headers
from sandbox.webhooks import WebhookReceiver

SECRET = new_secret()


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as found:
        yield found


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def send(web: aiohttp.ClientSession, receiver: WebhookReceiver, data: Any, **changed: str) -> int:
    body = json.dumps(data).encode()
    headers = signed_headers(body, event="alert.triggered", delivery_id="d1", keys=[SECRET], at=datetime.now(UTC))
    async with web.post(receiver.url, data=body, headers={**headers, **changed}) as answer:
        return answer.status


async def page(web: aiohttp.ClientSession, receiver: WebhookReceiver) -> str:
    async with web.get(receiver.base + "/") as answer:
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        return await answer.text()


async def test_genuine_forged_and_unknown(web: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    assert await send(web, receiver, {}) == 204
    receiver.trust(SECRET.get_secret_value())
    await send(web, receiver, {})
    await send(web, receiver, {}, **{"webhook-id": "d2"})
    await send(web, receiver, {}, **{"X-GPUScout-Signature": "t=1,v1=00"})
    await send(web, receiver, {}, **{"X-GPUScout-Signature": "nonsense"})
    assert [came.verified for came in receiver.received] == [None, True, False, False, False]
    shown = await page(web, receiver)
    assert shown.count("✓ genuine") == 1
    assert "not verified: no secret" in shown
    assert shown.count("✗ ") == 3


async def test_what_came_is_text_on_the_page(web: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    await send(web, receiver, {"x": "<script>alert(1)</script>"}, **{"X-GPUScout-Event": "<b>bold"})
    shown = await page(web, receiver)
    assert "<script>" not in shown
    assert "<b>bold" not in shown
    assert "&lt;script&gt;" in shown


async def test_switches_of_the_page(web: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    async def control(**values: str) -> int:
        async with web.post(receiver.base + "/control", data=values, allow_redirects=False) as answer:
            return answer.status

    assert await control(status="500", times="2", retry_after="7") == 303
    assert [await send(web, receiver, {}) for _ in range(3)] == [500, 500, 204]
    assert await control(status="410") == 303
    assert await send(web, receiver, {}) == 410
    assert await control() == 303
    assert await send(web, receiver, {}) == 204
    assert await control(status="99") == 400
    assert await control(colour="red") == 400
    async with web.post(receiver.base + "/secret", data={"secret": "nonsense"}) as answer:
        assert answer.status == 400
    async with web.post(
        receiver.base + "/secret", data={"secret": SECRET.get_secret_value()}, allow_redirects=False
    ) as answer:
        assert answer.status == 303
    await send(web, receiver, {})
    assert receiver.received[-1].verified is True
    assert SECRET.get_secret_value() not in await page(web, receiver)


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}])
async def test_no_other_page_turns_the_switches(
    web: aiohttp.ClientSession, receiver: WebhookReceiver, headers: dict[str, str]
) -> None:
    async with web.post(receiver.base + "/control", data={"status": "500"}, headers=headers) as answer:
        assert answer.status == 403
    assert receiver.behaviour.status == 204


async def test_a_discord_channel_answers_with_a_message(web: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    url = f"{receiver.base}/api/webhooks/123456789012345678/token?wait=true"
    async with web.post(url, json={"embeds": []}) as answer:
        assert answer.status == 200
        assert (await answer.json())["webhook_id"] == "123456789012345678"
    assert "Discord message" in await page(web, receiver)


async def test_the_port_is_kept_over_a_stop(web: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    url = receiver.url
    await receiver.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await send(web, receiver, {})
    await receiver.start()
    assert receiver.url == url
    assert await send(web, receiver, {}) == 204
    assert len(await receiver.wait_for(1)) == 1
