"""Real alert items through the real renderer to the sandbox's Discord, and the first DM at opt-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
from discord.http import Route

from bot.notify_role import command_mentions, make_opt_in
from config.i18n import translator_for
from gpuscout.alerts.messages import AlertItem, ExpiredItem
from gpuscout.alerts.rules import GpuScope, PriceRule
from gpuscout.delivery.discord_notify import DiscordNotifications
from gpuscout.delivery.notify_alert import AlertRenderer
from gpuscout.delivery.notify_notice import notice_renderer
from gpuscout.delivery.notify_optin import DmOptIn
from gpuscout.market.ports import Market
from tests.delivery.notify_desk import START, Desk, open_desk
from tests.fake_market import FakeMarket
from tests.fakes import FakeCharts

RULE = PriceRule(scope=GpuScope(gpu="rtx-4090", platform="vast"), direction="below", level=0.30)
ITEM = AlertItem(
    rule_id=7,
    when=RULE,
    kind="price",
    happened="below",
    severity="warning",
    metric="price",
    gpu="rtx-4090",
    platform="vast",
    before=0.31,
    after=0.29,
    threshold=0.30,
    at=START,
    impact_month=-43.2,
    source="500.farm",
)


@pytest.fixture
async def desk(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    async with open_desk(sqlite_url) as desk:
        desk.notifier._renderers = {}
        yield desk


def use(desk: Desk, charts: FakeCharts | None = None) -> AlertRenderer:
    parts = desk.parts
    market, mentions = cast("Market", FakeMarket(now=START)), command_mentions(parts.state, desk.clock)
    renderer = AlertRenderer(market, charts, None, parts.gpus, parts.platforms, mentions, clock=desk.clock)
    desk.notifier._renderers = {
        "alert": renderer.alert, "notice": notice_renderer(whole={"alert_expired": renderer.expired})
    }  # fmt: skip
    return renderer


async def test_an_alert_with_its_figures_buttons_and_clickable_commands(desk: Desk) -> None:
    use(desk)
    await desk.parts.state.set("discord.commands", {"ids": {"alert": 99}})
    await desk.add(payload=ITEM.model_dump(mode="json"))
    assert await desk.deliver() == "sent"
    (message,) = desk.said()
    embed = message["embeds"][0]
    fields = {field["name"]: field["value"] for field in embed["fields"]}
    assert "RTX 4090" in embed["title"] and {"GPU Model", "Expected Impact", "Action Required"} <= fields.keys()
    assert "43.20" in fields["Expected Impact"]
    assert [c["type"] for row in message["components"] for c in row["components"]] == [3, 2, 2, 2, 2]
    assert not [record for record in desk.discord.requests if record.schema_errors]


async def test_in_a_mention_nothing_of_the_members_own_is_said(desk: Desk) -> None:
    use(desk)
    await desk.break_discord(close_dms=[desk.ann.id])
    await desk.add(payload=ITEM.model_dump(mode="json"))
    assert await desk.deliver() == "sent"
    (message,) = desk.said(desk.channel_id)
    assert message["content"].startswith(f"<@{desk.ann.id}> ") and "RTX 4090" in message["content"]
    assert "43.20" not in str(message)


async def test_a_rule_that_ended_is_a_notice_with_a_button(desk: Desk) -> None:
    use(desk)
    ended = ExpiredItem(rule_id=7, when=RULE, kind="price", expired_at=START, fired=3)
    await desk.add(kind="notice", payload=ended.model_dump(mode="json"))
    assert await desk.deliver() == "sent"
    assert "Renew" in str(desk.said()[0]["components"])


@pytest.mark.parametrize("failing", [False, True])
async def test_an_alert_has_its_chart_and_arrives_without_one_where_it_cannot_be_drawn(
    desk: Desk, failing: bool
) -> None:
    charts = FakeCharts(failing=failing)
    use(desk, charts)
    await desk.add("one", payload=ITEM.model_dump(mode="json"))
    assert await desk.deliver() == "sent"
    (message,) = desk.said()
    assert bool(charts.specs) is not failing
    assert ("image" in message["embeds"][0]) is not failing


# --- opt-in ---


async def _sender(desk: Desk) -> DmOptIn:
    async def sender() -> DiscordNotifications:
        return desk.sender

    return make_opt_in(desk.parts, sender)


async def test_the_first_dm_goes_out_once_and_shows_that_dms_work(desk: Desk) -> None:
    opt_in = await _sender(desk)
    t = translator_for("en")
    assert await opt_in.ask(desk.ann.id, t) == "works"
    assert "This is where I will tell you" in str(desk.said()[0]["components"])
    assert (await desk.choices.get(desk.ann.id)).dm_opened_at is not None
    assert await opt_in.ask(desk.ann.id, t) == "works"
    assert len(desk.said()) == 1
    use(desk)
    await desk.add(payload=ITEM.model_dump(mode="json"))
    assert await desk.deliver() == "sent"
    assert desk.asked("POST /users/@me/channels") == 1


async def test_closed_dms_are_known_at_once(desk: Desk) -> None:
    await desk.break_discord(close_dms=[desk.ann.id])
    opt_in = await _sender(desk)
    assert await opt_in.ask(desk.ann.id, translator_for("en")) == "closed"
    assert (await desk.choices.get(desk.ann.id)).dm_failures == 1
    # He opens them and tries again.
    await desk.break_discord(open_dms=[desk.ann.id])
    desk.clock.move(minutes=1)
    assert await opt_in.ask(desk.ann.id, translator_for("en")) == "works"
    assert (await desk.choices.get(desk.ann.id)).dm_failures == 0


async def test_what_nobody_can_say_is_not_claimed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuscout.delivery.notify_optin.SECONDS", 0.3)
    await desk.break_discord(latency_ms=5000)
    opt_in = await _sender(desk)
    assert await opt_in.ask(desk.ann.id, translator_for("en")) == "unknown"
    assert (await desk.choices.get(desk.ann.id)).dm_opened_at is None
