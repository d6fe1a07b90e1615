"""The range join against a naive evaluator, crashes between batches, and two evaluations at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from gpuscout.alerts.act import Acting
from gpuscout.alerts.engine import batches
from gpuscout.alerts.rules import Owner
from storage.alerts_eval import EvaluationStore, Hit, KeyValue
from storage.engine import Database
from storage.tables_alerts import alert_hold, alert_key, alert_rule, alert_trigger, alert_work
from tests.alerts.desk import START, STEP, AlertDesk, below
from tests.market.helpers import model_v1

NUMBERS = st.integers(-20, 20).map(lambda n: n / 4)
ROWS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([1, -1]), NUMBERS, st.sampled_from(["fire", "rearm", "reset"])),
    max_size=40,
)
VALUES = st.dictionaries(st.integers(1, 5), st.tuples(NUMBERS, st.booleans()), max_size=5)


async def fill(db: Database, rows: Sequence[tuple[int, int, float, str]]) -> None:
    rule: dict[str, Any] = {
        "id": 1,
        "owner": "m:1",
        "member_id": 1,
        "kind": "price",
        "scope": "gpu",
        "spec": {},
        "fingerprint": "x",
        "state": "active",
        "created_at": START,
        "updated_at": START,
    }
    async with db.write() as conn:
        for table in (alert_hold, alert_trigger, alert_rule, alert_key):
            await conn.execute(delete(table))
        await conn.execute(insert(alert_rule).values(rule))
        await conn.execute(
            insert(alert_key), [{"id": n, "metric": "price", "subject": str(n), "days": 0} for n in range(1, 6)]
        )
        triggers = [
            {
                "id": number,
                "rule_id": 1,
                "receiver": 1,
                "key_id": key,
                "direction": direction,
                "level": level,
                "role": role,
                "part": "+",
                "side": 1,
                "base": 0.0,
            }
            for number, (key, direction, level, role) in enumerate(rows, start=1)
        ]
        if triggers:
            await conn.execute(insert(alert_trigger), triggers)


def naive(
    rows: Sequence[tuple[int, int, float, str]], values: dict[int, tuple[float, bool]], *, held: bool
) -> set[int]:
    found = set()
    for number, (key, direction, level, role) in enumerate(rows, start=1):
        value = values.get(key)
        if value is None or value[1] is not held or (held and role != "fire"):
            continue
        if value[0] >= level if direction > 0 else value[0] <= level:
            found.add(number)
    return found


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS, polls=st.lists(VALUES, min_size=1, max_size=3))
def test_the_range_join_finds_what_a_look_at_every_rule_finds(
    db_url: str, rows: list[tuple[int, int, float, str]], polls: list[dict[int, tuple[float, bool]]]
) -> None:
    async def run() -> None:
        db = Database(db_url)
        try:
            await fill(db, rows)
            store = EvaluationStore(db)
            for poll, values in enumerate(polls, start=1):
                async with db.write() as conn:
                    await store.put_values(
                        conn, poll, [KeyValue(k, v, poll, "thin" if held else None) for k, (v, held) in values.items()]
                    )
                for _ in range(2):  # an evaluation that is repeated sees the same
                    assert {h.trigger_id for h in await store.hits(poll)} == naive(rows, values, held=False)
                    assert {h.trigger_id for h in await store.held_hits(poll)} == naive(rows, values, held=True)
        finally:
            await db.close()

    asyncio.run(run())


async def test_values_that_are_not_newer_change_nothing(db: Database) -> None:
    await fill(db, [(1, 1, 0.0, "fire")])
    store = EvaluationStore(db)
    for poll, value, at in ((1, 1.0, 100), (2, 2.0, 100), (3, 3.0, 90)):
        async with db.write() as conn:
            await store.put_values(conn, poll, [KeyValue(1, value, at)])
    async with db.read() as conn:
        row = (await conn.execute(select(alert_key).where(alert_key.c.id == 1))).one()
    assert (row.value, row.value_at, row.poll, row.before) == (1.0, 100, 1, None)
    assert await store.hits(2) == [] and await store.hits(3) == []


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 99)), max_size=60), st.integers(1, 8))
def test_a_receivers_hits_stay_together(found: list[tuple[int, int]], size: int) -> None:
    hits = [Hit(receiver, number, number) for receiver, number in found]
    made = list(batches(hits, size))
    assert sorted(hit for batch in made for hit in batch) == sorted(hits)
    for receiver in {hit.receiver for hit in hits}:
        assert sum(any(hit.receiver == receiver for hit in batch) for batch in made) == 1
    assert all(len(batch) <= size or len({hit.receiver for hit in batch}) == 1 for batch in made)


async def crossing(desk: AlertDesk, members: int) -> None:
    await desk.price(0.40)
    for member_id in range(1, members + 1):
        await desk.make(below(0.30), Owner(member_id=member_id))
    desk.clock.now += STEP
    await desk.store(model_v1("RTX 4090", 30, 20, 0.25))


async def test_a_crash_between_batches_loses_nothing_and_repeats_nothing(
    desk: AlertDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crossing(desk, 6)
    monkeypatch.setattr("gpuscout.alerts.engine.batches", lambda hits: batches(hits, 2))
    act, calls = Acting.act, 0

    async def dies(self: Acting, hits: Any, mode: Any, cycle: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionError("the process is killed here")
        return await act(self, hits, mode, cycle)

    monkeypatch.setattr(Acting, "act", dies)
    with pytest.raises(ConnectionError):
        await desk.engine.evaluate()
    assert len(await desk.items()) == 2 and len(await desk.rows(alert_work)) == 1
    assert await desk.engine.evaluate() == 4
    assert sorted(row.member_id for row in await desk.notifications()) == [1, 2, 3, 4, 5, 6]
    assert len(await desk.items()) == 6 and await desk.rows(alert_work) == []


async def test_a_crash_inside_a_batch_undoes_all_of_it(desk: AlertDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    await crossing(desk, 3)
    note = EvaluationStore.note

    async def dies(self: EvaluationStore, conn: Any, rows: Any) -> None:
        await note(self, conn, rows)
        raise ConnectionError("the process is killed here")

    with monkeypatch.context() as patch:
        patch.setattr(EvaluationStore, "note", dies)
        with pytest.raises(ConnectionError):
            await desk.engine.evaluate()
    assert await desk.items() == [] and await desk.events() == []
    assert {row.role for row in await desk.rows(alert_trigger)} == {"fire"}
    assert await desk.engine.evaluate() == 3


async def test_two_evaluations_at_once_tell_each_firing_once(desk: AlertDesk) -> None:
    await crossing(desk, 8)
    other = AlertDesk(desk.db)
    other.clock = desk.clock
    told = await asyncio.gather(desk.engine.evaluate(), other.engine.evaluate(), desk.engine.evaluate())
    assert sum(told) == 8 and len(await desk.items()) == 8
    assert all(row.fires == 1 for row in await desk.rules())


async def test_a_rule_that_is_paused_meanwhile_does_not_fire(desk: AlertDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    await crossing(desk, 2)
    hits = EvaluationStore.hits

    async def found(self: EvaluationStore, poll: int) -> list[Hit]:
        result = await hits(self, poll)
        await desk.alerts.pause("m:1", 1)
        return result

    monkeypatch.setattr(EvaluationStore, "hits", found)
    assert await desk.engine.evaluate() == 1
    assert [row.member_id for row in await desk.notifications()] == [2]
