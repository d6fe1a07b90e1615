"""Watching a source: sick or well, since when, and whether the operator was told.

A source is sick when it cannot be read, answers the wrong shape, shows the same time for two cycles, or loses half
of its models at once. The state is one JSON value a source, written in the transaction that stores the cycle, so a
restart neither forgets an outage nor tells it twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuscout.market.models import SourceStatus
from gpuscout.market.sources.base import FeedDocument, FetchResult
from gpuscout.resilience.health import OutageWatch
from storage.state import AppState

OUTAGE_AFTER = timedelta(minutes=30)
"""The operator is told once when a source has been sick this long, and once when it is well again."""
_JITTER = timedelta(minutes=1)
"""Cycles do not start to the second: without it the notice would wait for one more whole interval."""
FROZEN_CYCLES = 2
LOST_SHARE = 0.5
FORGET_LOSS_AFTER = timedelta(hours=24)
"""After a day the smaller market is the new normal."""

Notice = Literal["outage", "recovered"]


class FeedState(BaseModel):
    """What was last seen of one document of a source."""

    source_time: datetime | None = None
    unchanged: int = 0
    """Cycles in a row in which the time stood still."""
    models: int | None = None
    """Models of the last document that was no sudden loss."""
    lost_since: datetime | None = None
    series: int = 0
    """Series of the last document."""


class WatchState(BaseModel):
    """Everything remembered of a source between cycles and restarts."""

    model_config = ConfigDict(extra="ignore")

    last_attempt: datetime | None = None
    last_success: datetime | None = None
    """Last cycle that brought new data and found the source well."""
    failing_since: datetime | None = None
    problem: str | None = None
    outage: dict[str, Any] | None = None
    """Exported state of the :class:`gpuscout.resilience.health.OutageWatch`."""
    outages: int = 0
    feeds: dict[str, FeedState] = Field(default_factory=dict)
    series: int = 0
    rejected: int = 0
    reject_reasons: dict[str, int] = Field(default_factory=dict)
    breaker: str = "closed"
    remark: str | None = None
    """What the operator should know although the source is well."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one cycle says of a source."""

    state: WatchState
    notice: Notice | None
    since: datetime
    """Start of the sickness that is judged or over; now when there is none."""
    problems: Sequence[str] = ()
    sick: frozenset[str] = frozenset()
    """Feeds that have a problem."""
    reasons: Counter[str] = field(default_factory=Counter)


def _reason_class(reason: str) -> str:
    """Rejection reasons without the figures in them, so that equal defects count together."""
    return "".join("#" if char.isdigit() else char for char in reason)[:120]


def _watch_document(state: FeedState, document: FeedDocument, now: datetime) -> str | None:
    if state.source_time is not None and document.source_time <= state.source_time:
        return _watch_unchanged(state)
    state.source_time = document.source_time
    state.unchanged = 0
    if state.models and document.models <= state.models * LOST_SHARE:
        state.lost_since = state.lost_since or now
        if now - state.lost_since < FORGET_LOSS_AFTER:
            return f"lists {document.models} models, {state.models} before"
    state.lost_since = None
    state.models = document.models
    return None


def _watch_unchanged(state: FeedState) -> str | None:
    state.unchanged += 1
    if state.unchanged < FROZEN_CYCLES:
        return None
    since = f"{state.source_time:%Y-%m-%d %H:%M} UTC" if state.source_time else "the start"
    return f"its time has stood still at {since}"


