"""``/alert``: proposing, saving, refusing, and everything that is done with stored alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpuscout.accounts.delivery_choices import Quiet
from gpuscout.alerts.ports import Absurd, Current
from gpuscout.alerts.rules import (
    ChangeRule,
    DigestRule,
    GpuScope,
    HoldingRule,
    MachineRule,
    MachineScope,
    Manners,
    Owner,
    PortfolioScope,
    PriceRule,
    Rule,
    WatchlistScope,
)
from gpuscout.delivery.mail.desk import MailPanel
from gpuscout.portfolio.models import HoldingDraft
from tests.cogs.conftest import Scene, buttons, pictures, selects, texts
from tests.fakes import NOW, SEEN, World

pytestmark = pytest.mark.simcord(shard_count=1, check_errors=False)

BELOW = {"when": "price-below", "gpu": "RTX 4090", "level": "0.30"}


async def propose(scene: Scene, **options: Any) -> Any:
    return await scene.alice.slash(scene.channel, "alert add", **{**BELOW, **options})


async def made(scene: Scene, world: World, rule: Rule | None = None, *, member: Any = None) -> Any:
    """A stored alert of alice's."""
    rule = rule or Rule(when=PriceRule(scope=GpuScope(gpu="rtx-4090"), direction="below", level=0.30))
    owner = Owner(member_id=(member or scene.alice).id, guild_id=scene.channel.guild.id, channel_id=scene.channel.id)
    return await world.alerts.create(owner, rule)


async def test_a_proposal_shows_everything_before_anything_is_stored(scene: Scene, world: World) -> None:
    result = await propose(scene, when="price-above", level="36c")
    assert result.ephemeral
    text = texts(result.response)
    assert "RTX 4090 · Vast.ai: price above $0.36/h" in text
    assert f"**Now** price $0.335/h · as of <t:{int(SEEN.timestamp())}:R>" in text
    assert f"**Told by** direct message; if that fails a mention in <#{scene.channel.id}>" in text
    assert "**Last 90 days** It would have fired **" in text
    assert "Data of" in text and "of 90 days" in text
    assert "1 of 3 alerts of your plan" in text
    assert list(buttons(result.response)) == ["Confirm", "Edit", "Cancel"]
    assert pictures(result.response)[0]["description"]
    (spec,) = world.charts.specs
    assert {series.key for series in spec.panels[0].series} == {"value", "level0", "fired"}
    assert world.alerts.rules == {}


async def test_confirming_stores_it_and_opens_the_dm(scene: Scene, world: World) -> None:
    result = await propose(scene, severity="critical", polls=3, expires="30d", cooldown="6h")
    done = await scene.alice.click(result.response, label="Confirm")
    assert "✅ **Alert saved.** RTX 4090 · Vast.ai: price below $0.30/h" in texts(done.response)
    assert "</alert test:" in texts(done.response)
    assert buttons(done.response) == {}
    (view,) = world.alerts.rules.values()
    assert view.owner == Owner(member_id=scene.alice.id, guild_id=scene.channel.guild.id, channel_id=scene.channel.id)
    assert view.rule.when == PriceRule(
        scope=GpuScope(gpu="rtx-4090", platform="vast", tier="on-demand"), direction="below", level=0.30
    )
    assert view.rule.manners == Manners(
        severity="critical", for_polls=3, cooldown=timedelta(hours=6), expires_at=NOW + timedelta(days=30)
    )
    assert world.opt_in.asked == [scene.alice.id]


async def test_closed_dms_are_said_at_once(scene: Scene, world: World) -> None:
    world.opt_in.reach = "closed"
    result = await propose(scene)
    done = await scene.alice.click(result.response, label="Confirm")
    assert "Your direct messages are closed to me" in texts(done.response)
    assert f"or I mention you in <#{scene.channel.id}>" in texts(done.response)


async def test_cancelling_stores_nothing(scene: Scene, world: World) -> None:
    result = await propose(scene)
    done = await scene.alice.click(result.response, label="Cancel")
    assert texts(done.response) == "\nNo alert was made."
    assert world.alerts.rules == {}


