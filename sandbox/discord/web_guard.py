"""What keeps other web pages away from a server on loopback, and the page's files."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.discord import media
from sandbox.discord.models import StoredFile
from sandbox.discord.state import World

_PAGE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
}
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; connect-src 'self' ws:;"
    " object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
#: Types that a browser may show in place; anything else is downloaded.
_INLINE = ("image/png", "image/webp", "image/gif", "image/jpeg", "text/plain", "text/csv")
_NO_PAGE = (
    "<!doctype html><title>Sandbox Discord</title><p>The server runs, but its page is not"
    " installed. Its API is under <code>/sandbox</code>."
)


def _is_local(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_name(authority: str) -> str:
    return urlsplit(f"//{authority}").hostname or ""


def guard(*, loopback_only: bool) -> Middleware:
    """Middleware against foreign pages.

    A page on the web can send requests to 127.0.0.1 through its visitor's browser, and can point
    a name of its own there. So, while bound to loopback: the Host must be local, a browser's
    Origin must be this server, and user-side bodies must be JSON (which a foreign form cannot
    send without asking first).
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if loopback_only and not _is_local(_host_name(request.host)):
            return web.json_response({"error": "Unknown host."}, status=421)
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return web.json_response({"error": "Foreign origin."}, status=403)
        own = request.path.startswith("/sandbox/") and request.method in ("POST", "DELETE")
        if own and request.body_exists and request.content_type != "application/json":
            return web.json_response({"error": "The body must be JSON."}, status=415)
        return await handler(request)

    return middleware


class Files:
    """Serves the page and the attachments."""

    def __init__(self, world: World, page_dir: Path) -> None:
        self._world = world
        self._page_dir = page_dir

    def routes(self) -> list[web.RouteDef]:
        """The CDN, and last the page, which takes every other path."""
        return [
            web.get("/cdn/attachments/{channel_id}/{attachment_id}/{filename}", self.attachment),
            web.get("/{path:.*}", self.page),
        ]

    async def attachment(self, request: web.Request) -> web.StreamResponse:
        """An attachment's bytes."""
        stored = self._find(request)
        if stored is None:
            raise web.HTTPNotFound(text="This content is no longer available.")
        headers = {
            "Content-Type": stored.content_type,
            "Cache-Control": "private, max-age=3600",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        if not stored.content_type.startswith(_INLINE):
            name = stored.attachment["filename"]
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        try:
            data = stored.data  # once it is on disk, saving sets this to None at any moment
            if data is None:
                data = await asyncio.to_thread(stored.read)
        except OSError:
            raise web.HTTPNotFound(text="This content is no longer available.") from None
        return web.Response(body=data, headers=headers)

    def _find(self, request: web.Request) -> StoredFile | None:
        channel_id = request.match_info["channel_id"]
        bucket = self._world.bucket(int(channel_id) if channel_id.isdigit() else 0)
        for message in reversed(bucket.values()):
            for stored in message.files:
                if stored.attachment["url"] == request.path:
                    return stored
        return self._world.loose_files.get(request.path)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """A file of the page; ``/`` is its index."""
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        wanted = request.match_info["path"] or "index.html"
        root = self._page_dir.resolve()
        path = (root / wanted).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            if wanted == "index.html":
                headers["Content-Type"] = _PAGE_TYPES[".html"]
                return web.Response(body=_NO_PAGE.encode(), headers=headers)
            raise web.HTTPNotFound
        kind = _PAGE_TYPES.get(path.suffix) or media.content_type(path.name)
        headers |= {"Content-Type": kind, "Content-Security-Policy": _PAGE_POLICY}
        return web.Response(body=path.read_bytes(), headers=headers)
