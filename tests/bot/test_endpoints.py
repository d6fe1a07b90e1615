"""Where Discord is."""

from __future__ import annotations

import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.endpoints import use_endpoints
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
