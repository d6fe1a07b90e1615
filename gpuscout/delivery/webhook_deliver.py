"""Fanning an event out to webhooks, and one try of a delivery."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection
from yarl import URL

from gpuscout.accounts.secret_box import CannotOpen, SecretBox
from gpuscout.delivery.webhook_body import event_data, json_body
from gpuscout.delivery.webhook_discord import DiscordMessages
from gpuscout.delivery.webhook_send import Answer, WebhookSender
from gpuscout.delivery.webhook_sign import signed_headers
from storage.engine import Database
from storage.notifications import NotificationStore, Target
from storage.webhooks import EndpointStore
from storage.webhooks_deliveries import DeliveryStore
from storage.webhooks_model import Attempt, Delivery, Endpoint, OffReason, StoredEvent

log = structlog.get_logger(__name__)

DELAYS: Final = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""Seconds before each repetition."""
JITTER: Final = 0.2
"""Each wait is drawn from ± this part of it, so that receivers that failed together are not met together."""
FAILING: Final = timedelta(days=5)
"""An endpoint that failed for so long without one success is switched off."""
WEBHOOK_OFF: Final = "webhook_off"
URL_PURPOSE: Final = "webhook.url"
SIGNING_PURPOSE: Final = "webhook.signing"
_CHUNK: Final = 100

Finish = Callable[[AsyncConnection], Awaitable[None]]


class Hold(Protocol):
    """The job behind a delivery, as long as this worker holds it."""

    @property
    def attempts(self) -> int:
        """Which try this is, from 1."""
        ...

    async def finish(self, conn: AsyncConnection) -> None:
        """End the job in the transaction of its effect."""
        ...

    async def again(self, conn: AsyncConnection, error: str, *, retry_after: float | None = None) -> str:
        """Put the job back for *retry_after* seconds; ``dead`` when this was its last try."""
        ...


