"""A user of the sandbox, driven over HTTP from any process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Self

import aiohttp

from sandbox.discord.control_client import Http

Json = dict[str, Any]
Predicate = Callable[[Json], bool]

LOADING = 1 << 7
#: Seconds that the wait methods wait by default.
WAIT_S = 30.0


class NotAnswered(Exception):
    """The bot did not answer the interaction in time."""


class Actor:
    """Acts as one user; use as ``async with Actor(url, user_id) as ann``.

    Args:
        base_url: ``SandboxDiscord.page_url``.
        user_id: whom to act as.

    Every event since entering is kept; the wait methods look at those first. An event that a
    wait returned is used up.
    """

    def __init__(self, base_url: str, user_id: int | str) -> None:
        self._http = Http(base_url)
        self.user_id = str(user_id)
        self._events: list[Json] = []
        self._arrived = asyncio.Condition()
        self._listener: asyncio.Task[None] | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        await self._http.open()
        url = self._http.ws_url(f"/events?user={self.user_id}")
        self._socket = await self._http.session.ws_connect(url)
        self._listener = asyncio.create_task(self._listen(self._socket), name="sandbox-actor")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        await self._http.close()

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                async with self._arrived:
                    self._events.append(message.json())
                    self._arrived.notify_all()

    # -- acting ---------------------------------------------------------------------------

    async def _act(self, what: str, body: Json) -> Json:
        result: Json = await self._http.call("POST", f"/users/{self.user_id}/{what}", body)
        return result

    async def slash(
        self,
        channel_id: int | str,
        name: str,
        options: Json | None = None,
        *,
        subcommand: str | None = None,
    ) -> str:
        """Run a slash command; returns the interaction's id.

        Raises:
            Refused: the client would not send it.
        """
        body = {"channel_id": str(channel_id), "name": name, "options": options or {}}
        return str((await self._act("slash", body | {"subcommand": subcommand}))["interaction_id"])

    async def run(
        self,
        channel_id: int | str,
        name: str,
        options: Json | None = None,
        *,
        subcommand: str | None = None,
        within: float = WAIT_S,
    ) -> Json:
        """Run a slash command and wait for its finished answer, a message object.

        Raises:
            NotAnswered: the bot missed the deadline.
            TimeoutError: no finished answer within ``within`` seconds.
        """
        number = await self.slash(channel_id, name, options, subcommand=subcommand)
        return await self.answer(number, within=within)

    async def autocomplete(
        self,
        channel_id: int | str,
        name: str,
        focused: str,
        value: str = "",
        *,
        options: Json | None = None,
        subcommand: str | None = None,
    ) -> list[Json]:
        """The choices offered while typing ``value`` into the option ``focused``."""
        body = {
            "channel_id": str(channel_id),
            "name": name,
            "subcommand": subcommand,
            "focused": focused,
            "options": (options or {}) | {focused: value},
        }
        choices: list[Json] = (await self._act("autocomplete", body))["choices"]
        return choices

    async def context_menu(self, channel_id: int | str, name: str, target_id: int | str) -> str:
        """Use a context menu command on a user or message; returns the interaction's id."""
        body = {"channel_id": str(channel_id), "name": name, "target_id": str(target_id)}
        return str((await self._act("context_menu", body))["interaction_id"])

    async def click(self, message: Json, button: str) -> str:
        """Press a button, named by its custom id or its label; returns the interaction's id."""
        return await self._component(message, self._custom_id(message, button), None)

    async def select(self, message: Json, select: str, values: Iterable[str]) -> str:
        """Choose in a select, named by its custom id or placeholder."""
        return await self._component(message, self._custom_id(message, select), list(values))

    async def _component(self, message: Json, custom_id: str, values: list[str] | None) -> str:
        body = {"message_id": message["id"], "custom_id": custom_id, "values": values}
        return str((await self._act("component", body))["interaction_id"])

    @staticmethod
    def _custom_id(message: Json, name: str) -> str:
        for component in components(message):
            shown = (component.get("custom_id"), component.get("label"), component.get("placeholder"))
            if name in shown and component.get("custom_id"):
                return str(component["custom_id"])
        return name

    async def submit_modal(self, interaction_id: str, values: Json) -> str:
        """Submit the form that an interaction opened; returns the new interaction's id."""
        body = {"interaction_id": interaction_id, "values": values}
        return str((await self._act("modal", body))["interaction_id"])

    async def send(self, channel_id: int | str, content: str) -> Json:
        """Write a message."""
        return await self._act("messages", {"channel_id": str(channel_id), "content": content})

    async def open_dm(self) -> Json:
        """Open the DM with the bot; returns the channel."""
        return await self._act("dm", {})

    # -- reading --------------------------------------------------------------------------

    async def state(self) -> Json:
        """What the client knows: see ``GET /sandbox/state``."""
        result: Json = await self._http.call("GET", "/state", user=self.user_id)
        return result

    async def commands(self, channel_id: int | str) -> list[Json]:
        """The commands offered in a channel."""
        result: list[Json] = await self._http.call("GET", "/commands", user=self.user_id, channel_id=str(channel_id))
        return result

    async def messages(self, channel_id: int | str, limit: int = 50) -> list[Json]:
        """The newest messages of a channel that this user sees, oldest first."""
        result: list[Json] = await self._http.call(
            "GET", f"/channels/{channel_id}/messages", user=self.user_id, limit=str(limit)
        )
        return result

    async def file(self, url: str) -> bytes:
        """The bytes behind an attachment's URL."""
        whole = url if url.startswith("http") else self._http.base + url
        async with self._http.session.get(whole) as response:
            response.raise_for_status()
            return await response.read()

    # -- waiting --------------------------------------------------------------------------

    async def wait_for(self, event: str | tuple[str, ...], sees: Predicate, *, within: float = WAIT_S) -> Json:
        """The data of the first event of that name for which ``sees`` is true; it is used up.

        Raises:
            TimeoutError: none within ``within`` seconds; the message lists what came instead.
        """
        names = (event,) if isinstance(event, str) else event
        try:
            async with asyncio.timeout(within), self._arrived:
                while True:
                    for index, entry in enumerate(self._events):
                        if entry["t"] in names and sees(entry["d"]):
                            found: Json = self._events.pop(index)["d"]
                            return found
                    await self._arrived.wait()
        except TimeoutError:
            came = ", ".join(entry["t"] for entry in self._events[-20:]) or "nothing"
            raise TimeoutError(f"no such {' or '.join(names)} in {within} s; came: {came}") from None

    async def wait_for_message(
        self,
        sees: Predicate = lambda message: True,
        *,
        channel_id: int | str | None = None,
        within: float = WAIT_S,
    ) -> Json:
        """The first new or changed message, not loading, for which ``sees`` is true."""

        def matches(message: Json) -> bool:
            here = channel_id is None or message["channel_id"] == str(channel_id)
            return here and not message["flags"] & LOADING and sees(message)

        return await self.wait_for(("MESSAGE_CREATE", "MESSAGE_UPDATE"), matches, within=within)

    async def answer(self, interaction_id: str, *, within: float = WAIT_S) -> Json:
        """The finished answer to an interaction, a new message.

        Raises:
            NotAnswered: the bot missed the deadline.
        """

        def matches(data: Json) -> bool:
            if data.get("interaction_id") == interaction_id:
                return True
            facts = data.get("interaction_metadata") or {}
            return facts.get("id") == interaction_id and not data["flags"] & LOADING

        names = ("MESSAGE_CREATE", "MESSAGE_UPDATE", "INTERACTION_FAILED")
        data = await self.wait_for(names, matches, within=within)
        if "interaction_id" in data:
            raise NotAnswered(data["message"])
        return data

    async def changed(
        self,
        message: Json,
        sees: Predicate = lambda message: True,
        *,
        within: float = WAIT_S,
    ) -> Json:
        """The message after its next edit for which ``sees`` is true."""
        return await self.wait_for("MESSAGE_UPDATE", lambda m: m["id"] == message["id"] and sees(m), within=within)

    async def form(self, interaction_id: str, *, within: float = WAIT_S) -> Json:
        """The form that an interaction opened."""
        return await self.wait_for("MODAL", lambda d: d["interaction_id"] == interaction_id, within=within)


def components(message: Json) -> list[Json]:
    """All components of a message, nested ones included, in reading order."""
    found: list[Json] = []

    def visit(node: Json) -> None:
        found.append(node)
        for child in node.get("components") or []:
            visit(child)
        if isinstance(node.get("accessory"), dict):
            visit(node["accessory"])

    for component in message["components"]:
        visit(component)
    return found
