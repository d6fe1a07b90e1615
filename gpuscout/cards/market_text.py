"""The words and figures of the market's rankings, shared by the card and the embed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from config.i18n import Text
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import link, plain, relative
from gpuscout.cards.market_state import GLANCE
from gpuscout.market.models import Freshness, Tier
from gpuscout.market.overview import Gone, MarketLine, Overview, Ranking

NOTHING = words.NOTHING


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What a market card shows besides the overview.

    Attributes:
        now: Present time.
        freshness: Band of the newest reading.
        tariff: Electricity in USD per kWh.
        own_tariff: Whether the member set it.
        settings: How to name the command that sets it.
        platform_name: Name of a platform's slug.
        sources: (name, address) of who reported.
        methodology: Address of the page that explains the figures.
        home: The platform that need not be named in each entry, for most are there; None where all are named.
        simulated: Whether the market is a simulator's.
    """

    now: datetime
    freshness: Freshness
    tariff: float
    own_tariff: bool
    settings: str
    platform_name: Callable[[str], str]
    sources: Sequence[tuple[str, str | None]]
    methodology: str | None
    home: str | None = None
    simulated: bool = False


def view_name(view: str, t: Text) -> str:
    """A view as the menu and the heading say it."""
    return {
        GLANCE: t("At a glance"),
        Ranking.UP_DAY.value: t("Up in 24 h"),
        Ranking.DOWN_DAY.value: t("Down in 24 h"),
        Ranking.UP_WEEK.value: t("Up in 7 d"),
        Ranking.DOWN_WEEK.value: t("Down in 7 d"),
        Ranking.UTILIZATION.value: t("Most rented"),
        Ranking.DEMAND.value: t("Highest demand"),
        Ranking.EARNINGS.value: t("Best earners"),
        Ranking.SUPPLY.value: t("Largest supply"),
        Ranking.NEW.value: t("New models"),
        Ranking.GONE.value: t("Vanished models"),
    }[view]


def nothing_to_rank(ranking: Ranking, t: Text) -> str:
    """What an empty ranking says."""
    return {
        Ranking.UP_DAY: t("No price rose within 24 h, as far as readings go back."),
        Ranking.DOWN_DAY: t("No price fell within 24 h, as far as readings go back."),
        Ranking.UP_WEEK: t("No price rose within 7 d, as far as readings go back."),
        Ranking.DOWN_WEEK: t("No price fell within 7 d, as far as readings go back."),
        Ranking.NEW: t("No model was listed for the first time within 7 days."),
        Ranking.GONE: t("No model vanished within 7 days."),
        Ranking.EARNINGS: t("There is no model of which price, host share and board power are all known."),
    }.get(ranking, t("There is nothing to rank yet."))


def place_name(item: MarketLine | Gone, facts: MarketFacts, t: Text) -> str | None:
    """The platform, with its tier where that is not plain on-demand; None where it is said for all."""
    if item.key.tier == Tier.ON_DEMAND:
        return None if item.key.platform == facts.home else plain(facts.platform_name(item.key.platform), 40)
    return f"{plain(facts.platform_name(item.key.platform), 40)}, {words.tier_name(item.key.tier, t)}"


def price(line: MarketLine, t: Text) -> str:
    """The renter's price."""
    return NOTHING if line.quote.price is None else t.money(line.quote.price, per="h")


def moved(line: MarketLine, window: str, t: Text) -> str:
    """The change of the price over a window, with its direction."""
    ratio = line.change(window).price_ratio
    return NOTHING if ratio is None else words.signed(round(ratio, 3), _percent(ratio, t))


def _percent(ratio: float, t: Text) -> str:
    return t.percent(round(ratio, 3), digits=1, signed=True)


def window_name(window: str, t: Text) -> str:
    """A window as a figure names it."""
    return t("24 h") if window == "24h" else t("7 d")


def rented(line: MarketLine, t: Text) -> str:
    """The rented share."""
    use = line.quote.utilization
    return NOTHING if use is None else t("{share} rented", share=t.percent(use))


def sample(line: MarketLine, t: Text) -> str:
    """How many GPUs stand behind the figures."""
    return words.gpus(line.quote, t)


def per_day(usd: float, t: Text) -> str:
    """An amount a day, e.g. ``$1.92/day``."""
    return t("{amount}/day", amount=t.money(round(usd, 2)).replace("-", "−"))


def weak_mark(line: MarketLine, ranking: Ranking | None, t: Text) -> str | None:
    """Why the figures of a line are weak, or None."""
    if not line.quote.sized:
        return None  # the sample says so already
    if line.weak:
        return "⚠️ " + t("thin sample")
    if ranking is not None and by_movement(ranking) and line.moved_weakly(ranking.window):
        return "⚠️ " + t("thin sample then")
    return None


def by_movement(ranking: Ranking) -> bool:
    """Whether a ranking orders by the change of the price."""
    return ranking in (Ranking.UP_DAY, Ranking.DOWN_DAY, Ranking.UP_WEEK, Ranking.DOWN_WEEK)


