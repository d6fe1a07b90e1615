"""Pages that mails link to: confirm an address, choose what comes, and unsubscribe in one click (RFC 8058).

A link's token is what gives the right; nothing changes by a GET, which mail programs send to every link they see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

from aiohttp import web

from config.i18n import translator_for
from gpuscout.cards.email_card import group_about, group_name, off_reason_text
from gpuscout.delivery.mail.address import masked
from gpuscout.delivery.mail.desk import MailDesk, MailPanel
from gpuscout.delivery.mail.links import MAX_TOKEN, BadLink, LinkExpired
from gpuscout.delivery.mail.models import GROUPS
from web.pages import Pages
from web.problems import Problem
from web.services import WebServices

if TYPE_CHECKING:
    from jinja2 import Template

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""As everywhere, but these pages have a form."""
MAX_FORM: Final = 4096
PAGES: Final = ("/mail/confirm", "/mail/preferences", "/mail/unsubscribe")


class MailPages:
    """The three pages. All answers are for the one who has the link: nothing is cached or named to others."""

    def __init__(self, services: WebServices, pages: Pages) -> None:
        self._services = services
        self._pages = pages

    # --- confirm ---

    async def confirm_page(self, request: web.Request) -> web.Response:
        """``GET /mail/confirm``: the address and a button."""
        token = _token(request)
        try:
            address = await self._desk.confirmable(token)
        except BadLink as error:
            return await self._sorry(error, "/settings", request)
        return await self._page(request, "confirm", token=token, address=address)

    async def confirm(self, request: web.Request) -> web.Response:
        """``POST /mail/confirm``: on, once."""
        form = await _form(request)
        try:
            address = await self._desk.confirm(_token(request, form))
        except BadLink as error:
            return await self._sorry(error, "/settings", request)
        return await self._page(request, "done", title="Your address is on", said=_confirmed(address))

    # --- preferences ---

    async def preferences_page(self, request: web.Request) -> web.Response:
        """``GET /mail/preferences``: what comes, and what can be declined."""
        token = _token(request)
        try:
            known, panel = await self._desk.by_link(token)
        except BadLink as error:
            return await self._sorry(error, "/settings", request)
        return await self._preferences(request, token, panel, known.address, saved=False)

    async def preferences(self, request: web.Request) -> web.Response:
        """``POST /mail/preferences``: save."""
        form = await _form(request)
        token = _token(request, form)
        action = form.get("action", "save")
        wanted = {group: form.get(group) == "on" for group in GROUPS} if action == "save" else {}
        off = {"off": True, "on": False}.get(action)
        try:
            panel = await self._desk.choose(token, wanted, off=off)
        except BadLink as error:
            return await self._sorry(error, "/settings", request)
        return await self._preferences(request, token, panel, panel.address or "", saved=True)

    async def _preferences(
        self, request: web.Request, token: str, panel: MailPanel, address: str, *, saved: bool
    ) -> web.Response:
        t = translator_for("en")
        reason = panel.off_reason
        return await self._page(
            request,
            "preferences",
            token=token,
            address=masked(address),
            on=panel.on,
            reason=None if reason is None else off_reason_text(reason, t),
            can_switch_on=reason == "member",
            saved=saved,
            groups=[
                {
                    "name": group,
                    "title": group_name(group, t),
                    "about": group_about(group, t),
                    "on": group not in panel.declined,
                }
                for group in GROUPS
            ],
        )

    # --- one click ---

    async def unsubscribe_page(self, request: web.Request) -> web.Response:
        """``GET /mail/unsubscribe``: a button, for people; mail programs post."""
        token = _token(request)
        try:
            group = await self._desk.unsubscribable(token)
        except BadLink as error:
            return await self._sorry(error, "/settings", request)
        return await self._page(request, "unsubscribe", token=token, kind=group_name(group, translator_for("en")))

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """``POST /mail/unsubscribe``: done at once, whoever posts it, without a question or a redirect."""
        form = await _form(request)
        try:
            group = await self._desk.unsubscribe(_token(request, form))
        except BadLink as error:
            return await self._sorry(error, "/settings", request)
        kind = group_name(group, translator_for("en"))
        said = f"No more mails of the kind “{kind}” are sent to you."
        return await self._page(request, "done", title="Unsubscribed", said=said)

    # --- inside ---

    @property
    def _desk(self) -> MailDesk:
        desk = self._services.mail
        if desk is None:
            raise Problem(404, "E-mail is switched off here.")
        return desk

    @cached_property
    def _template(self) -> Template:
        return self._pages.template("mail.html")

    async def _sorry(self, error: BadLink, command: str, request: web.Request) -> web.Response:
        said = "This link is too old." if isinstance(error, LinkExpired) else "This link does not work (any more)."
        advice = f"Ask for a new one in Discord, with {command}: Notifications, then E-mail."
        return await self._page(request, "sorry", status=410, title=said, said=advice)

    async def _page(self, _request: web.Request, view: str, *, status: int = 200, **values: object) -> web.Response:
        shown = {"title": "", "said": "", **values}
        body = await asyncio.to_thread(lambda: self._template.render(page="mail", view=view, **shown))
        return web.Response(
            status=status,
            text=body,
            content_type="text/html",
            headers={
                "Cache-Control": "no-store",
                "Content-Security-Policy": POLICY,
                # The token stands in the address: it goes to nobody else.
                "Referrer-Policy": "no-referrer",
                "X-Robots-Tag": "noindex, nofollow",
            },
        )


def _confirmed(address: str) -> str:
    return f"When a mail is due, it goes to {address}. Choose what and when with /settings in Discord."


def _token(request: web.Request, form: Mapping[str, str] | None = None) -> str:
    """The token of the address, or of the form."""
    return (request.query.get("t") or (form or {}).get("t") or "")[: MAX_TOKEN + 1]


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a small form; a mail program's ``multipart/form-data`` too, as RFC 8058 §3.1 allows.

    Raises:
        Problem: it is too large, or no form.
    """
    if (request.content_length or 0) > MAX_FORM:
        raise Problem(413, "The form is too large.")
    try:
        fields = await request.post()
    except (ValueError, LookupError) as error:  # LookupError: a character set that nobody knows
        raise Problem(400, "The form cannot be read.") from error
    return {name: value[:MAX_FORM] for name, value in fields.items() if isinstance(value, str)}


def add_routes(app: web.Application, services: WebServices, pages: Pages) -> None:
    """Register the pages."""
    mail = MailPages(services, pages)
    for path, show, act in zip(
        PAGES,
        (mail.confirm_page, mail.preferences_page, mail.unsubscribe_page),
        (mail.confirm, mail.preferences, mail.unsubscribe),
        strict=True,
    ):
        app.router.add_get(path, show)
        app.router.add_post(path, act)
