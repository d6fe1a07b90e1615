"""``gpuscout doctor``: one line a check, exit code 1 if something configured fails, and the bot's invite link."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import typer

from bot.keys import secret_ring
from bot.parts import make_farm_client, make_vast_client
from config.currencies import Currencies
from config.logging import redact_text
from config.platforms import PlatformCatalogue
from config.settings import Settings
from gpuscout.market.sources.base import FeedDocument, WrongShape
from gpuscout.market.sources.exporter import FEEDS, MAX_BYTES
from gpuscout.market.sources.exporter_schema import parse_document
from gpuscout.market.sources.specified import PATHS
from gpuscout.market.sources.specified_schema import PRICING, parse_pricing
from gpuscout.market.sources.vast import PATH
from gpuscout.resilience.errors import UpstreamError
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.retry import interactive
from storage.engine import Database
from storage.schema import is_current

CHECK_SECONDS = 20.0

Outcome = Literal["ok", "off", "warn", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    outcome: Outcome
    detail: str


async def _database(settings: Settings) -> Finding:
    db = Database(settings.database_url)
    try:
        seconds = await db.ping()
        current = await is_current(db)
    finally:
        await db.close()
    name = "SQLite" if settings.embedded else "PostgreSQL"
    if not current:
        todo = "it is made at the first start" if settings.embedded else "run: gpuscout db upgrade"
        return Finding("database", "warn" if settings.embedded else "FAIL", f"{name} is not at this revision; {todo}")
    return Finding("database", "ok", f"{name} answers in {seconds * 1000:.0f} ms")


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding("redis", "off", "REDIS_URL is not set: the cache lives in the process")
    import redis.asyncio

    client = redis.asyncio.from_url(settings.redis_url.get_secret_value(), socket_timeout=5, socket_connect_timeout=5)
    try:
        await client.ping()
    finally:
        await client.aclose()
    return Finding("redis", "ok", "answers")


async def _secret(settings: Settings) -> Finding:
    secret_ring(settings)
    where = "SECRET_KEY" if settings.secret_key is not None else str(settings.data_dir / "secret_key")
    return Finding("secret key", "ok", where)


async def _farm(settings: Settings) -> Finding:
    """The first dialect that answers, of those that the settings allow; of several failures the first."""
    dialects = {"exporter": _exporter, "specified": _specified}
    chosen = [settings.farm_dialect] if settings.farm_dialect in dialects else list(dialects)
    failures = []
    client = make_farm_client(settings)
    try:
        for dialect in chosen:
            try:
                said = await dialects[dialect](client)
            except (UpstreamError, WrongShape) as error:
                failures.append(str(error))
            else:
                return Finding("market source", "ok", f"{settings.market_source} ({dialect}): {said}")
    finally:
        await client.aclose()
    return Finding("market source", "FAIL", f"{failures[0]}; check FARM_URL")


async def _exporter(client: ResilientClient) -> str:
    said = []
    for feed, path in FEEDS.items():
        answer = await client.get(path, max_bytes=MAX_BYTES, retry=interactive(8.0))
        now = datetime.now(UTC)
        document = await asyncio.to_thread(parse_document, feed, answer.body, now)
        said.append(f"{feed}: {_heard(document, now)}")
    return "; ".join(said)


async def _specified(client: ResilientClient) -> str:
    answer = await client.get(PATHS[PRICING], max_bytes=MAX_BYTES, retry=interactive(8.0))
    now = datetime.now(UTC)
    document = await asyncio.to_thread(parse_pricing, answer.body, now, PlatformCatalogue.load())
    return _heard(document, now)


def _heard(document: FeedDocument, now: datetime) -> str:
    age = (now - document.source_time).total_seconds() / 60
    return f"{document.models} models, {len(document.rejected)} rejected, {age:.0f} min old"


async def _vast(settings: Settings) -> Finding:
    """One small question; the product can do without it, so a failure is no more than a warning."""
    if settings.market_fallback == "off":
        return Finding("second source", "off", "MARKET_FALLBACK=off: nothing steps in while 500.farm is sick")
    client = make_vast_client(settings)
    try:
        await client.get(PATH, params={"q": '{"limit":1}'}, max_bytes=MAX_BYTES, retry=interactive(8.0))
    except UpstreamError as error:
        return Finding("second source", "warn", f"{error}; check VAST_API_URL, or set MARKET_FALLBACK=off")
    finally:
        await client.aclose()
    return Finding("second source", "ok", f"{settings.vast_source} answers")


async def _discord(settings: Settings) -> Finding:
    if settings.discord_token is None:
        return Finding("discord", "off", "DISCORD_TOKEN is not set: the bot does not run")
    import discord

    from bot.endpoints import use_endpoints
    from gpuscout.cards.links import invite_url

    use_endpoints(settings)
    client = discord.Client(intents=discord.Intents.none())
    try:
        await client.login(settings.discord_token.get_secret_value())
        application = await client.application_info()
    except discord.LoginFailure:
        return Finding("discord", "FAIL", "DISCORD_TOKEN is not accepted; copy it again from the Developer Portal")
    except discord.HTTPException as error:
        return Finding("discord", "FAIL", f"Discord answered {error.status}")
    finally:
        await client.close()
    return Finding(
        "discord",
        "ok",
        f"logged in as {application.name}\n{'':15}invite: {invite_url(application.id)}",
    )


async def _mail(settings: Settings) -> Finding:
    """The key and what it may do; nothing is sent."""
    if settings.sendgrid_api_key is None:
        return Finding("e-mail", "off", "SENDGRID_API_KEY is not set: nobody is written to")
    if settings.mail_from is None:
        return Finding("e-mail", "FAIL", "MAIL_FROM is not set: SendGrid needs a sender that you verified there")
    from bot.mail_role import open_service

    service = open_service(settings)
    assert service is not None  # noqa: S101 - both are set
    try:
        scopes = await service.check(interactive(8.0))
    except UpstreamError as error:
        return Finding("e-mail", "FAIL", f"{error}; check SENDGRID_API_KEY and SENDGRID_API_URL")
    finally:
        await service.aclose()
    if "mail.send" not in scopes:
        return Finding("e-mail", "FAIL", "SENDGRID_API_KEY may not send mail; give it the right Mail Send")
    if settings.sendgrid_webhook_public_key is None:
        todo = f"set SENDGRID_WEBHOOK_PUBLIC_KEY, with the event webhook {settings.public_url}/webhooks/sendgrid"
        return Finding("e-mail", "warn", f"SendGrid answers, but bounces and complaints are not heard: {todo}")
    return Finding("e-mail", "ok", f"SendGrid answers; {settings.mail_from} sends")


async def _roles(settings: Settings) -> Finding:
    if settings.embedded:
        return Finding("roles", "ok", "one process runs everything")
    if settings.redis_url is None:
        return Finding("roles", "warn", "set REDIS_URL to run roles in several processes")
    return Finding("roles", "ok", "may run in several processes (--roles)")


async def _legal(settings: Settings) -> Finding:
    """The pages that the Developer Portal asks for, and who stands on them."""
    pages = f"{settings.public_url}/privacy and {settings.public_url}/terms"
    if settings.operator_contact is None:
        return Finding("privacy", "warn", f"OPERATOR_CONTACT is not set: {pages} name nobody whom members could ask")
    return Finding("privacy", "ok", f"for the Developer Portal: {pages}")


async def _currencies(settings: Settings) -> Finding:
    if settings.currencies_file is None:
        return Finding("currencies", "off", "CURRENCIES_FILE is not set: members see US dollars only")
    known = await asyncio.to_thread(Currencies.load, settings.currencies_file)
    rates = ", ".join(f"{code} of {rate.as_of}" for code, rate in sorted(known.rates.items())) or "none"
    return Finding("currencies", "ok", f"rates written down in {settings.currencies_file}: {rates}")


CHECKS: tuple[tuple[str, Callable[[Settings], Awaitable[Finding]]], ...] = (
    ("database", _database),
    ("redis", _redis),
    ("secret key", _secret),
    ("roles", _roles),
    ("market source", _farm),
    ("second source", _vast),
    ("discord", _discord),
    ("e-mail", _mail),
    ("privacy", _legal),
    ("currencies", _currencies),
)


async def _guarded(name: str, check: Callable[[Settings], Awaitable[Finding]], settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check(settings)
    except TimeoutError:
        return Finding(name, "FAIL", f"no answer within {CHECK_SECONDS:.0f} s")
    except Exception as error:  # noqa: BLE001 - a check that fails in a new way is still a finding
        first = (redact_text(str(error)).strip().splitlines() or [""])[0]
        return Finding(name, "FAIL", f"{type(error).__name__}: {first}"[:300])


async def examine(settings: Settings) -> int:
    """Run every check beside the others and print them in order; 1 if one failed."""
    findings = await asyncio.gather(*(_guarded(name, check, settings) for name, check in CHECKS))
    for finding in findings:
        typer.echo(f"{finding.outcome:>4}  {finding.name:<13}  {finding.detail}")
    return 1 if any(finding.outcome == "FAIL" for finding in findings) else 0
