from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gpuscout.market.models import Side
from gpuscout.market.sources.base import FeedDocument, FetchResult, Observation, RejectedItem
from gpuscout.market.watch import WatchState, observe

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STEP = timedelta(minutes=15)


def document(at: datetime, models: int = 40, rejected: int = 0) -> FeedDocument:
    side = Side(5, 0.3)
    return FeedDocument(
        "v1",
        at,
        at,
        models + rejected,
        [Observation(f"GPU {n}", "any", "any", side, side, Side(10, 0.3)) for n in range(models)],
        [RejectedItem(f"models.{n}: no median", "{}") for n in range(rejected)],
    )


def run(results: list[FetchResult], state: WatchState | None = None) -> list[tuple[str | None, str | None]]:
    """(notice, problem) of each cycle, fifteen minutes apart; the state survives as JSON, as in the database."""
    seen = []
    state = state or WatchState()
    for cycle, result in enumerate(results):
        verdict = observe(state, result, NOW + cycle * STEP)
        state = WatchState.model_validate(verdict.state.model_dump(mode="json"))
        seen.append((verdict.notice, state.problem))
    return seen


def fresh(cycle: int, models: int = 40) -> FetchResult:
    return FetchResult([document(NOW + cycle * STEP, models)])


DOWN = FetchResult(problems={"v1": "500.farm: cannot be reached"})


def test_told_once_after_thirty_minutes_and_once_on_recovery() -> None:
    notices = [notice for notice, _ in run([fresh(0), DOWN, DOWN, DOWN, DOWN, DOWN, fresh(6), fresh(7)])]
    assert notices == [None, None, None, "outage", None, None, "recovered", None]


def test_a_short_failure_is_not_told() -> None:
    seen = run([fresh(0), DOWN, DOWN, fresh(3)])
    assert [notice for notice, _ in seen] == [None] * 4
    assert seen[1][1] == "v1: 500.farm: cannot be reached"
    assert seen[3][1] is None


def test_a_time_that_stands_still_for_two_cycles_is_sick() -> None:
    frozen = FetchResult([document(NOW)])
    problems = [problem for _, problem in run([frozen, frozen, frozen, FetchResult(unchanged=["v1"]), fresh(4)])]
    assert problems[:2] == [None, None]
    assert problems[2] is not None and "stood still at 2026-11-24 12:00 UTC" in problems[2]
    assert problems[3] is not None
    assert problems[4] is None


def test_not_modified_counts_as_standing_still() -> None:
    same = FetchResult(unchanged=["v1"])
    problems = [problem for _, problem in run([fresh(0), same, same])]
    assert problems[1] is None and problems[2] is not None


def test_losing_half_of_the_models_is_sick_until_they_return() -> None:
    seen = run([fresh(0), fresh(1, 19), fresh(2, 19), fresh(3, 19), fresh(4, 39)])
    assert [problem for _, problem in seen] == [None, *["v1: lists 19 models, 40 before"] * 3, None]
    assert [notice for notice, _ in seen] == [None, None, None, "outage", "recovered"]


def test_after_a_day_the_smaller_market_is_the_normal_one() -> None:
    seen = run([fresh(0)] + [fresh(n, 10) for n in range(1, 100)])
    assert seen[96][1] is not None
    assert seen[98][1] is None


def test_reject_reasons_count_together_whatever_their_figures() -> None:
    verdict = observe(WatchState(), FetchResult([document(NOW, rejected=3)]), NOW)
    assert verdict.state.rejected == 3
    assert verdict.state.reject_reasons == {"models.#: no median": 3}


def test_a_rejecting_document_is_still_a_success() -> None:
    assert run([FetchResult([document(NOW, rejected=3)])]) == [(None, None)]
