"""The stand-in's HTTP server: SendGrid's API under ``/v3``, and an inbox page under ``/``."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.sendgrid import page
from sandbox.sendgrid.events import EventSender
from sandbox.sendgrid.schema import described, error, mail_errors
from sandbox.sendgrid.store import MailStore, StoredMail, event_of

log = structlog.get_logger(__name__)

MAX_BODY: Final = 30 * 1024 * 1024
"""As SendGrid: a mail with its attachments."""
EVENTS: Final = (
    "delivered",
    "open",
    "click",
    "bounce",
    "blocked",
    "dropped",
    "spamreport",
    "unsubscribe",
    "group_unsubscribe",
    "group_resubscribe",
)
SCOPES: Final = ["mail.send", "asm.groups.suppressions.create", "suppression.bounces.delete"]
_MODE = re.compile(r"ok|down|lost|slow|status:[45][0-9][0-9]")


class SandboxSendGrid:
    """SendGrid on loopback.

    Args:
        key: the API key that is accepted.
        port: 0 takes a free one and keeps it.
        badge: shown on the inbox page, such as ``SIMULATED``.
        deliver: whether accepted mails are told of as delivered at once.

    Attributes:
        mode: ``ok``; ``down``: the connection is closed before a mail is taken; ``lost``: after it was taken, so that
            the answer is lost; ``slow``: the answer comes ``seconds`` late; ``status:503`` or any other error.
        times: how many more requests the mode concerns; None: all.
    """

    def __init__(self, key: str, *, port: int = 0, badge: str = "", deliver: bool = True) -> None:
        self.key = key
        self.badge = badge
        self.deliver = deliver
        self.store = MailStore()
        self.events = EventSender()
        self.mode, self.seconds, self.times = "ok", 5.0, None
        self.retry_after: int | None = None
        self.requests = 0
        self._port = port
        self._runner: web.AppRunner | None = None

    times: int | None

    @property
    def url(self) -> str:
        """Base address of the API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def page_url(self) -> str:
        """The inbox."""
        return f"{self.url}/"

    @property
    def public_key(self) -> str:
        """Verification key of the events."""
        return self.events.public_key

    @property
    def mails(self) -> list[StoredMail]:
        """Every mail that was taken, oldest first."""
        return self.store.mails

    def set_mode(
        self, mode: str, *, times: int | None = None, seconds: float = 5.0, retry_after: int | None = None
    ) -> None:
        """Misbehave; see the class.

        Raises:
            ValueError: there is no such mode.
        """
        if not _MODE.fullmatch(mode):
            raise ValueError(f"no mode {mode!r}")
        self.mode, self.times, self.seconds, self.retry_after = mode, times, seconds, retry_after

    def happen(self, mail: StoredMail, event: str) -> dict[str, Any]:
        """Let something happen to a mail, and tell the product of it.

        Raises:
            ValueError: there is no such event.
        """
        if event not in EVENTS:
            raise ValueError(f"no event {event!r}")
        self.store.note(mail, event)
        made = event_of(mail, event)
        self.events.put([made])
        return made

    # --- life ---

    async def start(self) -> None:
        """Listen. ``OSError`` when the port is taken."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_local_only])
        app.router.add_post("/v3/mail/send", self._send)
        app.router.add_get("/v3/scopes", self._scopes)
        app.router.add_post("/v3/asm/groups/{group:[0-9]+}/suppressions", self._decline)
        app.router.add_delete("/v3/asm/groups/{group:[0-9]+}/suppressions/{email}", self._allow_group)
        app.router.add_delete("/v3/asm/suppressions/global/{email}", self._allow_all)
        app.router.add_delete("/v3/suppression/bounces/{email}", self._allow_bounced)
        app.router.add_route("*", "/v3/{rest:.*}", self._unknown)
        page.add_routes(app, self)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        self._runner = runner
        self.events.start()

    async def stop(self) -> None:
        """Refuse connections from now on. Safe to repeat."""
        await self.events.stop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- the API ---

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        mode = self._turn()
        if mode == "down":
            return _cut(request)
        if mode.startswith("status:"):
            return self._refuse(int(mode.removeprefix("status:")))
        if (refused := self._refused(request)) is not None:
            return refused
        if request.content_type != "application/json":
            return _errors(415, [error("Content-Type should be application/json.")])
        try:
            body = json.loads(await request.read())
        except ValueError:
            return _errors(400, [error("Bad Request")])
        if (found := mail_errors(body)) != []:
            log.warning("sandbox_mail_refused", errors=found)
            return _errors(400, found)
        if body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return web.Response(status=200)
        taken = self.store.accept(body, datetime.now(UTC))
        for mail in taken:
            self._tell(mail)
        if mode == "lost":
            return _cut(request)
        if mode == "slow":
            await asyncio.sleep(self.seconds)
        return web.Response(status=202, headers={"X-Message-Id": taken[0].message_id})

    def _tell(self, mail: StoredMail) -> None:
        told = [event_of(mail, "processed")]
        if mail.dropped is not None:
            mail.events.append("dropped")
            told.append(event_of(mail, "dropped"))
        elif self.deliver:
            mail.events.append("delivered")
            told.append(event_of(mail, "delivered"))
        self.events.put(told)

    async def _scopes(self, request: web.Request) -> web.Response:
        return self._refused(request) or web.json_response({"scopes": SCOPES})

    async def _decline(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        try:
            body = json.loads(await request.read())
        except ValueError:
            return _errors(400, [error("Bad Request")])
        if found := described("/v3/asm/groups/{group_id}/suppressions", body):
            return _errors(400, found)
        emails = [str(each).lower() for each in body["recipient_emails"]]
        self.store.groups.setdefault(int(request.match_info["group"]), set()).update(emails)
        return web.json_response({"recipient_emails": emails}, status=201)

    async def _allow_group(self, request: web.Request) -> web.Response:
        listed = self.store.groups.get(int(request.match_info["group"]), set())
        return self._allow(request, listed)

    async def _allow_all(self, request: web.Request) -> web.Response:
        return self._allow(request, self.store.unsubscribed)

    async def _allow_bounced(self, request: web.Request) -> web.Response:
        return self._allow(request, self.store.bounces)

    def _allow(self, request: web.Request, listed: set[str]) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        email = request.match_info["email"].lower()
        if email not in listed:
            return _errors(404, [error("resource not found")])
        listed.discard(email)
        return web.Response(status=204)

    async def _unknown(self, request: web.Request) -> web.Response:
        return self._refused(request) or _errors(404, [error("resource not found")])

    def _refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.key}".encode()):
            return _errors(401, [error("The provided authorization grant is invalid, expired, or revoked")])
        return None

    def _refuse(self, status: int) -> web.Response:
        response = _errors(status, [error("not now")])
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        return response

    def _turn(self) -> str:
        mode = self.mode
        if mode != "ok" and self.times is not None:
            self.times -= 1
            if self.times <= 0:
                self.mode, self.times = "ok", None
        return mode


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _errors(status: int, found: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"errors": found}, status=status)


@web.middleware
async def _local_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No page of the web may talk to this server through its visitor's browser."""
    host = urlsplit(f"//{request.host}").hostname or ""
    origin = request.headers.get("Origin")
    if host not in ("127.0.0.1", "localhost", "::1") or (
        origin is not None and urlsplit(origin).netloc != request.host
    ):
        raise web.HTTPForbidden(text="This server is for its own machine only.\n")
    return await handler(request)
