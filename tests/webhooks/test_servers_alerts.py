"""A firing becomes an event of whose rule it is: the member's, or the server's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from config.currencies import default_currencies
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.alerts.messages import AlertItem
from gpuscout.alerts.rules import GpuScope, Owner, PriceRule
from gpuscout.alerts.tell import Receiver, Teller, Telling
from sandbox.webhooks import WebhookReceiver
from storage.alerts_eval import EvaluationStore
from storage.delivery_choices import DeliveryChoiceStore
from storage.members import MemberStore
from storage.notifications import NotificationStore
from tests.webhooks.conftest import ALICE, GUILD, MINE, SERVERS, Desk

RULE = PriceRule(scope=GpuScope(gpu="rtx-4090", platform="vast"), direction="below", level=0.30)


def telling(owner: Owner, key: str) -> Telling:
    item = AlertItem(
        rule_id=7,
        when=RULE,
        kind="price",
        happened="below",
        metric="price",
        gpu="rtx-4090",
        platform="vast",
        after=0.29,
        threshold=0.30,
        at=datetime(2026, 11, 25, tzinfo=UTC),
    )
    return Telling(owner, item, Receiver(), key)


@pytest.mark.parametrize("server", [False, True])
async def test_whose_webhook_hears_of_it(desk: Desk, receiver: WebhookReceiver, server: bool) -> None:
    db, jobs, clock = desk.parts.db, desk.parts.jobs, desk.clock
    teller = Teller(
        EvaluationStore(db),
        NotificationStore(db, jobs),
        desk.events,
        DeliveryChoices(DeliveryChoiceStore(db), clock=clock),
        Members(MemberStore(db), default_currencies(), member_hash=str, clock=clock),
        clock=clock,
    )
    await desk.webhooks.add(MINE[0], ALICE, receiver.url + "?mine", ["alert.triggered"])
    await desk.webhooks.add(SERVERS[0], ALICE, receiver.url + "?server", ["alert.triggered"])
    owner = Owner(member_id=ALICE, server=server, guild_id=GUILD, channel_id=5)
    async with db.write() as conn:
        await teller.tell(conn, telling(owner, "firing"))
    await desk.run()
    [came] = receiver.received
    data = came.json()["data"]
    assert came.query == ("server" if server else "mine")
    assert data.get("guild_id") == (str(GUILD) if server else None)
    assert (data["gpu"], data["after"], data["threshold"]) == ("rtx-4090", 0.29, 0.30)
    assert data["notification"] is not None
