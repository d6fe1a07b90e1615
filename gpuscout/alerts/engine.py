"""The evaluation of market updates: values, one range join, and what follows in batches.

There is no state in the process. An update that is evaluated again finds the triggers that it met moved already.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import structlog

from gpuscout.alerts.act import Acting, Cycle, Mode
from gpuscout.alerts.cycle_values import CycleValues
from gpuscout.alerts.digest_times import next_digest
from gpuscout.alerts.messages import AlertItem, DigestLine, ExpiredItem
from gpuscout.alerts.readings import Readings
from gpuscout.alerts.rules import DigestRule, Rule
from gpuscout.alerts.rules_rows import owner_of
from gpuscout.alerts.tell import Receiver, Teller, Telling
from gpuscout.alerts.values import Doubt, Figures, gpu_of
from storage import alerts_values as figures
from storage.alerts_eval import CHUNK, EvaluationStore, Hit, LedgerRow, chunks
from storage.alerts_keys import bind_series, purge_keys
from storage.alerts_work import WorkRow, waiting_work, work_done
from storage.machines import FEED as MACHINES

log = structlog.get_logger(__name__)

LATE_INTERVALS: Final = 2
"""An update that is evaluated later than so many intervals, or follows on a gap as long, is caught up with."""
GATHER: Final = timedelta(seconds=20)
"""How long messages wait for each other while several cycles are caught up with."""
LEDGER_KEPT: Final = timedelta(days=90)
REMOVED_KEPT: Final = timedelta(days=2)
DIGEST_PERIODS: Final = {"day": timedelta(days=1), "week": timedelta(days=7)}


class Engine:
    """Evaluates what waits to be evaluated."""

    def __init__(
        self,
        evaluation: EvaluationStore,
        numbers: Figures,
        readings: Readings,
        teller: Teller,
        acting: Acting,
        doubt: Callable[[], Awaitable[Doubt]],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._evaluation = evaluation
        self._values = CycleValues(evaluation, numbers, readings)
        self._acting = acting
        self._teller = teller
        self._doubt = doubt
        self._clock = clock

    async def evaluate(self) -> int:
        """Evaluate every update that waits, cycle by cycle in their order; how many firings were told."""
        work = await waiting_work(self._evaluation.db)
        if not work:
            return 0
        doubt = await self._doubt()
        cycles = [list(rows) for _, rows in groupby(work, key=lambda row: row.cycle)]
        late = [await self._late(rows, doubt) for rows in cycles]
        gather = self._clock() + GATHER if sum(late) > 1 else None
        told = 0
        for rows, catch_up in zip(cycles, late, strict=True):
            cycle = Cycle(
                poll=rows[0].cycle,
                at=max(row.at for row in rows),
                oldest=min(row.oldest for row in rows),
                stored_at=min(row.stored_at for row in rows),
                catch_up=catch_up,
                due_at=gather,
            )
            told += await self._cycle(cycle, rows, doubt)
        return told

    async def _late(self, rows: Sequence[WorkRow], doubt: Doubt) -> bool:
        limit = LATE_INTERVALS * doubt.interval
        if self._clock() - min(row.stored_at for row in rows) > limit:
            return True
        for row in rows:
            before = await figures.previous_update(self._evaluation.db, row.update_id)
            if row.feed != MACHINES and before is not None and row.at - before[1] > limit.total_seconds():
                return True
        return False

    async def _cycle(self, cycle: Cycle, rows: Sequence[WorkRow], doubt: Doubt) -> int:
        await bind_series(self._evaluation.db)
        values = await self._values.of(rows, doubt)
        for part in chunks(values):
            async with self._evaluation.db.write() as conn:
                await self._evaluation.put_values(conn, cycle.poll, part)
        told = await self._act(await self._evaluation.held_hits(cycle.poll), "held", cycle)
        told += await self._act(await self._evaluation.hits(cycle.poll), "met", cycle)
        told += await self._act(await self._evaluation.due(cycle.at), "due", cycle)
        async with self._evaluation.db.write() as conn:
            await work_done(conn, cycle.poll)
        log.info("alerts_evaluated", cycle=cycle.poll, values=len(values), told=told, catch_up=cycle.catch_up)
        return told

    async def _act(self, hits: Sequence[Hit], mode: Mode, cycle: Cycle) -> int:
        return sum([await self._acting.act(batch, mode, cycle) for batch in batches(hits)])

    # --- what is due by time alone ---

    async def tick(self) -> int:
        """End rules whose time is over, send digests of alerts, forget old entries; how many messages were added."""
        now = self._clock()
        told = 0
        for row in await self._evaluation.expired(now):
            told += await self._alone(row.id, self._expire(row.id, now))
        for row in await self._evaluation.digests_due(now):
            told += await self._alone(row.id, self._digest(row.id, now))
        async with self._evaluation.db.write() as conn:
            await self._evaluation.purge(conn, now - LEDGER_KEPT, now - REMOVED_KEPT)
        return told

    async def _alone(self, rule_id: int, work: Awaitable[int]) -> int:
        """One rule's trouble stops no other's: it is due as before, and the next look tries again."""
        try:
            return await work
        except Exception:
            log.exception("alert_not_settled", rule=rule_id)
            return 0

    async def tidy(self) -> int:
        """Forget numbers that nobody watches any more; how many."""
        return await purge_keys(self._evaluation.db)

    async def _receiver(self, member_id: int, server: bool) -> Receiver:
        return Receiver() if server else await self._teller.receiver(member_id)

    async def _expire(self, rule_id: int, now: datetime) -> int:
        row = (await self._evaluation.rules([rule_id])).get(rule_id)
        if row is None:
            return 0
        receiver = await self._receiver(row.member_id, row.server)
        async with self._evaluation.db.write() as conn:
            row = (await self._evaluation.rules([rule_id], conn)).get(rule_id)
            if row is None or row.expires_at is None or row.expires_at > now:
                return 0
            rule, owner = Rule.model_validate(row.spec), owner_of(row)
            await self._evaluation.end(conn, [rule_id], "expired", now)
            item = ExpiredItem(
                rule_id=rule_id,
                server=owner.server,
                when=rule.when,
                kind=rule.kind,
                expired_at=row.expires_at,
                fired=row.fires,
            )
            found = await self._teller.expired(conn, owner, item, receiver)
            mark = f"e:{int(row.expires_at.timestamp())}"
            await self._evaluation.note(conn, [LedgerRow(rule_id, mark, now, "expired", notification_id=found)])
        return int(found is not None)

    async def _digest(self, rule_id: int, now: datetime) -> int:
        row = (await self._evaluation.rules([rule_id])).get(rule_id)
        if row is None:
            return 0
        rule, owner = Rule.model_validate(row.spec), owner_of(row)
        if not isinstance(rule.when, DigestRule):
            return 0
        receiver = await self._receiver(owner.member_id, owner.server)
        since = row.last_fired_at or max(row.created_at, now - DIGEST_PERIODS[rule.when.every])
        lines = [_line(line) for line in await self._evaluation.lines(row.owner, since)]
        async with self._evaluation.db.write() as conn:
            row = (await self._evaluation.rules([rule_id], conn)).get(rule_id)
            if row is None or row.next_at is None or row.next_at > now:
                return 0
            planned = int(row.next_at.timestamp())
            found = None
            if lines:
                item = AlertItem(
                    rule_id=rule_id,
                    when=rule.when,
                    kind=rule.kind,
                    happened="digest",
                    severity=rule.manners.severity,
                    at=now,
                    fired_before=row.fires,
                    lines=tuple(lines),
                )
                key = f"alert-digest:{rule_id}:{planned}"
                found = await self._teller.tell(conn, Telling(owner, item, receiver, key))
                entry = LedgerRow(rule_id, f"d:{planned}", now, "digest", notification_id=found)
                await self._evaluation.note(conn, [entry])
                await self._evaluation.fired(conn, {rule_id: 1}, now)
            await self._evaluation.plan(conn, rule_id, next_digest(rule.when, receiver.zone, now))
        return int(found is not None)


def batches(hits: Sequence[Hit], size: int = CHUNK) -> Iterator[list[Hit]]:
    """Hits in batches of about *size*, all of one receiver's in one, so that a poll is one message of his."""
    batch: list[Hit] = []
    for _, of_one in groupby(sorted(hits), key=lambda hit: hit.receiver):
        more = list(of_one)
        if batch and len(batch) + len(more) > size:
            yield batch
            batch = []
        batch += more
    if batch:
        yield batch


def _line(found: Any) -> DigestLine:
    return DigestLine(
        rule_id=found.id,
        when=Rule.model_validate(found.spec).when,
        fired=found.fired or 0,
        last_at=found.last_at,
        gpu=gpu_of(found.subject) or None if found.subject else None,
        value=found.value,
        metric=found.metric,
    )
