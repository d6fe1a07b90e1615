"""From a row of a history file to observations: every text resolved, every number checked, or a reason why not."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from config.catalogue import GpuCatalogue
from config.gpu_names import key as name_key
from config.platforms import PlatformCatalogue
from gpuscout.market.history_file import Cells
from gpuscout.market.models import ANY, GLOBAL, SEGMENTS, SeriesKey, Tier, Verification
from gpuscout.market.rollup import DAY

NO_SOURCE: Final = "backfill"
"""Source of rows that name none."""
MAX_PRICE: Final = 1_000.0
"""USD per GPU-hour: nothing costs more; a larger figure is another unit."""
EARLIEST: Final = datetime(2010, 1, 1, tzinfo=UTC)
"""No GPU was rented by the hour before; an earlier time is a wrong column."""

_TIERS: Final = {
    "": Tier.ON_DEMAND,
    "on_demand": Tier.ON_DEMAND,
    "ondemand": Tier.ON_DEMAND,
    # A statistic over many offers says how the figure was made, not how capacity is sold: the offers are on demand.
    "aggregate": Tier.ON_DEMAND,
    "spot": Tier.SPOT,
    "bid": Tier.SPOT,
    "interruptible": Tier.SPOT,
    "preemptible": Tier.SPOT,
    "community": Tier.COMMUNITY,
    "community_cloud": Tier.COMMUNITY,
    "secure": Tier.SECURE,
    "secure_cloud": Tier.SECURE,
    "reserved": Tier.RESERVED,
}
_EVERYWHERE: Final = frozenset({"", "any", "all", "global", "worldwide", "none", "-", "*"})
_CLOUDS: Final = {"secure": Tier.SECURE, "community": Tier.COMMUNITY}
_SIDE: Final = re.compile(r"(rented|available|all)/(verified|unverified|all|any)")
_LONGEST_REGION: Final = 64
_LONGEST_SLUG: Final = 32


class Refused(NamedTuple):
    """Why a row is rejected: a reason that can be counted, and what the row says there."""

    reason: str
    value: str


class Measured(NamedTuple):
    """The figures of one observation; NaN is unknown. Prices in USD per GPU-hour, counts in GPUs."""

    price: float = math.nan
    p10: float = math.nan
    p90: float = math.nan
    rented_price: float = math.nan
    available_price: float = math.nan
    rented: float = math.nan
    total: float = math.nan
    utilization: float = math.nan


class Observation(NamedTuple):
    """One price of one series at one instant (epoch seconds)."""

    key: SeriesKey
    ts: int
    source: str
    values: Measured


class SideRow(NamedTuple):
    """One side of a quote (rented, available or all) whose other sides are rows of their own."""

    key: SeriesKey
    ts: int
    source: str
    side: str
    gpus: float
    median: float
    p10: float
    p90: float


class _Place(NamedTuple):
    """What the texts of a row mean: the series of its price and of its spot price."""

    keys: tuple[SeriesKey, ...]
    spot_keys: tuple[SeriesKey, ...]
    tier: Tier
    source: str


class RowReader:
    """Reads rows; remembers what texts mean, for a file repeats a few thousand of them.

    Args:
        now: rows of the day (UTC) that holds it, and later ones, are rejected: their day is not over.
    """

    def __init__(self, catalogue: GpuCatalogue, platforms: PlatformCatalogue, now: datetime) -> None:
        self._catalogue = catalogue
        self._platforms = platforms
        self._until = int(now.timestamp()) // DAY * DAY
        self._now = int(now.timestamp())
        self._sources = {name_key(source.slug): source.slug for source in platforms.sources}
        self._places: dict[tuple[str, ...], _Place | Refused] = {}
        self._times: dict[str, int | Refused] = {}
        self.unknown: dict[str, str] = {}
        """Cleaned names of GPUs that the catalogue does not know, by slug."""

    def read(self, cells: Cells) -> Sequence[Observation | SideRow] | Refused:
        """Observations of a row: one a series that it is about. *cells* are in the order of the file's fields."""
        (
            timestamp,
            platform,
            gpu,
            gpu_raw,
            vram,
            region,
            tier,
            verification,
            segment,
            price_text,
            spot_text,
            p10_text,
            p90_text,
            rented_price,
            available_price,
            rented_text,
            total_text,
            utilization,
            offers,
            availability,
            source,
        ) = cells
        ts = self._time(timestamp)
        if isinstance(ts, Refused):
            return ts
        side = _SIDE.fullmatch(availability.strip().lower()) if "/" in availability else None
        if side is not None:
            verification = side[2].replace("all", ANY)
        texts = (platform, gpu, gpu_raw, vram, region, tier, verification, segment, source)
        place = self._places.get(texts)
        if place is None:
            place = self._places[texts] = self._place(*texts)
        if isinstance(place, Refused):
            return place
        try:
            price, spot = _price("price", price_text), _price("spot_price", spot_text)
            band = _band(p10_text, p90_text)
            if side is not None:
                return _side_rows(place, ts, side[1], _count("n_offers", offers), price, band)
            rented, total = _gpus(rented_text, total_text)
            values = Measured(
                price,
                *band,
                _price("rented_price", rented_price),
                _price("available_price", available_price),
                rented,
                total,
                # Where GPUs are counted, utilization follows from them.
                _share("utilization", utilization) if math.isnan(total) else math.nan,
            )
            return _observations(place, ts, values, spot)
        except _Wrong as wrong:
            return Refused(wrong.reason, wrong.value)

    def _time(self, text: str) -> int | Refused:
        found = self._times.get(text)
        if found is None:
            if len(self._times) > 200_000:
                self._times.clear()
            found = self._times[text] = self._parse_time(text.strip())
        return found

    def _parse_time(self, text: str) -> int | Refused:
        if not text:
            return Refused("timestamp is missing", "")
        try:
            if re.fullmatch(r"\d{9,13}(\.\d+)?", text):
                number = float(text)
                at = datetime.fromtimestamp(number / 1000 if number >= 1e11 else number, UTC)
            else:
                at = datetime.fromisoformat(text)
                at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            return Refused("timestamp is neither ISO 8601 nor epoch seconds", text)
        if at < EARLIEST:
            return Refused("timestamp is before 2010", text)
        ts = int(at.timestamp())
        if ts > self._now + 60:
            return Refused("timestamp lies in the future", text)
        if ts >= self._until:
            return Refused("its day (UTC) is not over: load it again tomorrow", text)
        return ts

    def _place(
        self,
        platform: str,
        gpu: str,
        gpu_raw: str,
        vram: str,
        region: str,
        tier: str,
        verification: str,
        segment: str,
        source: str,
    ) -> _Place | Refused:
        try:
            where, sold = self._platform(platform), _tier(tier)
            model = self._gpu(gpu, gpu_raw, vram)
            checked = _one_of("verification", verification, tuple(Verification))
            part = _one_of("segment", segment, SEGMENTS)
            # Some files name a platform's cloud where others name a region.
            if (cloud := _CLOUDS.get(region.strip().lower())) is not None:
                region, sold = "", cloud if sold is Tier.ON_DEMAND else sold
            # A row that names several regions holds in each of them.
            regions = dict.fromkeys(_region(name) for name in region.split(";"))
            keys = tuple(SeriesKey(where, model, name, sold.value, checked, part) for name in regions)
            spot = tuple(SeriesKey(where, model, name, Tier.SPOT.value, checked, part) for name in regions)
            return _Place(keys, spot, sold, self._source(source))
        except _Wrong as wrong:
            return Refused(wrong.reason, wrong.value)

    def _platform(self, text: str) -> str:
        if not text.strip():
            raise _Wrong("platform is missing", text)
        _check_text("platform", text)
        known = self._platforms.get(text.strip().lower()) or self._platforms.resolve(text)
        return known.slug if known is not None else _slug("platform", text)

    def _gpu(self, gpu: str, gpu_raw: str, vram: str) -> str:
        if not (gpu.strip() or gpu_raw.strip()):
            raise _Wrong("gpu is missing", "")
        _check_text("gpu", gpu + gpu_raw)
        size = _number("vram_gb", vram) if vram.strip() else None
        found = self._catalogue.resolve(gpu or gpu_raw, size)
        if not found.known and gpu and gpu_raw:
            other = self._catalogue.resolve(gpu_raw, size)
            found = other if other.known else found
        if not found.known:
            self.unknown[found.slug] = found.cleaned_name
        return found.slug

    def _source(self, text: str) -> str:
        if not text.strip():
            return NO_SOURCE
        _check_text("source", text)
        return self._sources.get(name_key(text)) or _slug("source", text)


