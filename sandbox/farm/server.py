"""A stand-in for 500.farm on loopback.

It serves ``/vastai-exporter/gpu-stats``, ``/vastai-exporter/gpu-stats/v2`` and
``/vastai-exporter/machines`` with the manners of the real exporter (methods, validators,
compression, error texts), and a switch at ``/control`` to make it misbehave.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import structlog
from aiohttp import web
from pydantic import ValidationError

from sandbox.farm.clock import SimClock
from sandbox.farm.documents import PATHS, Version, rfc3339
from sandbox.farm.faults import Fault
from sandbox.farm.machines import PATH as MACHINES
from sandbox.farm.market import Market
from sandbox.farm.nudge import nudge
from sandbox.farm.publisher import Body, Publisher, Recorded, Stamp

MOUNT = "/vastai-exporter"
_VERSIONS: dict[str, Version] = {MOUNT + path: version for version, path in PATHS.items()}
_MACHINES = MOUNT + MACHINES
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request to a document, as it came and how it ended."""

    at: datetime
    """Wall time by the server's clock."""
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    status: int | None
    """``None`` when the connection was closed without an answer."""


class FarmServer:
    """The stand-in server; listens on loopback only.

    ``port`` 0 takes a free one and keeps it over a stop and a later start.
    ``update_interval``: wall seconds between publications; by default one simulated minute,
    but at least one second. The other arguments are those of
    :class:`~sandbox.farm.publisher.Publisher`.
    """

    def __init__(
        self,
        market: Market,
        clock: SimClock | None = None,
        *,
        port: int = 0,
        update_interval: float | None = None,
        stamp: Stamp = "wall",
        documents: Recorded | None = None,
        restamp: bool = False,
    ) -> None:
        clock = clock if clock is not None else SimClock.real_time()
        if update_interval is None:
            update_interval = max(1.0, 60.0 / clock.speed)
        self.publisher = Publisher(
            market,
            clock,
            update_interval=update_interval,
            stamp=stamp,
            documents=documents,
            restamp=restamp,
        )
        self.requests: deque[RequestRecord] = deque(maxlen=1000)
        self.statuses: Counter[int | None] = Counter()
        self._port = port
        self._runner: web.AppRunner | None = None
        self._left: int | None = None

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start when none was asked for."""
        return self._port

    @property
    def url(self) -> str:
        """The base address, in the place of ``https://500.farm``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def not_modified(self) -> int:
        """How many requests were answered with 304."""
        return self.statuses[304]

    @property
    def fault(self) -> Fault:
        """The present state of the switch."""
        return self.publisher.fault

    def set_mode(self, mode: str, **options: Any) -> None:
        """Turns the switch; see :class:`~sandbox.farm.faults.Fault`.

        Raises pydantic's ``ValidationError`` for a mode or option that does not exist.
        """
        self._turn(Fault.model_validate({"mode": mode, **options}))

    def set_documents(self, documents: Recorded, *, restamp: bool = False) -> None:
        """Replaces the recorded answers, at once; an empty mapping returns to the market."""
        self.publisher.set_documents(documents, restamp=restamp)

    def set_machines(self, record: bytes | None) -> None:
        """Replaces the list of machines, at once; ``None`` returns to the market."""
        self.publisher.set_machines(record)

    def nudge(self, model: str, *, price: float = 1.0, rented: float | None = None, seconds: float = 300.0) -> None:
        """Moves a model's prices or rented share, at once and for *seconds* of wall time (:mod:`sandbox.farm.nudge`).

        Raises:
            KeyError: the market has no such model.
            ValueError: a factor or share out of bounds.
        """
        wall = self.publisher.clock.wall_now()
        self.publisher.add_nudge(nudge(model, wall, seconds, price=price, rented=rented))

    async def start(self) -> None:
        """Publishes once and listens. ``OSError`` when the port is taken."""
        if self._runner is not None:
            raise RuntimeError("the stand-in is already running; stop it first")
        await self.publisher.current()
        app = web.Application(client_max_size=16 * 1024)
        app.router.add_route("*", "/control", self._control)
        app.router.add_route("*", "/{path:.*}", self._document)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        self._runner = runner
        _log.info("farm_stand_in_started", url=self.url + MOUNT)

    async def stop(self) -> None:
        """Refuses connections from now on; open answers get half a second. Safe to repeat."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            _log.info("farm_stand_in_stopped", url=self.url + MOUNT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _turn(self, fault: Fault) -> None:
        self._left = fault.times
        self.publisher.fault = fault

    def _record(self, request: web.Request, status: int | None) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        at = self.publisher.clock.wall_now()
        self.requests.append(RequestRecord(at, request.method, request.path, headers, status))
        self.statuses[status] += 1

    async def _document(self, request: web.Request) -> web.Response:
        version = _VERSIONS.get(request.path)
        if version is None and request.path != _MACHINES:
            response = _go_error(404, "404 page not found")
        else:
            maybe = await self._faulty(request, version)
            if maybe is None:
                self._record(request, None)
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            response = maybe
        self._record(request, response.status)
        return response

    async def _faulty(self, request: web.Request, version: Version | None) -> web.Response | None:
        """The answer under the present fault, or None to close without one; no version is the list of machines."""
        fault = self.fault
        if fault.mode != "ok" and self._left is not None:
            self._left -= 1
        try:
            if fault.status is not None:
                response = _proxy_error(fault.status)
                if fault.retry_after is not None:
                    response.headers["Retry-After"] = str(fault.retry_after)
                return response
            if fault.mode == "down":
                return None
            if fault.mode == "slow":
                await asyncio.sleep(fault.seconds)
            if version is None:
                return _answer(request, await self.publisher.machines())
            publication = await self.publisher.current()
            return _answer(request, publication.bodies.get(version))
        finally:
            if self.fault is fault and self._left == 0:
                self._turn(Fault())

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            # Only JSON: no page in a browser can send that here without asking first.
            if request.content_type != "application/json":
                return _problem(415, "Send the switch as application/json.")
            try:
                self._turn(Fault.model_validate_json(await request.read()))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(str(part) for part in first["loc"]) or "body"
                return _problem(400, f"{where}: {first['msg']}")
            _log.info("farm_stand_in_switched", mode=self.fault.mode)
        elif request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"Allow": "GET, HEAD, POST"})
        publication = await self.publisher.current()
        state = {
            **self.fault.model_dump(),
            "times": self._left,
            "timestamp": rfc3339(publication.timestamp),
            "simulated_time": self.publisher.clock.now().isoformat(),
            "speed": self.publisher.clock.speed,
            "update_interval": self.publisher.update_interval.total_seconds(),
            "requests": sum(self.statuses.values()),
            "statuses": {str(s or "closed"): n for s, n in self.statuses.items()},
        }
        return web.json_response(state)


def _answer(request: web.Request, body: Body | None) -> web.Response:
    """A document the way the exporter gives it."""
    if request.method not in {"GET", "HEAD"}:
        response = _go_error(405, "Method Not Allowed")
        response.headers["Allow"] = "GET, HEAD"
        return response
    if body is None:
        return _go_error(404, "404 page not found")
    headers = {
        "Content-Type": "application/json",
        "Last-Modified": format_datetime(body.modified, usegmt=True),
        "ETag": body.etag,
    }
    if _unchanged(request, body):
        return web.Response(status=304, headers=headers)
    content = body.raw
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = body.gzipped
    return web.Response(body=content, headers=headers)


def _unchanged(request: web.Request, body: Body) -> bool:
    """``If-None-Match`` counts alone when present, and only as an exact match."""
    match = request.headers.get("If-None-Match")
    if match:
        return match == body.etag
    since = request.headers.get("If-Modified-Since")
    if not since:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return body.modified <= moment


def _go_error(status: int, text: str) -> web.Response:
    """Go's ``http.Error``."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status, body=f"{text}\n".encode(), headers=headers)


def _proxy_error(status: int) -> web.Response:
    """The HTML a reverse proxy answers with when what is behind it fails."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
    return web.Response(status=status, text=page, content_type="text/html")


def _problem(status: int, detail: str) -> web.Response:
    body = json.dumps({"status": status, "detail": detail})
    return web.Response(status=status, text=body, content_type="application/problem+json")
