"""Sealed secrets as rows. :mod:`gpuscout.accounts.secret_box` seals and opens them; here nothing is readable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.tables_webhooks import sealed_secret

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret as it is stored.

    Attributes:
        id: names the row; part of the seal.
        owner: whose it is, such as ``member:1``; part of the seal.
        purpose: what it is for, such as ``webhook.signing``; part of the seal.
        key_id: the key of the ring that wraps the data key.
        wrapped_key: the data key, encrypted by that key.
        box: nonce and ciphertext, base64.
    """

    id: str
    owner: str
    purpose: str
    key_id: str
    wrapped_key: str
    box: str


def member_owner(member_id: int) -> str:
    """A member as an owner."""
    return f"member:{member_id}"


def guild_owner(guild_id: int) -> str:
    """A server as an owner."""
    return f"guild:{guild_id}"


def guild_of(owner: str) -> int | None:
    """The server that an owner is; None for a member."""
    kind, _, number = owner.partition(":")
    return int(number) if kind == "guild" else None


class SecretStore:
    """The table of sealed secrets."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, conn: AsyncConnection, sealed: Sealed, at: datetime) -> None:
        """Store a secret inside the caller's transaction."""
        await conn.execute(
            sealed_secret.insert().values(
                id=sealed.id,
                owner=sealed.owner,
                purpose=sealed.purpose,
                key_id=sealed.key_id,
                wrapped_key=sealed.wrapped_key,
                box=sealed.box,
                created_at=at,
            )
        )

    async def load(self, conn: AsyncConnection, ids: Collection[str]) -> dict[str, Sealed]:
        """Secrets by id."""
        rows = await conn.execute(select(sealed_secret).where(sealed_secret.c.id.in_(list(ids))))
        return {str(row.id): _sealed(row) for row in rows}

    async def drop(self, conn: AsyncConnection, ids: Collection[str]) -> int:
        """Erase secrets by id."""
        result = await conn.execute(delete(sealed_secret).where(sealed_secret.c.id.in_(list(ids))))
        return result.rowcount

    async def by_key(self) -> Mapping[str, int]:
        """How many data keys each key of the ring wraps."""
        async with self._db.read() as conn:
            rows = await conn.execute(
                select(sealed_secret.c.key_id, func.count().label("secrets")).group_by(sealed_secret.c.key_id)
            )
            return {str(row.key_id): int(row.secrets) for row in rows}

    async def rewrap(
        self, key_id: str, rewrap: Callable[[Sealed], Sealed], failed: Callable[[Sealed, Exception], None]
    ) -> int:
        """Wrap every data key that is not wrapped by *key_id* anew, in batches; returns how many.

        What encrypts the secret stays as it is. A row that changed meanwhile is left alone. Safe to repeat and to
        interrupt.

        Args:
            rewrap: gives the row with its new wrapping.
            failed: told of a row that could not be unwrapped; it stays.
        """
        done, after = 0, ""
        while True:
            async with self._db.read() as conn:
                rows = await conn.execute(
                    select(sealed_secret)
                    .where(sealed_secret.c.key_id != key_id, sealed_secret.c.id > after)
                    .order_by(sealed_secret.c.id)
                    .limit(BATCH)
                )
                batch = [_sealed(row) for row in rows]
            if not batch:
                return done
            after = batch[-1].id
            renewed: list[tuple[Sealed, Sealed]] = []
            for sealed in batch:
                try:
                    renewed.append((sealed, rewrap(sealed)))
                except Exception as error:  # noqa: BLE001 - one row's trouble is reported, the others go on
                    failed(sealed, error)
            async with self._db.write() as conn:
                for old, new in renewed:
                    result = await conn.execute(
                        update(sealed_secret)
                        .where(sealed_secret.c.id == old.id, sealed_secret.c.wrapped_key == old.wrapped_key)
                        .values(wrapped_key=new.wrapped_key, key_id=new.key_id)
                    )
                    done += result.rowcount


def _sealed(row: Row[Any]) -> Sealed:
    return Sealed(row.id, row.owner, row.purpose, row.key_id, row.wrapped_key, row.box)
