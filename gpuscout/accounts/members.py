"""What a member chose: time zone, currency, electricity price, language; and the GPUs he follows."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from config.currencies import USD, Currencies
from storage.members import Erased, Watched

WATCHLIST_LIMIT: Final = 25
"""GPUs that one member can follow: what fits one card."""
MAX_TARIFF: Final = 5.0
"""Dearest electricity that can be meant, USD per kWh."""
CACHE_SECONDS: Final = 15.0
"""How long another process's change may go unseen; this one's own are seen at once."""
_CACHED: Final = 2_000

Locale = Literal["en", "de"]
LOCALES: Final[tuple[Locale, ...]] = ("en", "de")


class BadSetting(ValueError):
    """A value that cannot be stored. ``field`` is the setting, ``value`` what was given."""

    def __init__(self, field: str, value: object) -> None:
        self.field, self.value = field, value
        super().__init__(f"{field}: {str(value)[:80]!r}")


@dataclass(frozen=True, slots=True)
class Member:
    """A member's choices; None everywhere means: the default. Nothing is stored before something is chosen.

    Attributes:
        timezone: IANA name; None: UTC.
        currency: shown beside US dollars; None: US dollars alone.
        tariff: electricity, USD per kWh.
        locale: language of answers; None: as the member's Discord.
        stored: whether there is a row in the database.
    """

    id: int
    timezone: str | None = None
    currency: str | None = None
    tariff: float | None = None
    locale: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def stored(self) -> bool:
        """Whether anything was ever set."""
        return self.created_at is not None


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that is stored about a member."""

    member: Member
    watchlist: Sequence[tuple[str, datetime]]
    dm_channel: bool
    uses: int
    first_use: datetime | None
    kept: Mapping[str, int] = field(default_factory=dict)
    """Rows of the member in every other table that has any (:data:`storage.members.OWNED`), by table."""

    @property
    def nothing(self) -> bool:
        """True when there is nothing at all."""
        return not (self.member.stored or self.watchlist or self.dm_channel or self.uses or self.kept)


class MemberRows(Protocol):
    """Where members are stored; :class:`storage.members.MemberStore`."""

    async def get(self, member_id: int) -> Mapping[str, Any] | None: ...
    async def put(self, member_id: int, values: Mapping[str, Any], at: datetime) -> None: ...
    async def watchlist(self, member_id: int) -> list[tuple[str, datetime]]: ...
    async def watch(self, member_id: int, gpu: str, at: datetime, limit: int) -> Watched: ...
    async def unwatch(self, member_id: int, gpu: str) -> bool: ...
    async def uses(self, member_hash: str) -> tuple[int, datetime | None]: ...
    async def has_dm_channel(self, member_id: int) -> bool: ...
    async def kept(self, member_id: int) -> Mapping[str, int]: ...
    async def erase(self, member_id: int, member_hash: str) -> Erased: ...


class UsageBuffer(Protocol):
    """Usage events that are not written yet; :class:`storage.usage.UsageStore`."""

    async def flush(self) -> None: ...


class Members:
    """Members' choices and watchlists, with a short memory so that every interaction may ask.

    Args:
        rows: the stored rows.
        currencies: what may be chosen.
        member_hash: the keyed hash under which usage events of a member are stored.
        usage: events still to be written, which "what is stored" and erasure must not miss; None where none are kept.
    """

    def __init__(
        self,
        rows: MemberRows,
        currencies: Currencies,
        *,
        member_hash: Callable[[int], str],
        clock: Callable[[], datetime],
        usage: UsageBuffer | None = None,
    ) -> None:
        self._rows = rows
        self.currencies = currencies
        self._hash = member_hash
        self._clock = clock
        self._usage = usage
        self._known: OrderedDict[int, tuple[float, Member]] = OrderedDict()

    async def get(self, member_id: int) -> Member:
        """The member's choices, at most :data:`CACHE_SECONDS` old."""
        known = self._known.get(member_id)
        if known is not None and time.monotonic() - known[0] < CACHE_SECONDS:
            self._known.move_to_end(member_id)
            return known[1]
        return await self._read(member_id)

    async def _read(self, member_id: int) -> Member:
        row = await self._rows.get(member_id)
        member = Member(member_id) if row is None else Member(**{**row, "id": member_id})
        self._known[member_id] = (time.monotonic(), member)
        self._known.move_to_end(member_id)
        while len(self._known) > _CACHED:
            self._known.popitem(last=False)
        return member

    async def change(self, member_id: int, values: Mapping[str, Any]) -> Member:
        """Set some of timezone, currency, tariff and locale; None means the default again.

        Raises:
            BadSetting: a value that cannot be; nothing was changed. Time zones must be ids already.
        """
        checked = {field: self._check(field, value) for field, value in values.items()}
        if checked:
            await self._rows.put(member_id, checked, self._clock())
        return await self._read(member_id)

    def _check(self, field: str, value: Any) -> Any:
        if value is None:
            return None
        if field == "currency" and value in self.currencies.codes:
            return None if value == USD else value
        if field == "tariff" and isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= MAX_TARIFF:
            return float(value)
        if field == "locale" and value in LOCALES:
            return value
        if field == "timezone" and isinstance(value, str) and 0 < len(value) <= 64:
            return value
        raise BadSetting(field, value)

    # --- the watchlist ---

    async def watchlist(self, member_id: int) -> list[str]:
        """Slugs of the GPUs that the member follows, oldest first."""
        return [gpu for gpu, _ in await self._rows.watchlist(member_id)]

    async def watch(self, member_id: int, gpu: str) -> Watched:
        """Follow a GPU: ``added``, ``known`` already, or the list is ``full`` (:data:`WATCHLIST_LIMIT`)."""
        return await self._rows.watch(member_id, gpu, self._clock(), WATCHLIST_LIMIT)

    async def unwatch(self, member_id: int, gpu: str) -> bool:
        """Stop following a GPU; False when it was not followed."""
        return await self._rows.unwatch(member_id, gpu)

    # --- what is stored ---

    async def stored(self, member_id: int) -> Stored:
        """Everything that is stored about the member, read now."""
        await self._flush()
        member = await self._read(member_id)
        uses, first = await self._rows.uses(self._hash(member_id))
        return Stored(
            member=member,
            watchlist=await self._rows.watchlist(member_id),
            dm_channel=await self._rows.has_dm_channel(member_id),
            uses=uses,
            first_use=first,
            kept=await self._rows.kept(member_id),
        )

    async def erase(self, member_id: int) -> Erased:
        """Erase everything that :meth:`stored` lists."""
        await self._flush()
        erased = await self._rows.erase(member_id, self._hash(member_id))
        self._known.pop(member_id, None)
        return erased

    async def _flush(self) -> None:
        if self._usage is not None:
            await self._usage.flush()
