"""A model at a few cents, where one cent of the source is more than any rule in per cent."""

from __future__ import annotations

import pytest

from gpuscout.alerts.rules import GpuScope, StepsRule
from tests.alerts.desk import ANNA, STEP, AlertDesk, below, change, none_left

NAME, SCOPE = "GTX 1080", GpuScope(gpu="gtx-1080")


async def test_one_cent_flaps_for_forty_polls(desk: AlertDesk) -> None:
    """Price 0.06/0.05, sample 12 -> 8 -> 12, and in the end nothing is available."""
    await desk.day(0.06, 8, 4, NAME)
    fall = await desk.make(change(10, "down", scope=SCOPE))
    level = await desk.make(below(0.06, SCOPE))
    gone = await desk.make(none_left(SCOPE))
    assert [(t.role, round(t.level, 4)) for t in await desk.triggers(level)] == [("fire", 0.06)]

    for poll in range(40):
        rented, available = (8, 4) if poll < 13 or poll >= 26 else (5, 3)
        await desk.price((0.05, 0.06)[poll % 2], rented, available, NAME)
        await desk.sent()  # each message could be one of its own
    assert [len(await desk.ledger(rule, "fired")) for rule in (fall, level, gone)] == [1, 1, 0]

    for _ in range(4):
        await desk.price(0.05, 12, 0, NAME)
    assert [len(await desk.ledger(rule, "fired")) for rule in (fall, level, gone)] == [1, 1, 1]
    for rule in (fall, level):
        why = await desk.alerts.why(ANNA.key, rule_id=rule)
        assert why is not None and sum(e.count for e in why.entries if e.reason == "thin") == 13
    fired = [item["rule_id"] for item in await desk.items()]
    assert sorted(fired) == [fall, level, gone]


@pytest.mark.parametrize("sample", [8])
async def test_figures_of_eight_gpus_are_held_and_the_reason_is_told(lite: AlertDesk, sample: int) -> None:
    await lite.day(0.06, 8, 4, NAME)
    fall, level = await lite.make(change(10, "down", scope=SCOPE)), await lite.make(below(0.06, SCOPE))
    gone = await lite.make(none_left(SCOPE))
    for poll in range(10):
        await lite.price((0.05, 0.06)[poll % 2], sample - 3, 3, NAME)
    assert await lite.items() == []
    for rule in (fall, level):
        why = await lite.alerts.why(ANNA.key, rule_id=rule)
        assert why is not None
        assert [(e.outcome, e.reason, e.count) for e in why.entries] == [("held", "thin", 5)]
    assert await lite.price(0.05, sample, 0, NAME) == 1  # supply is not held for a small sample
    [item] = await lite.items()
    assert item["rule_id"] == gone and item["after"] == 0
    # With twelve again both are judged again: the level at once, the change after its second poll.
    assert [await lite.price(0.05, 8, 4, NAME) for _ in range(3)] == [1, 1, 0]


async def test_steps_of_five_per_cent_do_not_follow_a_cent(lite: AlertDesk) -> None:
    await lite.price(0.06, name=NAME)
    rule = await lite.make(StepsRule(scope=SCOPE, amount=5), for_polls=1)
    for poll in range(20):
        assert await lite.price((0.05, 0.06)[poll % 2], name=NAME) == 0
    assert await lite.price(0.08, name=NAME) == 1  # two cents are a move
    assert await lite.price(0.08, name=NAME) == 0
    assert {round(t.anchor, 6) for t in await lite.triggers(rule)} == {0.08}


async def test_a_wider_band_is_the_members_choice(lite: AlertDesk) -> None:
    await lite.price(0.35)
    await lite.make(below(0.30), band=0.05, cooldown=STEP * 0)
    assert [await lite.price(p) for p in (0.29, 0.34, 0.29, 0.35, 0.29)] == [1, 0, 0, 0, 1]
