"""The platform catalogue: where GPUs are hosted, on what terms, and who reports the prices."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from config.gpu_names import key
from config.gpu_search import Entry, SearchIndex

PLATFORM_FILE = Path(__file__).with_name("platforms.toml")

WhoMayHost = Literal["open", "existing hosts", "no"]

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[.-][a-z0-9]+)*$", max_length=32)]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[a-z0-9.-]+(?:/[^\s<>\"]*)?$", max_length=200)]


class PlatformError(ValueError):
    """The platform file is wrong; the message names the entry."""


class Platform(BaseModel):
    """One place where GPUs are rented, with what a host needs to know about it.

    Attributes:
        slug: Stable identifier.
        name: Name to show.
        aliases: Further spellings.
        url: The platform's own front page.
        who_may_host: Whether a newcomer can offer a machine there.
        host_sets_price: Whether the host chooses what the renter pays.
        host_share: Part of the renter's price that reaches the host, 0 to 1; None where it
            is not known. An operator's setting may override it.
        colour: ``#RRGGBB`` for charts and cards.
        emoji_name: Name of the application emoji.
        source_links: Where the facts can be checked.
        note: What a reader should know about the facts, or empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: Slug
    name: Annotated[str, Field(min_length=1, max_length=40)]
    aliases: tuple[str, ...] = ()
    url: HttpsUrl
    who_may_host: WhoMayHost
    host_sets_price: bool
    host_share: Annotated[float, Field(gt=0, le=1)] | None = None
    colour: Annotated[str, Field(pattern=r"^#[0-9A-F]{6}$")]
    emoji_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{2,32}$")]
    source_links: tuple[HttpsUrl, ...] = ()
    note: str = ""

    @property
    def colour_value(self) -> int:
        """`colour` as the integer that Discord takes."""
        return int(self.colour[1:], 16)

    @property
    def takes_new_hosts(self) -> bool:
        """Whether advice may send a host there."""
        return self.who_may_host == "open"

    def host_take(self, renter_price: float) -> float | None:
        """What reaches the host of a renter's price, in the same unit; None if unknown."""
        return None if self.host_share is None else renter_price * self.host_share


class Source(BaseModel):
    """Who reported a price, for the citation beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: Slug
    name: Annotated[str, Field(min_length=1, max_length=40)]
    url: HttpsUrl | None = None
    platforms: tuple[Slug, ...]
    simulated: bool


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    platform: tuple[Platform, ...]
    source: tuple[Source, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {platform.slug for platform in self.platform}
        for source in self.source:
            if missing := set(source.platforms) - known:
                raise ValueError(f"source {source.slug!r} names the unknown platform {sorted(missing)[0]!r}")
        return self


class PlatformCatalogue:
    """All known platforms and sources."""

    def __init__(self, platforms: Iterable[Platform], sources: Iterable[Source] = ()) -> None:
        """Build the look-up tables.

        Raises:
            PlatformError: Two platforms share a slug or a spelling, or two sources a slug.
        """
        self.platforms: tuple[Platform, ...] = tuple(platforms)
        self.sources: tuple[Source, ...] = tuple(sources)
        self._by_key: dict[str, Platform] = {}
        for platform in self.platforms:
            for spelling in (platform.slug, platform.name, *platform.aliases):
                owner = self._by_key.setdefault(key(spelling), platform)
                if owner is not platform:
                    raise PlatformError(f"{spelling!r} is claimed by {owner.slug!r} and {platform.slug!r}")
        self._by_slug = {platform.slug: platform for platform in self.platforms}
        self._sources = {source.slug: source for source in self.sources}
        if len(self._sources) != len(self.sources):
            raise PlatformError("two price sources share a slug")

    @classmethod
    def load(cls, path: Path = PLATFORM_FILE) -> PlatformCatalogue:
        """The catalogue of a TOML file, read once per process and path.

        Raises:
            PlatformError: The file is not valid TOML, or an entry is wrong.
            OSError: The file cannot be read.
        """
        return _load(path)

    def get(self, slug: str) -> Platform | None:
        """The platform with exactly this slug, else None."""
        return self._by_slug.get(slug)

    def name_of(self, slug: str) -> str:
        """A platform as people call it; its slug when the catalogue does not know it."""
        platform = self.get(slug)
        return platform.name if platform is not None else slug

    def resolve(self, name: str) -> Platform | None:
        """The platform that ``name`` spells in any known way, else None."""
        return self._by_key.get(key(name))

    def source(self, slug: str) -> Source | None:
        """The price source with exactly this slug, else None."""
        return self._sources.get(slug)

    @cached_property
    def _index(self) -> SearchIndex[Platform]:
        return SearchIndex(
            Entry.of(platform, (platform.name, platform.slug, *platform.aliases), order + 1, order)
            for order, platform in enumerate(self.platforms)
        )

    def search(self, query: str, limit: int = 25) -> list[Platform]:
        """Platforms for what someone has typed so far, best first; all for an empty query."""
        return self._index.search(query, limit)

    def suggest(self, name: str, n: int = 3) -> list[Platform]:
        """At most ``n`` platforms spelled almost like ``name``; may be empty."""
        return self._index.nearest(name, n)


@lru_cache(maxsize=8)
def _load(path: Path) -> PlatformCatalogue:
    try:
        content = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise PlatformError(f"platform catalogue {path.name} cannot be read: {error}") from error
    return PlatformCatalogue(content.platform, content.source)
