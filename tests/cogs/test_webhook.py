"""``/webhook``: added, shown, tested, rotated, replayed and removed by whose it is, and by nobody else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import discord
import pytest

import cogs.webhook_flow
from sandbox.webhooks import WebhookReceiver
from tests.cogs.conftest import Scene, buttons, components, selects, texts
from tests.fakes import NOW, World
from tests.market.helpers import FakeClock
from tests.webhooks.conftest import Desk, open_desk

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)

SECRET = re.compile(r"whsec_[A-Za-z0-9+/]+=*")


@pytest.fixture
async def desk(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(sqlite_url, tmp_path, FakeClock(NOW)) as found:
        yield found


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as found:
        yield found


@pytest.fixture
def world(desk: Desk) -> World:
    return World(webhooks=desk.webhooks)


@pytest.fixture
def at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries run as soon as they are there, as with a worker beside the bot."""
    running: set[asyncio.Task[int]] = set()

    def wake() -> None:
        task = asyncio.ensure_future(desk.run())
        running.add(task)
        task.add_done_callback(running.discard)

    monkeypatch.setattr(desk.webhooks, "_wake", wake)


async def add(scene: Scene, receiver: WebhookReceiver, **options: Any) -> Any:
    return await scene.alice.slash(scene.channel, "webhook add", url=receiver.url, **options)


async def open_first(scene: Scene) -> Any:
    """The card of the first webhook of the list."""
    shown = await scene.alice.slash(scene.channel, "webhook list")
    [menu] = selects(shown.response)
    return await scene.alice.select(shown.response, custom_id=menu["custom_id"], values=[menu["options"][0]["value"]])


async def test_an_empty_list_teaches(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "webhook list")
    assert result.ephemeral
    assert "You have no webhook yet" in texts(result.response)
    assert "</webhook add:" in texts(result.response)


async def test_add_shows_the_secret_once_and_the_list_never_does(
    scene: Scene, receiver: WebhookReceiver, desk: Desk
) -> None:
    result = await add(scene, receiver)
    assert result.ephemeral
    shown = texts(result.response)
    assert len(SECRET.findall(shown)) == 1
    assert "copy it now, it is shown only this once" in shown
    assert "**Sends** Alerts, Portfolio summaries, Changes of your plan" in shown
    listed = await scene.alice.slash(scene.channel, "webhook list")
    assert listed.ephemeral
    assert "1 of 20" in texts(listed.response)
    card = await open_first(scene)
    for message in (listed.response, card.response):
        assert SECRET.search(texts(message)) is None
        assert "/hook" not in texts(message)  # the path may hold a token
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    assert endpoint.events == ("alert.triggered", "portfolio.summary", "subscription.updated")


async def test_without_an_address_a_form_asks_for_it(scene: Scene, receiver: WebhookReceiver, desk: Desk) -> None:
    opened = await scene.alice.slash(scene.channel, "webhook add", gpu="rtx-4090")
    result = await scene.alice.submit_modal(
        opened, {"url": receiver.url, "events": ["alert.triggered", "market.updated"]}
    )
    assert result.ephemeral
    assert SECRET.search(texts(result.response))
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    assert (endpoint.events, endpoint.gpu) == (("alert.triggered", "market.updated"), "rtx-4090")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://hooks.example.com/x", "must begin with https://"),
        ("https://10.0.0.1/x", "not on the public internet"),
        ("https://169.254.169.254/latest/meta-data", "not on the public internet"),
        ("https://[::ffff:169.254.169.254]/", "not on the public internet"),
        ("https://hooks.example.com:22/", "Only the ports 443 and 8443"),
        ("https://me:pw@hooks.example.com/", "must not hold a user name"),
        ("https://localhost/", "must name a host of the public internet"),
        ("https://discord.com/channels/1/2", "not a channel webhook's"),
        ("hooks", "That is not an address"),
    ],
)
async def test_addresses_that_cannot_be(scene: Scene, desk: Desk, url: str, sentence: str) -> None:
    result = await scene.alice.slash(scene.channel, "webhook add", url=url)
    assert result.ephemeral
    assert sentence in texts(result.response)
    assert await desk.webhooks.of([f"member:{scene.alice.id}"]) == []


async def test_a_second_one_at_the_same_address(scene: Scene, receiver: WebhookReceiver) -> None:
    await add(scene, receiver)
    result = await add(scene, receiver)
    assert "There is a webhook at this address already: see </webhook list:" in texts(result.response)


