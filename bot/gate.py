"""What every interaction passes before anything is done for it: age, readiness, blocklist, allowance."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import discord

from bot.skew import ClockSkew
from cogs.errors import Blocked, Starting, TooFast, TooLate
from cogs.services import Blocklist

MAX_AGE: Final = 2.8
"""Seconds after which an interaction cannot be answered any more: Discord gives three."""


class Allowance:
    """A token bucket for each member, in memory.

    ``burst`` uses at once, one more every ``every`` seconds. Members who are back at a full bucket are
    forgotten; at most ``members`` are remembered, the least recent go first.
    """

    def __init__(self, burst: int = 6, every: float = 2.0, members: int = 10_000) -> None:
        self._burst = burst
        self._every = every
        self._limit = members
        self._full_at: OrderedDict[int, float] = OrderedDict()

    def take(self, member: int, now: float) -> float:
        """Use one; 0 when there was one, else the seconds until there is."""
        full_at = max(self._full_at.get(member, now), now)
        if full_at - now > self._burst * self._every:
            full_at = now  # the clock was set back: no reason to shut anyone out for hours
        wait = full_at - now - (self._burst - 1) * self._every
        if wait > 0:
            return wait
        self._full_at[member] = full_at + self._every
        self._full_at.move_to_end(member)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        while self._full_at:
            oldest = next(iter(self._full_at))
            if len(self._full_at) <= self._limit and self._full_at[oldest] > now:
                return
            del self._full_at[oldest]

    def __len__(self) -> int:
        return len(self._full_at)


class Gate:
    """Admits interactions and mentions or says why not."""

    def __init__(
        self,
        *,
        skew: ClockSkew,
        ready: Callable[[], bool],
        blocklist: Blocklist,
        clock: Callable[[], datetime],
        allowance: Allowance | None = None,
    ) -> None:
        self._skew = skew
        self._ready = ready
        self._blocklist = blocklist
        self._clock = clock
        self._allowance = Allowance() if allowance is None else allowance

    async def admit(self, interaction: discord.Interaction[Any]) -> None:
        """Let a command or a click in.

        Raises:
            TooLate, Starting, Blocked, TooFast: why not.
        """
        self.check_age(interaction)
        await self._admit(interaction.user.id, interaction.guild_id)

    async def admit_message(self, user_id: int, guild_id: int | None) -> None:
        """Let a command given by mention in. Raises as :meth:`admit`."""
        await self._admit(user_id, guild_id)

    def check_age(self, interaction: discord.Interaction[Any]) -> None:
        """Raise TooLate when Discord no longer waits for an answer."""
        age = self._skew.age(interaction.created_at.timestamp())
        if age > MAX_AGE:
            raise TooLate(age)

    async def admits_completion(self, interaction: discord.Interaction[Any]) -> bool:
        """Whether to complete what a member types. Free of charge, and never an error."""
        try:
            self.check_age(interaction)
        except TooLate:
            return False
        return self._ready() and not await self._blocklist.blocks(interaction.user.id, interaction.guild_id)

    async def _admit(self, user_id: int, guild_id: int | None) -> None:
        if not self._ready():
            raise Starting
        if await self._blocklist.blocks(user_id, guild_id):
            raise Blocked
        now = self._clock()
        wait = self._allowance.take(user_id, now.timestamp())
        if wait > 0:
            raise TooFast(now + timedelta(seconds=wait))
