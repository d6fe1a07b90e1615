"""Webhook endpoints as rows. Every statement names the owners it may touch."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.secrets import Sealed, SecretStore, guild_owner, member_owner
from storage.tables import server_settings
from storage.tables_webhooks import sealed_secret, webhook_endpoint
from storage.webhooks_model import Endpoint, EndpointKind, OffReason, StoredEvent

GLOBAL_EVENTS: Final = frozenset({"market.updated"})
"""Events of nobody in particular: whoever subscribed gets them."""
BATCH: Final = 500
"""Endpoints read at once."""

OnAdded = Callable[[AsyncConnection, Endpoint], Awaitable[None]]
"""Called inside the transaction that stores a new endpoint."""

_t = webhook_endpoint.c


class SecondEndpoint(Exception):
    """The owner has an endpoint at this address already."""


class EndpointStore:
    """The table of endpoints."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._secrets = SecretStore(db)

    async def add(
        self,
        *,
        id: str,
        owner: str,
        made_by: int,
        guild: int | None,
        kind: EndpointKind,
        shown: str,
        fingerprint: str,
        url: Sealed,
        signing: Sealed | None,
        events: Sequence[str],
        gpu: str | None,
        platform: str | None,
        at: datetime,
        allow: Callable[[int], None],
        added: OnAdded | None = None,
    ) -> Endpoint:
        """Store a new endpoint with its secrets.

        Args:
            guild: the server that *owner* is, if it is one.
            allow: told how many the member would then have made; raises when that is more than he may. Two that come
                at once cannot pass it together.
            added: called in the same transaction with what is stored.

        Raises:
            SecondEndpoint: the owner has one at this address.
        """
        async with self._db.write() as conn:
            await self._db.one_at_a_time(conn, made_by)
            if await conn.scalar(select(_t.id).where(_t.owner == owner, _t.fingerprint == fingerprint)):
                raise SecondEndpoint(shown)
            count = await conn.scalar(select(func.count()).select_from(webhook_endpoint).where(_t.made_by == made_by))
            allow(int(count or 0) + 1)
            await self._secrets.add(conn, url, at)
            if signing is not None:
                await self._secrets.add(conn, signing, at)
            made = await conn.execute(
                self._db.insert(webhook_endpoint)
                .values(
                    id=id,
                    owner=owner,
                    made_by=made_by,
                    kind=kind,
                    shown=shown,
                    fingerprint=fingerprint,
                    url_secret=url.id,
                    signing_secret=None if signing is None else signing.id,
                    events=list(events),
                    gpu=gpu,
                    platform=platform,
                    state="active",
                    created_at=at,
                )
                .on_conflict_do_nothing(index_elements=["owner", "fingerprint"])
                .returning(*webhook_endpoint.c)
            )
            row = made.one_or_none()
            if guild is not None:
                # What the bot knows of a server is erased by this row when it was removed from there.
                server = self._db.insert(server_settings).values(guild_id=guild, settings={}, updated_at=at)
                await conn.execute(server.on_conflict_do_nothing(index_elements=["guild_id"]))
            if row is None:  # two admins of one server at the same instant
                raise SecondEndpoint(shown)
            endpoint = endpoint_of(row)
            if added is not None:
                await added(conn, endpoint)
            return endpoint

    async def of(self, owners: Collection[str]) -> list[Endpoint]:
        """Endpoints of *owners*, oldest first."""
        async with self._db.read() as conn:
            rows = await conn.execute(
                select(webhook_endpoint).where(_t.owner.in_(list(owners))).order_by(_t.created_at, _t.id)
            )
            return [endpoint_of(row) for row in rows]

    async def get(self, id: str, owners: Collection[str]) -> Endpoint | None:
        """One endpoint of *owners*; None when it is not theirs or not there."""
        async with self._db.read() as conn:
            row = (await conn.execute(select(webhook_endpoint).where(self._theirs(id, owners)))).one_or_none()
            return None if row is None else endpoint_of(row)

    def _theirs(self, id: str, owners: Collection[str]) -> ColumnElement[bool]:
        return and_(_t.id == id, _t.owner.in_(list(owners)))

    async def rotate(self, id: str, owners: Collection[str], signing: Sealed, until: datetime, at: datetime) -> bool:
        """Give an endpoint a new signing secret; the one before it signs too until *until*, the one before that not."""
        async with self._db.write() as conn:
            found = await conn.execute(select(webhook_endpoint).where(self._theirs(id, owners)).with_for_update())
            row = found.one_or_none()
            if row is None or row.signing_secret is None:
                return False
            await self._secrets.add(conn, signing, at)
            await conn.execute(
                update(webhook_endpoint)
                .where(_t.id == id)
                .values(signing_secret=signing.id, earlier_secret=row.signing_secret, earlier_until=until)
            )
            if row.earlier_secret is not None:
                await self._secrets.drop(conn, [row.earlier_secret])
            return True

    async def end_rotations(self, now: datetime) -> int:
        """Erase secrets whose overlap is over; returns how many."""
        async with self._db.write() as conn:
            over = await conn.execute(
                select(_t.id, _t.earlier_secret).where(_t.earlier_until <= now).limit(500).with_for_update()
            )
            rows = over.all()
            if not rows:
                return 0
            await conn.execute(
                update(webhook_endpoint)
                .where(_t.id.in_([row.id for row in rows]))
                .values(earlier_secret=None, earlier_until=None)
            )
            return await self._secrets.drop(conn, [row.earlier_secret for row in rows if row.earlier_secret])

    async def remove(self, id: str, owners: Collection[str]) -> bool:
        """Erase an endpoint, its secrets and its log."""
        async with self._db.write() as conn:
            return await _erase(conn, self._theirs(id, owners)) == 1

    async def enable(self, id: str, owners: Collection[str]) -> bool:
        """Switch a disabled endpoint on again; False when it is not theirs."""
        async with self._db.write() as conn:
            result = await conn.execute(
                update(webhook_endpoint)
                .where(self._theirs(id, owners))
                .values(state="active", reason=None, failing_since=None)
            )
            return bool(result.rowcount == 1)

    async def disable(self, conn: AsyncConnection, id: str, reason: OffReason) -> bool:
        """Switch an endpoint off inside the caller's transaction; True for exactly one caller."""
        result = await conn.execute(
            update(webhook_endpoint).where(_t.id == id, _t.state == "active").values(state="disabled", reason=reason)
        )
        return bool(result.rowcount == 1)

    async def secrets_of(self, endpoint: Endpoint) -> Mapping[str, Sealed]:
        """The endpoint's sealed secrets by id."""
        wanted = [endpoint.url_secret, endpoint.signing_secret, endpoint.earlier_secret]
        async with self._db.read() as conn:
            return await self._secrets.load(conn, [id for id in wanted if id is not None])

    async def subscribers(self, conn: AsyncConnection, event: StoredEvent) -> list[Endpoint]:
        """Active endpoints that want the event.

        An event of a member goes to his endpoints; one that names a server in its data (``guild_id``), to that
        server's; one of :data:`GLOBAL_EVENTS`, to everybody's. Any other goes to nobody.
        """
        owners = [member_owner(event.member_id)] if event.member_id is not None else []
        guild = event.data.get("guild_id")
        if guild is not None and str(guild).isdigit():
            owners.append(guild_owner(int(guild)))
        everybody = event.member_id is None and event.event in GLOBAL_EVENTS
        found = []
        async for batch in self._active(conn, None if everybody else owners):
            found += [one for one in batch if event.event in one.events]
        return found

    async def _active(self, conn: AsyncConnection, owners: Collection[str] | None) -> AsyncGenerator[list[Endpoint]]:
        """All active endpoints, of *owners* where given, in batches: thousands at once would hold everybody else up."""
        query = select(webhook_endpoint).where(_t.state == "active").order_by(_t.id).limit(BATCH)
        if owners is not None:
            query = query.where(_t.owner.in_(list(owners)))
        after = ""
        while True:
            rows = (await conn.execute(query.where(_t.id > after))).all()
            if rows:
                yield [endpoint_of(row) for row in rows]
                after = rows[-1].id
            if len(rows) < BATCH:
                return

    async def wants_market(self) -> bool:
        """Whether any active endpoint subscribes to ``market.updated``."""
        async with self._db.read() as conn, aclosing(self._active(conn, None)) as batches:
            async for batch in batches:
                if any("market.updated" in one.events for one in batch):
                    return True
        return False


