"""Where Discord is."""

from __future__ import annotations

import asyncio

import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Route

from bot.endpoints import keep_gateway, use_endpoints
from config.settings import Settings


def test_both_addresses_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)

    use_endpoints(
        Settings(
            _env_file=None,
            discord_api_url="http://127.0.0.1:9/api/v10/",
            discord_gateway_url="ws://127.0.0.1:9/gateway",
        )
    )

    assert Route("GET", "/gateway/bot").url == "http://127.0.0.1:9/api/v10/gateway/bot"
    assert yarl.URL("ws://127.0.0.1:9/gateway") == DiscordWebSocket.DEFAULT_GATEWAY


def test_discords_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    use_endpoints(Settings(_env_file=None))
    assert Route.BASE == "https://discord.com/api/v10"
    assert yarl.URL("wss://gateway.discord.gg/") == DiscordWebSocket.DEFAULT_GATEWAY


@pytest.mark.parametrize(
    ("configured", "expected"),
    [("ws://127.0.0.1:9/gateway", "ws://127.0.0.1:9/gateway"), (None, "wss://gateway.discord.gg")],
)
async def test_the_gateway_stays_when_discord_is_asked_for_shards(
    monkeypatch: pytest.MonkeyPatch, configured: str | None, expected: str
) -> None:
    async def discords_answer(_: HTTPClient) -> tuple[int, str, dict[str, int]]:
        return 3, "wss://gateway.discord.gg", {"max_concurrency": 1}

    monkeypatch.setattr(HTTPClient, "get_bot_gateway", discords_answer)
    http = HTTPClient(asyncio.get_running_loop())
    keep_gateway(http, Settings(_env_file=None, discord_gateway_url=configured))
    assert await http.get_bot_gateway() == (3, expected, {"max_concurrency": 1})
