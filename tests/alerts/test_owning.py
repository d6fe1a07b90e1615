"""Rules made, changed and listed: limits, duplicates, ownership, the sample, and when messages are due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.accounts.delivery_choices import Choice, DeliveryChoices, Quiet, quiet_until
from gpuscout.alerts.digest_times import next_digest
from gpuscout.alerts.ports import Duplicate, changed
from gpuscout.alerts.rules import DigestRule, Owner, Rule
from gpuscout.plans.limits import LimitReached
from storage.delivery_choices import DeliveryChoiceStore
from storage.members import MemberStore
from storage.tables_alerts import alert_ledger, alert_rule, alert_trigger
from tests.alerts.desk import ANNA, MEMBER, AlertDesk, above, below

BEN = Owner(member_id=43)


async def test_the_limit_names_the_plan_that_lifts_it(desk: AlertDesk) -> None:
    desk.tiers.now = "free"
    await desk.price(0.40)
    for level in (0.1, 0.2, 0.3):
        await desk.make(below(level))
    with pytest.raises(LimitReached) as error:
        await desk.make(below(0.35))
    assert error.value.limit == 3 and error.value.lifting is not None and error.value.lifting.tier == "individual"
    preview = await desk.alerts.preview(ANNA, Rule(when=below(0.35)))
    assert (preview.used, preview.limit) == (3, 3)
    await desk.make(below(0.35), BEN)  # another member's rules are not counted


async def test_two_at_once_do_not_pass_the_limit_together(desk: AlertDesk) -> None:
    desk.tiers.now = "free"
    await desk.price(0.40)
    levels = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35)
    results = await asyncio.gather(*(desk.make(below(level)) for level in levels), return_exceptions=True)
    assert sum(isinstance(result, LimitReached) for result in results) == 3
    assert len(await desk.rules()) == 3


async def test_the_same_condition_twice_is_refused(desk: AlertDesk) -> None:
    await desk.price(0.40)
    first = await desk.make(below(0.30))
    with pytest.raises(Duplicate) as error:
        await desk.make(below(0.30), severity="critical")
    assert error.value.existing.id == first
    both = await asyncio.gather(*(desk.make(above(0.5)) for _ in range(2)), return_exceptions=True)
    assert sum(isinstance(result, Duplicate) for result in both) == 1
    await desk.alerts.remove(ANNA.key, first)
    second = await desk.make(below(0.30))
    with pytest.raises(Duplicate):
        await desk.alerts.restore(ANNA.key, first)
    await desk.alerts.remove(ANNA.key, second)
    view = await desk.alerts.restore(ANNA.key, first)
    assert view is not None and view.state == "active" and len(await desk.triggers(first)) == 1


async def test_what_was_left_open_is_settled_and_shown_before(lite: AlertDesk) -> None:
    await lite.price(0.28)
    preview = await lite.alerts.preview(ANNA, Rule(when=below(0.30)))
    [current] = preview.current
    assert (current.value, current.already, current.platform, current.tier) == (0.28, True, "vast", "on-demand")
    assert preview.already and preview.duplicate is None and current.at == lite.clock.now
    assert preview.rule.when.scope.platform == "vast"  # type: ignore[union-attr]
    assert await lite.rules() == []


async def test_a_foreign_rule_is_as_if_it_did_not_exist(lite: AlertDesk) -> None:
    await lite.price(0.40)
    rule = await lite.make(below(0.30))
    alerts = lite.alerts
    for act in (alerts.get, alerts.pause, alerts.resume, alerts.remove, alerts.restore, alerts.send_test):
        assert await act(BEN.key, rule) is None
    assert await alerts.snooze(BEN.key, rule, None) is None and await alerts.renew(BEN.key, rule, None) is None
    assert await alerts.edit(BEN.key, rule, Rule(when=below(0.2))) is None
    assert await alerts.why(BEN.key, rule_id=rule) is None and not await alerts.mute(43, rule)
    assert [view.id for view in await alerts.list(ANNA.key)] == [rule] and await alerts.list(BEN.key) == []


async def test_an_edited_rule_begins_anew(lite: AlertDesk) -> None:
    await lite.price(0.40)
    rule = await lite.make(below(0.30))
    view = await lite.alerts.edit(ANNA.key, rule, changed(Rule(when=below(0.35)), severity="critical"))
    assert view is not None and view.rule.manners.severity == "critical"
    assert await lite.price(0.34) == 1
    [row] = await lite.notifications()
    assert row.severity == "critical"


async def test_a_sample_goes_through_the_real_path_and_is_marked(lite: AlertDesk) -> None:
    await lite.price(0.40)
    rule = await lite.make(below(0.30))
    found = await lite.alerts.send_test(ANNA.key, rule)
    [item] = await lite.items()
    assert item["test"] and item["after"] == 0.40 and item["source"] == "500.farm"
    [row] = await lite.notifications()
    assert row.id == found and await lite.events() == []
    assert [e.outcome for e in await lite.ledger(rule)] == ["tested"]
    assert (await lite.rules())[0].fires == 0


async def test_quiet_hours_gather_and_critical_passes(lite: AlertDesk) -> None:
    choices = DeliveryChoices(DeliveryChoiceStore(lite.db), clock=lite.clock)
    await lite.members.change(MEMBER, {"timezone": "Europe/Berlin"})
    await choices.change(MEMBER, quiet=Quiet(22 * 60, 7 * 60), critical_passes=True)
    await lite.price(0.40)  # 01:15 in Berlin
    for level in (0.35, 0.30):
        await lite.make(below(level))
    await lite.make(below(0.29), severity="critical")
    assert [await lite.price(p) for p in (0.34, 0.29, 0.28)] == [1, 1, 1]
    quiet, passing = sorted(await lite.notifications(), key=lambda row: row.severity, reverse=True)
    morning = datetime(2026, 11, 20, 6, tzinfo=UTC)
    assert quiet.due_at == morning and quiet.deadline_at == morning + timedelta(minutes=15)
    assert passing.severity == "critical" and passing.due_at == lite.clock.now
    assert len([item for item in await lite.items() if item["severity"] == "info"]) == 2


async def test_who_wants_no_alerts_gets_none_and_the_ledger_says_so(lite: AlertDesk) -> None:
    choices = DeliveryChoices(DeliveryChoiceStore(lite.db), clock=lite.clock)
    await choices.change(MEMBER, muted_kinds=["alert"])
    await lite.listen(f"member:{MEMBER}")
    await lite.price(0.40)
    rule = await lite.make(below(0.30))
    await lite.price(0.25)
    assert await lite.notifications() == []
    assert [(e.outcome, e.reason) for e in await lite.ledger(rule)] == [("fired", "muted")]
    assert len(await lite.events()) == 1  # programs hear of it all the same


async def test_erasing_a_member_takes_his_rules(desk: AlertDesk) -> None:
    await desk.price(0.40)
    await desk.make(below(0.30))
    other = await desk.make(below(0.30), BEN)
    server = await desk.make(below(0.30), Owner(member_id=MEMBER, server=True, guild_id=5, channel_id=6))
    await desk.price(0.25)
    await MemberStore(desk.db).erase(MEMBER, "hash")
    assert {row.id: row.member_id for row in await desk.rows(alert_rule)} == {other: 43, server: 0}
    assert {row.rule_id for row in await desk.rows(alert_trigger)} == {other, server}
    assert {row.rule_id for row in await desk.rows(alert_ledger)} == {other, server}


HOURS = st.integers(0, 24 * 60 - 1)
INSTANTS = st.integers(1_767_225_600, 1_830_297_600).map(lambda ts: datetime.fromtimestamp(ts, UTC))  # 2026, 2027


@settings(deadline=None)
@given(
    start=HOURS,
    end=HOURS,
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "UTC"]),
    at=INSTANTS,
)
def test_what_is_put_off_never_comes_in_quiet_hours(start: int, end: int, zone: str, at: datetime) -> None:
    if start == end:
        return
    choice, tz = Choice(1, quiet=Quiet(start, end)), ZoneInfo(zone)
    until = quiet_until(choice, tz, at)
    local = at.astimezone(tz)
    minute = local.hour * 60 + local.minute
    inside = start <= minute < end if start < end else minute >= start or minute < end
    if inside:
        assert until is not None
    if until is not None:
        assert at < until <= at + timedelta(hours=50) and quiet_until(choice, tz, until) is None


@settings(deadline=None)
@given(
    hour=st.integers(0, 23),
    every=st.sampled_from(["day", "week"]),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    at=INSTANTS,
)
def test_a_digest_is_due_at_the_hour_of_the_member(hour: int, every: str, zone: str, at: datetime) -> None:
    tz = ZoneInfo(zone)
    rule = DigestRule.model_validate({"every": every, "hour": hour})
    due = next_digest(rule, tz, at)
    local = due.astimezone(tz)
    assert at < due <= at + timedelta(days=8 if every == "week" else 2)
    # A skipped hour comes when the clocks jump over it.
    assert local.hour == hour or (local.hour == hour + 1 and local.minute < 31) or local.minute == 30
    assert every == "day" or local.weekday() == 0
