"""The kinds of alerts as the option ``when`` offers them, and how what was typed beside it becomes a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from config.i18n import Text

Needs = Literal["gpu", "level", "window"]
Example = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KindChoice:
    """One kind.

    Attributes:
        slug: the option's value.
        label: what members see.
        words: further words under which it is found.
        about: ``series`` (a GPU, or everything of a portfolio or watchlist), ``machine``, ``holding``, ``other``.
        needs: options that cannot be left out.
        level: an example of the level; empty when there is none.
        window: examples of the window; empty when there is none.
    """

    slug: str
    label: Callable[[Text], str]
    words: str
    about: Literal["series", "machine", "holding", "other"] = "series"
    needs: tuple[Needs, ...] = ("level",)
    level: str = ""
    window: Example = ()


_PRICE: Final = "0.25, 25c, $0.25"
_PERCENT: Final = "10%, -10%, 5c"
_SHARE: Final = "80%"

KINDS: Final[tuple[KindChoice, ...]] = (
    KindChoice("price-below", lambda t: t("price below …"), "cheaper falls under <", level=_PRICE),
    KindChoice("price-above", lambda t: t("price above …"), "dearer rises over >", level=_PRICE),
    KindChoice("price-crosses", lambda t: t("price crosses …, either way"), "cross through", level=_PRICE),
    KindChoice(
        "change",
        lambda t: t("price changes by … within 1 h, 24 h or 7 d"),
        "percent move drop rise up down %",
        level=_PERCENT,
        window=("1h", "24h", "7d"),
    ),
    KindChoice("steps", lambda t: t("every step of … that the price moves"), "step each percent", level="5%, 2c"),
    KindChoice(
        "low", lambda t: t("new lowest price over some days"), "extreme minimum", needs=(), window=("30d", "7d", "90d")
    ),
    KindChoice(
        "high",
        lambda t: t("new highest price over some days"),
        "extreme maximum",
        needs=(),
        window=("30d", "7d", "90d"),
    ),
    KindChoice("utilization-above", lambda t: t("utilization above …"), "busy rented share", level=_SHARE),
    KindChoice("utilization-below", lambda t: t("utilization below …"), "idle rented share", level=_SHARE),
    KindChoice("supply", lambda t: t("at least … GPUs available"), "in stock available count", level="50"),
    KindChoice("none-left", lambda t: t("none left to rent"), "sold out supply empty", needs=()),
    KindChoice("demand-above", lambda t: t("demand above … of 100"), "score", level="80"),
    KindChoice("demand-below", lambda t: t("demand below … of 100"), "score", level="20"),
    KindChoice("spread", lambda t: t("platforms … apart in price"), "gap arbitrage difference", level="20%, 10c"),
    KindChoice("rented-below", lambda t: t("price of rented GPUs below …"), "median rented", level=_PRICE),
    KindChoice("rented-above", lambda t: t("price of rented GPUs above …"), "median rented", level=_PRICE),
    KindChoice("available-below", lambda t: t("price of available GPUs below …"), "median offers", level=_PRICE),
    KindChoice("available-above", lambda t: t("price of available GPUs above …"), "median offers", level=_PRICE),
    KindChoice("machine-rented", lambda t: t("my machine: rented"), "mine hired start", about="machine", needs=()),
    KindChoice("machine-freed", lambda t: t("my machine: given back"), "mine free ended", about="machine", needs=()),
    KindChoice(
        "machine-idle",
        lambda t: t("my machine: idle for some hours"),
        "mine unrented",
        about="machine",
        needs=(),
        window=("12h", "24h", "3d"),
    ),
    KindChoice(
        "machine-gone",
        lambda t: t("my machine: gone from the market"),
        "mine offline delisted missing",
        about="machine",
        needs=(),
    ),
    KindChoice(
        "machine-reliability",
        lambda t: t("my machine: reliability down"),
        "mine uptime",
        about="machine",
        needs=(),
        level="95%",
    ),
    KindChoice(
        "machine-verification",
        lambda t: t("my machine: no longer verified"),
        "mine verified deverified",
        about="machine",
        needs=(),
    ),
    KindChoice(
        "machine-ends",
        lambda t: t("my machine: its listing ends soon"),
        "mine expiry contract",
        about="machine",
        needs=(),
        window=("7d", "3d", "14d"),
    ),
    KindChoice(
        "holding",
        lambda t: t("my price: outside the market's p10–p90"),
        "mine holding asked too cheap too dear",
        about="holding",
        needs=(),
    ),
    KindChoice(
        "fleet",
        lambda t: t("my fleet: expected net earnings move by …"),
        "mine portfolio income earnings",
        about="other",
        level="8%",
    ),
    KindChoice("new-model", lambda t: t("a new GPU model on a platform"), "listed first", about="other", needs=()),
    KindChoice(
        "digest-daily",
        lambda t: t("summary of my alerts, daily"),
        "digest report day",
        about="other",
        needs=(),
        level="8",
    ),
    KindChoice(
        "digest-weekly",
        lambda t: t("summary of my alerts, on Mondays"),
        "digest report week",
        about="other",
        needs=(),
        level="8",
    ),
)
BY_SLUG: Final = {kind.slug: kind for kind in KINDS}
ON_A_GPU: Final = tuple(kind for kind in KINDS if kind.about == "series")
"""Kinds that a price card offers."""


def find_kind(value: str, t: Text) -> KindChoice | None:
    """The kind that *value* (a slug or a label) means."""
    typed = " ".join(value.split()).casefold()
    if kind := BY_SLUG.get(typed.replace(" ", "-")):
        return kind
    for kind in KINDS:
        label = kind.label(t).casefold()
        if typed and typed in (label, label.replace("…", "").strip(), label.split(" …")[0]):
            return kind
    return None


def search_kinds(typed: str, t: Text) -> list[KindChoice]:
    """The kinds whose label or words hold every word of *typed*, in the order of :data:`KINDS`."""
    asked = typed.casefold().split()
    found = []
    for kind in KINDS:
        text = f"{kind.slug} {kind.label(t)} {kind.words}".casefold()
        if all(word in text for word in asked):
            found.append(kind)
    return found
