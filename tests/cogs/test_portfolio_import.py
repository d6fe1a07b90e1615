"""Files of holdings: nothing is stored before it is confirmed, and every bad row is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import discord
import pytest

from bot.client import ScoutBot
from gpuscout.portfolio.csv_import import MAX_BYTES, MAX_ROWS
from tests.cogs.conftest import Scene, buttons, texts
from tests.fake_portfolio import MACHINE
from tests.fakes import World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)

HEADER = "gpu,quantity,price_usd_gpu_hour,platform,name\n"
GOOD = HEADER + "RTX 4090,8,0.35,vast,Rig 1\nrtx-5090,4,,,\n"


async def give(scene: Scene, text: str | bytes, name: str = "rigs.csv") -> Any:
    data = text.encode() if isinstance(text, str) else text
    return await scene.alice.slash(scene.channel, "portfolio import", file=(name, data))


async def content(scene: Scene, message: Any, name: str) -> str:
    (found,) = [attachment for attachment in message.attachments if attachment.filename == name]
    return (await found.read()).decode()


async def test_without_a_file_there_is_a_template_that_can_be_imported(scene: Scene, world: World) -> None:
    shown = await scene.alice.slash(scene.channel, "portfolio import")
    assert shown.ephemeral
    template = await content(scene, shown.response, "gpuscout-holdings.csv")
    assert template.startswith("name,gpu,quantity,platform,machine_id,")
    again = await give(scene, template)
    assert "Good rows: **1** · bad rows: **0**" in texts(again.response)


async def test_good_rows_are_stored_on_confirmation_only(scene: Scene, world: World) -> None:
    shown = await give(scene, GOOD)
    assert shown.ephemeral
    text = texts(shown.response)
    assert "Good rows: **2** · bad rows: **0**. Nothing is stored yet." in text
    assert "- Rig 1: 8 × RTX 4090 · Vast.ai · $0.35/h" in text
    assert "- 4 × RTX 5090 · platform undecided" in text
    assert world.holding_rows.rows == {}
    await scene.alice.click(shown.response, label="Add 2 holdings")
    assert "✅ 2 holdings are added." in texts(shown.response)
    assert [(r["gpu"], r["quantity"], r["asked_price"]) for r in world.holding_rows.rows.values()] == [
        ("rtx-4090", 8, 0.35),
        ("rtx-5090", 4, None),
    ]


async def test_each_bad_row_is_named_and_the_good_ones_can_be_kept(scene: Scene, world: World) -> None:
    rows = (
        "rtx-4090,8,0.35,vast,A",
        "rtx-4090,four,0.4,vast,B",
        "RTX 9999,1,,,C",
        "rtx-3060,2,abc,vast,D",
        "rtx-3060,2,0.1,mars,E",
    )
    shown = await give(scene, HEADER + "\n".join(rows))
    text = texts(shown.response)
    assert "Good rows: **1** · bad rows: **4**" in text
    assert "- Line 3, quantity: “four” is not possible for the number of GPUs; write a whole number like 8." in text
    assert "- Line 4, gpu: “RTX 9999” is no known value for the GPU." in text
    assert "- Line 5, price\\_usd\\_gpu\\_hour: “abc” is no number for the price per GPU-hour." in text
    assert "- Line 6, platform: “mars” is no known value for the platform." in text
    await scene.alice.click(shown.response, label="Add 1 holding")
    assert [row["name"] for row in world.holding_rows.rows.values()] == ["A"]


async def test_many_bad_rows_are_all_in_a_file(scene: Scene) -> None:
    shown = await give(scene, HEADER + "rtx-4090,x,,,\n" * 40)
    assert "and 28 more, in the file" in texts(shown.response)
    lines = (await content(scene, shown.response, "rows-not-understood.txt")).splitlines()
    assert len(lines) == 40
    assert lines[-1] == "Line 41, quantity: “x” is not possible for the number of GPUs; write a whole number like 8."
    assert list(buttons(shown.response)) == ["Another file", "Template"]


async def test_cancel_stores_nothing(scene: Scene, world: World) -> None:
    shown = await give(scene, GOOD)
    await scene.alice.click(shown.response, label="Cancel")
    assert "Nothing was changed." in texts(shown.response)
    assert world.holding_rows.rows == {}


async def test_two_quick_clicks_store_once(scene: Scene, world: World) -> None:
    shown = await give(scene, GOOD)
    custom_id = buttons(shown.response)["Add 2 holdings"]["custom_id"]
    clicks = (scene.alice.click(shown.response, custom_id=custom_id) for _ in range(2))
    await asyncio.gather(*clicks, return_exceptions=True)  # the second may find the button gone already
    assert len(world.holding_rows.rows) == 2


async def test_confirmation_works_after_a_restart(scene: Scene, world: World, make_bot: Callable[[], ScoutBot]) -> None:
    shown = await give(scene, GOOD)
    await scene.env.restart_bot(make_bot())
    await scene.alice.click(shown.response, label="Add 2 holdings")
    assert len(world.holding_rows.rows) == 2


async def test_machines_come_from_the_market(scene: Scene, world: World) -> None:
    shown = await give(scene, f"machine_id,platform,name\n{MACHINE},vast,Garage\n")
    assert f"Garage: machine {MACHINE} · Vast.ai" in texts(shown.response)
    await scene.alice.click(shown.response, label="Add 1 holding")
    (row,) = world.holding_rows.rows.values()
    assert (row["gpu"], row["quantity"], row["machine_id"]) == ("rtx-4090", 8, MACHINE)


async def test_a_machine_that_nobody_lists_stores_nothing_and_may_be_tried_again(scene: Scene, world: World) -> None:
    shown = await give(scene, "machine_id,platform\n999,vast\n")
    result = await scene.alice.click(shown.response, label="Add 1 holding")
    assert "The market does not list a machine 999" in texts(result.followups[-1])
    assert world.holding_rows.rows == {}
    again = await scene.alice.click(shown.response, label="Add 1 holding")
    assert "The market does not list a machine 999" in texts(again.followups[-1])


async def test_more_than_the_plan_allows(scene: Scene, world: World) -> None:
    shown = await give(scene, HEADER + "rtx-4090,1,,,\n" * 11)
    text = texts(shown.response)
    assert "⚠️ Free allows 10 holdings; Individual allows 50." in text
    assert "Add 11 holdings" not in buttons(shown.response)
    await give(scene, GOOD)
    assert world.holding_rows.rows == {}


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (GOOD.encode(), "rigs.xlsx", "Give a CSV file; its name ends in .csv, .tsv or .txt."),
        (b"x" * (MAX_BYTES + 1), "rigs.csv", "The file is larger than 256 kB; split it."),
        (b"\xff\xfe\x00g", "rigs.csv", "The file is not text in UTF-8"),
        (b"a,b\n1,2\n", "rigs.csv", "The first line must name the columns"),
        (b"", "rigs.csv", "The file is empty."),
        (HEADER.encode(), "rigs.csv", "The file is empty."),
        ((HEADER + "rtx-4090,1,,,\n" * (MAX_ROWS + 1)).encode(), "rigs.csv", "The file has more than 500 rows"),
    ],
)
async def test_files_that_are_not_read(scene: Scene, data: bytes, name: str, said: str) -> None:
    shown = await give(scene, data, name)
    assert shown.ephemeral
    assert said in texts(shown.response)


async def test_import_by_button(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "portfolio show")
    form = await scene.alice.click(card.response, label="Import CSV")
    shown = await scene.alice.submit_modal(form, {"file": ("rigs.csv", GOOD.encode())})
    assert shown.ephemeral
    assert "Good rows: **2**" in texts(shown.response)


async def test_a_template_by_button(scene: Scene) -> None:
    card = await scene.alice.slash(scene.channel, "portfolio show")
    shown = await scene.alice.click(card.response, label="Template")
    assert shown.ephemeral
    assert "gpu" in await content(scene, shown.response, "gpuscout-holdings.csv")


async def test_export_can_be_imported_again(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "portfolio add", gpu="rtx-4090", quantity=8, price=0.35, name="=1+1")
    await scene.alice.slash(scene.channel, "portfolio add", gpu="x-frobnicator-9000", fee=20.0)
    await scene.alice.slash(scene.channel, "portfolio add", machine=MACHINE)
    shown = await scene.alice.slash(scene.channel, "portfolio export")
    assert shown.ephemeral
    text = await content(scene, shown.response, "gpuscout-portfolio.csv")
    assert "'=1+1" in text  # no formula for a spreadsheet
    again = await scene.bob.slash(scene.channel, "portfolio import", file=("again.csv", text.encode()))
    assert "Good rows: **3** · bad rows: **0**" in texts(again.response)
    await scene.bob.click(again.response, label="Add 3 holdings")
    stored = [row for row in world.holding_rows.rows.values() if row["member_id"] == scene.bob.id]
    assert [(row["gpu"], row["name"], row["fee"]) for row in stored] == [
        ("rtx-4090", "=1+1", None),
        ("x-frobnicator-9000", None, 0.2),
        ("rtx-4090", None, None),
    ]


async def test_an_empty_portfolio_has_nothing_to_export(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, "portfolio export")
    assert "Your portfolio is empty; " in texts(shown.response)


async def test_a_file_that_only_its_component_tells_of(scene: Scene, world: World, monkeypatch: Any) -> None:
    """Discord may leave a layout's files out of the message's attachments."""
    shown = await give(scene, GOOD)
    monkeypatch.setattr(discord.Message, "attachments", property(lambda _message: [], lambda _message, _value: None))
    await scene.alice.click(shown.response, label="Add 2 holdings")
    assert len(world.holding_rows.rows) == 2
