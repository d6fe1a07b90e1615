"""The words of a digest, for the card and the e-mail. What others named passes *show*, which makes it harmless."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from config.i18n import Text
from gpuscout.accounts.timezones import zone_of
from gpuscout.cards import price_text as words
from gpuscout.cards.alert_text import Names, rule_text, value_text
from gpuscout.cards.kit import plain
from gpuscout.digests.models import AlertLine, DigestContent, HoldingLine, MoverLine, PortfolioPart
from gpuscout.portfolio.models import DAYS_A_MONTH

Show = Callable[[str], str]
When = Callable[[datetime], str]
"""Makes a time readable: Discord's own mark on cards, words in mails."""
_CENTS = re.compile(r"[.,]00(?!\d)")
_ESCAPED = re.compile(r"\\([\\*_~|`#>\[\]<])")


def title(content: DigestContent, t: Text) -> str:
    """E.g. ``Your day, Nov 24, 2026``."""
    day = t.day(content.until.astimezone(zone_of(content.timezone)).date())
    if content.audience == "server":
        return t("GPU market of the week, {day}", day=day) if weekly(content) else t("GPU market, {day}", day=day)
    return t("Your week, {day}", day=day) if weekly(content) else t("Your day, {day}", day=day)


def weekly(content: DigestContent) -> bool:
    """Whether it tells of a week."""
    return content.cadence == "weekly"


def missed_line(content: DigestContent, t: Text) -> str | None:
    """What a late digest stands for."""
    if content.missed == 0:
        return None
    if content.missed == 1:
        return t("I was away when the last one was due: this one tells of both.")
    return t(
        "I was away when the last {count} were due: this one tells of all of them.", count=t.number(content.missed)
    )


def per_day(usd: float, t: Text) -> str:
    """An amount a day, e.g. ``$1.92/day``."""
    return t("{amount}/day", amount=t.money(round(usd, 2)).replace("-", "−"))


def portfolio_lead(part: PortfolioPart, t: Text) -> str:
    """Expected net income a day and a month."""
    month = _CENTS.sub("", t.money(round(part.net_day * DAYS_A_MONTH))).replace("-", "−")
    return t("{day} net expected, {month} a month", day=per_day(part.net_day, t), month=month)


def portfolio_change(part: PortfolioPart, when: When, t: Text) -> str:
    """How that changed."""
    if part.then_day is None or part.then_at is None:
        return t("No earlier value to compare with; the next digest has one.")
    change = round(part.net_day - part.then_day, 2)
    money = ("+" if change > 0 else "") + t.money(change)
    ratio = change / abs(part.then_day) if part.then_day else None
    share = "" if ratio is None else f" ({t.percent(round(ratio, 3), digits=1, signed=True).replace('-', '−')})"
    said = words.signed(change, money) + share
    said = t("{change} a day since {when}", change=said, when=when(part.then_at))
    if part.then_gpus is None or part.then_gpus == part.gpus:
        return said
    return said + " · " + t("{count} GPUs then", count=t.number(part.then_gpus))


def portfolio_size(part: PortfolioPart, t: Text) -> str:
    """How many GPUs, and what the market's medians would bring."""
    gpus = t("1 GPU") if part.gpus == 1 else t("{count} GPUs", count=t.number(part.gpus))
    said = [gpus, t("{day} at the market's medians", day=per_day(part.market_net_day, t))]
    if part.valued_gpus < part.gpus:
        said.append(t("{count} GPUs without a value", count=t.number(part.gpus - part.valued_gpus)))
    return " · ".join(said)


def holding_line(line: HoldingLine, show: Show, t: Text) -> str:
    """One holding."""
    value = words.NOTHING if line.net_day is None else per_day(line.net_day, t)
    standing = {
        "below": t("priced below the market's range"),
        "above": t("priced above the market's range"),
    }.get(line.standing or "")
    said = f"{t.number(line.quantity)} × {show(line.name)} · {value}"
    return f"{said} · {standing}" if standing else said


