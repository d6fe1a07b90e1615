"""A member's ``/price`` against the running process: from typing to the card, its controls, and a restart."""

from __future__ import annotations

import re

import pytest

from sandbox.discord import Actor
from sandbox.discord.actor import components
from tests.e2e.harness import Product, Web, World, code_of, command, is_chart, is_private, pressed, until, words

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("e2e-price")]


async def card_of(actor: Actor, world: World, **options: str) -> dict[str, object]:
    return await actor.run(world.channel, "price", {"gpu": "rtx-4090"} | options, within=30)


async def test_from_typing_to_the_card(world: World, product: Product) -> None:
    async with world.actor("ada") as ada:
        choices = await ada.autocomplete(world.channel, "price", "gpu", "40")
        assert choices[0]["value"] == "rtx-4090"
        assert re.fullmatch(r"RTX 4090 · 24 GB · [\d,]+ listed", choices[0]["name"])
        number = await ada.slash(world.channel, "price", {"gpu": choices[0]["value"]})
        card = await ada.answer(number, within=30)
        assert not is_private(card)
        text = words(card)
        assert "RTX 4090 on Vast.ai" in text
        assert re.search(r"\$0\.\d+/h\*\* renters pay · \*\*\$0\.\d+/h\*\* hosts get", text)
        assert "[500.farm](<https://500.farm>)" in text
        assert "SIMULATED" not in text
        assert pressed(card) == ["7 d"]
        [picture] = card["attachments"]
        assert is_chart(await ada.file(picture["url"]))
        [item] = [item for part in components(card) if part["type"] == 12 for item in part["items"]]
        assert "RTX 4090" in item["description"]


async def test_range_refresh_and_data(world: World, product: Product) -> None:
    async with world.actor("ben") as ben:
        card = await card_of(ben, world)
        await ben.click(card, "30 d")
        month = await ben.changed(card, lambda message: pressed(message) == ["30 d"], within=30)
        [chart] = month["attachments"]
        assert chart["filename"] == "rtx-4090-vast-30d.webp"
        assert is_chart(await ben.file(chart["url"]))

        seen = re.search(r"as of <t:(\d+)", words(month))
        assert seen is not None
        # The market goes on: a refresh some polls later shows a newer reading in the same message.
        await product.said("ingest_done", count=len(product.events("ingest_done")) + 2)
        await ben.click(month, "Refresh")
        fresh = await ben.changed(month, within=30)
        newer = re.search(r"as of <t:(\d+)", words(fresh))
        assert newer is not None
        assert int(newer.group(1)) > int(seen.group(1))
        assert pressed(fresh) == ["30 d"]

        rows = await ben.answer(await ben.click(fresh, "Show data"), within=30)
        assert is_private(rows)
        assert rows["id"] != card["id"]
        text = words(rows)
        assert "Stored rows: RTX 4090" in text
        row = re.search(r"Source time: <t:(\d+)", text.replace("**", ""))
        assert row is not None, text
        assert int(row.group(1)) >= int(newer.group(1)), "the row behind the card, or one that came meanwhile"
        assert "version 1" in text
        shown = [message["id"] for message in await ben.messages(world.channel) if not is_private(message)]
        assert shown.count(card["id"]) == 1
        assert shown[-1] == card["id"], "the clicks made no message of their own in the channel"


async def test_a_stranger_gets_a_copy_of_his_own(world: World, product: Product) -> None:
    async with world.actor("cem") as cem, world.actor("dora") as dora:
        card = await card_of(cem, world)
        copy = await dora.answer(await dora.click(card, "24 h"), within=30)
        assert is_private(copy)
        assert pressed(copy) == ["24 h"]
        [same] = [message for message in await cem.messages(world.channel) if message["id"] == card["id"]]
        assert pressed(same) == ["7 d"], "the card of the other is as it was"
        assert copy["id"] not in [message["id"] for message in await cem.messages(world.channel)]
        # The copy is hers: her next click edits it.
        await dora.click(copy, "90 d")
        await dora.changed(copy, lambda message: pressed(message) == ["90 d"], within=30)


async def test_the_other_commands_and_a_dm(world: World, product: Product) -> None:
    async with world.actor("eli") as eli:
        status = words(await eli.run(world.channel, "status", within=30))
        assert "Market data" in status
        assert "500.farm" in status
        assert "/price" in words(await eli.run(world.channel, "help", within=30))
        assert words(await eli.run(world.channel, "about", within=30))
        private = await eli.open_dm()
        card = await eli.run(private["id"], "price", {"gpu": "rtx-5090"}, within=30)
        assert "RTX 5090 on Vast.ai" in words(card)


async def test_an_unknown_name_is_refused_in_private(world: World, product: Product) -> None:
    async with world.actor("fay") as fay:
        answer = await fay.run(world.channel, "price", {"gpu": "rtx 4999 @everyone"}, within=30)
        assert is_private(answer)
        assert "I don't know a GPU called" in words(answer)
        assert re.search(r"Error [0-9A-HJKMNP-TV-Z]{6}", words(answer))
        assert "@everyone" not in words(answer).replace("@\u200beveryone", "")


async def test_what_was_sent_fits_discords_description(world: World, product: Product) -> None:
    sent = [record for record in world.discord.requests if record.body is not None]
    assert len(sent) > 5
    assert [(record.route, record.schema_errors) for record in sent if record.schema_errors] == []
    assert [record.route for record in world.discord.requests if record.status >= 400] == []


async def test_the_web_shows_the_same_figures(world: World, product: Product, site: Web) -> None:
    status, body = await site.get("/api/v1/prices?gpu=rtx-4090")
    assert status == 200
    [quote] = body["quotes"]
    assert (quote["platform"], quote["source"], quote["verification"]) == ("vast", "500.farm", "any")
    assert quote["host_take"] == pytest.approx(quote["price"] * 0.75)
    status, kind, data = await site.bytes("/chart/rtx-4090.webp?range=24h")
    assert (status, kind) == (200, "image/webp")
    assert is_chart(data)
    status, kind, data = await site.bytes("/chart/rtx-4090.png?range=24h")
    assert (status, kind, data[:4]) == (200, "image/png", b"\x89PNG")
    assert await site.metric("command_duration_seconds_count", command="price", outcome="ok")


async def test_the_command_line_beside_the_running_process(world: World, product: Product, site: Web) -> None:
    world.farm.publisher.set_documents({})  # a new publication, so that there is something to store
    done = await command(product.environment, product.folder, "ingest")
    assert code_of(done) == 0, done.lines
    newest = max(quote["as_of"] for quote in (await site.get("/api/v1/prices"))[1]["quotes"])
    count = len(product.events("ingest_done"))
    await product.said("ingest_done", count=count + 1)

    async def newer() -> bool:
        return max(quote["as_of"] for quote in (await site.get("/api/v1/prices"))[1]["quotes"]) > newest

    await until(newer, "the running process goes on")


async def test_old_cards_work_after_a_restart(world: World, product: Product, site: Web) -> None:
    async with world.actor("gus") as gus:
        card = await card_of(gus, world)
        before = len([record for record in world.discord.requests if record.method == "PUT"])
        assert await product.stop() < 10
        await until(lambda: not world.discord.ready, "the gateway session is closed")
        await product.start()
        await world.bot_answers()
        await site.draws()
        await gus.click(card, "1 y")
        year = await gus.changed(card, lambda message: pressed(message) == ["1 y"], within=30)
        assert is_chart(await gus.file(year["attachments"][0]["url"]))
        registered = [record for record in world.discord.requests if record.method == "PUT"]
        assert len(registered) == before, "unchanged commands are not registered again"
