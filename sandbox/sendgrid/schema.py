"""Request bodies checked against SendGrid's own description, and against what it does not say but enforces."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from sandbox.discord.validator import Check, Compiler, Problem

Json = dict[str, Any]

RESERVED: Final = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)
"""Headers that SendGrid sets itself and refuses."""
MAX_CUSTOM_ARGS: Final = 10_000
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+")


@cache
def _document() -> Json:
    found: Json = json.loads(Path(__file__).with_name("openapi_subset.json").read_text(encoding="utf-8"))
    return found


@cache
def _check(path: str) -> Check:
    document = _document()
    return Compiler(document["components"]["schemas"]).compile(document["paths"][path]["post"]["request"])


def error(message: str, field: str | None = None) -> Json:
    """One error as SendGrid writes it."""
    return {"message": message, "field": field, "help": None}


def described(path: str, body: object) -> list[Json]:
    """What is wrong with a body by the description."""
    problems: list[Problem] = []
    if not isinstance(body, dict):
        return [error("Bad Request")]
    _check(path)(body, (), problems)
    return [error(problem.message, ".".join(map(str, problem.path))) for problem in problems]


def mail_errors(body: object) -> list[Json]:
    """What is wrong with a mail: by the description, and by what SendGrid's page says in words."""
    found = described("/v3/mail/send", body)
    if found or not isinstance(body, dict):
        return found
    template = body.get("template_id")
    for number, each in enumerate(body["personalizations"]):
        where = f"personalizations.{number}"
        if not each["to"]:
            found.append(error("The to array is required, and must have at least one address.", f"{where}.to"))
        found += [
            error("Does not contain a valid address.", f"{where}.to.{at}.email")
            for at, to in enumerate(each["to"])
            if not _ADDRESS.fullmatch(to["email"])
        ]
        if not template and not body.get("subject") and not each.get("subject"):
            found.append(error("The subject is required.", "subject"))
        if len(json.dumps(each.get("custom_args", {}))) > MAX_CUSTOM_ARGS:
            found.append(error("The custom args are too large.", f"{where}.custom_args"))
        if any(not isinstance(value, str) for value in each.get("custom_args", {}).values()):
            found.append(error("Custom args must be strings.", f"{where}.custom_args"))
    if not body["personalizations"]:
        found.append(error("The personalizations field is required.", "personalizations"))
    if not _ADDRESS.fullmatch(body["from"]["email"]):
        found.append(error("The from email does not contain a valid address.", "from.email"))
    kinds = [each["type"] for each in body.get("content", [])]
    if not template and not kinds:
        found.append(error("The content is required, unless a template_id is given.", "content"))
    if "text/plain" in kinds and kinds.index("text/plain") != 0:
        found.append(error("text/plain must be first, followed by text/html.", "content"))
    if template and not re.fullmatch(r"d-[0-9a-zA-Z]{4,}|[0-9a-f-]{36}", template):
        found.append(error("The template_id must be a valid GUID, you provided '...'.", "template_id"))
    for name, value in body.get("headers", {}).items():
        if name.lower() in RESERVED or not isinstance(value, str) or re.search(r"[\r\n]", value):
            found.append(error("This header cannot be set.", f"headers.{name}"))
    settings = body.get("mail_settings", {})
    if settings.get("bypass_list_management", {}).get("enable") and len(settings) > 1:
        found.append(error("bypass_list_management cannot be combined with other bypasses.", "mail_settings"))
    return found
