"""What 500.farm's exporter answers, validated item by item.

Shapes as served by ``/vastai-exporter/gpu-stats`` (V1) and ``/gpu-stats/v2``: every statistics object is wrapped in
a one-element array; ``count`` counts GPUs; percentiles are absent for 2 to 9 GPUs and all prices for none; prices
are USD per GPU-hour as the renter pays them, cut to a whole cent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gpuscout.market.models import ANY, Side, Verification, segment_slug
from gpuscout.market.sources.base import FeedDocument, Observation, RejectedItem, WrongShape

MAX_MODELS = 5_000
MAX_PRICE = 10_000.0
"""USD per GPU-hour above which a figure is a defect, not an ask."""
CLOCK_TOLERANCE = timedelta(minutes=5)
_EARLIEST = datetime(2021, 1, 1, tzinfo=UTC)
_ROUNDING = 0.0051
"""Percentiles of whole cents may cross by half a cent."""


def _unwrap(value: object) -> object:
    """The source prints a statistics object as ``[{…}]``; a bare object is taken too."""
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"expected one statistics object, got {len(value)}")
        return value[0]
    return value


def _printable(name: str) -> str:
    if not name.strip():
        raise ValueError("empty name")
    return name


Price = Annotated[float, Field(ge=0, le=MAX_PRICE, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10_000_000, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class _Lenient(BaseModel):
    """Unknown fields are kept, so that they can be counted."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Stats(_Lenient):
    """One statistics object."""

    count: Count
    price_median: Price | None = None
    price_10th_percentile: Price | None = None
    price_90th_percentile: Price | None = None

    @model_validator(mode="after")
    def _plausible(self) -> Stats:
        prices = (self.price_10th_percentile, self.price_median, self.price_90th_percentile)
        if self.count == 0 and any(price is not None for price in prices):
            raise ValueError("prices without GPUs")
        if self.count and self.price_median is None:
            raise ValueError("no median although GPUs are counted")
        known = [price for price in prices if price is not None]
        if any(high + _ROUNDING < low for low, high in pairwise(known)):
            raise ValueError("percentiles out of order")
        return self

    def side(self) -> Side:
        return Side(self.count, self.price_median, self.price_10th_percentile, self.price_90th_percentile)


Wrapped = Annotated[Stats, BeforeValidator(_unwrap)]


def _adds_up(rented: Stats, available: Stats, everything: Stats, what: str) -> None:
    if rented.count + available.count != everything.count:
        raise ValueError(f"{what}: rented {rented.count} + available {available.count} is not all {everything.count}")


class ByVerification(_Lenient):
    """V1: one side, split by verification."""

    verified: Wrapped
    unverified: Wrapped
    all: Wrapped


class BySide(_Lenient):
    """V1: rented, available, all."""

    rented: ByVerification
    available: ByVerification
    all: ByVerification

    @model_validator(mode="after")
    def _consistent(self) -> BySide:
        for name in ("verified", "unverified", "all"):
            _adds_up(getattr(self.rented, name), getattr(self.available, name), getattr(self.all, name), name)
        return self


class ModelV1(_Lenient):
    """V1: one GPU model. ``info.vram`` is the group's maximum, not the model's: it is not used."""

    name: Name
    stats: BySide
    info: dict[str, Any] | None = None

    def observations(self) -> Iterator[Observation]:
        for field, verification in (
            ("all", Verification.ANY),
            ("verified", Verification.VERIFIED),
            ("unverified", Verification.UNVERIFIED),
        ):
            yield Observation(
                gpu_name=self.name,
                verification=verification.value,
                segment=ANY,
                rented=getattr(self.stats.rented, field).side(),
                available=getattr(self.stats.available, field).side(),
                all=getattr(self.stats.all, field).side(),
            )


class CategoryStats(_Lenient):
    """V2: statistics of one category."""

    rented: Wrapped
    available: Wrapped
    all: Wrapped

    @model_validator(mode="after")
    def _consistent(self) -> CategoryStats:
        _adds_up(self.rented, self.available, self.all, "category")
        return self


class Category(_Lenient):
    """V2: datacenter or not × GPUs in the machine × verified or not."""

    datacenter: bool
    gpu_count_range: Literal["1-3", "4-7", "8+"]
    verified: bool
    stats: CategoryStats


