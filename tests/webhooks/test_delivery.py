"""An event on its way to a receiver: signed, tried again, given up, replayed, switched off."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from gpuscout.delivery.mail.contents import SecurityNotice
from gpuscout.delivery.mail.jobs import NOTICE_JOB
from gpuscout.delivery.webhook_deliver import DELAYS, FAILING, JITTER
from gpuscout.delivery.webhooks import StillUnderWay
from gpuscout.plans.limits import LimitReached
from sandbox.webhooks import WebhookReceiver
from storage.events import FANOUT_JOB
from storage.webhooks import EndpointStore, SecondEndpoint
from storage.webhooks_deliveries import DELIVER_JOB, DELIVER_TRIES
from storage.webhooks_model import Endpoint
from tests.webhooks.conftest import ALICE, BOB, GUILD, MINE, SERVERS, YOURS, Desk


async def add(desk: Desk, receiver: WebhookReceiver, *events: str, **options: Any) -> Endpoint:
    owner = options.pop("owner", MINE[0])
    path = options.pop("path", "")
    made = await desk.webhooks.add(owner, ALICE, receiver.url + path, events or ("alert.triggered",), **options)
    assert made.secret is not None
    receiver.trust(made.secret.get_secret_value())
    return made.endpoint


async def test_an_event_arrives_signed_and_once(desk: Desk, receiver: WebhookReceiver) -> None:
    endpoint = await add(desk, receiver)
    event = await desk.emit("alert.triggered", {"gpu": "rtx-4090", "name": "RTX 4090 – günstig"}, ALICE)
    assert await desk.run() == 2  # fan-out, delivery
    [came] = receiver.received
    assert came.verified is True
    assert came.json() == {
        "id": event,
        "event": "alert.triggered",
        "timestamp": desk.clock.now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {"gpu": "rtx-4090", "name": "RTX 4090 – günstig"},
    }
    [logged] = (await desk.webhooks.log(endpoint.id, MINE)).entries
    assert came.headers["x-gpuscout-event"] == "alert.triggered"
    assert came.headers["x-gpuscout-delivery"] == came.headers["webhook-id"] == logged.delivery.id
    assert came.headers["user-agent"].startswith("GPUScout/")
    assert (logged.delivery.state, logged.delivery.attempts) == ("delivered", 1)
    assert logged.last is not None
    assert logged.last.status == 204
    [job] = await desk.jobs(DELIVER_JOB)
    assert job.state == "done"
    # The fan-out repeated (its worker died before it could say so) makes no second delivery.
    async with desk.parts.db.write() as conn:
        await desk.parts.jobs.enqueue(conn, FANOUT_JOB, {"event": event})
    await desk.run()
    assert len(receiver.received) == 1


async def test_only_those_who_want_the_event_get_it(desk: Desk, receiver: WebhookReceiver) -> None:
    await add(desk, receiver, "portfolio.summary", path="?other-event")
    await add(desk, receiver, owner=YOURS[0], path="?other-member")
    await add(desk, receiver, owner=SERVERS[0], path="?server")
    await add(desk, receiver, path="?mine")
    await desk.emit("alert.triggered", {}, ALICE)
    await desk.run()
    assert [came.query for came in receiver.received] == ["mine"]
    await desk.emit("alert.triggered", {"guild_id": str(GUILD)}, None, "servers")
    await desk.run()
    assert [came.query for came in receiver.received] == ["mine", "server"]
    await desk.emit("subscription.updated", {}, None, "nobody's")
    await desk.run()
    assert len(receiver.received) == 2


async def test_filters_of_market_updates(desk: Desk, receiver: WebhookReceiver) -> None:
    quotes = [{"gpu": "rtx-4090", "price": 0.4}, {"gpu": "h100-sxm", "price": 2.0}]
    await add(desk, receiver, "market.updated", path="?all")
    await add(desk, receiver, "market.updated", path="?gpu", gpu="h100-sxm")
    await add(desk, receiver, "market.updated", path="?none", gpu="a100")
    await add(desk, receiver, "market.updated", path="?elsewhere", platform="runpod")
    await add(desk, receiver, "market.updated", path="?here", platform="vast", owner=YOURS[0])
    await desk.emit("market.updated", {"platform": "vast", "quotes": quotes}, None)
    await desk.run()
    came = {one.query: [quote["gpu"] for quote in one.json()["data"]["quotes"]] for one in receiver.received}
    assert came == {"all": ["rtx-4090", "h100-sxm"], "gpu": ["h100-sxm"], "here": ["rtx-4090", "h100-sxm"]}


async def test_nobody_is_left_out_where_there_are_many(
    desk: Desk, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.webhooks.BATCH", 2)
    for number in range(5):
        name = "alert.triggered" if number == 3 else "market.updated"
        await add(desk, receiver, name, path=f"?{number}")
    assert await EndpointStore(desk.parts.db).wants_market()
    await desk.emit("market.updated", {"platform": "vast", "quotes": [{"gpu": "rtx-4090"}]}, None)
    await desk.run()
    assert sorted(one.query for one in receiver.received) == ["0", "1", "2", "4"]


async def test_whoever_makes_a_webhook_is_told_by_mail(desk: Desk, receiver: WebhookReceiver) -> None:
    endpoint = await add(desk, receiver)
    with pytest.raises(SecondEndpoint):
        await add(desk, receiver)
    [job] = await desk.jobs(NOTICE_JOB)
    assert (job.payload["member_id"], job.payload["key"]) == (ALICE, f"webhook:{endpoint.id}")
    notice = SecurityNotice.model_validate(job.payload["notice"])
    assert (notice.happened, notice.label) == ("webhook", endpoint.shown)


async def test_two_at_once_do_not_pass_the_plans_limit(desk: Desk, receiver: WebhookReceiver) -> None:
    most = await desk.webhooks.limit(ALICE)
    assert most is not None
    made = await asyncio.gather(
        *(add(desk, receiver, path=f"?{number}") for number in range(most + 3)), return_exceptions=True
    )
    assert [type(one) for one in made if isinstance(one, BaseException)] == [LimitReached] * 3
    assert len(await desk.webhooks.of(MINE)) == most


async def test_a_receiver_that_is_down_is_tried_by_the_schedule_then_given_up_and_replayed(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    endpoint = await add(desk, receiver)
    receiver.behave(status=500, body="database <is> away\x00" + "x" * 5000)
    await desk.emit("alert.triggered", {"gpu": "rtx-4090"}, ALICE)
    for number, delay in enumerate(DELAYS):
        await desk.run()
        assert len(receiver.received) == number + 1
        [job] = await desk.jobs(DELIVER_JOB)
        wait = (job.run_at - desk.clock.now).total_seconds()
        assert delay * (1 - JITTER) <= wait <= delay * (1 + JITTER) + 1
        [logged] = (await desk.webhooks.log(endpoint.id, MINE)).entries
        assert logged.delivery.state == "waiting"
        assert logged.delivery.next_at is not None
        with pytest.raises(StillUnderWay):
            await desk.webhooks.replay(logged.delivery.id, MINE)
        desk.clock.now = job.run_at
    await desk.run()
    assert len(receiver.received) == DELIVER_TRIES
    [job] = await desk.jobs(DELIVER_JOB)
    assert job.state == "dead"
    [logged] = (await desk.webhooks.log(endpoint.id, MINE)).entries
    assert (logged.delivery.state, logged.delivery.attempts, logged.delivery.next_at) == ("failed", DELIVER_TRIES, None)
    assert logged.last is not None
    assert logged.last.answer.startswith("database <is> away")
    assert len(logged.last.answer.encode()) <= 1024 + 2  # a replacement character may be longer than what it replaces

    receiver.behave()
    desk.later(minutes=1)
    await desk.webhooks.replay(logged.delivery.id, MINE)
    with pytest.raises(StillUnderWay):
        await desk.webhooks.replay(logged.delivery.id, MINE)
    await desk.run()
    assert len(receiver.received) == DELIVER_TRIES + 1
    # Every attempt: the same id and the same bytes, each signed for its own time.
    assert len({came.delivery for came in receiver.received}) == 1
    assert len({came.body for came in receiver.received}) == 1
    assert len({came.headers["webhook-timestamp"] for came in receiver.received}) == DELIVER_TRIES + 1
    _, logged, attempts = await desk.webhooks.delivery(logged.delivery.id, MINE)
    assert logged.delivery.state == "delivered"
    assert [attempt.status for attempt in attempts] == [500] * DELIVER_TRIES + [204]
    assert (await desk.webhooks.get(endpoint.id, MINE)).failing_since is None


async def test_retry_after_is_obeyed(desk: Desk, receiver: WebhookReceiver) -> None:
    await add(desk, receiver)
    receiver.behave(status=429, retry_after=900)
    await desk.emit("alert.triggered", {}, ALICE)
    await desk.run()
    [job] = await desk.jobs(DELIVER_JOB)
    assert 900 <= (job.run_at - desk.clock.now).total_seconds() <= 901


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404])
async def test_whatever_is_not_2xx_is_a_failure_and_redirects_are_not_followed(
    desk: Desk, receiver: WebhookReceiver, status: int
) -> None:
    endpoint = await add(desk, receiver)
    receiver.behave(status=status, location=receiver.base + "/hook?followed")
    await desk.emit("alert.triggered", {}, ALICE)
    await desk.run()
    assert [came.query for came in receiver.received] == [""]
    [logged] = (await desk.webhooks.log(endpoint.id, MINE)).entries
    assert logged.delivery.state == "waiting"


async def test_gone_switches_off_at_once_and_says_so(desk: Desk, receiver: WebhookReceiver) -> None:
    endpoint = await add(desk, receiver)
    receiver.behave(status=410)
    await desk.emit("alert.triggered", {}, ALICE)
    await desk.emit("alert.triggered", {}, ALICE, "second")
    await desk.run()
    assert len(receiver.received) == 1  # the second one was dropped
    found = await desk.webhooks.get(endpoint.id, MINE)
    assert (found.state, found.reason) == ("disabled", "gone")
    assert await desk.notices() == [
        {
            "member": ALICE,
            "notice": "webhook_off",
            "webhook": endpoint.id,
            "shown": endpoint.shown,
            "reason": "gone",
        }
    ]
    states = {logged.delivery.state for logged in (await desk.webhooks.log(endpoint.id, MINE)).entries}
    assert states == {"failed", "dropped"}
    with pytest.raises(StillUnderWay):
        await desk.webhooks.test(endpoint.id, MINE)
    receiver.behave()
    assert (await desk.webhooks.enable(endpoint.id, MINE)).active
    await desk.emit("alert.triggered", {}, ALICE, "third")
    await desk.run()
    assert len(receiver.received) == 2


async def test_five_days_of_failure_switch_off_and_one_success_starts_anew(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    endpoint = await add(desk, receiver)

    async def one(status: int) -> None:
        receiver.behave(status=status)
        await desk.emit("alert.triggered", {}, ALICE)
        await desk.run()

    await one(500)
    desk.later(days=4)
    await one(204)
    desk.later(days=4)
    await one(500)
    since = (await desk.webhooks.get(endpoint.id, MINE)).failing_since
    assert since is not None
    desk.clock.now = since + FAILING - timedelta(seconds=1)
    await one(503)
    assert (await desk.webhooks.get(endpoint.id, MINE)).active
    assert await desk.notices() == []
    desk.clock.now = since + FAILING
    await one(503)
    found = await desk.webhooks.get(endpoint.id, MINE)
    assert (found.state, found.reason) == ("disabled", "failing")
    assert [(notice["member"], notice["reason"]) for notice in await desk.notices()] == [(ALICE, "failing")]


async def test_a_rotated_secret_and_the_one_before_both_sign_until_the_overlap_ends(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    first = await desk.webhooks.add(MINE[0], ALICE, receiver.url, ["alert.triggered"])
    second = await desk.webhooks.rotate(first.endpoint.id, MINE)
    assert first.secret is not None and second.secret is not None
    assert first.secret != second.secret
    for secret, early, late in ((first.secret, True, False), (second.secret, True, True)):
        async with WebhookReceiver(secret.get_secret_value()) as judge:
            for moment, genuine in ((timedelta(hours=23, minutes=59), early), (timedelta(hours=24), late)):
                start = desk.clock.now
                desk.later(seconds=moment.total_seconds())
                await desk.emit("alert.triggered", {}, ALICE)
                await desk.run()
                came = receiver.received[-1]
                # The package judges by the machine's clock; the test's differs, so it is given the body's own time.
                assert fits(judge, came) is genuine
                desk.clock.now = start + timedelta(microseconds=1)
    desk.later(hours=25)
    async with desk.parts.db.write() as conn:
        await desk.parts.jobs.enqueue(conn, "webhook.rotations", {})
    await desk.run()
    found = await desk.webhooks.get(first.endpoint.id, MINE)
    assert (found.earlier_secret, found.earlier_until) == (None, None)


def fits(judge: WebhookReceiver, came: Any) -> bool:
    from sandbox.webhooks.receiver import own_signature_fits

    [secret] = judge._secrets
    return own_signature_fits(secret, came.body, came.headers["x-gpuscout-signature"])


async def test_a_removed_webhook_gets_nothing_more(desk: Desk, receiver: WebhookReceiver) -> None:
    endpoint = await add(desk, receiver)
    await desk.emit("alert.triggered", {}, ALICE)
    [fanout] = await desk.parts.jobs.claim((FANOUT_JOB,), 1, 60)
    from bot.worker import JobRun

    await desk.work.handlers[FANOUT_JOB](JobRun(fanout, desk.parts.jobs))
    await desk.webhooks.remove(endpoint.id, MINE)
    await desk.run()
    assert list(receiver.received) == []
    [job] = await desk.jobs(DELIVER_JOB)
    assert job.state == "done"


async def test_a_discord_channel_gets_an_embed_that_mentions_nobody(desk: Desk, receiver: WebhookReceiver) -> None:
    url = f"{receiver.base}/api/webhooks/123456789012345678/{'t' * 68}?thread_id=5"
    made = await desk.webhooks.add(MINE[0], ALICE, url, ["market.updated", "portfolio.summary"])
    assert (made.endpoint.kind, made.secret, made.endpoint.shown) == ("discord", None, "Discord …5678")
    await desk.emit("portfolio.summary", {"net_day": 41.5, "note": "@everyone [x](http://evil)"}, ALICE)
    await desk.run()
    [came] = receiver.received
    assert came.query in ("thread_id=5&wait=true", "wait=true&thread_id=5")
    body = came.json()
    assert body["allowed_mentions"] == {"parse": []}
    [embed] = body["embeds"]
    assert embed["title"] == "Your portfolio"
    assert "x-gpuscout-signature" not in came.headers
    assert "@everyone" not in json.dumps(body)
    assert "](http://" not in json.dumps(body)
    receiver.behave(status=404)
    await desk.emit("portfolio.summary", {}, ALICE, "gone")
    await desk.run()
    assert (await desk.webhooks.get(made.endpoint.id, MINE)).reason == "gone"


async def test_a_discord_channel_sees_an_alert_as_its_member_does(desk: Desk, receiver: WebhookReceiver) -> None:
    url = f"{receiver.base}/api/webhooks/123456789012345678/{'t' * 68}"
    made = await desk.webhooks.add(MINE[0], ALICE, url, ["alert.triggered"])
    await desk.webhooks.test(made.endpoint.id, MINE)
    await desk.run()
    [came] = receiver.received
    [embed] = came.json()["embeds"]
    assert "RTX 4090" in json.dumps(embed)
    assert "TEST" in json.dumps(embed).upper()
    assert {field["name"] for field in embed["fields"]} >= {"GPU Model"}


async def test_a_test_is_marked_and_goes_to_its_webhook_alone(desk: Desk, receiver: WebhookReceiver) -> None:
    endpoint = await add(desk, receiver, "market.updated", gpu="h100-sxm")
    await add(desk, receiver, "market.updated", path="?other")
    delivery = await desk.webhooks.test(endpoint.id, MINE)
    assert desk.woken
    await desk.run()
    [came] = receiver.received
    assert came.query == ""
    assert came.delivery == delivery
    data = came.json()["data"]
    assert data["test"] is True
    assert [quote["gpu"] for quote in data["quotes"]] == ["h100-sxm"]


async def test_bob_can_do_nothing_with_the_webhooks_of_alice(desk: Desk, receiver: WebhookReceiver) -> None:
    from gpuscout.delivery.webhooks import NoSuchWebhook

    endpoint = await add(desk, receiver)
    await desk.emit("alert.triggered", {}, ALICE)
    await desk.run()
    [logged] = (await desk.webhooks.log(endpoint.id, MINE)).entries
    desk.later(minutes=5)
    for attempt in (
        desk.webhooks.get(endpoint.id, YOURS),
        desk.webhooks.test(endpoint.id, YOURS),
        desk.webhooks.rotate(endpoint.id, YOURS),
        desk.webhooks.remove(endpoint.id, YOURS),
        desk.webhooks.enable(endpoint.id, YOURS),
        desk.webhooks.log(endpoint.id, YOURS),
        desk.webhooks.delivery(logged.delivery.id, YOURS),
        desk.webhooks.replay(logged.delivery.id, YOURS),
    ):
        with pytest.raises(NoSuchWebhook):
            await attempt
    assert await desk.webhooks.of(YOURS) == []
    assert BOB != ALICE
