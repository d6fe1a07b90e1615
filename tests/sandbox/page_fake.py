"""A small stand-in for the sandbox's user side, to look at the page and to test it alone.

It answers the routes that the page uses from memory and plays a bot whose messages show every
kind of component. ``python -m tests.sandbox.page_fake`` serves it on a free port.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from tests.sandbox import page_fixtures as fixtures

Json = dict[str, Any]

PAGE = Path(__file__).resolve().parents[2] / "sandbox" / "page"
#: What the real server sends; a page that needs more would break there.
CSP = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws:"
DISCORD_EPOCH_MS = 1_420_070_400_000
EPHEMERAL, LOADING, V2 = 64, 128, 32768

ALICE: Json = {"id": "1001", "username": "alice", "global_name": "Alice", "bot": False}
BOB: Json = {"id": "1002", "username": "bob", "global_name": "Bob", "bot": False}
BOT: Json = {"id": "2001", "username": "GPUScout", "global_name": None, "bot": True}
MARKET, LOUNGE = "3001", "3002"


class PageFake:
    """The server and the bot. ``calls`` holds every POST the page made: (action, user, body)."""

    def __init__(self, *, ready: bool = True, bot_delay_s: float = 0.05) -> None:
        self.ready = ready
        self.bot_delay_s = bot_delay_s
        self.calls: list[tuple[str, str, Json]] = []
        self.autocomplete_delay_s = 0.0
        self.may_answer = asyncio.Event()
        """While it is not set, the bot goes on thinking about a price."""
        self.may_answer.set()
        self.messages: dict[str, list[Json]] = {MARKET: [], LOUNGE: []}
        self.dms: dict[str, Json] = {}
        self._owners: dict[str, str] = {}
        self._sockets: set[tuple[str, web.WebSocketResponse]] = set()
        self._sequence = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._modals: dict[str, str] = {}
        for message in fixtures.showcase(BOT, ALICE, BOB):
            self.messages[LOUNGE].append(self.message(LOUNGE, **message))

    # -- data ------------------------------------------------------------------------------

    def next_id(self) -> str:
        """A fresh snowflake."""
        now = int(time.time() * 1000) - DISCORD_EPOCH_MS
        return str((now << 22) | next(self._sequence))

    def message(self, channel: str, **fields: Any) -> Json:
        """A message object with Discord's defaults."""
        owner = fields.pop("only_for", None)
        base: Json = {
            "id": self.next_id(), "channel_id": channel, "type": 0, "author": BOT, "content": "",
            "embeds": [], "attachments": [], "components": [], "mentions": [], "flags": 0,
            "timestamp": datetime.now(UTC).isoformat(), "edited_timestamp": None,
        }  # fmt: skip
        message = base | fields
        if owner:
            message["flags"] |= EPHEMERAL
            self._owners[message["id"]] = owner
        return message

    def visible(self, message: Json, user: str) -> bool:
        """Whether the user sees the message."""
        channel = message["channel_id"]
        if channel in {dm["id"] for uid, dm in self.dms.items() if uid != user}:
            return False
        return self._owners.get(message["id"], user) == user

    # -- events ----------------------------------------------------------------------------

    async def push(self, event: str, data: Json, user: str | None = None) -> None:
        """Send an event to one user's pages, or to all that may see its message."""
        for owner, socket in list(self._sockets):
            if user not in (None, owner):
                continue
            if event.startswith("MESSAGE_") and "author" in data and not self.visible(data, owner):
                continue
            await socket.send_json({"t": event, "d": data})

    async def post(self, message: Json) -> Json:
        """Store a message and announce it."""
        self.messages.setdefault(message["channel_id"], []).append(message)
        await self.push("MESSAGE_CREATE", message)
        return message

    async def edit(self, message: Json, *, mark: bool = True, **fields: Any) -> None:
        """Change a message and announce it."""
        message.update(fields)
        if mark:
            message["edited_timestamp"] = datetime.now(UTC).isoformat()
        await self.push("MESSAGE_UPDATE", message)

    async def drop_sockets(self) -> None:
        """Cut every event stream, as a restarted server does."""
        for _, socket in list(self._sockets):
            await socket.close()

    # -- the bot ---------------------------------------------------------------------------

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def on_slash(self, interaction: str, user: Json, body: Json) -> None:
        """Answer a slash command."""
        channel, name = body["channel_id"], body["name"]
        facts: Json = {"id": interaction, "type": 2, "name": name, "command_type": 1, "user": user}
        await asyncio.sleep(self.bot_delay_s)
        if name == "silent":
            data = {"interaction_id": interaction, "message": "The application did not respond"}
            await self.push("INTERACTION_FAILED", data, user["id"])
        elif name == "price":
            message = self.message(channel, type=20, flags=LOADING, interaction_metadata=facts)
            await self.push("TYPING", {"channel_id": channel, "user_id": BOT["id"]})
            await self.post(message)
            await asyncio.sleep(self.bot_delay_s * 4)
            await self.may_answer.wait()
            card = fixtures.price_card(str(body["options"]["gpu"]), "7d")
            await self.edit(message, mark=False, flags=V2, components=card)
        else:
            content = f"Done: /{name} {body.get('subcommand') or ''} {body['options']}"
            await self.post(
                self.message(channel, type=20, interaction_metadata=facts, content=content, only_for=user["id"])
            )

    async def on_component(self, interaction: str, user: Json, body: Json) -> None:
        """Answer a click or a selection."""
        message = next(m for found in self.messages.values() for m in found if m["id"] == body["message_id"])
        custom_id = body["custom_id"]
        channel = message["channel_id"]
        facts: Json = {"id": interaction, "type": 3, "user": user}
        await asyncio.sleep(self.bot_delay_s)
        if custom_id.startswith("range:"):
            card = fixtures.price_card("rtx-4090", custom_id.split(":")[1])
            await self.edit(message, components=card)
        elif custom_id in ("segment", "many"):
            text = f"Chosen: {', '.join(body['values'])}"
            await self.edit(message, components=[*message["components"], {"type": 10, "content": text}])
        elif custom_id == "data":
            reference = {"message_id": message["id"], "channel_id": channel}
            await self.post(
                self.message(
                    channel,
                    type=19,
                    content="These rows are behind the card.",
                    only_for=user["id"],
                    interaction_metadata=facts,
                    message_reference=reference,
                )
            )
        elif custom_id == "alert":
            self._modals[interaction] = channel
            await self.push("MODAL", fixtures.modal() | {"interaction_id": interaction}, user["id"])
        else:
            data = {"interaction_id": interaction, "message": "This interaction failed"}
            await self.push("INTERACTION_FAILED", data, user["id"])

    # -- routes ----------------------------------------------------------------------------

    def _state(self, user: Json) -> Json:
        channels = [
            {"id": MARKET, "name": "market", "type": 0, "topic": "Prices, charts and alerts"},
            {"id": LOUNGE, "name": "showcase", "type": 0, "topic": "One of each component"},
        ]
        for channel in channels:
            found = self.messages[str(channel["id"])]
            channel["last_message_id"] = found[-1]["id"] if found else None
        dm = self.dms.get(user["id"])
        return {
            "badge": "SIMULATED", "notice": "Simulated market – no account or key used.",
            "me": user, "users": [ALICE, BOB], "bot": BOT, "ready": self.ready,
            "guilds": [{"id": "4001", "name": "GPU Hosts", "icon": None, "channels": channels}],
            "dms": [dm] if dm else [],
            "suggestions": ["/price gpu:RTX 4090", "/market", "/help"],
            "welcome": "Ask what your GPUs should earn: type /price, or press a suggestion below.",
        }  # fmt: skip

    async def _get_state(self, request: web.Request) -> web.Response:
        wanted = request.query.get("user") or ALICE["id"]
        for user in (ALICE, BOB):
            if user["id"] == wanted:
                return web.json_response(self._state(user))
        return web.json_response({"error": "There is no such user."}, status=404)

    async def _get_commands(self, request: web.Request) -> web.Response:
        return web.json_response(fixtures.COMMANDS if self.ready else [])

    async def _get_messages(self, request: web.Request) -> web.Response:
        found = self.messages.get(request.match_info["channel"], [])
        limit = int(request.query.get("limit", "50"))
        seen = [m for m in found if self.visible(m, request.query["user"])]
        return web.json_response(seen[-limit:])

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        entry = (request.query["user"], socket)
        self._sockets.add(entry)
        try:
            async for incoming in socket:
                if incoming.type is WSMsgType.ERROR:
                    break
        finally:
            self._sockets.discard(entry)
        return socket

    async def _post(self, request: web.Request) -> web.Response:
        action, uid = request.match_info["action"], request.match_info["user"]
        body: Json = await request.json()
        user = next(u for u in (ALICE, BOB) if u["id"] == uid)
        self.calls.append((action, uid, body))
        interaction = self.next_id()
        if action == "autocomplete":
            await asyncio.sleep(self.autocomplete_delay_s)
            return web.json_response({"choices": fixtures.choices(str(body["options"].get("gpu", "")))})
        if action == "messages":
            content = body["content"]
            mentions = [u for u in (ALICE, BOB, BOT) if f"<@{u['id']}>" in content]
            message = self.message(body["channel_id"], author=user, content=content, mentions=mentions)
            return web.json_response(await self.post(message), status=201)
        if action == "dm":
            dm = self.dms.setdefault(uid, {"id": self.next_id(), "type": 1, "recipients": [BOT]})
            self.messages.setdefault(dm["id"], [])
            return web.json_response(dm)
        if action == "slash" and body["name"] == "refused":
            return web.json_response({"error": "The client would refuse this."}, status=400)
        if action == "slash":
            self._later(self.on_slash(interaction, user, body))
        elif action == "component":
            self._later(self.on_component(interaction, user, body))
        elif action == "modal":
            channel = self._modals[body["interaction_id"]]
            facts: Json = {"id": interaction, "type": 5, "user": user}
            text = f"Alert saved: {body['values']}"
            reply = self.message(channel, content=text, interaction_metadata=facts, only_for=uid)
            self._later(self._post_later(reply))
        return web.json_response({"interaction_id": interaction}, status=201)

    async def _post_later(self, message: Json) -> None:
        await asyncio.sleep(self.bot_delay_s)
        await self.post(message)

    async def _chart(self, request: web.Request) -> web.Response:
        if request.match_info["name"] == "missing.png":
            raise web.HTTPNotFound
        await asyncio.sleep(0.05)
        name = request.match_info["name"]
        seed = sum(name.encode())
        return web.Response(body=fixtures.chart_png(seed=seed), content_type="image/png")

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    def app(self) -> web.Application:
        """The aiohttp application."""

        async def add_csp(request: web.Request, response: web.StreamResponse) -> None:
            response.headers["Content-Security-Policy"] = CSP

        async def stop(app: web.Application) -> None:
            for task in list(self._tasks):
                task.cancel()
            await self.drop_sockets()

        app = web.Application()
        app.on_response_prepare.append(add_csp)
        app.on_shutdown.append(stop)
        app.router.add_get("/", self._index)
        app.router.add_get("/sandbox/state", self._get_state)
        app.router.add_get("/sandbox/commands", self._get_commands)
        app.router.add_get("/sandbox/channels/{channel}/messages", self._get_messages)
        app.router.add_get("/sandbox/events", self._events)
        app.router.add_post("/sandbox/users/{user}/{action}", self._post)
        app.router.add_get("/cdn/attachments/1/1/{name}", self._chart)
        app.router.add_static("/", PAGE)
        return app


if __name__ == "__main__":
    web.run_app(PageFake().app(), host="127.0.0.1", port=8099)
