"""``/digest``: set, changed and ended by its member alone; a preview shows what it would say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.i18n import translator_for
from gpuscout.alerts.messages import AlertItem
from gpuscout.alerts.rules import GpuScope, PriceRule
from gpuscout.cards.digest_card import digest_card, mention_card
from gpuscout.delivery.channels import Letter
from gpuscout.delivery.digest_message import digest_renderer
from gpuscout.digests.models import DigestContent
from gpuscout.portfolio.models import HoldingDraft
from storage.attempts import Notification
from storage.digests import Owner, StoredDigest
from storage.notifications import Target
from tests.cogs.conftest import Scene, buttons, components, pictures, selects, texts
from tests.fakes import NOW, FakeCharts, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)
EN = translator_for("en-US")


def stored(world: World, member: Any) -> StoredDigest | None:
    return world.digest_rows.rows.get(Owner(member_id=member.id))


async def test_set_without_options_is_daily_at_eight(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "digest set")

    assert result.ephemeral
    text = texts(result.response)
    assert "✅ Your digest comes every day at 08:00." in text
    assert "**When** every day at 08:00, UTC" in text
    assert "You have set no time zone: </settings:" in text
    assert f"(<t:{int(datetime(2026, 1, 1, 8, tzinfo=UTC).timestamp())}:R>)" in text
    assert "**Where** direct message, else mention where you set it" in text
    assert "There is nothing of yours to tell of yet: </watchlist add:" in text
    assert list(buttons(result.response)) == ["Preview", "Turn off"]
    row = stored(world, scene.alice)
    assert row is not None
    assert (row.cadence, row.hour, row.channel_id, row.locale) == ("daily", 8, scene.channel.id, "en-US")
    assert world.opt_in.asked == [scene.alice.id]
    assert stored(world, scene.bob) is None


@pytest.mark.parametrize(
    ("options", "said", "rule"),
    [
        ({"every": "weekly"}, "every Monday at 08:00", ("weekly", 0, 8)),
        ({"every": "weekly", "weekday": "4", "hour": 19}, "every Friday at 19:00", ("weekly", 4, 19)),
        ({"weekday": "6"}, "every Sunday at 08:00", ("weekly", 6, 8)),
        ({"hour": 0}, "every day at 00:00", ("daily", 0, 0)),
    ],
)
async def test_options(
    scene: Scene, world: World, options: dict[str, Any], said: str, rule: tuple[str, int, int]
) -> None:
    result = await scene.alice.slash(scene.channel, "digest set", **options)
    assert f"Your digest comes {said}." in texts(result.response)
    row = stored(world, scene.alice)
    assert row is not None and (row.cadence, row.weekday, row.hour) == rule


async def test_what_is_not_named_stays_and_the_first_message_goes_out_once(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "digest set", every="weekly", weekday="2", hour=20)
    owner = Owner(member_id=scene.alice.id)
    world.digest_rows.rows[owner] = replace(world.digest_rows.rows[owner], last_at=NOW - timedelta(days=6))
    result = await scene.alice.slash(scene.channel, "digest set", hour=7)
    assert "every Wednesday at 07:00" in texts(result.response)
    assert f"**Last** <t:{int((NOW - timedelta(days=6)).timestamp())}:R>" in texts(result.response)
    assert world.opt_in.asked == [scene.alice.id]


async def test_the_hour_counts_in_the_members_zone(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "settings", timezone="America/New_York")
    result = await scene.alice.slash(scene.channel, "digest set", hour=8)
    assert "New York · Eastern Time (UTC−05:00)" in texts(result.response)
    assert "You have set no time zone" not in texts(result.response)
    row = stored(world, scene.alice)
    assert row is not None
    assert (row.next_at, row.timezone) == (datetime(2026, 1, 1, 13, tzinfo=UTC), "America/New_York")


async def test_the_menus_change_it_in_place(scene: Scene, world: World) -> None:
    panel = (await scene.alice.slash(scene.channel, "digest set")).response
    days, hours = selects(panel)
    assert [option["label"] for option in days["options"]][:3] == ["Every day", "Every Monday", "Every Tuesday"]
    assert len(hours["options"]) == 24
    await scene.alice.select(panel, ["3"], custom_id=days["custom_id"])
    await scene.alice.select(panel, ["21"], custom_id=hours["custom_id"])
    assert "**When** every Thursday at 21:00" in texts(panel)
    await scene.alice.select(panel, ["day"], custom_id=days["custom_id"])
    assert "**When** every day at 21:00" in texts(panel)


async def test_off_and_on_again(scene: Scene, world: World) -> None:
    panel = (await scene.alice.slash(scene.channel, "digest set", hour=5)).response
    await scene.alice.click(panel, label="Turn off")
    assert "✅ Your digest is off." in texts(panel)
    assert stored(world, scene.alice) is None
    await scene.alice.click(panel, label="Turn on")
    assert "every day at 08:00" in texts(panel)
    result = await scene.alice.slash(scene.channel, "digest off")
    assert result.ephemeral
    assert "✅ Your digest is off." in texts(result.response)
    result = await scene.alice.slash(scene.channel, "digest off")
    assert "You had no digest." in texts(result.response)
    assert list(buttons(result.response)) == ["Turn on", "Preview"]


async def test_what_keeps_it_from_arriving_is_said(scene: Scene, world: World) -> None:
    world.opt_in.reach = "closed"
    result = await scene.alice.slash(scene.channel, "digest set", hour=5)
    assert "I cannot send you direct messages" in texts(result.response)
    await world.choice_rows.put(
        scene.alice.id, {"muted_kinds": ["digest"], "quiet_start": 22 * 60, "quiet_end": 7 * 60}, NOW
    )
    result = await scene.alice.slash(scene.channel, "digest set", hour=5)
    text = texts(result.response)
    assert "You muted digests in </settings:" in text
    assert f"That lies in your quiet hours: it comes <t:{int((NOW + timedelta(hours=7)).timestamp()) - 1}:R>." in text


async def fill(scene: Scene, world: World) -> None:
    """A portfolio with history, a followed GPU, an alert that fired."""
    me = scene.alice.id
    portfolios = world.portfolios()
    await portfolios.add(
        me, HoldingDraft(gpu="rtx-4090", quantity=8, platform="vast", tariff=0.12, asked_price=0.45, name="*Rig* @here")
    )
    world.holding_rows.remember_days(me, NOW - timedelta(hours=8), 30, 24.0)
    await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-5090")
    rule = PriceRule(scope=GpuScope(gpu="rtx-4090", platform="vast"), direction="below", level=0.34)
    at = NOW - timedelta(hours=3)
    item = AlertItem(
        rule_id=1,
        when=rule,
        kind="price",
        happened="below",
        metric="price",
        gpu="rtx-4090",
        platform="vast",
        after=0.335,
        at=at,
    )
    world.digest_rows.alerts[Owner(member_id=me)] = [(at, item.model_dump(mode="json"))]


async def test_a_preview_of_everything(scene: Scene, world: World) -> None:
    await fill(scene, world)
    panel = (await scene.alice.slash(scene.channel, "digest set")).response
    result = await scene.alice.click(panel, label="Preview")

    assert result.ephemeral
    text = texts(result.response)
    assert "## Your day, Jan 1, 2026" in text
    assert "A preview: this is how it will look." in text
    assert "/day net expected, $" in text
    assert "a day since <t:" in text
    assert "8 × \\*Rig\\* @\u200bhere (RTX 4090) · " in text
    assert "priced above the market's range" in text
    assert "**Your GPUs in the market, over 24 h**" in text
    assert "▲ +2.0% **RTX 5090** $0.40/h · 67% rented" in text
    assert "**1 alert fired**" in text
    assert "RTX 4090 · Vast.ai: price below $0.34/h → $0.335/h · <t:" in text
    assert "Net: after the platform's fee and electricity" in text
    assert len(pictures(result.response)) == 1
    assert world.charts.specs[-1].title == "Your portfolio: net USD a day"
    assert list(buttons(result.response)) == ["RTX 4090", "RTX 5090", "Change digest"]

    card = await scene.alice.click(result.response, label="RTX 4090")
    assert "renters pay" in texts(card.response)


async def test_without_a_portfolio_the_followed_gpus_and_their_price(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-3060")
    panel = (await scene.alice.slash(scene.channel, "digest set", every="weekly")).response
    assert "There is nothing of yours" not in texts(panel)
    result = await scene.alice.click(panel, label="Preview")
    text = texts(result.response)
    assert "Your week" in text and "over 7 d" in text
    assert "**Portfolio**" not in text and "Net:" not in text
    assert world.charts.specs[-1].title == "RTX 3060: USD per GPU-hour"


async def test_an_empty_preview_teaches(scene: Scene) -> None:
    panel = (await scene.alice.slash(scene.channel, "digest off")).response
    result = await scene.alice.click(panel, label="Preview")
    text = texts(result.response)
    assert "follow a GPU with `/watchlist add` or add your own with `/portfolio add`" in text
    assert pictures(result.response) == []


async def test_without_market_data_and_without_charts(scene: Scene, world: World) -> None:
    await scene.alice.slash(scene.channel, "watchlist add", gpu="rtx-3060")
    world.charts.failing = True
    panel = (await scene.alice.slash(scene.channel, "digest set")).response
    result = await scene.alice.click(panel, label="Preview")
    assert "RTX 3060" in texts(result.response)
    assert pictures(result.response) == []
    world.market.stored = [replace(q, at=NOW - timedelta(hours=9)) for q in world.market.stored]
    result = await scene.alice.click(panel, label="Preview")
    assert "The market's data are too old to show" in texts(result.response)


# --- what is delivered ---


def told(*contents: DigestContent) -> Notification:
    return Notification(
        id="n1",
        kind="digest",
        target=Target(5),
        severity="info",
        state="pending",
        created_at=NOW,
        due_at=NOW,
        items=tuple(content.model_dump(mode="json") for content in contents),
    )


async def test_the_delivered_digest_is_that_of_its_payload(scene: Scene, world: World) -> None:
    await fill(scene, world)
    services = world.services()
    content = await services.digests.preview(Owner(member_id=scene.alice.id), "UTC", "en-US")
    message = await digest_renderer(FakeCharts())(told(content), Letter("dm", EN, "UTC"))
    assert message is not None and message.card is not None
    assert [picture.filename for picture in message.pictures] == ["digest.webp"]
    sent = await scene.env.bot.get_channel(scene.channel.id).send(view=message.card, file=message.pictures[0].file())
    posted = scene.channel.last_message
    assert sent.id == posted.id
    assert "A preview" not in texts(posted)
    assert list(buttons(posted)) == ["RTX 4090", "RTX 5090", "Change digest", "Stop digest"]

    # Its buttons concern whoever clicks, and leave it as it is.
    changed = await scene.bob.click(posted, label="Change digest")
    assert changed.ephemeral and "You have no digest." in texts(changed.response)
    await scene.alice.slash(scene.channel, "digest set")
    stopped = await scene.alice.click(posted, label="Stop digest")
    assert stopped.ephemeral and "✅ Your digest is off." in texts(stopped.response)
    assert "Your day" in texts(posted)


async def test_a_mention_shows_nothing_of_it_but_a_button(scene: Scene, world: World) -> None:
    content = DigestContent(since=NOW - timedelta(days=1), until=NOW)
    message = await digest_renderer(None)(told(content), Letter("mention", EN, "UTC"))
    assert message is not None and message.card is not None
    await scene.env.bot.get_channel(scene.channel.id).send(view=message.card)
    posted = scene.channel.last_message
    assert "Your digest is ready." in texts(posted)
    await fill(scene, world)
    shown = await scene.alice.click(posted, label="Show my digest")
    assert shown.ephemeral and "net expected" in texts(shown.response)
    shown = await scene.bob.click(posted, label="Show my digest")
    assert shown.ephemeral and "net expected" not in texts(shown.response)
    assert [c["custom_id"] for c in components(posted) if c["type"] == 2] == ["dig1|open"]
    assert mention_card(EN).total_children_count == 4


async def test_two_that_waited_are_one_message(scene: Scene) -> None:
    first = DigestContent(since=NOW - timedelta(days=2), until=NOW - timedelta(days=1), alerts_total=2)
    second = DigestContent(since=NOW - timedelta(days=1), until=NOW, alerts_total=1, locale="de")
    message = await digest_renderer(None)(told(first, second), Letter("dm", EN, "UTC"))
    assert message is not None and message.card is not None
    await scene.env.bot.get_channel(scene.channel.id).send(view=message.card)
    text = texts(scene.channel.last_message)
    assert "Ich war weg, als die letzte fällig war" in text
    assert "**3 Alarme ausgelöst**" in text
    assert "und 3 weitere" in text


def test_the_longest_digest_fits_into_a_message() -> None:
    from gpuscout.digests.models import AlertLine, HoldingLine, MoverLine, PortfolioPart

    name = "*" * 200
    rule = PriceRule(scope=GpuScope(gpu="x" * 80, platform="y" * 32), direction="crossing", level=999.9)
    item = AlertItem(rule_id=1, when=rule, kind="price", happened="above", metric="price", after=0.1, at=NOW)
    mover = MoverLine(
        gpu="g", name=name, platform="p", platform_name=name, region="global", price=1, ratio=9, utilization=1
    )
    content = DigestContent(
        since=NOW,
        until=NOW,
        missed=99,
        portfolio=PortfolioPart(
            holdings=9,
            gpus=9,
            valued_gpus=3,
            net_day=-1e6,
            market_net_day=1e6,
            then_day=1.0,
            then_at=NOW,
            then_gpus=3,
            lines=(HoldingLine(name=name, quantity=9, standing="above"),) * 5,
        ),
        movers=(mover, mover.model_copy(update={"platform": "q"})) * 4,
        busiest=(mover,) * 4,
        alerts=(AlertLine(item=item, gpu_name=name, platform_name=name),) * 8,
        alerts_total=1000,
        as_of=NOW,
        sources=((name, "https://example.com/" + "a" * 200),) * 3,
        simulated=True,
    )
    card = digest_card(content, None, translator_for("de"))
    assert card.content_length() <= 4000
    assert card.total_children_count <= 40


@pytest.mark.usefixtures("german")
async def test_in_german(scene: Scene, world: World) -> None:
    await fill(scene, world)
    panel = (await scene.alice.slash(scene.channel, "digest set", weekday="0")).response
    text = texts(panel)
    assert "Deine Zusammenfassung kommt jeden Montag um 08:00." in text
    assert [option["label"] for option in selects(panel)[0]["options"]][:2] == ["Jeden Tag", "Jeden Montag"]
    shown = texts((await scene.alice.click(panel, label="Vorschau")).response)
    assert "netto erwartet" in shown
    row = stored(world, scene.alice)
    assert row is not None and row.locale == "de"
