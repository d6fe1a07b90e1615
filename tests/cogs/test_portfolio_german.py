"""Portfolios and payback for members whose client is German."""

from __future__ import annotations

import pytest

from tests.cogs.conftest import Scene, buttons, texts
from tests.fakes import NOW, World

pytestmark = [pytest.mark.simcord(shard_count=1, check_errors=False), pytest.mark.usefixtures("german")]


async def test_a_rig_and_its_sum(scene: Scene, world: World) -> None:
    shown = await scene.alice.slash(
        scene.channel, "portfolio add", gpu="rtx-4090", quantity=8, price=0.35, platform="vast"
    )
    text = texts(shown.response).replace("\u00a0", " ")
    assert "✅ In dein Portfolio aufgenommen." in text
    assert "/Tag netto erwartet" in text
    assert "8 GPUs × 0,35 $ × 24 h × " in text
    assert "liegt in der Spanne des Marktes von 0,26 $ bis 0,43 $ (p10–p90)" in text
    assert list(buttons(shown.response))[:3] == ["Bearbeiten", "Kauf und Kosten", "Entfernen"]
    how = await scene.alice.click(shown.response, label="Wie ist das berechnet?")
    text = texts(how.response)
    assert "Netto am Tag = Brutto − Gebühr − Strom = **" in text
    assert "- Median des Marktes: **" in text
    assert "von dir eingegeben" in text
    world.holding_rows.remember_days(scene.alice.id, NOW, 9)
    await scene.alice.click(shown.response, label="Ganzes Portfolio")
    assert world.charts.specs[-1].title == "Portfolio: erwartete USD netto am Tag"


async def test_a_form_reads_german_numbers(scene: Scene, world: World) -> None:
    form = await scene.alice.slash(scene.channel, "portfolio add")
    values = {"gpu": "RTX 4090", "quantity": "8", "price": "0,35", "platform": ["vast"], "electricity": "0,32 $/kWh"}
    await scene.alice.submit_modal(form, values)
    (row,) = world.holding_rows.rows.values()
    assert (row["asked_price"], row["tariff"]) == (0.35, 0.32)
    refused = await scene.alice.slash(scene.channel, "portfolio edit", holding="9")
    assert "Einen Bestand „9“ hast du nicht" in texts(refused.response)


async def test_payback_and_advice(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, "roi", gpu="rtx-4090", price=1800.0)
    assert "Amortisation: 1 × RTX 4090 für 1.800,00 $" in texts(shown.response).replace("\u00a0", " ")
    await scene.alice.click(shown.response, label="Ins Portfolio")
    advice = await scene.alice.slash(scene.channel, "portfolio advice")
    assert "Beste Nutzung: **vermieten**" in texts(advice.response)
