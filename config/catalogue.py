"""The GPU catalogue: facts about each model, and the way from any spelling to one slug.

Names are resolved once, at the edge. Inside the program a model is its slug:

- a known model, ``rtx-4090``;
- a family, ``a100-sxm4``, when the spelling leaves open which model it is (its series is
  kept apart from those of its members);
- a variant, ``rtx-4090-48gb``, a known model with a memory size it was not sold with;
- an unknown name, ``x-…``, kept under a slug of its own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from config import gpu_names as names
from config.gpu_search import Entry, SearchIndex

CATALOGUE_FILE = Path(__file__).with_name("gpus.toml")

_SIZED_SLUG = re.compile(r"(.+)-(\d{1,4})gb")
_SIZED_NAME = re.compile(r"\s+\d{1,4}GB$")
_LONGEST_TAIL = 16


class CatalogueError(ValueError):
    """The catalogue file contradicts itself; the message names the entry."""


@dataclass(frozen=True, slots=True)
class GpuModel:
    """One GPU as the program knows it.

    Attributes:
        slug: Stable identifier.
        name: Name to show.
        vram_gb: Marketed memory of one GPU in GB; None when the spelling leaves it open.
        architecture: The vendor's name of the generation, or None when unknown.
        tdp_w: Board power in watts as stated by the vendor, or None where not certain.
        aliases: Further spellings.
        popularity: Rank by GPUs hosted, 1 = most; None when the model is not ranked.
        unstated: For a family, what the spelling leaves open ("VRAM unstated").
        members: For a family, the slugs of the models it may mean.
        variant_of: For a variant, the slug of the model or family it departs from.
    """

    slug: str
    name: str
    vram_gb: int | None
    architecture: str | None
    tdp_w: int | None
    aliases: tuple[str, ...] = ()
    popularity: int | None = None
    unstated: str | None = None
    members: tuple[str, ...] = ()
    variant_of: str | None = None

    @property
    def is_family(self) -> bool:
        """Whether this stands for several models."""
        return bool(self.members)

    @property
    def label(self) -> str:
        """The name with what it leaves open: ``A100 SXM4 (VRAM unstated)``."""
        return f"{self.name} ({self.unstated})" if self.unstated else self.name


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name from outside means.

    Attributes:
        slug: Where its series belongs; never empty.
        model: The model, family or variant; None when the name is unknown.
        known: Whether the catalogue knows the name.
        variant: Whether the memory size is one the model was not sold with.
        cleaned_name: The name to show, plain text of 1 to 64 characters.
    """

    slug: str
    model: GpuModel | None
    known: bool
    variant: bool
    cleaned_name: str


