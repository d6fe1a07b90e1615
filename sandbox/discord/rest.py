"""The REST API's front: authentication, rate limits, faults, bodies, schemas and the record.

Every endpoint is a coroutine from :class:`Call` to :class:`Reply`; what all of them share is here.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import structlog
from aiohttp import BodyPartReader, web

from sandbox.discord.compose import MAX_FILE_BYTES, Upload
from sandbox.discord.errors import ApiError, invalid_form
from sandbox.discord.faults import Faults, Record, RouteFault
from sandbox.discord.limits import RateLimiter
from sandbox.discord.schema import problems_of
from sandbox.discord.state import World

Json = dict[str, Any]
log = structlog.get_logger(__name__)

API = "/api/v10"
_MAJOR = ("channel_id", "guild_id", "webhook_id", "webhook_token", "interaction_id")


@dataclass(slots=True)
class Call:
    """One authenticated, parsed and schema-checked request."""

    request: web.Request
    body: Any = None
    uploads: list[Upload] = field(default_factory=list)

    def text(self, name: str) -> str:
        """A path parameter."""
        return self.request.match_info[name]

    def number(self, name: str) -> int:
        """A path parameter that is a snowflake; 50035 when it is none."""
        value = self.request.match_info[name]
        if not (value.isascii() and value.isdigit()):
            raise ApiError(50035)
        return int(value)

    def query_int(self, name: str, default: int, low: int, high: int) -> int:
        """An integer query parameter within limits."""
        value = self.request.query.get(name)
        if value is None:
            return default
        if not value.isdigit() or not low <= int(value) <= high:
            raise ApiError(50035)
        return int(value)

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return self.request.query.get(name, "").lower() in ("1", "true")


@dataclass(slots=True)
class Reply:
    """What an endpoint answers; no data means an empty body."""

    data: Any = None
    status: int = 200


Endpoint = Callable[[Call], Awaitable[Reply]]


class RestApi:
    """Wraps endpoints into aiohttp handlers.

    Args:
        token: the bot token that is accepted.
        records: where every call is noted.
    """

    def __init__(
        self,
        world: World,
        faults: Faults,
        limiter: RateLimiter,
        records: deque[Record],
        *,
        token: str,
    ) -> None:
        self._world = world
        self._faults = faults
        self._limiter = limiter
        self._records = records
        self._token = token

    def route(self, method: str, path: str, endpoint: Endpoint, *, public: bool = False) -> web.RouteDef:
        """A route of the API. ``public`` ones need no bot token (they carry their own)."""

        async def handle(request: web.Request) -> web.StreamResponse:
            record = Record(method, path, request.path.removeprefix(API))
            self._records.append(record)
            if self._faults.latency_ms:
                await asyncio.sleep(self._faults.latency_ms / 1000)
            headers = self._common_headers()
            try:
                reply = await self._serve(request, record, endpoint, public, headers)
            except ApiError as exc:
                reply = Reply(exc.body(), exc.status)
            record.status = reply.status
            if record.lost and request.transport is not None:
                request.transport.abort()
            return _response(reply, headers)

        return web.route(method, API + path, handle)

    def unknown(self) -> web.RouteDef:
        """The catch-all: says so loudly, as the sandbox serves only a part of Discord."""

        async def handle(request: web.Request) -> web.StreamResponse:
            path = request.path.removeprefix(API)
            self._records.append(Record(request.method, "?", path, status=404))
            log.warning("route not in the sandbox", method=request.method, path=path)
            reply = Reply({"message": "404: Not Found", "code": 0}, 404)
            return _response(reply, self._common_headers())

        return web.route("*", API + "/{tail:.*}", handle)

    def _common_headers(self) -> dict[str, str]:
        return {"Date": formatdate(self._world.now(), usegmt=True), "Via": "1.1 sandbox"}

    async def _serve(
        self,
        request: web.Request,
        record: Record,
        endpoint: Endpoint,
        public: bool,
        headers: dict[str, str],
    ) -> Reply:
        method, route = record.method, record.route
        if not public and request.headers.get("Authorization") != f"Bot {self._token}":
            raise ApiError(0)
        fault = self._faults.take(method, route, record.path)
        record.lost = fault is not None and fault.lost
        if fault is not None and not fault.lost:
            await request.read()
            return _broken(fault, headers)
        major = "/".join(request.match_info.get(name, "") for name in _MAJOR)
        verdict = self._limiter.take(method, route, major, self._world.now())
        headers |= verdict.headers
        if verdict.retry_after is not None:
            return _limited(verdict.retry_after, verdict.is_global)
        call = await _parse(request)
        record.body = call.body
        record.files = [upload.filename for upload in call.uploads]
        if method in ("POST", "PUT", "PATCH"):
            problems = problems_of(method, _schema_path(request, route), call.body)
            if problems:
                error = invalid_form(problems)
                record.schema_errors = [{"path": list(p.path), "code": p.code, "message": p.message} for p in problems]
                raise error
        return await endpoint(call)


def _schema_path(request: web.Request, route: str) -> str:
    """The OpenAPI path: it lists ``@original`` apart from other message ids."""
    if request.match_info.get("message_id") == "@original":
        return route.replace("{message_id}", "@original")
    return route


def _response(reply: Reply, headers: dict[str, str]) -> web.Response:
    if reply.data is None:
        return web.Response(status=204 if reply.status == 200 else reply.status, headers=headers)
    body = json.dumps(reply.data, separators=(",", ":"), ensure_ascii=False).encode()
    # Exactly this type: discord.py takes a type with a charset for text.
    headers = headers | {"Content-Type": "application/json"}
    return web.Response(status=reply.status, body=body, headers=headers)


def _limited(retry_after: float, is_global: bool) -> Reply:
    body = {
        "message": "You are being rate limited.",
        "retry_after": round(retry_after, 3),
        "global": is_global,
    }
    return Reply(body, 429)


def _broken(fault: RouteFault, headers: dict[str, str]) -> Reply:
    if fault.status != 429:
        message = "401: Unauthorized" if fault.status == 401 else f"{fault.status}: Error"
        return Reply({"message": message, "code": fault.code}, fault.status)
    scope = "global" if fault.is_global else "shared"
    headers |= {"Retry-After": str(max(1, round(fault.retry_after))), "X-RateLimit-Scope": scope}
    if fault.is_global:
        headers["X-RateLimit-Global"] = "true"
    return _limited(fault.retry_after, fault.is_global)


async def _parse(request: web.Request) -> Call:
    if not request.body_exists:
        return Call(request)
    try:
        if request.content_type == "multipart/form-data":
            return await _parse_multipart(request)
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(40005) from None
    if not raw:
        return Call(request)
    return Call(request, _json(raw))


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise ApiError(50109) from None


async def _parse_multipart(request: web.Request) -> Call:
    call = Call(request, body={})
    try:
        reader = await request.multipart()
        async for part in reader:
            if not isinstance(part, BodyPartReader):
                raise ApiError(50035)
            name = part.name or ""
            data = await _read_part(part)
            if name == "payload_json":
                call.body = _json(data)
            elif name.startswith("files[") and name[6:-1].isdigit() and name.endswith("]"):
                kind = part.headers.get("Content-Type", "")
                call.uploads.append(Upload(int(name[6:-1]), part.filename or "file", kind, data))
            else:
                log.warning("unknown multipart field", name=name)
    except ValueError:
        raise ApiError(50035) from None
    return call


async def _read_part(part: BodyPartReader) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        data += chunk
        if len(data) > MAX_FILE_BYTES:
            await part.release()
            raise ApiError(40005)
    return bytes(data)
