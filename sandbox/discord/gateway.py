"""The gateway: HELLO, IDENTIFY, heartbeats, dispatch, RESUME with replay, and the close codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from sandbox.discord import wire
from sandbox.discord.compression import Compress, compressor
from sandbox.discord.sessions import ALL_INTENTS, GUILDS, PRIVILEGED, Session, Sessions, encode
from sandbox.discord.state import World

Json = dict[str, Any]
log = structlog.get_logger(__name__)

#: Payloads a connection may send within a minute (Discord's documented limit).
SENDS_PER_MINUTE = 120
#: Seconds for the bot to confirm a close.
CLOSE_TIMEOUT_S = 1.0

ACK_SECONDS = 0.03
"""Until a heartbeat is answered: a quick network's round trip."""


class GatewayClose(Exception):
    """Ends a connection with one of Discord's close codes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Gateway:
    """Serves the bot's websocket connections.

    Args:
        token: the only token that may identify.
        heartbeat_ms: heartbeat interval asked for in HELLO.
        max_concurrency: IDENTIFYs allowed at once; shards share one by ``shard_id % max``.
        identify_interval_s: seconds between two IDENTIFYs of one such key; 0 does not enforce it.
        allowed_intents: privileged intents that the application may ask for.
        on_change: called when the bot becomes ready or is gone.
    """

    def __init__(
        self,
        world: World,
        sessions: Sessions,
        *,
        token: str,
        heartbeat_ms: int = 41_250,
        max_concurrency: int = 16,
        identify_interval_s: float = 0.0,
        allowed_intents: int = 0,
        on_change: Callable[[bool], None] = lambda ready: None,
    ) -> None:
        self._world = world
        self.sessions = sessions
        self._token = token
        self._heartbeat_ms = heartbeat_ms
        self.max_concurrency = max_concurrency
        self._identify_interval_s = identify_interval_s
        self._allowed_intents = allowed_intents
        self._on_change = on_change
        self._identified: dict[int, float] = {}
        self._connections: set[Connection] = set()
        self.refuse = False
        self.url = ""
        #: IDENTIFYs so far, as ``session_start_limit`` counts them.
        self.identify_count = 0

    @property
    def ready(self) -> bool:
        """Whether at least one shard of the bot is identified and connected."""
        return bool(self.sessions.live)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One websocket connection from beginning to end."""
        if self.refuse:
            raise web.HTTPServiceUnavailable(text="gateway unavailable")
        socket = web.WebSocketResponse(max_msg_size=64 * 1024, timeout=CLOSE_TIMEOUT_S)
        await socket.prepare(request)
        try:
            compress = compressor(request.query.get("compress"))
        except (ValueError, ModuleNotFoundError) as exc:
            log.warning("gateway compression refused", reason=str(exc))
            await socket.close(code=4002, message=b"Unsupported compression.")
            return socket
        connection = Connection(self, socket, compress)
        self._connections.add(connection)
        try:
            await connection.run(self._heartbeat_ms, version=request.query.get("v"))
        except GatewayClose as exc:
            await connection.close(exc.code, exc.reason)
        finally:
            self._connections.discard(connection)
            await connection.detach()
            self._on_change(self.ready)
        return socket

    # -- what the bot asks for ------------------------------------------------------------

    def identify(self, connection: Connection, data: Json) -> None:
        """Open a session, answer READY and the guilds; raises GatewayClose, or sends op 9."""
        shard = _shard(data.get("shard", [0, 1]))
        intents = data.get("intents")
        self._authenticate(data)
        if not isinstance(intents, int) or intents & ~ALL_INTENTS or intents < 0:
            raise GatewayClose(4013, "Invalid intent(s).")
        if intents & PRIVILEGED & ~self._allowed_intents:
            raise GatewayClose(4014, "Disallowed intent(s).")
        key, now = shard[0] % self.max_concurrency, time.monotonic()
        if now - self._identified.get(key, float("-inf")) < self._identify_interval_s:
            connection.send({"op": 9, "d": False})
            return
        self._identified[key] = now
        self.identify_count += 1
        session = self.sessions.open(shard, intents)
        connection.attach(session)
        world = self._world
        guilds = [g for g in world.guilds.values() if world.bot.id in g.members]
        mine = [g for g in guilds if session.serves(g.id)]
        session.dispatch(
            "READY",
            {
                "v": 10,
                "user": wire.user(world.bot) | {"verified": True, "mfa_enabled": True, "flags": 0},
                "guilds": [{"id": str(g.id), "unavailable": True} for g in mine],
                "session_id": session.id,
                "session_type": "normal",
                "resume_gateway_url": self.url,
                "shard": list(shard),
                "application": {"id": str(world.bot.id), "flags": 0},
                "private_channels": [],
                "relationships": [],
                "presences": [],
                "user_settings": {},
            },
        )
        if intents & GUILDS:
            for guild in mine:
                data = wire.guild_create(world, guild) | {"unavailable": False}
                session.dispatch("GUILD_CREATE", data)
        self._on_change(True)

    def resume(self, connection: Connection, data: Json) -> None:
        """Replay what a session missed; op 9 when it cannot be resumed."""
        self._authenticate(data)
        session = self.sessions.find(str(data.get("session_id")))
        sequence = data.get("seq")
        if session is None or not isinstance(sequence, int) or not session.can_resume(sequence):
            if session is not None and isinstance(sequence, int) and sequence > session.sequence:
                raise GatewayClose(4007, "Invalid seq.")
            connection.send({"op": 9, "d": False})
            return
        for text in session.missed(sequence):
            connection.outbox.put_nowait(text)
        connection.attach(session)
        session.dispatch("RESUMED", {})
        self._on_change(True)

    def _authenticate(self, data: Json) -> None:
        if data.get("token", "").removeprefix("Bot ") != self._token:
            raise GatewayClose(4004, "Authentication failed.")

    # -- what tests and the server ask for ------------------------------------------------

    async def drop(self, code: int = 4000) -> None:
        """Close every connection; with 4000 the bot may resume."""
        await asyncio.gather(*(connection.close(code, "Dropped.") for connection in self._connections))

    def ask_reconnect(self) -> None:
        """Send op 7: reconnect and resume."""
        for connection in self._connections:
            connection.send({"op": 7, "d": None})

    def invalidate(self) -> None:
        """End all sessions with op 9: the bot has to identify again."""
        for connection in self._connections:
            if connection.session is not None:
                self.sessions.end(connection.session)
            connection.send({"op": 9, "d": False})


