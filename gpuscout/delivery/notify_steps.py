"""The transactions of deliveries. With many on their way at once, one serves several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuscout.accounts.delivery_choices import DeliveryChoices
from storage.attempts import Arrived, Begun, DeliveryLedger, Notification
from storage.engine import Database
from storage.grouping import Grouped
from storage.job_model import Job
from storage.jobs import JobStore

Rows = tuple[Mapping[str, Any], Mapping[str, Any] | None]
"""What a member chose: his row of ``member`` (empty where there is none) and of ``member_delivery``."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A try that ended well, and its job; ``first``: the member whose DMs are now known to work."""

    arrived: Arrived
    job: Job
    first: int | None = None


class GroupedSteps:
    """Each step takes one item and does it together with what others ask for at the same moment.

    Attributes:
        load: a notification by its id.
        rows: what a member chose, by his id.
        begin: note that a try begins; see :meth:`storage.attempts.DeliveryLedger.begin_many`.
        end: note that one arrived and end its job; raises ``LeaseLost`` where another worker has it.
    """

    def __init__(self, db: Database, jobs: JobStore, ledger: DeliveryLedger, choices: DeliveryChoices) -> None:
        self._db = db
        self._jobs = jobs
        self._ledger = ledger
        self._choices = choices
        self.load = Grouped(self._load_all)
        self.rows = Grouped(self._rows_of_all)
        self.begin = Grouped(self._begin_all)
        self.end = Grouped(self._end_all)

    async def _load_all(self, ids: Sequence[str]) -> list[Notification | Exception | None]:
        found = await self._ledger.load_many(ids)
        return [found.get(each) for each in ids]

    async def _rows_of_all(self, member_ids: Sequence[int]) -> list[Rows | Exception]:
        members, choices = await self._ledger.reader_rows(member_ids)
        return [(members.get(each, {}), choices.get(each)) for each in member_ids]

    async def _begin_all(self, tries: Sequence[Begun]) -> list[int | Exception | None]:
        async with self._db.write() as conn:
            return list(await self._ledger.begin_many(conn, tries))

    async def _end_all(self, ended: Sequence[Ended]) -> list[Exception | None]:
        """What arrived and the ends of its jobs; whose lease is lost has no part in it."""
        async with self._db.write() as conn:
            held = await self._jobs.finish_many(conn, [each.job for each in ended])
            await self._ledger.sent_many(conn, [each.arrived for each in ended if each.job.id in held])
            for each in ended:
                if each.first is not None and each.job.id in held:
                    await self._choices.note_dm_ok(each.first, conn)
                    await self._choices.note_dm_opened(each.first, conn)
        return [None if each.job.id in held else self._jobs.lost(each.job) for each in ended]
