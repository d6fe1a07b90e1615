"""The four documents of the specified dialect, validated item by item.

Each is a JSON array of items. Prices: ``{model, platform, region, price, utilization, updated_at}``; utilization and
demand: the same without what they do not speak of (``demand`` in place of ``price``); history: items like prices, many
times each. Numbers may be texts. GPUs are not counted, so every observation is without a size.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from config.countries import country_code
from config.gpu_names import words_of
from config.platforms import PlatformCatalogue
from gpuscout.market.models import ANY, GLOBAL, STALE_LIMIT, Side
from gpuscout.market.sources.base import FeedDocument, Observation, RejectedItem, WrongShape
from gpuscout.market.sources.exporter_schema import MAX_PRICE, Name, first_reason, parse_timestamp

PRICING = "pricing"
MAX_ITEMS = 20_000
MAX_HISTORY_ITEMS = 500_000
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*(?:[A-Za-z$€£%/][A-Za-z$€£%/ .-]*)?")
_FIELDS = {"model", "platform", "region", "price", "utilization", "updated_at", "demand"}
_FULL_PERCENT = 100.0


def parse_number(value: object) -> float:
    """A number, or a text that begins with one and goes on with a unit at most (``"0.75"``, ``"0.75 USD/h"``).

    A text in which more digits follow a comma, a space or a point is refused: its first part would be another number
    than the one meant.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _NUMBER.fullmatch(value) if isinstance(value, str) and len(value) <= 64 else None
    if match is None:
        raise ValueError("not a number")
    return float(match[1])


def _optional(value: object) -> float | None:
    return None if value is None or value == "" else parse_number(value)


Number = Annotated[float, BeforeValidator(parse_number), Field(allow_inf_nan=False)]
OptionalNumber = Annotated[float | None, BeforeValidator(_optional), Field(allow_inf_nan=False)]


class Item(BaseModel):
    """What the items of all four documents share; unknown fields are kept, so that they can be counted."""

    model_config = ConfigDict(extra="allow", frozen=True)

    model: Name
    platform: Name
    region: Annotated[str | None, Field(max_length=200)] = None
    updated_at: str | int | float


class PriceItem(Item):
    """A price, USD per GPU-hour, with the utilization in percent or as a ratio."""

    price: Annotated[Number, Field(gt=0, le=MAX_PRICE)]
    utilization: Annotated[OptionalNumber, Field(ge=0, le=_FULL_PERCENT)] = None


class UtilizationItem(Item):
    """A utilization alone."""

    utilization: Annotated[Number, Field(ge=0, le=_FULL_PERCENT)]


class DemandItem(Item):
    """A demand indicator, 0 to 100 or 0 to 1."""

    demand: Annotated[Number, Field(ge=0, le=_FULL_PERCENT)]


T = TypeVar("T", bound=Item)

Place = tuple[str, str, str]
"""Model as the source spells it, platform slug, region."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Whether a document counts from 0 to 100 or from 0 to 1.

    Its figures other than 0 decide together: above 1 for more than half of them, it is percent; at most 1 for more than
    half of them, it is a ratio. In between nothing can be told, and every figure but 0 is left out. A figure on the
    other side than most of its document contradicts it and is left out too: a ratio is never above 1, and a percentage
    of at most 1 cannot be told from a ratio.
    """

    percent: bool | None

    @classmethod
    def of(cls, figures: Iterable[float]) -> Scale:
        """The scale of a document's figures."""
        known = [figure for figure in figures if figure]
        above = sum(figure > 1 for figure in known)
        below = len(known) - above
        return cls(None if above == below and known else above > below)

    def ratio(self, figure: float) -> float | None:
        """*figure* as a ratio from 0 to 1; None where it contradicts the scale."""
        if figure == 0:
            return 0.0
        if self.percent is None or (figure > 1) is not self.percent:
            return None
        return figure / _FULL_PERCENT if self.percent else figure


class Reading:
    """Items of one document on their way to observations; collects what is rejected and what is unknown."""

    def __init__(self, now: datetime, platforms: PlatformCatalogue) -> None:
        self.rejected: list[RejectedItem] = []
        self.unknown_fields: Counter[str] = Counter()
        self._now = now
        self._platforms = platforms

    def items(self, body: bytes, kind: type[T], limit: int) -> list[tuple[Place, datetime, T]]:
        """Valid items with their place and time.

        Raises:
            WrongShape: the answer is no array of items.
        """
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            raise WrongShape("not JSON") from None
        if not isinstance(data, list):
            raise WrongShape("not a list of items")
        if len(data) > limit:
            raise WrongShape(f"more than {limit} items")
        found: list[tuple[Place, datetime, T]] = []
        for raw in data:
            try:
                item = kind.model_validate(raw)
                found.append((self._place(item), parse_time(item.updated_at, self._now), item))
            except ValidationError as error:
                self.reject(first_reason(error), raw)
            except (ValueError, WrongShape) as error:
                self.reject(str(error), raw)
            else:
                for name in item.model_extra or ():
                    if name not in _FIELDS:
                        self.unknown_fields[f"item.{name}"[:80]] += 1
        return found

    def reject(self, reason: str, raw: object) -> None:
        """Note a rejected item."""
        self.rejected.append(RejectedItem(reason, json.dumps(raw, ensure_ascii=True, default=str)[:2000]))

    def _place(self, item: Item) -> Place:
        known = self._platforms.resolve(item.platform)
        platform = known.slug if known else slug_of(item.platform, 32)
        if not platform:
            raise ValueError("platform: nothing is left of the name")
        region = country_code(item.region or "") or slug_of(item.region or "", 64) or GLOBAL
        return item.model, platform, region


