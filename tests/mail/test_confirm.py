"""An address is used only once its owner followed the link: once, in time, and not too often."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from gpuscout.delivery.mail.address import AddressHasher, BadAddress, masked, parse_address
from gpuscout.delivery.mail.desk import ADDRESS_LIMIT, MEMBER_LIMIT, TooManyLinks
from gpuscout.delivery.mail.links import BadLink, LinkExpired, MailLinks
from storage.members import MemberStore
from storage.tables_mail import mail_confirmation
from tests.mail.conftest import START, Clock, MailDeskOf


async def test_modal_link_on(desk: MailDeskOf) -> None:
    assert (await desk.room.desk.panel(7)).address is None
    assert await desk.room.desk.ask(7, "  Ada@Example.COM ", "de") == "Ada@example.com"
    assert (await desk.room.desk.panel(7)).pending == "Ada@example.com"
    assert await desk.store.confirmed_address(7) is None
    assert await desk.work() == ["mail.confirm"]
    (mail,) = desk.mails
    assert mail.to == "Ada@example.com"
    assert mail.subject == "Bestätige deine E-Mail-Adresse für GPUScout"
    assert "7" not in mail.part("text/plain").split()  # nothing about who asked
    token = desk.link("/mail/confirm")
    assert await desk.room.desk.confirmable(token) == "Ada@example.com"  # looking does not confirm
    assert await desk.store.confirmed_address(7) is None
    assert await desk.room.desk.confirm(token) == "Ada@example.com"
    assert await desk.store.confirmed_address(7) == "Ada@example.com"
    panel = await desk.room.desk.panel(7)
    assert (panel.on, panel.pending) == (True, None)
    with pytest.raises(BadLink):
        await desk.room.desk.confirm(token)  # once


async def test_a_link_is_too_old_after_a_day(desk: MailDeskOf) -> None:
    await desk.room.desk.ask(7, "ada@example.com", "en")
    await desk.work()
    token = desk.link("/mail/confirm")
    desk.clock.pass_by(hours=24, seconds=1)
    with pytest.raises(LinkExpired):
        await desk.room.desk.confirm(token)
    assert (await desk.room.desk.panel(7)).pending is None
    assert await desk.store.confirmed_address(7) is None


async def test_the_last_address_counts_and_the_old_one_stays_until_then(desk: MailDeskOf) -> None:
    await desk.confirmed(address="old@example.com")
    await desk.room.desk.ask(7, "typo@example.com", "en")
    await desk.work()
    first = desk.link("/mail/confirm", next(mail for mail in desk.mails if mail.to == "typo@example.com"))
    await desk.room.desk.ask(7, "new@example.com", "en")
    await desk.work()
    assert await desk.store.confirmed_address(7) == "old@example.com"
    await desk.room.desk.confirm(desk.link("/mail/confirm"))
    assert await desk.store.confirmed_address(7) == "new@example.com"
    with pytest.raises(BadLink):
        await desk.room.desk.confirm(first)


async def test_a_member_cannot_ask_without_end(desk: MailDeskOf) -> None:
    for number in range(MEMBER_LIMIT):
        await desk.room.desk.ask(7, f"a{number}@example.com", "en")
    with pytest.raises(TooManyLinks):
        await desk.room.desk.ask(7, "b@example.com", "en")
    await desk.room.desk.ask(8, "c@example.com", "en")
    desk.clock.pass_by(hours=24, seconds=1)
    await desk.room.desk.ask(7, "b@example.com", "en")


async def test_nobodys_mailbox_is_flooded_and_nobody_is_told(desk: MailDeskOf) -> None:
    for member in range(1, ADDRESS_LIMIT + 3):
        assert await desk.room.desk.ask(member, "VICTIM@example.com", "en") == "VICTIM@example.com"
        assert (await desk.room.desk.panel(member)).pending == "VICTIM@example.com"  # the same answer for everybody
    await desk.work()
    assert len(desk.mails) == ADDRESS_LIMIT


async def test_many_at_once_do_not_flood_a_mailbox_either(desk: MailDeskOf) -> None:
    await asyncio.gather(
        *(desk.room.desk.ask(member, "victim@example.com", "en") for member in range(1, ADDRESS_LIMIT + 6))
    )
    await desk.work()
    assert len(desk.mails) == ADDRESS_LIMIT


@pytest.mark.parametrize("erased", [False, True], ids=["removed", "erased"])
async def test_who_removes_an_address_may_not_ask_more_often(desk: MailDeskOf, erased: bool) -> None:
    for _ in range(MEMBER_LIMIT):
        await desk.room.desk.ask(7, "victim@example.com", "en")
        await desk.work()
        token = desk.link("/mail/confirm")
        if erased:
            await MemberStore(desk.parts.db).erase(7, "7")
        else:
            assert await desk.room.desk.forget(7)
        with pytest.raises(BadLink):
            await desk.room.desk.confirm(token)
    assert len(desk.mails) == ADDRESS_LIMIT
    assert (await desk.room.desk.panel(7)).pending is None
    async with desk.parts.db.read() as conn:
        rows = (await conn.execute(select(mail_confirmation.c.member_id, mail_confirmation.c.address))).all()
    assert {tuple(row) for row in rows} == {(0 if erased else 7, "")}
    if not erased:
        with pytest.raises(TooManyLinks):
            await desk.room.desk.ask(7, "other@example.com", "en")


async def test_where_no_mail_is_set_up_the_job_says_so(make_desk: object) -> None:
    off = await make_desk(sendgrid_api_key=None)  # type: ignore[operator]
    assert not (await off.room.desk.panel(7)).available
    assert off.room.sender is None
    await off.room.desk.ask(7, "ada@example.com", "en")
    await off.work()
    assert "SENDGRID_API_KEY" in str(off.failed[0])


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@localhost",
        "a b@example.com",
        "ada@exam ple.com",
        "ada@@example.com",
        "ada@-x.com",
        "ada@example.1",
        "a" * 65 + "@example.com",
        "x@" + "a" * 64 + ".com",
        "ada@example.com\nBcc: eve@example.com",
        "ada@example.com, eve@example.com",
        '"a"@example.com',
        "ada@" + "a." * 130 + "com",
        "ada@.com",
        "<ada@example.com>",
    ],
)
def test_no_address(typed: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(typed)


def test_addresses() -> None:
    assert parse_address("ada+rigs@Sub.Example.co.UK") == "ada+rigs@sub.example.co.uk"
    assert parse_address("ada@bücher.example") == "ada@xn--bcher-kva.example"
    assert masked("ada@example.com") == "a…@example.com"


def test_hashes_know_older_keys() -> None:
    old, both = AddressHasher([b"old"]), AddressHasher([b"new", b"old"])
    assert both.digests("Ada@example.com")[1:] == old.digests("ada@EXAMPLE.com")


def test_links_hold_against_changes() -> None:
    clock = Clock()
    links = MailLinks("https://x.example/", [b"key"], clock)
    token = links.token("preferences", "7-abc")
    assert links.url("preferences", "7-abc") == f"https://x.example/mail/preferences?t={token}"
    assert links.read("preferences", token) == "7-abc"
    subject, until, signature = token.split(".")
    later = format(int(until, 16) + 1, "x")
    for changed in (
        f"8-abc.{until}.{signature}",
        f"{subject}.{later}.{signature}",
        f"{subject}.{until}.{signature[:-1]}A",
        token[:-1],
        token + "A",
        "",
        "x" * 10_000,
    ):
        with pytest.raises(BadLink):
            links.read("preferences", changed)
    with pytest.raises(BadLink):
        links.read("unsubscribe", token)  # each for its purpose
    with pytest.raises(BadLink):
        MailLinks("https://x.example", [b"other"], clock).read("preferences", token)
    assert MailLinks("https://x.example", [b"new", b"key"], clock).read("preferences", token) == "7-abc"
    with pytest.raises(ValueError, match="subject"):
        links.token("preferences", "7|8")
    clock.now = START.replace(year=2028)
    with pytest.raises(LinkExpired):
        links.read("preferences", token)
