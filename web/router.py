"""A typed router: one declaration validates a route's parameters, serialises its answer and describes both."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from string import Formatter
from typing import Any, Generic, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, TypeAdapter, ValidationError

from web.problems import Problem
from web.services import WebServices

P = TypeVar("P", bound=BaseModel)
O = TypeVar("O", bound=BaseModel)  # noqa: E741 - P in, O out

GZIP_ABOVE = 1024
"""Bytes from which a text answer is compressed for clients that take it."""
CHUNK = 100
"""Items made or written before the event loop gets a turn: about 2 ms of work."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[P, O]):
    """One ``GET`` route.

    ``params`` holds path and query parameters alike: what stands in braces in ``path`` comes from there.
    """

    path: str
    params: type[P]
    out: type[O]
    handler: Callable[[WebServices, P], Awaitable[O]]
    summary: str
    problems: Mapping[int, str] = field(default_factory=dict)
    max_age: int = 15
    """Seconds for which a cache may serve the answer."""
    media: str = "application/json"
    """Anything else is described only: its route writes the answer itself."""

    @property
    def path_names(self) -> set[str]:
        """Names of the parameters in the path."""
        return {name for _, name, _, _ in Formatter().parse(self.path) if name}


def parse_params(model: type[P], request: web.Request) -> P:
    """Path and query of *request* as *model*.

    Raises:
        Problem: 400 with a sentence and the list of what is wrong.
    """
    values: dict[str, str] = {**request.query, **request.match_info}
    given = Counter(name for name, _ in request.query.items())
    errors = [{"parameter": name, "message": "is given more than once"} for name, times in given.items() if times > 1]
    errors += [
        {"parameter": name, "message": "stands in the path already"} for name in given if name in request.match_info
    ]
    if not errors:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            errors = [
                {"parameter": str(item["loc"][0]) if item["loc"] else "query", "message": _message(model, item)}
                for item in error.errors(include_url=False, include_context=True)
            ]
    first = errors[0]
    raise Problem(400, f"Parameter {first['parameter'][:40]!r}: {first['message']}.", errors=errors)


def _message(model: type[BaseModel], item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        known = sorted(info.alias or name for name, info in model.model_fields.items())
        return f"is not known here; known are {', '.join(known)}" if known else "is not known here; there are none"
    return str(item["msg"]).removeprefix("Value error, ").rstrip(".")


def text_response(request: web.Request, body: bytes, content_type: str, max_age: int) -> web.Response:
    """A cacheable 200, or a 304 when the client has the same bytes already; compressed when that pays."""
    etag = hashlib.blake2b(body, digest_size=12).hexdigest()
    headers = {"Cache-Control": f"public, max-age={max_age}", "Vary": "Accept-Encoding", "ETag": f'W/"{etag}"'}
    known = request.if_none_match
    if known is not None and any(tag.value in (etag, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    response = web.Response(
        body=body, content_type=content_type, charset="utf-8", headers=headers, zlib_executor_size=32 * 1024
    )
    if len(body) > GZIP_ABOVE:
        response.enable_compression()
    return response


async def dump(out: BaseModel) -> bytes:
    """*out* as JSON bytes; its long lists are written a chunk at a time, with a turn for the event loop between."""
    long = {
        name: value
        for name in type(out).model_fields
        if isinstance(value := getattr(out, name), list) and len(value) > CHUNK
    }
    head = out.model_dump_json(by_alias=True, exclude=set(long)).encode()
    if not long:
        return head
    pieces = [head[:-1]]
    for name, items in long.items():
        info = type(out).model_fields[name]
        pieces.append(b'%s"%s":[' % (b"," if pieces != [b"{"] else b"", (info.alias or name).encode()))
        kind: type[BaseModel] = type(items[0])
        adapter = _list_of(kind)
        for start in range(0, len(items), CHUNK):
            await asyncio.sleep(0)
            written = adapter.dump_json(items[start : start + CHUNK], by_alias=True)[1:-1]
            pieces.append(b"," + written if start else written)
        pieces.append(b"]")
    pieces.append(b"}")
    return b"".join(pieces)


@lru_cache(maxsize=32)
def _list_of(item: type[BaseModel]) -> TypeAdapter[list[Any]]:
    return TypeAdapter(list[item])  # type: ignore[valid-type]


class Bodies:
    """Answers kept for a few seconds, so that a burst of equal requests costs the work of one."""

    def __init__(self, seconds: int = 5, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._bytes

    async def get(self, services: WebServices, operation: Operation[Any, Any], params: BaseModel) -> bytes:
        """The answer of *operation* at this data version, made at most once per *seconds*."""
        now = int(services.clock().timestamp()) // self._seconds
        key = (operation.path, params, await services.market.version(), now)
        if (body := self._kept.get(key)) is not None:
            return body
        body = await dump(await operation.handler(services, params))
        if key not in self._kept and len(body) <= self._max_bytes // 4:
            self._kept[key] = body
            self._bytes += len(body)
        while self._bytes > self._max_bytes:
            _, old = self._kept.popitem(last=False)
            self._bytes -= len(old)
        return body


def _endpoint(operation: Operation[Any, Any], services: WebServices, bodies: Bodies) -> Handler:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        params = parse_params(operation.params, request)
        body = await bodies.get(services, operation, params)
        response = text_response(request, body, "application/json", operation.max_age)
        # Public data, read without cookies: any page may ask for it.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    return endpoint


def add_operations(app: web.Application, services: WebServices, operations: Sequence[Operation[Any, Any]]) -> None:
    """Register *operations*; each also answers ``HEAD``."""
    bodies = Bodies()
    for operation in operations:
        app.router.add_get(operation.path, _endpoint(operation, services, bodies))
