"""SendGrid's stand-in: keys, modes, lists, events, and an inbox page that lets mails do nothing."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sandbox.sendgrid import SandboxSendGrid
from sandbox.sendgrid.events import SIGNATURE, TIMESTAMP

MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "ada@example.com"}], "custom_args": {"gpuscout_message": "m1"}}],
    "from": {"email": "alerts@gpuscout.example", "name": "GPUScout"},
    "subject": "Hello <b>",
    "content": [
        {"type": "text/plain", "value": "plain"},
        {"type": "text/html", "value": '<html><head></head><img src="cid:c1.png"><script>1</script></html>'},
    ],
    "attachments": [{"content": "UE5H", "type": "image/png", "filename": "c", "content_id": "c1.png"}],
    "asm": {"group_id": 12},
}


@pytest.fixture
async def server() -> AsyncIterator[SandboxSendGrid]:
    async with SandboxSendGrid("key", badge="SIMULATED") as running:
        yield running


@pytest.fixture
async def session(server: SandboxSendGrid) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url, headers={"Authorization": "Bearer key"}) as made:
        yield made


async def test_a_mail_is_taken_and_shown(server: SandboxSendGrid, session: aiohttp.ClientSession) -> None:
    async with session.post("/v3/mail/send", json=MAIL) as answer:
        assert (answer.status, await answer.read()) == (202, b"")
        assert answer.headers["X-Message-Id"] == server.mails[0].message_id
    async with session.get("/") as answer:
        page = await answer.text()
        assert "Hello &lt;b&gt;" in page and "SIMULATED" in page and "script-src" not in page
    async with session.get("/mail/1") as answer:
        page = await answer.text()
        assert '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox"' in page and "<script" not in page
    async with session.get("/mail/1.html") as answer:
        assert answer.headers["Content-Security-Policy"].startswith("sandbox ")
        assert 'src="/mail/1/picture/c1.png"' in await answer.text()
    async with session.get("/mail/1/picture/c1.png") as answer:
        assert (await answer.read(), answer.content_type) == (b"PNG", "image/png")
    async with session.get("/mail/2") as answer:
        assert answer.status == 404


async def test_refusals(server: SandboxSendGrid, session: aiohttp.ClientSession) -> None:
    async with session.post("/v3/mail/send", json=MAIL, headers={"Authorization": "Bearer other"}) as answer:
        assert answer.status == 401
    async with session.post("/v3/mail/send", json={**MAIL, "from": {}}) as answer:
        assert answer.status == 400
        assert (await answer.json())["errors"][0]["field"] == "from.email"
    async with session.post("/v3/mail/send", data=b"{", headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 400
    async with session.get("/v3/other") as answer:
        assert answer.status == 404
    async with session.get("/", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    async with session.post("/mail/1", data={"event": "open"}, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
    assert server.mails == []


@pytest.mark.parametrize(("mode", "taken"), [("down", 0), ("lost", 1)])
async def test_cut_off(server: SandboxSendGrid, session: aiohttp.ClientSession, mode: str, taken: int) -> None:
    server.set_mode(mode, times=1)
    with pytest.raises(aiohttp.ClientError):
        await session.post("/v3/mail/send", json=MAIL)
    assert len(server.mails) == taken
    async with session.post("/v3/mail/send", json=MAIL) as answer:
        assert answer.status == 202


async def test_error_modes(server: SandboxSendGrid, session: aiohttp.ClientSession) -> None:
    server.set_mode("status:429", times=1, retry_after=3)
    async with session.post("/v3/mail/send", json=MAIL) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
    with pytest.raises(ValueError, match="mode"):
        server.set_mode("odd")


async def test_lists_hinder_and_let_go(server: SandboxSendGrid, session: aiohttp.ClientSession) -> None:
    async with session.post("/v3/asm/groups/12/suppressions", json={"recipient_emails": ["Ada@example.com"]}) as answer:
        assert answer.status == 201
    await (await session.post("/v3/mail/send", json=MAIL)).read()
    assert server.mails[-1].dropped == "Unsubscribed Address"
    assert (await session.delete("/v3/asm/groups/12/suppressions/ada@example.com")).status == 204
    assert (await session.delete("/v3/asm/groups/12/suppressions/ada@example.com")).status == 404
    await (await session.post("/v3/mail/send", json=MAIL)).read()
    assert server.mails[-1].dropped is None
    server.happen(server.mails[-1], "bounce")
    await (await session.post("/v3/mail/send", json=MAIL)).read()
    assert server.mails[-1].dropped == "Bounced Address"
    assert (await session.delete("/v3/suppression/bounces/ada@example.com")).status == 204
    with pytest.raises(ValueError, match="event"):
        server.happen(server.mails[-1], "odd")


async def test_events_are_signed_and_sent_again(server: SandboxSendGrid, session: aiohttp.ClientSession) -> None:
    heard: list[tuple[bytes, str, str]] = []
    refuse = 1

    async def hear(request: web.Request) -> web.Response:
        nonlocal refuse
        heard.append((await request.read(), request.headers[SIGNATURE], request.headers[TIMESTAMP]))
        refuse -= 1
        return web.Response(status=503 if refuse >= 0 else 200)

    app = web.Application()
    app.router.add_post("/hook", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        server.events.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        await (await session.post("/v3/mail/send", json=MAIL)).read()
        async with asyncio.timeout(30):
            while len(heard) < 2:
                await asyncio.sleep(0.02)
    finally:
        await runner.cleanup()
    assert heard[0][0] == heard[1][0]
    key = load_der_public_key(base64.b64decode(server.public_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for body, signature, stamp in heard:
        key.verify(base64.b64decode(signature), stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    told = json.loads(heard[0][0])
    assert [each["event"] for each in told] == ["processed", "delivered"]
    assert all(each["gpuscout_message"] == "m1" and each["email"] == "ada@example.com" for each in told)