def observe(before: WatchState, result: FetchResult, now: datetime, breaker: str = "closed") -> Verdict:
    """Judge one cycle.

    Returns:
        The new state, and a notice when the operator must be told now: ``outage`` once after thirty minutes of
        sickness, ``recovered`` once afterwards (only if an outage was told).
    """
    state = before.model_copy(deep=True)
    state.last_attempt = now
    state.breaker = breaker
    found: list[tuple[str, str]] = sorted(result.problems.items())
    reasons: Counter[str] = Counter()
    named = {*result.problems, *result.unchanged, *(document.feed for document in result.documents)}
    # Feeds that are no longer read (the source has changed its dialect) say nothing any more.
    state.feeds = {name: feed for name, feed in state.feeds.items() if name in named}
    for document in result.documents:
        feed = state.feeds.setdefault(document.feed, FeedState())
        feed.series = len(document.observations)
        if (problem := _watch_document(feed, document, now)) is not None:
            found.append((document.feed, problem))
        for item in document.rejected:
            reasons[_reason_class(item.reason)] += 1
    found.extend(
        (name, problem)
        for name in result.unchanged
        if (problem := _watch_unchanged(state.feeds.setdefault(name, FeedState()))) is not None
    )
    if result.documents:
        state.series = sum(feed.series for feed in state.feeds.values())
        state.rejected = sum(reasons.values())
        state.reject_reasons = dict(reasons.most_common(10))

    problems = [f"{feed}: {problem}" for feed, problem in found]
    watch = OutageWatch(OUTAGE_AFTER - _JITTER)
    if state.outage:
        watch.import_state(state.outage)
    notice: Notice | None = None
    if problems:
        state.problem = "; ".join(problems)[:500]
        notice = watch.observe(False, now)
        state.outages += notice == "outage"
    elif result.documents or any(feed.unchanged == 0 for feed in state.feeds.values()):
        state.problem = None
        notice = watch.observe(True, now)
        state.last_success = now
    # An unchanged document on its first cycle is neither success nor failure: judged on the next.
    state.outage = watch.export_state()
    state.failing_since = watch.failing_since
    since = state.failing_since or before.failing_since or now
    return Verdict(state, notice, since, problems, frozenset(feed for feed, _ in found), reasons)


_SOURCES = "market.sources"


def _key(source: str) -> str:
    return f"market.watch:{source}"


async def load_watch(state: AppState, source: str, conn: Any = None) -> WatchState:
    """The remembered state of a source; a fresh one before the first cycle."""
    stored: Any = await state.get(_key(source), conn=conn)
    return WatchState.model_validate(stored) if stored else WatchState()


async def save_watch(state: AppState, source: str, watch: WatchState, conn: Any) -> None:
    """Remember *watch* in the caller's transaction."""
    await state.set(_key(source), watch.model_dump(mode="json"), conn=conn)
    known = set(await state.get(_SOURCES, [], conn=conn))
    if source not in known:
        await state.set(_SOURCES, sorted(known | {source}), conn=conn)


async def is_shown(state: AppState, source: str) -> bool:
    """Whether the health of a source is shown."""
    return source in await state.get(_SOURCES, [])


async def retire(state: AppState, source: str, conn: Any) -> None:
    """Stop showing the health of a source that is no longer read; its state is kept for the next time."""
    known = await state.get(_SOURCES, [], conn=conn)
    await state.set(_SOURCES, [name for name in known if name != source], conn=conn)


async def set_remark(state: AppState, source: str, remark: str | None, conn: Any) -> bool:
    """Put a remark beside the health of a source, or take it away; False when that changes nothing."""
    watch = await load_watch(state, source, conn)
    if watch.remark == remark:
        return False
    await state.set(_key(source), watch.model_copy(update={"remark": remark}).model_dump(mode="json"), conn=conn)
    return True


def status_of(source: str, watch: WatchState) -> SourceStatus:
    """The state as readers see it."""
    times = [feed.source_time for feed in watch.feeds.values() if feed.source_time]
    return SourceStatus(
        source=source,
        last_attempt=watch.last_attempt,
        last_success=watch.last_success,
        last_source_time=max(times, default=None),
        failing_since=watch.failing_since,
        problem=watch.problem,
        series=watch.series,
        rejected_last=watch.rejected,
        reject_reasons=watch.reject_reasons,
        breaker=watch.breaker,
        remark=watch.remark,
    )


async def load_statuses(state: AppState) -> list[SourceStatus]:
    """Health of every source that was ever polled."""
    return [status_of(name, await load_watch(state, name)) for name in await state.get(_SOURCES, [])]
