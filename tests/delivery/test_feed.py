"""The market feed from stored quotes to posts in the sandbox's Discord, under a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from discord.http import Route

from bot.dm_role import open_client
from bot.feed_role import FEED_BACKOFF, feed_handlers
from bot.parts import Parts, make_reader, open_parts
from bot.worker import Handler, JobFailed, JobRun
from config.settings import Settings
from gpuscout.accounts.erasure import ERASE_JOB
from gpuscout.accounts.feed_memory import FeedMemory, read_memory
from gpuscout.accounts.servers import ERASE_AFTER, FeedSettings, Servers, ServerSettings
from gpuscout.delivery.discord_channel import DiscordChannelPosts
from gpuscout.delivery.feed import MOVES_LATEST, PLAN_JOB, POST_ATTEMPTS, POST_JOB
from gpuscout.market.ingest import Ingest
from gpuscout.market.reader import MarketReader
from sandbox.discord.permissions import Perm
from sandbox.discord.server import SandboxDiscord
from storage.servers import ServerStore, feed_state_key
from tests.fakes import FakeCharts
from tests.market.helpers import FakeClock, ScriptedSource, document, model_v1

START = datetime(2026, 10, 24, 0, 0, tzinfo=UTC)
KINDS = (PLAN_JOB, POST_JOB, ERASE_JOB)
Json = dict[str, Any]


@dataclass
class Stage:
    """A product's worker role in pieces: its rows, its market, its Discord."""

    discord: SandboxDiscord
    guild: int
    channel: int
    parts: Parts
    clock: FakeClock
    source: ScriptedSource
    ingest: Ingest
    reader: MarketReader
    servers: Servers
    store: ServerStore
    posts: DiscordChannelPosts
    charts: FakeCharts
    handlers: dict[str, Handler] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def restart(self) -> None:
        """What a new process begins with: nothing but the rows."""

        async def channels() -> DiscordChannelPosts:
            return self.posts

        self.reader = make_reader(self.parts)
        self.handlers = feed_handlers(self.parts, self.reader, self.charts, channels, lambda: None)

    async def poll(self, *models: Any) -> None:
        """A market update with the source's time of now."""
        self.source.answers = {"v1": document(self.clock.now, *models)}
        assert (await self.ingest.run()).problems == ()
        self.reader.invalidate()

    async def prices(self, price: float, **others: float) -> None:
        """An update with an RTX 4090 at *price*, and others."""
        named = {"RTX 4090": price, **{name.replace("_", " "): value for name, value in others.items()}}
        await self.poll(*(model_v1(name, 60, 40, value) for name, value in named.items()))

    async def set_feed(self, zone: str = "UTC", **feed: Any) -> None:
        settings = FeedSettings(channel_id=self.channel, since=self.clock.now, **feed)
        await self.servers.change(self.guild, lambda s: s.changed(timezone=zone, feed=settings.model_dump()))

    async def settings(self) -> ServerSettings:
        return await self.servers.read(self.guild)

    async def memory(self) -> FeedMemory:
        return read_memory(await self.parts.state.get(feed_state_key(self.guild)))

    async def add(self, kind: str) -> None:
        """What the scheduler does at its interval."""
        async with self.parts.db.write() as conn:
            await self.parts.jobs.enqueue(conn, kind, {}, concurrency_key=kind, max_attempts=3)

    async def work(self) -> int:
        """Run every job that is due, as the worker does; returns how many ran."""
        ran = 0
        while claimed := await self.parts.jobs.claim(KINDS, 5, 60):
            for job in claimed:
                ran += 1
                await self._run(JobRun(job, self.parts.jobs))
        return ran

    async def _run(self, run: JobRun) -> None:
        try:
            await self.handlers[run.job.kind](run)
        except JobFailed as error:
            self.failures.append(str(error))
            async with self.parts.db.write() as conn:
                if error.permanent:
                    await self.parts.jobs.bury(conn, run.job, error)
                else:
                    await self.parts.jobs.retry(conn, run.job, error, backoff=FEED_BACKOFF[POST_JOB])
            return
        if not run.finished:
            async with self.parts.db.write() as conn:
                await run.finish(conn)

    async def look(self) -> None:
        """One look at the feeds, and what follows."""
        await self.add(PLAN_JOB)
        await self.work()

    def posted(self) -> list[Json]:
        """The bot's messages in the feed's channel, oldest first."""
        bucket = self.discord.world.bucket(self.channel).values()
        return [message.data for message in bucket if message.author_id == self.discord.world.bot.id]

    def tries(self) -> int:
        return sum(record.method == "POST" and record.path.endswith("/messages") for record in self.discord.requests)


