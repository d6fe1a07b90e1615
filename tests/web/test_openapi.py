"""The document is sound, and what the routes answer is what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

Client = TestClient  # type: ignore[type-arg]
ROUTES = {
    "/api/v1/fix/{gpu}",
    "/api/v1/fix/{gpu}/{day}",
    "/api/v1/gpus",
    "/api/v1/market",
    "/api/v1/platforms",
    "/api/v1/prices",
    "/api/v1/prices/{gpu}/history",
    "/api/v1/prices/{gpu}/history.csv",
}


@pytest.fixture
async def document(client: Client) -> dict[str, Any]:
    response = await client.get("/api/v1/openapi.json")
    assert response.status == 200 and response.content_type == "application/json"
    return await response.json()  # type: ignore[no-any-return]


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    registry: Registry[Any] = Registry().with_resource(
        "urn:openapi", Resource.from_contents(document, default_specification=DRAFT202012)
    )
    reference = {key: value for key, value in schema.items() if key != "$ref"}
    reference["$ref"] = "urn:openapi" + schema["$ref"]
    return Draft202012Validator(reference, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


async def test_the_document_names_every_route_once(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0" and document["info"]["version"] == "1.2.3"
    assert set(document["paths"]) == ROUTES
    operations = [path["get"] for path in document["paths"].values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for path, entry in document["paths"].items():
        named = {p["name"] for p in entry["get"]["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert all(p["required"] for p in entry["get"]["parameters"] if p["in"] == "path")


async def test_every_schema_is_valid_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert references(document) <= {f"#/components/schemas/{name}" for name in schemas}
    parameters = [p for path in document["paths"].values() for p in path["get"]["parameters"]]
    assert parameters
    for parameter in parameters:
        Draft202012Validator.check_schema(parameter["schema"])
        assert parameter["description"] and "null" not in str(parameter["schema"]), parameter
    points = next(p for p in parameters if p["name"] == "points")
    assert (points["schema"]["minimum"], points["schema"]["maximum"]) == (1, 2000)


@pytest.mark.parametrize(
    ("route", "path", "status"),
    [
        ("/api/v1/gpus", "/api/v1/gpus", 200),
        ("/api/v1/platforms", "/api/v1/platforms", 200),
        ("/api/v1/prices", "/api/v1/prices?segments=1", 200),
        ("/api/v1/prices", "/api/v1/prices?gpu=nothing-like-it", 404),
        ("/api/v1/prices", "/api/v1/prices?nothing=1", 400),
        ("/api/v1/prices/{gpu}/history", "/api/v1/prices/rtx-4090/history?points=2000&from=2026-09-01", 200),
        ("/api/v1/prices/{gpu}/history", "/api/v1/prices/rtx-4090/history?points=0", 400),
    ],
)
async def test_answers_are_what_the_document_says(
    client: Client, document: dict[str, Any], route: str, path: str, status: int
) -> None:
    response = await client.get(path)
    assert response.status == status
    described = document["paths"][route]["get"]["responses"][str(status)]["content"][response.content_type]
    body = await response.json(content_type=None)
    assert [error.message for error in validator(document, described["schema"]).iter_errors(body)] == []
    broken = {**body, next(iter(body)): object()}
    assert list(validator(document, described["schema"]).iter_errors(broken)), "the schema must be able to refuse"


async def test_it_can_be_read_from_any_page(client: Client) -> None:
    for path in ("/api/v1/openapi.json", "/api/v1/prices"):
        assert (await client.get(path)).headers["Access-Control-Allow-Origin"] == "*"
