"""Holdings, tariff plans and snapshots in real databases: ownership, limits, undo, erasure."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.holdings import Added, HoldingStore
from storage.members import MemberStore
from storage.tables_portfolio import holding, portfolio_snapshot, tariff_plan

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ANN, BEN = (1 << 62) + 1, (1 << 62) + 2
DAY = timedelta(days=1)


class Told:
    """Whoever follows changes: sees them inside the transaction, and may stop them."""

    def __init__(self, store: HoldingStore) -> None:
        self.store = store
        self.seen: list[tuple[int, int]] = []
        self.error: Exception | None = None

    async def __call__(self, conn: AsyncConnection, member_id: int) -> None:
        if self.error is not None:
            raise self.error
        self.seen.append((member_id, len(await self.store.list_in(conn, member_id))))


@pytest.fixture
def store(db: Database) -> HoldingStore:
    return HoldingStore(db)


@pytest.fixture
def told(store: HoldingStore) -> Told:
    return Told(store)


def row(gpu: str = "rtx-4090", **values: Any) -> dict[str, Any]:
    return {
        "gpu": gpu,
        "quantity": 8,
        "region": "global",
        "tier": "on-demand",
        "verification": "any",
        "segment": "any",
        "platform": "vast",
        **values,
    }


async def test_what_is_added_is_read_again(store: HoldingStore, told: Told) -> None:
    full = row(
        name="Rig 1",
        asked_price=0.35,
        power_w=380.0,
        tariff=0.31,
        fee=0.25,
        purchase_price=16_000.0,
        purchased_on=date(2024, 3, 1),
        mining_usd_day=1.5,
    )
    added = await store.add(ANN, [full, row("rtx-5090")], NOW, None, told)
    assert [r["gpu"] for r in added.rows] == ["rtx-4090", "rtx-5090"]
    stored = await store.list(ANN)
    assert {r["id"] for r in stored} == {r["id"] for r in added.rows}
    first = await store.get(ANN, added.rows[0]["id"])
    assert first is not None
    assert {name: first[name] for name in full} == full
    assert (first["created_at"], first["updated_at"], first["removed_at"]) == (NOW, NOW, None)
    assert first["machine_id"] is None
    assert told.seen == [(ANN, 2)]


async def test_another_members_holding_does_not_exist(store: HoldingStore, told: Told) -> None:
    mine = (await store.add(ANN, [row()], NOW, None, told)).rows[0]["id"]
    assert await store.list(BEN) == []
    assert await store.get(BEN, mine) is None
    assert await store.edit(BEN, mine, {"quantity": 1}, NOW, told) is None
    assert await store.remove(BEN, mine, NOW, told) is None
    await store.remove(ANN, mine, NOW, told)
    assert await store.restore(BEN, mine, NOW - DAY, NOW, None, told) == Added()
    assert told.seen == [(ANN, 1), (ANN, 0)]


async def test_the_limit_holds_for_all_or_none(store: HoldingStore, told: Told) -> None:
    await store.add(ANN, [row(), row()], NOW, 3, told)
    assert (await store.add(ANN, [row(), row()], NOW, 3, told)).full == 2
    assert len(await store.list(ANN)) == 2
    assert len((await store.add(ANN, [row()], NOW, 3, told)).rows) == 1
    assert told.seen == [(ANN, 2), (ANN, 3)]


async def test_two_that_come_at_once_cannot_pass_the_limit_together(store: HoldingStore, told: Told) -> None:
    await asyncio.gather(*(store.add(ANN, [row()], NOW, 3, told) for _ in range(10)))
    assert len(await store.list(ANN)) == 3


async def test_a_machine_is_in_a_portfolio_once(store: HoldingStore, told: Told) -> None:
    first = (await store.add(ANN, [row(machine_id=77)], NOW, None, told)).rows[0]["id"]
    assert (await store.add(ANN, [row(machine_id=77)], NOW, None, told)).taken == first
    assert (await store.add(ANN, [row(machine_id=77, platform="tensordock")], NOW, None, told)).rows
    assert (await store.add(BEN, [row(machine_id=77)], NOW, None, told)).rows
    await store.remove(ANN, first, NOW, told)
    again = (await store.add(ANN, [row(machine_id=77)], NOW, None, told)).rows[0]["id"]
    assert (await store.restore(ANN, first, NOW - DAY, NOW, None, told)).taken == again


async def test_many_rows_are_added_in_one_transaction(store: HoldingStore, told: Told) -> None:
    added = await store.add(ANN, [row(quantity=n + 1) for n in range(620)], NOW, None, told)
    assert [r["quantity"] for r in added.rows] == list(range(1, 621))
    assert told.seen == [(ANN, 620)]


async def test_they_are_listed_in_the_order_in_which_they_came(store: HoldingStore, told: Told) -> None:
    await store.add(ANN, [row(quantity=n) for n in range(1, 21)], NOW, None, told)
    await store.add(ANN, [row(quantity=n) for n in range(21, 31)], NOW, None, told)
    await store.add(ANN, [row(quantity=31)], NOW - DAY, None, told)  # the clock was set back
    assert [r["quantity"] for r in await store.list(ANN)] == list(range(1, 32))


async def test_edit_changes_what_it_names(store: HoldingStore, told: Told) -> None:
    mine = (await store.add(ANN, [row(asked_price=0.35)], NOW, None, told)).rows[0]["id"]
    changed = await store.edit(ANN, mine, {"asked_price": None, "purchased_on": date(2025, 1, 2)}, NOW + DAY, told)
    assert changed is not None
    assert (changed["asked_price"], changed["purchased_on"], changed["quantity"]) == (None, date(2025, 1, 2), 8)
    assert changed["updated_at"] == NOW + DAY
    with pytest.raises(ValueError, match="unknown column"):
        await store.edit(ANN, mine, {"member_id": BEN}, NOW, told)


async def test_removed_ones_come_back_for_a_while(store: HoldingStore, told: Told) -> None:
    mine = (await store.add(ANN, [row()], NOW, None, told)).rows[0]["id"]
    assert (await store.remove(ANN, mine, NOW, told)) is not None
    assert await store.remove(ANN, mine, NOW, told) is None
    assert await store.get(ANN, mine) is None
    assert await store.edit(ANN, mine, {"quantity": 1}, NOW, told) is None
    assert len((await store.restore(ANN, mine, NOW - DAY, NOW, None, told)).rows) == 1
    assert len((await store.restore(ANN, mine, NOW - DAY, NOW, None, told)).rows) == 1  # again: it stays
    assert told.seen == [(ANN, 1), (ANN, 0), (ANN, 1)]
    await store.remove(ANN, mine, NOW, told)
    assert await store.restore(ANN, mine, NOW, NOW + DAY, None, told) == Added()
    await store.add(ANN, [row()], NOW, None, told)
    assert (await store.restore(ANN, mine, NOW - DAY, NOW, 1, told)).full == 1
    assert await store.forget_removed(NOW) == 1
    assert await store.forget_removed(NOW) == 0
    assert await store.restore(ANN, mine, NOW - DAY, NOW, None, told) == Added()


async def test_whoever_follows_may_stop_a_change(store: HoldingStore, told: Told) -> None:
    mine = (await store.add(ANN, [row()], NOW, None, told)).rows[0]["id"]
    told.error = RuntimeError("no")
    for change in (
        store.add(ANN, [row()], NOW, None, told),
        store.edit(ANN, mine, {"quantity": 1}, NOW, told),
        store.remove(ANN, mine, NOW, told),
    ):
        with pytest.raises(RuntimeError):
            await change
    stored = await store.list(ANN)
    assert [r["quantity"] for r in stored] == [8]


async def test_tariff_plans_are_replaced_and_forgotten(store: HoldingStore) -> None:
    assert await store.tariff_plan(ANN) is None
    await store.put_tariff_plan(ANN, {"base": 0.3, "windows": []}, NOW)
    await store.put_tariff_plan(ANN, {"base": 0.2, "windows": [{"days": [0]}]}, NOW)
    assert await store.tariff_plan(ANN) == {"base": 0.2, "windows": [{"days": [0]}]}
    assert await store.tariff_plan(BEN) is None
    await store.put_tariff_plan(ANN, None, NOW)
    assert await store.tariff_plan(ANN) is None


def look(at: datetime, net: float, member: int = ANN) -> dict[str, Any]:
    return {
        "member_id": member,
        "day": at.date(),
        "holdings": 1,
        "gpus": 8,
        "gross_day": 2 * net,
        "net_day": net,
        "market_net_day": net,
        "at": at,
    }


async def test_the_last_look_of_a_day_counts(store: HoldingStore) -> None:
    await store.put_snapshots([])
    await store.put_snapshots([look(NOW, 5.0), look(NOW, 9.0, BEN)])
    await store.put_snapshots([look(NOW + timedelta(hours=2), 6.0)])
    await store.put_snapshots([look(NOW, 5.0)])  # a late one changes nothing
    await store.put_snapshots([look(NOW + DAY, 7.0), look(NOW - DAY, 4.0)])
    found = await store.snapshots(ANN, date(2026, 11, 1))
    assert [(r["day"], r["net_day"]) for r in found] == [(date(2026, 11, 1), 6.0), (date(2026, 11, 2), 7.0)]
    assert await store.forget_snapshots(date(2026, 11, 1)) == 1
    assert [r["net_day"] for r in await store.snapshots(BEN, date(2020, 1, 1))] == [9.0]


async def test_members_are_found_in_pages(store: HoldingStore, told: Told) -> None:
    for member in (BEN, ANN, 7):
        await store.add(member, [row(), row()], NOW, None, told)
    gone = (await store.add(8, [row()], NOW, None, told)).rows[0]["id"]
    await store.remove(8, gone, NOW, told)
    assert await store.members(None, 2) == [7, ANN]
    assert await store.members(ANN, 2) == [BEN]
    assert await store.members(BEN, 2) == []


async def test_erasure_leaves_nothing_of_the_member_and_all_of_others(
    db: Database, store: HoldingStore, told: Told
) -> None:
    members = MemberStore(db)
    for member in (ANN, BEN):
        added = await store.add(member, [row(), row()], NOW, None, told)
        await store.remove(member, added.rows[0]["id"], NOW, told)
        await store.put_tariff_plan(member, {"base": 0.3, "windows": []}, NOW)
        await store.put_snapshots([look(NOW, 1.0, member), look(NOW + DAY, 1.0, member)])
    kept = {"holding": 2, "portfolio_snapshot": 2, "tariff_plan": 1}
    assert await members.kept(ANN) == kept
    assert (await members.erase(ANN, "hash")).kept == kept
    assert await members.kept(ANN) == {}
    assert await members.kept(BEN) == kept
    async with db.read() as conn:
        for table in (holding, portfolio_snapshot, tariff_plan):
            count = await conn.scalar(select(func.count()).select_from(table).where(table.c.member_id == ANN))
            assert count == 0
