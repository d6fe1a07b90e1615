"""Each cause one mail; what a lost answer means; what must not be sent."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import discord
import pytest

from config.i18n import translator_for
from gpuscout.delivery.channels import Letter, Message, NotSent
from gpuscout.delivery.mail.contents import BillingNotice, SecurityNotice
from gpuscout.delivery.mail.experiments import EXPERIMENTS, variant_of
from storage.attempts import Attempt, Notification
from storage.notifications import Target
from storage.tables_digests import digest_subscription
from tests.mail.conftest import GROUPS, START, MailDeskOf


def told(number: int = 1, kind: str = "alert", **changes: Any) -> Notification:
    return Notification(
        f"note{number}", kind, Target(7), "warning", "sending", START, START, ({"name": "x"},), **changes
    )


def message(title: str = "RTX 4090 fell below $0.35") -> Message:
    embed = discord.Embed(title=f"🔔 {title}", description="**Now** $0.34 <t:1761984000:R>\n-# see </alert why:99>")
    embed.add_field(name="GPU Model", value="[RTX 4090](<https://500.farm>) · Vast.ai\nRig \\*one\\*")
    embed.add_field(name="Action Required", value="Lower your price")
    return Message(plain=f"{title} now", embeds=[embed])


LETTER = Letter("email", translator_for("en-US"), "Europe/Berlin")


async def send(desk: MailDeskOf, number: int = 1, **changes: Any) -> str:
    assert desk.room.sender is not None
    return await desk.room.sender.send(told(number, **changes), "ada@example.com", LETTER, message())


async def test_an_alert_by_mail(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    before = len(desk.mails)
    identity = await send(desk)
    assert len(desk.mails) == before + 1
    mail = desk.mails[-1]
    assert mail.subject == "🔔 RTX 4090 fell below $0.35"
    assert mail.personal["custom_args"] == {"gpuscout_message": identity}
    assert mail.group == GROUPS["alerts"]
    assert mail.body["categories"] == ["alert"]
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = mail.headers["List-Unsubscribe"].strip("<>").partition("?t=")[2]
    assert await desk.room.desk.unsubscribable(token) == "alerts"
    assert mail.body["tracking_settings"]["click_tracking"]["enable"] is False
    text, page = mail.part("text/plain"), mail.part("text/html")
    model = "RTX 4090 <https://500.farm> · Vast.ai · Rig *one*"
    for said in ("Now $0.34 1 Nov 2025, 09:00 +0100", model, "/alert why"):
        assert said in text.replace("\n    ", " "), text
    assert '<a href="https://500.farm"' in page and "<strong>Now</strong>" in page
    assert "<t:" not in page + text and "</alert" not in page
    assert "may" not in text.partition("--")[0].lower()


async def test_the_same_notification_is_one_mail(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    first = await send(desk)
    count = len(desk.mails)
    assert await send(desk) == first
    assert len(desk.mails) == count


async def test_a_lost_answer_is_unknown_and_the_repeat_says_so(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    count = len(desk.mails)
    desk.sendgrid.set_mode("lost", times=1)
    with pytest.raises(NotSent) as caught:
        await send(desk)
    assert caught.value.outcome == "unknown"
    await send(desk)
    first, second = desk.mails[count:]
    assert "You may have had this mail before" not in first.part("text/plain")
    assert "You may have had this mail before" in " ".join(second.part("text/plain").split())
    assert first.personal["custom_args"] == second.personal["custom_args"]


async def test_a_mail_that_was_under_way_when_the_process_died_may_repeat(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    identity = await send(desk)
    async with desk.parts.db.write() as conn:  # as it stands between the request and its answer
        await desk.room.mails.settle(conn, identity, "sending", desk.clock())
    await send(desk)
    assert "You may have had this mail before" in " ".join(desk.mails[-1].part("text/plain").split())


@pytest.mark.parametrize(
    ("mode", "outcome", "wait"),
    [
        ("status:503", "failed", 7.0),
        ("status:429", "failed", 7.0),
        ("status:401", "failed", None),
        ("status:400", "refused", None),
        ("status:413", "refused", None),
        ("status:500", "unknown", None),
        ("down", "unknown", None),
    ],
)
async def test_what_a_refusal_means(desk: MailDeskOf, mode: str, outcome: str, wait: float | None) -> None:
    await desk.confirmed()
    await desk.work()
    count = len(desk.mails)
    desk.sendgrid.set_mode(mode, times=1, retry_after=7 if wait else None)
    with pytest.raises(NotSent) as caught:
        await send(desk)
    assert (caught.value.outcome, caught.value.retry_after) == (outcome, wait)
    assert len(desk.mails) == count
    if outcome == "refused":
        with pytest.raises(NotSent):
            await send(desk)  # it would be refused again
    else:
        await send(desk)
        text = " ".join(desk.mails[-1].part("text/plain").split())
        assert ("You may have had this mail before" in text) is (outcome == "unknown")


async def test_the_circuit_opens_and_nothing_is_asked(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    desk.sendgrid.set_mode("status:503")
    for number in range(5):
        with pytest.raises(NotSent):
            await send(desk, number)
    asked = desk.sendgrid.requests
    with pytest.raises(NotSent) as caught:
        await send(desk, 9)
    assert desk.sendgrid.requests == asked
    assert caught.value.outcome == "failed"
    assert caught.value.retry_after is not None and caught.value.retry_after > 0


async def test_it_says_that_discord_may_have_it_too(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    lost = Attempt(1, START, "dm", "unknown", None, None, "n")
    await send(desk, attempts=(lost,), may_repeat=True)
    assert "You may get this in Discord too" in " ".join(desk.mails[-1].part("text/plain").split())


async def test_only_to_the_confirmed_address(desk: MailDeskOf) -> None:
    with pytest.raises(NotSent):
        await send(desk)  # none
    await desk.confirmed(address="other@example.com")
    with pytest.raises(NotSent):
        await send(desk)  # another one
    await desk.confirmed()
    await desk.room.desk.switch(7, on=False)
    with pytest.raises(NotSent):
        await send(desk)
    await desk.room.desk.switch(7, on=True)
    await send(desk)


async def test_a_declined_kind_is_not_sent_and_others_are(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    await desk.room.desk.want(7, "alerts", False)
    await desk.work()
    assert desk.sendgrid.store.groups[GROUPS["alerts"]] == {"ada@example.com"}  # SendGrid knows too
    count = len(desk.mails)
    with pytest.raises(NotSent) as caught:
        await send(desk)
    assert (caught.value.outcome, len(desk.mails)) == ("refused", count)
    await send(desk, 2, kind="digest")
    assert len(desk.mails) == count + 1
    await desk.room.desk.want(7, "alerts", True)
    await desk.work()
    assert desk.sendgrid.store.groups[GROUPS["alerts"]] == set()
    await send(desk, 3)
    assert desk.mails[-1].dropped is None


@pytest.mark.parametrize(
    ("notice", "subject", "said"),
    [
        (SecurityNotice(happened="api_key", at=START, label="<b>ci</b>"), "A new API key was made", "Name: <b>ci</b>"),
        (SecurityNotice(happened="sign_in", at=START), "A new sign-in link", "If this was you"),
        (SecurityNotice(happened="linked", at=START, label="Vast.ai"), "A platform account was linked", "Vast.ai"),
        (
            BillingNotice(happened="payment_failed", plan="Individual", at=START, amount_cents=900),
            "Your payment for Individual failed",
            "Amount: $9.00",
        ),
        (
            BillingNotice(happened="paid", plan="Individual", at=START, link="https://pay.example/x"),
            "Your payment for Individual arrived",
            "https://pay.example/x",
        ),
    ],
)
async def test_notices_about_the_account(desk: MailDeskOf, notice: Any, subject: str, said: str) -> None:
    await desk.confirmed()
    await desk.work()
    count = len(desk.mails)
    for _ in range(2):  # the same cause twice
        async with desk.parts.db.write() as conn:
            await desk.room.queue.notice(conn, 7, notice, key="k1")
    await desk.work()
    (mail,) = desk.mails[count:]
    assert mail.subject.startswith(subject)
    assert said in mail.part("text/plain")
    assert "<b>ci</b>" not in mail.part("text/html")
    assert mail.group is None and "List-Unsubscribe" not in mail.headers


async def test_without_an_address_a_notice_is_no_failure(desk: MailDeskOf) -> None:
    async with desk.parts.db.write() as conn:
        await desk.room.queue.notice(conn, 7, SecurityNotice(happened="sign_in", at=START), key="k")
    assert await desk.work() == ["mail.notice"]
    assert (desk.mails, desk.failed) == ([], [])


async def test_onboarding_is_three_mails_in_six_days(desk: MailDeskOf) -> None:
    await desk.confirmed()
    assert await desk.work() == ["mail.onboarding", "mail.welcome"]
    for days, expected in ((1.9, 0), (0.2, 1), (3.8, 0), (0.2, 1), (30, 0)):
        count = len(desk.mails)
        desk.clock.pass_by(days=days)
        async with desk.parts.db.write() as conn:
            await desk.room.queue.onboarding(conn)
        await desk.work()
        assert len(desk.mails) - count == expected, days
    assert [mail.body["categories"][0] for mail in desk.mails] == ["confirm", "welcome1", "welcome2", "welcome3"]
    assert all(mail.group == GROUPS["onboarding"] for mail in desk.mails[1:])
    await desk.confirmed(address="new@example.com")  # another address is no new member
    assert "mail.welcome" not in await desk.work()


async def test_onboarding_stops_when_the_member_acts(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    row = {"member_id": 7, "cadence": "daily", "weekday": 0, "hour": 8, "timezone": "UTC", "locale": "en"}
    async with desk.parts.db.write() as conn:
        times = dict.fromkeys(("next_at", "created_at", "updated_at"), START)
        await conn.execute(digest_subscription.insert().values(**row, **times))
    count = len(desk.mails)
    desk.clock.pass_by(days=3)
    async with desk.parts.db.write() as conn:
        await desk.room.queue.onboarding(conn)
    await desk.work()
    desk.clock.pass_by(days=30)
    async with desk.parts.db.write() as conn:
        await desk.room.queue.onboarding(conn)
    await desk.work()
    assert len(desk.mails) == count


async def test_two_variants_stay_with_their_members_and_are_counted(desk: MailDeskOf) -> None:
    experiment = EXPERIMENTS["welcome1"]
    members = range(100, 106)
    for member in members:
        await desk.confirmed(member, f"m{member}@example.com")
    await desk.work()
    given = {mail.to: mail for mail in desk.mails if mail.body["categories"] == ["welcome1"]}
    assert len(given) == len(members)
    expected = {f"m{member}@example.com": variant_of(experiment, member) for member in members}
    assert set(expected.values()) == {"a", "b"}
    titles = {"a": "Your address is on: three things to try", "b": "What do your GPUs earn a day?"}
    for address, variant in expected.items():
        assert given[address].personal["custom_args"]["gpuscout_variant"] == variant
        assert given[address].subject == titles[variant]
        assert given[address].body["tracking_settings"]["click_tracking"]["enable"] is True
    results = await desk.room.mails.results()
    counts = Counter(expected.values())
    assert [(each.variant, each.assigned, each.sent, each.opened) for each in results] == [
        ("a", counts["a"], counts["a"], 0),
        ("b", counts["b"], counts["b"], 0),
    ]
    # A hash that changed would not move anybody: what is stored counts.
    async with desk.parts.db.write() as conn:
        other = "b" if expected["m100@example.com"] == "a" else "a"
        stored = await desk.room.mails.assign(conn, experiment, 100, other, desk.clock())
    assert stored == expected["m100@example.com"]


def test_the_split_is_even() -> None:
    split = Counter(variant_of("x", member) for member in range(10_000))
    assert abs(split["a"] - 5_000) < 200  # four standard deviations
    assert sum(variant_of("x", m) == variant_of("y", m) for m in range(10_000)) < 5_300  # independent tests


async def test_dynamic_templates_by_kind_and_variant(make_desk: Any) -> None:
    desk = await make_desk(sendgrid_templates={"alert": "d-1234abcd", "welcome1.b": "d-beef5678"})
    await desk.confirmed()
    await send(desk)
    mail = desk.mails[-1]
    assert (mail.body["template_id"], mail.part("text/html")) == ("d-1234abcd", None)
    data = mail.personal["dynamic_template_data"]
    assert data["subject"] == "🔔 RTX 4090 fell below $0.35"
    assert {"title", "blocks", "reason", "preheader", "unsubscribe_url", "preferences_url", "notes"} <= data.keys()
    for member in range(200, 204):
        await desk.confirmed(member, f"m{member}@example.com")
    await desk.work()
    welcomes = [mail for mail in desk.mails if mail.body["categories"] == ["welcome1"]]
    for mail in welcomes:
        variant = mail.personal["custom_args"]["gpuscout_variant"]
        assert mail.body.get("template_id") == ("d-beef5678" if variant == "b" else None)


async def test_jobs_are_tried_again_until_the_service_is_well(desk: MailDeskOf) -> None:
    desk.sendgrid.set_mode("status:503", times=2)
    await desk.room.desk.ask(7, "ada@example.com", "en")
    for _ in range(3):
        await desk.work()
        desk.clock.pass_by(minutes=1)
    assert (len(desk.mails), len(desk.failed)) == (1, 2)


async def test_old_rows_go(desk: MailDeskOf) -> None:
    await desk.confirmed()
    await desk.work()
    desk.clock.now += timedelta(days=400)
    async with desk.parts.db.write() as conn:
        await desk.parts.jobs.enqueue(conn, "mail.purge", {})
    await desk.work()
    assert await desk.room.mails.purge(desk.clock()) == 0
    assert await desk.store.confirmed_address(7) == "ada@example.com"
