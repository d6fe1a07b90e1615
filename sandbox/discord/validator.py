"""JSON Schema, as Discord's OpenAPI document uses it, compiled into plain functions.

Each schema becomes one closure that appends :class:`Problem` objects, so that a body costs
microseconds and the answer names the field in Discord's own manner (``errors.embeds.0.title``).
Differences from JSON Schema that Discord's server has too: unions are resolved by ``type``,
a snowflake may be an integer, unknown keys are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Json = dict[str, Any]
PathKeys = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing wrong with a body: where, Discord's error code, and a sentence."""

    path: PathKeys
    code: str
    message: str


Check = Callable[[Any, PathKeys, "list[Problem]"], None]

_REF = "#/components/schemas/"
_URL_SCHEMES = {"http", "https", "attachment", "discord"}
_SNOWFLAKE = re.compile(r"^(0|[1-9][0-9]{0,19})$")
_CONVERT = {
    "string": ("STRING_TYPE_CONVERT", "Could not interpret the value as string."),
    "integer": ("NUMBER_TYPE_COERCE", "Value is not int."),
    "number": ("NUMBER_TYPE_COERCE", "Value is not float."),
    "boolean": ("BOOLEAN_TYPE_CONVERT", "Must be either true or false."),
    "array": ("LIST_TYPE_CONVERT", "Only iterables may be used in a ListType"),
    "object": ("DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType"),
}


def _is_type(value: Any, name: str) -> bool:
    match name:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None
    raise ValueError(f"unknown JSON type {name!r}")


def _length_problem(size: int, low: int | None, high: int | None) -> tuple[str, str] | None:
    if (low is None or size >= low) and (high is None or size <= high):
        return None
    if low is not None and high is not None:
        return "BASE_TYPE_BAD_LENGTH", f"Must be between {low} and {high} in length."
    if high is not None:
        return "BASE_TYPE_MAX_LENGTH", f"Must be {high} or fewer in length."
    return "BASE_TYPE_MIN_LENGTH", f"Must be {low} or more in length."


def _format_problem(value: str, kind: str) -> tuple[str, str] | None:
    if kind == "date-time":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return "DATE_TIME_TYPE_PARSE", f"Could not parse {value!r}. Should be ISO8601."
    elif kind == "uri":
        try:
            parts = urlsplit(value)
        except ValueError:
            return "URL_TYPE_INVALID_URL", "Not a well formed URL."
        if not parts.netloc:
            return "URL_TYPE_INVALID_URL", "Not a well formed URL."
        if parts.scheme not in _URL_SCHEMES:
            return "URL_TYPE_INVALID_SCHEME", "Scheme must be one of ('http', 'https')."
    return None


