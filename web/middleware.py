"""What happens around every request: id, limits, time-out, problems, security headers, metrics, one log line."""

from __future__ import annotations

import asyncio
import re
import secrets
import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from web.problems import Problem, problem_response, retry_after
from web.ratelimit import RateLimiter, client_key
from web.services import WebServices

log = structlog.get_logger(__name__)

REQUEST_ID = web.RequestKey("request_id", str)
RATE_LIMIT = web.RequestKey("rate_limit", dict[str, str])

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "GPUScout",
}
UNMATCHED = "unmatched"
UNLIMITED = frozenset({"/healthz", "/readyz", "/metrics"})
QUIET = UNLIMITED | {"/static/{name}"}
CHART_COST = 4
"""A chart may take a worker 100 ms, so it counts as this many requests."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def route_of(request: web.Request) -> str:
    """The template of the matched route (``/api/v1/prices/{gpu}/history``), or ``unmatched``."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNMATCHED


def observe(services: WebServices) -> Middleware:
    """Outermost: gives the request its id, turns every error into a problem, measures and logs the answer."""
    secure = services.settings.public_url.startswith("https://")

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        request[REQUEST_ID] = request_id
        route = route_of(request)
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = await _answer(request, handler, request_id, route)
            seconds = time.perf_counter() - began
            for name, value in SECURITY_HEADERS.items():
                response.headers.setdefault(name, value)
            if secure:
                response.headers["Strict-Transport-Security"] = "max-age=31536000"
            response.headers["X-Request-ID"] = request_id
            response.headers.update(request.get(RATE_LIMIT, {}))
            services.metrics.http_request(request.method, route, response.status, seconds)
            services.record_use(route, response.status, seconds)
            # The path without its query: a query may carry what nobody should read in a log.
            level = log.debug if route in QUIET and response.status < 500 else log.info
            level(
                "http_request",
                method=request.method,
                path=request.rel_url.raw_path[:200],
                route=route,
                status=response.status,
                ms=round(seconds * 1000, 1),
            )
        return response

    return middleware


async def _answer(request: web.Request, handler: Handler, request_id: str, route: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except Problem as problem:
        return problem_response(problem, request_id)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_response(_from_http(request, error), request_id)
    except Exception:
        log.exception("request_failed", route=route)
        sorry = Problem(500, f"Something broke on our side. Please try again; if it stays, quote the id {request_id}.")
        return problem_response(sorry, request_id)


def _from_http(request: web.Request, error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"This address does not take {error.method}; it takes {allowed}."
        return Problem(405, detail, headers={"Allow": allowed})
    if error.status == 404:
        return Problem(404, "There is nothing at this address; /api/v1/openapi.json lists what there is.")
    if error.status == 413:
        return Problem(413, "The request body is too large.", headers={"Connection": "close"})
    return Problem(error.status, f"{error.reason}.")


def limit_rate(services: WebServices) -> Middleware:
    """Refuses a client that asks too often with 429; tells every client what it has left."""
    limits = services.limits
    limiter = RateLimiter(limits.requests_per_second, limits.burst)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = route_of(request)
        if route in UNLIMITED:
            return await handler(request)
        key = client_key(request.remote, request.headers.get("X-Forwarded-For"), limits.trusted_proxies)
        decision = limiter.check(key, time.monotonic(), CHART_COST if route.startswith("/chart/") else 1)
        # Kept with the request, so that every answer carries them, whatever becomes of it.
        headers = request[RATE_LIMIT] = decision.headers()
        if not decision.allowed:
            raise Problem(429, f"Too many requests; try again in {headers['Retry-After']} s.")
        return await handler(request)

    return middleware


def guard(services: WebServices) -> Middleware:
    """Refuses bodies that are too large before they are read, and ends requests that take too long."""
    limits = services.limits

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        most = limits.larger_bodies.get(route_of(request), limits.max_body_bytes)
        if (request.content_length or 0) > most:
            raise Problem(
                413,
                f"The request body is too large; at most {most} bytes are read.",
                headers={"Connection": "close"},
            )
        try:
            async with asyncio.timeout(limits.request_seconds) as scope:
                return await handler(request)
        except TimeoutError:
            if not scope.expired():
                raise
            log.warning("request_timed_out", route=route_of(request), seconds=limits.request_seconds)
            raise Problem(503, "The answer took too long; please try again.", headers=retry_after(5)) from None

    return middleware


def middlewares(services: WebServices) -> list[Middleware]:
    """All of them, outermost first."""
    return [observe(services), limit_rate(services), guard(services)]
