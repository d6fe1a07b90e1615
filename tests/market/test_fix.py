"""The daily fix: its rule, that it never changes, and that its hash can be checked."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from gpuscout.market.fix import DailyFixes, compute, inputs
from gpuscout.market.models import QuoteFlag, SeriesKey
from storage import tables as t
from storage.engine import Database
from tests.market.helpers import FakeClock, dump_rows, model_v1
from tests.market.test_ingest import Desk, make_desk

START = datetime(2026, 11, 20, 0, 2, tzinfo=UTC)
DAY_START = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
TEXTS = ("vast", "rtx-4090", "global", "on-demand", "any", "any")
AT = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)


class Row(NamedTuple):
    ts: int
    all_median: float | None
    all_count: int = 50
    flags: int = 0
    source: str = "500.farm"


def hourly(*prices: float | None, all_count: int = 50, flags: int = 0) -> list[Row]:
    return [Row(DAY_START + hour * 3600, price, all_count, flags) for hour, price in enumerate(prices)]


def test_the_rule() -> None:
    fix = compute(7, TEXTS, DAY_START, hourly(*([0.3] * 7 + [0.4] * 8)), AT)
    assert fix is not None
    assert (fix.value, fix.samples, fix.thin, fix.method, fix.day) == (0.4, 15, False, 1, DAY_START)
    even = compute(7, TEXTS, DAY_START, hourly(*([0.1] * 6 + [0.2] * 6)), AT)
    assert even is not None and even.value == 0.15  # rounded: not 0.15000000000000002
    # Fewer than twelve hours with a sound price do not speak for the day, however many quotes they hold.
    assert compute(7, TEXTS, DAY_START, hourly(*([0.3] * 11)) * 9, AT) is None
    assert compute(7, TEXTS, DAY_START, hourly(*([0.3] * 11), None), AT) is None
    absurd = [*hourly(*([0.3] * 12)), *(Row(DAY_START + n, 9.0, flags=QuoteFlag.OUTLIER) for n in range(1, 99))]
    sound = compute(7, TEXTS, DAY_START, absurd, AT)
    assert sound is not None and (sound.value, sound.samples) == (0.3, 12)


def test_few_or_uncounted_gpus_make_it_thin() -> None:
    def thin(**fields: int) -> bool:
        fix = compute(7, TEXTS, DAY_START, hourly(*([0.3] * 12), **fields), AT)
        assert fix is not None
        return fix.thin

    assert not thin(all_count=10)
    assert thin(all_count=9)
    assert thin(all_count=0, flags=QuoteFlag.UNSIZED)


quotes = st.lists(
    st.builds(
        Row,
        st.integers(DAY_START, DAY_START + 86399),
        st.none() | st.floats(0.01, 20),
        st.integers(0, 90),
        st.sampled_from([0, 0, 1, 2, 4]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=60,
    unique_by=lambda row: (row.ts, row.source),
)


@given(quotes, st.randoms())
def test_order_changes_nothing(rows, random) -> None:  # type: ignore[no-untyped-def]
    fix = compute(7, TEXTS, DAY_START, rows, AT)
    random.shuffle(rows)
    assert compute(7, TEXTS, DAY_START, rows, AT) == fix
    sound = [row.all_median for row in rows if row.all_median is not None and not row.flags & QuoteFlag.OUTLIER]
    if fix is not None:
        assert fix.value == pytest.approx(median(sound), abs=1e-6)
        assert fix.content_hash == hashlib.sha256(inputs(TEXTS, DAY_START, rows)).hexdigest()


def test_the_inputs_are_canonical_json() -> None:
    rows = [Row(DAY_START + 60, 0.30, 40, source="b"), Row(DAY_START + 60, 1, 41, source="a")]
    assert inputs(TEXTS, DAY_START, rows) == (
        b'{"day":"2026-11-20","method":1,"quotes":[[1795132860,"a",1.0,41],[1795132860,"b",0.3,40]],'
        b'"series":["vast","rtx-4090","global","on-demand","any","any"]}'
    )


@pytest.fixture
def desk(db: Database) -> Desk:
    return make_desk(db, FakeClock(START))


async def stored(desk: Desk) -> list[object]:
    async with desk.db.read() as conn:
        query = select(t.daily_fix, t.series.c.gpu).join(t.series, t.series.c.id == t.daily_fix.c.series_id)
        return dump_rows(await conn.execute(query.order_by(t.daily_fix.c.day, t.series.c.gpu)))  # type: ignore[return-value]


async def test_fixes_are_made_once_a_day_is_over_and_never_change(desk: Desk) -> None:
    fixes = DailyFixes(desk.store, desk.state, clock=desk.clock)
    for hour in range(24):
        await desk.poll(model_v1("RTX 4090", 30, 20, 0.3 + hour / 100), model_v1("RTX 3060", 3, 2, 0.05))
        assert await fixes.run() == 0
        desk.clock.forward(hours=1)
    assert await fixes.run() == 0  # nothing says yet that the day is over
    await desk.poll(model_v1("RTX 4090", 30, 20, 5.0))
    version = await desk.state.version("market")
    assert await fixes.run() == 2  # headline series alone: not those of verified machines
    assert await desk.state.version("market") > version
    before = await stored(desk)
    assert [(row["gpu"], row["value"], row["samples"], row["thin"]) for row in before] == [  # type: ignore[index]
        ("rtx-3060", 0.05, 24, True),
        ("rtx-4090", 0.415, 24, False),
    ]

    # A quote that comes late changes no fix, nor does another run.
    desk.clock.now = START + timedelta(minutes=30)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.9))
    desk.clock.now = START + timedelta(days=1, hours=2)
    assert await fixes.run() == 0 and await stored(desk) == before


async def test_what_is_published_can_be_checked(desk: Desk) -> None:
    fixes = DailyFixes(desk.store, desk.state, clock=desk.clock)
    for _ in range(25):
        await desk.poll(model_v1("RTX 4090", 30, 20, 0.3))
        desk.clock.forward(hours=1)
    await fixes.run()
    day = date(2026, 11, 20)

    (fix,) = await desk.reader.fixes("rtx-4090", platform="vast", tier=None, start=day, end=day, limit=10)
    data = await desk.reader.fix_inputs(SeriesKey("vast", "rtx-4090"), day)
    assert data is not None and hashlib.sha256(data).hexdigest() == fix.content_hash
    assert len(json.loads(data)["quotes"]) == fix.samples == 24
    assert (fix.day, fix.value, fix.key) == (day, 0.3, SeriesKey("vast", "rtx-4090"))
    assert await desk.reader.fix_inputs(SeriesKey("vast", "rtx-4090"), day - timedelta(days=1)) is None
    assert await desk.reader.fix_inputs(SeriesKey("vast", "rtx-5090"), day) is None
    assert not await desk.reader.fixes("rtx-4090", platform="lambda", tier=None, start=day, end=day, limit=10)


async def test_a_day_without_enough_quotes_has_none_and_the_next_ones_follow(desk: Desk) -> None:
    fixes = DailyFixes(desk.store, desk.state, clock=desk.clock)
    for _ in range(5):
        await desk.poll(model_v1("RTX 4090", 30, 20, 0.3))
        desk.clock.forward(hours=1)
    desk.clock.now = START + timedelta(days=2)
    for _ in range(25):
        await desk.poll(model_v1("RTX 4090", 30, 20, 0.4))
        desk.clock.forward(hours=1)
    assert await fixes.run() == 1
    assert [row["day"] for row in await stored(desk)] == [DAY_START + 2 * 86400]  # type: ignore[index]