async def test_the_limit_names_the_plan_that_lifts_it(scene: Scene, receiver: WebhookReceiver, desk: Desk) -> None:
    desk.tiers.chosen = "free"
    await add(scene, receiver)
    result = await scene.alice.slash(scene.channel, "webhook add", url=receiver.url + "?second")
    assert result.ephemeral
    assert "Free allows 1 webhook; Individual allows 5." in texts(result.response)


async def test_a_test_says_what_came_of_it(scene: Scene, receiver: WebhookReceiver, desk: Desk, at_once: None) -> None:
    added = await add(scene, receiver)
    [secret] = SECRET.findall(texts(added.response))
    good = await scene.alice.click(added.response, label="Send a test")
    assert "✅ The test arrived: 204 in " in texts(good.response)
    assert SECRET.search(texts(good.response)) is None
    [came] = receiver.received
    assert came.json()["data"]["test"] is True
    assert secret not in came.body.decode()
    receiver.behave(status=500)
    bad = await scene.alice.click(good.response, label="Send a test")
    assert "❌ The test did not arrive: 500 in " in texts(bad.response)
    assert "⚠️ failing since" in texts(bad.response)


async def test_a_test_that_takes_long_points_to_the_log(
    scene: Scene, receiver: WebhookReceiver, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cogs.webhook_flow, "TEST_SECONDS", 0.0)
    await add(scene, receiver)
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    result = await scene.alice.slash(scene.channel, "webhook test", webhook=endpoint.id)
    assert result.ephemeral
    assert "⏳ The test is on its way" in texts(result.response)


async def test_rotate_shows_a_new_secret_and_how_long_the_old_one_lasts(
    scene: Scene, receiver: WebhookReceiver, desk: Desk
) -> None:
    added = await add(scene, receiver)
    clicked = await scene.alice.click(added.response, label="New secret")
    [first], [second] = SECRET.findall(texts(added.response)), SECRET.findall(texts(clicked.response))
    assert first != second
    assert "the earlier secret signs too" in texts(clicked.response)
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    again = await scene.alice.slash(scene.channel, "webhook rotate", webhook=endpoint.id)
    assert again.ephemeral
    assert SECRET.findall(texts(again.response)) not in ([first], [second])


async def test_a_discord_channel_has_no_secret(scene: Scene, receiver: WebhookReceiver, desk: Desk) -> None:
    url = "https://discord.com/api/webhooks/123456789012345678/" + "t" * 68
    result = await scene.alice.slash(scene.channel, "webhook add", url=url)
    shown = texts(result.response)
    assert SECRET.search(shown) is None
    assert "Discord …5678" in shown
    assert "ttt" not in shown
    assert "New secret" not in buttons(result.response)
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    refused = await scene.alice.slash(scene.channel, "webhook rotate", webhook=endpoint.id)
    assert "its address is the secret" in texts(refused.response)


async def test_remove_asks_first(scene: Scene, receiver: WebhookReceiver, desk: Desk) -> None:
    await add(scene, receiver)
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    question = await scene.alice.slash(scene.channel, "webhook remove", webhook=endpoint.id)
    assert "Remove this webhook?" in texts(question.response)
    assert len(await desk.webhooks.of([endpoint.owner])) == 1
    await scene.alice.click(question.response, label="Cancel")
    assert len(await desk.webhooks.of([endpoint.owner])) == 1
    question = await scene.alice.slash(scene.channel, "webhook remove", webhook=endpoint.id)
    done = await scene.alice.click(question.response, label="Remove")
    assert "Done: the webhook is removed." in texts(done.response)
    assert await desk.webhooks.of([endpoint.owner]) == []


