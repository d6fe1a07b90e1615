"""Every setting of GPUScout, read from the environment or a ``.env`` file.

Names and defaults are those of the README's table. A missing credential never stops the program: it
switches off only what needs it (:meth:`Settings.missing_for`).
"""

from __future__ import annotations

import re
from email.utils import parseaddr
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Role = Literal["bot", "ingest", "worker", "web"]
ALL_ROLES: tuple[Role, ...] = ("bot", "ingest", "worker", "web")

EMBEDDED_DATABASE = "sqlite+aiosqlite:///data/gpuscout.db"


def _split(value: object) -> object:
    """Turn ``"a, b"`` into ``("a", "b")``; leaves lists and tuples as they are."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _pairs(value: object) -> object:
    """Turn ``"alerts=12, reports=13"`` into a dict; leaves what is no text as it is."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if any(not mark or not name.strip() or not found.strip() for name, mark, found in pairs):
        raise ValueError("must be a list such as name=value, name=value")
    return {name.strip(): found.strip() for name, _, found in pairs}


def _passwords(url: str) -> list[str]:
    """The password in an address, as written and as meant; empty when there is none."""
    try:
        password = urlsplit(url).password if "://" in url else None
    except ValueError:
        return []
    return [password, unquote(password)] if password else []


def _folded(*words: str) -> BeforeValidator:
    """Accept one of *words* in any case: ``info`` for ``INFO``."""
    known = {word.lower(): word for word in words}
    return BeforeValidator(lambda value: known.get(value.lower(), value) if isinstance(value, str) else value)


