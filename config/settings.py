"""Every setting of GPUScout, read from the environment or a ``.env`` file.

Names and defaults are those of the README's table. A missing credential never stops the program: it
switches off only what needs it (:meth:`Settings.missing_for`).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Role = Literal["bot", "ingest", "worker", "web"]
ALL_ROLES: tuple[Role, ...] = ("bot", "ingest", "worker", "web")

EMBEDDED_DATABASE = "sqlite+aiosqlite:///data/gpuscout.db"


def _split(value: object) -> object:
    """Turn ``"a, b"`` into ``("a", "b")``; leaves lists and tuples as they are."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _blank_is_unset(value: object) -> object:
    """A line ``NAME=`` in ``.env`` means: not set."""
    if isinstance(value, str) and not value.strip():
        return None
    return value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Ids = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)]
OptionalText = Annotated[str | None, BeforeValidator(_blank_is_unset)]
OptionalInt = Annotated[int | None, BeforeValidator(_blank_is_unset)]


class Settings(BaseSettings):
    """The process's settings; immutable. Secrets are ``SecretStr`` and never printed."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # Storage
    database_url: str = EMBEDDED_DATABASE
    redis_url: OptionalSecret = None

    # Discord
    discord_token: OptionalSecret = None
    discord_api_url: str = "https://discord.com/api/v10"
    discord_gateway_url: OptionalText = None
    discord_owner_ids: Ids = ()
    shard_ids: Ids = ()
    shard_count: OptionalInt = Field(default=None, ge=1)
    support_url: OptionalText = None

    # Market source
    farm_url: Words = ("https://500.farm",)
    farm_api_key: OptionalSecret = None
    farm_dialect: Literal["auto", "exporter", "specified"] = "auto"
    market_source: str = Field(default="500.farm", pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")
    """Name under which quotes of the exporter dialect are stored and shown; the demo sets ``simulator``."""
    ingest_interval_seconds: int = Field(default=900, ge=5)
    trend_interval_seconds: int = Field(default=3600, ge=5)
    raw_retention_hours: int = Field(default=336, ge=1)
    """Raw quotes are kept this long, and at least 48 hours whatever is set (see ``gpuscout.market.retention``)."""

    # Web
    web_host: str = "127.0.0.1"
    web_port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = "http://127.0.0.1:8080"
    web_trusted_proxies: Words = ("127.0.0.0/8", "::1/128")
    """Networks whose ``X-Forwarded-For`` is believed: the proxies in front of the web server."""

    # Operation
    secret_key: OptionalSecret = None
    """Comma-separated ring, newest first; made and kept in ``data_dir`` on the embedded default."""
    log_format: Literal["json", "console"] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    chart_workers: int = Field(default=1, ge=1, le=8)
    data_dir: Path = Path("data")

    @field_validator("farm_url")
    @classmethod
    def _farm_urls_are_http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if not urls:
            raise ValueError("needs at least one address, for example https://500.farm")
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError("every mirror must start with http:// or https://")
        return tuple(url.rstrip("/") for url in urls)

    @field_validator("discord_api_url", "public_url")
    @classmethod
    def _no_trailing_slash(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url.rstrip("/")

    @field_validator("web_trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks

    @field_validator("log_format", mode="before")
    @classmethod
    def _blank_log_format(cls, value: object) -> object:
        return _blank_is_unset(value)

    @model_validator(mode="after")
    def _shards_agree(self) -> Settings:
        if self.shard_ids and self.shard_count is None:
            raise ValueError("SHARD_IDS needs SHARD_COUNT, the number of shards over all processes")
        if self.shard_count is not None and any(not 0 <= i < self.shard_count for i in self.shard_ids):
            raise ValueError("every id in SHARD_IDS must be from 0 to SHARD_COUNT - 1")
        return self

    @property
    def embedded(self) -> bool:
        """True on the single-process default (SQLite)."""
        return self.database_url.startswith("sqlite")

    @property
    def simulated(self) -> bool:
        """True when the market is the simulator's: every card, chart and export then carries a badge."""
        return self.market_source == "simulator"

    def missing_for(self, role: Role) -> str | None:
        """The name of the variable that *role* lacks, or None when it can run."""
        if role == "bot" and self.discord_token is None:
            return "DISCORD_TOKEN"
        return None

    def check_roles(self, roles: tuple[Role, ...]) -> None:
        """Refuse split roles without the services that let processes share state.

        Raises:
            ValueError: with one sentence that names the missing variable.
        """
        if set(roles) == set(ALL_ROLES):
            return
        if self.embedded:
            raise ValueError(
                "split roles need a shared database: set DATABASE_URL=postgresql+asyncpg://… (and REDIS_URL), "
                "or run all roles in one process"
            )
        if self.redis_url is None:
            raise ValueError("split roles need a shared cache: set REDIS_URL=redis://…")


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