def alert_line(line: AlertLine, when: When, t: Text) -> str:
    """One alert: its rule, the value that fired, and when. Names in it are escaped."""
    item = line.item
    names = Names(
        gpu=lambda slug: (line.gpu_name or slug) if slug == item.gpu else slug,
        platform=lambda slug: (line.platform_name or slug) if slug == item.platform else slug,
    )
    said = rule_text(item.when, names, t)
    if item.after is not None and item.metric is not None:
        # What a rule over a portfolio or a watchlist fired for is not in its own words.
        about = f"{plain(line.gpu_name, 60)} " if line.gpu_name and plain(line.gpu_name, 60) not in said else ""
        said += f" → {about}{value_text(item.metric, item.after, t)}"
    elif item.models:
        said += " → " + ", ".join(plain(model, 40) for model in item.models[:3])
    return f"{said} · {when(item.at)}"


def alerts_heading(content: DigestContent, t: Text) -> str:
    """How many fired."""
    if content.alerts_total == 1:
        return t("1 alert fired")
    return t("{count} alerts fired", count=t.number(content.alerts_total))


def more_alerts(content: DigestContent, t: Text) -> str | None:
    """That there are more than are listed."""
    left = content.alerts_total - len(content.alerts)
    return t("and {count} more", count=t.number(left)) if left > 0 else None


def movers_heading(content: DigestContent, t: Text) -> str:
    """What the lines of movers show."""
    if content.audience == "server":
        return t("Moved most in 7 d") if weekly(content) else t("Moved most in 24 h")
    return t("Your GPUs in the market, over 7 d") if weekly(content) else t("Your GPUs in the market, over 24 h")


def no_movers(content: DigestContent, t: Text) -> str:
    """Why there are no lines of movers."""
    if content.as_of is None:
        return t("The market's data are too old to show; prices come with the next digest.")
    if content.audience == "server":
        return t("No price moved.")
    return t("None of your GPUs is listed right now.")


def mover_line(line: MoverLine, home: str | None, show: Show, t: Text, *, use: bool) -> str:
    """One model: change, name, price, and where wanted the rented share; its platform only where that is not *home*."""
    ratio = None if line.ratio is None else round(line.ratio, 3)
    change = words.NOTHING if ratio is None else words.signed(ratio, t.percent(ratio, digits=1, signed=True))
    said = f"{change} {_named(line, home, show, t)}"
    return f"{said} · {_rented(line, t)}" if use and line.utilization is not None else said


def busy_line(line: MoverLine, home: str | None, show: Show, t: Text) -> str:
    """One model by how much of it is rented."""
    return f"{_rented(line, t)} {_named(line, home, show, t)}"


def _named(line: MoverLine, home: str | None, show: Show, t: Text) -> str:
    place = "" if line.platform == home else f" ({show(line.platform_name)})"
    price = words.NOTHING if line.price is None else t.money(line.price, per="h")
    return f"**{show(line.name)}**{place} {price}" + (" ⚠️" if line.weak else "")


def _rented(line: MoverLine, t: Text) -> str:
    share = words.NOTHING if line.utilization is None else t.percent(line.utilization)
    return t("{share} rented", share=share)


def empty(t: Text) -> str:
    """A digest of a member who follows nothing."""
    return t(
        "There is nothing of yours to tell of yet: follow a GPU with `/watchlist add` or add your own with "
        "`/portfolio add`, and they are here next time."
    )


def small_print(content: DigestContent, t: Text) -> list[str]:
    """What the figures are."""
    said = []
    if content.portfolio is not None:
        said.append(t("Net: after the platform's fee and electricity, at your asked prices and the share rented now."))
    if content.movers or content.busiest:
        said.append(t("Prices: median of all listed GPUs, USD per GPU-hour, as renters pay."))
        if any(line.weak for line in (*content.movers, *content.busiest)):
            said.append("⚠️ " + t("thin sample"))
    return said
