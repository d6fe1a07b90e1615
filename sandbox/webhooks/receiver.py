"""Receives webhooks, verifies them with the ``standardwebhooks`` package, and shows what came on a page."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from sandbox.webhooks.page import PAGE_HEADERS, render_page

HOOK: Final = "/hook"
DISCORD_HOOK: Final = "/api/webhooks/{id:\\d{15,21}}/{token}"
MOST_BYTES: Final = 1024 * 1024
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{32,88}={0,2}")


class Behaviour(BaseModel):
    """How the receiver answers.

    Attributes:
        status: of each answer; 500 to be tried again, 410 to be forgotten.
        seconds: it waits before it answers.
        times: after so many answers it is good again; None: until told otherwise.
        retry_after: seconds, sent as ``Retry-After``.
        body: of each answer.
        location: sent as ``Location``, for a redirect.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = Field(204, ge=200, le=599)
    seconds: float = Field(0.0, ge=0, le=600)
    times: int | None = Field(None, ge=1)
    retry_after: int | None = Field(None, ge=0)
    body: str = Field("", max_length=1024 * 1024)
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came.

    Attributes:
        headers: names in lower case.
        verified: whether a secret that the receiver knows signed it, by both sets of headers; None: it knows none.
        problem: why it was not verified.
        status: what it was answered with; None: it went away first.
    """

    at: datetime
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    verified: bool | None
    problem: str | None
    status: int | None

    @property
    def delivery(self) -> str | None:
        """The key against duplicates."""
        return self.headers.get("webhook-id")

    def json(self) -> Any:
        """The body's content."""
        return json.loads(self.body)


class WebhookReceiver:
    """Listens on loopback; ``async with WebhookReceiver() as receiver``.

    Args:
        secrets: signing secrets; more can be given on the page or with :meth:`trust`.
        port: 0 takes a free one and keeps it over a stop and a later start.
        on_received: told of each request, after it is noted.
    """

    def __init__(
        self,
        *secrets: str,
        port: int = 0,
        on_received: Callable[[Received], Awaitable[None]] | None = None,
    ) -> None:
        self.behaviour = Behaviour.model_validate({})
        self.received: deque[Received] = deque(maxlen=1000)
        self._left: int | None = None
        self._secrets: list[str] = []
        for secret in secrets:
            self.trust(secret)
        self._port = port
        self._runner: web.AppRunner | None = None
        self._on_received = on_received
        self._arrival = asyncio.Condition()

    def trust(self, secret: str) -> None:
        """Verify with *secret* too.

        Raises:
            ValueError: it is no signing secret.
        """
        if _SECRET.fullmatch(secret) is None:
            raise ValueError("a signing secret begins with whsec_")
        if secret not in self._secrets:
            self._secrets.append(secret)

    def behave(self, **how: Any) -> None:
        """Answer otherwise from now on; see :class:`Behaviour`."""
        self.behaviour = Behaviour.model_validate(how)
        self._left = self.behaviour.times

    @property
    def base(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Address to give to ``/webhook add``."""
        return self.base + HOOK

    async def wait_for(self, count: int, seconds: float = 30.0) -> list[Received]:
        """The requests, as soon as there are *count*.

        Raises:
            TimeoutError: fewer came in time.
        """
        async with asyncio.timeout(seconds), self._arrival:
            await self._arrival.wait_for(lambda: len(self.received) >= count)
        return list(self.received)

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[_local_only])
        app.router.add_post(HOOK, self._hook)
        app.router.add_post(DISCORD_HOOK, self._discord)
        app.router.add_get("/", self._page)
        app.router.add_post("/secret", self._add_secret)
        app.router.add_post("/control", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; running answers get a second."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- receiving ---

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        verified, problem = self.verify(body, {name.lower(): value for name, value in request.headers.items()})
        return await self._answer(request, body, verified, problem, self.behaviour.body.encode(), "text/plain")

    async def _discord(self, request: web.Request) -> web.Response:
        """As Discord's ``POST /webhooks/{id}/{token}?wait=true``: the message that was made."""
        body = await request.read()
        identity = str(len(self.received) + 1).rjust(18, "1")
        made = json.dumps({"id": identity, "type": 0, "webhook_id": request.match_info["id"]}).encode()
        return await self._answer(request, body, None, None, made, "application/json", good=200)

    async def _answer(
        self,
        request: web.Request,
        body: bytes,
        verified: bool | None,
        problem: str | None,
        text: bytes,
        kind: str,
        good: int | None = None,
    ) -> web.Response:
        how = self.behaviour
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.behave()
        status = good if good is not None and how.status == 204 else how.status
        headers = {"Content-Type": kind}
        if how.retry_after is not None:
            headers["Retry-After"] = str(how.retry_after)
        if how.location is not None:
            headers["Location"] = how.location
        answered: int | None = None
        try:
            if how.seconds:
                await asyncio.sleep(how.seconds)
            answered = status
        finally:
            await self._note(request, body, verified, problem, answered)
        return web.Response(status=status, headers=headers, body=b"" if status == 204 else text)

    async def _note(
        self, request: web.Request, body: bytes, verified: bool | None, problem: str | None, status: int | None
    ) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        found = Received(
            datetime.now(UTC), request.path, request.query_string, headers, body, verified, problem, status
        )
        async with self._arrival:
            self.received.append(found)
            self._arrival.notify_all()
        if self._on_received is not None:
            await self._on_received(found)

    def verify(self, body: bytes, headers: dict[str, str]) -> tuple[bool | None, str | None]:
        """Whether a known secret signed *body*: by Standard Webhooks, and by the headers of GPUScout's own."""
        if not self._secrets:
            return None, None
        problem = "no signature fits"
        for secret in self._secrets:
            hook = Webhook(secret)
            try:
                hook.verify(body, headers)
            except WebhookVerificationError as error:
                problem = str(error)
                continue
            if not own_signature_fits(secret, body, headers.get("x-gpuscout-signature", "")):
                return False, "X-GPUScout-Signature does not fit"
            return True, None
        return False, problem

    # --- the page ---

    async def _page(self, _request: web.Request) -> web.Response:
        page = render_page(list(reversed(self.received)), self.behaviour, self.url, len(self._secrets))
        return web.Response(text=page, content_type="text/html", headers=PAGE_HEADERS)

    async def _add_secret(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            self.trust(str(form.get("secret", "")).strip())
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        raise web.HTTPSeeOther("/")

    async def _control(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            self.behave(**{name: value for name, value in form.items() if value != ""})
        except ValidationError as error:
            return web.Response(status=400, text=str(error.errors(include_url=False, include_input=False)[0]["msg"]))
        raise web.HTTPSeeOther("/")


def own_signature_fits(secret: str, body: bytes, header: str) -> bool:
    """Whether one of the ``v1`` of ``X-GPUScout-Signature`` is that of *secret*. Written as the documentation says."""
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not times[0].isdigit():
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = hmac.new(key, times[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(wanted, one) for one in given)


@web.middleware
async def _local_only(request: web.Request, handler: Any) -> web.StreamResponse:
    """No page of the web may turn the switches: the Host is this machine, and a form's Origin this page."""
    if request.url.host not in ("127.0.0.1", "localhost"):
        raise web.HTTPForbidden(text="this server is for this machine")
    origin = request.headers.get("Origin")
    if origin is not None and origin != str(request.url.origin()):
        raise web.HTTPForbidden(text="not from another page")
    answer: web.StreamResponse = await handler(request)
    return answer