async def count_member_webhooks(conn: AsyncConnection, member_id: int) -> int:
    """How many endpoints the member made, for "what is stored about me"."""
    count = await conn.scalar(
        select(func.count())
        .select_from(webhook_endpoint)
        .where(or_(_t.owner == member_owner(member_id), _t.made_by == member_id))
    )
    return int(count or 0)


async def erase_member_webhooks(conn: AsyncConnection, member_id: int) -> int:
    """Erase a member's endpoints and secrets inside the caller's transaction; servers' own stay, without his name."""
    erased = await _erase(conn, _t.owner == member_owner(member_id))
    await conn.execute(delete(sealed_secret).where(sealed_secret.c.owner == member_owner(member_id)))
    await conn.execute(update(webhook_endpoint).where(_t.made_by == member_id).values(made_by=None))
    return erased


async def erase_guild_webhooks(conn: AsyncConnection, guild_id: int) -> int:
    """Erase a server's endpoints and secrets inside the caller's transaction."""
    return await _erase(conn, _t.owner == guild_owner(guild_id))


async def _erase(conn: AsyncConnection, which: ColumnElement[bool]) -> int:
    gone = await conn.execute(
        delete(webhook_endpoint).where(which).returning(_t.url_secret, _t.signing_secret, _t.earlier_secret)
    )
    rows = gone.all()
    ids = [id for row in rows for id in row if id is not None]
    if ids:
        await conn.execute(delete(sealed_secret).where(sealed_secret.c.id.in_(ids)))
    return len(rows)


def endpoint_of(row: Row[Any]) -> Endpoint:
    """An endpoint from a row of its table."""
    return Endpoint(
        id=row.id,
        owner=row.owner,
        made_by=row.made_by,
        kind=row.kind,
        shown=row.shown,
        events=tuple(str(event) for event in row.events),
        gpu=row.gpu,
        platform=row.platform,
        state=row.state,
        reason=row.reason,
        failing_since=row.failing_since,
        last_status=row.last_status,
        last_at=row.last_at,
        created_at=row.created_at,
        earlier_until=row.earlier_until,
        url_secret=row.url_secret,
        signing_secret=row.signing_secret,
        earlier_secret=row.earlier_secret,
    )
