"""The sandbox Discord as one server: REST, gateway, CDN, user side, control side, page."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from sandbox.discord.client_actions import ClientActions
from sandbox.discord.client_api import ClientApi, Presentation
from sandbox.discord.commands import Commands
from sandbox.discord.control import ControlApi
from sandbox.discord.events import Bus
from sandbox.discord.faults import Faults, Record, new_log
from sandbox.discord.gateway import Gateway
from sandbox.discord.interactions import ACK_DEADLINE_S, TOKEN_LIFE_S, Interactions
from sandbox.discord.limits import RateLimiter
from sandbox.discord.messages import Messages
from sandbox.discord.replies import Replies
from sandbox.discord.rest import RestApi
from sandbox.discord.rest_account import AccountRoutes
from sandbox.discord.rest_application import ApplicationRoutes
from sandbox.discord.rest_interactions import InteractionRoutes
from sandbox.discord.rest_messages import MessageRoutes
from sandbox.discord.sessions import Sessions
from sandbox.discord.setup import Setup
from sandbox.discord.state import World
from sandbox.discord.store import Store
from sandbox.discord.web_guard import Files, guard

Json = dict[str, Any]
log = structlog.get_logger(__name__)

PAGE_DIR = Path(__file__).resolve().parent.parent / "page"
MAX_BODY = 32 * 1024 * 1024
#: Seconds given to open requests when stopping.
SHUTDOWN_S = 0.5


class SandboxDiscord:
    """A Discord of our own on loopback.

    Point discord.py at it with ``discord.http.Route.BASE = sandbox.api_url`` and
    ``discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sandbox.gateway_url)``.

    Args:
        token: the only bot token that is accepted.
        state_path: JSON file that keeps the world across restarts; attachments lie beside it.
        page_dir: folder of the web page, ``sandbox/page`` when left out.
        badge: short word that the page shows on everything, such as SIMULATED.
        notice: one sentence that the page shows at its top.
        welcome: one sentence that greets whoever opens the page.
        suggestions: command texts that the page offers for a click.
        bot_name: user name of the bot and its application.
        shards: number of shards that ``GET /gateway/bot`` recommends.
        max_concurrency: shards that may identify at once.
        identify_interval_s: seconds between two IDENTIFYs of one concurrency key (Discord: 5);
            0 does not enforce it.
        heartbeat_ms: heartbeat interval of the gateway.
        privileged_intents: bits of the privileged intents that the application may use.
        rate_limits: whether to answer 429 above Discord's limits.
        ack_deadline_s: seconds for the first answer to an interaction.
        token_life_s: seconds for which an interaction token works.
    """

    def __init__(
        self,
        token: str = "sandbox-token",  # noqa: S107 - opens nothing but this sandbox
        *,
        state_path: Path | None = None,
        page_dir: Path | None = None,
        badge: str | None = None,
        notice: str | None = None,
        welcome: str = "",
        suggestions: list[str] | None = None,
        bot_name: str = "GPUScout",
        shards: int = 1,
        max_concurrency: int = 16,
        identify_interval_s: float = 0.0,
        heartbeat_ms: int = 41_250,
        privileged_intents: int = 0,
        rate_limits: bool = True,
        ack_deadline_s: float = ACK_DEADLINE_S,
        token_life_s: float = TOKEN_LIFE_S,
    ) -> None:
        self.token = token
        self.world = World(bot_name)
        self.bus = Bus()
        self.sessions = Sessions()
        self.faults = Faults()
        self.records = new_log()
        self.presentation = Presentation(badge, notice, welcome, list(suggestions or []))
        self.gateway = Gateway(
            self.world,
            self.sessions,
            token=token,
            heartbeat_ms=heartbeat_ms,
            max_concurrency=max_concurrency,
            identify_interval_s=identify_interval_s,
            allowed_intents=privileged_intents,
            on_change=self._bot_changed,
        )
        self.messages = Messages(self.world, self.bus, self.sessions)
        self.commands = Commands(self.world, self.bus)
        self.interactions = Interactions(
            self.world,
            self.bus,
            self.sessions,
            self.messages,
            self.faults,
            ack_deadline_s=ack_deadline_s,
            token_life_s=token_life_s,
        )
        self.setup = Setup(self.world, self.messages, self.sessions)
        self.control = ControlApi(self.world, self.setup, self.gateway, self.interactions, self.faults, self.records)
        self._limiter = RateLimiter(enforce=rate_limits)
        self._shards = shards
        self._page_dir = page_dir or PAGE_DIR
        self._runner: web.AppRunner | None = None
        self._store = Store(state_path, self.world) if state_path is not None else None
        #: Whether an earlier state was found and goes on.
        self.restored = self._store.load() if self._store is not None else False
        self._saver: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._was_ready = False
        self.host, self.port = "127.0.0.1", 0
        #: Populating it in the same process; see :class:`sandbox.discord.setup.Setup`.
        self.add_user = self.setup.add_user
        self.add_guild = self.setup.add_guild
        self.add_channel = self.setup.add_channel

    # -- addresses ------------------------------------------------------------------------

    @property
    def page_url(self) -> str:
        """``http://host:port``: the web page, and the base of the user-side API."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def api_url(self) -> str:
        """Base URL of Discord's REST API here."""
        return f"{self.page_url}/api/v10"

    @property
    def gateway_url(self) -> str:
        """Websocket URL of the gateway."""
        return f"{self.page_url.replace('http', 'ws', 1)}/gateway/"

    @property
    def ready(self) -> bool:
        """Whether the bot is connected."""
        return self.gateway.ready

    @property
    def requests(self) -> list[Record]:
        """The bot's REST calls so far."""
        return list(self.records)

    # -- life -----------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port.

        Raises:
            OSError: the port is taken.
        """
        runner = web.AppRunner(self._app(host), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        if self._store is not None:
            self._stopping.clear()
            self._saver = asyncio.create_task(self._store.run(self._stopping), name="sandbox-saver")
        self.host, self.port = host, int(runner.addresses[0][1])
        self.messages.origin = self.page_url
        self.gateway.url = self.gateway_url
        log.info("sandbox discord listens", url=self.page_url)
        return self.port

    async def stop(self) -> None:
        """Close everything, within two seconds, and save the state if it is kept."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self.interactions.close()
        self.bus.close()
        await self.gateway.drop(1001)
        await runner.cleanup()
        if self._saver is not None:
            self._stopping.set()  # it saves once more
            await self._saver
            self._saver = None

    def _app(self, host: str) -> web.Application:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
        app = web.Application(middlewares=[guard(loopback_only=loopback)], client_max_size=MAX_BODY)
        api = RestApi(self.world, self.faults, self._limiter, self.records, token=self.token)
        replies = Replies(self.world, self.messages, self.interactions)
        parts = (self.world, self.bus, self.gateway, self.messages, self.commands)
        account = AccountRoutes(self.world, self.messages, self.gateway, shards=self._shards)
        app.add_routes(
            [
                *account.routes(api),
                *MessageRoutes(self.world, self.messages, self.bus).routes(api),
                *InteractionRoutes(self.interactions, replies, self.messages).routes(api),
                *ApplicationRoutes(self.world, self.commands, self.sessions).routes(api),
                api.unknown(),
                web.get("/gateway/", self.gateway.handle),
                web.get("/gateway", self.gateway.handle),
                *ClientApi(*parts, self.presentation).routes(),
                *ClientActions(*parts, self.interactions).routes(),
                *self.control.routes(),
                *Files(self.world, self._page_dir).routes(),
            ]
        )
        return app

    def _bot_changed(self, ready: bool) -> None:
        if ready != self._was_ready:
            self._was_ready = ready
            self.bus.publish("BOT_READY" if ready else "BOT_GONE", {})
