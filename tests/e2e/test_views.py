"""``/compare``, ``/market`` and the message menu against the running process: figures, controls, pages, schema."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sandbox.discord.actor import components
from tests.e2e.harness import Product, Web, World, is_chart, is_private, pressed, words

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("e2e-views")]


def control(message: dict[str, Any], beginning: str) -> dict[str, Any]:
    """The component whose custom id begins so."""
    return next(part for part in components(message) if part.get("custom_id", "").startswith(beginning))


async def test_compare_by_list_figure_and_range(world: World, product: Product, site: Web) -> None:
    async with world.actor("ada") as ada:
        choices = await ada.autocomplete(world.channel, "compare", "gpus", "RTX 4090, 50")
        assert choices[0] == {"name": "RTX 4090, RTX 5090", "value": "RTX 4090, RTX 5090"}
        card = await ada.run(world.channel, "compare", {"gpus": choices[0]["value"]}, within=30)
        assert not is_private(card)
        [chart] = card["attachments"]
        assert is_chart(await ada.file(chart["url"]))
        text = words(card)
        assert "[500.farm](<https://500.farm>)" in text
        said = dict(re.findall(r"\*\*(RTX \d{4})\*\* \$([\d.]+)/h", text))
        quotes = (await site.get("/api/v1/prices"))[1]["quotes"]
        assert set(said) == {"RTX 4090", "RTX 5090"}
        for quote in quotes:
            if quote["gpu_name"] in said and quote["as_of"] == max(q["as_of"] for q in quotes):
                # The market goes on while the two are read; a simulated price moves by cents at most.
                assert float(said[quote["gpu_name"]]) == pytest.approx(quote["price"], rel=0.1)

        await ada.select(card, control(card, "compare1|metric")["custom_id"], ["earnings"])
        earned = await ada.changed(card, lambda message: "Earnings a day" in words(message), within=30)
        assert "after electricity" not in words(earned)
        assert "an assumed $0.15/kWh" in words(earned)
        await ada.click(earned, "30 d")
        month = await ada.changed(earned, lambda message: pressed(message) == ["30 d"], within=30)
        assert "Earnings a day" in words(month)
        rows = await ada.answer(await ada.click(month, "Show data"), within=30)
        assert is_private(rows)
        assert "Stored rows" in words(rows)


async def test_market_turns_pages_and_opens_cards(world: World, product: Product, site: Web) -> None:
    async with world.actor("ben") as ben, world.actor("cem") as cem:
        before = (await site.get("/api/v1/market?limit=100"))[1]
        card = await ben.run(world.channel, "market", {"sort": "supply"}, within=30)
        first = words(card)
        assert "Page 1 of" in first
        overview = (await site.get("/api/v1/market?limit=100"))[1]
        # The market goes on meanwhile: the card is of the one moment or of the other.
        assert any(f"**1. {each['supply'][0]['gpu_name']}**" in first for each in (before, overview))

        await ben.click(card, control(card, "market1.page|next.")["custom_id"])
        second = await ben.changed(card, lambda message: "Page 2 of" in words(message), within=30)
        asked = await ben.click(second, control(second, "market1.page|jump.")["custom_id"])
        await ben.form(asked, within=30)
        await ben.submit_modal(asked, {"page": "1"})
        again = await ben.changed(second, lambda message: "Page 1 of" in words(message), within=30)

        copy = await cem.answer(
            await cem.select(again, control(again, "market1.view|")["custom_id"], ["earnings"]), within=30
        )
        assert is_private(copy)
        assert "Best earners" in words(copy)
        value = control(copy, "market1.open|")["options"][0]["value"]
        opened = await cem.answer(
            await cem.select(copy, control(copy, "market1.open|")["custom_id"], [value]), within=30
        )
        assert is_private(opened)
        assert " on Vast.ai" in words(opened)
        best = overview["earnings"][0]
        watts = {gpu["slug"]: gpu["tdp_w"] for gpu in (await site.get("/api/v1/gpus"))[1]["gpus"]}[best["gpu"]]
        an_hour = best["host_take"] - watts / 1000 * 0.15
        assert best["earnings_day"] == pytest.approx(24 * best["utilization"] * an_hour, rel=1e-3)


async def test_prices_named_in_a_message(world: World, product: Product) -> None:
    async with world.actor("dora") as dora, world.actor("eli") as eli:
        said = await dora.send(world.channel, "my two 4090s, or an RTX 5090?")
        answer = await eli.answer(
            await eli.context_menu(world.channel, "Prices of GPUs named here", said["id"]), within=30
        )
        assert is_private(answer)
        assert "**RTX 4090** $" in words(answer)
        assert "**RTX 5090** $" in words(answer)
        compared = await eli.answer(await eli.click(answer, "Compare them"), within=30)
        assert is_private(compared)
        assert "Compared: Price" in words(compared)


async def test_by_mention(world: World, product: Product) -> None:
    async with world.actor("fay") as fay:
        for text, title in (
            ("compare 4090, 5090 utilization", "Compared: Utilization"),
            ("market", "GPU hosting market"),
        ):
            bot = (await fay.state())["bot"]
            await fay.send(world.channel, f"<@{bot['id']}> {text}")

            def titled(message: dict[str, Any], title: str = title) -> bool:
                return any(embed.get("title") == title for embed in message["embeds"])

            message = await fay.wait_for_message(titled, channel_id=world.channel, within=30)
            assert "500.farm" in words(message)


async def test_what_was_sent_fits_discords_description(world: World, product: Product) -> None:
    sent = [record for record in world.discord.requests if record.body is not None]
    assert len(sent) > 5
    assert [(record.route, record.schema_errors) for record in sent if record.schema_errors] == []
    assert [record.route for record in world.discord.requests if record.status >= 400] == []
