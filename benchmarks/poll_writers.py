"""Ways of storing a poll: the product's own, SQLAlchemy Core's, and those of the drivers alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Table, event
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.market_fixture import (
    POLL_ROWS,
    SOURCE,
    result_of,
)
from bot.parts import make_farm_client, open_parts
from config.settings import Settings
from gpuscout.market.ingest import ROLLUP_JOB, Ingest
from gpuscout.market.models import METHOD_VERSION, SeriesKey
from gpuscout.market.normalise import NormalisedDocument
from gpuscout.market.reader import VERSION_NAME
from gpuscout.market.rollup import HOUR
from gpuscout.market.rows import values_of
from gpuscout.market.sources.exporter import ExporterSource
from gpuscout.market.trends import MARKET_WORK
from gpuscout.market.watch import FeedState, Verdict, WatchState, observe
from storage import tables as t
from storage.alerts_work import EVALUATE_JOB
from storage.engine import Database
from storage.market import QUOTE_VALUE_COLUMNS
from storage.tables_alerts import alert_work

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-65536", "wal_autocheckpoint=4000")

Row = dict[str, Any]


class Writer(Protocol):
    """A way of storing a poll."""

    async def write(self, document: NormalisedDocument) -> None:
        """Store and commit it."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class Ours:
    """The product's write path."""

    def __init__(self, url: str, folder: Path) -> None:
        settings = Settings(_env_file=None, database_url=url, data_dir=folder, market_source=SOURCE)
        self.parts = parts = open_parts(settings)
        source = ExporterSource(make_farm_client(settings), SOURCE)
        self.ingest = Ingest(source, parts.store, parts.state, parts.jobs, parts.gpus)
        self.verdicts: dict[datetime, Verdict] = {}

    def judge(self, documents: Iterable[NormalisedDocument]) -> None:
        """Watch the source over all polls beforehand: judging it is no part of writing."""
        watch = WatchState()
        for document in documents:
            at = document.document.source_time
            self.verdicts[at] = observe(watch, result_of(document), at)
            watch = self.verdicts[at].state

    async def write(self, document: NormalisedDocument) -> None:
        """The commit of an ingest cycle."""
        await self.ingest._commit([document], self.verdicts[document.document.source_time])

    async def close(self) -> None:
        """Close the source, which was never asked, and the database."""
        await self.ingest.source.aclose()
        await self.parts.aclose()


def rows_of(document: NormalisedDocument) -> tuple[int, Row, Row, Row]:
    """Time of a poll (epoch seconds), and the rows of its update, the watch over its source, and its rollup."""
    at = document.document.source_time
    ts = int(at.timestamp())
    hour = ts - ts % HOUR
    update = {
        "source_id": 1, "feed": "v1", "source_time_ms": ts * 1000, "fetched_at": at, "method": METHOD_VERSION,
        "read": POLL_ROWS, "rejected": 0, "stored": len(document.quotes),
    }  # fmt: skip
    watch = WatchState(last_attempt=at, last_success=at, feeds={"v1": FeedState(source_time=at)})
    state = {"key": f"market.watch:{SOURCE}", "value": watch.model_dump(mode="json"), "updated_at": at}
    job = {
        "kind": ROLLUP_JOB, "payload": {"until": hour}, "dedupe_key": f"{ROLLUP_JOB}:{hour}",
        "concurrency_key": MARKET_WORK, "state": "ready", "run_at": at, "max_attempts": 8, "created_at": at,
    }  # fmt: skip
    return ts, update, state, job


def evaluation_of(update_id: int, ts: int, at: datetime) -> tuple[Row, Row]:
    """The rows that have a poll's alerts evaluated: what is to be evaluated, and the job."""
    todo = {"update_id": update_id, "cycle": update_id, "oldest": ts, "stored_at": at}
    job = {
        "kind": EVALUATE_JOB, "payload": {"cycle": update_id}, "dedupe_key": f"{EVALUATE_JOB}:{update_id}",
        "concurrency_key": EVALUATE_JOB, "state": "ready", "run_at": at, "max_attempts": 8, "created_at": at,
    }  # fmt: skip
    return todo, job


class Core:
    """SQLAlchemy Core barely: an engine, one transaction, ``executemany``."""

    def __init__(self, url: str, ids: Mapping[SeriesKey, int]) -> None:
        self.ids = ids
        sqlite_only: Row = {"connect_args": {"isolation_level": None}} if url.startswith("sqlite") else {}
        self.engine = create_async_engine(url, **sqlite_only)
        if sqlite_only:
            event.listen(self.engine.sync_engine, "connect", _set_pragmas)
            event.listen(self.engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
        db = Database(url)  # for its dialect only; it connects to nothing
        version, state = db.insert(t.data_version), db.insert(t.app_state)
        self.update = db.insert(t.market_update).returning(t.market_update.c.id)
        self.quotes = db.insert(t.quote).on_conflict_do_nothing()
        self.version = version.on_conflict_do_update(
            index_elements=["name"], set_={"version": t.data_version.c.version + 1}
        )
        self.state = state.on_conflict_do_update(index_elements=["key"], set_={"value": state.excluded.value})
        self.job = db.insert(t.job).on_conflict_do_nothing(index_elements=["dedupe_key"])
        self.todo = db.insert(alert_work).on_conflict_do_nothing(index_elements=["update_id"])

    async def write(self, document: NormalisedDocument) -> None:
        """The same rows."""
        ts, update, state, job = rows_of(document)
        async with self.engine.begin() as conn:
            update_id = (await conn.execute(self.update, update)).scalar_one()
            head = {"ts": ts, "source_id": 1, "update_id": update_id}
            await conn.execute(
                self.quotes,
                [{**head, "series_id": self.ids[q.key], **values_of(q)._asdict()} for q in document.quotes],
            )
            await conn.execute(self.version, {"name": VERSION_NAME, "version": 1})
            await conn.execute(self.state, state)
            await conn.execute(self.job, job)
            todo, evaluation = evaluation_of(update_id, ts, job["run_at"])
            await conn.execute(self.todo, todo)
            await conn.execute(self.job, evaluation)

    async def close(self) -> None:
        """Close the engine."""
        await self.engine.dispose()


def _set_pragmas(connection: Any, _record: object = None) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sql(table: Table, columns: list[str], tail: str, mark: Callable[[int], str]) -> str:
    marks = ", ".join(map(mark, range(1, len(columns) + 1)))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks}) {tail}"


