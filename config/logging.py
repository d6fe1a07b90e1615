"""Structured logs: one path for our own records and those of the libraries, secrets redacted last.

JSON lines for machines, coloured lines on a terminal. No log line carries a secret: values under telling keys
and values of telling shape are replaced, in nested data and in texts alike.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Literal

import structlog
import structlog.tracebacks

REDACTED = "[redacted]"
MIN_HIDDEN = 8
"""Shortest secret that :func:`hide_secrets` takes: shorter ones would blot out ordinary words."""

_SECRET_KEYS = re.compile(
    r"token|secret|passw(or)?d|api[_-]?key|authorization|cookie|dsn|signature|private[_-]?key", re.IGNORECASE
)
_NOT_SECRET_KEYS = frozenset({"lease_token_lost", "tokens_used", "tokens_left", "dedupe_key"})
_SECRET_VALUES = re.compile(
    "|".join(
        (
            r"sk-ant-[\w-]{8,}",  # Anthropic
            r"\b[rs]k_(?:live|test)_\w{8,}",  # Stripe
            r"\bwhsec_\w{8,}",  # webhook secrets
            r"\bSG\.[\w-]{8,}\.[\w-]{8,}",  # SendGrid
            r"\b[\w-]{23,28}\.[\w-]{6}\.[\w-]{27,}",  # Discord bot token
            r"(?i:\bBearer|\bBot)\s+[\w.~+/-]{8,}=*",
            r"\bAIza[\w-]{30,}",  # Google
            r"\bpat-[a-z]{2}\d-[\w-]{8,}",  # HubSpot
            r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",  # signed web tokens
            r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # user:password or :password in a URL
            # token=…, "api_key": "…": the value only, so that the line still says what was there
            r"(?i:(?<=token)|(?<=secret)|(?<=password)|(?<=passwd)|(?<=api_key)|(?<=api-key)|(?<=apikey)|(?<=signature))"
            r"[\"']?\s?[=:]\s?[\"']?[^\s\"',;&}\])]{6,}",
            r"(?<=webhooks/)\d{5,}/[\w-]{20,}",  # interaction and webhook tokens in Discord's URLs
            r"(?<=interactions/)\d{5,}/[\w-]{20,}",
        )
    )
)


_hidden: re.Pattern[str] | None = None


def hide_secrets(values: Iterable[str]) -> None:
    """Replace these very values wherever they appear from now on: this process's own credentials, of any shape.

    Each call replaces the values of the last one. Values under :data:`MIN_HIDDEN` characters are left out.
    """
    global _hidden
    known = sorted({value for value in values if len(value) >= MIN_HIDDEN}, key=len, reverse=True)
    # Whole words only: a password that is a common word must not cut longer ones in two.
    _hidden = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)") if known else None


def redact_text(text: str) -> str:
    """*text* with everything that looks like a credential, or is one of this process's, replaced."""
    if _hidden is not None:
        text = _hidden.sub(REDACTED, text)
    return _SECRET_VALUES.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    found = match.group()
    # A named value begins with its "=" or ":", which stays.
    head = re.match(r"[\"']?\s?[=:]\s?[\"']?", found)
    return f"{head.group()}{REDACTED}" if head else REDACTED


def _redact(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if depth > 6:
        return value if isinstance(value, int | float | bool | None) else redact_text(str(value))
    if isinstance(value, Mapping):
        return {_redact_key(key): _redact_field(key, item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact(item, depth + 1) for item in value]
    if value is None or isinstance(value, int | float | bool):
        return value
    return redact_text(str(value))


def _redact_key(key: Any) -> Any:
    return redact_text(key) if isinstance(key, str) else key


def _redact_field(key: Any, value: Any, depth: int = 0) -> Any:
    if isinstance(key, str) and key not in _NOT_SECRET_KEYS and value and _SECRET_KEYS.search(key):
        return REDACTED
    return _redact(value, depth)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: the last one before rendering."""
    return {key: _redact_field(key, value) for key, value in event.items()}


def redact_value(value: Any) -> Any:
    """Nested data (a job's payload, say) with secrets replaced by the rules of the log."""
    return _redact(value)


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code not in (0x09, 0x0A)}


def disarm(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor for terminals: control characters become visible, so that no text from outside steers one.

    A line break stays only in a traceback: elsewhere it would let a text pass for a record of its own.
    """
    return {
        key: value.translate(_CONTROLS if key in ("exception", "stack") else {**_CONTROLS, 0x0A: "\\n"})
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


def configure_logging(level: str = "INFO", fmt: Literal["json", "console"] | None = None, stream: Any = None) -> None:
    """Route structlog and the standard library through one handler on *stream* (standard error by default).

    Args:
        fmt: ``None`` means console on a terminal, JSON elsewhere.
    """
    stream = stream or sys.stderr
    if fmt is None:
        fmt = "console" if stream.isatty() else "json"
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if fmt == "json":
        final: list[Any] = [
            # Without local variables: they hold what no log may.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            redact,
            structlog.processors.JSONRenderer(),
        ]
    else:
        final = [
            structlog.processors.format_exc_info,
            redact,
            disarm,
            structlog.dev.ConsoleRenderer(
                colors=bool(getattr(stream, "isatty", lambda: False)()),
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Per-request lines of the HTTP libraries would carry addresses and drown the rest.
    for name in ("httpx", "httpcore", "alembic", "apscheduler", "aiosqlite", "matplotlib", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
