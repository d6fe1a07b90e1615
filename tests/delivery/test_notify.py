"""Notifications on the wire: to whom, through which channel, how often, and what the ledger says about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import discord
import pytest
from discord.http import Route

from gpuscout.accounts.delivery_choices import Quiet
from gpuscout.alerts.rules import GpuScope, PriceRule, Rule
from gpuscout.delivery.channels import NotSent
from storage.alerts import AlertStore
from storage.notifications import NOTIFY_JOB, Target
from tests.delivery.notify_desk import ALICE_MAIL, MESSAGES, Desk, open_desk


@pytest.fixture
async def desk(db_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    async with open_desk(db_url) as desk:
        yield desk


async def test_an_alert_arrives_once_as_a_dm(desk: Desk) -> None:
    told = await desk.add()
    desk.clock.move(seconds=7)
    assert await desk.deliver() == "sent"
    assert await desk.due() == 0
    (message,) = desk.said()
    assert message["embeds"][0]["title"] == "RTX 4090" and message["content"] == ""
    assert message["components"][0]["components"][0]["label"] == "Why"
    assert message["attachments"][0]["description"] == "a chart"
    kept = await desk.get(told)
    assert (kept.state, kept.sent_via, kept.message_id, kept.may_repeat) == ("sent", "dm", message["id"], False)
    assert await desk.tries(told) == [("dm", "sent")]
    assert kept.attempts[0].nonce and message["nonce"] == kept.attempts[0].nonce
    assert await desk.ledger.poll_to_message(desk.clock() - timedelta(days=7)) == [7.0]
    exposed = desk.metrics.expose()[0].decode()
    assert 'notifications_total{kind="alert",outcome="sent",via="dm"} 1.0' in exposed
    assert "poll_to_message_seconds_sum 7.0" in exposed
    assert not [record for record in desk.discord.requests if record.schema_errors]


async def test_several_at_one_poll_are_one_message(desk: Desk) -> None:
    first = await desk.add("RTX 4090")
    assert await desk.add("H100") == first
    assert await desk.deliver() == "sent"
    assert [m["embeds"][0]["title"] for m in desk.said()] == ["RTX 4090, H100"]
    # The group is closed: what comes now is a message of its own.
    assert await desk.add("A100") != first
    assert await desk.deliver() == "sent"
    assert len(desk.said()) == 2


async def test_what_joins_while_it_is_drawn_is_told_too(desk: Desk) -> None:
    draw = desk.notifier._renderers["alert"]
    drawn: list[int] = []

    async def slow(told: Any, letter: Any) -> Any:
        drawn.append(len(told.items))
        if len(drawn) == 1:
            await desk.add("H100")
        return await draw(told, letter)

    desk.notifier._renderers["alert"] = slow  # type: ignore[index]
    await desk.add("RTX 4090")
    assert await desk.deliver() == "sent"
    assert drawn == [1, 2]
    assert [m["embeds"][0]["title"] for m in desk.said()] == ["RTX 4090, H100"]


async def test_a_card_of_components_arrives_as_such(desk: Desk) -> None:
    await desk.add(payload={"card": True})
    assert await desk.deliver() == "sent"
    assert desk.said()[0]["flags"] & 1 << 15
    await desk.break_discord(close_dms=[desk.ann.id])
    await desk.add("H100", payload={"card": True})
    assert await desk.deliver() == "sent"
    (mention,) = desk.said(desk.channel_id)
    assert f"<@{desk.ann.id}>" in str(mention["components"][0])


# --- the order of channels ---


async def test_closed_dms_fall_back_to_a_mention_that_pings_only_him(desk: Desk) -> None:
    await desk.break_discord(close_dms=[desk.ann.id])
    told = await desk.add()
    desk.mail.addresses[desk.ann.id] = ALICE_MAIL
    assert await desk.deliver() == "sent"
    assert await desk.tries(told) == [("dm", "refused"), ("mention", "sent")]
    (mention,) = desk.said(desk.channel_id)
    assert mention["content"] == f"<@{desk.ann.id}>" and mention["embeds"][0]["description"] == "mention"
    assert [user["id"] for user in mention["mentions"]] == [str(desk.ann.id)]
    assert not desk.mail.sent
    body = next(r.body for r in desk.discord.requests if r.path.startswith(f"/channels/{desk.channel_id}/"))
    assert body["allowed_mentions"]["users"] == [desk.ann.id] and not body["allowed_mentions"].get("roles")


async def test_then_to_email_after_a_definite_refusal(desk: Desk) -> None:
    await desk.break_discord(close_dms=[desk.ann.id])
    desk.mail.addresses[desk.ann.id] = ALICE_MAIL
    told = await desk.add(target=Target(desk.ann.id))
    assert await desk.deliver() == "sent"
    kept = await desk.get(told)
    assert (kept.sent_via, kept.message_id, kept.may_repeat) == ("email", "mail-1", False)
    assert await desk.tries(told) == [("dm", "refused"), ("email", "sent")]
    assert desk.mail.sent[0][1] == ALICE_MAIL and not desk.mail.sent[0][0].may_repeat


async def test_without_any_channel_left_it_has_failed_and_nobody_is_asked_again(desk: Desk) -> None:
    await desk.break_discord(close_dms=[desk.ann.id])
    told = await desk.add(target=Target(desk.ann.id))
    assert await desk.deliver() == "failed"
    assert (await desk.get(told)).state == "failed"
    assert await desk.due() == 0 and desk.asked("/messages") == 1
    desk.clock.move(days=1)
    assert await desk.due() == 0


async def test_the_members_own_order(desk: Desk) -> None:
    await desk.choices.change(desk.ann.id, channels=["mention", "dm"])
    told = await desk.add()
    assert await desk.deliver() == "sent"
    assert await desk.tries(told) == [("mention", "sent")]


async def test_no_answer_until_the_deadline_then_email_which_may_repeat(desk: Desk) -> None:
    desk.mail.addresses[desk.ann.id] = ALICE_MAIL
    told = await desk.add()
    await desk.break_discord(status={"route": MESSAGES, "times": 99, "code": 400, "error_code": 0}, clear=True)
    await desk.break_discord(rate_limit={"route": MESSAGES, "times": 99, "retry_after": 60}, clear=True)
    assert await desk.deliver() == "again"
    desk.clock.move(minutes=14)
    assert await desk.deliver() == "again"
    # The next try is due at the deadline at the latest (or when Discord allows it).
    desk.clock.move(minutes=1, seconds=2)
    assert await desk.deliver() == "sent"
    kept = await desk.get(told)
    assert (kept.sent_via, kept.may_repeat) == ("email", True)
    assert desk.mail.sent[0][0].may_repeat
    assert "may repeat" in (kept.attempts[-1].detail or "")
    assert await desk.tries(told) == [("dm", "failed"), ("dm", "failed"), ("email", "sent")]


async def test_after_the_deadline_email_and_discord_take_turns(desk: Desk) -> None:
    desk.mail.addresses[desk.ann.id] = ALICE_MAIL
    desk.mail.failures = [NotSent("failed", "503")]
    told = await desk.add()
    await desk.break_discord(rate_limit={"route": MESSAGES, "times": 2, "retry_after": 60})
    for expected in ("again", "again", "again", "sent"):
        assert await desk.deliver() == expected
        desk.clock.move(minutes=16)
    assert [channel for channel, _ in await desk.tries(told)] == ["dm", "email", "dm", "email"]


# --- repeats ---


async def test_a_lost_answer_is_repeated_with_the_same_nonce(desk: Desk) -> None:
    told = await desk.add()
    await desk.break_discord(lose_answer={"route": MESSAGES})
    assert await desk.deliver() == "again"
    assert await desk.tries(told) == [("dm", "unknown")]
    desk.clock.move(seconds=3)
    assert await desk.deliver() == "sent"
    assert len(desk.said()) == 1
    kept = await desk.get(told)
    assert len({each.nonce for each in kept.attempts}) == 1 and not kept.may_repeat


async def test_a_repeat_after_the_nonces_time_may_be_a_second_copy_and_says_so(desk: Desk) -> None:
    told = await desk.add()
    await desk.break_discord(lose_answer={"route": MESSAGES})
    assert await desk.deliver() == "again"
    desk.clock.move(seconds=121)
    assert await desk.deliver() == "sent"
    kept = await desk.get(told)
    assert kept.may_repeat and "may repeat" in (kept.attempts[-1].detail or "")


async def test_retry_after_is_obeyed(desk: Desk) -> None:
    await desk.add()
    await desk.break_discord(rate_limit={"route": MESSAGES, "retry_after": 90})
    assert await desk.deliver() == "again"
    desk.clock.move(seconds=89)
    assert await desk.due() == 0
    desk.clock.move(seconds=3)
    assert await desk.deliver() == "sent"
    assert len(desk.said()) == 1


async def test_a_message_that_discord_finds_malformed_is_a_dead_letter_at_once(desk: Desk) -> None:
    told = await desk.add()
    await desk.break_discord(status={"route": MESSAGES, "code": 400, "error_code": 50035})
    assert await desk.deliver() == "dead"
    (dead,) = await desk.parts.jobs.list_dead()
    assert dead.kind == NOTIFY_JOB and "50035" in (dead.last_error or "")
    assert (await desk.get(told)).state == "failed"


async def test_a_dead_delivery_can_be_tried_again(desk: Desk) -> None:
    told = await desk.add()
    await desk.break_discord(status={"route": MESSAGES, "code": 400, "error_code": 50035})
    assert await desk.deliver() == "dead"
    (dead,) = await desk.parts.jobs.list_dead()
    assert await desk.parts.jobs.requeue(dead.id)
    assert await desk.deliver() == "sent"
    assert (await desk.get(told)).state == "sent"


async def test_what_cannot_be_drawn_is_told_plainly_at_the_third_try(desk: Desk) -> None:
    await desk.add(payload={"broken": True})
    for _ in range(2):
        run = await desk.claim()
        with pytest.raises(RuntimeError, match="drawn"):
            await desk.notifier.deliver(run.job.payload["notification"], run)
        async with desk.parts.db.write() as conn:
            await run.again(conn, "cannot be drawn", at_most=0.0)
    assert await desk.deliver() == "sent"
    assert "/alert why" in desk.said()[0]["content"]


async def test_late_messages_apologise(desk: Desk) -> None:
    await desk.add()
    desk.clock.move(minutes=6)
    assert await desk.deliver() == "sent"
    assert "Sorry, this comes late" in desk.said()[0]["content"]


# --- what the member wants ---


async def test_quiet_hours_hold_it_back_without_counting_a_try_and_without_an_apology(desk: Desk) -> None:
    await desk.choices.change(desk.ann.id, quiet=Quiet(11 * 60, 14 * 60))
    told = await desk.add()
    assert await desk.deliver() == "later"
    assert (await desk.get(told)).due_at == desk.clock() + timedelta(hours=2)
    morning = f"alert:{Target(desk.ann.id).key}:{int((desk.clock() + timedelta(hours=2)).timestamp())}"
    assert await desk.add("H100", group_key=morning) == told  # still open: one message in the morning
    desk.clock.move(hours=1, minutes=59)
    assert await desk.due() == 0
    desk.clock.move(minutes=2)
    run = await desk.claim()
    assert run.attempts == 1
    assert await desk.notifier.deliver(told, run) == "sent"
    (message,) = desk.said()
    assert message["embeds"][0]["title"] == "RTX 4090, H100" and message["content"] == ""
    assert await desk.ledger.poll_to_message(desk.clock() - timedelta(days=7)) == []


async def test_critical_alerts_pass_where_the_member_wishes(desk: Desk) -> None:
    await desk.choices.change(desk.ann.id, quiet=Quiet(11 * 60, 14 * 60), critical_passes=True)
    await desk.add(severity="critical")
    assert await desk.deliver() == "sent"


async def test_a_critical_alert_does_not_wait_with_one_that_quiet_hours_hold_back(desk: Desk) -> None:
    await desk.choices.change(desk.ann.id, quiet=Quiet(11 * 60, 14 * 60), critical_passes=True)
    told = await desk.add()
    assert await desk.deliver() == "later"
    critical = await desk.add("H100", severity="critical")
    assert critical != told and await desk.deliver() == "sent"
    assert [message["embeds"][0]["title"] for message in desk.said()] == ["H100"]


async def test_after_quiet_hours_email_waits_for_its_deadline_as_ever(desk: Desk) -> None:
    desk.mail.addresses[desk.ann.id] = ALICE_MAIL
    await desk.choices.change(desk.ann.id, quiet=Quiet(11 * 60, 14 * 60))
    told = await desk.add(deadline_at=desk.clock() + timedelta(minutes=15))
    assert await desk.deliver() == "later"
    desk.clock.move(hours=2)
    await desk.break_discord(rate_limit={"route": MESSAGES, "times": 99, "retry_after": 60}, clear=True)
    assert await desk.deliver() == "again"
    desk.clock.move(minutes=5)
    assert await desk.deliver() == "again"
    assert await desk.tries(told) == [("dm", "failed"), ("dm", "failed")]


async def test_muted_kinds_are_dropped(desk: Desk) -> None:
    await desk.choices.change(desk.ann.id, muted_kinds=["alert"])
    told = await desk.add()
    assert await desk.deliver() == "dropped"
    assert (await desk.get(told)).state == "dropped" and await desk.due() == 0 and not desk.said()


async def test_three_closed_dms_in_a_row_switch_them_off_with_a_notice(desk: Desk) -> None:
    await desk.break_discord(close_dms=[desk.ann.id])
    for name in ("one", "two", "three"):
        await desk.add(name)
        assert await desk.deliver() == "sent"
    assert (await desk.choices.get(desk.ann.id)).dm_off_at is not None
    assert await desk.deliver() == "sent"  # the notice
    notice = desk.said(desk.channel_id)[-1]
    assert "Direct messages are switched off" in str(notice["components"])
    before = desk.asked("POST /users/@me/channels") + desk.asked("/messages")
    told = await desk.add("four")
    assert await desk.deliver() == "sent"
    assert await desk.tries(told) == [("mention", "sent")]
    assert desk.asked("POST /users/@me/channels") + desk.asked("/messages") == before + 1


async def test_a_dm_that_arrives_begins_the_count_anew(desk: Desk) -> None:
    await desk.break_discord(close_dms=[desk.ann.id])
    for name in ("one", "two"):
        await desk.add(name)
        await desk.deliver()
    await desk.break_discord(open_dms=[desk.ann.id])
    await desk.add("three")
    assert await desk.deliver() == "sent"
    assert (await desk.choices.get(desk.ann.id)).dm_failures == 0


# --- servers ---


async def test_a_servers_alert_mentions_its_role_and_nobody_else(desk: Desk) -> None:
    told = await desk.add(target=Target(None, desk.guild_id, desk.channel_id, desk.role_id))
    assert await desk.deliver() == "sent"
    (message,) = desk.said(desk.channel_id)
    assert message["content"] == f"<@&{desk.role_id}>"
    body = next(r.body for r in desk.discord.requests if r.path.endswith("/messages"))
    assert body["allowed_mentions"]["roles"] == [desk.role_id] and not body["allowed_mentions"].get("users")
    assert (await desk.get(told)).sent_via == "channel"


async def test_a_channel_that_is_gone_is_not_asked_again(desk: Desk) -> None:
    told = await desk.add(target=Target(None, desk.guild_id, 4242))
    assert await desk.deliver() == "failed"
    assert await desk.tries(told) == [("channel", "refused")]


async def test_alerts_of_a_channel_that_is_gone_are_paused_and_their_maker_hears_of_it(desk: Desk) -> None:
    now = desk.clock()
    spec = Rule(when=PriceRule(scope=GpuScope(gpu="rtx-4090"), direction="below", level=0.3)).model_dump(mode="json")
    common = {"kind": "price", "scope": "gpu", "spec": spec, "state": "active", "created_at": now, "updated_at": now}
    store = AlertStore(desk.parts.db)
    async with desk.parts.db.write() as conn:
        for number, (channel, member) in enumerate([(4242, desk.ann.id), (4242, desk.ann.id), (4242, 0), (77, 1)]):
            owner = {"owner": f"g:{desk.guild_id}", "server": True, "guild_id": desk.guild_id, "channel_id": channel}
            await store.insert(conn, {**common, **owner, "member_id": member, "fingerprint": str(number)})
        mine = {"owner": f"m:{desk.ann.id}", "member_id": desk.ann.id, "channel_id": 4242, "fingerprint": "mine"}
        await store.insert(conn, {**common, **mine})
    await desk.add(target=Target(None, desk.guild_id, 4242))
    assert await desk.deliver() == "failed"
    states = [(row.state, row.trouble) for row in await store.list(f"g:{desk.guild_id}")]
    assert states == [("paused", "channel")] * 3 + [("active", None)]
    assert [row.state for row in await store.list(f"m:{desk.ann.id}")] == ["active"]
    desk.clock.move(seconds=1)
    assert await desk.deliver() == "sent"
    assert "2 alerts that you made there are paused." in str(desk.said()[0])
    assert await desk.due() == 0


# --- DM channels ---


async def test_a_dm_channel_is_opened_once_and_a_gone_one_anew(desk: Desk) -> None:
    await desk.add("one")
    await desk.deliver()
    await desk.add("two")
    await desk.deliver()
    assert desk.asked("POST /users/@me/channels") == 1
    await desk.parts.state.set(f"discord.dm:{desk.ann.id}", 4242)
    await desk.add("three")
    assert await desk.deliver() == "again"
    desk.clock.move(seconds=3)
    assert await desk.deliver() == "sent"
    assert len(desk.said()) == 3


async def test_opening_dms_too_fast_is_no_refusal_and_pauses_all_openings(desk: Desk) -> None:
    told = await desk.add()
    await desk.break_discord(status={"route": "POST /users/@me/channels", "code": 403, "error_code": 40003})
    assert await desk.deliver() == "again"
    assert await desk.tries(told) == [("dm", "failed")]
    ben = desk.discord.add_user("ben")
    with pytest.raises(NotSent) as waits:
        await desk.sender.to_member(ben.id, (await _message()), "n1")
    assert waits.value.retry_after is not None and waits.value.retry_after > 500
    assert desk.asked("POST /users/@me/channels") == 1


async def _message() -> Any:
    from gpuscout.delivery.channels import Message

    return Message(embeds=[discord.Embed(title="x")])