def _address(*schemes: str) -> AfterValidator:
    """Require an address with one of *schemes* and a host, without credentials; takes slashes off its end."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(url: str) -> str:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(f"is not an address; it must start with {wanted} and name a host") from None
        if parts.scheme not in schemes or not parts.hostname or port == 0 or any(char.isspace() for char in url):
            raise ValueError(f"must start with {wanted} and name a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must carry no user name or password")
        return url.rstrip("/")

    return AfterValidator(check)


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Ids = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]
Numbers = Annotated[dict[str, Annotated[int, Field(gt=0)]], NoDecode, BeforeValidator(_pairs)]
HttpUrl = Annotated[str, _address("http", "https")]
Mirrors = Annotated[tuple[HttpUrl, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)]
GatewayUrl = Annotated[str, _address("ws", "wss")]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _folded("DEBUG", "INFO", "WARNING", "ERROR")]
LogFormat = Annotated[Literal["json", "console"], _folded("json", "console")]
Fallback = Annotated[Literal["vast", "off"], _folded("vast", "off")]
Dialect = Annotated[Literal["auto", "exporter", "specified"], _folded("auto", "exporter", "specified")]

DAY_SECONDS = 86_400
_DATABASES = frozenset({"sqlite", "sqlite+aiosqlite", "postgres", "postgresql", "postgresql+asyncpg"})


class Settings(BaseSettings):
    """The process's settings; immutable. Secrets are ``SecretStr`` and never printed."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # Storage
    database_url: str = EMBEDDED_DATABASE
    redis_url: SecretStr | None = None

    # Discord
    discord_token: SecretStr | None = None
    discord_api_url: HttpUrl = "https://discord.com/api/v10"
    discord_gateway_url: GatewayUrl | None = None
    discord_owner_ids: Ids = ()
    shard_ids: Ids = ()
    shard_count: int | None = Field(default=None, ge=1)
    support_url: HttpUrl | None = None
    operator_contact: str | None = Field(default=None, max_length=200)
    """Who runs this bot and how to reach them (an e-mail address or a link), for ``/privacy`` and ``/terms``."""
    currencies_file: Path | None = None
    """Exchange rates for display; None: ``config/currencies.toml``, which holds none."""

    # Market source
    farm_url: Mirrors = ("https://500.farm",)
    farm_api_key: SecretStr | None = None
    farm_dialect: Dialect = "auto"
    market_source: str = Field(default="500.farm", pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")
    """Name under which quotes of the exporter dialect are stored and shown; the demo sets ``simulator``."""
    market_machines: bool = True
    """Whether 500.farm's list of machines is read too: regions and memory variants, for 25 MB every 15 minutes."""
    market_fallback: Fallback = "vast"
    """What is read while 500.farm is sick: Vast.ai itself, or nothing."""
    market_compare_every: int = Field(default=4, ge=0, le=10_000)
    """Cycles between two comparisons of 500.farm with Vast.ai while both are well; 0: never."""
    vast_api_url: HttpUrl = "https://console.vast.ai"
    vast_api_key: SecretStr | None = None
    vast_source: str = Field(default="vast.ai", pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")
    """Name under which quotes read from Vast.ai itself are stored and shown; the demo sets ``simulator-vast``."""
    ingest_interval_seconds: int = Field(default=900, ge=5, le=9_600)
    """At most 2 h 40 min: data must not count as fresh (1.5 intervals) when they are old enough to be hidden (4 h)."""
    trend_interval_seconds: int = Field(default=3600, ge=5, le=DAY_SECONDS)
    raw_retention_hours: int = Field(default=336, ge=1, le=24 * 366 * 10)
    """Raw quotes are kept this long, and at least 48 hours whatever is set (see ``gpuscout.market.trends``)."""

    # Web
    web_host: str = "127.0.0.1"
    web_port: int = Field(default=8080, ge=0, le=65535)
    public_url: HttpUrl = "http://127.0.0.1:8080"
    web_trusted_proxies: Words = ("127.0.0.0/8", "::1/128")
    """Networks whose ``X-Forwarded-For`` is believed: the proxies in front of the web server."""

    # E-mail
    sendgrid_api_key: SecretStr | None = None
    sendgrid_api_url: HttpUrl = "https://api.sendgrid.com"
    sendgrid_webhook_public_key: str | None = Field(default=None, max_length=1000)
    """Verification key of the signed event webhook, as SendGrid shows it (one line of base64)."""
    sendgrid_templates: Pairs = {}
    """Dynamic template of a kind of mail, or of one variant: ``welcome1=d-…, welcome1.b=d-…``. Others are our own."""
    sendgrid_groups: Numbers = {}
    """Unsubscribe group of a group of kinds: ``onboarding=1, reports=2, alerts=3``."""
    mail_from: str | None = Field(default=None, max_length=200)
    """Sender of all mail: ``GPUScout <alerts@example.com>`` or an address alone."""

    # Operation
    secret_key: SecretStr | None = None
    """Comma-separated ring, newest first; made and kept in ``data_dir`` on the embedded default."""
    log_format: LogFormat | None = None
    log_level: LogLevel = "INFO"
    chart_workers: int = Field(default=1, ge=1, le=8)
    data_dir: Path = Path("data")

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: Any) -> Any:
        """A line ``NAME=`` in ``.env`` means: the default. Spaces around a value (a pasted token) mean nothing."""
        if not isinstance(values, dict):
            return values
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        given = {name: value for name, value in stripped.items() if value != ""}
        port = str(given.get("web_port", "0"))
        if "public_url" not in given and port.isdigit() and 0 < int(port) <= 65535:
            given["public_url"] = f"http://127.0.0.1:{port}"  # links that reach the port that is listened on
        return given

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        """Only the kind: the rest of the address is ``storage.address``'s matter. Never repeats the value."""
        if url.partition("://")[0] not in _DATABASES:
            raise ValueError(
                "must begin with sqlite+aiosqlite:/// (a file) or postgresql+asyncpg:// (a server), "
                "for example postgresql+asyncpg://user:password@host/gpuscout"
            )
        return url

    @field_validator("discord_token")
    @classmethod
    def _token_alone(cls, token: SecretStr | None) -> SecretStr | None:
        """A token pasted with the ``Bot`` of its header is understood."""
        if token is None:
            return None
        words = token.get_secret_value().split()
        if len(words) == 2 and words[0].lower() == "bot":
            words = words[1:]
        if len(words) != 1:
            raise ValueError("is not a bot token: it must be one word, as the Developer Portal shows it")
        return SecretStr(words[0])

    @field_validator("web_trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks

    @field_validator("mail_from")
    @classmethod
    def _one_sender(cls, sender: str | None) -> str | None:
        if sender is not None and (not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+", parseaddr(sender)[1])):
            raise ValueError("must be an address, or a name with one: GPUScout <alerts@example.com>")
        return sender

    @model_validator(mode="after")
    def _shards_agree(self) -> Settings:
        if self.shard_ids and self.shard_count is None:
            raise ValueError("SHARD_IDS needs SHARD_COUNT, the number of shards over all processes")
        if self.shard_count is not None and any(not 0 <= i < self.shard_count for i in self.shard_ids):
            raise ValueError("every id in SHARD_IDS must be from 0 to SHARD_COUNT - 1")
        return self

    def secrets(self) -> tuple[str, ...]:
        """Every credential in these settings, for the log to hide (``config.logging.hide_secrets``)."""
        held = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        parts = [part.strip() for value in held for part in value.split(",")]
        passwords = [word for url in (self.database_url, *held) for word in _passwords(url)]
        return tuple(dict.fromkeys([*held, *parts, *passwords]))

    @property
    def embedded(self) -> bool:
        """True on the single-process default (SQLite)."""
        return self.database_url.startswith("sqlite")

    @property
    def sends_mail(self) -> bool:
        """Whether e-mail can be sent at all."""
        return self.sendgrid_api_key is not None and self.mail_from is not None

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
