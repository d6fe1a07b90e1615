"""The health board and the outage watch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.resilience import DependencyHealth, HealthBoard, HealthState, OutageWatch

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def test_from_unknown_over_degraded_to_down_and_back() -> None:
    clock = Clock()
    board = HealthBoard(clock=clock)
    changes: list[tuple[HealthState, HealthState]] = []
    remove = board.add_listener(lambda old, new: changes.append((old.state, new.state)))
    board.register("farm")
    assert board.snapshot() == {"farm": DependencyHealth("farm")}
    board.success("farm", 0.2)
    assert (board.get("farm").state, board.get("farm").latency) == (HealthState.OK, 0.2)
    for minute in range(1, 5):
        clock.now = START + minute * MINUTE
        board.failure("farm", "answered with status 503")
    farm = board.get("farm")
    assert farm.state is HealthState.DOWN
    assert (farm.consecutive_failures, farm.message) == (4, "answered with status 503")
    assert (farm.last_success, farm.failing_since) == (START, START + MINUTE)
    assert (farm.down_since, farm.last_failure) == (START + 3 * MINUTE, START + 4 * MINUTE)
    board.success("farm")
    assert board.get("farm") == DependencyHealth("farm", HealthState.OK, last_success=clock.now, last_failure=clock.now)
    assert changes == [
        (HealthState.UNKNOWN, HealthState.OK),
        (HealthState.OK, HealthState.DEGRADED),
        (HealthState.DEGRADED, HealthState.DOWN),
        (HealthState.DOWN, HealthState.OK),
    ]
    remove()
    board.failure("farm", "again")
    assert len(changes) == 4


def test_poor_answers_degrade_but_do_not_hide_an_outage() -> None:
    board = HealthBoard(down_after=1)
    board.success("farm")
    board.degraded("farm", "data stand still")
    assert board.get("farm").state is HealthState.DEGRADED
    board.failure("farm", "gone")
    board.degraded("farm", "data stand still")
    assert (board.get("farm").state, board.get("farm").message) == (HealthState.DOWN, "gone")


def test_a_broken_listener_does_not_stop_the_others() -> None:
    board = HealthBoard()
    heard: list[str] = []

    def broken(old: DependencyHealth, new: DependencyHealth) -> None:
        raise RuntimeError("listener")

    board.add_listener(broken)
    board.add_listener(lambda old, new: heard.append(new.name))
    board.success("farm")
    assert heard == ["farm"]


@pytest.mark.parametrize(
    "secret",
    ["https://h.example/x?api_key=hunter2", "token=hunter2", "password: hunter2", "https://user:hunter2@h.example"],
)
def test_messages_carry_no_secrets_and_stay_one_short_line(secret: str) -> None:
    board = HealthBoard()
    board.failure("farm", f"could not\nread {secret} " + "x" * 5000)
    message = board.get("farm").message
    assert "hunter2" not in message
    assert "\n" not in message and len(message) <= 200


def test_an_outage_is_told_once_after_thirty_minutes_and_its_end_once() -> None:
    watch = OutageWatch()
    told = {
        minute: notice
        for minute in range(60)
        if (notice := watch.observe(not 5 <= minute < 50, START + minute * MINUTE))
    }
    assert told == {35: "outage", 50: "recovered"}


def test_a_short_failure_is_not_told_at_all() -> None:
    watch = OutageWatch()
    assert [watch.observe(minute % 20 == 0, START + minute * MINUTE) for minute in range(100)] == [None] * 100


def test_a_restart_in_the_middle_changes_nothing() -> None:
    for restart in range(60):
        watch = OutageWatch()
        told: list[tuple[int, str]] = []
        for minute in range(60):
            if minute == restart:
                stored = json.dumps(watch.export_state())
                watch = OutageWatch()
                watch.import_state(json.loads(stored))
            if notice := watch.observe(not 5 <= minute < 50, START + minute * MINUTE):
                told.append((minute, notice))
        assert told == [(35, "outage"), (50, "recovered")], restart


def test_a_clock_set_back_restarts_the_count() -> None:
    watch = OutageWatch()
    assert watch.observe(False, START + 600 * MINUTE) is None
    assert watch.observe(False, START) is None
    assert watch.observe(False, START + 29 * MINUTE) is None
    assert watch.observe(False, START + 30 * MINUTE) == "outage"


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 90)), max_size=60))
def test_notices_alternate_and_an_outage_is_never_told_early(steps: list[tuple[bool, int]]) -> None:
    watch, now, notices = OutageWatch(), START, []
    failing_since: datetime | None = None
    for ok, minutes in steps:
        now += minutes * MINUTE
        failing_since = None if ok else failing_since or now
        notice = watch.observe(ok, now)
        if notice == "outage":
            assert failing_since is not None and now - failing_since >= 30 * MINUTE
        if notice:
            notices.append(notice)
    assert notices == (["outage", "recovered"] * len(notices))[: len(notices)]


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"failing_since": None},
        {"failing_since": 5, "told": False},
        {"failing_since": "yesterday", "told": False},
        {"failing_since": "2026-01-01T00:00:00", "told": False},
        {"failing_since": None, "told": "yes"},
    ],
)
def test_a_spoiled_state_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        OutageWatch().import_state(state)


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        OutageWatch().observe(False, datetime(2026, 1, 1))  # noqa: DTZ001
