"""What is stored about a member is listed in full and erased in full, whatever table it lies in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, DateTime, Float, Integer, Table, func, insert, select

from storage.engine import Database
from storage.members import OWNED, MemberStore
from storage.servers import ServerStore
from storage.tables import metadata
from storage.tables_alerts import alert_rule
from storage.tables_digests import digest_subscription
from storage.tables_webhooks import sealed_secret, webhook_endpoint

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANN, BEN = (1 << 62) + 1, (1 << 62) + 2
ELSEWHERE = {"watchlist_item", "alert_rule", "muted_alert"}
"""Tables with a member's id that the store erases by their own rules."""


def row_of(table: Table, member: int) -> dict[str, Any]:
    """A row with every column filled; its keys differ by member."""
    row: dict[str, Any] = {}
    for column in table.columns:
        kind = getattr(column.type, "impl", column.type)
        if column.name == "member_id":
            row[column.name] = member
        elif isinstance(kind, DateTime):
            row[column.name] = NOW
        elif isinstance(kind, Boolean):
            row[column.name] = False
        elif isinstance(kind, JSON):
            row[column.name] = {}
        elif isinstance(kind, Float):
            row[column.name] = 0.5
        elif isinstance(kind, Integer):
            row[column.name] = member - ANN + 1
        else:
            row[column.name] = str(member)[-1]
    return row


def test_no_table_with_a_members_id_is_forgotten() -> None:
    with_members = {table.name for table in metadata.sorted_tables if "member_id" in table.c}
    assert with_members == {table.name for table in OWNED} | ELSEWHERE


async def test_everything_of_one_member_is_counted_and_erased(db: Database) -> None:
    store = MemberStore(db)
    async with db.write() as conn:
        for member in (ANN, BEN):
            for table in OWNED:
                await conn.execute(insert(table).values(row_of(table, member)))
            rule = {**row_of(alert_rule, member), "state": "active"}
            await conn.execute(insert(alert_rule).values({**rule, "owner": f"m:{member}"}))
            server = {**rule, "id": rule["id"] + 10, "owner": "g:5", "server": True, "fingerprint": str(member)}
            await conn.execute(insert(alert_rule).values(server))
            secret = {**row_of(sealed_secret, member), "owner": f"member:{member}"}
            await conn.execute(insert(sealed_secret).values(secret))
            endpoint = row_of(webhook_endpoint, member)
            endpoint |= {"owner": f"member:{member}", "made_by": member}
            endpoint |= dict.fromkeys(("url_secret", "signing_secret", "earlier_secret"), secret["id"])
            await conn.execute(insert(webhook_endpoint).values(endpoint))

    expected = {**dict.fromkeys((table.name for table in OWNED), 1), "alert_rule": 1, "webhook_endpoint": 1}
    assert await store.kept(ANN) == expected
    erased = await store.erase(ANN, "hash")
    assert erased.kept == expected
    assert await store.kept(ANN) == {}
    assert await store.kept(BEN) == expected
    async with db.read() as conn:
        owners = await conn.execute(select(alert_rule.c.owner, alert_rule.c.member_id).order_by(alert_rule.c.id))
        assert {tuple(row) for row in owners} == {(f"m:{BEN}", BEN), ("g:5", 0), ("g:5", BEN)}
        assert await conn.scalar(select(func.count()).select_from(sealed_secret)) == 1


async def test_everything_that_a_servers_admins_set_is_erased(db: Database) -> None:
    async with db.write() as conn:
        for guild in (5, 6):
            number = ANN + guild
            digest = {**row_of(digest_subscription, number), "member_id": None, "guild_id": guild}
            await conn.execute(insert(digest_subscription).values(digest))
            rule = {**row_of(alert_rule, number), "owner": f"g:{guild}", "server": True, "state": "active"}
            await conn.execute(insert(alert_rule).values(rule))
            secret = {**row_of(sealed_secret, number), "owner": f"guild:{guild}"}
            await conn.execute(insert(sealed_secret).values(secret))
            endpoint = {**row_of(webhook_endpoint, number), "owner": f"guild:{guild}"}
            endpoint |= dict.fromkeys(("url_secret", "signing_secret", "earlier_secret"), secret["id"])
            await conn.execute(insert(webhook_endpoint).values(endpoint))
    await ServerStore(db).erase(5)
    async with db.read() as conn:
        for table in (digest_subscription, alert_rule, sealed_secret, webhook_endpoint):
            assert await conn.scalar(select(func.count()).select_from(table)) == 1, table.name