class WebhookFanout:
    """Turns an event into one delivery and one job for each endpoint that wants it."""

    def __init__(
        self, db: Database, endpoints: EndpointStore, deliveries: DeliveryStore, *, clock: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._clock = clock

    async def fan_out(self, event_id: str, finish: Finish) -> int:
        """Write the deliveries; returns how many are new. Safe to repeat: an endpoint has one of each event."""
        async with self._db.read() as conn:
            event = await self._deliveries.event(conn, event_id)
            wanting = [] if event is None else await self._endpoints.subscribers(conn, event)
        chosen = [] if event is None else await _with_data(event, wanting)
        made = 0
        for start in range(0, len(chosen), _CHUNK):
            async with self._db.write() as conn:
                part = chosen[start : start + _CHUNK]
                made += len(await self._deliveries.add(conn, event_id, part, self._clock()))
        async with self._db.write() as conn:
            await finish(conn)
        return made


async def _with_data(event: StoredEvent, endpoints: Sequence[Endpoint]) -> list[str]:
    """Ids of the endpoints whose filters leave something. Few filters differ: each is looked at once."""
    known: dict[tuple[str | None, str | None], bool] = {}
    for one in endpoints:
        if (one.gpu, one.platform) not in known:
            known[one.gpu, one.platform] = event_data(event, one) is not None
            await asyncio.sleep(0)
    return [one.id for one in endpoints if known[one.gpu, one.platform]]


class WebhookDeliverer:
    """Makes one try of a delivery and writes what came of it.

    Args:
        rng: source of the jitter.
    """

    def __init__(
        self,
        db: Database,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        notifications: NotificationStore,
        box: SecretBox,
        sender: WebhookSender,
        discord: DiscordMessages,
        *,
        clock: Callable[[], datetime],
        rng: random.Random | None = None,
    ) -> None:
        self._db = db
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._notifications = notifications
        self._box = box
        self._sender = sender
        self._discord = discord
        self._clock = clock
        self._rng = rng or random.Random()

    async def deliver(self, delivery_id: str, hold: Hold) -> None:
        """Try once; the outcome and what becomes of the job are one transaction.

        Args:
            hold: the job.
        """
        loaded = await self._deliveries.load(delivery_id)
        if loaded is None:
            async with self._db.write() as conn:
                await hold.finish(conn)  # the endpoint was removed meanwhile
            return
        delivery, endpoint, event = loaded
        data = event_data(event, endpoint)
        if not endpoint.active or data is None:
            async with self._db.write() as conn:
                await self._deliveries.settle(conn, delivery.id, "dropped")
                await hold.finish(conn)
            return
        try:
            url, keys = await self._open(endpoint)
        except CannotOpen as error:
            # The operator's matter: a key left the ring. It may come back before the tries are used up.
            log.error("webhook_secret_closed", endpoint=endpoint.id, reason=str(error))
            async with self._db.write() as conn:
                if await hold.again(conn, str(error), retry_after=self._wait(hold.attempts, None)) == "dead":
                    await self._deliveries.settle(conn, delivery.id, "failed")
            return
        now = self._clock()
        if endpoint.kind == "discord":
            body, headers = self._discord.body(event, data), {"Content-Type": "application/json"}
            url = url.update_query(wait="true")
        else:
            body = json_body(event, data)
            headers = signed_headers(body, event=event.event, delivery_id=delivery.id, keys=keys, at=now)
        answer = await self._sender.post(url, body, headers)
        await self._settle(delivery, endpoint, answer, now, hold)

    async def _open(self, endpoint: Endpoint) -> tuple[URL, list[SecretStr]]:
        """Address and signing keys, opened just before use."""
        sealed = await self._endpoints.secrets_of(endpoint)

        def opened(id: str, purpose: str) -> SecretStr:
            if id not in sealed:
                raise CannotOpen(f"secret {id} is gone")
            return self._box.open(sealed[id], owner=endpoint.owner, purpose=purpose)

        keys = []
        if endpoint.signing_secret is not None:
            keys.append(opened(endpoint.signing_secret, SIGNING_PURPOSE))
            overlapping = endpoint.earlier_until is not None and self._clock() < endpoint.earlier_until
            if overlapping and endpoint.earlier_secret in sealed:
                keys.append(opened(str(endpoint.earlier_secret), SIGNING_PURPOSE))
        return URL(opened(endpoint.url_secret, URL_PURPOSE).get_secret_value()), keys

    async def _settle(
        self,
        delivery: Delivery,
        endpoint: Endpoint,
        answer: Answer,
        at: datetime,
        hold: Hold,
    ) -> None:
        """Write the outcome: taken, to be tried again, given up, or the endpoint switched off."""
        # What stood at a private address is nobody's to read, should a peer ever have answered from there.
        shown = "" if answer.error == "refused" else answer.body
        tried = Attempt(at, answer.milliseconds, answer.status, answer.error, shown)
        if answer.good:
            async with self._db.write() as conn:
                await self._deliveries.record(conn, delivery, tried, state="delivered", next_at=None)
                await hold.finish(conn)
            return
        reason = _off_reason(endpoint, answer, at)
        if reason is not None:
            async with self._db.write() as conn:
                await self._deliveries.record(conn, delivery, tried, state="failed", next_at=None)
                if await self._endpoints.disable(conn, endpoint.id, reason):
                    await self._tell(conn, endpoint, reason, at)
                await hold.finish(conn)
            log.info("webhook_off", endpoint=endpoint.id, reason=reason, status=answer.status)
            return
        wait = self._wait(hold.attempts, answer.retry_after)
        said = f"webhook {endpoint.id}: {answer.error or f'status {answer.status}'}"
        async with self._db.write() as conn:
            dead = await hold.again(conn, said, retry_after=wait) == "dead"
            await self._deliveries.record(
                conn,
                delivery,
                tried,
                state="failed" if dead else "waiting",
                next_at=None if dead else at + timedelta(seconds=wait),
            )
        log.info("webhook_failed", endpoint=endpoint.id, delivery=delivery.id, reason=said, given_up=dead)

    def _wait(self, attempt: int, asked: float | None) -> float:
        delay = DELAYS[min(attempt, len(DELAYS)) - 1]
        return max(delay * self._rng.uniform(1 - JITTER, 1 + JITTER), asked or 0.0)

    async def _tell(self, conn: AsyncConnection, endpoint: Endpoint, reason: OffReason, at: datetime) -> None:
        """Tell the member who made it that it is off."""
        if endpoint.made_by is None:
            return
        await self._notifications.add(
            conn,
            Target(member_id=endpoint.made_by),
            "notice",
            {"notice": WEBHOOK_OFF, "webhook": endpoint.id, "shown": endpoint.shown, "reason": reason},
            item_key=f"{WEBHOOK_OFF}:{endpoint.id}:{int(at.timestamp())}",
            group_key=f"notice:{WEBHOOK_OFF}:{endpoint.made_by}",
            at=at,
            severity="warning",
        )


def _off_reason(endpoint: Endpoint, answer: Answer, at: datetime) -> OffReason | None:
    """Why the endpoint is to be switched off now; None when it is not."""
    if answer.status == 410 or (endpoint.kind == "discord" and answer.status in (401, 404)):
        return "gone"
    if endpoint.failing_since is not None and at - endpoint.failing_since >= FAILING:
        return "failing"
    return None
