"""Request bodies checked against Discord's OpenAPI document (the part in ``openapi_subset.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.discord.validator import Check, Compiler, Json, Problem


@cache
def _document() -> Json:
    path = Path(__file__).with_name("openapi_subset.json")
    document: Json = json.loads(path.read_text(encoding="utf-8"))
    return document


@cache
def _compiler() -> Compiler:
    return Compiler(_document()["components"]["schemas"])


@cache
def checker(method: str, path: str, part: str = "request") -> Check | None:
    """The check of an operation's JSON ``request`` or ``response`` body; None if it has none."""
    operation = _document()["paths"].get(path, {}).get(method.lower(), {})
    schema = operation.get(part)
    return _compiler().compile(schema) if schema else None


def problems_of(method: str, path: str, body: Any, part: str = "request") -> list[Problem]:
    """What is wrong with ``body`` for an operation of the OpenAPI document (empty when right)."""
    check = checker(method, path, part)
    problems: list[Problem] = []
    if check is not None:
        check(body, (), problems)
    return problems


def error_tree(problems: Iterable[Problem]) -> Json:
    """``problems`` nested by path as Discord's ``errors`` object."""
    tree: Json = {}
    for problem in problems:
        node = tree
        for key in problem.path:
            node = node.setdefault(str(key), {})
        node.setdefault("_errors", []).append({"code": problem.code, "message": problem.message})
    return tree
