"""From the poll to 500 members' DMs, through a Discord that limits as the real one does.

All of delivery takes part: notification rows and jobs of one poll, the worker with its places, rendering, the rows
before and after each send, discord.py, and a Discord in a process of its own that counts requests in sliding windows
(50 a second over all routes, 5 in 5 s a channel) and answers each after :data:`LATENCY_MS`. DM channels are known, as
they are after the opt-in.

Run ``python -m benchmarks poll_to_dm [--quick]``. ``vs_permitted`` is DMs a second, from the commit of the poll to the
last answer, against Discord's 50; at least 0.9. ``refused`` counts answers with 429; at most 0. ``p50`` and ``p99`` are
times from the poll to the DM as ``/status`` computes them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

import discord

from benchmarks.market_fixture import sqlite_databases
from benchmarks.measure import emit, percentile, quiet, say
from bot.dm_role import open_client
from bot.notify_role import NOTIFY_BACKOFF, SENDERS, notify_handlers
from bot.parts import open_parts
from bot.worker import Worker
from config.settings import Settings
from gpuscout.delivery.channels import Letter, Message
from gpuscout.delivery.discord_notify import DiscordNotifications
from gpuscout.delivery.pacing import PER_SECOND, DiscordPace
from sandbox.discord.server import SandboxDiscord
from storage.attempts import DeliveryLedger, Notification
from storage.engine import Database
from storage.members import dm_key
from storage.notifications import NotificationStore, Target

MEMBERS = 500
LATENCY_MS = 20.0
LEAST = 0.9
PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the Discord listens, and the members' DM channels."""

    api_url: str
    token: str
    channels: dict[int, int]


def _discord(members: int, pipe: Connection) -> None:
    """The child: a Discord until it is asked for what it answered."""
    quiet()

    async def serve() -> None:
        server = SandboxDiscord()
        users = [server.add_user(f"member{number}") for number in range(members)]
        server.add_guild("Hosts", owner=users[0].id, members=[user.id for user in users], channels=["market"])
        channels = {user.id: server.world.open_dm(user.id)[0].id for user in users}
        await server.start()
        await server.control.apply_faults({"latency_ms": LATENCY_MS})
        pipe.send(Place(server.api_url, server.token, channels))
        await asyncio.to_thread(pipe.recv)
        pipe.send(Counter(record.status for record in server.requests if record.method == "POST"))
        await server.stop()

    asyncio.run(serve())


async def draw(told: Notification, _letter: Letter) -> Message:
    """An alert of the usual size, without a picture."""
    embed = discord.Embed(title=str(told.items[0]["name"]), description="below 0.30 USD/h for two polls")
    for name in ("GPU Model", "Expected Impact", "Action Required"):
        embed.add_field(name=name, value="RTX 4090 · Vast.ai")
    view = discord.ui.View(timeout=None)
    for label in ("Snooze", "Pause", "Show chart", "Edit", "Why?"):
        view.add_item(discord.ui.Button(label=label, custom_id=f"bench|{label}"))
    return Message(embeds=[embed], view=view)


async def deliver(url: str, place: Place) -> tuple[float, list[float]]:
    """Seconds until every member has his DM, and the seconds of each."""
    settings = Settings(_env_file=None, database_url=url, discord_token=place.token, discord_api_url=place.api_url)
    parts = open_parts(settings)
    client = await open_client(settings, None, lambda _name, _close: None)
    sender = DiscordNotifications(client, parts.state, DiscordPace())
    for member_id, channel_id in place.channels.items():
        await parts.state.set(dm_key(member_id), channel_id)

    async def give() -> DiscordNotifications:
        return sender

    left = len(place.channels)
    done = asyncio.Event()

    def ended() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            done.set()

    handlers = notify_handlers(parts, give, renderers={"alert": draw})
    worker = Worker(
        parts.db, parts.jobs, handlers, concurrency=SENDERS, backoff=NOTIFY_BACKOFF, on_done=ended, clock=parts.clock
    )
    store = NotificationStore(parts.db, parts.jobs)
    polled = datetime.now(UTC)
    async with parts.db.write() as conn:
        for member_id in place.channels:
            key = f"alert:{member_id}"
            await store.add(
                conn, Target(member_id), "alert", {"name": "RTX 4090"}, item_key=key, group_key=key, at=polled,
                poll_at=polled,
            )  # fmt: skip
    begun = time.perf_counter()
    worker.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        seconds = time.perf_counter() - begun
        times = list(await DeliveryLedger(parts.db).poll_to_message(polled - timedelta(minutes=1)))
    finally:
        await worker.stop()
        await client.close()
        await parts.aclose()
    if len(times) != len(place.channels):
        raise AssertionError(f"{len(times)} of {len(place.channels)} members were told")
    return seconds, times


async def run(members: int) -> None:
    """One poll."""

    async def nothing(_db: Database) -> None:
        return

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_discord, args=(members, theirs), name="bench-discord")
    child.start()
    place: Place = await asyncio.to_thread(ours.recv)
    say(f"{members} members")
    async with sqlite_databases(("gpuscout",), nothing) as urls:
        seconds, times = await deliver(urls["gpuscout"], place)
    ours.send(None)
    statuses: Counter[int] = await asyncio.to_thread(ours.recv)
    child.join()
    if statuses[200] < members:
        raise AssertionError(f"Discord answered {dict(statuses)}")
    emit("poll_to_dm.rate", members / seconds, "DMs/s")
    share = members / seconds / PER_SECOND
    emit("poll_to_dm.vs_permitted", share, "ratio", LEAST, share, at_least=True)
    emit("poll_to_dm.refused", statuses[429], "answers", 0, statuses[429])
    emit("poll_to_dm.p50", percentile(times, 50), "s")
    emit("poll_to_dm.p99", percentile(times, 99), "s")


def main(*, quick: bool = False) -> None:
    """Run it."""
    asyncio.run(run(150 if quick else MEMBERS))
