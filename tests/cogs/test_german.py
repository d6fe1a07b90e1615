"""German, as the proof that texts are translatable and numbers and times follow the reader."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bot.sync import command_payload
from config.i18n import translator_for
from tests.cogs.conftest import Scene, buttons, selects, texts
from tests.fakes import World

ROOT = Path(__file__).resolve().parents[2]
SAME = {
    "Version",
    "Shards",
    "Status",
    "Median",
    "p10–p90",
    "Spot",
    "Secure Cloud",
    "{count} GPUs",
    "Community-Cloud",
    "GPU",
    "1 GPU",
    "Portfolio",
    "Webhooks",
}


@pytest.mark.usefixtures("german")
@pytest.mark.simcord(shard_count=1)
async def test_price_card(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")

    text = texts(result.response)
    assert "RTX 4090 auf Vast.ai" in text
    assert "**0,335 $/h** zahlen Mieter · **0,251 $/h** bekommen Hosts" in text.replace("\u00a0", " ")
    assert "Vermietet 0,260  0,330 0,400" in text
    assert "4.986 gelisteten GPUs" in text
    assert "**Auslastung** 48" in text
    assert "Stand <t:1767225016:R>" in text
    assert list(buttons(result.response)) == [
        "24 Std.",
        "7 T.",
        "30 T.",
        "90 T.",
        "1 J.",
        "2 J.",
        "Aktualisieren",
        "Daten zeigen",
        "Als CSV",
        "Melde mir",
        "Ins Portfolio",
    ]
    assert selects(result.response)[0]["options"][0]["label"] == "Verifizierte Maschinen"
    (spec,) = world.charts.specs
    assert spec.locale == "de"
    assert spec.panels[1].series[0].label == "Auslastung"


@pytest.mark.usefixtures("german")
@pytest.mark.simcord(shard_count=1, check_errors=False)
async def test_errors(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "price", gpu="RTX 4900")
    said = texts(result.response)
    assert "Eine GPU namens „RTX 4900“ kenne ich nicht. Meintest du **RTX 4090**" in said
    assert re.search(r"-# Fehler [0-9A-Z]{6}$", said)


@pytest.mark.usefixtures("german")
@pytest.mark.simcord(shard_count=1)
async def test_help_describes_commands_in_german(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "help")
    assert re.search(r"</price:\d+> – Was eine GPU kostet", texts(result.response))


def english_texts() -> dict[str, str]:
    """Every text that the rooms of this bot translate, with the file it is in."""
    found: dict[str, str] = {}
    for room in ("cogs", "gpuscout/cards", "bot"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t"):
                    continue
                if isinstance(node.args[0], ast.Constant):
                    found[node.args[0].value] = str(path.relative_to(ROOT))
    return found


def test_every_text_is_translated_with_the_same_fields() -> None:
    english = english_texts()
    assert len(english) > 100
    german = translator_for("de")
    missing, wrong = [], []
    for text, where in english.items():
        translated = german(text)
        if translated == text and text not in SAME:
            missing.append(f"{where}: {text}")
        if set(re.findall(r"{\w+}", text)) != set(re.findall(r"{\w+}", translated)):
            wrong.append(text)
    assert not missing
    assert not wrong


@pytest.mark.simcord(shard_count=1)
async def test_every_description_is_translated(scene: Scene) -> None:
    for command in await command_payload(scene.env.bot.tree):
        # A message menu has nothing but its name.
        texts_of = command["description_localizations" if command["type"] == 1 else "name_localizations"]
        assert "de" in texts_of, command["name"]
