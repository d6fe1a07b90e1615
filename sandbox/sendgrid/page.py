"""The inbox page: what was sent, each mail in a frame that may do nothing, and buttons to let things happen to it."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from sandbox.sendgrid.server import SandboxSendGrid
    from sandbox.sendgrid.store import StoredMail

ACTIONS: Final = {
    "open": "Opened",
    "click": "Link followed",
    "bounce": "Bounce",
    "blocked": "Full mailbox",
    "spamreport": "Reported as spam",
    "unsubscribe": "Unsubscribe from all",
    "group_unsubscribe": "Unsubscribe from group",
    "group_resubscribe": "Subscribe to group again",
}
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_MAIL_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src 'self' http://127.0.0.1:* data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""A mail may show itself, and open its links in a new tab; nothing else."""


@cache
def _style() -> str:
    return Path(__file__).with_name("inbox.css").read_text(encoding="utf-8")


def _frame(server: SandboxSendGrid, title: str, body: str) -> web.Response:
    badge = f'<span class="badge">{html.escape(server.badge)}</span>' if server.badge else ""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)} · Mail sandbox</title><style>{_style()}</style></head><body>"
        f'<header><a href="/">✉️ Mail sandbox</a>{badge}<span class="soft">Nothing here leaves this machine.</span>'
        f"</header><main>{body}</main></body></html>"
    )
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(text=page, content_type="text/html", headers=headers)


def _line(mail: StoredMail) -> str:
    note = f" · not delivered: {html.escape(mail.dropped)}" if mail.dropped else ""
    return (
        f'<li><a href="/mail/{mail.number}"><span class="strong">{html.escape(mail.subject)}</span><br>'
        f'<span class="soft">to {html.escape(mail.to)} · {mail.at:%Y-%m-%d %H:%M:%S} UTC{note}</span></a></li>'
    )


def _detail(mail: StoredMail) -> str:
    facts = {
        "From": f"{mail.body['from'].get('name', '')} <{mail.body['from']['email']}>".strip(),
        "To": mail.to,
        "Sent": f"{mail.at:%Y-%m-%d %H:%M:%S} UTC",
        "Kind": ", ".join(mail.body.get("categories", [])),
        "Unsubscribe group": str(mail.group or "none"),
        **mail.headers,
        "What became of it": mail.dropped or ", ".join(mail.events) or "accepted",
    }
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())
    buttons = "".join(
        f'<button name="event" value="{event}">{html.escape(label)}</button>' for event, label in ACTIONS.items()
    )
    shown = f'<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" src="/mail/{mail.number}.html"></iframe>'
    text = mail.part("text/plain")
    if mail.part("text/html") is None:
        data = json.dumps(mail.personal.get("dynamic_template_data", {}), indent=2, ensure_ascii=False)
        shown = (
            f"<p>Dynamic template {html.escape(str(mail.body.get('template_id')))}</p><pre>{html.escape(data)}</pre>"
        )
    plain = f"<h2>Plain text</h2><pre>{html.escape(text)}</pre>" if text else ""
    return (
        f"<h1>{html.escape(mail.subject)}</h1><dl>{rows}</dl>"
        f'<form method="post" action="/mail/{mail.number}">{buttons}</form>{shown}{plain}'
    )


def add_routes(app: web.Application, server: SandboxSendGrid) -> None:
    """Register the page."""

    def find(request: web.Request) -> StoredMail:
        mail = server.store.get(int(request.match_info["number"]))
        if mail is None:
            raise web.HTTPNotFound(text="There is no such mail (any more).\n")
        return mail

    async def inbox(_request: web.Request) -> web.Response:
        lines = "".join(_line(mail) for mail in reversed(server.mails))
        body = f"<h1>Inbox</h1><ol>{lines}</ol>" if lines else "<h1>Inbox</h1><p>No mail yet.</p>"
        return _frame(server, "Inbox", body)

    async def detail(request: web.Request) -> web.Response:
        mail = find(request)
        return _frame(server, mail.subject, _detail(mail))

    async def happen(request: web.Request) -> web.Response:
        mail, event = find(request), str((await request.post()).get("event", ""))
        if event not in ACTIONS:
            raise web.HTTPBadRequest(text="There is no such event.\n")
        server.happen(mail, event)
        raise web.HTTPSeeOther(f"/mail/{mail.number}")

    async def content(request: web.Request) -> web.Response:
        mail = find(request)
        source = mail.part("text/html") or "<p>This mail has no HTML part.</p>"
        # What a mail program does: pictures of the mail itself, links in a new tab.
        source = re.sub(r'src="cid:([A-Za-z0-9._-]+)"', rf'src="/mail/{mail.number}/picture/\1"', source)
        source = source.replace("<head>", '<head><base target="_blank">', 1)
        headers = {"Content-Security-Policy": _MAIL_POLICY, "Cache-Control": "no-store"}
        return web.Response(text=source, content_type="text/html", headers=headers)

    async def picture(request: web.Request) -> web.Response:
        found = find(request).picture(request.match_info["name"])
        if found is None or not found[1].startswith("image/") or "svg" in found[1]:
            raise web.HTTPNotFound(text="There is no such picture.\n")
        return web.Response(body=found[0], content_type=found[1], headers={"X-Content-Type-Options": "nosniff"})

    app.router.add_get("/", inbox)
    app.router.add_get("/mail/{number:[0-9]+}", detail)
    app.router.add_post("/mail/{number:[0-9]+}", happen)
    app.router.add_get("/mail/{number:[0-9]+}.html", content)
    app.router.add_get("/mail/{number:[0-9]+}/picture/{name}", picture)
