"""Remembered values and data versions."""

from __future__ import annotations

import asyncio

import pytest

from storage.engine import Database
from storage.state import AppState


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, "ü"]}, "text", 0, False, None, []])
async def test_json_values_come_back_as_they_were(db: Database, value: object) -> None:
    state = AppState(db)
    await state.set("key", value)
    assert await state.get("key", "default") == value
    await state.set("key", "other")
    assert await state.get("key") == "other"
    assert await state.delete("key")
    assert not await state.delete("key")
    assert await state.get("key", "default") == "default"


async def test_takes_part_in_the_callers_transaction(db: Database) -> None:
    state = AppState(db)
    with pytest.raises(RuntimeError):
        async with db.write() as conn:
            await state.set("key", 1, conn=conn)
            assert await state.get("key", conn=conn) == 1
            assert await state.bump_version(conn, "market") == 1
            raise RuntimeError
    assert await state.get("key") is None
    assert await state.version("market") == 0


async def test_versions_count_every_change(db: Database) -> None:
    state = AppState(db)

    async def bump() -> int:
        async with db.write() as conn:
            return await state.bump_version(conn, "market")

    assert sorted(await asyncio.gather(*(bump() for _ in range(20)))) == list(range(1, 21))
    assert await state.version("market") == 20
    assert await state.version("other") == 0