async def test_editing_a_proposal_judges_anew(scene: Scene, world: World) -> None:
    result = await propose(scene)
    form = await scene.alice.click(result.response, label="Edit")
    assert form.modal["title"].startswith("RTX 4090")
    values = {"level": "32c", "severity": ["warning"], "polls": "2", "expires": "7d"}
    again = await scene.alice.submit_modal(form, values)
    assert "price below $0.32/h" in texts(again.response)
    assert "when 2 readings in a row show it" in texts(again.response)
    done = await scene.alice.click(again.response, label="Confirm")
    assert "Alert saved" in texts(done.response)
    (view,) = world.alerts.rules.values()
    assert view.rule.when.level == 0.32
    assert view.rule.manners.severity == "warning"
    assert view.rule.manners.expires_at == NOW + timedelta(days=7)


async def test_a_bad_edit_leaves_the_proposal(scene: Scene, world: World) -> None:
    result = await propose(scene)
    form = await scene.alice.click(result.response, label="Edit")
    bad = await scene.alice.submit_modal(
        form, {"level": "cheap", "severity": ["info"], "polls": "", "expires": "never"}
    )
    assert "“cheap” is no level for this alert" in texts(bad.response)
    done = await scene.alice.click(result.response, label="Confirm")
    assert "Alert saved" in texts(done.response)


async def test_one_that_is_beyond_already_says_so(scene: Scene, world: World) -> None:
    world.alerts.current = [Current("price", 0.25, True, (0.30,), "rtx-4090", "vast", at=SEEN, held="thin")]
    text = texts((await propose(scene)).response)
    assert "beyond the level already: it fires once the value came back" in text
    assert "Fewer than 10 GPUs" in text


async def test_quiet_hours_and_muted_alerts_are_said(scene: Scene, world: World) -> None:
    choices = scene.env.bot.services.choices
    await choices.change(
        scene.alice.id, quiet=Quiet(22 * 60, 7 * 60), muted_kinds=["alert"], channels=["email"], critical_passes=True
    )
    text = texts((await propose(scene)).response)
    assert "Quiet hours 22:00–07:00" in text
    assert "it waits for their end" in text
    assert "You switched alerts off in </settings:" in text
    assert "**Told by** e-mail, if you confirmed an address" in text
    world.mail.panels[scene.alice.id] = MailPanel(True, "ada@example.com", NOW)
    assert "**Told by** e-mail\n" in texts((await propose(scene)).response) + "\n"
    critical = texts((await propose(scene, severity="critical")).response)
    assert "this one comes all the same" in critical


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"when": "nonsense"}, "“nonsense” is no kind of alert"),
        ({"gpu": None}, "This alert needs a GPU, for example RTX 4090"),
        ({"level": None}, "This alert needs a level, for example 0.25, 25c, $0.25"),
        ({"level": "cheap"}, "“cheap” is no level for this alert"),
        ({"level": "-0.2"}, "“-0.2” is no level for this alert"),
        ({"level": "30%"}, "“30%” is no level for this alert"),
        ({"level": "100000"}, "“100000” is no level for this alert"),
        ({"when": "change", "level": "10%", "window": "3h"}, "“3h” does not fit as a time here; write it like 1h, 24h"),
        ({"cooldown": "soon"}, "“soon” does not fit as a time here"),
        ({"repeat": "1 min"}, "“1 min” does not fit as a time here"),
        ({"expires": "yesterday"}, "“yesterday” does not fit as a time here"),
        ({"expires": "2020-01-01"}, "That end lies in the past"),
        ({"gpu": "RTX 4900"}, "I don't know a GPU called “RTX 4900”"),
        ({"when": "change", "level": "-150%"}, "That can never happen"),
    ],
)
async def test_refusals(scene: Scene, world: World, options: dict[str, Any], sentence: str) -> None:
    given = {name: value for name, value in {**BELOW, **options}.items() if value is not None}
    result = await scene.alice.slash(scene.channel, "alert add", **given)
    assert result.ephemeral
    assert sentence in texts(result.response)
    assert world.alerts.rules == {}


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (
            "far",
            "more than ten times off, so it would never be reached: is it what you meant? The price is $0.335/h now.",
        ),
        ("within_tick", "less than the smallest step"),
        ("no_data", "There are no readings for that choice"),
        ("unknown_machine", "The market lists no machine of that number"),
        ("none", "You have no such holding"),
    ],
)
async def test_absurd_rules_are_refused_with_their_reason(
    scene: Scene, world: World, reason: Any, sentence: str
) -> None:
    world.alerts.absurd = Absurd(reason, 0.335, "price")
    result = await propose(scene)
    assert sentence in texts(result.response)
    assert ("absurd_" + reason) in [outcome for _, _, outcome in world.usage.outcomes]


