"""A digest from end to end: ordered by command, due at its hour, delivered; with closed DMs a mention shows the way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from gpuscout.digests.planner import PLAN_JOB
from sandbox.discord.actor import components
from sandbox.discord.control_client import Control
from tests.e2e.harness import OffsetClock, World, cycle, running_app, settled, words

Json = dict[str, Any]


async def look(app: Any) -> None:
    """What the scheduler does each minute."""
    async with app.parts.db.write() as conn:
        await app.parts.jobs.enqueue(conn, PLAN_JOB, {}, concurrency_key=PLAN_JOB, max_attempts=3)
    app.worker.wake()


def is_digest(message: Json) -> bool:
    return "Your day, " in words(message)


def images(message: Json) -> list[Json]:
    return [part for part in components(message) if part["type"] == 12]


async def test_a_digest_comes_at_its_hour_and_with_closed_dms_a_mention(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with World(clock) as world, running_app(world, tmp_path, clock) as app:
        await cycle(app)
        await app.charts.warm()
        await world.bot_answers()
        async with world.actor("ada") as ada, Control(world.discord.page_url) as control:
            await ada.run(world.channel, "watchlist", {"gpu": "rtx-4090"}, subcommand="add", within=60)
            # A whole hour that does not begin before the order for it is given.
            due = (clock() + timedelta(hours=1, minutes=10)).replace(minute=0, second=0, microsecond=0)
            shown = await ada.run(world.channel, "digest", {"hour": due.hour}, subcommand="set", within=60)
            assert f"every day at {due.hour:02}:00" in words(shown)
            await ada.wait_for_message(lambda message: "This is where I will tell you" in words(message), within=60)

            await look(app)
            await settled(app)
            clock.forward(seconds=(due - clock()).total_seconds() + 5)
            await cycle(app)
            await look(app)
            told = await ada.wait_for_message(is_digest, within=90)
            assert int(told["channel_id"]) != world.channel
            assert "RTX 4090" in words(told)

            # The same minute again: nothing comes twice.
            await look(app)
            await settled(app)
            await control.faults(close_dms=[ada.user_id])
            clock.forward(hours=24)
            await cycle(app)
            await look(app)
            mention = await ada.wait_for_message(
                lambda message: "Your digest is ready" in words(message), channel_id=world.channel, within=90
            )
            assert "RTX 4090" not in words(mention)
            shown = await ada.answer(await ada.click(mention, "Show my digest"), within=60)
            assert "RTX 4090" in words(shown)
            assert images(shown), "the week of the followed GPU"
            await settled(app)
            dms = await ada.messages(int(told["channel_id"]))
            assert len([message for message in dms if is_digest(message)]) == 1
