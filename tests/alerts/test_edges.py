"""Rules at the edges of what is known: machines that idle already, series that come later, repeats without data."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from config.i18n import translator_for
from gpuscout.alerts.messages import AlertItem, ExpiredItem
from gpuscout.alerts.rules import (
    DigestRule,
    GpuScope,
    HoldingRule,
    MachineRule,
    MachineScope,
    Owner,
    PriceRule,
    Rule,
    SupplyRule,
    WatchlistScope,
)
from gpuscout.cards.alert_message import MessageFacts, alert_message, expired_message
from gpuscout.cards.alert_state import unpack
from gpuscout.cards.alert_text import Names
from storage.alerts_keys import purge_keys
from storage.tables_alerts import alert_hold, alert_key, alert_rule
from tests.alerts.desk import ANNA, START, AlertDesk, below, change
from tests.alerts.test_kinds import COOL, machine
from tests.market.helpers import model_v1

HOUR = timedelta(hours=1)


async def test_a_machine_that_idles_already_can_be_watched(lite: AlertDesk) -> None:
    await lite.machines(machine())
    rule = MachineRule(scope=MachineScope(machine_id=7), event="idle", hours=2)
    preview = await lite.alerts.preview(ANNA, Rule(when=rule))
    assert [current.value for current in preview.current] == [0.0]
    await lite.make(rule, **COOL)
    assert [await lite.machines(machine(), after=HOUR) for _ in range(4)] == [0, 1, 0, 0]


async def test_a_model_that_is_listed_later_is_watched_from_then_on(desk: AlertDesk) -> None:
    await desk.price(0.35)
    scope = GpuScope(gpu="rtx-5090", platform="vast", tier="on-demand")
    await desk.make(SupplyRule(scope=scope, event="at_least", count=10))
    await desk.make(PriceRule(scope=scope, direction="below", level=0.5))
    assert await desk.price(0.35) == 0
    told = await desk.poll(model_v1("RTX 4090", 30, 20, 0.35), model_v1("RTX 5090", 30, 20, 0.45))
    assert told == 2


async def test_a_repeat_needs_data_that_can_be_judged(lite: AlertDesk) -> None:
    await lite.price(0.35)
    rule = await lite.make(below(0.30), repeat=HOUR, only_if_moved=False)
    assert await lite.price(0.25) == 1
    for _ in range(6):
        assert await lite.price(0.25, 4, 4) == 0  # a thin sample: nobody knows whether it still is so
    assert "thin" in {row.reason for row in await lite.ledger(rule, "held")}
    assert await lite.price(0.25) == 1
    assert len(await lite.ledger(rule, "repeated")) == 1


async def test_the_end_of_a_servers_rule_is_told_as_the_servers(lite: AlertDesk) -> None:
    await lite.price(0.35)
    server = Owner(member_id=42, server=True, guild_id=10, channel_id=20, role_id=30)
    rule = await lite.make(below(0.30), owner=server, expires_at=lite.clock.now + HOUR)
    lite.clock.now += 2 * HOUR
    assert await lite.engine.tick() == 1
    [told] = await lite.notifications()
    assert (told.guild_id, told.channel_id, told.role_id) == (10, 20, None)  # it mentions nobody
    [payload] = await lite.items()
    item = ExpiredItem.model_validate(payload)
    assert item.server and item.rule_id == rule


async def test_numbers_that_nobody_watches_are_forgotten(desk: AlertDesk) -> None:
    await desk.price(0.35)
    await desk.machines(machine())
    kept = await desk.make(change(10, window="24h"))
    idle = MachineRule(scope=MachineScope(machine_id=7), event="idle", hours=2)
    gone = [await desk.make(idle), await desk.make(below(0.30)), await desk.make(change(5, window="7d"))]
    await desk.price(0.35, 4, 4)  # thin: noted as held back
    assert await desk.rows(alert_hold)
    assert await purge_keys(desk.db) == 0
    for rule in gone:
        await desk.alerts.remove(ANNA.key, rule)
    # The price stays, for the change is measured by it; the hire goes after what needed it.
    assert sum([await purge_keys(desk.db) for _ in range(3)]) == 3
    assert {row.metric for row in await desk.rows(alert_key)} == {"price", "change_24h_percent"}
    restored = await desk.alerts.restore(ANNA.key, gone[1])
    assert restored is not None and restored.state == "active"
    assert await desk.price(0.25) == 1
    assert {item["rule_id"] for item in await desk.items()} == {gone[1]}
    for rule in (kept, gone[1]):
        await desk.alerts.remove(ANNA.key, rule)
    assert sum([await purge_keys(desk.db) for _ in range(2)]) == 2


async def test_a_number_that_is_forgotten_while_a_rule_asks_for_it_is_made_anew(desk: AlertDesk) -> None:
    await desk.price(0.35)
    for _ in range(10):
        rule, forgotten = await asyncio.gather(desk.make(below(0.30)), purge_keys(desk.db))
        assert forgotten in (0, 1)
        [trigger] = await desk.triggers(rule)
        assert trigger.key_id in {row.id for row in await desk.rows(alert_key)}
        await desk.alerts.remove(ANNA.key, rule)


async def test_an_anchored_rule_keeps_the_number_that_it_goes_back_to(lite: AlertDesk) -> None:
    await lite.day(0.35)
    await lite.make(change(10, "down"), **COOL)
    await lite.price(0.30)
    assert await lite.price(0.30) == 1  # from here on it waits for a level of the price
    assert await purge_keys(lite.db) == 0


async def test_two_holdings_or_tiers_of_one_model_are_both_told() -> None:
    item = {"rule_id": 7, "when": HoldingRule(), "kind": "holding", "happened": "below", "at": START, "gpu": "rtx-4090"}
    items = [AlertItem(**item, holding_id="a"), AlertItem(**item, holding_id="b"), AlertItem(**item, tier="spot")]
    facts = MessageFacts(names=Names(gpu=str, platform=str, holding=str))
    assert len(alert_message([*items, items[0]], facts, translator_for("en")).embeds) == 3


def test_the_end_of_a_servers_rules_is_renewed_as_the_servers() -> None:
    one = ExpiredItem(rule_id=7, server=True, when=below(0.3), kind="price", expired_at=START, fired=2)
    facts, t = MessageFacts(names=Names(gpu=str, platform=str, holding=str), guild_id=99), translator_for("en")
    single, several = expired_message([one], facts, t), expired_message([one, one], facts, t)
    assert "An alert of this server has ended" in str(single.embeds[0].title)
    assert "2 of this server's alerts have ended" in str(several.embeds[0].title)
    for message in (single, several):
        for row in message.view.to_components():
            assert {unpack(each["custom_id"]).owner_key(1) for each in row["components"]} == {"g:99"}


def test_a_servers_alerts_are_not_called_the_readers() -> None:
    item = {"when": below(0.3), "kind": "price", "happened": "below", "at": START, "gpu": "rtx-4090", "server": True}
    facts, t = MessageFacts(names=Names(gpu=str, platform=str, holding=str), guild_id=99), translator_for("en")
    for count, late in ((1, False), (5, False), (5, True)):
        items = [AlertItem(rule_id=number, catch_up=late, **item) for number in range(count)]
        shown = str([embed.to_dict() for embed in alert_message(items, facts, t).embeds])
        assert "of this server" in shown and "our alert" not in shown


async def test_one_rule_that_cannot_be_read_stops_no_other(desk: AlertDesk) -> None:
    await desk.price(0.35)
    await desk.members.watch(42, "rtx-4090")
    watched = PriceRule(scope=WatchlistScope(), direction="below", level=0.31)
    broken = [
        await desk.make(below(0.31)),
        await desk.make(watched),
        await desk.make(DigestRule(hour=0)),
        await desk.make(below(0.32), expires_at=desk.clock.now + HOUR),
    ]
    whole = [
        await desk.make(below(0.30)),
        await desk.make(PriceRule(scope=WatchlistScope(), direction="below", level=0.29)),
        await desk.make(below(0.10), expires_at=desk.clock.now + HOUR),
    ]
    async with desk.db.write() as conn:
        await conn.execute(alert_rule.update().where(alert_rule.c.id.in_(broken)).values(spec={"when": {"kind": "?"}}))
    assert await desk.price(0.28) == 2
    assert {item["rule_id"] for item in await desk.items()} == set(whole[:2])
    assert await desk.alerts.sync() == 0
    desk.clock.now += 25 * HOUR
    assert await desk.engine.tick() == 1
    assert [row.state for row in await desk.rules() if row.id == whole[2]] == ["expired"]
