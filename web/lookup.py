"""From what a caller wrote to a slug, or a 404 that helps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gpuscout.market.models import MarketUnavailable
from web.problems import Problem, retry_after
from web.services import WebServices


@dataclass(frozen=True, slots=True)
class Found:
    """A model that exists: in the catalogue, or among the quotes under an unknown name."""

    slug: str
    name: str


async def find_gpu(services: WebServices, text: str) -> Found:
    """The model that *text* names by slug or in any usual spelling.

    Raises:
        Problem: 404 with near spellings.
    """
    catalogue = services.catalogue
    if model := catalogue.get(text.lower()):
        return Found(model.slug, model.label)
    resolution = catalogue.resolve(text)
    listed = {slug: name for slug, name, _ in await services.market.known_gpus()}
    for slug in (text.lower(), resolution.slug):
        if slug in listed:
            return Found(slug, listed[slug])
    if resolution.model is not None:
        return Found(resolution.slug, resolution.model.label)
    near = [model.slug for model in catalogue.suggest(text)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "See /api/v1/gpus for all of them."
    raise Problem(404, f"There is no GPU of that name. {hint}", suggestions=near)


async def find_platform(services: WebServices, text: str) -> str:
    """The slug of the platform that *text* names.

    Raises:
        Problem: 404 with near spellings.
    """
    catalogue = services.platforms
    if platform := catalogue.get(text.lower()) or catalogue.resolve(text):
        return platform.slug
    if text.lower() in await services.market.stored_platforms():
        return text.lower()
    near = [platform.slug for platform in catalogue.suggest(text)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "See /api/v1/platforms for all of them."
    raise Problem(404, f"There is no platform of that name. {hint}", suggestions=near)


def unavailable(error: MarketUnavailable) -> Problem:
    """A 503 that says whether there were data once, and when to ask again."""
    wait = error.next_poll_in if error.next_poll_in is not None else timedelta(minutes=1)
    detail = "Data temporarily unavailable." if error.last_seen else "There are no market data yet."
    return Problem(503, detail, headers=retry_after(wait.total_seconds()))
