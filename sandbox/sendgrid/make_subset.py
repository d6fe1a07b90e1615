"""Cut SendGrid's OpenAPI description down to what this sandbox serves.

Usage: ``python -m sandbox.sendgrid.make_subset sendgrid_mail_send.json sendgrid_suppressions.json [out.json]``

Keeps the request bodies of a few operations and the schemas that they refer to, without prose. Objects that name their
fields take no others: the description does not say so, and a misspelt field would pass unseen.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]

#: Operations kept: (document, method, path).
OPERATIONS: tuple[tuple[int, str, str], ...] = (
    (0, "post", "/v3/mail/send"),
    (1, "post", "/v3/asm/groups/{group_id}/suppressions"),
)
_REF = "#/components/"
_DROPPED = {"description", "title", "example", "examples", "default"}


def _slim(node: Any, *, names: bool = False) -> Any:
    """*node* without prose; ``names`` is true inside a map whose keys are names, not keywords."""
    if isinstance(node, dict):
        kept = {
            key: _slim(value, names=not names and key in {"properties", "schemas"})
            for key, value in node.items()
            if names or key not in _DROPPED
        }
        if "$ref" in kept and not names:
            return {"$ref": kept["$ref"]}
        if not names and kept.get("type") == "object" and "properties" in kept:
            kept.setdefault("additionalProperties", False)
        return kept
    return [_slim(item) for item in node] if isinstance(node, list) else node


def _resolve(document: Json, node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def make_subset(documents: list[Json]) -> Json:
    """The part of the descriptions that :data:`OPERATIONS` need.

    Raises:
        KeyError: a description no longer has one of the operations or schemas.
    """
    paths: Json = {}
    schemas: Json = {}
    for index, method, path in OPERATIONS:
        document = documents[index]
        body = _resolve(document, document["paths"][path][method]["requestBody"])
        schema = body["content"]["application/json"]["schema"]
        paths.setdefault(path, {})[method] = {"request": _slim(schema)}
        open_names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schema)))
        while open_names:
            name = open_names.pop()
            schemas[name] = _slim(document["components"]["schemas"][name])
            open_names |= set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schemas[name]))) - set(schemas)
    return {
        "info": {
            "title": "Subset of Twilio SendGrid's OpenAPI description (MIT, see OPENAPI_LICENSE.txt)",
            "version": documents[0]["info"]["version"],
        },
        "paths": paths,
        "components": {"schemas": {name: schemas[name] for name in sorted(schemas)}},
    }


def main(argv: list[str]) -> int:
    """Write the subset; returns the exit code."""
    if not 2 <= len(argv) <= 3:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    documents = [json.loads(Path(name).read_text(encoding="utf-8")) for name in argv[:2]]
    target = Path(argv[2]) if len(argv) == 3 else Path(__file__).with_name("openapi_subset.json")
    target.write_text(
        json.dumps(make_subset(documents), separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8"
    )
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
