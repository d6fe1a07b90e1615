"""Structured logs: one path for our own records and those of the libraries, secrets redacted last.

JSON lines for machines, coloured lines on a terminal. No log line carries a secret: values under telling keys
and values of telling shape are replaced, in nested data and in texts alike.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

REDACTED = "[redacted]"

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
            r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",  # user:password in a URL
            r"(?<=webhooks/)\d{5,}/[\w-]{20,}",  # interaction and webhook tokens in Discord's URLs
            r"(?<=interactions/)\d{5,}/[\w-]{20,}",
        )
    )
)


def redact_text(text: str) -> str:
    """*text* with everything that looks like a credential replaced."""
    return _SECRET_VALUES.sub(REDACTED, text)


def _redact(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if depth > 6:
        return value if isinstance(value, int | float | bool | None) else redact_text(str(value))
    if isinstance(value, Mapping):
        return {key: _redact_field(key, item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, depth + 1) for item in value]
    if value is None or isinstance(value, int | float | bool):
        return value
    return redact_text(str(value))


def _redact_field(key: Any, value: Any, depth: int = 0) -> Any:
    if isinstance(key, str) and key not in _NOT_SECRET_KEYS and value and _SECRET_KEYS.search(key):
        return REDACTED
    return _redact(value, depth)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: the last one before rendering."""
    return {key: _redact_field(key, value) for key, value in event.items()}


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
            structlog.processors.dict_tracebacks,
            redact,
            structlog.processors.JSONRenderer(),
        ]
    else:
        final = [
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(colors=bool(getattr(stream, "isatty", lambda: False)())),
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
    for name in ("httpx", "httpcore", "apscheduler", "aiosqlite", "matplotlib", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
