"""Notifications in ``/settings``: channels in order, kinds, quiet hours, direct messages on again."""

from __future__ import annotations

from typing import Any

import pytest

from cogs.account_errors import NotATime
from cogs.settings_flow import read_quiet, read_time
from cogs.ui import settings_items
from gpuscout.accounts.delivery_choices import Quiet
from tests.cogs.conftest import Scene, buttons, selects, texts
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


async def panel(scene: Scene, who: Any = None) -> Any:
    who = who or scene.alice
    shown = await who.slash(scene.channel, "settings")
    return (await who.click(shown.response, label="Notifications")).response


async def choose(scene: Scene, message: Any, number: int, *values: str) -> Any:
    menu = selects(message)[number]
    return await scene.alice.select(message, list(values), custom_id=menu["custom_id"])


async def test_the_defaults_in_words_and_nothing_stored_by_looking(scene: Scene, world: World) -> None:
    message = await panel(scene)
    text = texts(message)
    assert "**Where** direct message, else mention where you set it" in text
    assert "E-mail can be chosen once you have confirmed an address." in text
    assert "**What** Alerts, Digests, Notices" in text
    assert "**Quiet hours** none" in text
    assert list(buttons(message)) == ["Quiet hours", "E-mail"]
    channels, kinds = selects(message)
    assert [option["value"] for option in channels["options"]] == ["dm.mention", "mention.dm", "dm", "mention"]
    assert [option["value"] for option in channels["options"] if option.get("default")] == ["dm.mention"]
    assert all(option["default"] for option in kinds["options"])
    assert world.choice_rows.rows == {}


async def test_an_order_of_channels(scene: Scene, world: World) -> None:
    message = await panel(scene)
    await choose(scene, message, 0, "mention")
    text = texts(message)
    assert "✅ Saved." in text
    assert "**Where** mention where you set it" in text
    # E-mail stays behind for when an address is confirmed.
    assert world.choice_rows.rows[scene.alice.id]["channels"] == ["mention", "email"]
    assert scene.bob.id not in world.choice_rows.rows


async def test_kinds_on_and_off(scene: Scene, world: World) -> None:
    message = await panel(scene)
    await choose(scene, message, 1, "alert")
    assert "**What** Alerts\n" in texts(message)
    assert world.choice_rows.rows[scene.alice.id]["muted_kinds"] == ["digest", "notice"]
    await choose(scene, message, 1)
    assert "**What** nothing\n" in texts(message)


async def test_quiet_hours_by_the_members_clock(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "settings", timezone="Europe/Berlin")
    message = await panel(scene)
    form = await scene.alice.click(message, label="Quiet hours")
    await scene.alice.submit_modal(form, {"start": "10 pm", "end": "7"})
    text = texts(message)
    assert "**Quiet hours** 22:00 to 07:00 · Berlin · Central European Time (UTC+01:00)" in text
    assert "It is quiet now; what waits comes <t:" in text
    assert "Critical alerts wait like all others." in text
    row = world.choice_rows.rows[scene.alice.id]
    assert (row["quiet_start"], row["quiet_end"], row["critical_passes"]) == (1320, 420, False)

    await scene.alice.click(message, label="Critical: come through")
    assert "Critical alerts come through." in texts(message)
    assert row["critical_passes"] is True
    overview = await scene.alice.slash(scene.channel, "settings")
    assert "quiet from 22:00 to 07:00" in texts(overview.response)

    await scene.alice.click(message, label="No quiet hours")
    assert "**Quiet hours** none" in texts(message)
    assert (row["quiet_start"], row["quiet_end"]) == (None, None)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("25:00", "7:00", "“25:00” is no time of day; write it as 22:00 or 10 pm."),
        ("22:00", "", "“…” is no time of day"),
        ("<@1>", "7", "is no time of day"),
        ("8", "08:00", "Quiet hours must end at another time than they begin"),
    ],
)
async def test_hours_that_are_none_change_nothing(scene: Scene, world: World, start: str, end: str, said: str) -> None:
    message = await panel(scene)
    form = await scene.alice.click(message, label="Quiet hours")
    result = await scene.alice.submit_modal(form, {"start": start, "end": end})
    assert result.ephemeral
    assert said in texts(result.response)
    assert "<@1>" not in texts(result.response)
    assert world.choice_rows.rows == {}


