"""Watched numbers as such: the series that each is of, and those that no rule watches any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, not_, or_, select, update

from storage.engine import Database
from storage.market_many import ids_of
from storage.tables_alerts import alert_hold as hold
from storage.tables_alerts import alert_key as key
from storage.tables_alerts import alert_trigger as trigger

CHUNK = 500
HELPERS = ("price", "m_rented")
"""Metrics that are kept for another number of the same subject too: the price behind a change, the hire behind idle
hours."""
_OF_A_SERIES = "%|%|%|%|%|%"


async def bind_series(db: Database) -> int:
    """Give keys their series where it was not stored yet when they were made; how many."""
    waiting = select(key.c.id, key.c.subject).where(key.c.series_id.is_(None), key.c.subject.like(_OF_A_SERIES))
    async with db.read() as conn:
        texts: dict[int, Any] = {row.id: tuple(row.subject.split("|")) for row in await conn.execute(waiting)}
    known = await ids_of(db, set(texts.values())) if texts else {}
    found = [{"_id": key_id, "_series": known[of]} for key_id, of in texts.items() if of in known]
    if found:
        async with db.write() as conn:
            await conn.execute(
                update(key).where(key.c.id == bindparam("_id")).values(series_id=bindparam("_series")), found
            )
    return len(found)


async def hires(db: Database, subjects: Sequence[str]) -> dict[str, Any]:
    """What is known of machines' rented GPUs, by subject: rows of value and since when."""
    query = select(key.c.subject, key.c.value, key.c.since).where(
        key.c.metric == "m_rented", key.c.subject.in_(subjects)
    )
    async with db.read() as conn:
        return {row.subject: row for row in await conn.execute(query)}


async def purge_keys(db: Database) -> int:
    """Forget keys that no trigger is of, with what held them back; how many. Transactions of :data:`CHUNK` keys.

    A rule that is made at this instant and needs one of them waits for the end of the transaction, finds it gone and
    makes it anew (:meth:`storage.alerts.AlertStore.ensure_keys`).
    """
    total, after = 0, 0
    while True:
        async with db.write() as conn:
            some = select(key.c.id).where(key.c.id > after, _unused()).order_by(key.c.id).limit(CHUNK)
            ids = [row.id for row in await conn.execute(some.with_for_update(skip_locked=True))]
            if not ids:
                return total
            after = ids[-1]
            # A statement of its own: triggers that were stored before the keys were locked are seen only now.
            gone = [row.id for row in await conn.execute(select(key.c.id).where(key.c.id.in_(ids), _unused()))]
            await conn.execute(delete(hold).where(hold.c.key_id.in_(gone)))
            await conn.execute(delete(key).where(key.c.id.in_(gone)))
        total += len(gone)


def _unused() -> Any:
    other = key.alias()
    # An anchored trigger has a time to wake at, which is indexed.
    homes = select(trigger.c.home_id).where(trigger.c.wake_at.is_not(None), trigger.c.home_id.is_not(None))
    helps = exists().where(other.c.subject == key.c.subject, other.c.metric != key.c.metric)
    return and_(
        not_(exists().where(trigger.c.key_id == key.c.id)),
        key.c.id.not_in(homes),
        or_(key.c.metric.not_in(HELPERS), not_(helps)),
    )
