"""Cut Discord's OpenAPI document down to what this sandbox serves.

Usage: ``python -m sandbox.discord.make_subset discord_openapi.json [out.json]``

The whole document describes some 240 operations; the sandbox answers a few dozen. The subset keeps
the request and response schemas of those, and every schema they refer to, without descriptions.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]

#: Operations kept, as (method, path) of the OpenAPI document.
OPERATIONS: tuple[tuple[str, str], ...] = (
    ("get", "/applications/@me"),
    ("get", "/applications/{application_id}/commands"),
    ("put", "/applications/{application_id}/commands"),
    ("post", "/applications/{application_id}/commands"),
    ("patch", "/applications/{application_id}/commands/{command_id}"),
    ("put", "/applications/{application_id}/guilds/{guild_id}/commands"),
    ("post", "/applications/{application_id}/guilds/{guild_id}/commands"),
    ("patch", "/applications/{application_id}/guilds/{guild_id}/commands/{command_id}"),
    ("get", "/applications/{application_id}/emojis"),
    ("post", "/applications/{application_id}/emojis"),
    ("get", "/applications/{application_id}/entitlements"),
    ("post", "/applications/{application_id}/entitlements"),
    ("get", "/channels/{channel_id}"),
    ("post", "/channels/{channel_id}/messages"),
    ("patch", "/channels/{channel_id}/messages/{message_id}"),
    ("get", "/gateway/bot"),
    ("get", "/users/@me"),
    ("post", "/users/@me/channels"),
    ("post", "/interactions/{interaction_id}/{interaction_token}/callback"),
    ("post", "/webhooks/{webhook_id}/{webhook_token}"),
    ("patch", "/webhooks/{webhook_id}/{webhook_token}/messages/@original"),
    ("patch", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"),
)

_REF = "#/components/schemas/"
_DROPPED = {"description", "x-discord-union", "title"}


def _slim(node: Any, *, names: bool = False) -> Any:
    """``node`` without prose. ``names`` is true inside a map whose keys are names, not keywords."""
    if isinstance(node, dict):
        return {
            key: _slim(value, names=not names and key in {"properties", "schemas"})
            for key, value in node.items()
            if names or key not in _DROPPED
        }
    return [_slim(item) for item in node] if isinstance(node, list) else node


def _refs(node: Any) -> set[str]:
    return set(re.findall(re.escape(f'"{_REF}') + r'([^"]+)"', json.dumps(node)))


def _json_schema(content: Json) -> Json | None:
    schema = content.get("application/json", {}).get("schema")
    return schema if isinstance(schema, dict) else None


def make_subset(document: Json) -> Json:
    """The part of Discord's OpenAPI ``document`` that :data:`OPERATIONS` need.

    Raises:
        KeyError: the document no longer has one of the operations or schemas.
    """
    paths: Json = {}
    for method, path in OPERATIONS:
        operation = document["paths"][path][method]
        kept: Json = {"operationId": operation["operationId"]}
        body = _json_schema(operation.get("requestBody", {}).get("content", {}))
        if body is not None:
            kept["request"] = body
        answer = _json_schema(operation["responses"].get("200", {}).get("content", {}))
        if answer is not None:
            kept["response"] = answer
        paths.setdefault(path, {})[method] = kept
    known = document["components"]["schemas"]
    schemas: Json = {}
    open_names = _refs(paths)
    while open_names:
        name = open_names.pop()
        schemas[name] = known[name]
        open_names |= _refs(known[name]) - schemas.keys()
    return {
        "info": {
            "title": "Subset of the Discord HTTP API specification (MIT, see OPENAPI_LICENSE.txt)",
            "version": document["info"]["version"],
        },
        "paths": _slim(paths),
        "components": {"schemas": {name: _slim(schemas[name]) for name in sorted(schemas)}},
    }


def main(argv: list[str]) -> int:
    """Write the subset; returns the exit code."""
    if not 1 <= len(argv) <= 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    source = Path(argv[0])
    target = Path(argv[1]) if len(argv) == 2 else Path(__file__).with_name("openapi_subset.json")
    subset = make_subset(json.loads(source.read_text(encoding="utf-8")))
    target.write_text(json.dumps(subset, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
    count = len(subset["components"]["schemas"])
    sys.stdout.write(f"{target}: {count} schemas, {target.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