async def test_duplicates_are_refused(scene: Scene, world: World) -> None:
    await made(scene, world)
    result = await propose(scene)
    assert "You have this alert already: RTX 4090 · Vast.ai: price below $0.30/h." in texts(result.response)
    assert "</alert edit:" in texts(result.response)
    await world.alerts.pause(f"m:{scene.alice.id}", 1)
    again = await propose(scene)
    assert "It is paused; </alert resume:" in texts(again.response)


async def test_one_made_twice_meanwhile_is_refused_when_confirmed(scene: Scene, world: World) -> None:
    result = await propose(scene)
    await made(scene, world)
    done = await scene.alice.click(result.response, label="Confirm")
    assert "You have this alert already" in texts(done.followups[0])
    assert "❌ Nothing was saved." in texts(done.response)
    assert len(world.alerts.rules) == 1


async def test_the_plan_limits(scene: Scene, world: World) -> None:
    for level in (0.1, 0.2, 0.25):
        await made(scene, world, Rule(when=PriceRule(scope=GpuScope(gpu="rtx-4090"), direction="below", level=level)))
    result = await propose(scene)
    assert "Free allows 3 alerts" in texts(result.response)
    assert "Individual" in texts(result.response)


async def test_a_strangers_click_changes_nothing(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    sent = await scene.alice.slash(scene.channel, "alert list")
    assert sent.ephemeral
    stranger = await scene.bob.slash(scene.channel, "alert pause", alert=str(view.id))
    assert "That is not an alert of yours" in texts(stranger.response)
    assert world.alerts.rules[view.id].state == "active"


async def test_change_rules_take_their_way_from_the_sign(scene: Scene, world: World) -> None:
    for level, way in (("-10%", "down"), ("+10 %", "up"), ("10", "both"), ("5c", "both")):
        world.alerts.rules.clear()
        result = await propose(scene, when="change", level=level, window="24h")
        await scene.alice.click(result.response, label="Confirm")
        (view,) = world.alerts.rules.values()
        assert isinstance(view.rule.when, ChangeRule)
        assert view.rule.when.direction == way
        assert view.rule.when.unit == ("usd" if level == "5c" else "percent")


async def test_it_does_not_judge_what_its_data_cannot_show(scene: Scene, world: World) -> None:
    text = texts((await propose(scene, when="change", level="10%", window="1h")).response)
    assert "Not judged: what is stored is a median an hour, which cannot show a change within one hour." in text


async def test_a_gap_between_platforms_is_not_judged(scene: Scene, world: World) -> None:
    world.alerts.current = [Current("spread_percent", 12.0, False, (20.0,), "rtx-4090", at=SEEN)]
    text = texts((await propose(scene, when="spread", level="20%")).response)
    assert "RTX 4090: platforms 20% apart" in text
    assert "a back-test looks at one market at a time" in text


async def test_without_history_it_can_be_made_all_the_same(scene: Scene, world: World) -> None:
    world.market.history_error = RuntimeError("gone")
    result = await propose(scene)
    assert "Not judged: nothing is stored of this series yet." in texts(result.response)
    done = await scene.alice.click(result.response, label="Confirm")
    assert "Alert saved" in texts(done.response)


async def test_portfolio_and_watchlist(scene: Scene, world: World) -> None:
    world.alerts.current = []
    empty = await propose(scene, scope="watchlist", gpu="RTX 4090")
    assert "Your watchlist is empty" in texts(empty.response)
    none = await propose(scene, scope="portfolio")
    assert "Your portfolio is empty" in texts(none.response)
    world.alerts.current = [
        Current("price", 0.335, False, (0.3,), "rtx-4090", "vast", at=SEEN),
        Current("price", 0.40, False, (0.3,), "rtx-5090", "vast", at=SEEN),
    ]
    result = await propose(scene, scope="watchlist")
    text = texts(result.response)
    assert "My watchlist: price below $0.30/h" in text
    assert "• RTX 4090 · Vast.ai: price $0.335/h" in text
    assert text.count("It would") == 2
    await scene.alice.click(result.response, label="Confirm")
    (view,) = world.alerts.rules.values()
    assert view.rule.when.scope == WatchlistScope()


async def test_machines_of_a_portfolio_without_any(scene: Scene, world: World) -> None:
    world.alerts.current = []
    none = await scene.alice.slash(scene.channel, "alert add", when="machine-idle", window="24h")
    assert "Your portfolio is empty" in texts(none.response)
    await scene.env.bot.services.portfolios.add(scene.alice.id, HoldingDraft(gpu="rtx-4090", platform="vast"))
    by_hand = await scene.alice.slash(scene.channel, "alert add", when="machine-idle", window="24h")
    assert "No holding of yours names its machine" in texts(by_hand.response)


async def test_my_machines(scene: Scene, world: World) -> None:
    world.alerts.current = [Current("m_idle_hours", 3.0, False, (24.0,), machine_id=4711, at=SEEN)]
    result = await scene.alice.slash(scene.channel, "alert add", when="machine-idle", mine="4711", window="24h")
    text = texts(result.response)
    assert "Machine 4711: idle for 24 h" in text
    assert "Not judged: of this no history is kept." in text
    await scene.alice.click(result.response, label="Confirm")
    (view,) = world.alerts.rules.values()
    assert view.rule.when == MachineRule(scope=MachineScope(machine_id=4711), event="idle", hours=24)


async def test_all_my_machines_and_a_holding(scene: Scene, world: World) -> None:
    portfolios = scene.env.bot.services.portfolios
    held = await portfolios.add(
        scene.alice.id, HoldingDraft(gpu="rtx-4090", quantity=8, name="Rig 1", platform="vast", asked_price=0.45)
    )
    world.alerts.current = [
        Current("p90", 0.43, True, (0.45,), "rtx-4090", "vast", holding_id=held.id, at=SEEN),
        Current("p10", 0.26, False, (0.45,), "rtx-4090", "vast", holding_id=held.id, at=SEEN),
    ]
    choices = await scene.alice.autocomplete(scene.channel, "alert add", "mine", "", when="holding")
    assert choices[0]["value"] == f"h:{held.id}"
    result = await scene.alice.slash(scene.channel, "alert add", when="holding", mine=choices[0]["value"])
    assert "Rig 1" in texts(result.response)
    await scene.alice.click(result.response, label="Confirm")
    (view,) = world.alerts.rules.values()
    assert view.rule.when == HoldingRule(holding_id=held.id)
    other = await scene.alice.slash(scene.channel, "alert add", when="machine-gone", mine=f"h:{held.id}")
    assert "This alert needs one of your holdings or machines" in texts(other.response)
    world.alerts.current = [Current("m_missed", 0.0, False, (2.0,), machine_id=7, at=SEEN)]
    gone = await scene.alice.slash(scene.channel, "alert add", when="machine-gone")
    assert "My machines: gone from the market for two polls" in texts(gone.response)
    await scene.alice.click(gone.response, label="Confirm")
    assert world.alerts.rules[2].rule.when == MachineRule(scope=PortfolioScope(), event="gone")


async def test_a_digest_of_alerts(scene: Scene, world: World) -> None:
    result = await scene.alice.slash(scene.channel, "alert add", when="digest-weekly", level="18")
    assert "My alerts: a summary on Mondays at 18:00" in texts(result.response)
    assert "90 days" not in texts(result.response)
    await scene.alice.click(result.response, label="Confirm")
    (view,) = world.alerts.rules.values()
    assert view.rule.when == DigestRule(every="week", hour=18)


async def test_completion(scene: Scene, world: World) -> None:
    every = await scene.alice.autocomplete(scene.channel, "alert add", "when", "")
    assert every[0] == {"name": "price below …", "value": "price-below"}
    assert len(every) == 25
    mine = await scene.alice.autocomplete(scene.channel, "alert add", "when", "machine")
    assert {choice["value"] for choice in mine} >= {"machine-rented", "machine-gone"}
    levels = await scene.alice.autocomplete(scene.channel, "alert add", "level", "", when="price-below", gpu="rtx-4090")
    assert levels[0] == {"name": "$0.32 (-4%, now $0.335)", "value": "0.32"}
    typed = await scene.alice.autocomplete(scene.channel, "alert add", "level", "0.123", when="price-below")
    assert [choice["value"] for choice in typed] == ["0.123"]
    windows = await scene.alice.autocomplete(scene.channel, "alert add", "window", "", when="change")
    assert [choice["value"] for choice in windows] == ["1h", "24h", "7d"]
    ends = await scene.alice.autocomplete(scene.channel, "alert add", "expires", "30")
    assert [choice["value"] for choice in ends] == ["30d"]
    machine = await scene.alice.autocomplete(scene.channel, "alert add", "mine", "4711", when="machine-idle")
    assert machine == [{"name": "Machine 4711", "value": "m:vast/4711"}]
    await made(scene, world)
    rules = await scene.alice.autocomplete(scene.channel, "alert edit", "alert", "4090")
    assert rules == [{"name": "RTX 4090 · Vast.ai: price below $0.30/h", "value": "1"}]
    assert await scene.alice.autocomplete(scene.channel, "alert resume", "alert", "") == []
    assert await scene.bob.autocomplete(scene.channel, "alert edit", "alert", "") == []


async def test_an_empty_list_teaches(scene: Scene) -> None:
    result = await scene.alice.slash(scene.channel, "alert list")
    assert result.ephemeral
    assert "No alerts yet. </alert add:" in texts(result.response)
    assert "`level: 0.30`" in texts(result.response)


async def test_the_list_its_pages_and_a_panel(scene: Scene, world: World) -> None:
    world.tiers.tiers[scene.alice.id] = "individual"
    for cents in range(1, 11):
        rule = Rule(when=PriceRule(scope=GpuScope(gpu="rtx-4090"), direction="below", level=cents / 100))
        await made(scene, world, rule)
    await world.alerts.pause(f"m:{scene.alice.id}", 1)
    await world.alerts.snooze(f"m:{scene.alice.id}", 2, NOW + timedelta(hours=1))
    world.alerts.rules[3] = replace(world.alerts.rules[3], fires=4, last_fired_at=SEEN)
    world.alerts.rules[4] = replace(world.alerts.rules[4], fires=1, last_fired_at=SEEN)
    first = await scene.alice.slash(scene.channel, "alert list")
    text = texts(first.response)
    assert "⏸️ **RTX 4090 · Vast.ai: price below $0.01/h**\n-# paused" in text
    assert "💤 snoozed until" in text
    assert "fired 4 times, last <t:" in text and "fired once, <t:" in text
    assert "Page 1 of 2 (10 entries) · 10 of 25" in text
    (menu,) = selects(first.response)
    assert len(menu["options"]) == 8
    await scene.alice.click(first.response, label="1/2")
    second = await scene.alice.click(first.response, custom_id="alerts1|next.1|m")
    assert "price below $0.10/h" in texts(second.response)
    opened = await scene.alice.select(second.response, ["10"], custom_id=selects(second.response)[0]["custom_id"])
    assert "### 🟢 RTX 4090 · Vast.ai: price below $0.10/h" in texts(opened.response)
    assert list(buttons(opened.response)) == ["Edit", "Pause", "Test", "Why?", "Show chart", "Remove"]


async def test_pause_and_resume(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    paused = await scene.alice.slash(scene.channel, "alert pause", alert=str(view.id))
    assert "**Paused.**" in texts(paused.response)
    assert world.alerts.rules[1].state == "paused"
    resumed = await scene.alice.click(paused.response, label="Resume")
    assert "Resumed: it begins anew" in texts(resumed.response)
    assert world.alerts.rules[1].state == "active"
    await world.alerts.pause(f"m:{scene.alice.id}", 1)
    again = await scene.alice.slash(scene.channel, "alert resume", alert=str(view.id))
    assert "Resumed" in texts(again.response)


async def test_remove_asks_and_can_be_undone(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    asked = await scene.alice.slash(scene.channel, "alert remove", alert="RTX 4090 · Vast.ai: price below $0.30/h")
    assert "Remove this alert? You can undo it for a day." in texts(asked.response)
    kept = await scene.alice.click(asked.response, label="Keep it")
    assert world.alerts.rules[view.id].state == "active"
    assert "🟢" in texts(kept.response)
    asked = await scene.alice.slash(scene.channel, "alert remove", alert=str(view.id))
    gone = await scene.alice.click(asked.response, label="Remove")
    assert "**Removed.** You can undo it for a day." in texts(gone.response)
    assert world.alerts.rules[view.id].state == "removed"
    back = await scene.alice.click(gone.response, label="Undo")
    assert "It is back" in texts(back.response)
    assert world.alerts.rules[view.id].state == "active"


async def test_undo_comes_too_late(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    asked = await scene.alice.slash(scene.channel, "alert remove", alert=str(view.id))
    gone = await scene.alice.click(asked.response, label="Remove")
    del world.alerts.rules[view.id]
    late = await scene.alice.click(gone.response, label="Undo")
    assert "That is not an alert of yours (any more)" in texts(late.response or late.followups[0])


async def test_edit_a_stored_alert(scene: Scene, world: World) -> None:
    rule = Rule(
        when=ChangeRule(scope=GpuScope(gpu="rtx-4090", verification="verified"), amount=10, direction="down"),
        manners=Manners(cooldown=timedelta(hours=6), expires_at=NOW + timedelta(days=3, hours=5)),
    )
    view = await made(scene, world, rule)
    form = await scene.alice.slash(scene.channel, "alert edit", alert=str(view.id))
    shown = {c["component"]["custom_id"]: c["component"].get("value") for c in form.modal["components"]}
    assert shown["level"] == "-10%"
    assert shown["window"] == "24h"
    assert shown["expires"] == "3d"
    values = {"level": "-15%", "window": "7d", "severity": ["critical"], "polls": "", "expires": "3d"}
    proposed = await scene.alice.submit_modal(form, values)
    assert proposed.ephemeral
    assert "Change this alert?" in texts(proposed.response)
    done = await scene.alice.click(proposed.response, label="Save")
    assert "✅ **Saved.**" in texts(done.response)
    changed = world.alerts.rules[view.id].rule
    assert changed.when == ChangeRule(
        scope=GpuScope(gpu="rtx-4090", platform="vast", tier="on-demand", verification="verified"),
        amount=15,
        window="7d",
        direction="down",
    )
    assert changed.manners == Manners(
        severity="critical", cooldown=timedelta(hours=6), expires_at=NOW + timedelta(days=3, hours=5)
    )


async def test_one_that_is_gone_meanwhile_is_not_saved(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    form = await scene.alice.slash(scene.channel, "alert edit", alert=str(view.id))
    proposed = await scene.alice.submit_modal(
        form, {"level": "0.2", "severity": ["info"], "polls": "", "expires": "never"}
    )
    await world.alerts.remove(f"m:{scene.alice.id}", view.id)
    done = await scene.alice.click(proposed.response, label="Save")
    assert "That is not an alert of yours (any more)" in texts(done.followups[0])


async def test_a_sample(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    result = await scene.alice.slash(scene.channel, "alert test", alert=str(view.id))
    assert "**A sample is on its way**" in texts(result.response)
    assert world.alerts.samples == [view.id]


async def test_no_sample_while_alerts_are_switched_off(scene: Scene, world: World) -> None:
    view = await made(scene, world)
    await world.services().choices.change(scene.alice.id, muted_kinds=["alert"])
    result = await scene.alice.slash(scene.channel, "alert test", alert=str(view.id))
    assert "You switched alerts off in" in texts(result.response)
    assert world.alerts.samples == []


async def test_alert_me_on_a_price_card(scene: Scene, world: World) -> None:
    card = await scene.alice.slash(scene.channel, "price", gpu="rtx-4090")
    form = await scene.bob.click(card.response, label="Alert me")
    assert form.modal["title"] == "Alert me: RTX 4090"
    level = next(c["component"] for c in form.modal["components"] if c["component"]["custom_id"] == "level")
    assert level["value"] == "0.32"
    proposed = await scene.bob.submit_modal(
        form, {"kind": ["price-above"], "level": "0.40", "window": "", "severity": ["info"], "expires": ""}
    )
    assert proposed.ephemeral
    assert "price above $0.40/h" in texts(proposed.response)
    await scene.bob.click(proposed.response, label="Confirm")
    (view,) = world.alerts.rules.values()
    assert view.owner.member_id == scene.bob.id


async def test_german(scene: Scene, german: None, world: World) -> None:
    result = await propose(scene)
    text = texts(result.response)
    assert "Neuer Alarm" in text
    assert "Preis unter 0,30" in text
    assert list(buttons(result.response)) == ["Bestätigen", "Bearbeiten", "Abbrechen"]
