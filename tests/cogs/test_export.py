"""Export CSV on the price card, and the word for history without a current price."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from datetime import timedelta

import discord
import pytest

from cogs.csv_file import write_export
from gpuscout.market.export import COLUMNS
from gpuscout.market.models import History, HistoryOnly, SeriesKey
from tests.cogs.conftest import Scene, texts
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1)


async def test_export_answers_privately_with_the_series_and_range_of_the_card(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", range="30d")
    await scene.alice.select(card.response, ["verified/dc:8+"])

    shown = await scene.bob.click(card.response, label="Export CSV")

    assert shown.ephemeral
    (attachment,) = shown.response.attachments
    assert attachment.filename == "rtx-4090-vast-on-demand-30d.csv"
    rows = list(csv.DictReader(io.StringIO((await attachment.read()).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert {(row["verification"], row["segment"]) for row in rows} == {("verified", "dc:8+")}
    assert {row["source"] for row in rows} == {"500.farm"} and {row["simulated"] for row in rows} == {"false"}
    key, start, end, _ = next(args for name, args in reversed(world.market.asked) if name == "history")
    assert key == SeriesKey("vast", "rtx-4090", verification="verified", segment="dc:8+")
    assert end - start == timedelta(days=30)
    assert f"{len(rows)} readings as CSV" in texts(shown.response)


async def test_a_file_that_is_too_large_is_packed_or_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", range="7d")
    limits = [20_000]

    async def smaller(history: History, range_: str, is_simulated: Callable[[str], bool], limit: int) -> discord.File:
        assert limit > limits[0]
        return await write_export(history, range_, is_simulated, limits[0])

    monkeypatch.setattr("cogs.price_flow.write_export", smaller)
    shown = await scene.alice.click(card.response, label="Export CSV")
    (attachment,) = shown.response.attachments
    assert attachment.filename == "rtx-4090-vast-on-demand-7d.csv.gz"
    assert gzip.decompress(await attachment.read()).decode().startswith("at,gpu,platform")

    limits[0] = 10
    refused = await scene.alice.click(card.response, label="Export CSV")
    assert "larger than Discord takes here" in texts(refused.response)


@pytest.mark.simcord(shard_count=1, check_errors=False)
async def test_history_without_a_current_price_says_so(scene: Scene, world: World) -> None:
    last = world.market.now - timedelta(days=200)
    world.market.error = HistoryOnly(SeriesKey("lambda", "rtx-4090"), last, ["vast"])

    answer = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090", platform="lambda")

    assert answer.ephemeral
    text = texts(answer.response)
    assert "no current price of a rtx-4090 on lambda" in text
    assert f"<t:{int(last.timestamp())}:R>" in text and "**vast**" in text