def lead(item: MarketLine | Gone, ranking: Ranking, facts: MarketFacts, t: Text) -> str:
    """The figure that a ranking orders by."""
    if isinstance(item, Gone):
        return t("last listed {when}", when=relative(item.last_seen))
    if ranking is Ranking.UTILIZATION:
        return rented(item, t)
    if ranking is Ranking.DEMAND:
        return NOTHING if item.quote.demand is None else t("{score} of 100", score=t.number(round(item.quote.demand)))
    if ranking is Ranking.EARNINGS:
        earned = item.earnings(facts.tariff)
        return NOTHING if earned is None else per_day(earned, t)
    if ranking is Ranking.SUPPLY:
        return sample(item, t)
    if ranking is Ranking.NEW and item.first_seen is not None:
        return t("first listed {when}", when=relative(item.first_seen))
    return moved(item, ranking.window, t)


def entry(number: int, item: MarketLine | Gone, ranking: Ranking, facts: MarketFacts, t: Text) -> str:
    """One entry of a ranking in two lines: model with the leading figure, then everything else in small print."""
    name = f"**{number}. {plain(item.gpu_name, 60)}** · {lead(item, ranking, facts, t)}"
    if isinstance(item, Gone):
        last = NOTHING if item.price is None else t.money(item.price, per="h")
        gpus = t("{count} GPUs", count=t.number(round(item.total)))
        return f"{name}\n-# " + _joined(t("last {price}", price=last), gpus, place_name(item, facts, t))
    rest = [price(item, t)]
    if not by_movement(ranking):
        rest.append(moved(item, ranking.window, t))
    if ranking is not Ranking.UTILIZATION:
        rest.append(rented(item, t))
    if ranking is not Ranking.SUPPLY:
        rest.append(sample(item, t))
    return f"{name}\n-# " + _joined(*rest, place_name(item, facts, t), weak_mark(item, ranking, t))


def _joined(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part is not None)


def brief(item: MarketLine | Gone, ranking: Ranking, facts: MarketFacts, t: Text) -> str:
    """One entry in one short line, for the view at a glance."""
    figure = f"{lead(item, ranking, facts, t)} **{plain(item.gpu_name, 40)}**"
    if (place := place_name(item, facts, t)) is not None:
        figure += f" ({place})"
    if isinstance(item, Gone) or ranking in (Ranking.NEW, Ranking.SUPPLY):
        return figure
    mark = " ⚠️" if weak_mark(item, ranking, t) else ""
    return f"{figure} {price(item, t)}{mark}"


def totals(overview: Overview, facts: MarketFacts, window: str | None, t: Text) -> str:
    """Models, GPUs and the rented share of all of them (counts may be added up; prices may not), and what is not said
    of each entry: its place, and over which *window* its price changed."""
    lines = [line for line in overview.current(facts.now) if line.quote.sized]
    total = sum(line.quote.all.count for line in lines)
    share = sum(line.quote.rented.count for line in lines) / total if total else None
    parts = [
        t("{count} models", count=t.number(len({line.key.gpu for line in overview.current(facts.now)}))),
        t("{count} GPUs", count=t.number(total)),
    ]
    if share is not None:
        parts.append(t("{share} rented", share=t.percent(share)))
    parts.append(t("as of {when}", when=relative(overview.newest)))
    about = []
    if facts.home is not None:
        home = plain(facts.platform_name(facts.home), 40)
        alone = all(line.key.platform == facts.home for line in overview.lines)
        about.append(home if alone else t("{platform} where no place is named", platform=home))
    if window is not None:
        about.append(changes_over(window, t))
    return " · ".join(parts) + ("\n-# " + " · ".join(about) if about else "")


def changes_over(window: str, t: Text) -> str:
    """Over which window the changes are that a card shows."""
    return t("changes over {window}", window=window_name(window, t))


def earnings_note(facts: MarketFacts, t: Text, *, brief: bool = False) -> str:
    """What expected earnings are, and whose tariff they assume."""
    tariff = t.money(facts.tariff)
    whose = (
        t("your tariff of {tariff}/kWh", tariff=tariff)
        if facts.own_tariff
        else t("an assumed {tariff}/kWh ({settings} sets yours)", tariff=tariff, settings=facts.settings)
    )
    if brief:
        return t("Earnings: expected for one GPU, after electricity at {whose}.", whose=whose)
    return t(
        "Expected for one GPU: 24 h × rented share × (host's part − board power × {whose}). "
        "Only where a new host can go and all of it is known.",
        whose=whose,
    )


def remarks(overview: Overview, facts: MarketFacts, t: Text) -> list[str]:
    """Everything that weakens the reading, in words."""
    notes = []
    if facts.freshness is Freshness.STALE:
        notes.append(t("Stale: the source was last heard {when}.", when=relative(overview.newest)))
    if overview.flagged:
        notes.append(
            t(
                "Left out: {count} models whose price is absurd against its own history.",
                count=t.number(overview.flagged),
            )
        )
    if facts.simulated:
        notes.append(t("Simulated market: no real prices."))
    return notes


def source_line(facts: MarketFacts, method: int, t: Text) -> str:
    """Who the numbers come from and how they are made."""
    names = ", ".join(link(name, url) for name, url in facts.sources) or NOTHING
    explained = link(t("Methodology v{version}", version=method), facts.methodology)
    return f"{t('Source: {source}', source=names)} · {explained}"
