"""Liveness, readiness and metrics: for orchestrators and monitors."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import structlog
from aiohttp import web

from gpuscout.market.models import STALE_LIMIT
from gpuscout.market.ports import Market
from web.problems import Problem
from web.services import ReadinessCheck, WebServices

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one readiness check found."""

    name: str
    reason: str | None
    critical: bool

    def as_json(self) -> dict[str, object]:
        return {"name": self.name, "ok": self.reason is None, "critical": self.critical, "reason": self.reason}


def market_check(market: Market) -> ReadinessCheck:
    """Not ready before there is any market data. Old data do not count: history can be served all the same."""

    async def check() -> str | None:
        if await market.quotes(include_hidden=True):
            return None
        wait = await market.next_poll_in()
        when = f"; the first poll is due in {max(0, round(wait.total_seconds()))} s" if wait is not None else ""
        return f"there are no market data yet{when}"

    return ReadinessCheck("market data", check)


def freshness_check(services: WebServices) -> ReadinessCheck:
    """Degraded when a source fails or its data are past the limit up to which they are shown."""

    async def check() -> str | None:
        for status in await services.market.sources():
            if status.problem:
                return f"{status.source}: {status.problem}"
            seen = status.last_source_time
            if seen is not None and services.clock() - seen > STALE_LIMIT:
                return f"{status.source}: newest data are from {seen:%Y-%m-%d %H:%M} UTC"
        return None

    return ReadinessCheck("market sources", check, critical=False)


async def run_checks(services: WebServices) -> list[CheckResult]:
    """Every check at once, each within its time; one that fails or hangs counts as not ready."""
    checks = (*services.readiness, market_check(services.market), freshness_check(services))
    return list(await asyncio.gather(*(_run(check, services.limits.check_seconds) for check in checks)))


async def _run(check: ReadinessCheck, seconds: float) -> CheckResult:
    try:
        async with asyncio.timeout(seconds):
            reason = await check.check()
    except TimeoutError:
        reason = f"did not answer within {seconds:g} s"
    except Exception:
        log.exception("readiness_check_failed", check=check.name)
        reason = "the check failed; the log has the error"
    return CheckResult(check.name, reason, check.critical)


def add_routes(app: web.Application, services: WebServices) -> None:
    """Register ``/healthz``, ``/readyz`` and ``/metrics``."""

    async def healthz(_: web.Request) -> web.Response:
        return _json({"status": "ok", "version": services.version})

    async def readyz(_: web.Request) -> web.Response:
        results = await run_checks(services)
        checks = [result.as_json() for result in results]
        blocking = [f"{result.name}: {result.reason}" for result in results if result.critical and result.reason]
        if blocking:
            raise Problem(503, f"Not ready. {'; '.join(blocking)}.", headers={"Retry-After": "5"}, checks=checks)
        degraded = any(result.reason for result in results)
        return _json({"status": "degraded" if degraded else "ready", "version": services.version, "checks": checks})

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = services.metrics.expose(request.headers.get("Accept", ""))
        response = web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})
        response.enable_compression()
        return response

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


def _json(body: dict[str, object]) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(), content_type="application/json", headers={"Cache-Control": "no-store"}
    )