class _Wrong(Exception):
    def __init__(self, reason: str, value: str) -> None:
        self.reason, self.value = reason, value
        super().__init__(reason)


def _observations(place: _Place, ts: int, values: Measured, spot: float) -> Sequence[Observation]:
    if place.tier is Tier.SPOT:
        if not math.isnan(spot) and not math.isnan(values.price) and spot != values.price:
            raise _Wrong("a row of tier spot has two prices", f"{values.price} and {spot}")
        values = values._replace(price=spot if math.isnan(values.price) else values.price)
        spot = math.nan
    if math.isnan(values.price) and math.isnan(spot):
        raise _Wrong("has neither price nor spot_price", "")
    found = []
    if not math.isnan(values.price):
        found += [Observation(key, ts, place.source, values) for key in place.keys]
    if not math.isnan(spot):
        found += [Observation(key, ts, place.source, Measured(spot)) for key in place.spot_keys]
    return found


def _side_rows(
    place: _Place, ts: int, side: str, gpus: float, price: float, band: tuple[float, float]
) -> Sequence[SideRow]:
    if math.isnan(price) or math.isnan(gpus):
        raise _Wrong("a row of one side needs price and n_offers (its GPUs)", f"{price}/{gpus}")
    return [SideRow(key, ts, place.source, side, gpus, price, *band) for key in place.keys]


