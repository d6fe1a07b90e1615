"""What a member or a server had with webhooks goes with them: endpoints, secrets, log, waiting jobs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from sandbox.webhooks import WebhookReceiver
from storage.members import MemberStore
from storage.servers import ServerStore
from storage.tables_webhooks import sealed_secret, webhook_attempt, webhook_delivery, webhook_endpoint
from tests.webhooks.conftest import ALICE, BOB, GUILD, MINE, SERVERS, YOURS, Desk

TABLES = (webhook_endpoint, webhook_delivery, webhook_attempt, sealed_secret)


async def counts(desk: Desk) -> list[int]:
    async with desk.parts.db.read() as conn:
        return [int(await conn.scalar(select(func.count()).select_from(table)) or 0) for table in TABLES]


async def three(desk: Desk, receiver: WebhookReceiver) -> list[Any]:
    made = [
        await desk.webhooks.add(MINE[0], ALICE, receiver.url, ["alert.triggered"]),
        await desk.webhooks.add(YOURS[0], BOB, receiver.url, ["alert.triggered"]),
        await desk.webhooks.add(SERVERS[0], ALICE, receiver.url, ["alert.triggered"]),
    ]
    await desk.emit("alert.triggered", {}, ALICE, "alice")
    await desk.emit("alert.triggered", {}, BOB, "bob")
    await desk.emit("alert.triggered", {"guild_id": GUILD}, None, "guild")
    await desk.run()
    assert await counts(desk) == [3, 3, 3, 6]
    return made


async def test_a_members(desk: Desk, receiver: WebhookReceiver) -> None:
    made = await three(desk, receiver)
    await desk.webhooks.rotate(made[0].endpoint.id, MINE)
    await desk.emit("alert.triggered", {}, ALICE, "waiting")
    erased = await MemberStore(desk.parts.db).erase(ALICE, "hash")
    assert erased.kept["webhook_endpoint"] == 1
    assert await counts(desk) == [2, 2, 2, 4]
    [servers] = await desk.webhooks.of(SERVERS)
    assert servers.made_by is None  # the server's stays, without his name
    await desk.run()
    assert len(receiver.received) == 3
    receiver.behave(status=410)
    await desk.emit("alert.triggered", {"guild_id": GUILD}, None, "gone")
    await desk.run()
    assert await desk.notices() == []  # nobody is left who could be told


async def test_a_servers(desk: Desk, receiver: WebhookReceiver) -> None:
    """Also of a server that set nothing else: the bot's removal alone sets the erasure going."""
    await three(desk, receiver)
    servers = ServerStore(desk.parts.db)
    await servers.left(GUILD, desk.clock.now)
    assert await servers.erase_due(desk.later(seconds=1)) == [GUILD]
    assert await counts(desk) == [2, 2, 2, 4]
    assert await desk.webhooks.of(SERVERS) == []
    assert len(await desk.webhooks.of([*MINE, *YOURS])) == 2