class Connection:
    """One websocket: reads the bot's payloads, writes its own in order."""

    def __init__(self, gateway: Gateway, socket: web.WebSocketResponse, pack: Compress | None):
        self._gateway = gateway
        self._socket = socket
        self._pack = pack
        self.outbox: asyncio.Queue[str] = asyncio.Queue()
        self.session: Session | None = None
        self._sends: deque[float] = deque(maxlen=SENDS_PER_MINUTE)
        self._peer_code: int | None = None
        #: Cleared while a close that we began is under way.
        self._closed = asyncio.Event()
        self._closed.set()

    def send(self, payload: Json) -> None:
        """Queue a payload without a sequence number."""
        self.outbox.put_nowait(encode(payload | {"t": None, "s": None}))

    def attach(self, session: Session) -> None:
        """Make this the live connection of the session."""
        session.outbox, session.lost_at, self.session = self.outbox, None, session

    async def close(self, code: int, reason: str) -> None:
        """Close the socket with a code, and give the bot a moment to confirm."""
        self._closed.clear()
        try:
            with contextlib.suppress(ConnectionError):
                await self._socket.close(code=code, message=reason.encode())
        finally:
            self._closed.set()

    async def detach(self) -> None:
        """Leave the session for a RESUME; a bot that closed with 1000 or 1001 ends it."""
        await self._closed.wait()  # ending the handler earlier would cut the connection
        session = self.session
        if session is None or session.outbox is not self.outbox:
            return
        session.outbox, session.lost_at = None, time.monotonic()
        if self._peer_code in (1000, 1001):
            self._gateway.sessions.end(session)

    async def run(self, heartbeat_ms: int, *, version: str | None) -> None:
        """HELLO, then read until the socket closes."""
        if version not in ("9", "10", None):
            raise GatewayClose(4012, "Invalid API version.")
        self.send({"op": 10, "d": {"heartbeat_interval": heartbeat_ms, "_trace": []}})
        writer = asyncio.create_task(self._write(), name="sandbox-gateway-writer")
        try:
            while True:
                try:
                    message = await self._socket.receive(timeout=heartbeat_ms / 1000 * 1.5)
                except TimeoutError:
                    raise GatewayClose(4009, "Session timed out.") from None
                if message.type is WSMsgType.CLOSE:
                    self._peer_code = message.data
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    return
                self._receive(message.data)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            text = await self.outbox.get()
            try:
                if self._pack is None:
                    await self._socket.send_str(text)
                else:
                    await self._socket.send_bytes(self._pack(text.encode()))
            except ConnectionError:
                return  # the reader sees the closed socket and ends the connection

    def _receive(self, raw: str | bytes) -> None:
        now = time.monotonic()
        if len(self._sends) == SENDS_PER_MINUTE and now - self._sends[0] < 60:
            raise GatewayClose(4008, "Rate limited.")
        self._sends.append(now)
        try:
            payload = json.loads(raw)
            op, data = payload["op"], payload.get("d")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise GatewayClose(4002, "Decode error.") from None
        if op == 1:
            # discord.py notes the time of a heartbeat a moment after it is sent. No network answers before that, but
            # loopback may, and then the heartbeat before it is taken for the one that is answered.
            asyncio.get_running_loop().call_later(ACK_SECONDS, self.send, {"op": 11, "d": None})
        elif op in (2, 6):
            if self.session is not None:
                raise GatewayClose(4005, "Already authenticated.")
            if not isinstance(data, dict):
                raise GatewayClose(4002, "Decode error.")
            (self._gateway.identify if op == 2 else self._gateway.resume)(self, data)
        elif self.session is None:
            raise GatewayClose(4003, "Not authenticated.")
        elif op not in (3, 4, 8, 31):
            raise GatewayClose(4001, "Unknown opcode.")


def _shard(value: Any) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        index, count = value
        if 0 <= index < count:
            return index, count
    raise GatewayClose(4010, "Invalid shard.")
