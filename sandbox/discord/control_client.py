"""The sandbox's own API over HTTP, and its control side, for use from any process."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import aiohttp

Json = dict[str, Any]

#: Seconds until a request to the sandbox is given up; autocomplete may take three.
REQUEST_TIMEOUT_S = 10.0


class Refused(Exception):
    """The client refused the action (a missing option, a disabled button, …)."""


class Http:
    """A session to the sandbox's own API."""

    def __init__(self, base_url: str) -> None:
        self.base = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the connection pool."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open connection pool."""
        if self._session is None:
            raise RuntimeError("use it inside 'async with'")
        return self._session

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The JSON answer of ``/sandbox{path}``.

        Raises:
            Refused: the sandbox answered with an error.
        """
        async with self.session.request(method, f"{self.base}/sandbox{path}", json=body, params=query) as response:
            data = await response.json()
            if response.status >= 400:
                raise Refused(data["error"])
            return data

    def ws_url(self, path: str) -> str:
        """Websocket URL of ``/sandbox{path}``."""
        return f"{self.base.replace('http', 'ws', 1)}/sandbox{path}"


class Control:
    """The control side over HTTP; use as ``async with Control(url) as control``."""

    def __init__(self, base_url: str) -> None:
        self._http = Http(base_url)

    async def __aenter__(self) -> Self:
        await self._http.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.close()

    async def post(self, path: str, body: Json | None = None) -> Json:
        """POST to ``/sandbox/control/{path}``."""
        result: Json = await self._http.call("POST", f"/control/{path}", body or {})
        return result

    async def faults(self, **faults: Any) -> None:
        """Break something; see :meth:`ControlApi.apply_faults`."""
        await self.post("faults", faults)

    async def requests(self) -> list[Json]:
        """The bot's REST calls so far."""
        result: list[Json] = await self._http.call("GET", "/control/requests")
        return result

    async def interaction(self, interaction_id: str) -> Json:
        """How an interaction went."""
        result: Json = await self._http.call("GET", f"/control/interactions/{interaction_id}")
        return result

    async def wait_ready(self, within: float = 30.0) -> None:
        """Wait until the bot is connected."""
        async with asyncio.timeout(within):
            while not (await self._http.call("GET", "/state"))["ready"]:  # noqa: ASYNC110 - it is over HTTP
                await asyncio.sleep(0.05)
