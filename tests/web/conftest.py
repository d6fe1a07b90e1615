"""One application on a loopback port for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from aiohttp.test_utils import TestClient, TestServer

from config.catalogue import GpuCatalogue
from config.i18n import translator_for
from config.platforms import PlatformCatalogue
from config.settings import Settings
from gpuscout.cards.chart_spec import price_chart
from gpuscout.charts.model import ChartSpec
from gpuscout.market.models import History, PriceView, SeriesKey
from gpuscout.telemetry.metrics import Metrics
from tests.web.fakes import NOW, Clock, FakeMarket, Uses, hourly, quote, status
from web.app import create_web_app
from web.services import WebLimits, WebServices


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def market(clock: Clock) -> FakeMarket:
    market = FakeMarket(
        [
            quote("rtx-4090"),
            quote("rtx-4090", 0.45, rented=300, total=400, verification="verified", segment="dc:8+"),
            quote("rtx-4090", 0.28, rented=30, total=90, verification="unverified", segment="non-dc:1-3"),
            quote("h100-sxm", 2.1, rented=200, total=260),
            quote("x-strange-card", None, rented=0, total=3),
            quote("rtx-3090", 0.16, rented=10, total=40, at=NOW - timedelta(hours=2)),
        ],
        clock,
    )
    market.points[SeriesKey("vast", "rtx-4090")] = hourly(24 * 60)
    market.points[SeriesKey("vast", "rtx-4090", verification="verified", segment="dc:8+")] = hourly(48)
    market.statuses = [status()]
    return market


def chart_spec(view: PriceView, history: History, *, timezone: str, image_format: Literal["webp", "png"]) -> ChartSpec:
    """The cards' own chart, as the composition root hands it in."""
    return price_chart(history, view, "Vast.ai", translator_for("en-US"), timezone=timezone, image=image_format)


@pytest.fixture
def uses() -> Uses:
    return Uses()


@pytest.fixture
def services(market: FakeMarket, clock: Clock, uses: Uses) -> WebServices:
    return WebServices(
        settings=Settings(_env_file=None),  # type: ignore[call-arg]
        market=market,
        catalogue=GpuCatalogue.load(),
        platforms=PlatformCatalogue.load(),
        metrics=Metrics("1.2.3"),
        chart_spec=chart_spec,
        usage=uses,
        clock=clock,
        version="1.2.3",
        methodology="# How figures are made\n\n## What counts?\n\n| a | b |\n|:--|--:|\n| <b>x</b> | 1 |\n",
        limits=WebLimits(requests_per_second=1000, burst=10_000),
    )


class Opener:
    """Starts applications and stops them at the end of the test."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._clients: list[TestClient] = []  # type: ignore[type-arg]

    async def __call__(self, **changes: object) -> TestClient:  # type: ignore[type-arg]
        """A client of an application whose services differ by *changes*."""
        app = create_web_app(replace(self._services, **changes))  # type: ignore[arg-type]
        client = TestClient(TestServer(app))
        await client.start_server()
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@pytest.fixture
async def open_web(services: WebServices) -> AsyncIterator[Opener]:
    opener = Opener(services)
    yield opener
    await opener.close()


@pytest.fixture
async def client(open_web: Opener) -> TestClient:  # type: ignore[type-arg]
    return await open_web()