async def test_an_empty_form_means_no_quiet_hours(scene: Scene, world: World) -> None:
    message = await panel(scene)
    form = await scene.alice.click(message, label="Quiet hours")
    await scene.alice.submit_modal(form, {"start": "22:30", "end": "06:15"})
    form = await scene.alice.click(message, label="Quiet hours")
    await scene.alice.submit_modal(form, {"start": "", "end": ""})
    assert "**Quiet hours** none" in texts(message)


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        ("403 Forbidden (error code: 50007): Cannot send messages to this user", "your privacy settings let none"),
        ("403 Forbidden (error code: 50278): no mutual", "we share no server any more"),
        ("", "your privacy settings let none through"),
        ("strange *things*", "Discord refused three in a row (strange \\*things\\*)"),
    ],
)
async def test_why_direct_messages_are_off(scene: Scene, world: World, detail: str, reason: str) -> None:
    for _ in range(3):
        await world.choice_rows.dm_failed(scene.alice.id, NOW, 3)
    world.choice_rows.refusals[scene.alice.id] = (NOW, detail)
    message = await panel(scene)
    assert f"Direct messages are off since <t:{int(NOW.timestamp())}:R>, because {reason}" in texts(message)
    overview = await scene.alice.slash(scene.channel, "settings")
    assert "**Notifications** mention where you set it · ⚠️ direct messages are off" in texts(overview.response)


@pytest.mark.parametrize(
    ("reach", "said", "off"),
    [
        ("works", "✅ A direct message has arrived: they are on again.", False),
        ("closed", "⚠️ Discord refused it again: direct messages stay off until you allow them.", True),
        ("unknown", "⏳ Discord did not answer", False),
    ],
)
async def test_direct_messages_again_after_a_test(scene: Scene, world: World, reach: Any, said: str, off: bool) -> None:
    for _ in range(3):
        await world.choice_rows.dm_failed(scene.alice.id, NOW, 3)
    world.opt_in.reach = reach
    message = await panel(scene)
    await scene.alice.click(message, label="Try direct messages again")
    assert said in texts(message)
    assert world.opt_in.asked == [scene.alice.id]
    assert (world.choice_rows.rows[scene.alice.id]["dm_off_at"] is not None) is off
    assert ("Try direct messages again" in buttons(message)) is off


async def test_a_channel_that_is_none_is_refused(scene: Scene, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    message = await panel(scene)
    for values in ([], ["dm.sms"], ["dm.dm"], ["dm", "mention"]):
        monkeypatch.setattr(settings_items, "_values", lambda _interaction, values=values: values)
        result = await choose(scene, message, 0, "dm")
        assert "This card is too old" in texts(result.response)
    monkeypatch.setattr(settings_items, "_values", lambda _interaction: ["security"])
    result = await choose(scene, message, 1, "alert")
    assert "This card is too old" in texts(result.response)
    assert world.choice_rows.rows == {}


@pytest.mark.parametrize(
    ("text", "minute"),
    [
        ("22:00", 1320),
        ("7", 420),
        ("7.30", 450),
        ("12 am", 0),
        ("12 pm", 720),
        ("11:59 PM", 1439),
        ("24:00", 0),
        ("7 Uhr", 420),
        ("22h30", 1350),
        ("13 pm", None),
        ("7:60", None),
        ("", None),
        ("-1", None),
        ("seven", None),
        ("٧", 420),
    ],
)
def test_times_as_people_write_them(text: str, minute: int | None) -> None:
    assert read_time(text) == minute


def test_quiet_hours_as_typed() -> None:
    assert read_quiet(" ", "") is None
    assert read_quiet("22", "7") == Quiet(1320, 420)
    with pytest.raises(NotATime):
        read_quiet("22", "22:00")


@pytest.mark.usefixtures("german")
async def test_in_german(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, "settings")
    message = (await scene.alice.click(shown.response, label="Benachrichtigungen")).response
    text = texts(message)
    assert "**Wo** Direktnachricht, sonst Erwähnung" in text
    assert "**Ruhezeit** keine" in text
