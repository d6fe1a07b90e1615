"""Settings as people write them: empty lines, spaces, other cases, and mistakes that must be named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def settings_of(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize("blank", ["", "   "])
@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_a_blank_line_means_the_default(monkeypatch: pytest.MonkeyPatch, name: str, blank: str) -> None:
    settings = settings_of(monkeypatch, **{name.upper(): blank})
    assert getattr(settings, name) == Settings.model_fields[name].default


def test_the_example_file_is_valid() -> None:
    example = Path(__file__).parents[2] / ".env.example"
    settings = Settings(_env_file=example)
    assert settings.discord_token is None and settings.secret_key is None


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("LOG_LEVEL", "info", "INFO"),
        ("LOG_LEVEL", " Warning ", "WARNING"),
        ("LOG_FORMAT", "JSON", "json"),
        ("FARM_DIALECT", "Exporter", "exporter"),
        ("FARM_URL", " https://a.example/ , http://b.example:81/x/ ", ("https://a.example", "http://b.example:81/x")),
        ("DISCORD_OWNER_IDS", "1, 2,", (1, 2)),
        ("WEB_PORT", " 8081 ", 8081),
        ("PUBLIC_URL", "https://prices.example/", "https://prices.example"),
        ("DISCORD_GATEWAY_URL", "wss://gateway.example", "wss://gateway.example"),
        ("FARM_URL", "http://[::1]:8080", ("http://[::1]:8080",)),
    ],
)
def test_values_are_understood(monkeypatch: pytest.MonkeyPatch, name: str, written: str, meant: object) -> None:
    assert getattr(settings_of(monkeypatch, **{name: written}), name.lower()) == meant


@pytest.mark.parametrize("pasted", ["abc.def.ghi", "  abc.def.ghi\n", "Bot abc.def.ghi", "bot  abc.def.ghi "])
def test_a_token_is_taken_as_it_is_pasted(monkeypatch: pytest.MonkeyPatch, pasted: str) -> None:
    token = settings_of(monkeypatch, DISCORD_TOKEN=pasted).discord_token
    assert token is not None and token.get_secret_value() == "abc.def.ghi"


@pytest.mark.parametrize(
    ("environment", "where", "says"),
    [
        ({"LOG_LEVEL": "loud"}, "log_level", "DEBUG"),
        ({"FARM_URL": ","}, "farm_url", "at least 1"),
        ({"FARM_URL": "500.farm"}, "farm_url", "http:// or https://"),
        ({"FARM_URL": "https://"}, "farm_url", "name a host"),
        ({"FARM_URL": "https://user:hunter2pw@500.farm"}, "farm_url", "no user name or password"),
        ({"PUBLIC_URL": "http://host:99999"}, "public_url", "not an address"),
        ({"DISCORD_GATEWAY_URL": "https://gateway.example"}, "discord_gateway_url", "ws:// or wss://"),
        ({"SUPPORT_URL": "javascript:alert(1)"}, "support_url", "http:// or https://"),
        ({"DISCORD_TOKEN": "two words"}, "discord_token", "one word"),
        ({"DISCORD_OWNER_IDS": "1, me"}, "discord_owner_ids", "integer"),
        ({"WEB_PORT": "70000"}, "web_port", "65535"),
        ({"MARKET_SOURCE": "Farm of mine"}, "market_source", "pattern"),
        ({"INGEST_INTERVAL_SECONDS": "14400"}, "ingest_interval_seconds", "9600"),
        ({"RAW_RETENTION_HOURS": "999999999999"}, "raw_retention_hours", "less than"),
        ({"WEB_TRUSTED_PROXIES": "here"}, "web_trusted_proxies", "network"),
        ({"SHARD_IDS": "0,1"}, "", "SHARD_COUNT"),
        ({"SHARD_IDS": "0,1", "SHARD_COUNT": "1"}, "", "SHARD_COUNT - 1"),
    ],
)
def test_a_mistake_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], where: str, says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(monkeypatch, **environment)
    [error] = refused.value.errors(include_url=False, include_input=False)
    assert (error["loc"][0] if error["loc"] else "") == where
    assert says in error["msg"]
    assert "hunter2pw" not in str(refused.value)


def test_secrets_are_listed_for_the_log_and_printed_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(
        monkeypatch,
        DISCORD_TOKEN="abc.def.ghi",
        SECRET_KEY="first-secret-of-two, second-secret-of-two",
        REDIS_URL="redis://:redis%40pass@cache/0",
        DATABASE_URL="postgresql+asyncpg://scout:database-pass@db/scout",
        FARM_API_KEY="farm-key-1",
    )
    listed = settings.secrets()
    for secret in ("abc.def.ghi", "second-secret-of-two", "redis@pass", "redis%40pass", "database-pass", "farm-key-1"):
        assert secret in listed
        if secret != "database-pass":
            assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "roles", "says"),
    [
        ({}, ("bot", "ingest", "worker", "web"), None),
        ({}, ("bot",), "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql+asyncpg://db/scout"}, ("bot",), "REDIS_URL"),
        ({"DATABASE_URL": "postgresql+asyncpg://db/scout", "REDIS_URL": "redis://cache"}, ("bot",), None),
    ],
)
def test_split_roles_need_shared_services(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], roles: Any, says: str | None
) -> None:
    settings = settings_of(monkeypatch, **environment)
    if says is None:
        settings.check_roles(roles)
    else:
        with pytest.raises(ValueError, match=says):
            settings.check_roles(roles)


def test_the_bot_alone_lacks_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(monkeypatch)
    assert settings.missing_for("bot") == "DISCORD_TOKEN"
    assert settings.missing_for("web") is None


def test_links_lead_to_the_port_that_is_listened_on() -> None:
    assert Settings(_env_file=None, web_port=9000).public_url == "http://127.0.0.1:9000"
    assert Settings(_env_file=None, web_port=9000, public_url="https://x.example").public_url == "https://x.example"
    assert Settings(_env_file=None, web_port=0).public_url == "http://127.0.0.1:8080"