def _band(p10_text: str, p90_text: str) -> tuple[float, float]:
    p10, p90 = _price("price_p10", p10_text), _price("price_p90", p90_text)
    if p10 > p90:
        raise _Wrong("price_p10 is above price_p90", f"{p10_text} > {p90_text}")
    return p10, p90


def _gpus(rented_text: str, total_text: str) -> tuple[float, float]:
    rented, total = _count("rented", rented_text), _count("total", total_text)
    if math.isnan(rented) != math.isnan(total) or rented > total:
        raise _Wrong("rented and total must both be given, rented at most total", f"{rented_text}/{total_text}")
    return rented, total


def _one_of(field: str, text: str, known: Sequence[str]) -> str:
    word = text.strip().lower() or ANY
    if word not in known:
        raise _Wrong(f"{field} is none of {', '.join(known)}", text)
    return word


def _number(field: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _Wrong(f"{field} is not a number", text) from None
    if not math.isfinite(number):
        raise _Wrong(f"{field} is not a finite number", text)
    return number


def _price(field: str, text: str) -> float:
    if not text or text.isspace():
        return math.nan
    number = _number(field, text.strip().lstrip("$"))
    if number <= 0:
        raise _Wrong(f"{field} is not above 0", text)
    if number > MAX_PRICE:
        raise _Wrong(f"{field} is over {MAX_PRICE:,.0f} USD per GPU-hour", text)
    return number


def _count(field: str, text: str) -> float:
    if not text or text.isspace():
        return math.nan
    number = _number(field, text)
    if not 0 <= number <= 1e9:
        raise _Wrong(f"{field} is not a count of GPUs", text)
    return number


def _share(field: str, text: str) -> float:
    if not text or text.isspace():
        return math.nan
    number = _number(field, text)
    if not 0 <= number <= 1:
        raise _Wrong(f"{field} is not between 0 and 1", text)
    return number


def _tier(text: str) -> Tier:
    found = _TIERS.get(re.sub(r"[\s-]+", "_", text.strip().lower()))
    if found is None:
        raise _Wrong("tier is not on-demand, spot, community, secure, reserved or aggregate", text)
    return found


def _region(text: str) -> str:
    word = " ".join(text.split())
    if word.lower() in _EVERYWHERE:
        return GLOBAL
    _check_text("region", text)
    # Letters, digits and the punctuation of place names: what is shown must not be markup.
    kept = "".join(ch for ch in unicodedata.normalize("NFKC", word) if ch.isalnum() or ch in " ,._-()/")
    kept = " ".join(kept.split())
    if not kept or len(kept) > _LONGEST_REGION:
        raise _Wrong("region is no name of at most 64 characters", text)
    return kept.upper() if re.fullmatch(r"[A-Za-z]{2}", kept) else kept


def _slug(field: str, text: str) -> str:
    word = re.sub(r"[^a-z0-9.]+", "-", unicodedata.normalize("NFKC", text).lower())
    word = re.sub(r"[.-]*\.[.-]*|-+", lambda match: "." if "." in match[0] else "-", word).strip(".-")
    if not word or len(word) > _LONGEST_SLUG:
        raise _Wrong(f"{field} is no name of at most {_LONGEST_SLUG} letters and digits", text)
    return word


def _check_text(field: str, text: str) -> None:
    if any("\ud800" <= ch <= "\udfff" for ch in text):
        raise _Wrong(f"{field} is not UTF-8", text.encode("utf-8", "replace").decode())
    if "\x00" in text:
        raise _Wrong(f"{field} holds a NUL character", text.replace("\x00", ""))
