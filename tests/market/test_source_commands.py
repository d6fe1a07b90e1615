"""``gpuscout ingest --source``, ``market sources`` and ``doctor`` with every source, and the stand-ins' switch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.doctor import examine
from bot.tools import ingest_once, show_sources
from config.settings import Settings
from sandbox.farm import FarmServer, Market
from sandbox.farm.specified import SpecifiedFarm
from sandbox.vast import VastStandIn

MARKET = Market(7)


@dataclass
class Outside:
    """All three sources, and settings that reach them."""

    exporter: FarmServer
    specified: SpecifiedFarm
    vast: VastStandIn
    folder: Path

    def settings(self, url: str, **more: Any) -> Settings:
        return Settings(
            _env_file=None,
            database_url=f"sqlite+aiosqlite:///{self.folder / 'gpuscout.db'}",
            redis_url=None,
            data_dir=self.folder,
            discord_token=None,
            farm_url=(url,),
            vast_api_url=self.vast.url,
            **more,
        )


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Outside]:
    async with FarmServer(MARKET) as exporter, SpecifiedFarm(MARKET) as specified, VastStandIn(MARKET) as vast:
        yield Outside(exporter, specified, vast, tmp_path)


async def test_ingest_knows_each_source(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    settings = outside.settings(outside.exporter.url)
    assert await ingest_once(settings, "vast.ai") == 0
    assert "vast.ai: read" in capsys.readouterr().out
    assert outside.vast.requests and not outside.exporter.requests
    assert await ingest_once(settings, "500.farm") == 0
    assert "500.farm: read" in capsys.readouterr().out
    assert await ingest_once(settings, "nowhere") == 2
    assert "there is no source 'nowhere'; there are 500.farm" in capsys.readouterr().err
    assert await show_sources(settings) == 0
    said = capsys.readouterr().out
    assert "500.farm: well" in said and "vast.ai: well" in said


@pytest.mark.parametrize("dialect", ["auto", "specified"])
async def test_ingest_in_the_specified_dialect(
    outside: Outside, dialect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ingest_once(outside.settings(outside.specified.url, farm_dialect=dialect), "500.farm") == 0
    assert "rejected 0, stored" in capsys.readouterr().out
    asked = {asked.path for asked in outside.specified.requests}
    assert {"/api/gpu-pricing", "/api/historical"} <= asked
    assert any(path.startswith("/vastai-exporter") for path in asked) is (dialect == "auto")


async def test_doctor_asks_each_and_only_warns_of_the_second(
    outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    for url, more, words, code in (
        (outside.exporter.url, {}, "500.farm (exporter): v1: ", 0),
        (outside.specified.url, {}, "500.farm (specified): ", 0),
        (outside.specified.url, {"farm_dialect": "exporter"}, "answered with status 404; check FARM_URL", 1),
    ):
        assert await examine(outside.settings(url, **more)) == code
        said = capsys.readouterr().out
        assert words in said and "vast.ai answers" in said
    outside.vast.set_mode("status:403")
    assert await examine(outside.settings(outside.exporter.url)) == 0
    assert "warn  second source  vast.ai: " in capsys.readouterr().out
    outside.vast.requests.clear()
    assert await examine(outside.settings(outside.exporter.url, market_fallback="off")) == 0
    assert " off  second source" in capsys.readouterr().out and not outside.vast.requests


async def test_the_switch_of_a_stand_in(outside: Outside) -> None:
    async with aiohttp.ClientSession() as session:
        control = f"{outside.vast.url}/control"
        async with session.post(control, json={"mode": "status:503", "times": 1}) as answer:
            assert answer.status == 200 and (await answer.json())["mode"] == "status:503"
        for status in (503, 200):
            async with session.get(f"{outside.vast.url}/api/v0/bundles/") as answer:
                assert answer.status == status
        async with session.post(control, json={"mode": "nonsense"}) as answer:
            assert answer.status == 400
        async with session.post(control, data="mode=down") as answer:
            assert answer.status == 415
        async with session.get(f"{outside.vast.url}/api/v0/bundles/?q=[") as answer:
            assert answer.status == 400
