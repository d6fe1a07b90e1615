"""From a firing to its notification: when it is due, what it joins, and what programs hear of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.accounts.delivery_choices import Choice, DeliveryChoices, quiet_until
from gpuscout.accounts.members import Members
from gpuscout.alerts.expand import Part, machine_of, series_of
from gpuscout.alerts.messages import AlertItem, ExpiredItem, Happening, event_data
from gpuscout.alerts.rules import DigestRule, ExtremeRule, MachineRule, NewModelRule, Owner, Rule
from gpuscout.alerts.values import Reading, gpu_of
from storage.alerts_eval import EvaluationStore, LedgerRow
from storage.events import EventStore, NewEvent
from storage.ids import new_id
from storage.notifications import NewItem, NotificationStore, Target

KIND: Final = "alert"
FALLBACK_AFTER: Final = timedelta(minutes=15)
"""From when on the next channel may be used although the first one's outcome is unsure."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """How a member wants to hear, read before the transaction. A server has no choice."""

    choice: Choice | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Telling:
    """A firing to be told.

    Attributes:
        item_key: names the firing: the same one twice is told once.
        poll_at: when the poll behind it was stored.
        due_at: not sent before this time; quiet hours may put it off further.
    """

    owner: Owner
    item: AlertItem
    receiver: Receiver
    item_key: str
    poll_at: datetime | None = None
    due_at: datetime | None = None

    @property
    def wanted(self) -> bool:
        """Whether the receiver wants alerts at all."""
        return self.receiver.choice is None or self.receiver.choice.wants(KIND)


def _item(telling: Telling, payload: Mapping[str, Any], now: datetime) -> NewItem:
    due, choice, item = telling.due_at, telling.receiver.choice, telling.item
    if choice is not None and not (item.severity == "critical" and choice.critical_passes):
        due = quiet_until(choice, telling.receiver.zone, now) or due
    return NewItem(
        target_of(telling.owner),
        payload,
        telling.item_key,
        # What waits for the end of quiet hours is one message, what need not wait is another.
        group_key(telling.owner, due),
        due_at=due,
        deadline_at=(due or now) + FALLBACK_AFTER,
        poll_at=telling.poll_at,
        severity=item.severity,
    )


def happened(rule: Rule, side: int) -> Happening:
    """Which way the value went."""
    when = rule.when
    if isinstance(when, DigestRule):
        return "digest"
    if isinstance(when, NewModelRule | ExtremeRule):
        return "new"
    if isinstance(when, MachineRule) and when.event == "gone":
        return "gone"
    if rule.kind in ("change", "steps", "fleet"):
        return "up" if side > 0 else "down"
    return "above" if side > 0 else "below"


def target_of(owner: Owner) -> Target:
    """Who is told."""
    if owner.server:
        return Target(None, owner.guild_id, owner.channel_id, owner.role_id)
    return Target(owner.member_id, owner.guild_id, owner.channel_id)


