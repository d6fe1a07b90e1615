"""Requests that change something: tried once, and honest about what may have happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from gpuscout.resilience import BadStatus, ResilientClient, RetryPolicy, UpstreamUnavailable

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> ResilientClient:
    return ResilientClient("mail", ["https://mail.example"], transport=httpx.MockTransport(answer))


async def _body(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


def said(status: int, data: bytes = b"", **headers: str) -> httpx.Response:
    """An answer that comes from the network, not from memory."""
    return httpx.Response(
        status, content=_body(data), headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


def raising(error: Exception) -> Answer:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error

    return answer


async def test_the_body_and_its_type_arrive() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return said(202, x_message_id="m1")

    async with client(answer) as mail:
        response = await mail.send("POST", "/v3/send", content=b"{}", headers={"content-type": "application/json"})
    assert (response.status, response.headers["x-message-id"]) == (202, "m1")
    assert (seen[0].method, seen[0].content, seen[0].headers["content-type"]) == ("POST", b"{}", "application/json")


async def test_a_change_is_tried_once_unless_the_caller_says_otherwise() -> None:
    tries: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request.method)
        return said(503 if len(tries) < 3 else 204)

    async with client(answer) as mail:
        with pytest.raises(UpstreamUnavailable):
            await mail.send("POST", "/v3/send")
        assert tries == ["POST"]
        await mail.send("DELETE", "/v3/x", retry=RetryPolicy(kind="immediate", retries=2))
    assert tries == ["POST", "DELETE", "DELETE"]


@pytest.mark.parametrize(
    ("answer", "unsure"),
    [
        (raising(httpx.ConnectError("no")), False),
        (raising(httpx.ConnectTimeout("no")), False),
        (raising(httpx.ReadTimeout("no")), True),
        (raising(httpx.RemoteProtocolError("no")), True),
        (lambda _: said(429, retry_after="7"), False),
        (lambda _: said(503), False),
        (lambda _: said(500), True),
        (lambda _: said(504), True),
    ],
)
async def test_whether_it_may_have_been_done(answer: Answer, unsure: bool) -> None:
    async with client(answer) as mail:
        with pytest.raises(UpstreamUnavailable) as caught:
            await mail.send("POST", "/v3/send", content=b"x")
    assert caught.value.unsure is unsure


async def test_a_refusal_is_sure() -> None:
    async with client(lambda _: said(400, b'{"errors": []}')) as mail:
        with pytest.raises(BadStatus) as caught:
            await mail.send("POST", "/v3/send", content=b"x")
    assert (caught.value.status, caught.value.unsure) == (400, False)
    assert caught.value.body.startswith(b'{"errors"')
