"""Firings, on real databases, through the real ingest."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from gpuscout.market.models import SeriesKey
from storage.tables import job
from storage.tables_alerts import alert_work
from tests.alerts.desk import ANNA, MEMBER, SCOPE, STEP, AlertDesk, above, below, change, none_left
from tests.market.helpers import model_v1


async def test_a_price_that_falls_below_a_level_is_told_once(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30))
    await desk.listen(f"member:{MEMBER}")
    assert await desk.price(0.30) == 0  # not below
    assert await desk.price(0.29) == 1
    assert await desk.price(0.28) == 0
    [item] = await desk.items()
    assert (item["rule_id"], item["gpu"], item["platform"], item["metric"]) == (rule_id, "rtx-4090", "vast", "price")
    assert (item["before"], item["after"]) == (0.30, 0.29) and round(item["threshold"], 6) == 0.30
    assert item["happened"] == "below" and not item["test"] and not item["catch_up"] and item["impact_month"] is None
    [row] = await desk.notifications()
    assert (row.kind, row.member_id, row.state) == ("alert", MEMBER, "pending") and row.poll_at is not None
    [event] = await desk.events()
    assert event.event == "alert.triggered" and event.data["notification"] == row.id
    [entry] = await desk.ledger(rule_id, "fired")
    assert entry.notification_id == row.id and entry.value == 0.29
    assert await desk.rows(alert_work) == []
    why = await desk.alerts.why(ANNA.key, notification_id=row.id)
    assert why is not None and why.entries[0].outcome == "fired" and why.entries[0].state == "pending"
    assert [w.waits_for for w in why.watched] == ["rearm"] and why.watched[0].value == 0.28


async def test_an_event_that_nobody_hears_costs_nothing(desk: AlertDesk) -> None:
    await desk.price(0.40)
    await desk.make(below(0.30))
    await desk.listen("member:2")
    assert await desk.price(0.25) == 1
    assert await desk.events() == []
    async with desk.db.read() as conn:
        kinds = {row.kind for row in await conn.execute(select(job.c.kind))}
    assert "delivery.notify" in kinds and "webhook.fanout" not in kinds


async def test_it_fires_again_only_after_it_came_back_by_the_band(desk: AlertDesk) -> None:
    await desk.price(0.35)
    await desk.make(below(0.30), cooldown=timedelta(0))
    fired = [await desk.price(price) for price in (0.29, 0.30, 0.29, 0.31, 0.29, 0.30)]
    assert fired == [1, 0, 0, 0, 1, 0]  # one cent is the band at 500.farm


async def test_a_rule_that_is_true_already_starts_disarmed(desk: AlertDesk) -> None:
    await desk.price(0.28)
    rule_id = await desk.make(below(0.30))
    assert [t.role for t in await desk.triggers(rule_id)] == ["rearm"]
    assert [await desk.price(price) for price in (0.27, 0.33, 0.29)] == [0, 0, 1]


async def test_the_same_update_twice_fires_nothing_twice(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30), for_polls=2)
    await desk.listen(f"member:{MEMBER}")
    await desk.price(0.29)
    desk.clock.now += STEP
    await desk.store(model_v1("RTX 4090", 30, 20, 0.28))
    work = await desk.rows(alert_work)
    assert await desk.engine.evaluate() == 1
    before = (await desk.items(), await desk.ledger(rule_id), await desk.triggers(rule_id), await desk.events())
    for _ in range(2):  # as if the process had died before it could forget the work
        async with desk.db.write() as conn:
            await conn.execute(alert_work.insert(), [row._asdict() for row in work])
        assert await desk.engine.evaluate() == 0
    after = (await desk.items(), await desk.ledger(rule_id), await desk.triggers(rule_id), await desk.events())
    assert after == before


async def test_polls_are_counted_until_the_value_comes_back(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30), for_polls=3)
    assert [await desk.price(p) for p in (0.29, 0.29, 0.35, 0.29, 0.29)] == [0, 0, 0, 0, 0]
    assert [e.reason for e in await desk.ledger(rule_id)] == ["polls"]
    assert await desk.price(0.29) == 1
    assert {t.role for t in await desk.triggers(rule_id)} == {"rearm"}


async def test_a_cooldown_holds_back_and_says_so(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30))
    fired = [await desk.price(p) for p in (0.29, 0.35, 0.29, 0.29, 0.29)]
    assert fired == [1, 0, 0, 0, 1]
    [held] = await desk.ledger(rule_id, "held")
    assert (held.reason, held.count) == ("cooldown", 2)


async def test_a_snoozed_rule_fires_when_it_is_over(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30))
    await desk.alerts.snooze(ANNA.key, rule_id, desk.clock.now + timedelta(minutes=40))
    assert [await desk.price(p) for p in (0.29, 0.29, 0.29)] == [0, 0, 1]
    assert [(e.reason, e.count) for e in await desk.ledger(rule_id, "held")] == [("snoozed", 2)]


async def test_thin_and_contradicted_data_hold_back(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30))
    assert await desk.price(0.29, rented=4, available=4) == 0
    await desk.parts.state.set("market.fallback", {"disagreeing": ["rtx-4090"]})
    assert await desk.price(0.29) == 0
    assert [(e.reason, e.value) for e in await desk.ledger(rule_id)] == [("thin", 0.29), ("contradicted", 0.29)]
    await desk.parts.state.set("market.fallback", {"disagreeing": []})
    assert await desk.price(0.29) == 1


async def test_stale_data_hold_back(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30))
    from tests.market.helpers import document

    desk.clock.now += STEP
    old = desk.clock.now - timedelta(minutes=1)
    desk.source.answers = {"v1": document(old, model_v1("RTX 4090", 30, 20, 0.29))}
    desk.clock.now = old + timedelta(minutes=23)
    await desk.ingest.run()
    assert await desk.engine.evaluate() == 0
    assert [e.reason for e in await desk.ledger(rule_id)] == ["stale"]


async def test_several_alerts_at_one_update_are_one_message(desk: AlertDesk) -> None:
    await desk.price(0.35)
    for level in (0.34, 0.33, 0.32):
        await desk.make(below(level))
    await desk.make(below(0.31), ANNA.model_copy(update={"member_id": 43}))
    assert await desk.price(0.30) == 4
    assert len(await desk.notifications()) == 2 and len(await desk.items()) == 4


async def test_a_change_in_per_cent_waits_two_polls_and_is_anchored_anew(desk: AlertDesk) -> None:
    await desk.day(0.40)
    rule_id = await desk.make(change(10, "down"))
    assert [await desk.price(p) for p in (0.35, 0.35, 0.35)] == [0, 1, 0]
    [item] = await desk.items()
    assert item["metric"] == "change_24h_percent" and round(item["after"], 6) == -12.5
    [trigger] = await desk.triggers(rule_id)
    assert trigger.home_id is not None and round(trigger.level, 6) == 0.315
    # From the fired price: 0.32 is not 10 % below 0.35, 0.31 is.
    assert [await desk.price(p) for p in (0.32, 0.32, 0.32, 0.31, 0.31)] == [0, 0, 0, 0, 1]
    # The window is over after a day of the new price; nothing is beyond any more.
    assert await desk.day(0.31) == 0
    [trigger] = await desk.triggers(rule_id)
    assert trigger.home_id is None and trigger.role == "fire"


async def test_none_left_by_count_and_by_absence(desk: AlertDesk) -> None:
    others = [model_v1("RTX 3090", 20, 20, 0.2), model_v1("H100 SXM", 20, 20, 2.0)]
    card = model_v1("RTX 4090", 10, 5, 0.35)
    await desk.poll(card, *others)
    await desk.make(none_left(), cooldown=timedelta(0))
    assert await desk.poll(model_v1("RTX 4090", 15, 0, 0.35), *others) == 1
    assert await desk.poll(model_v1("RTX 4090", 15, 0, 0.35), *others) == 0
    assert await desk.poll(card, *others) == 0
    assert await desk.poll(*others) == 1  # no longer listed at all
    assert await desk.poll(card, *others) == 0
    assert await desk.poll(others[0]) == 0  # a document that lost most of the market says nothing


async def test_supply_is_not_held_for_a_small_sample(desk: AlertDesk) -> None:
    await desk.price(0.35, rented=3, available=2)
    await desk.make(none_left())
    assert await desk.price(0.35, rented=5, available=0) == 1


async def test_after_a_gap_it_is_caught_up_with(desk: AlertDesk) -> None:
    await desk.price(0.35)
    await desk.make(below(0.30))
    await desk.make(below(0.28))
    assert await desk.poll(model_v1("RTX 4090", 30, 20, 0.25), after=timedelta(hours=3)) == 2
    items = await desk.items()
    assert [item["catch_up"] for item in items] == [True, True] and len(await desk.notifications()) == 1
    assert [item["now"] for item in items] == [0.25, 0.25]


async def test_a_backlog_is_one_message_a_member(desk: AlertDesk) -> None:
    await desk.price(0.35)
    for level in (0.33, 0.30, 0.27):
        await desk.make(below(level))
    for price in (0.32, 0.29, 0.26, 0.29, 0.36):
        desk.clock.now += STEP
        await desk.store(model_v1("RTX 4090", 30, 20, price))
    desk.clock.now += timedelta(hours=2)
    assert await desk.engine.evaluate() == 3
    assert len(await desk.notifications()) == 1
    assert [(i["after"], i["now"]) for i in await desk.items()] == [(0.32, 0.36), (0.29, 0.36), (0.26, 0.36)]


async def test_a_rule_that_fires_once_is_done(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(above(0.40), once=True)
    assert await desk.price(0.45) == 1
    [rule] = await desk.rules()
    assert rule.state == "done" and rule.fires == 1 and await desk.triggers(rule_id) == []


async def test_it_repeats_while_it_moves(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30), repeat=timedelta(minutes=30))
    fired = [await desk.price(p) for p in (0.29, 0.29, 0.29, 0.27, 0.27, 0.35, 0.35)]
    assert fired == [1, 0, 0, 0, 1, 0, 0]
    assert [e.reason for e in await desk.ledger(rule_id, "held")] == ["unmoved"]
    assert [item["repeat"] for item in await desk.items()] == [False, True]


async def test_impact_is_on_the_members_own_holdings(desk: AlertDesk) -> None:
    from gpuscout.portfolio.models import HoldingDraft

    await desk.price(0.40)
    await desk.portfolios.add(MEMBER, HoldingDraft(gpu="rtx-4090", quantity=8, platform="vast", asked_price=0.4))
    await desk.make(below(0.36))
    assert await desk.price(0.30) == 1
    [item] = await desk.items()
    # 8 GPUs x 60 % rented x (0.30 - 0.40) x 75 % x hours of a month
    assert round(item["impact_month"], 2) == round(-8 * 0.6 * 0.1 * 0.75 * 24 * 365.25 / 12, 2)


async def test_a_paused_rule_is_not_looked_at(desk: AlertDesk) -> None:
    await desk.price(0.35)
    rule_id = await desk.make(below(0.30))
    await desk.alerts.pause(ANNA.key, rule_id)
    assert await desk.price(0.29) == 0 and await desk.triggers(rule_id) == []
    view = await desk.alerts.resume(ANNA.key, rule_id)
    assert view is not None and view.state == "active"
    assert [await desk.price(p) for p in (0.28, 0.33, 0.29)] == [0, 0, 1]


def test_the_scope_of_these_tests_is_the_headline_series() -> None:
    assert SCOPE.gpu == "rtx-4090" and SeriesKey("vast", SCOPE.gpu).is_headline
