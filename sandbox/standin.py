"""What the smaller stand-ins share: an HTTP server on loopback with a switch to make it misbehave."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

log = structlog.get_logger(__name__)

_MODES = "ok|down|slow|frozen|malformed|wrong_shape|empty|bad_items|hostile_names|half|short|status:[45][0-9][0-9]"


class Switch(BaseModel):
    """How a stand-in behaves.

    * ``ok``; ``down``: the connection is closed without an answer; ``slow``: answers come ``seconds`` late;
    * ``frozen``: what was served last is served on;
    * ``malformed``: half of the JSON and two bytes that are not UTF-8; ``wrong_shape``: valid JSON of another shape;
      ``empty``: the right shape without any item;
    * ``bad_items``: items that nobody may take stand behind the good ones; ``hostile_names``: well-formed ones with
      names that must come out harmless;
    * ``half``: every other model is gone; ``short``: only a first page, whatever was asked for;
    * ``status:429`` or any other error status, with ``Retry-After: retry_after`` when given.

    With ``times``, the switch goes back to ``ok`` after that many requests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str = Field("ok", pattern=f"^({_MODES})$")
    seconds: float = Field(5.0, ge=0, le=600)
    times: int | None = Field(None, ge=1)
    retry_after: int | None = Field(None, ge=0)

    @property
    def status(self) -> int | None:
        """The error status to answer with, if the mode is one."""
        return int(self.mode.removeprefix("status:")) if self.mode.startswith("status:") else None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came, and how it ended (None: closed without an answer)."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    status: int | None


class StandIn(ABC):
    """A stand-in server; listens on loopback only. ``POST /control`` turns the switch.

    ``port`` 0 takes a free one and keeps it over a stop and a later start.
    """

    name = "stand-in"

    def __init__(self, *, port: int = 0) -> None:
        self.requests: deque[Asked] = deque(maxlen=1000)
        self.switch = Switch()
        self._left: int | None = None
        self._port = port
        self._runner: web.AppRunner | None = None
        self._served: dict[str, object] = {}

    @abstractmethod
    def paths(self) -> frozenset[str]:
        """Paths that are answered."""

    @abstractmethod
    def document(self, path: str, query: Mapping[str, str], mode: str) -> object:
        """The document of a path under a mode that changes what is said; made in a thread."""

    def refuse(self, request: web.Request) -> web.Response | None:
        """A refusal of the service's own (missing key, too many requests), or None."""
        return None

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._port}"

    def set_mode(self, mode: str, **options: Any) -> None:
        """Turn the switch; see :class:`Switch`."""
        self._turn(Switch.model_validate({"mode": mode, **options}))

    def _turn(self, switch: Switch) -> None:
        self.switch, self._left = switch, switch.times

    async def start(self) -> None:
        """Listen. ``OSError`` when the port is taken."""
        if self._runner is not None:
            raise RuntimeError("the stand-in is already running; stop it first")
        app = web.Application(client_max_size=16 * 1024)
        app.router.add_route("*", "/control", self._control)
        app.router.add_route("GET", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        self._runner = runner
        log.info("stand_in_started", stand_in=self.name, url=self.url)

    async def stop(self) -> None:
        """Refuse connections from now on. Safe to repeat."""
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

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        switch = self.switch
        if switch.mode != "ok" and self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._turn(Switch())
        response = await self._respond(request, switch)
        headers = {name.lower(): value for name, value in request.headers.items()}
        status = response.status if response is not None else None
        self.requests.append(Asked(request.path, dict(request.query), headers, status))
        if response is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return response

    async def _respond(self, request: web.Request, switch: Switch) -> web.Response | None:
        if request.path not in self.paths():
            return web.Response(status=404, text="404 page not found\n")
        if switch.mode == "down":
            return None
        if switch.status is not None:
            headers = {} if switch.retry_after is None else {"Retry-After": str(switch.retry_after)}
            return web.Response(status=switch.status, text="not now\n", headers=headers)
        if (refusal := self.refuse(request)) is not None:
            return refusal
        if switch.mode == "slow":
            await asyncio.sleep(switch.seconds)
        body = await asyncio.to_thread(self._body, request.path, dict(request.query), switch.mode)
        response = web.Response(body=body, content_type="application/json")
        response.enable_compression()
        return response

    def _body(self, path: str, query: Mapping[str, str], mode: str) -> bytes:
        if mode == "frozen" and path in self._served:
            document = self._served[path]
        else:
            document = self.document(path, query, mode)
            if mode == "ok":
                self._served[path] = document
        body = json.dumps(document).encode()
        return body[: len(body) // 2] + b"\xff\xfe" if mode == "malformed" else body

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            # Only JSON: no page in a browser can send that here without asking first.
            if request.content_type != "application/json":
                return web.json_response({"detail": "Send the switch as application/json."}, status=415)
            try:
                self._turn(Switch.model_validate_json(await request.read()))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                return web.json_response({"detail": first["msg"]}, status=400)
        elif request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"Allow": "GET, HEAD, POST"})
        return web.json_response({**self.switch.model_dump(), "times": self._left, "requests": len(self.requests)})
