"""What is shown of a rule: what it would watch now, what it watches, and what the ledger says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from gpuscout.alerts.bands import beyond
from gpuscout.alerts.expand import Part, machine_of, series_of
from gpuscout.alerts.ports import Attempt, Current, HeldReason, LedgerEntry, Outcome, Watched
from gpuscout.alerts.values import Reading


def currents_of(parts: Sequence[Part], readings: dict[Any, Reading]) -> list[Current]:
    """One entry a watched number; its sides together."""
    found: dict[Any, Current] = {}
    for part in parts:
        key = part.key
        reading = readings.get(key.identity)
        value = reading.value if reading is not None else None
        levels = () if part.name == "=" else (part.base,)
        already = bool(levels) and value is not None and beyond(value, part.base, part.side)
        before = found.get(key.identity)
        if before is not None:
            both = tuple(sorted((*before.levels, *levels)))
            found[key.identity] = replace(before, already=before.already or already, levels=both)
            continue
        series, machine = series_of(key.subject), machine_of(key.subject)
        current = Current(
            key.metric,
            value,
            already,
            levels,
            at=datetime.fromtimestamp(reading.at, UTC) if reading is not None else None,
            price=reading.price if reading is not None else None,
            held=reading.held if reading is not None else None,
            holding_id=part.name[1:] or None if key.metric in ("p10", "p90") else None,
        )
        if series is not None:
            current = replace(current, gpu=series.gpu, platform=series.platform, region=series.region, tier=series.tier)
        if machine is not None:
            current = replace(current, platform=machine[0], machine_id=machine[1])
        found[key.identity] = current
    return list(found.values())


def entry_of(row: Any, attempts: Sequence[Attempt]) -> LedgerEntry:
    return LedgerEntry(
        at=row.at,
        last_at=row.last_at,
        outcome=cast(Outcome, row.outcome),
        reason=cast(HeldReason | None, row.reason),
        count=row.count,
        metric=row.metric,
        subject=row.subject,
        value=row.value,
        level=row.level,
        notification_id=row.notification_id,
        state=row.state,
        sent_via=row.sent_via,
        message_id=row.message_id,
        sent_at=row.sent_at,
        may_repeat=bool(row.may_repeat),
        attempts=tuple(attempts),
    )


def hold_of(row: Any) -> LedgerEntry:
    """Polls of which a value was not judged, whatever it was."""
    return LedgerEntry(
        at=datetime.fromtimestamp(row.at, UTC),
        last_at=datetime.fromtimestamp(row.last_at, UTC),
        outcome="held",
        reason=cast(HeldReason, row.reason),
        count=row.count,
        metric=row.metric,
        subject=row.subject,
        value=row.value,
        level=None,
    )


def watched_of(row: Any) -> Watched:
    return Watched(
        metric=row.metric,
        subject=row.subject,
        value=row.value,
        at=None if row.value_at is None else datetime.fromtimestamp(row.value_at, UTC),
        level=row.level,
        waits_for="rearm" if row.role == "rearm" else "fire",
        direction=row.direction,
        pending=row.pending,
    )
