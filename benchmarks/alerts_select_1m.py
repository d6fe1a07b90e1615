"""Which rules an update concerns: our selection against the bare range join, and against a look at every rule.

A million rules watch 500 numbers; an update of all 500 crosses about 4,700 levels. Ours is
:meth:`storage.alerts_eval.EvaluationStore.hits`; the bare way is the same join as text through SQLAlchemy Core in the
same engine. A table of ten thousand rules is asked for as many hits: the cost is that of the answer, not of the rules.
The scan compares every level with numpy, in memory, as a program would that keeps its rules there.

Run ``python -m benchmarks alerts_select_1m [--quick]``. ``alerts_select_1m.<database>.vs_bare`` is at most 1.5,
``.vs_10k`` at most 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from benchmarks.market_fixture import postgres_databases, sqlite_databases
from benchmarks.measure import emit, in_turns, median_ratio, percentile, say
from storage.alerts_eval import CHUNK, EvaluationStore, KeyValue, chunks
from storage.engine import Database
from tests.services import ServiceMissing, running_postgres

KEYS = 500
HITS = 4700
BARE_LIMIT = 1.5
GROWTH_LIMIT = 3.0
_BARE = """
SELECT t.receiver, t.rule_id, t.id FROM alert_key k JOIN alert_trigger t
  ON t.key_id = k.id AND t.direction = 1 AND t.level <= k.value WHERE k.poll = :poll
UNION ALL
SELECT t.receiver, t.rule_id, t.id FROM alert_key k JOIN alert_trigger t
  ON t.key_id = k.id AND t.direction = -1 AND t.level >= k.value WHERE k.poll = :poll