def text_of(message: Json) -> str:
    def walk(found: list[Json]) -> list[str]:
        return [t for c in found for t in [c.get("content", ""), *walk(c.get("components", []))]]

    return "\n".join(walk(message["components"]))


@pytest.fixture
async def stage(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    server = SandboxDiscord()
    ann = server.add_user("ann")
    guild = server.add_guild("GPU Hosts", owner=ann.id, members=[ann.id], channels=["market"])
    await server.start()
    settings = Settings(
        _env_file=None,
        database_url=sqlite_url,
        discord_token=server.token,
        discord_api_url=server.api_url,
        public_url="https://gpuscout.example",
    )
    clock = FakeClock(START)
    parts = open_parts(settings, clock)
    closers: list[Callable[[], Awaitable[None]]] = []
    client = await open_client(settings, None, lambda _name, close: closers.append(close))
    source = ScriptedSource()
    store = ServerStore(parts.db)
    made = Stage(
        discord=server,
        guild=guild.id,
        channel=guild.channel_ids[0],
        parts=parts,
        clock=clock,
        source=source,
        ingest=Ingest(source, parts.store, parts.state, parts.jobs, parts.gpus, clock=clock),
        reader=make_reader(parts),
        servers=Servers(store, clock=clock),
        store=store,
        posts=DiscordChannelPosts(client),
        charts=FakeCharts(),
    )
    made.restart()
    try:
        yield made
        assert [record.schema_errors for record in server.requests if record.schema_errors] == []
    finally:
        for close in closers:
            await close()
        await parts.aclose()
        await server.stop()


async def test_daily_at_its_local_hour_across_a_clock_change(stage: Stage) -> None:
    """Berlin's clocks go back in the night to 25 October 2026; the post stays at nine."""
    await stage.set_feed("Europe/Berlin", mode="daily", hour=9)
    times = []
    while stage.clock.now < START + timedelta(days=3):
        await stage.prices(0.30 + stage.clock.now.day / 1000)
        before = len(stage.posted())
        await stage.look()
        if len(stage.posted()) > before:
            times.append(stage.clock.now)
        stage.clock.forward(hours=1)

    assert times == [
        datetime(2026, 10, 24, 7, tzinfo=UTC),
        datetime(2026, 10, 25, 8, tzinfo=UTC),
        datetime(2026, 10, 26, 8, tzinfo=UTC),
    ]
    assert {at.astimezone(ZoneInfo("Europe/Berlin")).hour for at in times} == {9}
    assert len(stage.posted()) == 3
    text = text_of(stage.posted()[1])
    assert "GPU market, Oct 25, 2026" in text
    assert "RTX 4090 0.325 +0.3%  60%" in text
    assert "[500.farm](<https://500.farm>)" in text
    assert f"<t:{int(times[1].timestamp())}:R>" in text
    assert [a["filename"] for a in stage.posted()[1]["attachments"]] == ["market-7d.webp"]
    assert stage.charts.specs[0].timezone == "Europe/Berlin"


async def test_a_second_look_posts_nothing(stage: Stage) -> None:
    await stage.set_feed(mode="daily", hour=0)
    stage.clock.forward(days=1)
    await stage.prices(0.3)
    for _ in range(3):
        await stage.look()
        stage.restart()
    assert len(stage.posted()) == 1


async def test_two_planners_at_once_claim_one_post(stage: Stage) -> None:
    await stage.set_feed(mode="daily", hour=0)
    stage.clock.forward(days=1)
    await stage.prices(0.3)
    other = make_reader(stage.parts)

    async def channels() -> DiscordChannelPosts:
        return stage.posts

    second = feed_handlers(stage.parts, other, None, channels, lambda: None)
    run: Any = None  # a look does not use it
    await asyncio.gather(*(handlers[PLAN_JOB](run) for handlers in (stage.handlers, second) for _ in range(3)))
    await stage.work()
    assert len(stage.posted()) == 1


async def move(stage: Stage, **feed: Any) -> None:
    """A feed of big moves, and a day after which the RTX 4090 costs a fifth more."""
    await stage.set_feed(mode="moves", threshold=10, **feed)
    await stage.prices(0.30, A100_SXM4=1.0)
    stage.clock.forward(days=1)
    await stage.prices(0.36, A100_SXM4=1.05)


async def test_a_big_move_is_told_once(stage: Stage) -> None:
    await move(stage)
    await stage.look()
    (post,) = stage.posted()
    text = text_of(post)
    assert "Prices moved by 10% or more in 24 h" in text
    assert "RTX 4090 0.36 +20.0%  60%" in text
    assert "A100" not in text
    assert post["flags"] & (1 << 12), "nobody's telephone rings for it"
    for price in (0.361, 0.325, 0.34, 0.37):
        stage.clock.forward(minutes=15)
        await stage.prices(price, A100_SXM4=1.05)
        await stage.look()
    assert len(stage.posted()) == 1


async def test_never_more_than_asked(stage: Stage) -> None:
    await stage.set_feed(mode="both", hour=23, threshold=10, max_posts=3)
    names = ["RTX_3090", "RTX_4080", "RTX_5090", "L40S"]
    await stage.prices(0.3, **dict.fromkeys(names, 1.0))
    stage.clock.forward(days=1)
    moved = dict.fromkeys(names, 1.0)
    for name in names:
        moved[name] = 1.3
        await stage.prices(0.3, **moved)
        await stage.look()
        stage.clock.forward(minutes=15)
    assert len(stage.posted()) == 2, "the daily post keeps its place"
    stage.clock.now = stage.clock.now.replace(hour=23, minute=0)
    await stage.prices(0.3, **moved)
    await stage.look()
    assert len(stage.posted()) == 3
    assert "GPU market" in text_of(stage.posted()[-1])
    stage.clock.forward(hours=1)
    await stage.prices(0.3, **moved)
    await stage.look()
    assert len(stage.posted()) == 4, "a new day: what did not fit yesterday and still is news"


async def test_stale_data_post_nothing_and_say_so(stage: Stage) -> None:
    await stage.set_feed(mode="daily", hour=9)
    await stage.prices(0.3)
    stage.clock.now = START.replace(hour=9)
    await stage.look()
    assert stage.posted() == []
    assert (await stage.memory()).silent_since == stage.clock.now

    stage.clock.forward(hours=2)
    await stage.prices(0.31)
    await stage.look()
    assert len(stage.posted()) == 1, "late, but the same day's"
    assert (await stage.memory()).silent is None


async def test_three_hours_late_the_day_goes_without(stage: Stage) -> None:
    await stage.set_feed(mode="daily", hour=9)
    stage.clock.now = START.replace(hour=12, minute=1)
    await stage.prices(0.3)
    await stage.look()
    assert stage.posted() == []


async def test_missing_permission_pauses_the_feed_for_good(stage: Stage) -> None:
    stage.discord.setup.set_overwrites(
        stage.channel,
        [{"id": str(stage.discord.world.bot.id), "type": 1, "allow": "0", "deny": str(int(Perm.SEND_MESSAGES))}],
    )
    await move(stage)
    await stage.look()
    paused = (await stage.settings()).feed.paused
    assert paused is not None
    assert (paused.reason, paused.at) == ("permissions", stage.clock.now)
    assert await stage.parts.jobs.list_dead(10) == []

    tries = stage.tries()
    for _ in range(3):
        stage.clock.forward(hours=1)
        await stage.prices(0.5, A100_SXM4=2.0)
        await stage.look()
    assert stage.tries() == tries, "it is not asked again and again"

    stage.discord.setup.set_overwrites(stage.channel, [])
    await stage.servers.change(stage.guild, lambda s: s.with_feed(paused=None))
    stage.clock.now = START + timedelta(days=2)
    await stage.prices(0.9, A100_SXM4=2.0)
    await stage.look()
    assert len(stage.posted()) == 1


async def test_a_channel_that_is_gone_pauses_the_feed(stage: Stage) -> None:
    await move(stage)
    del stage.discord.world.channels[stage.channel]
    await stage.look()
    paused = (await stage.settings()).feed.paused
    assert paused is not None
    assert paused.reason == "channel"


async def test_a_hidden_channel_pauses_the_feed(stage: Stage) -> None:
    await move(stage)
    stage.discord.setup.remove_bot(stage.guild)
    await stage.look()
    paused = (await stage.settings()).feed.paused
    assert paused is not None
    assert paused.reason == "access"


async def test_an_outage_of_discord_is_waited_out(stage: Stage) -> None:
    await move(stage)
    # discord.py itself tries five times.
    await stage.discord.control.apply_faults({"status": {"route": "/messages", "times": 1, "code": 400}})
    await stage.look()
    assert stage.failures == ["Discord answered 400 (code 0)"]
    assert stage.posted() == []
    stage.clock.forward(minutes=1)
    await stage.work()
    assert len(stage.posted()) == 1
    assert (await stage.settings()).feed.paused is None


async def test_old_news_is_dropped(stage: Stage) -> None:
    await move(stage)
    await stage.handlers[PLAN_JOB](None)  # type: ignore[arg-type]
    stage.clock.forward(seconds=MOVES_LATEST.total_seconds() + 1)
    await stage.prices(0.36, A100_SXM4=1.05)
    assert await stage.work() == 1
    assert stage.posted() == []
    assert await stage.parts.jobs.list_dead(10) == []


async def test_killed_between_claim_and_post(stage: Stage) -> None:
    await move(stage)
    await stage.handlers[PLAN_JOB](None)  # type: ignore[arg-type]
    assert await stage.parts.jobs.claim([POST_JOB], 1, 60), "a worker takes the job and is killed"
    stage.restart()
    await stage.parts.jobs.release_all()
    await stage.work()
    assert len(stage.posted()) == 1


async def test_killed_between_post_and_note(stage: Stage) -> None:
    await move(stage)
    await stage.handlers[PLAN_JOB](None)  # type: ignore[arg-type]
    (job,) = await stage.parts.jobs.claim([POST_JOB], 1, 60)

    class Killed(BaseException):
        pass

    class DyingRun(JobRun):
        async def finish(self, conn: Any) -> None:
            raise Killed

    with pytest.raises(Killed):
        await stage.handlers[POST_JOB](DyingRun(job, stage.parts.jobs))
    assert len(stage.posted()) == 1
    claimed = await stage.store.post_of(stage.guild, job.payload["slot"])
    assert claimed is not None
    assert claimed.message_id is None, "the note was rolled back with the job"

    stage.restart()
    await stage.parts.jobs.release_all()
    await stage.work()
    assert len(stage.posted()) == 1, "the nonce made it the same message"
    claimed = await stage.store.post_of(stage.guild, job.payload["slot"])
    assert claimed is not None
    assert str(claimed.message_id) == stage.posted()[0]["id"]


async def test_tries_are_limited(stage: Stage) -> None:
    await move(stage)
    await stage.handlers[PLAN_JOB](None)  # type: ignore[arg-type]
    for _ in range(POST_ATTEMPTS):
        assert await stage.parts.jobs.claim([POST_JOB], 1, 60)
        await stage.parts.jobs.release_all()
    assert await stage.work() == 0
    (dead,) = await stage.parts.jobs.list_dead(10)
    assert dead.kind == POST_JOB


@pytest.mark.parametrize("change", ["off", "channel", "kicked"])
async def test_what_is_not_wanted_any_more_is_dropped(stage: Stage, change: str) -> None:
    await move(stage)
    await stage.handlers[PLAN_JOB](None)  # type: ignore[arg-type]
    if change == "kicked":
        await stage.servers.left(stage.guild)
    else:
        values: Json = {"mode": "off"} if change == "off" else {"channel_id": 4242}
        await stage.servers.change(stage.guild, lambda s: s.with_feed(**values))
    await stage.work()
    assert stage.posted() == []
    assert stage.tries() == 0


async def test_alert_roles_are_pinged_only_where_that_is_set(stage: Stage) -> None:
    role = stage.discord.setup.add_role(stage.guild, "hosts", permissions=0, mentionable=True)
    await move(stage, ping=True)
    await stage.servers.change(stage.guild, lambda s: s.changed(roles=[role.id]))
    await stage.look()
    (post,) = stage.posted()
    assert f"<@&{role.id}>" in text_of(post)
    assert post["mention_roles"] == [str(role.id)]
    assert not post["flags"] & (1 << 12)


async def test_in_the_language_of_the_server_and_without_a_chart(stage: Stage) -> None:
    stage.charts.failing = True
    await stage.set_feed(mode="daily", hour=0)
    await stage.servers.change(stage.guild, lambda s: s.changed(locale="de"))
    stage.clock.forward(days=1)
    await stage.prices(0.3)
    await stage.look()
    (post,) = stage.posted()
    assert "GPU-Markt, 25.10.2026" in text_of(post)
    assert post["attachments"] == []


async def test_kick_thirty_days_erased(stage: Stage) -> None:
    await move(stage)
    await stage.look()
    await stage.servers.left(stage.guild)
    stage.clock.forward(seconds=ERASE_AFTER.total_seconds() - 60)
    await stage.prices(0.9, A100_SXM4=3.0)
    await stage.look()
    await stage.add(ERASE_JOB)
    await stage.work()
    assert len(stage.posted()) == 1, "a server that is left gets nothing"
    assert (await stage.settings()).feed.mode == "moves"
    stage.clock.forward(minutes=1)
    await stage.add(ERASE_JOB)
    await stage.work()
    assert await stage.settings() == ServerSettings()
    assert await stage.store.newest_post(stage.guild) is None


async def test_back_in_time_the_feed_goes_on(stage: Stage) -> None:
    await stage.set_feed(mode="daily", hour=0)
    await stage.servers.left(stage.guild)
    stage.clock.forward(days=29)
    assert await stage.servers.back(stage.guild)
    await stage.add(ERASE_JOB)
    stage.clock.now = stage.clock.now.replace(hour=0) + timedelta(days=3)
    await stage.prices(0.3)
    await stage.look()
    assert len(stage.posted()) == 1
