"""No log line carries a secret, by whichever way it came in and whichever way it goes out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from config.logging import configure_logging, hide_secrets, redact_text, redact_value

OWN = "a-secret-of-no-known-shape"
SECRETS = {
    "anthropic": "sk-ant-api03-abcdefgh",
    "stripe": "sk_live_abcdefgh12345678",
    "stripe webhook": "whsec_abcdefgh12345678",
    "sendgrid": "SG.abcdefgh12.ijklmnop34",
    "discord": "MTA1NzQxMjM0NTY3ODkwMTIz.GaBcDe.abcdefghijklmnopqrstuvwxyz0",
    "google": "AIzaSyA1234567890abcdefghijklmnopqrstu",
    "own": OWN,
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    hide_secrets([OWN])
    yield
    hide_secrets([])
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


@pytest.fixture(params=["json", "console"])
def sink(request: pytest.FixtureRequest) -> io.StringIO:
    stream = io.StringIO()
    configure_logging("DEBUG", request.param, stream)
    return stream


def _fail(secret: str) -> None:
    held = {"value": secret}
    raise RuntimeError(f"the peer said {secret}, {len(held)} times")


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_every_way_in(sink: io.StringIO, secret: str) -> None:
    log, foreign = structlog.get_logger("ours"), logging.getLogger("theirs")
    log.info(f"text {secret}", field=secret, nested={"list": [secret, (secret,)], secret: 1}, data=secret.encode())
    log.warning("object", error=ValueError(secret), many={secret})
    foreign.warning("asked with %s", secret, extra={"more": {"deep": secret}})
    with structlog.contextvars.bound_contextvars(request=secret):
        log.info("context")
    try:
        _fail(secret)
    except RuntimeError as error:
        log.exception("failed")
        log.error("failed", exc_info=error)
        foreign.exception("failed too")
    text = sink.getvalue()
    assert text.count("failed") >= 3 and "[redacted]" in text
    assert secret not in text


def test_telling_keys_hide_any_value(sink: io.StringIO) -> None:
    structlog.get_logger("ours").info(
        "call", api_key="k-1", headers={"Authorization": "x-2", "Cookie": "c-3"}, discord_token="t-4", dedupe_key="d-5"
    )
    text = sink.getvalue()
    assert not [value for value in ("k-1", "x-2", "c-3", "t-4") if value in text]
    assert "d-5" in text


def test_local_variables_are_not_logged(sink: io.StringIO) -> None:
    try:
        _fail("harmless")
    except RuntimeError:
        structlog.get_logger("ours").exception("failed")
    assert "locals" not in sink.getvalue() and "'value'" not in sink.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:hunter2pw@cache/0", "redis://:[redacted]@cache/0"),
        ("postgresql+asyncpg://scout:hunter2pw@db/x", "postgresql+asyncpg://[redacted]@db/x"),
        ("GET https://x.example/y?api_key=abcdef12&page=2", "GET https://x.example/y?api_key=[redacted]&page=2"),
        ('{"access_token": "abcdef12", "n": 1}', '{"access_token": "[redacted]", "n": 1}'),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: [redacted]"),
        ("POST /webhooks/123456/aW50ZXJhY3Rpb246MTIzNDU2Nzg5 failed", "POST /webhooks/[redacted] failed"),
        ("DISCORD_TOKEN is not set", "DISCORD_TOKEN is not set"),
        ("https://500.farm/vastai-exporter/gpu-stats answered 503", None),
        ("market.ingest:2026-11-24T22:15:00", None),
        ("rtx-4090 0.33/0.40", None),
    ],
)
def test_texts(text: str, shown: str | None) -> None:
    found = redact_text(text)
    if shown is None:
        assert found == text
    else:
        assert "hunter2pw" not in found and "abcdef12" not in found
        assert found == shown


def test_hidden_values_are_whole_words() -> None:
    hide_secrets(["postgres", "short"])
    assert redact_text("user postgres on postgresql, short") == "user [redacted] on postgresql, short"


def test_nested_payloads() -> None:
    assert redact_value({"token": "x", "user": {"id": 1, "note": f"has {OWN}"}}) == {
        "token": "[redacted]",
        "user": {"id": 1, "note": "has [redacted]"},
    }


def test_a_terminal_is_not_steered() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "console", stream)
    structlog.get_logger("ours").warning("from outside \x1b[2J\x9b31m", name="a\nb\r2026-01-01 [error] forged")
    text = stream.getvalue()
    assert "\x1b" not in text and "\x9b" not in text and "\r" not in text
    assert text.count("\n") == 1


def test_json_lines_stay_lines() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)
    log = structlog.get_logger("ours")
    log.info("one\ntwo", odd={1: float("inf")}, when=object)
    log.debug("not at this level")
    [line] = stream.getvalue().splitlines()
    record: dict[str, Any] = json.loads(line)
    assert record["event"] == "one\ntwo" and record["level"] == "info" and record["logger"] == "ours"
    assert record["timestamp"].endswith("Z")


def test_noisy_libraries_are_quiet() -> None:
    stream = io.StringIO()
    configure_logging("DEBUG", "json", stream)
    logging.getLogger("httpx").info("HTTP Request: GET https://500.farm?key=1")
    assert stream.getvalue() == ""