async def test_the_log_is_paged_shows_the_answer_safely_and_replays(
    scene: Scene, receiver: WebhookReceiver, desk: Desk
) -> None:
    await add(scene, receiver)
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    empty = await scene.alice.slash(scene.channel, "webhook deliveries", webhook=endpoint.id)
    assert "Nothing was sent yet" in texts(empty.response)
    receiver.behave(status=500, body="```\n@everyone [free](https://evil.example) <b>down</b>\x1b[31m")
    for number in range(11):
        await desk.emit("alert.triggered", {"number": number}, scene.alice.id, f"event {number}")
        await desk.run()
        desk.later(seconds=1)
    first = await scene.alice.slash(scene.channel, "webhook deliveries", webhook=endpoint.id)
    assert first.ephemeral
    assert "Page 1 of 2 (11 entries)" in texts(first.response)
    assert texts(first.response).count("⏳ **Alerts**") == 8
    second = await turn(scene, first.response)
    assert texts(second.response).count("⏳ **Alerts**") == 3
    while jobs := [job for job in await desk.jobs("webhook.deliver") if job.state == "ready"]:
        desk.clock.now = max(job.run_at for job in jobs)
        await desk.run()
    failed = await scene.alice.slash(scene.channel, "webhook deliveries", webhook=endpoint.id)
    [menu] = selects(failed.response)
    one = await scene.alice.select(failed.response, custom_id=menu["custom_id"], values=[menu["options"][0]["value"]])
    shown = texts(one.response)
    assert "❌ given up" in shown
    assert "8. <t:" in shown
    block = shown.partition("Its last answer**\n```\n")[2]
    inside, _, after = block.partition("```")
    assert "@everyone [free]" in inside  # inside a code block nothing of it works
    assert after == ""
    assert "\x1b" not in shown
    receiver.behave()
    desk.later(minutes=5)
    again = await scene.alice.click(one.response, label="Send again")
    assert "✅ It is on its way again" in texts(again.response)
    assert "Send again" not in buttons(again.response)
    await desk.run()
    looked = await scene.alice.click(again.response, label="Refresh")
    assert "✅ delivered" in texts(looked.response)
    assert "9. <t:" in texts(looked.response)


async def turn(scene: Scene, message: Any) -> Any:
    [following] = [one["custom_id"] for one in components(message) if "|next." in str(one.get("custom_id", ""))]
    return await scene.alice.click(message, custom_id=following)


async def test_switched_off_it_says_why_and_can_be_switched_on(
    scene: Scene, receiver: WebhookReceiver, desk: Desk
) -> None:
    await add(scene, receiver)
    receiver.behave(status=410)
    await desk.emit("alert.triggered", {}, scene.alice.id)
    await desk.run()
    card = await open_first(scene)
    assert "⛔ off: its address answered that it is gone" in texts(card.response)
    assert "Send a test" not in buttons(card.response)
    on = await scene.alice.click(card.response, label="Switch on")
    assert "✅ It is on again" in texts(on.response)
    assert "Send a test" in buttons(on.response)


async def test_bob_sees_and_changes_nothing_of_hers(scene: Scene, receiver: WebhookReceiver, desk: Desk) -> None:
    added = await add(scene, receiver)
    [endpoint] = await desk.webhooks.of([f"member:{scene.alice.id}"])
    assert await scene.bob.autocomplete(scene.channel, "webhook test", "webhook", "") == []
    mine = await scene.alice.autocomplete(scene.channel, "webhook test", "webhook", "127")
    assert [choice["value"] for choice in mine] == [endpoint.id]
    for command in ("test", "rotate", "remove", "deliveries"):
        refused = await scene.bob.slash(scene.channel, f"webhook {command}", webhook=endpoint.id)
        assert refused.ephemeral
        assert "There is no such webhook of yours" in texts(refused.response)
    assert "You have no webhook yet" in texts((await scene.bob.slash(scene.channel, "webhook list")).response)
    assert len(await desk.webhooks.of([endpoint.owner])) == 1
    assert added.ephemeral


async def test_a_servers_webhook_is_its_admins(scene: Scene, receiver: WebhookReceiver, desk: Desk) -> None:
    refused = await scene.bob.slash(scene.channel, "webhook add", url=receiver.url, server=True)
    assert refused.ephemeral
    assert await desk.webhooks.of([f"guild:{scene.channel.guild.id}"]) == []
    guild = scene.channel.guild
    role = guild.create_role("staff", permissions=discord.Permissions(manage_guild=True))
    boss = guild.add_member(scene.env.create_user("ada"), roles=[role])
    made = await boss.slash(scene.channel, "webhook add", url=receiver.url, server=True, events="all")
    assert SECRET.search(texts(made.response))
    [endpoint] = await desk.webhooks.of([f"guild:{guild.id}"])
    assert endpoint.events == ("alert.triggered", "market.updated")
    listed = await boss.slash(scene.channel, "webhook list")
    assert "this server" in texts(listed.response)
    assert "You have no webhook yet" in texts((await scene.bob.slash(scene.channel, "webhook list")).response)


async def test_controls_work_after_a_restart_and_old_ones_say_so(
    scene: Scene, receiver: WebhookReceiver, make_bot: Any
) -> None:
    added = await add(scene, receiver)
    await scene.env.restart_bot(make_bot())
    shown = await scene.alice.click(added.response, label="Deliveries")
    assert "Nothing was sent yet" in texts(shown.response)
