"""One ingest cycle: fetch, validate, normalise, and store in one transaction with what it causes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from config.catalogue import GpuCatalogue
from gpuscout.market.demand import Reference
from gpuscout.market.models import METHOD_VERSION, SeriesKey
from gpuscout.market.normalise import NormalisedDocument, normalise
from gpuscout.market.outliers import HISTORY_DAYS
from gpuscout.market.reader import VERSION_NAME
from gpuscout.market.rollup import DAY, HOUR
from gpuscout.market.rows import key_of, texts_of, values_of
from gpuscout.market.sources.base import FeedDocument, FetchResult, MarketSource
from gpuscout.market.trends import MARKET_WORK, mark_changed
from gpuscout.market.watch import Notice, Verdict, load_watch, observe, save_watch
from storage.alerts_work import StoredUpdate, enqueue_evaluation
from storage.jobs import JobStore
from storage.market import MarketStore, QuoteValues, Rejected, SeriesTexts, UnknownName, UpdateRows
from storage.state import AppState

log = structlog.get_logger(__name__)

ROLLUP_JOB = "market.rollup"
NOTICE_JOB = "operator.notice"

REFERENCE_WINDOWS: Mapping[str, tuple[int, int]] = {
    "1h": (HOUR, HOUR // 2),
    "24h": (DAY, 2 * HOUR),
    "7d": (7 * DAY, 12 * HOUR),
}
"""Window and tolerance in seconds of the earlier counts that demand compares with."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one cycle did; printed by ``gpuscout ingest`` and logged by the scheduler."""

    source: str
    read: int = 0
    """Models read, over all documents."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Rejected items by reason."""
    stored: int = 0
    """Quotes stored; 0 when the source had nothing new."""
    updates: Sequence[str] = ()
    """Documents that were new."""
    unchanged: Sequence[str] = ()
    unknown: Sequence[str] = ()
    """GPU names that the catalogue does not know."""
    problems: Sequence[str] = ()
    sick: frozenset[str] = frozenset()
    """Documents that have a problem."""
    seconds: float = 0.0
    version: int | None = None
    note: str = ""
    """What else the operator should know, in one sentence."""

    @property
    def ok(self) -> bool:
        """True when the source was found well."""
        return not self.problems


