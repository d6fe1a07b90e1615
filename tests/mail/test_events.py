"""Signed events: only the mail service's, each once, stored before they count; and what follows from each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from gpuscout.delivery.mail.desk import MailPanel
from gpuscout.delivery.mail.events import AHEAD, OLDEST, SIGNATURE_HEADER, TIMESTAMP_HEADER, BadEvents, NotSigned
from gpuscout.delivery.mail.sendgrid import SendGridMail
from gpuscout.resilience.errors import UpstreamError
from sandbox.sendgrid.store import StoredMail, event_of
from storage.tables_mail import mail_event
from tests.mail.conftest import GROUPS, MailDeskOf, Make


def signed(desk: MailDeskOf, body: bytes, **changes: Any) -> tuple[bytes, str, str]:
    headers = desk.sendgrid.events.sign(body, changes.get("at", int(desk.clock().timestamp())))
    return body, headers[SIGNATURE_HEADER], headers[TIMESTAMP_HEADER]


async def tell(desk: MailDeskOf, *events: dict[str, Any]) -> int:
    """The whole way but the socket: check, store, work off."""
    assert desk.room.door is not None
    new = await desk.room.door.store(desk.room.door.read(*signed(desk, json.dumps(events).encode())))
    await desk.work()
    return new


def happened(desk: MailDeskOf, mail: StoredMail, event: str, **changes: Any) -> dict[str, Any]:
    return {**event_of(mail, event, desk.clock()), **changes}


async def welcomed(desk: MailDeskOf) -> StoredMail:
    """A member with a confirmed address and his first mail, a minute later."""
    await desk.confirmed()
    await desk.work()
    desk.clock.pass_by(minutes=1)
    mail: StoredMail = desk.mails[-1]
    return mail


async def panel(desk: MailDeskOf) -> MailPanel:
    return await desk.room.desk.panel(7)


async def test_who_may_speak(desk: MailDeskOf) -> None:
    door = desk.room.door
    assert door is not None
    body, signature, stamp = signed(desk, b"[]")
    assert door.read(body, signature, stamp) == []
    for changed in (
        (b"[ ]", signature, stamp),  # not one byte may change
        (body, signature, str(int(stamp) + 1)),
        (body, signature[:-8] + "AAAAAAA=", stamp),
        (body, "not base64!", stamp),
        (body, "", stamp),
        (body, signature, ""),
        (body, signature, "soon"),
        (body, signature, "9" * 30),
        (b"\xff[]", signature, stamp),
    ):
        with pytest.raises(NotSigned):
            door.read(*changed)
    now = int(desk.clock().timestamp())
    for at in (now - int(OLDEST.total_seconds()) - 1, now + int(AHEAD.total_seconds()) + 1):
        with pytest.raises(NotSigned):
            door.read(*signed(desk, b"[]", at=at))
    assert door.read(*signed(desk, b"[]", at=now - int(OLDEST.total_seconds()) + 5)) == []


async def test_signed_nonsense(desk: MailDeskOf) -> None:
    door = desk.room.door
    assert door is not None
    for body in (b"{}", b"", b"[", b"null", b'"x"', b"[" * 100_000):
        with pytest.raises(BadEvents):
            door.read(*signed(desk, body))
    good = {"sg_event_id": "e", "event": "open", "email": "a@b.example", "timestamp": 1_700_000_000}
    bad = [None, 1, {}, {**good, "email": 5}, {**good, "timestamp": "x"}, {**good, "sg_event_id": "x" * 500}]
    bad.append({**good, "timestamp": 10**20})
    read = door.read(*signed(desk, json.dumps([*bad, {**good, "reason": "y" * 9_000}]).encode()))
    assert [event.id for event in read] == ["e"]
    assert len(str(read[0].facts["reason"])) == 300
    assert "a@b.example" not in repr(read)  # addresses are not stored


async def test_a_wrong_key_is_the_operators_matter(make_desk: Make) -> None:
    desk = await make_desk(sendgrid_webhook_public_key="not a key")
    assert desk.room.door is not None
    with pytest.raises(ValueError, match="SENDGRID_WEBHOOK_PUBLIC_KEY"):
        desk.room.door.read(*signed(desk, b"[]"))


async def test_each_event_counts_once(desk: MailDeskOf) -> None:
    mail = await welcomed(desk)
    opened = happened(desk, mail, "open")
    assert await tell(desk, opened, opened) == 1
    assert await tell(desk, opened) == 0
    assert await tell(desk, opened, happened(desk, mail, "open"), happened(desk, mail, "click")) == 2
    (result,) = await desk.room.mails.results()
    assert (result.sent, result.opened, result.clicked) == (1, 1, 1)
    async with desk.parts.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(mail_event)) == 3


async def test_a_machine_that_loads_pictures_is_no_reader(desk: MailDeskOf) -> None:
    mail = await welcomed(desk)
    await tell(desk, happened(desk, mail, "open", sg_machine_open=True), happened(desk, mail, "delivered"))
    (result,) = await desk.room.mails.results()
    assert (result.opened, result.delivered) == (0, 1)


@pytest.mark.parametrize(
    ("event", "changes", "reason"),
    [
        ("bounce", {}, "bounce"),
        ("spamreport", {}, "complaint"),
        ("unsubscribe", {}, "unsubscribe"),
        ("dropped", {"reason": "Bounced Address", "asm_group_id": None}, "bounce"),
        ("dropped", {"reason": "Spam Reporting Address"}, "complaint"),
        ("dropped", {"reason": "Invalid"}, "invalid"),
        ("dropped", {"reason": "Unsubscribed Address", "asm_group_id": None}, "unsubscribe"),
        ("blocked", {}, None),
        ("deferred", {}, None),
        ("dropped", {"reason": "Spam Content"}, None),
        ("something_new", {}, None),
    ],
)
async def test_what_switches_mail_off(
    desk: MailDeskOf, event: str, changes: dict[str, Any], reason: str | None
) -> None:
    mail = await welcomed(desk)
    await tell(desk, happened(desk, mail, event, **changes))
    assert (await panel(desk)).off_reason == reason
    assert (await desk.store.confirmed_address(7) is None) is (reason is not None)


async def test_what_a_strangers_server_says_breaks_nothing(desk: MailDeskOf) -> None:
    mail = await welcomed(desk)
    odd = happened(desk, mail, "bounce", type="bounce", reason="550 \x00 gone \ud800", status=float("inf"))
    other = happened(desk, mail, "delivered", sg_event_id="half \udc00")
    third = happened(desk, mail, "delivered", asm_group_id=10**400)
    assert await tell(desk, odd, other, third) == 2
    assert desk.failed == []
    assert (await panel(desk)).off_reason == "bounce"
    async with desk.parts.db.read() as conn:
        assert await conn.scalar(select(func.count()).where(mail_event.c.done_at.is_(None))) == 0


async def test_the_service_is_told_again_until_it_lifts_a_bounce(
    desk: MailDeskOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = await welcomed(desk)
    await tell(desk, happened(desk, mail, "bounce", type="bounce"))
    desk.sendgrid.store.bounces.add(mail.to)
    lift, told = SendGridMail.lift, []

    async def fails_once(service: SendGridMail, address: str) -> None:
        told.append(address)
        if len(told) == 1:
            raise UpstreamError("sendgrid", "answered 500")
        await lift(service, address)

    monkeypatch.setattr(SendGridMail, "lift", fails_once)
    desk.clock.pass_by(hours=1)
    await desk.room.desk.ask(7, mail.to, "en")
    await desk.work()
    assert len(desk.failed) == 1
    desk.clock.pass_by(minutes=1)
    await desk.work()
    assert told == [mail.to] * 2
    assert desk.sendgrid.store.bounces == set()
    assert desk.mails[-1].body["categories"] == ["confirm"]


async def test_a_group_is_declined_and_taken_again(desk: MailDeskOf) -> None:
    mail = await welcomed(desk)
    await tell(desk, happened(desk, mail, "group_unsubscribe"))
    assert (await panel(desk)).declined == {"onboarding"}
    assert (await panel(desk)).on
    old = happened(desk, mail, "group_resubscribe")
    await tell(desk, {**old, "timestamp": old["timestamp"] - 3600})  # told late: it came before
    assert (await panel(desk)).declined == {"onboarding"}
    desk.clock.pass_by(minutes=1)
    await tell(desk, happened(desk, mail, "group_resubscribe"))
    assert (await panel(desk)).declined == frozenset()
    await tell(desk, happened(desk, mail, "group_unsubscribe", asm_group_id=GROUPS["alerts"]))
    assert (await panel(desk)).declined == {"alerts"}


async def test_a_bounce_from_before_the_confirmation_is_past(desk: MailDeskOf) -> None:
    mail = await welcomed(desk)
    late = happened(desk, mail, "bounce")
    await tell(desk, {**late, "timestamp": late["timestamp"] - 7200})
    assert (await panel(desk)).on


async def test_after_a_bounce_the_member_may_confirm_once_more(desk: MailDeskOf) -> None:
    mail = await welcomed(desk)
    desk.sendgrid.store.bounces.add("ada@example.com")
    await tell(desk, happened(desk, mail, "bounce"))
    await desk.room.desk.switch(7, on=True)
    assert not (await panel(desk)).on  # not by a switch
    await desk.room.desk.ask(8, "ada@example.com", "en")  # somebody else's wish does not lift it
    await desk.work()
    assert desk.sendgrid.store.bounces == {"ada@example.com"}
    await desk.confirmed()
    assert desk.sendgrid.store.bounces == set()
    assert (await panel(desk)).on


async def test_after_a_complaint_nothing_is_sent_any_more(desk: MailDeskOf) -> None:
    mail = await welcomed(desk)
    await tell(desk, happened(desk, mail, "spamreport"))
    count = len(desk.mails)
    assert await desk.room.desk.ask(7, "ada@example.com", "en") == "ada@example.com"
    await tell(desk, happened(desk, mail, "bounce"))  # a complaint outweighs what comes after
    await desk.room.desk.ask(7, "ada@example.com", "en")
    await desk.work()
    assert (len(desk.mails), desk.failed) == (count, [])


async def test_after_erasure_the_refusal_stays_and_nothing_else(desk: MailDeskOf) -> None:
    from storage.members import MemberStore

    mail = await welcomed(desk)
    await tell(desk, happened(desk, mail, "unsubscribe"))
    erased = await MemberStore(desk.parts.db).erase(7, "7")
    assert erased.kept["mail_address"] == 1 and erased.kept["mail_message"] == 2
    assert await MemberStore(desk.parts.db).kept(7) == {}
    count = len(desk.mails)
    await desk.room.desk.ask(9, "ada@example.com", "en")
    await desk.work()
    assert len(desk.mails) == count


async def test_a_new_secret_still_knows_who_declined(make_desk: Make) -> None:
    desk = await make_desk()
    mail = await welcomed(desk)
    again = await make_desk(secret_key="a-newer-secret-of-the-tests,a-secret-of-the-tests")
    again.clock.now = desk.clock.now
    await tell(again, happened(again, mail, "bounce"))
    assert (await panel(again)).off_reason == "bounce"
    with_link = desk.link("/mail/preferences", mail)
    known, _ = await again.room.desk.by_link(with_link)
    assert known.member_id == 7