class GpuCatalogue:
    """All known models, with look-up by slug, by spelling and by what someone types."""

    def __init__(self, models: Iterable[GpuModel], by_vram: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Build the look-up tables.

        Args:
            models: Models and families.
            by_vram: For a family's slug, the slugs among which a memory size decides.

        Raises:
            CatalogueError: Two entries share a slug, a spelling or a rank, or a family
                names a model that does not exist.
        """
        self._by_slug: dict[str, GpuModel] = {}
        self._by_key: dict[str, GpuModel] = {}
        ranks: dict[int, str] = {}
        for model in models:
            if self._by_slug.setdefault(model.slug, model) is not model:
                raise CatalogueError(f"GPU slug {model.slug!r} is given twice")
            if model.popularity is not None and ranks.setdefault(model.popularity, model.slug) != model.slug:
                raise CatalogueError(f"{model.slug!r} and {ranks[model.popularity]!r} share a rank")
            for spelling in (model.slug, model.name, model.label, *model.aliases):
                owner = self._by_key.setdefault(names.key(spelling), model)
                if owner is not model:
                    raise CatalogueError(f"{spelling!r} is claimed by {owner.slug!r} and {model.slug!r}")
        self._sizes: dict[str, tuple[GpuModel, ...]] = {}
        self._family_of: dict[str, str] = {}
        for family, slugs in (by_vram or {}).items():
            self._sizes[family] = tuple(self._existing(slug, family) for slug in slugs)
            self._family_of.update(dict.fromkeys(slugs, family))
        for model in self._by_slug.values():
            for member in model.members:
                self._existing(member, model.slug)
        self._stems = {_stem(slug): slug for slug in self._by_slug if _stem(slug) not in self._by_slug}

    def _existing(self, slug: str, family: str) -> GpuModel:
        if slug not in self._by_slug:
            raise CatalogueError(f"GPU family {family!r} names the unknown model {slug!r}")
        return self._by_slug[slug]

    @classmethod
    def load(cls, path: Path = CATALOGUE_FILE) -> GpuCatalogue:
        """The catalogue of a TOML file, read once per process and path.

        Raises:
            CatalogueError: The file is not valid TOML, or an entry is wrong.
            OSError: The file cannot be read.
        """
        return _load(path)

    @property
    def models(self) -> tuple[GpuModel, ...]:
        """Every model and family, in the order of the file."""
        return tuple(self._by_slug.values())

    def get(self, slug: str) -> GpuModel | None:
        """The model, family or variant with exactly this slug, else None."""
        if model := self._by_slug.get(slug):
            return model
        match = _SIZED_SLUG.fullmatch(slug)
        base = self._by_slug.get(self._stems.get(match[1], match[1])) if match else None
        if match is None or base is None:
            return None
        found, variant = self._with_vram(base, float(match[2]))
        return found if variant and found.slug == slug else None

    def label_of(self, slug: str) -> str:
        """A model as people call it; its slug when the catalogue does not know it."""
        model = self.get(slug)
        return model.label if model is not None else slug

    def resolve(self, name: str, vram_gb: float | None = None) -> Resolution:
        """Find what ``name`` means.

        Args:
            name: The name as a source or a person spells it; any string.
            vram_gb: Memory of one GPU in GB as the source measured it. It outranks a size
                in the name; a value that cannot be a size is ignored. (Sizes in MB:
                `config.gpu_names.vram_from_mb`.)
        """
        measured = names.usable_vram(vram_gb)
        for spelling, stated in names.lookup_keys(name):
            if base := self._by_key.get(spelling):
                model, variant = self._with_vram(base, measured or names.usable_vram(stated))
                return Resolution(model.slug, model, True, variant, model.name)
        return Resolution(names.unknown_slug(name), None, False, False, names.clean_label(name))

    def _with_vram(self, base: GpuModel, vram_gb: float | None) -> tuple[GpuModel, bool]:
        """``base`` narrowed down or varied by a memory size; True when it is a variant."""
        if vram_gb is None or (base.vram_gb and names.same_vram(vram_gb, base.vram_gb)):
            return base, False
        family = self._by_slug[self._family_of.get(base.slug, base.slug)]
        fitting = [m for m in self._sizes.get(family.slug, ()) if names.same_vram(vram_gb, m.vram_gb or 0)]
        if fitting:
            return min(fitting, key=lambda m: abs((m.vram_gb or 0) - vram_gb)), False
        size = names.marketing_gb(vram_gb)
        return (
            GpuModel(
                slug=f"{_stem(base.slug)}-{size}gb",
                name=f"{_SIZED_NAME.sub('', base.name)} {size}GB",
                vram_gb=size,
                architecture=base.architecture,
                tdp_w=None,  # a modded or cut-down card need not draw what the original does
                unstated=base.unstated if base.is_family and not self._sizes.get(base.slug) else None,
                variant_of=base.slug,
            ),
            True,
        )

    @cached_property
    def _index(self) -> SearchIndex[GpuModel]:
        return SearchIndex(_entry(model, order) for order, model in enumerate(self.models))

    def search(
        self,
        query: str,
        limit: int = 25,
        *,
        popular_first: bool = True,
        extra: Iterable[GpuModel | tuple[str, str] | str] = (),
    ) -> list[GpuModel]:
        """Models for what someone has typed so far, best first.

        Args:
            query: Any text; empty gives the popular models.
            limit: Most results.
            popular_first: Break ties by popularity instead of the order of the file.
            extra: Further candidates that are not in the file: variants, or unknown GPUs as
                (slug, name) or by name alone.

        Returns:
            Matches by whole name, by beginning, by words and by part; only when there are
            none of these, the nearest spellings.
        """
        more: dict[str, GpuModel] = {}
        for item in extra:
            model = self._as_model(item)
            if model.slug not in self._by_slug:
                more.setdefault(model.slug, model)
        entries = [_entry(m, len(self._by_slug) + i) for i, m in enumerate(more.values())]
        results = self._index.search(query, limit, popular_first=popular_first, extra=entries)
        meant = self.resolve(query).model
        if meant is not None and meant not in results and limit > 0:
            results = [meant, *results[: limit - 1]]  # a memory size in the query: "4090 48gb"
        return results

    def suggest(self, name: str, n: int = 3) -> list[GpuModel]:
        """At most ``n`` models whose spelling is near an unknown ``name``; may be empty."""
        return self._index.nearest(name, n)

    def parse_tail(self, text: str) -> tuple[Resolution | None, list[str]]:
        """Split ``"RTX 4090 vast"`` into the GPU it begins with and the words after it.

        The longest beginning that the catalogue knows wins. Returns (None, all words) when
        no beginning is known.
        """
        words = text.split()
        for end in range(min(len(words), _LONGEST_TAIL), 0, -1):
            found = self.resolve(" ".join(words[:end]))
            if found.known:
                return found, words[end:]
        return None, words

    def _as_model(self, item: GpuModel | tuple[str, str] | str) -> GpuModel:
        if isinstance(item, GpuModel):
            return item
        if isinstance(item, str):
            found = self.resolve(item)
            return found.model or GpuModel(found.slug, found.cleaned_name, None, None, None)
        slug, name = item
        return self.get(slug) or GpuModel(slug, names.clean_label(name), None, None, None)


def _stem(slug: str) -> str:
    """The slug without the memory size at its end."""
    match = _SIZED_SLUG.fullmatch(slug)
    return match[1] if match else slug


def _entry(model: GpuModel, order: int) -> Entry[GpuModel]:
    return Entry.of(model, (model.name, model.slug, *model.aliases), model.popularity, order)


def _read(row: Mapping[str, Any]) -> GpuModel:
    """One line of the file as a model; raises KeyError or TypeError when it is wrong."""
    allowed = {*GpuModel.__dataclass_fields__, "by_vram"} - {"variant_of"}
    if unknown := row.keys() - allowed:
        raise TypeError(f"unknown field {sorted(unknown)[0]!r}")
    for field in ("vram_gb", "tdp_w", "popularity"):
        if (value := row.get(field)) is not None and (not isinstance(value, int) or value <= 0):
            raise TypeError(f"{field} must be a whole number above 0")
    return GpuModel(
        slug=str(row["slug"]),
        name=str(row["name"]),
        vram_gb=row.get("vram_gb"),
        architecture=str(row["architecture"]),
        tdp_w=row.get("tdp_w"),
        aliases=tuple(row.get("aliases", ())),
        popularity=row.get("popularity"),
        unstated=row.get("unstated"),
        members=tuple(row.get("members", ())),
    )


@lru_cache(maxsize=8)
def _load(path: Path) -> GpuCatalogue:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        rows: list[Mapping[str, Any]] = [*data["gpu"], *data["family"]]
        models = [_read(row) for row in rows]
        by_vram = {str(row["slug"]): tuple(row["by_vram"]) for row in rows if "by_vram" in row}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CatalogueError(f"GPU catalogue {path.name} cannot be read: {error}") from error
    return GpuCatalogue(models, by_vram)
