"""OpenAPI 3.1 of the REST routes, made from the models that validate and serialise them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from web.problems import CONTENT_TYPE, ProblemOut
from web.router import Operation, text_response
from web.services import WebServices

PATH = "/api/v1/openapi.json"
JSON = "application/json"
_REF = "#/components/schemas/{model}"

_COMMON_PROBLEMS = {
    400: "A parameter is wrong; `errors` lists each.",
    429: "Too many requests from this address; see Retry-After.",
    500: "Something broke; quote the id.",
    503: "Too slow or not available now; see Retry-After.",
}


def document(operations: Sequence[Operation[Any, Any]], *, version: str, server: str) -> dict[str, Any]:
    """The OpenAPI document as JSON values."""
    outs: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (each.out, "serialization") for each in operations if each.media == JSON
    ]
    _, shared = models_json_schema([*outs, (ProblemOut, "serialization")], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GPUScout",
            "version": version,
            "summary": "The GPU hosting market: current quotes and history.",
            "description": "Prices are USD per GPU-hour as the renter pays them, times ISO 8601 UTC, ratios 0 to 1. "
            "Errors are problem details (RFC 9457). How figures are made: /methodology.",
        },
        "servers": [{"url": server}],
        "paths": {each.path: {"get": _operation(each)} for each in operations},
        "components": {"schemas": shared.get("$defs", {})},
    }


def _operation(operation: Operation[Any, Any]) -> dict[str, Any]:
    problems = {**_COMMON_PROBLEMS, **operation.problems}
    return {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "description": (operation.handler.__doc__ or "").strip(),
        "parameters": _parameters(operation),
        "responses": {
            "200": {
                "description": (operation.out.__doc__ or "").strip(),
                "content": {operation.media: {"schema": _answer(operation)}},
            },
            "304": {"description": "The client has the same answer already (If-None-Match)."},
            **{
                str(status): {
                    "description": text,
                    "content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(model=ProblemOut.__name__)}}},
                }
                for status, text in sorted(problems.items())
            },
        },
    }


def _answer(operation: Operation[Any, Any]) -> dict[str, Any]:
    return {"$ref": _REF.format(model=operation.out.__name__)} if operation.media == JSON else {"type": "string"}


def _parameters(operation: Operation[Any, Any]) -> list[dict[str, Any]]:
    schema = operation.params.model_json_schema(by_alias=True)
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    found = []
    for name, described in schema.get("properties", {}).items():
        kind = "path" if name in operation.path_names else "query"
        entry: dict[str, Any] = {"name": name, "in": kind, "required": name in required}
        described = _inline(dict(described), definitions)
        if text := described.pop("description", None):
            entry["description"] = text
        described.pop("title", None)
        found.append({**entry, "schema": _inline(_without_null(described), definitions)})
    return found


def _inline(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = schema.pop("$ref", None)
    if reference is None:
        return schema
    target = {key: value for key, value in definitions[reference.rsplit("/", 1)[-1]].items() if key != "title"}
    return {**target, **schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is not one that may be null."""
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(options) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**options[0], **rest}


def add_routes(app: web.Application, services: WebServices, operations: Sequence[Operation[Any, Any]]) -> None:
    """Register the document."""
    body = b""

    async def openapi(request: web.Request) -> web.Response:
        nonlocal body
        if not body:
            made = document(operations, version=services.version, server=services.settings.public_url)
            body = json.dumps(made, ensure_ascii=False).encode()
        response = text_response(request, body, "application/json", 300)
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    app.router.add_get(PATH, openapi)
