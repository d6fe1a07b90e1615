"""Time zones in plain words: "Eastern Time", "Berlin", "Germany" and "CET" all find their zone.

Names are Unicode's (CLDR, through Babel) in English and German. The index is made once, in about a tenth of a second:
off the event loop (:func:`warm`).
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_name

LANGUAGES = ("en", "de")

COMMON = (
    "UTC",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/Madrid",
    "Europe/Warsaw",
    "Europe/Kyiv",
    "Europe/Istanbul",
    "Europe/Moscow",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Taipei",
    "Asia/Seoul",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
    "America/Sao_Paulo",
    "America/Toronto",
)
"""Shown before anything is typed, and first among equally good matches: where many hosts and renters live."""

_ALIASES = {
    "UTC": "gmt zulu z universal coordinated time",
    "America/New_York": "est edt et us east usa",
    "America/Chicago": "cst cdt ct us central usa",
    "America/Denver": "mst mdt mt us mountain usa",
    "America/Los_Angeles": "pst pdt pt us west usa",
    "Europe/London": "bst gmt uk britain england",
    "Europe/Berlin": "cet cest mez mesz",
    "Europe/Paris": "cet cest",
    "Europe/Kyiv": "eet eest kiev",
    "Europe/Helsinki": "eet eest",
    "Europe/Moscow": "msk",
    "Asia/Kolkata": "ist calcutta",
    "Asia/Tokyo": "jst",
    "Asia/Seoul": "kst",
    "Asia/Shanghai": "beijing peking",
    "Australia/Sydney": "aest aedt",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone as people find it. ``titles`` and ``city`` are by language; ``words`` is what is searched."""

    id: str
    cities: dict[str, str]
    titles: dict[str, str]
    words: tuple[str, ...]


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    """Every name a zone may have, in lower case, to its canonical spelling."""
    return {name.lower(): name for name in available_timezones() if not name.startswith(("posix", "right", "Factory"))}


def zone_of(name: str | None) -> tzinfo:
    """The zone of a stored name; UTC for None and for a name that this system does not know (any more)."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, or too long
        return ZoneInfo("UTC")


def find_zone(text: str) -> str | None:
    """The zone that *text* (an id, or words that fit one zone best) means; None when nothing fits."""
    typed = text.strip()[:100]
    if not typed:
        return None
    if exact := _known().get(typed.lower().replace(" ", "_")):
        return exact
    found = search(typed, 1)
    return found[0].id if found else None


def search(text: str, limit: int = 25) -> list[Zone]:
    """Zones that fit what is typed, best first; the common ones for nothing."""
    zones = _index()
    wanted = _words(text)
    if not wanted:
        return [zones[name] for name in COMMON if name in zones][:limit]
    scored = []
    for number, zone in enumerate(zones.values()):
        score = _score(zone, wanted)
        if score is not None:
            scored.append((score, number, zone))
    return [zone for _, _, zone in sorted(scored, key=lambda item: item[:2])[:limit]]


def label(zone_id: str, now: datetime, language: str) -> str:
    """E.g. ``New York · Eastern Time (UTC−05:00)``; the offset is that of *now*."""
    zone = _index().get(zone_id)
    offset = _offset(zone_id, now)
    if zone is None:
        return f"{zone_id} ({offset})"
    spoken = "de" if language.startswith("de") else "en"
    title, city = zone.titles[spoken], zone.cities[spoken]
    if zone_id == "UTC":
        return "UTC"
    return f"{city} · {title} ({offset})" if title and title != city else f"{city} ({offset})"


async def warm() -> None:
    """Make the index off the event loop, the first time; await it before the functions above."""
    if not _index.cache_info().currsize:
        await asyncio.to_thread(_index)


def _offset(zone_id: str, now: datetime) -> str:
    delta = now.astimezone(zone_of(zone_id)).utcoffset()
    minutes = round(delta.total_seconds() / 60) if delta is not None else 0
    sign = "−" if minutes < 0 else "+"
    return f"UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _score(zone: Zone, wanted: list[str]) -> int | None:
    """0 is best; None when a word does not fit at all. Whole words count before beginnings."""
    total = 0
    for word in wanted:
        if word in zone.words:
            continue
        if any(known.startswith(word) for known in zone.words):
            total += 1
            continue
        return None
    return total


def _words(text: str) -> list[str]:
    """Lower-case words without accents; "time" says nothing and is left out."""
    flat = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in flat if not unicodedata.combining(char))
    found = re.findall(r"[a-z0-9]+", plain)
    return [word for word in found if word not in ("time", "zone", "zeitzone")] or found


@lru_cache(maxsize=1)
def _index() -> dict[str, Zone]:
    """Every zone that belongs to a territory, and UTC; the common ones first, then by name."""
    territories: dict[str, str] = dict(get_global("zone_territories"))
    aliases: dict[str, str] = dict(get_global("zone_aliases"))
    known = _known()
    ids = {"UTC"} | {name for name in territories if name.lower() in known and not name.startswith("Etc/")}
    # CLDR keeps old spellings (Europe/Kiev); the name of today is the one to store.
    ids = {_MODERN.get(name, name) for name in ids}
    ordered = [name for name in COMMON if name in ids or name.lower() in known]
    ordered += sorted(ids - set(ordered))
    locales = {language: Locale.parse(language) for language in LANGUAGES}
    return {name: _zone(name, territories, aliases, locales) for name in ordered}


_MODERN = {"Europe/Kiev": "Europe/Kyiv", "Asia/Calcutta": "Asia/Kolkata", "Asia/Saigon": "Asia/Ho_Chi_Minh"}
_OLD = {new: old for old, new in _MODERN.items()}


def _zone(name: str, territories: dict[str, str], aliases: dict[str, str], locales: dict[str, Locale]) -> Zone:
    data_name = aliases.get(name, name)
    territory = territories.get(data_name) or territories.get(_OLD.get(name, name), "")
    cities, titles = {}, {}
    said: list[str] = [name.replace("/", " ").replace("_", " "), _ALIASES.get(name, "")]
    for language, locale in locales.items():
        cities[language] = _city(name, data_name, locale)
        titles[language] = _title(data_name, locale)
        country = locale.territories.get(territory, "") if territory not in ("", "001") else ""
        said += [cities[language], titles[language], country]
    return Zone(name, cities, titles, tuple(dict.fromkeys(_words_of(said))))


def _city(name: str, data_name: str, locale: Locale) -> str:
    """The example city: CLDR's, else the last part of the zone's name."""
    for candidate in (data_name, _OLD.get(name, name)):
        info = locale.time_zones.get(candidate)
        if info is not None and "city" in info:
            return str(info["city"])
    return name.rsplit("/", 1)[-1].replace("_", " ")


def _title(name: str, locale: Locale) -> str:
    """E.g. ``Eastern Time``; the name without summer or winter."""
    try:
        return str(get_timezone_name(ZoneInfo(name), width="long", zone_variant="generic", locale=locale))
    except (LookupError, ValueError, OSError):
        return ""


def _words_of(parts: Iterable[str]) -> list[str]:
    return [word for part in parts for word in _words(part)]