QUOTE_COLUMNS = ["ts", "source_id", "update_id", "series_id", *QUOTE_VALUE_COLUMNS]
VERSION_TAIL = "ON CONFLICT (name) DO UPDATE SET version = data_version.version + 1"
STATE_TAIL = "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
JOB_TAIL = "ON CONFLICT (dedupe_key) DO NOTHING"
WORK_TAIL = "ON CONFLICT (update_id) DO NOTHING"


class SqliteDriver:
    """``sqlite3`` alone, in the thread that asks."""

    def __init__(self, url: str, ids: Mapping[SeriesKey, int]) -> None:
        self.ids = ids
        self.conn = sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///"), isolation_level=None)
        _set_pragmas(self.conn)

    async def write(self, document: NormalisedDocument) -> None:
        """The same rows."""
        ts, update, state, job = (_plain(rows) for rows in rows_of(document))
        insert = partial(_sql, mark=lambda _: "?")
        conn = self.conn
        conn.execute("BEGIN IMMEDIATE")
        update_id = conn.execute(insert(t.market_update, list(update), ""), tuple(update.values())).lastrowid
        conn.executemany(
            insert(t.quote, QUOTE_COLUMNS, "ON CONFLICT DO NOTHING"),
            [(ts, 1, update_id, self.ids[quote.key], *values_of(quote)) for quote in document.quotes],
        )
        conn.execute(insert(t.data_version, ["name", "version"], VERSION_TAIL), (VERSION_NAME, 1))
        conn.execute(insert(t.app_state, list(state), STATE_TAIL), tuple(state.values()))
        conn.execute(insert(t.job, list(job), JOB_TAIL), tuple(job.values()))
        evaluation = (_plain(rows) for rows in evaluation_of(update_id or 0, ts, document.document.source_time))
        for table, row, tail in zip((alert_work, t.job), evaluation, (WORK_TAIL, JOB_TAIL), strict=True):
            conn.execute(insert(table, list(row), tail), tuple(row.values()))
        conn.execute("COMMIT")

    async def close(self) -> None:
        """Close the connection."""
        self.conn.close()


def _plain(row: Any) -> Any:
    """A row as ``sqlite3`` takes it: times as SQLAlchemy writes them, JSON as text."""
    if not isinstance(row, dict):
        return row
    plain = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            plain[name] = value.strftime("%Y-%m-%d %H:%M:%S.%f")
        else:
            plain[name] = json.dumps(value) if isinstance(value, dict) else value
    return plain


class PostgresDriver:
    """``asyncpg`` alone; it keeps the statements prepared."""

    def __init__(self, conn: asyncpg.Connection, ids: Mapping[SeriesKey, int]) -> None:
        self.conn = conn
        self.ids = ids

    @classmethod
    async def connect(cls, url: str, ids: Mapping[SeriesKey, int]) -> PostgresDriver:
        """Open the connection."""
        conn = await asyncpg.connect(url.replace("+asyncpg", ""))
        await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        return cls(conn, ids)

    async def write(self, document: NormalisedDocument) -> None:
        """The same rows."""
        ts, update, state, job = rows_of(document)
        insert = partial(_sql, mark=lambda number: f"${number}")
        async with self.conn.transaction():
            update_id = await self.conn.fetchval(
                insert(t.market_update, list(update), "RETURNING id"), *update.values()
            )
            await self.conn.executemany(
                insert(t.quote, QUOTE_COLUMNS, "ON CONFLICT DO NOTHING"),
                [(ts, 1, update_id, self.ids[quote.key], *values_of(quote)) for quote in document.quotes],
            )
            await self.conn.execute(insert(t.data_version, ["name", "version"], VERSION_TAIL), VERSION_NAME, 1)
            await self.conn.execute(insert(t.app_state, list(state), STATE_TAIL), *state.values())
            await self.conn.execute(insert(t.job, list(job), JOB_TAIL), *job.values())
            evaluation = evaluation_of(update_id, ts, document.document.source_time)
            for table, row, tail in zip((alert_work, t.job), evaluation, (WORK_TAIL, JOB_TAIL), strict=True):
                await self.conn.execute(insert(table, list(row), tail), *row.values())

    async def close(self) -> None:
        """Close the connection."""
        await self.conn.close()