class ModelV2(_Lenient):
    """V2: one GPU model with the categories that exist."""

    name: Name
    count: Count
    categories: Annotated[list[Category], Field(max_length=64)]

    @model_validator(mode="after")
    def _consistent(self) -> ModelV2:
        total = sum(category.stats.all.count for category in self.categories)
        if total != self.count:
            raise ValueError(f"categories hold {total} GPUs, the model {self.count}")
        keys = [(c.datacenter, c.gpu_count_range, c.verified) for c in self.categories]
        if len(set(keys)) != len(keys):
            raise ValueError("a category is listed twice")
        return self

    def observations(self) -> Iterator[Observation]:
        for category in self.categories:
            yield Observation(
                gpu_name=self.name,
                verification=(Verification.VERIFIED if category.verified else Verification.UNVERIFIED).value,
                segment=segment_slug(category.datacenter, category.gpu_count_range),
                rented=category.stats.rented.side(),
                available=category.stats.available.side(),
                all=category.stats.all.side(),
            )


_MODELS: Mapping[str, type[ModelV1] | type[ModelV2]] = {"v1": ModelV1, "v2": ModelV2}
_TOP_LEVEL = {"url", "timestamp", "note", "notes", "models"}


def parse_timestamp(value: object, now: datetime) -> datetime:
    """The document's time: RFC 3339 with up to nanoseconds (cut to microseconds), in UTC.

    Raises:
        WrongShape: not a time with a zone, before 2021, or more than five minutes ahead of *now*.
    """
    if not isinstance(value, str):
        raise WrongShape("no timestamp")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise WrongShape("timestamp is not RFC 3339") from None
    if at.tzinfo is None:
        raise WrongShape("timestamp has no time zone")
    at = at.astimezone(UTC)
    if at < _EARLIEST:
        raise WrongShape("timestamp lies before 2021")
    if at > now + CLOCK_TOLERANCE:
        raise WrongShape("timestamp lies in the future; is this machine's clock right?")
    return at


def first_reason(error: ValidationError) -> str:
    """First validation error in one phrase, without the offending value (it goes to the sample)."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "item"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"[:200]


def _count_unknown(model: BaseModel, counter: Counter[str], prefix: str) -> None:
    for name in model.model_extra or ():
        counter[f"{prefix}{name}"[:80]] += 1


def parse_document(feed: str, body: bytes, now: datetime) -> FeedDocument:
    """Validate one answer of the exporter.

    A bad item is rejected with its reason and does not stop the rest; duplicates of a model are rejected after the
    first.

    Args:
        feed: ``v1`` or ``v2``.
        body: the decoded response body.

    Raises:
        WrongShape: the answer is not such a document at all.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise WrongShape("not JSON") from None
    if not isinstance(data, dict):
        raise WrongShape("not a JSON object")
    items = data.get("models")
    if not isinstance(items, list):
        raise WrongShape("no list of models")
    if not items:
        raise WrongShape("the list of models is empty")
    if len(items) > MAX_MODELS:
        raise WrongShape(f"more than {MAX_MODELS} models")
    source_time = parse_timestamp(data.get("timestamp"), now)

    schema = _MODELS[feed]
    observations: list[Observation] = []
    rejected: list[RejectedItem] = []
    unknown: Counter[str] = Counter(key[:80] for key in data if key not in _TOP_LEVEL)
    seen: set[str] = set()
    for item in items:
        try:
            model = schema.model_validate(item)
        except ValidationError as error:
            rejected.append(RejectedItem(first_reason(error), _sample(item)))
            continue
        if model.name in seen:
            rejected.append(RejectedItem("the model is listed twice", _sample(item)))
            continue
        seen.add(model.name)
        _count_unknown(model, unknown, "model.")
        observations.extend(model.observations())
    if not observations:
        raise WrongShape(f"none of {len(items)} models is valid ({rejected[0].reason})")
    return FeedDocument(
        feed=feed,
        source_time=source_time,
        fetched_at=now,
        read=len(items),
        observations=observations,
        rejected=rejected,
        unknown_fields=unknown,
    )


def _sample(item: object) -> str:
    return json.dumps(item, ensure_ascii=True, default=str)[:2000]