class Compiler:
    """Turns the schemas of one document into checks, each schema once."""

    def __init__(self, schemas: Mapping[str, Json]) -> None:
        self._schemas = schemas
        self._named: dict[str, Check] = {}

    def compile(self, schema: Json) -> Check:
        """The check for ``schema``.

        Raises:
            ValueError: the schema uses a keyword that this compiler does not know.
        """
        checks = list(self._parts(schema))

        def run(value: Any, path: PathKeys, problems: list[Problem]) -> None:
            before = len(problems)
            for check in checks:
                check(value, path, problems)
                if len(problems) > before:
                    return

        return checks[0] if len(checks) == 1 else run

    def _parts(self, schema: Json) -> Iterable[Check]:
        if "$ref" in schema:
            yield self._reference(schema["$ref"])
            return
        if types := schema.get("type"):
            yield _type_check([types] if isinstance(types, str) else types)
        if "enum" in schema:
            yield _choices(schema["enum"])
        if "const" in schema:
            yield _choices([schema["const"]])
        for part in schema.get("allOf", ()):
            yield self.compile(part)
        for keyword in ("oneOf", "anyOf"):
            if keyword in schema:
                yield self._union(schema[keyword])
        yield from _limits(schema)
        if "properties" in schema or "required" in schema or "additionalProperties" in schema:
            yield self._object(schema)
        if "items" in schema:
            yield self._array(schema)

    def _reference(self, ref: str) -> Check:
        name = ref.removeprefix(_REF)
        if name == "SnowflakeType":
            return _snowflake
        if name not in self._schemas:
            raise ValueError(f"schema {name!r} is missing from the document")
        if name not in self._named:
            # A late-bound placeholder lets schemas refer to themselves.
            self._named[name] = lambda value, path, out: self._named[name](value, path, out)
            self._named[name] = self.compile(self._schemas[name])
        return self._named[name]

    def _union(self, branches: list[Json]) -> Check:
        if all("const" in branch for branch in branches):
            return _choices([branch["const"] for branch in branches])
        options = [(self.compile(b), self._kinds(b)) for b in branches if b.get("type") != "null"]
        nullable = len(options) < len(branches)
        known = sorted({kind for _, kinds in options for kind in kinds or ()})

        def run(value: Any, path: PathKeys, problems: list[Problem]) -> None:
            if value is None and nullable:
                return
            kind = value.get("type") if isinstance(value, dict) else None
            if type(kind) is not int:
                kind = None  # also what cannot be looked up in a set
            chosen = [check for check, kinds in options if kinds is None or kind in kinds]
            if not chosen:
                allowed = ", ".join(map(str, known))
                message = f'Value of field "type" must be one of ({allowed},).'
                problems.append(Problem((*path, "type"), "UNION_TYPE_CHOICES", message))
                return
            best: list[Problem] | None = None
            for check in chosen:
                found: list[Problem] = []
                check(value, path, found)
                if not found:
                    return
                if best is None or len(found) < len(best):
                    best = found
            problems.extend(best or ())

        return run

    def _kinds(self, branch: Json) -> frozenset[int] | None:
        """The values of ``type`` that select an object branch; None when it has no such field."""
        while "$ref" in branch:
            branch = self._schemas[branch["$ref"].removeprefix(_REF)]
        kind = branch.get("properties", {}).get("type", {})
        if "type" not in branch.get("required", ()):
            return None
        values = kind.get("enum") or ([kind["const"]] if "const" in kind else None)
        return frozenset(values) if values else None

    def _object(self, schema: Json) -> Check:
        fields = {n: self.compile(s) for n, s in schema.get("properties", {}).items() if s}
        required = schema.get("required", [])
        extra = schema.get("additionalProperties", True)
        other = self.compile(extra) if isinstance(extra, dict) and extra else None

        def run(value: Any, path: PathKeys, problems: list[Problem]) -> None:
            if not isinstance(value, dict):
                return
            for name in required:
                if name not in value:
                    message = "This field is required"
                    problems.append(Problem((*path, name), "BASE_TYPE_REQUIRED", message))
            for name, item in value.items():
                check = fields.get(name) or other
                if check is not None:
                    check(item, (*path, name), problems)
                elif extra is False and name not in fields:
                    problems.append(Problem((*path, name), "UNKNOWN_FIELD", "Unknown field."))

        return run

    def _array(self, schema: Json) -> Check:
        item_check = self.compile(schema["items"])
        unique = schema.get("uniqueItems", False)

        def run(value: Any, path: PathKeys, problems: list[Problem]) -> None:
            if not isinstance(value, list):
                return
            for index, item in enumerate(value):
                item_check(item, (*path, index), problems)
            if unique and len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
                message = "The set already contains this value."
                problems.append(Problem(path, "SET_TYPE_ALREADY_CONTAINS_VALUE", message))

        return run


def _snowflake(value: Any, path: PathKeys, problems: list[Problem]) -> None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _SNOWFLAKE.match(text):
        message = f'Value "{str(value)[:40]}" is not snowflake.'
        problems.append(Problem(path, "NUMBER_TYPE_COERCE", message))


def _type_check(types: list[str]) -> Check:
    convert = _CONVERT.get(next((t for t in types if t != "null"), ""), ("BASE_TYPE", "Wrong type."))

    def run(value: Any, path: PathKeys, problems: list[Problem]) -> None:
        if not any(_is_type(value, name) for name in types):
            if value is None:
                problems.append(Problem(path, "BASE_TYPE_REQUIRED", "This field is required"))
            else:
                problems.append(Problem(path, *convert))

    return run


def _choices(values: list[Any]) -> Check:
    allowed = list(values)
    text = ", ".join(repr(v) for v in allowed)

    def run(value: Any, path: PathKeys, problems: list[Problem]) -> None:
        if value is not None and (isinstance(value, bool) or value not in allowed):
            message = f"Value must be one of {{{text}}}."
            problems.append(Problem(path, "BASE_TYPE_CHOICES", message))

    return run


def _limits(schema: Json) -> Iterable[Check]:
    sizes = (
        (str, schema.get("minLength"), schema.get("maxLength")),
        (list, schema.get("minItems"), schema.get("maxItems")),
        (dict, schema.get("minProperties"), schema.get("maxProperties")),
    )
    low, high = schema.get("minimum"), schema.get("maximum")
    kind = schema.get("format")
    pattern = re.compile(schema["pattern"]) if "pattern" in schema else None

    def run(value: Any, path: PathKeys, problems: list[Problem]) -> None:
        for cls, fewest, most in sizes:
            if isinstance(value, cls) and (bad := _length_problem(len(value), fewest, most)):
                problems.append(Problem(path, *bad))
        if isinstance(value, int | float) and not isinstance(value, bool):
            if low is not None and value < low:
                message = f"int value should be greater than or equal to {low}."
                problems.append(Problem(path, "NUMBER_TYPE_MIN", message))
            if high is not None and value > high:
                message = f"int value should be less than or equal to {high}."
                problems.append(Problem(path, "NUMBER_TYPE_MAX", message))
        if isinstance(value, str):
            if kind and (bad := _format_problem(value, kind)):
                problems.append(Problem(path, *bad))
            if pattern is not None and not pattern.search(value):
                problems.append(Problem(path, "STRING_TYPE_REGEX", "String value did not match."))

    if low is not None or high is not None or kind or pattern or any(a or b for _, a, b in sizes):
        yield run
