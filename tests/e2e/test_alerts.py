"""Alerts from end to end: the real process, a market that moves, a member's DMs, a channel, a program of his own."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.app import App
from bot.scheduler import INGEST_JOB
from gpuscout.delivery.webhook_deliver import DELAYS, JITTER
from gpuscout.market.trends import MARKET_WORK
from gpuscout.resilience.public_connect import WITH_LOOPBACK
from sandbox.discord.actor import Actor, components
from sandbox.discord.control_client import Control
from sandbox.sendgrid import SandboxSendGrid
from sandbox.webhooks import WebhookReceiver
from storage.tables_webhooks import webhook_delivery
from tests.e2e.harness import OffsetClock, Product, Web, World, cycle, options, running_app, until, web, words
from tests.market.helpers import model_v1, model_v2

Json = dict[str, Any]


def documents(price: float, rented: int = 40) -> Json:
    """Both documents of the source, with one model at a price."""
    stamp = datetime.now(UTC).isoformat()
    one = model_v1("RTX 4090", rented, 30, price, verified=20)
    segment = model_v2("RTX 4090", (True, "8+", True, rented, 30, price))
    return {
        "v1": {"url": "/gpu-stats", "timestamp": stamp, "models": [one]},
        "v2": {"url": "/gpu-stats/v2", "timestamp": stamp, "models": [segment]},
    }


async def priced(site: Web) -> bool:
    """Whether there is a price to compare with."""
    status, found = await site.get("/api/v1/prices?gpu=rtx-4090")
    return status == 200 and bool(found["quotes"])


def labels(message: Json) -> set[str]:
    return {part["label"] for part in components(message) if part["type"] == 2 and part.get("label")}


async def make_alert(ada: Actor, channel: int, level: str = "0.35") -> None:
    """Ask for an alert and confirm it."""
    shown = await ada.run(
        channel, "alert", {"when": "price-below", "gpu": "rtx-4090", "level": level}, subcommand="add", within=60
    )
    assert "Now" in words(shown) and "Last 90 days" in words(shown)
    await ada.click(shown, "Confirm")
    saved = await ada.wait_for_message(
        lambda message: message["id"] == shown["id"] and "Alert saved" in words(message), within=60
    )
    assert "RTX 4090" in words(saved)


def is_alert(message: Json) -> bool:
    return any("RTX 4090 fell below" in (embed.get("title") or "") for embed in message.get("embeds") or [])


async def test_the_market_moves_and_a_dm_arrives(tmp_path: Path) -> None:
    async with (
        World(documents=documents(0.40), restamp=True) as world,
        Product(world.environment(tmp_path), folder=tmp_path) as product,
    ):
        await product.start()
        await world.bot_answers()
        async with web(product.url) as site:
            # What was read is logged a moment before it is shown.
            await until(lambda: priced(site), "the market was read")
        async with world.actor("ada") as ada, world.actor("ben") as ben:
            await make_alert(ada, world.channel)
            world.farm.set_documents(documents(0.30), restamp=True)
            told = await ada.wait_for_message(is_alert, within=90)
            assert "$0.30" in words(told) and {"Pause", "Why?"} <= labels(told)
            assert int(told["channel_id"]) != world.channel

            # Its controls work after a restart too.
            await product.stop()
            await product.start()
            await world.bot_answers()
            why = await ada.answer(await ada.click(told, "Why?"), within=60)
            assert "RTX 4090" in words(why)
            await ada.click(told, "Pause")

            async def paused() -> bool:
                listed = await ada.run(world.channel, "alert", {}, subcommand="list", within=60)
                return "paused" in words(listed).lower()

            await until(paused, "the alert is paused", every=0.5)
            await ben.open_dm()
            assert not [m for m in await ben.messages(world.channel) if is_alert(m)]
        await product.stop()
        assert product.trouble == []


async def test_closed_dms_end_in_a_mention_where_the_alert_was_made(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with (
        World(clock, documents=documents(0.40), restamp=True) as world,
        running_app(world, tmp_path, clock) as app,
    ):
        await cycle(app)
        await world.bot_answers()
        async with world.actor("ada") as ada, Control(world.discord.page_url) as control:
            await make_alert(ada, world.channel)
            await control.faults(close_dms=[ada.user_id])
            clock.forward(minutes=15)
            world.farm.set_documents(documents(0.30), restamp=True)
            await cycle(app)
            told = await ada.wait_for_message(is_alert, channel_id=world.channel, within=60)
            assert told["content"].startswith(f"<@{ada.user_id}>")
            assert [user["id"] for user in told["mentions"]] == [ada.user_id]


async def test_without_any_way_in_discord_the_alert_comes_by_mail(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with SandboxSendGrid("sendgrid-key") as sendgrid:
        mail = {"sendgrid_api_key": "sendgrid-key", "sendgrid_api_url": sendgrid.url, "mail_from": "scout@example.com"}
        async with (
            World(clock, documents=documents(0.40), restamp=True) as world,
            running_app(world, tmp_path, clock, **mail) as app,
        ):
            await cycle(app)
            await world.bot_answers()
            async with (
                world.actor("ada") as ada,
                Control(world.discord.page_url) as control,
                web(f"http://127.0.0.1:{app.web_port}") as site,
            ):
                await confirm_address(app, sendgrid, site, int(ada.user_id))
                await make_alert(ada, world.channel)
                await control.faults(
                    close_dms=[ada.user_id],
                    status={
                        "route": f"/channels/{world.channel}/messages",
                        "times": 50,
                        "code": 403,
                        "error_code": 50013,
                    },
                )
                clock.forward(minutes=15)
                world.farm.set_documents(documents(0.30), restamp=True)
                await poll(app)

                def alert() -> Any:
                    return next((one for one in sendgrid.mails if "fell below" in one.subject), None)

                sent = await until(alert, "the alert comes by mail")
                assert sent.to == "ada@example.com" and "0.30" in str(sent.body["content"])
                assert not [message for message in await ada.messages(world.channel) if is_alert(message)]
                asked = {"alert": await first_alert(ada, world.channel)}

                async def why() -> bool:
                    # That it was sent is noted a moment after it was.
                    shown = await ada.run(world.channel, "alert", asked, subcommand="why", within=60)
                    return "e-mail" in words(shown).lower()

                await until(why, "it is noted as sent by e-mail", every=1.0)


async def confirm_address(app: App, sendgrid: SandboxSendGrid, site: Web, member: int) -> None:
    """As a member does it: ask for the link, find it in the mail, open the page, press its button."""
    assert app.bot is not None
    await app.bot.services.mail.ask(member, "ada@example.com", "en")
    assert app.worker is not None
    app.worker.wake()
    await until(lambda: sendgrid.mails, "the mail with the link")
    found = re.search(r"/mail/confirm\?t=([\w.~%-]+)", str(sendgrid.mails[0].body["content"]))
    assert found, sendgrid.mails[0].body
    async with site.session.post(f"{site.url}/mail/confirm", data={"t": found.group(1)}) as answer:
        assert answer.status == 200


async def first_alert(ada: Actor, channel: int) -> str:
    choices = await ada.autocomplete(channel, "alert", "alert", subcommand="why")
    return str(choices[0]["value"])


async def test_a_webhook_that_is_down_is_tried_again_given_up_and_replayed(tmp_path: Path) -> None:
    clock = OffsetClock()

    async def states(app: App) -> list[str]:
        async with app.parts.db.read() as conn:
            return [row.state for row in await conn.execute(select(webhook_delivery.c.state))]

    async with (
        WebhookReceiver() as receiver,
        World(clock, documents=documents(0.40), restamp=True) as world,
        running_app(world, tmp_path, clock, prepare=allow_loopback) as app,
    ):
        await cycle(app)
        await world.bot_answers()
        async with world.actor("ada") as ada:
            added = await ada.run(
                world.channel,
                "webhook",
                {"url": receiver.url, "events": "alert.triggered"},
                subcommand="add",
                within=60,
            )
            receiver.trust(secret_in(added))
            await make_alert(ada, world.channel)
            receiver.behave(status=500, body="not now")
            clock.forward(minutes=15)
            world.farm.set_documents(documents(0.30), restamp=True)
            await poll(app)
            for number, delay in enumerate(DELAYS, start=1):
                await until(lambda count=number: len(receiver.received) == count, f"try {number}")
                await until(lambda count=number: attempts(app, count), f"try {number} is noted")
                clock.forward(seconds=delay * (1 + JITTER) + 1)
                app.webhook_work.wake()  # type: ignore[union-attr]
            await until(lambda: failed(app, states), "it is given up")
            assert await states(app) == ["failed"]
            tries = list(receiver.received)
            assert len(tries) == 8 and len({one.delivery for one in tries}) == 1

            receiver.behave(status=204)
            [choice] = await ada.autocomplete(world.channel, "webhook", "webhook", subcommand="deliveries")
            log = await ada.run(
                world.channel, "webhook", {"webhook": choice["value"]}, subcommand="deliveries", within=60
            )
            [tried] = options(log).values()
            await ada.select(log, "Open one: every try, the answer, send again", [tried["value"]])
            opened = await ada.wait_for_message(lambda message: "not now" in words(message), within=60)
            clock.forward(minutes=1)  # a delivery is sent again twice a minute at most
            await ada.click(opened, "Send again")
            await until(lambda: len(receiver.received) == 9, "it is sent again")
            await until(lambda: delivered(app, states), "it is noted as delivered")
            assert receiver.received[-1].delivery == tries[0].delivery
            assert json.loads(receiver.received[-1].body)["event"] == "alert.triggered"


async def poll(app: App) -> None:
    """One ingest cycle; what it causes goes on."""
    async with app.parts.db.write() as conn:
        await app.parts.jobs.enqueue(conn, INGEST_JOB, {}, concurrency_key=MARKET_WORK, max_attempts=1)
    assert app.worker is not None
    app.worker.wake()


async def attempts(app: App, count: int) -> bool:
    async with app.parts.db.read() as conn:
        return await conn.scalar(select(webhook_delivery.c.attempts)) == count


async def failed(app: App, states: Any) -> bool:
    return bool(await states(app) == ["failed"])


async def delivered(app: App, states: Any) -> bool:
    return bool(await states(app) == ["delivered"])


def allow_loopback(app: App) -> None:
    app.webhook_rules = WITH_LOOPBACK


def secret_in(message: Json) -> str:
    """The signing secret that is shown once."""
    found = [word.strip("`|*") for word in words(message).split() if "whsec_" in word]
    assert found, words(message)
    return found[0][found[0].index("whsec_") :]
