"""Deliveries of webhooks and their attempts, as rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.ids import new_id
from storage.jobs import JobStore
from storage.tables_delivery import outgoing_event
from storage.tables_webhooks import webhook_attempt, webhook_delivery, webhook_endpoint
from storage.webhooks import endpoint_of
from storage.webhooks_model import Attempt, Delivery, DeliveryState, Endpoint, Logged, StoredEvent

DELIVER_JOB: Final = "webhook.deliver"
DELIVER_TRIES: Final = 8
"""The first try and seven repetitions."""
OVERDUE: Final = timedelta(hours=1)

_d = webhook_delivery.c


class DeliveryStore:
    """The tables of deliveries and attempts."""

    def __init__(self, db: Database, jobs: JobStore) -> None:
        self._db = db
        self._jobs = jobs

    async def event(self, conn: AsyncConnection, id: str) -> StoredEvent | None:
        """An event as it was written; None when it is no longer kept."""
        found = await conn.execute(select(outgoing_event).where(outgoing_event.c.id == id))
        row = found.one_or_none()
        return None if row is None else StoredEvent(row.id, row.event, row.member_id, row.data, row.created_at)

    async def add_event(self, conn: AsyncConnection, event: StoredEvent) -> None:
        """Write an event that is not fanned out: a test, which is for one endpoint alone."""
        await conn.execute(
            outgoing_event.insert().values(
                id=event.id,
                event=event.event,
                member_id=event.member_id,
                dedupe_key=f"test:{event.id}",
                data=dict(event.data),
                created_at=event.at,
            )
        )

    async def add(self, conn: AsyncConnection, event_id: str, endpoint_ids: Sequence[str], at: datetime) -> list[str]:
        """Write a delivery and its job for each endpoint that has none of this event; returns their ids."""
        if not endpoint_ids:
            return []
        made = await conn.execute(
            self._db.insert(webhook_delivery)
            .values(
                [
                    {
                        "id": new_id(),
                        "endpoint_id": endpoint,
                        "event_id": event_id,
                        "state": "waiting",
                        "created_at": at,
                        "next_at": at,
                    }
                    for endpoint in endpoint_ids
                ]
            )
            .on_conflict_do_nothing(index_elements=["event_id", "endpoint_id"])
            .returning(_d.id, _d.endpoint_id)
        )
        rows = made.all()
        for row in rows:
            await self._enqueue(conn, row.id, row.endpoint_id, 0, at)
        return [str(row.id) for row in rows]

    async def _enqueue(self, conn: AsyncConnection, id: str, endpoint_id: str, replay: int, at: datetime) -> None:
        # One at a time to an endpoint: a slow receiver holds up itself alone.
        await self._jobs.enqueue(
            conn,
            DELIVER_JOB,
            {"delivery": id},
            dedupe_key=f"{DELIVER_JOB}:{id}:{replay}",
            concurrency_key=f"webhook:{endpoint_id}",
            run_at=at,
            max_attempts=DELIVER_TRIES,
        )

    async def load(self, id: str) -> tuple[Delivery, Endpoint, StoredEvent] | None:
        """What a try needs; None when the endpoint or the event was erased."""
        async with self._db.read() as conn:
            found = await conn.execute(select(webhook_delivery).where(_d.id == id))
            row = found.one_or_none()
            if row is None:
                return None
            ends = await conn.execute(select(webhook_endpoint).where(webhook_endpoint.c.id == row.endpoint_id))
            event = await self.event(conn, row.event_id)
            endpoint = ends.one_or_none()
            if endpoint is None or event is None:
                return None
            return _delivery(row), endpoint_of(endpoint), event

    async def record(
        self,
        conn: AsyncConnection,
        delivery: Delivery,
        attempt: Attempt,
        *,
        state: DeliveryState,
        next_at: datetime | None,
    ) -> None:
        """Write what an attempt gave, inside the caller's transaction: log, delivery and the endpoint's health."""
        await conn.execute(
            webhook_attempt.insert().values(
                delivery_id=delivery.id,
                at=attempt.at,
                milliseconds=attempt.milliseconds,
                status=attempt.status,
                error=attempt.error,
                answer=attempt.answer,
            )
        )
        good = state == "delivered"
        await conn.execute(
            update(webhook_delivery)
            .where(_d.id == delivery.id)
            .values(
                state=state,
                attempts=_d.attempts + 1,
                next_at=next_at,
                delivered_at=attempt.at if good else _d.delivered_at,
            )
        )
        table = webhook_endpoint
        await conn.execute(
            update(table)
            .where(table.c.id == delivery.endpoint_id)
            .values(
                last_status=attempt.status,
                last_at=attempt.at,
                failing_since=None if good else func.coalesce(table.c.failing_since, attempt.at),
            )
        )

    async def settle(self, conn: AsyncConnection, id: str, state: DeliveryState) -> None:
        """Set a delivery's state without an attempt."""
        await conn.execute(update(webhook_delivery).where(_d.id == id).values(state=state, next_at=None))

    async def replay(self, id: str, owners: Collection[str], at: datetime) -> bool:
        """Send a delivery again, under the same id; False when it is not theirs or still under way.

        One that has been overdue for an hour is not under way: its job was buried without a word.
        """
        theirs = (
            select(webhook_endpoint.c.id)
            .where(webhook_endpoint.c.owner.in_(list(owners)), webhook_endpoint.c.state == "active")
            .scalar_subquery()
        )
        async with self._db.write() as conn:
            made = await conn.execute(
                update(webhook_delivery)
                .where(_d.id == id, _d.endpoint_id.in_(theirs), or_(_d.state != "waiting", _d.next_at < at - OVERDUE))
                .values(state="waiting", replays=_d.replays + 1, next_at=at)
                .returning(_d.endpoint_id, _d.replays)
            )
            row = made.one_or_none()
            if row is None:
                return False
            await self._enqueue(conn, id, row.endpoint_id, row.replays, at)
            return True

    async def count(self, endpoint_id: str) -> int:
        """How many deliveries an endpoint's log has."""
        async with self._db.read() as conn:
            query = select(func.count()).select_from(webhook_delivery).where(_d.endpoint_id == endpoint_id)
            return int(await conn.scalar(query) or 0)

    async def log(self, endpoint_id: str, limit: int, offset: int = 0) -> list[Logged]:
        """A page of an endpoint's deliveries, newest first."""
        query = (
            select(webhook_delivery, outgoing_event.c.event)
            .join(outgoing_event, outgoing_event.c.id == _d.event_id)
            .where(_d.endpoint_id == endpoint_id)
            .order_by(_d.created_at.desc(), _d.id)
            .limit(limit)
            .offset(offset)
        )
        async with self._db.read() as conn:
            rows = (await conn.execute(query)).all()
            last = await self._last(conn, [row.id for row in rows])
            return [Logged(_delivery(row), row.event, last.get(row.id)) for row in rows]

    async def logged(self, id: str, owners: Collection[str]) -> Logged | None:
        """One delivery of *owners* in the log."""
        query = (
            select(webhook_delivery, outgoing_event.c.event)
            .join(outgoing_event, outgoing_event.c.id == _d.event_id)
            .join(webhook_endpoint, webhook_endpoint.c.id == _d.endpoint_id)
            .where(_d.id == id, webhook_endpoint.c.owner.in_(list(owners)))
        )
        async with self._db.read() as conn:
            row = (await conn.execute(query)).one_or_none()
            return None if row is None else Logged(_delivery(row), row.event, (await self._last(conn, [id])).get(id))

    async def _last(self, conn: AsyncConnection, ids: Sequence[str]) -> dict[str, Attempt]:
        newest = (
            select(func.max(webhook_attempt.c.id))
            .where(webhook_attempt.c.delivery_id.in_(list(ids)))
            .group_by(webhook_attempt.c.delivery_id)
            .scalar_subquery()
        )
        rows = await conn.execute(select(webhook_attempt).where(webhook_attempt.c.id.in_(newest)))
        return {row.delivery_id: _attempt(row) for row in rows}

    async def attempts(self, id: str) -> list[Attempt]:
        """Every attempt of a delivery, oldest first."""
        async with self._db.read() as conn:
            rows = await conn.execute(
                select(webhook_attempt).where(webhook_attempt.c.delivery_id == id).order_by(webhook_attempt.c.id)
            )
            return [_attempt(row) for row in rows]


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        row.id,
        row.endpoint_id,
        row.event_id,
        row.state,
        row.attempts,
        row.replays,
        row.created_at,
        row.next_at,
        row.delivered_at,
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(row.at, row.milliseconds, row.status, row.error, row.answer)