class Teller:
    """Adds notifications and events of firings."""

    def __init__(
        self,
        evaluation: EvaluationStore,
        notifications: NotificationStore,
        events: EventStore,
        choices: DeliveryChoices,
        members: Members,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._evaluation = evaluation
        self._notifications = notifications
        self._events = events
        self._choices = choices
        self._members = members
        self._clock = clock

    async def zone(self, member_id: int) -> tzinfo:
        """The member's time zone."""
        name = (await self._members.get(member_id)).timezone
        return UTC if name is None else ZoneInfo(name)

    async def receiver(self, member_id: int) -> Receiver:
        """How a member wants to hear."""
        return Receiver(await self._choices.get(member_id), await self.zone(member_id))

    async def receivers(self, rows: Iterable[Any]) -> dict[int, Receiver]:
        """How members want to hear: rows of :meth:`storage.alerts_eval.EvaluationStore.subjects`.

        Most chose nothing, and are not asked for one by one.
        """
        found: dict[int, Receiver] = {}
        for row in rows:
            if not row.server and row.member_id not in found:
                choice = await self._choices.get(row.member_id) if row.chose else Choice(row.member_id)
                found[row.member_id] = Receiver(choice, UTC if row.timezone is None else ZoneInfo(row.timezone))
        return found

    async def tell(self, conn: AsyncConnection, telling: Telling) -> str | None:
        """As :meth:`tell_many`, of one."""
        return (await self.tell_many(conn, [telling]))[telling.item_key]

    async def tell_many(self, conn: AsyncConnection, tellings: Sequence[Telling]) -> dict[str, str | None]:
        """Add items to their owners' open notifications, inside the transaction that records the firings.

        Returns:
            By item key: the notification's id; None when the member does not want alerts, or knows of this one.
        """
        now = self._clock()
        payloads = {telling.item_key: telling.item.model_dump(mode="json") for telling in tellings}
        wanted = [_item(telling, payloads[telling.item_key], now) for telling in tellings if telling.wanted]
        found = await self._notifications.add_many(conn, KIND, wanted, at=now) if wanted else {}
        await self._events.emit_many(
            conn,
            [
                _event(telling, payloads[telling.item_key], found.get(telling.item_key))
                for telling in tellings
                if not telling.item.test
            ],
            at=now,
        )
        return {telling.item_key: found.get(telling.item_key) for telling in tellings}

    async def expired(self, conn: AsyncConnection, owner: Owner, item: ExpiredItem, receiver: Receiver) -> str | None:
        """Tell that a rule's time is over."""
        now = self._clock()
        due = None if receiver.choice is None else quiet_until(receiver.choice, receiver.zone, now)
        return await self._notifications.add(
            conn,
            replace(target_of(owner), role_id=None),  # an end is no alarm: it mentions no role
            "notice",
            item.model_dump(mode="json"),
            item_key=f"alert-expired:{item.rule_id}:{int(item.expired_at.timestamp())}",
            group_key=f"alert-expired:{owner.key}" + (f":{owner.channel_id}" if owner.server else ""),
            at=now,
            due_at=due,
        )

    async def sample(
        self, row: Any, owner: Owner, rule: Rule, parts: Sequence[Part], readings: Mapping[Any, Reading]
    ) -> str | None:
        """A marked sample with the present values, through the real path and at once."""
        now = self._clock()
        part = next((p for p in parts if _value(readings, p) is not None), parts[0] if parts else None)
        item = AlertItem(
            rule_id=row.id,
            server=owner.server,
            when=rule.when,
            kind=rule.kind,
            happened=happened(rule, part.side if part is not None else 1),
            severity=rule.manners.severity,
            at=now,
            test=True,
        )
        if part is not None:
            reading = readings.get(part.key.identity)
            item = item.model_copy(
                update={
                    **about(part.key.subject),
                    "metric": part.key.metric,
                    "after": _value(readings, part),
                    "threshold": None if part.name == "=" else part.base,
                    "price": reading.price if reading is not None else None,
                    "source": reading.source if reading is not None else None,
                }
            )
        key = f"alert-test:{row.id}:{new_id(12)}"
        async with self._evaluation.db.write() as conn:
            found = await self.tell(conn, Telling(owner, item, Receiver(), key))
            entry = LedgerRow(
                row.id,
                f"t:{key.rpartition(':')[2]}",
                now,
                "tested",
                metric=item.metric,
                subject=part.key.subject if part is not None else None,
                value=item.after,
                level=item.threshold,
                notification_id=found,
            )
            await self._evaluation.note(conn, [entry])
        return found


def group_key(owner: Owner, due: datetime | None) -> str:
    """What is told together: everything of one receiver that waits for the same time."""
    target = f"c:{owner.channel_id}:{owner.role_id or 0}" if owner.server else f"m:{owner.member_id}"
    return f"alert:{target}" if due is None else f"alert:{target}:{int(due.timestamp())}"


def about(subject: str) -> dict[str, Any]:
    """The fields of an item that say what a subject is."""
    series, machine = series_of(subject), machine_of(subject)
    if series is not None:
        return {
            "gpu": series.gpu,
            "platform": series.platform,
            "region": series.region,
            "tier": series.tier,
            "verification": series.verification,
        }
    if machine is not None:
        return {"platform": machine[0], "machine_id": machine[1]}
    gpu = gpu_of(subject)
    return {"gpu": gpu} if gpu else {}


def _value(readings: Mapping[Any, Reading], part: Part) -> float | None:
    reading = readings.get(part.key.identity)
    return reading.value if reading is not None else None


def _event(telling: Telling, payload: Mapping[str, Any], notification_id: str | None) -> NewEvent:
    """The event of a firing: a member's, or of a server's own rule the server's, which its data name."""
    data = event_data(telling.item, notification_id, payload)
    if telling.owner.server:
        data["guild_id"] = str(telling.owner.guild_id)
        return NewEvent("alert.triggered", None, telling.item_key, data)
    return NewEvent("alert.triggered", telling.owner.member_id, telling.item_key, data)
