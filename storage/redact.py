"""Texts that are stored for an operator: without secrets, and short."""

from __future__ import annotations

import re

from config.logging import REDACTED, redact_text

_NAMED = re.compile(
    r"(?P<head>(?:token|secret|passw(?:or)?d|api[_-]?key|authorization|signature)[\"']?\s{0,3}[=:]\s{0,3})"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&}\]]+)",
    re.IGNORECASE,
)


def redact(text: str, limit: int = 1000) -> str:
    """*text* without credentials, at most *limit* characters.

    Beside what the log redacts (keys of well-known shape, passwords in addresses) this masks named ones, as an
    error's text may quote them: ``token=…``, ``"api_key": "…"``. A net under careful code, no licence to store
    secrets.
    """
    # Cut first, generously: the patterns must not run over megabytes of a peer's answer. PostgreSQL refuses NUL.
    text = redact_text(text[: limit * 4].replace("\x00", ""))
    text = _NAMED.sub(rf"\g<head>{REDACTED}", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
