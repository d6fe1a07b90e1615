"""The web role: the application and the server that runs it."""

from __future__ import annotations

import asyncio
import errno

import structlog
from aiohttp import web

from web import api, charts, export, fix, health, mail, market_api, openapi, pages, sendgrid
from web.middleware import middlewares
from web.router import add_operations
from web.services import WebServices

log = structlog.get_logger(__name__)


class WebServerError(Exception):
    """The server could not start; the message says what to change."""


def create_web_app(services: WebServices) -> web.Application:
    """All routes and what goes around them, as one aiohttp application."""
    app = web.Application(middlewares=middlewares(services), client_max_size=services.limits.max_body_bytes)
    health.add_routes(app, services)
    operations = (*api.OPERATIONS, *market_api.OPERATIONS, *fix.OPERATIONS)
    add_operations(app, services, operations)
    export.add_routes(app, services)
    fix.add_routes(app, services)
    openapi.add_routes(app, services, (*operations, export.OPERATION, fix.INPUTS))
    charts.add_routes(app, services)
    mail.add_routes(app, services, pages.add_routes(app, services))
    sendgrid.add_routes(app, services)
    return app


class WebServer:
    """Listens on ``WEB_HOST`` and ``WEB_PORT`` from :meth:`start` to :meth:`stop`."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    @property
    def port(self) -> int:
        """The port in use: the setting, or the one the system chose when the setting is 0."""
        return self._site.port if self._site is not None else self._services.settings.web_port

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            WebServerError: the address is taken or not ours.
        """
        settings, limits = self._services.settings, self._services.limits
        runner = web.AppRunner(
            create_web_app(self._services),
            handle_signals=False,
            access_log=None,
            shutdown_timeout=limits.shutdown_seconds,
            keepalive_timeout=75.0,
        )
        await runner.setup()
        site = web.TCPSite(runner, settings.web_host, settings.web_port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            where = f"{settings.web_host}:{settings.web_port}"
            if error.errno == errno.EADDRINUSE:
                raise WebServerError(f"{where} is in use by another program; set WEB_PORT to a free port") from error
            raise WebServerError(f"cannot listen on {where} ({error.strerror}); check WEB_HOST and WEB_PORT") from error
        self._runner, self._site = runner, site
        log.info("web_listening", host=settings.web_host, port=self.port)

    async def stop(self) -> None:
        """Stop listening, let running requests end for a moment, then end them; at most 5 s."""
        runner, self._runner, self._site = self._runner, None, None
        if runner is None:
            return
        try:
            async with asyncio.timeout(5.0):
                await runner.cleanup()
        except TimeoutError:
            log.warning("web_stop_timed_out")
        log.info("web_stopped")
