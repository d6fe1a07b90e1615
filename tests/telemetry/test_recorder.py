from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from gpuscout.telemetry.metrics import Metrics
from gpuscout.telemetry.recorder import StoredUsage
from gpuscout.telemetry.usage import IdHasher
from storage.engine import Database
from storage.tables import usage_event
from storage.usage import UsageStore

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MEMBER, GUILD = 987654321098765432, 123456789012345678


async def test_uses_are_stored_and_counted_and_no_id_is_kept(sqlite_db: Database) -> None:
    metrics, hasher = Metrics(), IdHasher(b"k" * 32)
    store = UsageStore(sqlite_db, interval=60)
    await store.start()
    recorder = StoredUsage(store, hasher, metrics, clock=lambda: NOW)
    recorder.record(
        "price", surface="slash", outcome="ok", latency_ms=120.0, member_id=MEMBER, guild_id=GUILD, locale="en-US"
    )
    recorder.record("/api/v1/prices/{gpu}/history", surface="api", outcome="refused", latency_ms=3.5)
    recorder.record("n" * 200, surface="s" * 50, outcome="o" * 99, plan="p" * 50, locale="l" * 50)
    await store.aclose()

    async with sqlite_db.read() as conn:
        rows = (await conn.execute(select(usage_event).order_by(usage_event.c.id))).all()
    assert [(row.name, row.surface, row.outcome, row.latency_ms, row.plan) for row in rows[:2]] == [
        ("price", "slash", "ok", 120.0, "free"),
        ("/api/v1/prices/{gpu}/history", "api", "refused", 3.5, "free"),
    ]
    assert (rows[0].member_hash, rows[0].guild_hash) == (hasher.member(MEMBER), hasher.guild(GUILD))
    assert (rows[1].member_hash, rows[1].guild_hash, rows[1].at) == (None, None, NOW)
    assert all(len(row.name) <= 64 and len(row.outcome) <= 32 and len(row.locale or "") <= 10 for row in rows)
    everything = repr([tuple(row) for row in rows])
    for identity in (MEMBER, GUILD):
        assert str(identity) not in everything and f"{identity:x}" not in everything

    text = metrics.expose()[0].decode()
    assert 'command_duration_seconds_count{command="price",outcome="ok"} 1.0' in text
    assert "/api/v1/prices" not in text, "only what is asked in Discord is a command"
