"""E-mail in Discord: the panel behind ``/settings``, its form, and every state it can be in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpuscout.delivery.mail.desk import MailPanel
from tests.cogs.conftest import Scene, buttons, selects, texts
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


async def open_panel(scene: Scene) -> Any:
    shown = await scene.alice.slash(scene.channel, "settings")
    delivery = await scene.alice.click(shown.response, label="Notifications")
    return await scene.alice.click(delivery.response, label="E-mail")


async def test_no_address_yet_then_a_link_then_on(scene: Scene, world: World) -> None:
    opened = await open_panel(scene)
    assert opened.ephemeral
    assert "No address yet" in texts(opened.response)
    assert list(buttons(opened.response)) == ["Give an address"]
    form = await scene.alice.click(opened.response, label="Give an address")
    await scene.alice.submit_modal(form, {"address": " Ada@Example.com "})
    text = texts(opened.response)
    assert "a link is on its way" in text and "@​example.com" in text and "No address yet" not in text
    assert world.mail.asked == {scene.alice.id: ["Ada@example.com"]}
    world.mail.follow(scene.alice.id)
    opened = await open_panel(scene)
    text = texts(opened.response)
    assert "Confirmed" in text and "First steps, Digests, Alerts and notices" in text
    labels = {"Change the address", "Switch off", "Remove the address", "Preferences page"}
    assert set(buttons(opened.response)) == labels


async def test_what_is_no_address_is_said_so(scene: Scene, world: World) -> None:
    opened = await open_panel(scene)
    form = await scene.alice.click(opened.response, label="Give an address")
    refused = await scene.alice.submit_modal(form, {"address": "ada at example"})
    assert "no e-mail address I can write to" in texts(refused.response)
    assert world.mail.asked == {}


async def test_too_many_links(scene: Scene, world: World) -> None:
    world.mail.asked[scene.alice.id] = ["x@example.com"] * 5
    opened = await open_panel(scene)
    form = await scene.alice.click(opened.response, label="Give an address")
    refused = await scene.alice.submit_modal(form, {"address": "ada@example.com"})
    assert "follow the newest one" in texts(refused.response)


@pytest.fixture
def confirmed(scene: Scene, world: World) -> MailPanel:
    panel = MailPanel(True, "ada@example.com", NOW, preferences="https://gpuscout.example/mail/preferences?t=x")
    world.mail.panels[scene.alice.id] = panel
    return panel


async def test_kinds_off_on_and_forgotten(scene: Scene, world: World, confirmed: MailPanel) -> None:
    opened = await open_panel(scene)
    (menu,) = selects(opened.response)
    assert [option["value"] for option in menu["options"] if option.get("default")] == [
        "onboarding",
        "reports",
        "alerts",
    ]
    changed = await scene.alice.select(opened.response, ["reports"], custom_id=menu["custom_id"])
    assert "Saved." in texts(changed.response) and "**What comes** Digests" in texts(changed.response)
    assert world.mail.panels[scene.alice.id].declined == {"onboarding", "alerts"}
    off = await scene.alice.click(changed.response, label="Switch off")
    assert "You switched it off." in texts(off.response)
    assert selects(off.response) == []
    on = await scene.alice.click(off.response, label="Switch on")
    assert "E-mail is on." in texts(on.response)
    gone = await scene.alice.click(on.response, label="Remove the address")
    assert "The address is removed." in texts(gone.response) and "No address yet" in texts(gone.response)


@pytest.mark.parametrize(
    ("reason", "said", "label"),
    [
        ("bounce", "did not take our mail", "Confirm it once more"),
        ("complaint", "reported as spam", "Change the address"),
        ("unsubscribe", "unsubscribed from everything", "Confirm it once more"),
        ("invalid", "does not exist", "Change the address"),
    ],
)
async def test_why_it_is_off(
    scene: Scene, world: World, confirmed: MailPanel, reason: Any, said: str, label: str
) -> None:
    world.mail.panels[scene.alice.id] = replace(confirmed, off_reason=reason, off_at=NOW)
    opened = await open_panel(scene)
    assert said in texts(opened.response)
    assert label in buttons(opened.response) and "Switch on" not in buttons(opened.response)


async def test_where_no_mail_is_set_up(scene: Scene, world: World) -> None:
    world.mail.available = False
    opened = await open_panel(scene)
    assert "its operator has set none up" in texts(opened.response)
    assert buttons(opened.response) == {}