"""


def _numbers(dialect: str, count: int) -> str:
    """A table ``n(i)`` of the numbers from 1 to *count*."""
    if dialect == "postgresql":
        return f"WITH n(i) AS (SELECT generate_series(1, {count}))"
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"


async def _fill(conn: AsyncConnection, dialect: str, rules: int) -> None:
    """*rules* armed rules, spread evenly: a key at 1.0 has half of its levels above, up to 1.5, half below."""
    false = "false" if dialect == "postgresql" else "0"
    when = "'2026-01-01 00:00:00+00'" if dialect == "postgresql" else "'2026-01-01 00:00:00.000000'"
    numbers = _numbers(dialect, rules)
    keys = _numbers(dialect, KEYS)
    statements = (
        f"{keys} INSERT INTO alert_key (id, metric, subject, days, value, value_at) "
        f"SELECT i, 'price', 'key' || i, 0, 1.0, 0 FROM n",
        f"{numbers} INSERT INTO alert_rule (id, owner, member_id, server, kind, scope, spec, fingerprint, state, "
        f"created_at, updated_at, fires) SELECT i, 'm:' || (i % 100000), i % 100000, {false}, 'price', 'gpu', '{{}}', "
        f"i || '', 'active', {when}, {when}, 0 FROM n",
        f"{numbers} INSERT INTO alert_trigger "
        f"(id, rule_id, receiver, key_id, direction, level, role, part, side, base, pending) "
        f"SELECT i, i, i % 100000, 1 + i % {KEYS}, 1 - 2 * ((i / {KEYS}) % 2), "
        f"1.0 + (1 - 2 * ((i / {KEYS}) % 2)) * 0.5 * (i + 1) / {rules + 1}.0, 'fire', '+', 1, 1.0, 0 FROM n",
    )
    for statement in statements:
        await conn.execute(text(statement))


async def _update(db: Database, store: EvaluationStore, poll: int, rules: int) -> None:
    """An update of every key, upwards, that crosses about :data:`HITS` levels."""
    move = 0.5 * HITS / (rules / 2)
    values = [KeyValue(key, 1.0 + move, poll) for key in range(1, KEYS + 1)]
    for part in chunks(values, CHUNK):
        async with db.write() as conn:
            await store.put_values(conn, poll, part)


async def _vacuum(db: Database) -> None:
    """As the server does by itself a while after so many rows were added."""
    engine = create_async_engine(db.url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as conn:
            for table in ("alert_trigger", "alert_key"):
                await conn.execute(text(f"VACUUM ANALYZE {table}"))
    finally:
        await engine.dispose()


async def _scan(db: Database) -> tuple[Any, Any, Any, Any]:
    """Every level, its key and direction, and the values by key, as arrays."""
    async with db.read() as conn:
        rows = (await conn.execute(text("SELECT key_id, direction, level FROM alert_trigger"))).all()
        values = np.ones(KEYS + 1)
        for key, value in await conn.execute(text("SELECT id, value FROM alert_key")):
            values[key] = value
    keys, directions, levels = zip(*rows, strict=True)
    return np.array(keys), np.array(directions), np.array(levels), values


async def _compare(name: str, urls: Mapping[str, str], sizes: Mapping[str, int], rounds: int) -> None:
    async with AsyncExitStack() as stack:
        stores: dict[str, EvaluationStore] = {}
        for size, url in urls.items():
            db = Database(url)
            stack.push_async_callback(db.close)
            stores[size] = EvaluationStore(db)
            await _update(db, stores[size], 1, sizes[size])
            if db.dialect == "postgresql":
                await _vacuum(db)
        large, small = stores["1m"], stores["10k"]
        arrays = await _scan(large.db)
        found = len(await large.hits(1))

        async def ours(_: int) -> None:
            await large.hits(1)

        async def ten(_: int) -> None:
            await small.hits(1)

        async def bare(_: int) -> None:
            async with large.db.read() as conn:
                (await conn.execute(text(_BARE), {"poll": 1})).all()

        async def scan(_: int) -> None:
            keys, directions, levels, values = arrays
            now = values[keys]
            np.flatnonzero(np.where(directions > 0, levels <= now, levels >= now))

        times = await in_turns({"ours": ours, "ten": ten, "bare": bare, "scan": scan}, rounds)
        prefix = f"alerts_select_1m.{name}"
        emit(f"{prefix}.hits", found, "rules")
        emit(f"{prefix}.p50", percentile(times["ours"], 50), "ms")
        emit(f"{prefix}.p99", percentile(times["ours"], 99), "ms")
        ratio = median_ratio(times, "ours", "bare")
        emit(f"{prefix}.vs_bare", ratio, "ratio", BARE_LIMIT, ratio)
        growth = median_ratio(times, "ours", "ten")
        emit(f"{prefix}.vs_10k", growth, "ratio", GROWTH_LIMIT, growth)
        of_scan = median_ratio(times, "ours", "scan")
        emit(f"{prefix}.vs_numpy_scan", of_scan, "ratio", None, of_scan)


async def run(quick: bool) -> None:
    """Both databases."""
    sizes = {"1m": 100_000 if quick else 1_000_000, "10k": 10_000}
    rounds = 10 if quick else 60

    async def fill_all(urls: Mapping[str, str]) -> None:
        for size, url in urls.items():
            db = Database(url, statement_timeout=600.0)
            async with db.write() as conn:
                await _fill(conn, db.dialect, sizes[size])
            await db.close()

    async def nothing(_: Database) -> None:
        return

    say(f"SQLite with {sizes['1m']:,} rules")
    async with sqlite_databases(tuple(sizes), nothing) as urls:
        await fill_all(urls)
        await _compare("sqlite", urls, sizes, rounds)
    try:
        with running_postgres() as server:
            say(f"PostgreSQL with {sizes['1m']:,} rules")
            async with postgres_databases(server, tuple(sizes), nothing) as urls:
                await fill_all(urls)
                await _compare("postgresql", urls, sizes, rounds)
    except ServiceMissing as missing:
        say(f"PostgreSQL left out: {missing}")


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` takes a tenth of the rules."""
    asyncio.run(run(quick))
