"""The real rooms of e-mail over a database of each kind, against SendGrid on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.mail_role import MailRoom
from bot.parts import Parts, open_parts
from bot.worker import JobFailed, JobRun
from config.currencies import default_currencies
from config.settings import Settings
from gpuscout.accounts.members import Members
from sandbox.sendgrid import SandboxSendGrid
from storage.engine import Database
from storage.mail import MailStore
from storage.members import MemberStore

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
KEY = "SG.sandbox"
GROUPS = {"onboarding": 11, "reports": 12, "alerts": 13}


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class MailDeskOf:
    """Everything of one test."""

    parts: Parts
    room: MailRoom
    sendgrid: SandboxSendGrid
    clock: Clock
    store: MailStore
    failed: list[JobFailed] = field(default_factory=list)

    async def work(self) -> list[str]:
        """Run every job that is due, as the worker does; the kinds that ran."""
        ran = []
        while claimed := await self.parts.jobs.claim(tuple(self.room.handlers), 1, 60.0, now=self.clock()):
            job = claimed[0]
            ran.append(job.kind)
            run = JobRun(job, self.parts.jobs)
            try:
                await self.room.handlers[job.kind](run)
            except JobFailed as error:
                self.failed.append(error)
                async with self.parts.db.write() as conn:
                    if error.permanent:
                        await self.parts.jobs.bury(conn, job, error)
                    else:
                        await self.parts.jobs.retry(conn, job, error, delay=timedelta(seconds=30))
                continue
            if not run.finished:
                async with self.parts.db.write() as conn:
                    await self.parts.jobs.finish(conn, job)
        return ran

    @property
    def mails(self) -> list[Any]:
        return self.sendgrid.mails

    def link(self, path: str, mail: Any = None) -> str:
        """The token of the newest mail's link to *path*."""
        text = (mail or self.mails[-1]).part("text/plain")
        return next(word.partition("?t=")[2] for word in text.split() if f"{path}?t=" in word)

    async def confirmed(self, member_id: int = 7, address: str = "ada@example.com", locale: str = "en-US") -> None:
        """A member with a confirmed address; the welcome is not sent yet."""
        await self.room.desk.ask(member_id, address, locale)
        await self.work()
        asked = [mail for mail in self.mails if mail.body["categories"] == ["confirm"] and mail.to == address]
        await self.room.desk.confirm(self.link("/mail/confirm", asked[-1]))


Make = Callable[..., Awaitable[MailDeskOf]]


@pytest.fixture
async def sendgrid() -> AsyncIterator[SandboxSendGrid]:
    async with SandboxSendGrid(KEY) as server:
        yield server


@pytest.fixture
async def make_desk(db: Database, sendgrid: SandboxSendGrid, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes the rooms over the test's database."""
    opened: list[MailRoom] = []
    parts_of: list[Parts] = []

    async def make(**changes: Any) -> MailDeskOf:
        clock = Clock()
        given: dict[str, Any] = {
            "database_url": db.url.render_as_string(hide_password=False),
            "secret_key": "a-secret-of-the-tests",
            "data_dir": tmp_path,
            "sendgrid_api_key": KEY,
            "sendgrid_api_url": sendgrid.url,
            "sendgrid_webhook_public_key": sendgrid.public_key,
            "sendgrid_groups": GROUPS,
            "mail_from": "GPUScout <alerts@gpuscout.example>",
            "public_url": "https://gpuscout.example",
            "operator_contact": "mail@gpuscout.example",
            **changes,
        }
        settings = Settings(_env_file=None, **given)
        parts = replace(open_parts(settings, clock))
        parts_of.append(parts)
        members = Members(MemberStore(parts.db), default_currencies(), member_hash=str, clock=clock)
        room = MailRoom(parts, members)
        opened.append(room)
        return MailDeskOf(parts, room, sendgrid, clock, MailStore(parts.db, parts.jobs))

    yield make
    for room in opened:
        await room.aclose()
    for parts in parts_of:
        await parts.aclose()


@pytest.fixture
async def desk(make_desk: Make) -> MailDeskOf:
    return await make_desk()


async def until(what: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that another task does."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.02)
