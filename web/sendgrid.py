"""``POST /webhooks/sendgrid``: the mail service's signed events. Stored, then acknowledged; a job works them off."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiohttp import web

from gpuscout.delivery.mail.events import MAX_BODY, SIGNATURE_HEADER, TIMESTAMP_HEADER, BadEvents, NotSigned
from web.problems import Problem, retry_after
from web.services import WebServices

log = structlog.get_logger(__name__)

PATH: Final = "/webhooks/sendgrid"


async def receive(services: WebServices, request: web.Request) -> web.Response:
    """Check the signature on the bytes as they came, store what is new, answer 200."""
    door = services.mail_events
    if door is None:
        raise Problem(503, "SENDGRID_WEBHOOK_PUBLIC_KEY is not set here.", headers=retry_after(3600))
    body = await _body(request)
    headers = request.headers
    try:
        # Loading the library and reading a large batch would hold everybody else up.
        events = await asyncio.to_thread(
            door.read, body, headers.get(SIGNATURE_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
        )
    except NotSigned as error:
        log.warning("mail_events_refused", reason=str(error))
        raise Problem(403, "The signature does not fit.") from error
    except BadEvents as error:
        log.warning("mail_events_unreadable", reason=str(error))
        raise Problem(400, "This is no list of events.") from error
    except ValueError as error:
        log.error("mail_events_key_unusable", remedy="copy SENDGRID_WEBHOOK_PUBLIC_KEY again from SendGrid")
        raise Problem(503, "Events cannot be checked here.", headers=retry_after(3600)) from error
    new = await door.store(events)
    return web.json_response({"received": len(events), "new": new}, headers={"Cache-Control": "no-store"})


async def _body(request: web.Request) -> bytes:
    """The raw body, whatever its type says; more than :data:`MAX_BODY` is refused while it comes."""
    kept = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        kept += chunk
        if len(kept) > MAX_BODY:
            raise Problem(413, "The request body is too large.", headers={"Connection": "close"})
    return bytes(kept)


def add_routes(app: web.Application, services: WebServices) -> None:
    """Register the route."""

    async def handler(request: web.Request) -> web.Response:
        return await receive(services, request)

    app.router.add_post(PATH, handler)
