"""Pages for people: the market table and the methodology, rendered on the server, without scripts."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote as escape
from urllib.parse import urlencode

from aiohttp import web

from config.i18n import translator_for
from gpuscout.accounts.members import WATCHLIST_LIMIT
from gpuscout.accounts.servers import ERASE_AFTER
from gpuscout.market.earnings import DEFAULT_TARIFF
from gpuscout.market.models import GLOBAL, Freshness, MarketUnavailable, Quote, freshness
from gpuscout.market.overview import MarketLine, Ranking, rank
from web.problems import Problem
from web.router import text_response
from web.services import WebServices

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_HERE = Path(__file__).parent
_ASSET_TYPES = {".css": "text/css", ".svg": "image/svg+xml"}
_NOTHING = "–"
KEPT_SECONDS = 5
"""How long the finished market page serves everybody; new data end it at once."""
MOVERS = 5
"""Risers, and fallers, on the market page."""
ROWS_AT_ONCE = 20
PIECES_AT_ONCE = 500
"""Rows formatted and pieces of text rendered before the event loop gets a turn: about 2 ms of work."""


class Pages:
    """Templates, assets and what fills them. Templates and assets are read with the first page, off the event loop."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._text = translator_for("en-US")
        self._market: tuple[tuple[int, int], bytes] | None = None
        self._legal_pages: dict[str, bytes] = {}

    @cached_property
    def assets(self) -> dict[str, tuple[bytes, str, str]]:
        """By file name: content, media type and a digest for the address."""
        found = {}
        for path in sorted((_HERE / "static").iterdir()):
            if kind := _ASSET_TYPES.get(path.suffix):
                data = path.read_bytes()
                found[path.name] = (data, kind, hashlib.blake2b(data, digest_size=6).hexdigest())
        return found

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        made = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.globals.update(
            asset=lambda name: f"/static/{name}?v={self.assets[name][2]}",
            simulated=self._services.settings.simulated,
            version=self._services.version,
        )
        return made

    def template(self, name: str) -> Template:
        """A template of the house, read from its file: for a thread."""
        return self._environment.get_template(name)

    @cached_property
    def _methodology(self) -> bytes:
        from markupsafe import Markup

        from web.markdown import read_methodology, render

        text = self._services.methodology if self._services.methodology is not None else read_methodology()
        content = Markup(render(text))  # noqa: S704 - our own page; its parser escapes raw HTML
        template = self._environment.get_template("methodology.html")
        return template.render(page="methodology", content=content).encode()

    async def methodology(self, request: web.Request) -> web.Response:
        """``GET /methodology``."""
        body = await asyncio.to_thread(lambda: self._methodology)
        return text_response(request, body, "text/html", 300)

    async def legal(self, request: web.Request) -> web.Response:
        """``GET /privacy`` and ``GET /terms``."""
        page = request.path.strip("/")
        body = await asyncio.to_thread(self._legal, page)
        return text_response(request, body, "text/html", 300)

    def _legal(self, page: str) -> bytes:
        if page not in self._legal_pages:
            settings = self._services.settings
            template = self._environment.get_template(f"{page}.html")
            self._legal_pages[page] = template.render(
                page=page,
                contact=contact_of(settings.operator_contact),
                support=settings.support_url,
                raw_days=max(settings.raw_retention_hours, 48) // 24,
                erase_days=ERASE_AFTER.days,
                watchlist_limit=WATCHLIST_LIMIT,
            ).encode()
        return self._legal_pages[page]

    async def market(self, request: web.Request) -> web.Response:
        """``GET /``."""
        now = int(self._services.clock().timestamp()) // KEPT_SECONDS
        key = (await self._services.market.version(), now)
        if self._market is None or self._market[0] != key:
            self._market = (key, await self._market_page())
        return text_response(request, self._market[1], "text/html", 15)

    async def _market_page(self) -> bytes:
        market = self._services.market
        quotes = sorted(await market.quotes(), key=lambda quote: (-quote.all.count, quote.key))
        names = {slug: name for slug, name, _ in await market.known_gpus()}
        rows = []
        for number, quote in enumerate(quotes, 1):
            rows.append(self._row(quote, names))
            if number % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)
        values = {
            **self._summary(quotes),
            "movers": await self._movers(),
            "rows": rows,
            "sources": self._sources(quotes),
            "simulated": self._services.is_simulated(*{quote.source for quote in quotes}),
        }
        if not quotes:
            values["notice"] = await self._notice()
        template = await asyncio.to_thread(lambda: self._environment.get_template("market.html"))
        pieces = []
        for number, piece in enumerate(template.generate(page="market", **values), 1):
            pieces.append(piece)
            if number % PIECES_AT_ONCE == 0:
                await asyncio.sleep(0)
        return "".join(pieces).encode()

    async def asset(self, request: web.Request) -> web.Response:
        """``GET /static/{name}``."""
        assets = await asyncio.to_thread(lambda: self.assets)
        found = assets.get(request.match_info["name"])
        if found is None:
            raise Problem(404, "There is no such file.")
        data, kind, digest = found
        # The address changes with the content, so the addressed content never does.
        forever = request.query.get("v") == digest
        return text_response(request, data, kind, 31536000 if forever else 300)

    def _summary(self, quotes: Sequence[Quote]) -> dict[str, object]:
        if not quotes:
            return {}
        newest = max(quote.at for quote in quotes)
        return {
            "models": self._text.number(len({quote.key.gpu for quote in quotes})),
            "total": self._text.number(sum(quote.all.count for quote in quotes)),
            "rented": self._text.number(sum(quote.rented.count for quote in quotes)),
            "newest": {"iso": _iso(newest), "age": self._age(newest)},
            "stale": self._band(newest) is not Freshness.FRESH,
        }

    async def _movers(self) -> list[dict[str, object]]:
        """Risers and fallers of a day; empty lists are left out, all of them while there is nothing to show."""
        try:
            overview = await self._services.market.overview()
        except MarketUnavailable:
            return []
        now = self._services.clock()
        found: list[dict[str, object]] = []
        for ranking, title in ((Ranking.UP_DAY, "Up in 24 h"), (Ranking.DOWN_DAY, "Down in 24 h")):
            ranked = rank(overview, ranking, now, DEFAULT_TARIFF)[:MOVERS]
            best = [line for line in ranked if isinstance(line, MarketLine)]
            if best:
                found.append({"title": title, "lines": [self._mover(line) for line in best]})
        return found

    def _mover(self, line: MarketLine) -> dict[str, object]:
        platform = self._services.platforms.get(line.key.platform)
        ratio = round(line.change("24h").price_ratio or 0.0, 3)
        return {
            "name": line.gpu_name,
            "platform": platform.name if platform else line.key.platform,
            "price": self._money(line.quote.price),
            "up": ratio > 0,
            "change": self._text.percent(ratio, digits=1, signed=True).replace("-", "−"),
            "thin": line.moved_weakly("24h"),
        }

    def _row(self, quote: Quote, names: dict[str, str]) -> dict[str, object]:
        key, t = quote.key, self._text
        model = self._services.catalogue.get(key.gpu)
        platform = self._services.platforms.get(key.platform)
        price = quote.price
        take = platform.host_take(price) if platform is not None and price is not None else None
        where = {"platform": key.platform, "region": key.region}
        stale = self._band(quote.at) is not Freshness.FRESH
        tags = [
            (not quote.sized, "not counted", "The source says no number of GPUs"),
            (quote.thin, "thin", "Fewer than ten GPUs: little to go by"),
            (quote.outlier, "outlier", "Far off its own history"),
            (stale, "stale", "Older than one and a half polls"),
        ]
        return {
            "name": model.label if model else names.get(key.gpu, key.gpu),
            "platform": platform.name if platform else key.platform,
            "region": "" if key.region == GLOBAL else key.region,
            "price": self._money(price),
            "spread": f"{self._money(quote.all.p10)} – {self._money(quote.all.p90)}" if quote.all.p10 else _NOTHING,
            "host_take": self._money(take),
            "utilization": t.percent(quote.utilization) if quote.utilization is not None else _NOTHING,
            "meter": round(quote.utilization, 3) if quote.utilization is not None else None,
            "rented": t.number(quote.rented.count) if quote.sized else _NOTHING,
            "listed": t.number(quote.all.count) if quote.sized else _NOTHING,
            "iso": _iso(quote.at),
            "age": self._age(quote.at),
            "stale": stale,
            "tags": [{"text": text, "title": title} for on, text, title in tags if on],
            "chart": f"/chart/{escape(key.gpu, safe='')}.webp?{urlencode({**where, 'range': '30d'})}",
            "history": f"/api/v1/prices/{escape(key.gpu, safe='')}/history?{urlencode(where)}",
        }

    async def _notice(self) -> dict[str, str]:
        """What stands there instead of an empty table."""
        market = self._services.market
        wait = await market.next_poll_in()
        soon = f"The next poll is due in about {max(1, round(wait.total_seconds()))} s." if wait is not None else ""
        seen = [status.last_source_time for status in await market.sources() if status.last_source_time is not None]
        if seen:
            last = self._text.datetime(max(seen))
            return {"title": "Data temporarily unavailable", "detail": f"The newest reading is from {last}. {soon}"}
        first = soon.replace("The next poll is due", "First data") if soon else "No poll is scheduled yet."
        return {"title": "No market data yet", "detail": first}

    def _sources(self, quotes: Sequence[Quote]) -> list[dict[str, str | None]]:
        slugs = sorted({quote.source for quote in quotes})
        known = [(slug, self._services.platforms.source(slug)) for slug in slugs]
        return [
            {"name": source.name if source else slug, "url": source.url if source else None} for slug, source in known
        ]

    def _band(self, at: datetime) -> Freshness:
        return freshness(at, self._services.clock(), self._services.market.freshness_interval())

    def _age(self, at: datetime) -> str:
        return self._text.duration(max(timedelta(0), self._services.clock() - at))

    def _money(self, usd: float | None) -> str:
        return _NOTHING if usd is None else self._text.money(usd)


def contact_of(contact: str | None) -> dict[str, str | None]:
    """The operator's contact as text with an address to follow: of an e-mail address or a link, else none."""
    if contact is None:
        return {"text": None, "href": None}
    if re.fullmatch(r"https?://[^\s\"'<>]+", contact):
        return {"text": contact, "href": contact}
    if re.fullmatch(r"[^\s@\"'<>:/]+@[^\s@\"'<>:/]+", contact):
        return {"text": contact, "href": f"mailto:{contact}"}
    return {"text": contact, "href": None}


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def add_routes(app: web.Application, services: WebServices) -> Pages:
    """Register the pages and their assets; what renders them, for pages with a module of their own."""
    pages = Pages(services)
    app.router.add_get("/", pages.market)
    app.router.add_get("/methodology", pages.methodology)
    app.router.add_get("/privacy", pages.legal)
    app.router.add_get("/terms", pages.legal)
    app.router.add_get("/static/{name}", pages.asset)
    return pages
