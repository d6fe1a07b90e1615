"""A member's rigs from end to end: the real process, a Discord, a market, and a restart in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.discord.actor import Actor, components
from tests.e2e.harness import Product, Web, World, is_private, until, web, words

Json = dict[str, Any]
RIG = {"gpu": "rtx-4090", "quantity": 8, "price": 0.35, "platform": "vast", "name": "Rig 1"}


async def priced(site: Web) -> bool:
    """Whether there is a price to value by."""
    status, found = await site.get("/api/v1/prices?gpu=rtx-4090&platform=vast")
    return status == 200 and '"price"' in json.dumps(found)


async def edited(actor: Actor, message: Json, text: str) -> Json:
    """The card once it says *text*."""
    return await actor.wait_for_message(lambda m: m["id"] == message["id"] and text in words(m), within=60)


async def test_a_newcomers_rigs(tmp_path: Path) -> None:
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as product:
        await product.start()
        await world.bot_answers()
        async with web(product.url) as site:
            await until(lambda: priced(site), "the market was read")
        async with world.actor("ada") as ada, world.actor("ben") as ben:
            card = await ada.run(world.channel, "portfolio", RIG, subcommand="add", within=60)
            assert is_private(card)
            assert "Rig 1: 8 × RTX 4090" in words(card) and "/day net expected" in words(card)
            assert "8 GPUs × $0.35 × 24 h × " in words(card)

            # By form, into the portfolio that was shown.
            shown = await ada.run(world.channel, "portfolio", subcommand="show", within=60)
            clicked = await ada.click(shown, "Add a rig")
            await ada.form(clicked, within=60)
            values = {"gpu": "RTX 5090", "quantity": "2", "price": "", "platform": ["vast"], "electricity": "0,2"}
            await ada.submit_modal(clicked, values)
            added = await edited(ada, shown, "2 × RTX 5090")

            # What is stored and every control survive a restart; nobody else sees any of it.
            await product.stop()
            await product.start()
            await world.bot_answers()
            await ada.click(added, "Whole portfolio")
            whole = await edited(ada, shown, "2 holdings, 10 GPUs")
            how = await ada.answer(await ada.click(whole, "How is this computed?"), within=60)
            assert is_private(how) and "sums over the 2 holdings" in words(how)
            advice = await ada.run(world.channel, "portfolio", subcommand="advice", within=60)
            assert "Rig 1" in words(advice) and "Best use: **" in words(advice)
            assert "Your portfolio is empty" in words(await ben.run(world.channel, "portfolio", subcommand="show"))
            assert await ben.autocomplete(world.channel, "portfolio", "holding", subcommand="edit") == []
            (first, _) = await ada.autocomplete(world.channel, "portfolio", "holding", subcommand="edit")
            assert first["name"] == "Rig 1: 8 × RTX 4090 · Vast.ai · $0.35/h"
            stolen = await ben.run(world.channel, "portfolio", {"holding": first["value"]}, subcommand="remove")
            assert "You have no holding" in words(stolen)
        assert not product.trouble, product.tail()


async def test_payback_becomes_a_rig_that_goes_and_comes_back(tmp_path: Path) -> None:
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as product:
        await product.start()
        await world.bot_answers()
        async with web(product.url) as site:
            await until(lambda: priced(site), "the market was read")
        async with world.actor("ada") as ada:
            asked = {"gpu": "rtx-4090", "price": 1800, "electricity": 0.1}
            card = await ada.run(world.channel, "roi", asked, within=60)
            assert is_private(card)
            assert "Payback: 1 × RTX 4090 for $1,800.00" in words(card) and "months" in words(card)
            await ada.click(card, "Add to portfolio")
            rig = await edited(ada, card, "Added to your portfolio.")
            assert "1 × RTX 4090" in words(rig)

            # Out as a file, removed, and back. (A member has an allowance: no more clicks than these at a stretch.)
            given = await ada.run(world.channel, "portfolio", subcommand="export", within=60)
            (file,) = [part["file"]["url"] for part in components(given) if part["type"] == 13]
            assert (await ada.file(file)).decode().splitlines()[1].startswith(",rtx-4090,1,")
            await ada.click(rig, "Remove")
            asked = await edited(ada, card, "Remove **1 × RTX 4090** from your portfolio?")
            await ada.click(asked, "Remove")
            removed = await edited(ada, card, "is removed")
            await ada.click(removed, "Undo")
            assert "1 × RTX 4090" in words(await edited(ada, card, "It is back."))
        assert not product.trouble, product.tail()
