"""From a source's observations to quotes: names resolved, series keyed, demand and flags derived."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.catalogue import GpuCatalogue
from gpuscout.market.demand import Reference, demand
from gpuscout.market.models import THIN_SAMPLE, Quote, QuoteFlag, SeriesKey, Side
from gpuscout.market.outliers import is_outlier
from gpuscout.market.sources.base import FeedDocument, Observation, RejectedItem

_Place = tuple[str, str, str, str]
"""Platform, GPU slug, region, tier: the first four parts of a series."""


@dataclass(frozen=True, slots=True)
class UnknownGpu:
    """A name the catalogue does not know, with the slug it lives under and its cleaned form."""

    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class NormalisedDocument:
    """Quotes of one document."""

    document: FeedDocument
    quotes: Sequence[Quote]
    unknown: Sequence[UnknownGpu]
    rejected: Sequence[RejectedItem]


def flags_of(
    rented: Side, available: Side, total: Side, daily_prices: Sequence[float], *, sized: bool = True
) -> QuoteFlag:
    """Remarks on a quote: thin under ten GPUs, or of unknown size; outlier by the outlier rule."""
    flags = QuoteFlag.NONE
    if not sized:
        flags |= QuoteFlag.UNSIZED
    elif total.count < THIN_SAMPLE:
        flags |= QuoteFlag.THIN
    if is_outlier(total.median, daily_prices):
        flags |= QuoteFlag.OUTLIER
    return flags


def resolve_keys(
    document: FeedDocument, platform: str, catalogue: GpuCatalogue
) -> tuple[list[tuple[SeriesKey, Observation]], list[UnknownGpu], list[RejectedItem]]:
    """Key every observation.

    Two names of one document that resolve to the same model in the same place would blend two groups of machines:
    all of the larger one is kept, all of the other rejected.
    """
    unknown: dict[str, UnknownGpu] = {}
    slugs: dict[tuple[str, float | None], str] = {}
    sizes: defaultdict[_Place, Counter[str]] = defaultdict(Counter)

    def place(item: Observation) -> _Place:
        return (item.platform or platform, slugs[item.gpu_name, item.vram_gb], item.region, item.tier)

    for item in document.observations:
        name = (item.gpu_name, item.vram_gb)
        if name not in slugs:
            resolution = catalogue.resolve(*name)
            slugs[name] = resolution.slug
            if not resolution.known:
                unknown[resolution.slug] = UnknownGpu(resolution.slug, resolution.cleaned_name)
        sizes[place(item)][item.gpu_name] += item.all.count
    winners = {where: min(names, key=lambda name: (-names[name], name)) for where, names in sizes.items()}
    keyed = [
        (SeriesKey(*where, item.verification, item.segment), item)
        for item in document.observations
        if winners[where := place(item)] == item.gpu_name
    ]
    clashes = [
        # As JSON: a name may hold characters that no database takes.
        RejectedItem(f"resolves to {where[1]} like another model of the document", json.dumps(name[:200]))
        for where, names in sizes.items()
        for name in names
        if name != winners[where]
    ]
    return keyed, list(unknown.values()), clashes


def normalise(
    document: FeedDocument,
    *,
    source: str,
    platform: str,
    catalogue: GpuCatalogue,
    references: Mapping[str, Mapping[SeriesKey, Reference]],
    daily_prices: Mapping[SeriesKey, Sequence[float]],
) -> NormalisedDocument:
    """Quotes of a document.

    Args:
        references: by window (``1h``, ``24h``, ``7d``), the counts of each series then.
        daily_prices: the last 14 daily prices of each series, for the outlier rule.
    """
    keyed, unknown, clashes = resolve_keys(document, platform, catalogue)
    then: defaultdict[SeriesKey, dict[str, Reference]] = defaultdict(dict)
    for window, by_series in references.items():
        for key, reference in by_series.items():
            then[key][window] = reference
    quotes = [
        Quote(
            key=key,
            at=item.at or document.source_time,
            fetched_at=document.fetched_at,
            source=source,
            rented=item.rented,
            available=item.available,
            all=item.all,
            demand=demand(item.rented, item.available, item.all, then.get(key, {})) if item.sized else item.demand,
            flags=flags_of(item.rented, item.available, item.all, daily_prices.get(key, ()), sized=item.sized),
            reported_utilization=None if item.sized else item.utilization,
        )
        for key, item in keyed
    ]
    return NormalisedDocument(document, quotes, unknown, [*document.rejected, *clashes])
