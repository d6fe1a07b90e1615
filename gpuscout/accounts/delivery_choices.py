"""Where and when a member wants to hear: channels in his order, kinds he does not want, quiet hours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.accounts.members import BadSetting
from gpuscout.accounts.walltime import first_instant, last_instant
from storage.delivery_choices import DEFAULT_CHANNELS

Channel = Literal["dm", "mention", "email"]
CHANNELS: Final[tuple[Channel, ...]] = ("dm", "mention", "email")
MUTABLE_KINDS: Final = ("alert", "digest", "notice")
"""Kinds that a member may not want. Security and billing always arrive."""
DM_FAILURES: Final = 3
"""Direct messages in a row that can never arrive, after which none is tried any more."""
DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours: minutes after local midnight, from *start* to before *end*. Over midnight where *end* is less.

    Raises:
        ValueError: a time that is none, or both are the same.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not (0 <= self.start < DAY_MINUTES and 0 <= self.end < DAY_MINUTES) or self.start == self.end:
            raise ValueError(f"quiet hours from {self.start} to {self.end}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What one member chose; the defaults when he chose nothing.

    Attributes:
        channels: where he wants to hear, in his order; what fails falls back to the next one.
        muted_kinds: kinds that he does not want at all.
        quiet: his quiet hours, in his time zone.
        critical_passes: whether critical alerts come in quiet hours too.
        dm_failures: direct messages in a row that could not arrive.
        dm_off_at: since when none is tried any more.
        dm_opened_at: when the first one arrived.
        stored: whether there is a row in the database.
    """

    member_id: int
    channels: tuple[Channel, ...] = DEFAULT_CHANNELS
    muted_kinds: frozenset[str] = frozenset()
    quiet: Quiet | None = None
    critical_passes: bool = False
    dm_failures: int = 0
    dm_off_at: datetime | None = None
    dm_opened_at: datetime | None = None
    stored: bool = False

    def wants(self, kind: str) -> bool:
        """Whether notifications of *kind* are to be sent at all."""
        return kind not in self.muted_kinds

    @property
    def usable(self) -> tuple[Channel, ...]:
        """The channels that are worth trying: without direct messages while they are off."""
        return tuple(channel for channel in self.channels if channel != "dm" or self.dm_off_at is None)


def quiet_until(choice: Choice, zone: tzinfo, now: datetime) -> datetime | None:
    """When the quiet hours that *now* lies in are over, UTC; None outside of them.

    A night begins when the clocks first show its start and ends when they no longer show a time before its end: where
    a time is skipped, at the jump; where a time comes twice, the night is as long as it can be read.
    """
    if choice.quiet is None:
        return None
    until = now.astimezone(UTC)
    while (end := _night_end(choice.quiet, zone, until)) is not None:
        until = end  # doubled hours can join one night to the next
    return until if until > now else None


def _night_end(quiet: Quiet, zone: tzinfo, at: datetime) -> datetime | None:
    today = at.astimezone(zone).date()
    over = timedelta(days=1 if quiet.end < quiet.start else 0)
    for days in (1, 0, -1, -2):
        day = today + timedelta(days=days)
        if first_instant(day, quiet.start, zone) <= at < (end := last_instant(day + over, quiet.end, zone)):
            return end
    return None


class ChoiceRows(Protocol):
    """Where choices are stored; :class:`storage.delivery_choices.DeliveryChoiceStore`."""

    async def get(self, member_id: int, conn: AsyncConnection | None = None) -> Mapping[str, Any] | None: ...
    async def put(
        self, member_id: int, values: Mapping[str, Any], at: datetime, conn: AsyncConnection | None = None
    ) -> None: ...
    async def dm_failed(
        self, member_id: int, at: datetime, limit: int, conn: AsyncConnection | None = None
    ) -> bool: ...
    async def dm_arrived(self, member_id: int, conn: AsyncConnection | None = None) -> None: ...
    async def dm_opened(self, member_id: int, at: datetime, conn: AsyncConnection | None = None) -> None: ...
    async def dm_fresh(self, member_id: int, conn: AsyncConnection | None = None) -> None: ...
    async def dm_off(self, member_id: int, at: datetime, conn: AsyncConnection | None = None) -> None: ...
    async def last_refusal(self, member_id: int) -> tuple[datetime, str] | None: ...


