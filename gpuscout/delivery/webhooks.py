"""What members do with their webhooks: add, list, test, rotate, remove, look at deliveries, replay."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from gpuscout.accounts.secret_box import SecretBox
from gpuscout.alerts.messages import AlertItem, event_data
from gpuscout.alerts.rules import GpuScope, PriceRule
from gpuscout.delivery.webhook_deliver import SIGNING_PURPOSE, URL_PURPOSE
from gpuscout.delivery.webhook_sign import new_secret
from gpuscout.delivery.webhook_url import read_address
from gpuscout.plans.limits import allowance_of
from gpuscout.plans.tiers import Plans, TierOf
from gpuscout.resilience.public_connect import AddressRules
from storage.engine import Database
from storage.events import EVENTS
from storage.ids import new_id
from storage.secrets import Sealed, guild_of
from storage.webhooks import EndpointStore, OnAdded
from storage.webhooks_deliveries import DeliveryStore
from storage.webhooks_model import Attempt, Endpoint, Logged, StoredEvent

OVERLAP: Final = timedelta(hours=24)
"""How long the secret before a rotation signs too."""
PAGE: Final = 8
REPLAY_PAUSE: Final = timedelta(seconds=30)


class NoSuchWebhook(LookupError):
    """There is no such endpoint or delivery, or it is somebody else's."""


class NothingToSign(ValueError):
    """A Discord channel webhook has no signing secret."""


class StillUnderWay(ValueError):
    """A delivery that is on its way, was tried a moment ago, or goes to a webhook that is off."""


@dataclass(frozen=True, slots=True)
class Added:
    """A new endpoint; its secret is shown this once. None for a Discord channel."""

    endpoint: Endpoint
    secret: SecretStr | None


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of an endpoint's deliveries, newest first."""

    endpoint: Endpoint
    entries: Sequence[Logged]
    total: int
    page: int


