"""Subscriptions to digests: a member's own, and a server's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gpuscout.accounts.servers import Servers
from gpuscout.accounts.timezones import zone_of
from gpuscout.digests.compose import DigestComposer, Wanted
from gpuscout.digests.models import DigestContent
from gpuscout.digests.ports import DigestRows
from gpuscout.digests.schedule import CADENCES, Cadence, Rhythm, next_slot
from storage.digests import Owner, StoredDigest


class Digests:
    """What members and admins ask of digests."""

    def __init__(
        self, rows: DigestRows, composer: DigestComposer, servers: Servers, *, clock: Callable[[], datetime]
    ) -> None:
        self._rows = rows
        self._composer = composer
        self._servers = servers
        self._clock = clock

    async def get(self, owner: Owner) -> StoredDigest | None:
        """The owner's subscription, or None."""
        return await self._rows.get(owner)

    async def set(
        self, owner: Owner, rhythm: Rhythm, timezone: str, locale: str, channel_id: int | None
    ) -> StoredDigest:
        """Subscribe, or change the subscription. A time that is past today comes the next time.

        Args:
            timezone: the owner's, in which the hour counts.
            channel_id: a server's channel; where a member did it, for a mention there when his DMs are closed.
        """
        now = self._clock()
        values = {
            "cadence": rhythm.cadence,
            "weekday": rhythm.weekday,
            "hour": rhythm.hour,
            "timezone": timezone,
            "locale": locale,
            "channel_id": channel_id,
            "next_at": next_slot(rhythm, zone_of(timezone), now),
            "paused": None,
        }
        return await self._rows.put(owner, values, now)

    async def off(self, owner: Owner) -> bool:
        """End the subscription; False when there was none."""
        return await self._rows.remove(owner)

    async def preview(self, owner: Owner, timezone: str, locale: str, rhythm: Rhythm | None = None) -> DigestContent:
        """What the digest would say now; of the subscription's rhythm, else a daily one."""
        known = await self._rows.get(owner)
        wanted = Wanted(owner, rhythm or (rhythm_of(known) if known else Rhythm()), timezone, locale, last=known)
        if owner.guild_id is not None:
            return await self._composer.for_server(wanted, await self._servers.read(owner.guild_id))
        return await self._composer.for_member(wanted)


def rhythm_of(stored: StoredDigest) -> Rhythm:
    """The stored rule; the default for what another version wrote and this one does not know."""
    cadence: Cadence = next((known for known in CADENCES if known == stored.cadence), "daily")
    return Rhythm(cadence, stored.hour % 24, stored.weekday % 7)


def when_next(stored: StoredDigest, timezone: str, now: datetime) -> datetime:
    """When the next digest is due, in the owner's zone of today."""
    return next_slot(rhythm_of(stored), zone_of(timezone), now) if timezone != stored.timezone else stored.next_at