def slug_of(text: str, limit: int) -> str:
    """``text`` as lower-case ASCII words joined by hyphens, at most *limit* characters; may be empty."""
    words = "-".join(words_of(text)).encode("ascii", "ignore").decode()
    return "-".join(part for part in words[:limit].split("-") if part)


def parse_time(value: str | float, now: datetime) -> datetime:
    """An item's time: RFC 3339 with a zone, or milliseconds since 1970 as a number.

    Raises:
        WrongShape: it is neither, or lies before 2021 or in the future.
    """
    if isinstance(value, int | float):
        try:
            return parse_timestamp(datetime.fromtimestamp(value / 1000, UTC).isoformat(), now)
        except (ValueError, OverflowError, OSError):
            raise WrongShape("updated_at: not a time") from None
    try:
        return parse_timestamp(value, now)
    except WrongShape as error:
        raise WrongShape(f"updated_at: {error}") from None


def _scaled(
    reading: Reading, items: Sequence[tuple[Place, datetime, T]], field: str, figure: Callable[[T], float | None]
) -> dict[Place, float]:
    """One figure of each place as a ratio, by the scale of the whole document."""
    known = [(place, at, item, value) for place, at, item in items if (value := figure(item)) is not None]
    scale = Scale.of(value for *_, value in known)
    newest: dict[Place, tuple[datetime, float]] = {}
    for place, at, item, value in known:
        ratio = scale.ratio(value)
        if ratio is None:
            reading.reject(
                f"{field}: percent or ratio cannot be told; left out", item.model_dump(mode="json", include=_FIELDS)
            )
        elif place not in newest or at > newest[place][0]:
            newest[place] = (at, ratio)
    return {place: ratio for place, (_, ratio) in newest.items()}


def _observation(place: Place, at: datetime, price: float, utilization: float | None) -> Observation:
    model, platform, region = place
    return Observation(
        gpu_name=model,
        verification=ANY,
        segment=ANY,
        rented=Side(),
        available=Side(),
        all=Side(median=price),
        region=region,
        platform=platform,
        sized=False,
        utilization=utilization,
        at=at,
    )


def parse_pricing(body: bytes, now: datetime, platforms: PlatformCatalogue) -> FeedDocument:
    """``/api/gpu-pricing``: the current price of each model, platform and region.

    The document's time is that of its newest item. Items more than 4 hours older are no current prices and rejected;
    so is a second item of the same model, platform and region.

    Raises:
        WrongShape: it is no such document at all, or nothing in it is valid.
    """
    reading = Reading(now, platforms)
    items = reading.items(body, PriceItem, MAX_ITEMS)
    read = len({place[0] for place, *_ in items}) + len(reading.rejected)
    if not items:
        raise WrongShape(f"no item is valid ({reading.rejected[0].reason})" if read else "the list of items is empty")
    newest = max(at for _, at, _ in items)
    used = _scaled(reading, items, "utilization", lambda item: item.utilization)
    observations: dict[Place, Observation] = {}
    for place, at, item in items:
        if at < newest - STALE_LIMIT:
            reading.reject("updated_at: more than 4 hours before the newest item", item.model_dump(mode="json"))
        elif place in observations:
            reading.reject("the model is listed twice on its platform and region", item.model_dump(mode="json"))
        else:
            observations[place] = _observation(place, at, item.price, used.get(place))
    return FeedDocument(
        PRICING, newest, now, read, list(observations.values()), reading.rejected, reading.unknown_fields
    )


def parse_shares(
    body: bytes, now: datetime, platforms: PlatformCatalogue, field: str
) -> tuple[dict[Place, float], list[RejectedItem]]:
    """``/api/utilization`` or ``/api/demand``: the figure of each place as a ratio, and what was rejected.

    Args:
        field: ``utilization`` or ``demand``.

    Raises:
        WrongShape: it is no such document at all.
    """
    reading = Reading(now, platforms)
    if field == "utilization":
        ratios = _scaled(reading, reading.items(body, UtilizationItem, MAX_ITEMS), field, lambda item: item.utilization)
    else:
        ratios = _scaled(reading, reading.items(body, DemandItem, MAX_ITEMS), field, lambda item: item.demand)
    return ratios, reading.rejected


def joined(
    document: FeedDocument,
    utilization: Mapping[Place, float],
    demand: Mapping[Place, float],
    rejected: Sequence[RejectedItem],
) -> FeedDocument:
    """*document* with what the other two documents say. The price document's own utilization comes first."""
    observations = []
    for item in document.observations:
        place = (item.gpu_name, item.platform or "", item.region)
        use = item.utilization if item.utilization is not None else utilization.get(place)
        wanted = demand.get(place)
        observations.append(
            replace(item, utilization=use, demand=None if wanted is None else round(wanted * _FULL_PERCENT, 1))
        )
    return replace(document, observations=observations, rejected=[*document.rejected, *rejected])


def parse_historical(
    body: bytes, now: datetime, platforms: PlatformCatalogue, *, before: timedelta = timedelta(0)
) -> tuple[list[Observation], list[RejectedItem]]:
    """``/api/historical``: observations of any time up to *now* less *before*, and what was rejected.

    The scale of utilization is decided over the whole document; an item whose figure contradicts it keeps its price.

    Raises:
        WrongShape: it is no such document at all.
    """
    reading = Reading(now, platforms)
    items = reading.items(body, PriceItem, MAX_HISTORY_ITEMS)
    scale = Scale.of(item.utilization for *_, item in items if item.utilization is not None)
    observations = [
        _observation(place, at, item.price, None if item.utilization is None else scale.ratio(item.utilization))
        for place, at, item in items
        if at <= now - before
    ]
    return observations, reading.rejected