class Webhooks:
    """Webhooks of members and servers. *owners* are those for whom the caller may act; nothing else is touched.

    Args:
        box: seals addresses and secrets.
        fingerprint_key: key of the hash by which a second endpoint at one address is found.
        rules: which addresses are possible.
        added: called in the transaction that stores a new one.
    """

    def __init__(
        self,
        db: Database,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        box: SecretBox,
        *,
        fingerprint_key: bytes,
        plans: Plans,
        tiers: TierOf,
        rules: AddressRules,
        clock: Callable[[], datetime],
        wake: Callable[[], None] = lambda: None,
        added: OnAdded | None = None,
    ) -> None:
        self._db = db
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._box = box
        self._key = fingerprint_key
        self._plans = plans
        self._tiers = tiers
        self._rules = rules
        self._clock = clock
        self._wake = wake
        self._added = added

    async def add(
        self,
        owner: str,
        member_id: int,
        url: str,
        events: Sequence[str],
        *,
        gpu: str | None = None,
        platform: str | None = None,
    ) -> Added:
        """Store an endpoint of *owner*, made by a member.

        Args:
            events: some of :data:`storage.events.EVENTS`.
            gpu, platform: of ``market.updated`` only these.

        Raises:
            BadAddress: the address cannot be a webhook's.
            LimitReached: the member's plan allows no more.
            SecondEndpoint: *owner* has one at this address.
            ValueError: an event is unknown, or none is given.
        """
        if not events or not set(events) <= set(EVENTS):
            raise ValueError("unknown events")
        target = read_address(url, self._rules)
        allowance = await allowance_of(self._plans, self._tiers, member_id, "webhooks")
        secret = new_secret() if target.kind == "http" else None
        endpoint = await self._endpoints.add(
            id=new_id(),
            owner=owner,
            made_by=member_id,
            guild=guild_of(owner),
            kind=target.kind,
            shown=target.shown,
            fingerprint=target.fingerprint(self._key),
            url=self._seal(SecretStr(str(target.url)), owner, URL_PURPOSE),
            signing=None if secret is None else self._seal(secret, owner, SIGNING_PURPOSE),
            events=[event for event in EVENTS if event in events],
            gpu=gpu,
            platform=platform,
            at=self._clock(),
            allow=allowance.check,
            added=self._added,
        )
        return Added(endpoint, secret)

    def _seal(self, secret: SecretStr, owner: str, purpose: str) -> Sealed:
        return self._box.seal(secret.get_secret_value(), id=new_id(), owner=owner, purpose=purpose)

    async def of(self, owners: Collection[str]) -> list[Endpoint]:
        """All endpoints of *owners*, oldest first."""
        return await self._endpoints.of(owners)

    async def limit(self, member_id: int) -> int | None:
        """How many the member's plan allows; None: as many as wanted."""
        return (await allowance_of(self._plans, self._tiers, member_id, "webhooks")).limit

    async def get(self, id: str, owners: Collection[str]) -> Endpoint:
        """One endpoint.

        Raises:
            NoSuchWebhook: it is not theirs.
        """
        found = await self._endpoints.get(id, owners)
        if found is None:
            raise NoSuchWebhook(id)
        return found

    async def test(self, id: str, owners: Collection[str]) -> str:
        """Send a marked sample the way real events go; returns the delivery's id.

        Raises:
            NoSuchWebhook: it is not theirs.
            StillUnderWay: the endpoint is off.
        """
        endpoint = await self.get(id, owners)
        if not endpoint.active:
            raise StillUnderWay(id)
        now = self._clock()
        name = endpoint.events[0]
        event = StoredEvent(new_id(), name, None, sample(name, endpoint, now), now)
        async with self._db.write() as conn:
            await self._deliveries.add_event(conn, event)
            made = await self._deliveries.add(conn, event.id, [endpoint.id], now)
        self._wake()
        return made[0]

    async def rotate(self, id: str, owners: Collection[str]) -> Added:
        """Draw a new signing secret; the present one signs too for :data:`OVERLAP`.

        Raises:
            NoSuchWebhook: it is not theirs.
            NothingToSign: a Discord channel's.
        """
        endpoint = await self.get(id, owners)
        if endpoint.signing_secret is None:
            raise NothingToSign(id)
        secret, now = new_secret(), self._clock()
        sealed = self._seal(secret, endpoint.owner, SIGNING_PURPOSE)
        if not await self._endpoints.rotate(id, owners, sealed, now + OVERLAP, now):
            raise NoSuchWebhook(id)
        return Added(await self.get(id, owners), secret)

    async def remove(self, id: str, owners: Collection[str]) -> None:
        """Erase an endpoint with its secrets and its log.

        Raises:
            NoSuchWebhook: it is not theirs.
        """
        if not await self._endpoints.remove(id, owners):
            raise NoSuchWebhook(id)

    async def enable(self, id: str, owners: Collection[str]) -> Endpoint:
        """Switch an endpoint on again.

        Raises:
            NoSuchWebhook: it is not theirs.
        """
        if not await self._endpoints.enable(id, owners):
            raise NoSuchWebhook(id)
        return await self.get(id, owners)

    async def log(self, id: str, owners: Collection[str], page: int = 0) -> LogPage:
        """A page of deliveries; the last one when there are fewer.

        Raises:
            NoSuchWebhook: it is not theirs.
        """
        endpoint = await self.get(id, owners)
        total = await self._deliveries.count(id)
        page = min(max(page, 0), max(0, -(-total // PAGE) - 1))
        return LogPage(endpoint, await self._deliveries.log(id, PAGE, page * PAGE), total, page)

    async def delivery(self, id: str, owners: Collection[str]) -> tuple[Endpoint, Logged, list[Attempt]]:
        """One delivery with every attempt.

        Raises:
            NoSuchWebhook: it is not theirs.
        """
        found = await self._deliveries.logged(id, owners)
        if found is None:
            raise NoSuchWebhook(id)
        endpoint = await self.get(found.delivery.endpoint_id, owners)
        return endpoint, found, await self._deliveries.attempts(id)

    async def replay(self, id: str, owners: Collection[str]) -> None:
        """Send a delivery again, under the same id.

        Raises:
            NoSuchWebhook: it is not theirs.
            StillUnderWay: it is on its way, or was tried a moment ago.
        """
        found = await self._deliveries.logged(id, owners)
        if found is None:
            raise NoSuchWebhook(id)
        now = self._clock()
        if found.last is not None and now - found.last.at < REPLAY_PAUSE:
            raise StillUnderWay(id)
        if not await self._deliveries.replay(id, owners, now):
            raise StillUnderWay(id)
        self._wake()


def sample(event: str, endpoint: Endpoint, now: datetime) -> dict[str, Any]:
    """Data of a marked sample: the shape of the real thing, invented figures, ``"test": true``."""
    gpu, platform = endpoint.gpu or "rtx-4090", endpoint.platform or "vast"
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    quote = {
        "gpu": gpu,
        "name": gpu,
        "tier": "on-demand",
        "price": 0.35,
        "available": 120,
        "rented": 340,
        "utilization": 0.739,
        "thin": False,
    }
    alert = AlertItem(
        rule_id=0,
        when=PriceRule(scope=GpuScope(gpu=gpu, platform=platform), direction="below", level=0.36),
        kind="price",
        happened="below",
        metric="price",
        gpu=gpu,
        platform=platform,
        before=0.37,
        after=0.35,
        threshold=0.36,
        at=now,
        test=True,
    )
    data: dict[str, dict[str, Any]] = {
        "alert.triggered": event_data(alert, None),
        "market.updated": {"platform": platform, "source": "sample", "as_of": at, "quotes": [quote]},
        "portfolio.summary": {"holdings": 1, "gpus": 8, "net_day": 42.0, "net_month": 1278.0, "as_of": at},
        "subscription.updated": {"plan": "individual", "state": "active", "as_of": at},
    }
    return {**data[event], "test": True}
