"""What is stored about members: their settings and watchlists, and how all of it is erased.

Every statement names the member it belongs to, so nothing of another member's can be read or changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import delete, func, select

from storage.alerts import count_alerts, erase_alerts
from storage.engine import Database
from storage.holdings import OnChange
from storage.mail import erase_confirmations
from storage.tables import app_state, member, usage_event, watchlist_item
from storage.tables_delivery import member_delivery, notification, outgoing_event
from storage.tables_digests import digest_subscription
from storage.tables_mail import mail_address, mail_assignment, mail_confirmation, mail_message, mail_sequence
from storage.tables_portfolio import holding, portfolio_snapshot, tariff_plan
from storage.webhooks import count_member_webhooks, erase_member_webhooks

Watched = Literal["added", "known", "full"]

SETTINGS = ("timezone", "currency", "tariff", "locale")
"""Columns that a member chooses."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each kind were erased."""

    settings: int
    watched: int
    channels: int
    uses: int
    kept: Mapping[str, int] = field(default_factory=dict)
    """Rows by table, as in :meth:`MemberStore.kept`."""


OWNED: Final = (
    holding,
    portfolio_snapshot,
    tariff_plan,
    mail_address,
    mail_confirmation,
    mail_message,
    mail_assignment,
    mail_sequence,
    digest_subscription,
    member_delivery,
    notification,
    outgoing_event,
)
"""Further tables whose rows belong to the member of their ``member_id``, in the order in which they are erased."""


def dm_key(member_id: int) -> str:
    """Key in ``app_state`` under which the id of a member's DM channel is remembered."""
    return f"discord.dm:{member_id}"


class MemberStore:
    """Settings and watchlists of members, by Discord user id.

    Args:
        on_watch: called in each transaction that changes a watchlist.
    """

    def __init__(self, db: Database, on_watch: OnChange | None = None) -> None:
        self._db = db
        self._on_watch = on_watch

    async def get(self, member_id: int) -> Mapping[str, Any] | None:
        """The member's row by column, or None when nothing was ever set."""
        async with self._db.read() as conn:
            found = (await conn.execute(select(member).where(member.c.id == member_id))).one_or_none()
            return None if found is None else dict(found._mapping)

    async def put(self, member_id: int, values: Mapping[str, Any], at: datetime) -> None:
        """Set some columns of :data:`SETTINGS`; the row is made when it is the first."""
        if not values.keys() <= set(SETTINGS):
            raise ValueError("unknown column")
        statement = self._db.insert(member).values(id=member_id, created_at=at, updated_at=at, **values)
        async with self._db.write() as conn:
            await conn.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_={**values, "updated_at": at})
            )

    async def watchlist(self, member_id: int) -> list[tuple[str, datetime]]:
        """(GPU slug, when it was added), oldest first."""
        async with self._db.read() as conn:
            rows = await conn.execute(
                select(watchlist_item.c.gpu, watchlist_item.c.added_at)
                .where(watchlist_item.c.member_id == member_id)
                .order_by(watchlist_item.c.added_at, watchlist_item.c.gpu)
            )
            return [(str(row.gpu), row.added_at) for row in rows]

    async def watch(self, member_id: int, gpu: str, at: datetime, limit: int) -> Watched:
        """Follow a GPU unless the list has *limit* already. Two that come at once cannot pass the limit together."""
        async with self._db.write() as conn:
            await self._db.one_at_a_time(conn, member_id)
            rows = await conn.execute(select(watchlist_item.c.gpu).where(watchlist_item.c.member_id == member_id))
            present = {str(row.gpu) for row in rows}
            if gpu in present:
                return "known"
            if len(present) >= limit:
                return "full"
            await conn.execute(
                self._db.insert(watchlist_item)
                .values(member_id=member_id, gpu=gpu, added_at=at)
                .on_conflict_do_nothing(index_elements=["member_id", "gpu"])
            )
            if self._on_watch is not None:
                await self._on_watch(conn, member_id)
            return "added"

    async def unwatch(self, member_id: int, gpu: str) -> bool:
        """Stop following a GPU; False when it was not followed."""
        async with self._db.write() as conn:
            result = await conn.execute(
                delete(watchlist_item).where(watchlist_item.c.member_id == member_id, watchlist_item.c.gpu == gpu)
            )
            if result.rowcount and self._on_watch is not None:
                await self._on_watch(conn, member_id)
            return result.rowcount == 1

    async def uses(self, member_hash: str) -> tuple[int, datetime | None]:
        """How many usage events carry the member's keyed hash, and the oldest one's time."""
        async with self._db.read() as conn:
            row = (
                await conn.execute(
                    select(func.count().label("count"), func.min(usage_event.c.at).label("first")).where(
                        usage_event.c.member_hash == member_hash
                    )
                )
            ).one()
            return int(row.count), row.first

    async def has_dm_channel(self, member_id: int) -> bool:
        """Whether the id of the member's DM channel is remembered."""
        async with self._db.read() as conn:
            found = await conn.scalar(select(app_state.c.key).where(app_state.c.key == dm_key(member_id)))
            return found is not None

    async def kept(self, member_id: int) -> Mapping[str, int]:
        """How many rows of the member each further table holds, by its name; tables without any are left out."""
        async with self._db.read() as conn:
            found = {
                table.name: await conn.scalar(
                    select(func.count()).select_from(table).where(table.c.member_id == member_id)
                )
                for table in OWNED
            }
            found["alert_rule"] = await count_alerts(conn, member_id)
            found["webhook_endpoint"] = await count_member_webhooks(conn, member_id)
            return {name: int(count) for name, count in found.items() if count}

    async def erase(self, member_id: int, member_hash: str) -> Erased:
        """Erase everything about a member, in one transaction."""
        async with self._db.write() as conn:
            await self._db.one_at_a_time(conn, member_id)
            settings = await conn.execute(delete(member).where(member.c.id == member_id))
            watched = await conn.execute(delete(watchlist_item).where(watchlist_item.c.member_id == member_id))
            channels = await conn.execute(delete(app_state).where(app_state.c.key == dm_key(member_id)))
            uses = await conn.execute(delete(usage_event).where(usage_event.c.member_hash == member_hash))
            # Rules first: they follow the portfolio and the watchlist.
            kept = {
                "alert_rule": await erase_alerts(conn, member_id),
                "webhook_endpoint": await erase_member_webhooks(conn, member_id),
                "mail_confirmation": await erase_confirmations(conn, member_id),
            }
            kept |= {
                table.name: (await conn.execute(delete(table).where(table.c.member_id == member_id))).rowcount
                for table in OWNED
                if table is not mail_confirmation
            }
            return Erased(
                settings.rowcount,
                watched.rowcount,
                channels.rowcount,
                uses.rowcount,
                {name: count for name, count in kept.items() if count},
            )