class Ingest:
    """Runs cycles of one source.

    Args:
        watch_name: under which the source is watched and reported, where that is not its name (one source may be
            read in several ways that fail apart from each other).
        before_store: called with each new document before it is stored; may store, in transactions of its own, what
            is more than quotes. It must be safe to repeat.
        on_stored: called after the commit of a cycle that stored something, with the new data version (caches,
            fan-out); a failure is logged and changes nothing.
        kin: other sources of the same series: where this one was not read, their counts are what demand compares with.
        tells: whether the owner is told by DM of an outage and of its end.
    """

    def __init__(
        self,
        source: MarketSource,
        store: MarketStore,
        state: AppState,
        jobs: JobStore,
        catalogue: GpuCatalogue,
        *,
        watch_name: str | None = None,
        before_store: Callable[[FeedDocument], Awaitable[None]] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_stored: Callable[[int], Awaitable[None]] | None = None,
        breaker_state: Callable[[], str] = lambda: "closed",
        kin: Sequence[str] = (),
        tells: bool = True,
    ) -> None:
        self.source = source
        self._tells = tells
        self._watch_name = watch_name or source.name
        self._before_store = before_store
        self._store = store
        self._state = state
        self._jobs = jobs
        self._catalogue = catalogue
        self.clock = clock
        self._on_stored = on_stored
        self._breaker_state = breaker_state
        self._kin = tuple(kin)
        self._daily_prices: tuple[int, dict[SeriesKey, list[float]]] = (-1, {})

    async def run(self) -> IngestReport:
        """One cycle. Safe to repeat: an update that is stored already changes nothing."""
        started = time.monotonic()
        now = self.clock()
        result = await self.source.fetch(now)
        try:
            documents = [await self._normalise(document) for document in result.documents]
            # Judged at the cycle's start: retries must not move the time since when the source is sick.
            verdict = observe(await load_watch(self._state, self._watch_name), result, now, self._breaker_state())
            if self._before_store is not None:
                for document in result.documents:
                    await self._before_store(document)
            stored, updates, version = await self._commit(documents, verdict)
        except BaseException:
            # What was not stored must not be answered with "not modified" next time.
            self.source.forget()
            raise
        reasons: Counter[str] = Counter()
        for normalised in documents:
            reasons.update(item.reason for item in normalised.rejected)
        report = IngestReport(
            source=self._watch_name,
            read=sum(document.read for document in result.documents),
            rejected=dict(reasons),
            stored=stored,
            updates=updates,
            unchanged=tuple(result.unchanged) + tuple(d.feed for d in result.documents if d.feed not in updates),
            unknown=sorted({item.name for normalised in documents for item in normalised.unknown}),
            problems=tuple(verdict.problems),
            sick=verdict.sick,
            seconds=time.monotonic() - started,
            version=version,
        )
        self._log(report, result, verdict.notice)
        if version is not None and self._on_stored is not None:
            try:
                await self._on_stored(version)
            except Exception:
                # Stored is stored: readers find the new version in the database all the same.
                log.exception("ingest_fan_out_failed", version=version)
        return report

    async def peek(self) -> tuple[list[NormalisedDocument], list[str]]:
        """What a cycle would store, without storing it, and what is wrong with the source. Nothing is remembered."""
        result = await self.source.fetch(self.clock())
        self.source.forget()
        documents = [await self._normalise(document) for document in result.documents]
        return documents, [f"{feed}: {problem}" for feed, problem in sorted(result.problems.items())]

    async def aclose(self) -> None:
        """Close the source's connections."""
        await self.source.aclose()

    async def _normalise(self, document: FeedDocument) -> NormalisedDocument:
        at = int(document.source_time.timestamp())
        references: dict[str, dict[SeriesKey, Reference]] = {}
        for window, (seconds, tolerance) in REFERENCE_WINDOWS.items():
            for source in (self.source.name, *self._kin):
                ts = await self._store.update_near(source, document.feed, at - seconds, tolerance)
                if ts is not None:
                    counts = await self._store.counts_at(ts)
                    references[window] = {key_of(texts): Reference(*pair) for texts, pair in counts.items()}
                    break
        daily_prices = await self._prices(at)
        # In a thread: some hundred quotes are a few milliseconds of pure Python.
        return await asyncio.to_thread(
            normalise,
            document,
            source=self.source.name,
            platform=self.source.platform,
            catalogue=self._catalogue,
            references=references,
            daily_prices=daily_prices,
        )

    async def _prices(self, at: int) -> dict[SeriesKey, list[float]]:
        """Daily prices before the document's day, read once an hour and kept."""
        day, hour = at - at % DAY, at - at % HOUR
        if self._daily_prices[0] != hour:
            stored = await self._store.reference_prices(day - HISTORY_DAYS * DAY, day)
            self._daily_prices = (hour, {key_of(texts): prices for texts, prices in stored.items()})
        return self._daily_prices[1]

    async def _commit(
        self, documents: Sequence[NormalisedDocument], verdict: Verdict
    ) -> tuple[int, tuple[str, ...], int | None]:
        stored = 0
        updates: list[str] = []
        fresh: list[StoredUpdate] = []
        version: int | None = None
        try:
            async with self._store.db.write() as conn:
                for normalised in documents:
                    update_id = await self._store.store_update(conn, self._rows(normalised))
                    if update_id is not None:
                        stored += len(normalised.quotes)
                        updates.append(normalised.document.feed)
                        oldest = await self._store_older(conn, update_id, normalised)
                        await self._cause(conn, normalised.document, oldest)
                        fresh.append(StoredUpdate(update_id, oldest))
                await enqueue_evaluation(conn, self._store.db, self._jobs, fresh, self.clock())
                if updates:
                    version = await self._state.bump_version(conn, VERSION_NAME)
                await save_watch(self._state, self._watch_name, verdict.state, conn)
                if verdict.notice and self._tells:
                    await self._tell(conn, verdict, verdict.notice)
        except BaseException:
            # Ids of series made in the lost transaction must not be used again.
            self._store.forget()
            raise
        return stored, tuple(updates), version

    async def _store_older(self, conn: AsyncConnection, update_id: int, normalised: NormalisedDocument) -> int:
        """Store the quotes that are older than their document; returns the oldest time (epoch seconds)."""
        at = int(normalised.document.source_time.timestamp())
        older: defaultdict[int, list[tuple[SeriesTexts, QuoteValues]]] = defaultdict(list)
        for quote in normalised.quotes:
            if (ts := int(quote.at.timestamp())) < at:
                older[ts].append((texts_of(quote.key), values_of(quote)))
        source_id = await self._store.source_id(conn, self.source.name)
        for ts, quotes in older.items():
            await self._store.insert_quotes(conn, ts, source_id, update_id, quotes)
        return min(older, default=at)

    def _rows(self, normalised: NormalisedDocument) -> UpdateRows:
        document = normalised.document
        return UpdateRows(
            source=self.source.name,
            feed=document.feed,
            # Cut, not rounded: the second of the quotes must not lie ahead of the source's.
            source_time_ms=int(document.source_time.timestamp()) * 1000 + document.source_time.microsecond // 1000,
            fetched_at=document.fetched_at,
            method=METHOD_VERSION,
            read=document.read,
            quotes=[
                (texts_of(quote.key), values_of(quote))
                for quote in normalised.quotes
                if int(quote.at.timestamp()) >= int(document.source_time.timestamp())
            ],
            rejected=[Rejected(item.reason, item.sample) for item in normalised.rejected],
            unknown=[UnknownName(item.slug, item.name) for item in normalised.unknown],
        )

    async def _cause(self, conn: AsyncConnection, document: FeedDocument, oldest: int) -> None:
        """What a stored update causes: the hours before it are closed and want rolling up."""
        ts = int(document.source_time.timestamp())
        await mark_changed(self._state, conn, oldest, await self._store.oldest_raw(conn, besides=oldest))
        hour = ts - ts % HOUR
        await self._jobs.enqueue(
            conn, ROLLUP_JOB, {"until": hour}, dedupe_key=f"{ROLLUP_JOB}:{hour}", concurrency_key=MARKET_WORK
        )

    async def _tell(self, conn: AsyncConnection, verdict: Verdict, notice: Notice) -> None:
        """One notice an outage and one a recovery, whoever runs this twice."""
        await self._jobs.enqueue(
            conn,
            NOTICE_JOB,
            {
                "notice": notice,
                "source": self._watch_name,
                "problem": "; ".join(verdict.problems)[:500],
                "since": verdict.since.isoformat(),
            },
            dedupe_key=f"{NOTICE_JOB}:{self._watch_name}:{verdict.state.outages}:{notice}",
        )

    def _log(self, report: IngestReport, result: FetchResult, notice: Notice | None) -> None:
        fields = {
            "source": report.source,
            "read": report.read,
            "rejected": sum(report.rejected.values()),
            "stored": report.stored,
            "updates": list(report.updates),
            "seconds": round(report.seconds, 3),
        }
        if report.problems:
            log.warning("ingest_source_sick", problems=list(report.problems), **fields)
        else:
            log.info("ingest_done", **fields)
        for document in result.documents:
            if document.unknown_fields:
                log.info("ingest_unknown_fields", feed=document.feed, fields=dict(document.unknown_fields))
        if report.unknown:
            log.info("ingest_unknown_gpus", names=list(report.unknown)[:20], count=len(report.unknown))
        if notice == "outage":
            log.error("market_source_outage", source=report.source, problems=list(report.problems))
        elif notice == "recovered":
            log.warning("market_source_recovered", source=report.source)
