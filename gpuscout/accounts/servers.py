"""What a server's admins chose: where the bot answers in public, the market feed, defaults, time zone, alert roles."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Protocol

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.servers import FeedPost, StoredServer

log = structlog.get_logger(__name__)

ERASE_AFTER: Final = timedelta(days=30)
"""How long settings outlive the bot's removal from a server."""
CACHE_SECONDS: Final = 15.0
_CACHED: Final = 5_000

MAX_CHANNELS: Final = 25
MAX_ROLES: Final = 10
"""Discord's menus take no more at once."""

FeedMode = Literal["off", "daily", "moves", "both"]
ACTIVE_MODES: Final = ("daily", "moves", "both")
PauseReason = Literal["permissions", "access", "channel"]

Snowflake = Annotated[int, Field(gt=0, lt=1 << 63)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FeedPause(_Frozen):
    """Why the feed stopped by itself: missing permissions, no access to the channel, or the channel is gone."""

    reason: PauseReason
    at: AwareDatetime
    missing: tuple[str, ...] = ()
    """Names of discord.py's permission flags, where they are known."""


class FeedSettings(_Frozen):
    """The market feed.

    Attributes:
        channel_id: where it posts; None: nowhere yet.
        mode: daily summary, big moves, both, or off.
        hour: local hour (0 to 23) of the daily post, in the server's time zone.
        threshold: change over 24 hours, in percent, that counts as a big move.
        max_posts: posts in one local day, both kinds together.
        ping: whether posts about big moves mention the alert roles.
        since: when channel or mode were last set; a daily post whose time was before that is not made up for.
        paused: set when the feed stopped by itself.
    """

    channel_id: Snowflake | None = None
    mode: FeedMode = "off"
    hour: Annotated[int, Field(ge=0, le=23)] = 9
    threshold: Annotated[float, Field(ge=1, le=100)] = 10.0
    max_posts: Annotated[int, Field(ge=1, le=24)] = 3
    ping: bool = False
    since: AwareDatetime | None = None
    paused: FeedPause | None = None

    @property
    def daily(self) -> bool:
        """Whether a daily post is wanted."""
        return self.mode in ("daily", "both")

    @property
    def moves(self) -> bool:
        """Whether posts about big moves are wanted."""
        return self.mode in ("moves", "both")

    @property
    def running(self) -> bool:
        """Whether it posts now."""
        return self.mode != "off" and self.channel_id is not None and self.paused is None


class ServerSettings(_Frozen):
    """Everything that is stored about a server, besides when the bot came and went.

    Attributes:
        public_channels: where answers may be public; elsewhere only the member who asked sees them. Empty: everywhere.
        gpu, platform: defaults where an option is left out.
        timezone: IANA name of the server's time zone.
        locale: language of the feed, taken from the server's own when an admin sets something.
        roles: roles that alerts and the feed may mention.
    """

    public_channels: Annotated[tuple[Snowflake, ...], Field(max_length=MAX_CHANNELS)] = ()
    feed: FeedSettings = FeedSettings()
    gpu: Annotated[str, Field(max_length=80)] | None = None
    platform: Annotated[str, Field(max_length=32)] | None = None
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    locale: Annotated[str, Field(max_length=10)] | None = None
    roles: Annotated[tuple[Snowflake, ...], Field(max_length=MAX_ROLES)] = ()

    def public_in(self, *channels: int | None) -> bool:
        """Whether an answer in one of these channels (a thread and its parent) may be public."""
        return not self.public_channels or any(channel in self.public_channels for channel in channels)

    def with_feed(self, **values: Any) -> ServerSettings:
        """The same with some of the feed's settings changed.

        Raises:
            pydantic.ValidationError: a value is out of range.
        """
        return self.changed(feed=FeedSettings.model_validate({**self.feed.model_dump(), **values}))

    def changed(self, **values: Any) -> ServerSettings:
        """The same with some settings changed.

        Raises:
            pydantic.ValidationError: a value is out of range.
        """
        return ServerSettings.model_validate({**self.model_dump(), **values})


DEFAULTS: Final = ServerSettings()


class ServerRows(Protocol):
    """Where servers are stored; :class:`storage.servers.ServerStore`."""

    async def get(self, guild_id: int) -> StoredServer | None: ...
    async def change(
        self,
        guild_id: int,
        edit: Callable[[Mapping[str, Any] | None], Mapping[str, Any]],
        at: datetime,
        conn: AsyncConnection | None = None,
    ) -> Mapping[str, Any]: ...
    async def left(self, guild_id: int, erase_at: datetime) -> None: ...
    async def back(self, guild_id: int) -> bool: ...
    async def present(self) -> dict[int, bool]: ...
    async def erase(self, guild_id: int) -> None: ...
    async def newest_post(self, guild_id: int) -> FeedPost | None: ...


def read_settings(stored: Mapping[str, Any] | None, guild_id: int = 0) -> ServerSettings:
    """Stored JSON as settings. What cannot be read (of a newer version, or damaged) counts as the defaults."""
    if stored is None:
        return DEFAULTS
    try:
        return ServerSettings.model_validate(stored)
    except ValidationError as error:
        log.error("server_settings_unreadable", guild=guild_id, errors=error.error_count())
        return DEFAULTS


class Servers:
    """Settings of servers, with a short memory so that every interaction may ask."""

    def __init__(self, rows: ServerRows, *, clock: Callable[[], datetime]) -> None:
        self._rows = rows
        self._clock = clock
        self._known: OrderedDict[int, tuple[float, ServerSettings]] = OrderedDict()

    async def get(self, guild_id: int) -> ServerSettings:
        """A server's settings, at most :data:`CACHE_SECONDS` old."""
        known = self._known.get(guild_id)
        if known is not None and time.monotonic() - known[0] < CACHE_SECONDS:
            self._known.move_to_end(guild_id)
            return known[1]
        return await self.read(guild_id)

    async def read(self, guild_id: int) -> ServerSettings:
        """A server's settings as they are now."""
        stored = await self._rows.get(guild_id)
        return self._remember(guild_id, read_settings(stored.settings if stored else None, guild_id))

    async def change(
        self, guild_id: int, edit: Callable[[ServerSettings], ServerSettings], conn: AsyncConnection | None = None
    ) -> ServerSettings:
        """Change a server's settings with nobody in between; *edit* must only compute.

        Raises:
            pydantic.ValidationError: *edit* made something that cannot be stored; nothing was changed.
        """

        def on_json(stored: Mapping[str, Any] | None) -> Mapping[str, Any]:
            return edit(read_settings(stored, guild_id)).model_dump(mode="json")

        stored = await self._rows.change(guild_id, on_json, self._clock(), conn)
        return self._remember(guild_id, read_settings(stored, guild_id))

    def _remember(self, guild_id: int, settings: ServerSettings) -> ServerSettings:
        self._known[guild_id] = (time.monotonic(), settings)
        self._known.move_to_end(guild_id)
        while len(self._known) > _CACHED:
            self._known.popitem(last=False)
        return settings

    async def newest_post(self, guild_id: int) -> FeedPost | None:
        """The newest post of the server's feed that was sent."""
        return await self._rows.newest_post(guild_id)

    async def left(self, guild_id: int) -> None:
        """The bot was removed: settings are erased after :data:`ERASE_AFTER` unless it comes back."""
        await self._rows.left(guild_id, self._clock() + ERASE_AFTER)
        self._known.pop(guild_id, None)

    async def back(self, guild_id: int) -> bool:
        """The bot is (again) in the server; True when its settings were about to be erased and are kept now."""
        self._known.pop(guild_id, None)
        return await self._rows.back(guild_id)

    async def reconcile(self, there: set[int], ours: Callable[[int], bool]) -> None:
        """Make up for joins and removals while the bot was away.

        Args:
            there: servers the bot is in, as far as this process sees them.
            ours: whether this process would see a server (its shard is here).
        """
        for guild_id, present in (await self._rows.present()).items():
            if not ours(guild_id) or present == (guild_id in there):
                continue
            await (self.back(guild_id) if guild_id in there else self.left(guild_id))

    async def erase(self, guild_id: int) -> None:
        """Erase a server's settings now."""
        await self._rows.erase(guild_id)
        self._known.pop(guild_id, None)
