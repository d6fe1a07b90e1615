"""A process that dies between any two steps of a delivery: the notification still arrives, and as one message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from discord.http import Route

from gpuscout.delivery.channels import Message
from storage.errors import LeaseLost
from storage.notifications import NOTIFY_JOB, Target
from tests.delivery.notify_desk import MESSAGES, Desk, open_desk


@pytest.fixture
async def desk(db_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    async with open_desk(db_url) as desk:
        yield desk


class Killed(BaseException):
    """The process ended here: nothing after it runs."""


STEPS = ("load", "render", "begin", "opened", "before sending", "after sending", "before settling", "in settling")


def kill_at(desk: Desk, step: str, patch: pytest.MonkeyPatch) -> None:
    """Let the process die at *step* of its next delivery, once."""
    alive = {"yes": False}

    def die_once() -> None:
        if not alive["yes"]:
            alive["yes"] = True
            raise Killed

    ledger, sender = desk.notifier._ledger, desk.sender

    def before(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        async def dying(*args: Any, **kwargs: Any) -> Any:
            die_once()
            return await original(*args, **kwargs)

        patch.setattr(owner, name, dying)

    def after(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        async def dying(*args: Any, **kwargs: Any) -> Any:
            result = await original(*args, **kwargs)
            die_once()
            return result

        patch.setattr(owner, name, dying)

    match step:
        case "load":
            after(ledger, "load_many")
        case "render":
            after(desk.notifier, "_render")
        case "begin":
            after(ledger, "begin_many")  # inside the transaction: it rolls back
        case "opened":
            after(sender, "_channel")
        case "before sending":
            before(sender, "to_member")
        case "after sending":
            after(sender, "to_member")
        case "before settling":
            before(ledger, "sent_many")
        case "in settling":
            after(ledger, "sent_many")


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at(desk: Desk, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = await desk.add()
    kill_at(desk, step, monkeypatch)
    with pytest.raises(Killed):
        await desk.deliver()
    # Nobody gives the job back; its lease runs out.
    assert await desk.due() == 0
    desk.clock.move(seconds=61)
    assert await desk.deliver() == "sent"
    assert len(desk.said()) == 1
    kept = await desk.get(told)
    assert kept.state == "sent" and kept.message_id == desk.said()[0]["id"] and not kept.may_repeat
    tries = await desk.tries(told)
    noted = step in ("opened", "before sending", "after sending", "before settling", "in settling")
    assert tries == [("dm", "unknown")] * noted + [("dm", "sent")]
    desk.clock.move(hours=2)
    assert await desk.due() == 0


async def test_killed_again_and_again_it_still_arrives_as_one_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.add()
    # Within the time of a nonce: an only process that starts again takes its jobs back at once.
    for step in STEPS:
        with monkeypatch.context() as patch:
            kill_at(desk, step, patch)
            with pytest.raises(Killed):
                await desk.deliver()
        assert await desk.parts.jobs.release_all() == 1
        desk.clock.move(seconds=2)
    assert await desk.deliver() == "sent"
    assert len(desk.said()) == 1


async def test_a_slow_worker_and_the_one_that_took_over_send_one_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await desk.add()
    slow, go = asyncio.Event(), asyncio.Event()
    send = desk.sender.to_member
    calls: list[str] = []

    async def stuck(member_id: int, message: Message, nonce: str) -> int:
        calls.append(nonce)
        if len(calls) == 1:
            slow.set()
            await go.wait()
        return await send(member_id, message, nonce)

    monkeypatch.setattr(desk.sender, "to_member", stuck)
    first = asyncio.create_task(desk.deliver())
    await slow.wait()
    desk.clock.move(seconds=61)
    assert await desk.deliver() == "sent"
    go.set()
    with pytest.raises(LeaseLost):
        await first
    assert len(desk.said()) == 1 and len(set(calls)) == 1
    kept = await desk.get(told)
    assert kept.state == "sent" and kept.message_id == desk.said()[0]["id"]


async def test_a_job_that_is_run_after_its_notification_was_sent_does_nothing(desk: Desk) -> None:
    await desk.add()
    run = await desk.claim()
    assert await desk.notifier.deliver(run.job.payload["notification"], run) == "sent"
    async with desk.parts.db.write() as conn:
        await desk.parts.jobs.enqueue(conn, NOTIFY_JOB, run.job.payload)
    assert await desk.deliver() == "sent"
    assert len(desk.said()) == 1 and await desk.due() == 0


async def test_a_refusal_that_was_noted_is_not_asked_for_again_by_the_next_worker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await desk.add()
    await desk.break_discord(close_dms=[desk.ann.id])
    with monkeypatch.context() as patch:

        async def killed(*_: Any, **__: Any) -> int:
            raise Killed

        patch.setattr(desk.sender, "to_channel", killed)
        with pytest.raises(Killed):
            await desk.deliver()
    desk.clock.move(seconds=61)
    assert await desk.deliver() == "sent"
    assert await desk.tries(told) == [("dm", "refused"), ("mention", "unknown"), ("mention", "sent")]
    assert len(desk.said(desk.channel_id)) == 1


async def test_an_empty_notification_is_dropped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk.parts.db.write() as conn:
        found = await desk.notifications._open(
            conn, Target(desk.ann.id), "alert", "g", desk.clock(), desk.clock(), None, None, "info"
        )
    assert found is not None
    assert await desk.deliver() == "dropped"
    assert (await desk.get(found)).state == "dropped" and await desk.due() == 0


async def test_what_joins_an_empty_one_in_the_last_moment_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk.parts.db.write() as conn:
        await desk.notifications._open(
            conn, Target(desk.ann.id), "alert", "g", desk.clock(), desk.clock(), None, None, "info"
        )
    load = desk.notifier._ledger.load_many
    once: list[int] = []

    async def late(ids: Any) -> Any:
        found = await load(ids)
        if not once:
            once.append(1)
            await desk.add("RTX 4090", group_key="g")
        return found

    monkeypatch.setattr(desk.notifier._ledger, "load_many", late)
    assert await desk.deliver() == "sent"
    assert [m["embeds"][0]["title"] for m in desk.said()] == ["RTX 4090"]


async def test_discord_is_down_for_hours_and_then_it_arrives_with_an_apology(desk: Desk) -> None:
    told = await desk.add()
    await desk.break_discord(rate_limit={"route": MESSAGES, "times": 30, "retry_after": 40})
    for _ in range(30):
        assert await desk.deliver() == "again"
        desk.clock.move(seconds=901)
    assert await desk.deliver() == "sent"
    assert "Sorry" in desk.said()[0]["content"]
    kept = await desk.get(told)
    assert not kept.may_repeat and len(kept.attempts) == 31
