"""Rows of delivery choices, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from storage.delivery_choices import DeliveryChoiceStore
from storage.engine import Database
from storage.tables_delivery import delivery_attempt, notification

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANN, BEN = (1 << 62) + 1, (1 << 62) + 2


async def test_columns_are_set_one_by_one(db: Database) -> None:
    store = DeliveryChoiceStore(db)
    assert await store.get(ANN) is None
    await store.put(ANN, {"quiet_start": 1320, "quiet_end": 420}, NOW)
    await store.put(ANN, {"channels": ["email"], "critical_passes": True}, NOW + timedelta(hours=1))
    row = await store.get(ANN)
    assert row is not None
    assert (row["channels"], row["muted_kinds"], row["quiet_start"], row["quiet_end"], row["critical_passes"]) == (
        ["email"],
        [],
        1320,
        420,
        True,
    )
    assert row["updated_at"] == NOW + timedelta(hours=1)
    assert await store.get(BEN) is None
    with pytest.raises(ValueError, match="unknown column"):
        await store.put(ANN, {"dm_failures": 0}, NOW)


async def test_failures_at_the_same_instant_switch_off_exactly_once(db: Database) -> None:
    store = DeliveryChoiceStore(db)
    outcomes = await asyncio.gather(*(store.dm_failed(ANN, NOW, 3) for _ in range(6)))
    assert sorted(outcomes) == [False] * 5 + [True]
    row = await store.get(ANN)
    assert row is not None
    assert (row["dm_failures"], row["dm_off_at"]) == (6, NOW)
    await store.dm_arrived(ANN)
    row = await store.get(ANN)
    assert row is not None
    assert (row["dm_failures"], row["dm_off_at"]) == (0, None)
    await store.dm_arrived(BEN)
    assert await store.get(BEN) is None


async def test_the_first_message_counts(db: Database) -> None:
    store = DeliveryChoiceStore(db)
    for hours in (0, 5):
        await store.dm_opened(ANN, NOW + timedelta(hours=hours))
    row = await store.get(ANN)
    assert row is not None and row["dm_opened_at"] == NOW


async def test_takes_part_in_the_callers_transaction(db: Database) -> None:
    store = DeliveryChoiceStore(db)
    with pytest.raises(RuntimeError):
        async with db.write() as conn:
            await store.put(ANN, {"channels": ["dm"]}, NOW, conn)
            await store.dm_failed(ANN, NOW, 1, conn)
            found = await store.get(ANN, conn)
            assert found is not None and found["dm_off_at"] == NOW
            raise RuntimeError
    assert await store.get(ANN) is None
    await store.put(ANN, {"channels": ["dm"]}, NOW)
    async with db.write() as conn:
        assert await store.erase(ANN, conn) == 1
        assert await store.erase(BEN, conn) == 0
    assert await store.get(ANN) is None


async def test_the_last_refusal_is_that_of_a_direct_message(db: Database) -> None:
    store = DeliveryChoiceStore(db)
    attempts = [
        (ANN, 0, "dm", "refused", "50007"),
        (ANN, 1, "dm", "refused", "50278"),
        (ANN, 2, "email", "refused", "550"),
        (ANN, 3, "dm", "failed", "503"),
        (BEN, 4, "dm", "refused", None),
    ]
    async with db.write() as conn:
        for number, (member, hour, channel, outcome, detail) in enumerate(attempts):
            at = NOW + timedelta(hours=hour)
            await conn.execute(
                notification.insert().values(
                    id=f"n{number}",
                    kind="alert",
                    member_id=member,
                    group_key=f"g{number}",
                    state="failed",
                    created_at=at,
                    due_at=at,
                )
            )
            await conn.execute(
                delivery_attempt.insert().values(
                    notification_id=f"n{number}", at=at, channel=channel, outcome=outcome, detail=detail
                )
            )
    assert await store.last_refusal(ANN) == (NOW + timedelta(hours=1), "50278")
    assert await store.last_refusal(BEN) == (NOW + timedelta(hours=4), "")
    assert await store.last_refusal(5) is None