class DeliveryChoices:
    """Members' choices about delivery, read when asked.

    Where a method takes *conn*, it takes part in that write transaction.
    """

    def __init__(self, rows: ChoiceRows, *, clock: Callable[[], datetime]) -> None:
        self._rows = rows
        self._clock = clock

    async def get(self, member_id: int, conn: AsyncConnection | None = None) -> Choice:
        """The member's choice; the defaults where nothing is stored."""
        row = await self._rows.get(member_id, conn)
        return choice_of(member_id, row)

    async def change(
        self,
        member_id: int,
        *,
        channels: Sequence[str] | None = None,
        muted_kinds: Sequence[str] | None = None,
        quiet: Quiet | Literal["off"] | None = None,
        critical_passes: bool | None = None,
    ) -> Choice:
        """Change what is given, leave the rest.

        Raises:
            BadSetting: a channel or kind that is none, one twice, or no channel at all.
        """
        values: dict[str, Any] = {}
        if channels is not None:
            values["channels"] = _checked("channels", channels, CHANNELS, least=1)
        if muted_kinds is not None:
            values["muted_kinds"] = _checked("muted_kinds", muted_kinds, MUTABLE_KINDS, least=0)
        if quiet is not None:
            values |= {"quiet_start": None, "quiet_end": None}
            if quiet != "off":
                values |= {"quiet_start": quiet.start, "quiet_end": quiet.end}
        if critical_passes is not None:
            values["critical_passes"] = critical_passes
        if values:
            await self._rows.put(member_id, values, self._clock())
        return await self.get(member_id)

    async def note_dm_failure(self, member_id: int, conn: AsyncConnection | None = None) -> bool:
        """Count a direct message that can never arrive; True exactly when this one switched them off."""
        return await self._rows.dm_failed(member_id, self._clock(), DM_FAILURES, conn)

    async def note_dm_ok(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        """A direct message arrived."""
        await self._rows.dm_arrived(member_id, conn)

    async def note_dm_opened(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        """The first direct message, which opens the channel, arrived."""
        await self._rows.dm_opened(member_id, self._clock(), conn)

    async def reactivate(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        """Try direct messages again, as if for the first time."""
        await self._rows.dm_fresh(member_id, conn)

    async def switch_dm_off(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        """Try no direct messages any more."""
        await self._rows.dm_off(member_id, self._clock(), conn)

    async def last_refusal(self, member_id: int) -> tuple[datetime, str] | None:
        """When Discord last refused a direct message, and its reason."""
        return await self._rows.last_refusal(member_id)


def _checked(field: str, given: Sequence[str], known: Sequence[str], *, least: int) -> list[str]:
    if len(given) < least or len(set(given)) != len(given) or not set(given) <= set(known):
        raise BadSetting(field, ", ".join(given))
    return list(given)


def choice_of(member_id: int, row: Mapping[str, Any] | None) -> Choice:
    """The choice of a stored row, else the defaults. What another version wrote and this one does not know is left
    out."""
    if row is None:
        return Choice(member_id)
    start, end = row["quiet_start"], row["quiet_end"]
    channels = tuple(channel for channel in CHANNELS if channel in row["channels"])
    ordered = tuple(sorted(channels, key=list(row["channels"]).index))
    return Choice(
        member_id=row["member_id"],
        channels=ordered or DEFAULT_CHANNELS,
        muted_kinds=frozenset(row["muted_kinds"]) & frozenset(MUTABLE_KINDS),
        quiet=Quiet(start, end) if start is not None and end is not None and start != end else None,
        critical_passes=row["critical_passes"],
        dm_failures=row["dm_failures"],
        dm_off_at=row["dm_off_at"],
        dm_opened_at=row["dm_opened_at"],
        stored=True,
    )
