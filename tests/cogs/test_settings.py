"""``/settings``: what a member chose is shown to him alone, used in his cards, listed in full, and erased."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cogs.conftest import Scene, buttons, texts
from tests.fakes import NOW, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)


async def test_nothing_is_stored_by_looking(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "settings")

    assert result.ephemeral
    text = texts(result.response)
    assert "**Time zone** UTC" in text
    assert "**Currency** US dollars" in text
    assert "**Electricity** not set" in text
    assert "**Language** as your Discord" in text
    assert world.member_rows.rows == {}
    assert "**Notifications** direct message, else mention where you set it" in text
    assert list(buttons(result.response)) == [
        "Privacy",
        "Notifications",
        "Electricity by the hour",
        "What is stored about me",
        "Delete my data",
    ]


async def test_set_everything(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(
        scene.channel, "settings", timezone="Eastern Time", currency="EUR", electricity=0.3, language="en"
    )

    text = texts(result.response)
    assert "✅ Saved." in text
    assert "**Time zone** New York · Eastern Time (UTC−05:00)" in text
    assert "**Currency** Euro beside US dollars, at 0.8600 for $1, the operator's rate of Dec 19, 2025 (ECB)" in text
    assert "**Electricity** $0.30/kWh" in text
    assert "**Language** English" in text
    row = world.member_rows.rows[scene.alice.id]
    assert (row["timezone"], row["currency"], row["tariff"], row["locale"]) == ("America/New_York", "EUR", 0.3, "en")


async def test_one_option_leaves_the_others(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "settings", timezone="Europe/Berlin", language="de")
    await scene.alice.slash(scene.channel, "settings", currency="EUR")
    await scene.alice.slash(scene.channel, "settings", language="auto", currency="usd")
    row = world.member_rows.rows[scene.alice.id]
    assert (row["timezone"], row["currency"], row["locale"]) == ("Europe/Berlin", None, None)


async def test_the_language_chosen_is_that_of_every_answer(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "settings", language="de")
    assert "Deine Einstellungen" in texts(result.response)
    assert "zahlen Mieter" in texts((await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")).response)
    error = await scene.alice.slash(scene.channel, "price", gpu="zzzzz")
    assert "kenne ich nicht" in texts(error.response)
    assert "renters pay" in texts((await scene.bob.slash(scene.channel, "price", gpu="rtx-4090")).response)


async def test_currency_and_zone_reach_the_price_card(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "settings", timezone="Asia/Tokyo", currency="EUR")
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert "≈ €0.288/h · €0.216/h at 0.8600 EUR for $1, the operator's rate of Dec 19, 2025" in texts(card.response)
    assert world.charts.specs[-1].timezone == "Asia/Tokyo"
    await scene.bob.slash(scene.channel, "price", gpu="rtx-4090")
    assert world.charts.specs[-1].timezone == "UTC"


@pytest.mark.parametrize(
    ("typed", "first", "value"),
    [
        ("", "UTC", "UTC"),
        ("eastern", "New York · Eastern Time (UTC−05:00)", "America/New_York"),
        ("deutschland", "Berlin · Central European Time (UTC+01:00)", "Europe/Berlin"),
        ("sao paulo", "Sao Paulo · Brasilia Time (UTC−03:00)", "America/Sao_Paulo"),
        ("kiev", "Kyiv · Ukraine (Kyiv) Time (UTC+02:00)", "Europe/Kyiv"),
    ],
)
async def test_time_zones_in_plain_words(scene: Scene, typed: str, first: str, value: str) -> None:
    choices = await scene.alice.autocomplete(scene.channel, "settings", "timezone", typed)
    assert choices[0] == {"name": first, "value": value}
    assert len(choices) <= 25


async def test_currencies_that_have_a_rate(scene: Scene) -> None:
    choices = await scene.alice.autocomplete(scene.channel, "settings", "currency", "")
    assert [choice["name"] for choice in choices] == ["USD · US Dollar", "EUR · Euro"]
    assert await scene.alice.autocomplete(scene.channel, "settings", "currency", "pound") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timezone": "Atlantis"}, "I don't know a time zone “Atlantis”"),
        ({"timezone": "../../etc/passwd"}, "I don't know a time zone"),
        ({"currency": "GBP"}, "“GBP” cannot be shown: there are rates for **USD**, **EUR**."),
    ],
)
async def test_what_does_not_fit_changes_nothing(
    scene: Scene, world: World, options: dict[str, str], said: str
) -> None:
    result = await scene.alice.slash(scene.channel, "settings", electricity=0.5, **options)
    assert result.ephemeral
    assert said in texts(result.response)
    assert world.member_rows.rows == {}


async def test_everything_that_is_stored_is_listed(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-4090")
    settings = await scene.alice.slash(scene.channel, "settings", timezone="Europe/Berlin", electricity=0.3)
    world.member_rows.dm_channels.add(scene.alice.id)
    world.member_rows.used[str(scene.alice.id)] = (12, NOW - timedelta(days=5))
    world.member_rows.others[scene.alice.id] = {
        "holding": 3,
        "portfolio_snapshot": 40,
        "alert_rule": 5,
        "digest_subscription": 1,
        "member_delivery": 1,
        "notification": 17,
        "mail_address": 1,
        "mail_message": 3,
        "webhook_endpoint": 2,
        "outgoing_event": 9,
    }

    shown = await scene.alice.click(settings.response, label="What is stored about me")

    assert shown.ephemeral
    text = texts(shown.response)
    assert f"**Discord user id** `{scene.alice.id}`" in text
    assert "**Time zone** Europe/Berlin" in text
    assert "**Electricity** $0.30/kWh" in text
    assert "**Currency** none" in text
    assert "**Language** none" in text
    assert "**First set** <t:" in text
    assert "**Last changed** <t:" in text
    assert "**Watchlist** RTX 4090 (<t:" in text
    assert "**Direct message channel** its id" in text
    assert "12 uses of commands and buttons" in text
    assert "**Portfolio** 3 holdings (removed ones for a day), 40 daily values, 0 tariffs by the hour" in text
    assert "**Alerts** 5 rules, with what they did" in text
    assert "**Digest** when it comes" in text
    assert "**Notifications** where and when you hear" in text
    assert "**Messages** 17 of the last 90 days" in text
    assert "**E-mail** your address, and when which mail was sent (4 rows)" in text
    assert "**Webhooks** 2 addresses, their keys encrypted" in text
    assert "**Events for webhooks** 9 of the last 30 days" in text


async def test_of_a_stranger_nothing_is_stored(scene: Scene) -> None:
    settings = await scene.alice.slash(scene.channel, "settings")
    shown = await scene.alice.click(settings.response, label="What is stored about me")
    assert "Nothing. A row is made when" in texts(shown.response)


async def test_deletion_asks_first_and_takes_everything(scene: Scene, world: World) -> None:
    for member in (scene.alice, scene.bob):
        await member.slash(scene.channel, "watchlist add", gpu="rtx-4090")
        await member.slash(scene.channel, "settings", timezone="Europe/Berlin")
        world.member_rows.used[str(member.id)] = (3, NOW)
        world.member_rows.others[member.id] = {"holding": 2, "alert_rule": 5}
    settings = await scene.alice.slash(scene.channel, "settings")

    question = await scene.alice.click(settings.response, label="Delete my data")
    assert question.ephemeral
    assert "erases your settings, your watchlist, your portfolio, your alerts" in texts(question.response)
    assert scene.alice.id in world.member_rows.rows
    await scene.alice.click(question.response, label="Cancel")
    assert scene.alice.id in world.member_rows.rows

    question = await scene.alice.click(settings.response, label="Delete my data")
    recorded = len(world.usage.events)
    await scene.alice.click(question.response, label="Delete everything")

    text = texts(question.response)
    assert "Done: 1 row of settings, 1 followed GPUs, 0 message channel, 3 usage events and 7 other rows" in text
    assert scene.alice.id not in world.member_rows.rows
    assert scene.alice.id not in world.member_rows.watched
    assert len(world.usage.events) == recorded, "the deletion itself must not be the first new event"
    assert scene.bob.id in world.member_rows.rows
    assert "**Time zone** UTC" in texts((await scene.alice.slash(scene.channel, "settings")).response)


async def test_when_the_database_is_away_prices_are_still_answered(scene: Scene, world: World) -> None:
    world.member_rows.error = RuntimeError("no database")
    result = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    assert "renters pay" in texts(result.response)
    assert result.ephemeral, "where public answers are allowed is not known"
