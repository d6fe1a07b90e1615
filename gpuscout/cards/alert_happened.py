"""What happened, what it means in dollars, and what to do about it: the sentences of an alert."""

from __future__ import annotations

from collections.abc import Callable

from config.i18n import Text
from gpuscout.alerts.messages import AlertItem
from gpuscout.alerts.rules import (
    ChangeRule,
    ExtremeRule,
    FleetRule,
    HoldingRule,
    MachineRule,
    NewModelRule,
    PriceRule,
    SpreadRule,
    StepsRule,
    SupplyRule,
)
from gpuscout.cards.alert_text import Names, metric_name, percent, rule_text, subject, value_text, window_text
from gpuscout.cards.kit import plain, relative
from gpuscout.cards.portfolio_text import signed_money
from gpuscout.portfolio.models import DAYS_A_MONTH

_PRICES = frozenset({"price", "rented_price", "available_price"})


def happened_line(item: AlertItem, names: Names, t: Text) -> str:
    """The title: what happened to what, in one line."""
    when = item.when
    what = plain(names.gpu(item.gpu), 60) if item.gpu is not None else subject(when, names, t)
    after = value_text(item.metric, item.after, t)
    if isinstance(when, PriceRule):
        level = value_text("price", when.level, t)
        said = t("{what} fell below {level}") if item.happened == "below" else t("{what} rose above {level}")
        return said.format(what=what, level=level)
    if isinstance(when, ChangeRule | StepsRule):
        return _moved(item, what, t)
    if isinstance(when, ExtremeRule):
        said = (
            t("{what}: lowest price in {days} days, {price}")
            if when.which == "low"
            else t("{what}: highest price in {days} days, {price}")
        )
        return said.format(what=what, days=t.number(when.days), price=value_text("price", item.price, t))
    if isinstance(when, SupplyRule):
        if when.event == "none_left":
            return t("{what}: none left to rent", what=what)
        return t("{what}: {count} available", what=what, count=t.number(item.after or 0))
    if isinstance(when, SpreadRule):
        return t("{what}: platforms are {amount} apart", what=what, amount=after)
    if isinstance(when, MachineRule):
        return _machine(item, when, t)
    if isinstance(when, HoldingRule):
        said = (
            t("{what}: your price is above the market's p90")
            if item.metric == "p90"
            else t("{what}: your price is below the market's p10")
        )
        return said.format(what=what)
    if isinstance(when, FleetRule):
        ratio = _ratio(item)
        moved = "" if ratio is None else f" {percent(100 * ratio, t, signed=True)}"
        return t("Your fleet's expected net earnings moved{moved}: {after}", moved=moved, after=after)
    if isinstance(when, NewModelRule):
        listed = ", ".join(plain(names.gpu(slug), 60) for slug in item.models[:5]) or what
        return t("New on {platform}: {models}", platform=plain(names.platform(when.platform), 40), models=listed)
    if item.metric is not None and item.kind in ("utilization", "demand"):
        said = (
            t("{what}: {figure} fell to {value}")
            if item.happened in ("below", "down")
            else t("{what}: {figure} rose to {value}")
        )
        return said.format(what=what, figure=metric_name(item.metric, t), value=after)
    return rule_text(when, names, t)


def _ratio(item: AlertItem) -> float | None:
    if item.before is None or item.after is None or not item.before:
        return None
    return (item.after - item.before) / abs(item.before)


def _moved(item: AlertItem, what: str, t: Text) -> str:
    """A change or a step. The value is the change itself, or the price that a fired rule is measured by anew."""
    up = item.happened in ("up", "above")
    metric = item.metric or "price"
    if metric.startswith("change_"):
        dollars = metric.endswith("_usd")
        size = abs(item.after or 0.0)
        amount = t.money(size) if dollars else percent(size, t)
        window = window_text(metric.split("_")[1], t)
        said = t("{what} is up {amount} in {window}") if up else t("{what} is down {amount} in {window}")
        return said.format(what=what, amount=amount, window=window)
    unit = getattr(item.when, "unit", "percent")
    ratio = _ratio(item)
    if unit == "usd" and item.before is not None and item.after is not None:
        amount = t.money(abs(item.after - item.before))
    elif ratio is not None:
        amount = percent(abs(100 * ratio), t)
    else:
        amount = value_text(metric, item.after, t)
    said = t("{what} is up {amount}: now {price}") if up else t("{what} is down {amount}: now {price}")
    return said.format(what=what, amount=amount, price=value_text(metric, item.after, t))


def _machine(item: AlertItem, when: MachineRule, t: Text) -> str:
    number = item.machine_id if item.machine_id is not None else "?"
    value = value_text(item.metric, item.after, t)
    return {
        "rented": t("Machine {id} was rented", id=number),
        "freed": t("Machine {id} was given back", id=number),
        "idle": t("Machine {id}: {value}", id=number, value=value),
        "gone": t("Machine {id} is gone from the market", id=number),
        "reliability": t("Machine {id}: reliability down to {value}", id=number, value=value),
        "verification": t("Machine {id} is no longer verified", id=number),
        "ends": t("Machine {id}: its listing has {value}", id=number, value=value),
    }[when.event]


def story(item: AlertItem, names: Names, t: Text) -> list[str]:
    """The description: values before and after, how old they are, and what is special about this message."""
    lines = []
    if item.test:
        lines.append("🧪 " + t("This is a sample that you asked for: nothing has happened. It came the real way."))
    if item.kind == "machine":
        if item.after is not None and item.metric in ("m_rented", "m_reliability", "m_days_left", "m_idle_hours"):
            lines.append(t("Now **{value}**", value=value_text(item.metric, item.after, t)))
    elif item.after is not None and item.metric != "models":
        now = t("Now **{value}**", value=value_text(item.metric, item.after, t))
        if item.before is not None and item.before != item.after and not item.test:
            now += t(", before {value}", value=value_text(item.metric, item.before, t))
        if item.threshold is not None and item.kind not in ("extreme", "holding"):
            now += t(" · your level {value}", value=value_text(item.metric, item.threshold, t))
        if isinstance(item.when, HoldingRule) and item.threshold is not None:
            now = t(
                "You ask **{asked}**; the {bound} is {value}",
                asked=value_text("price", item.threshold, t),
                bound=metric_name(item.metric, t),
                value=value_text("price", item.after, t),
            )
        lines.append(now)
    if item.price is not None and item.metric not in _PRICES:
        lines.append(t("Price now **{price}**", price=value_text("price", item.price, t)))
    if item.catch_up:
        said = t("Told late: I could not watch at that time.")
        if item.now is not None:
            said += " " + t("It is **{value}** now.", value=value_text(item.metric, item.now, t))
        lines.append("⏳ " + said)
    if item.repeat:
        lines.append("🔁 " + t("It still is beyond your level; you asked to be told again."))
    small = [t("as of {when}", when=relative(item.at))]
    if item.fired_before and not item.test:
        small.append(
            t("fired once before")
            if item.fired_before == 1
            else t("fired {count} times before", count=t.number(item.fired_before))
        )
    lines.append(" · ".join(small))
    return lines


def impact_text(item: AlertItem, t: Text, *, private: bool = True) -> str:
    """Dollars a month: on the member's own holdings where he has some, else for one GPU that is rented all month."""
    if private and item.impact_month is not None:
        amount = signed_money(item.impact_month, t)
        return t("**{amount}** a month on your holdings", amount=amount)
    if item.metric in _PRICES and item.before is not None and item.after is not None and item.before != item.after:
        month = (item.after - item.before) * 24 * DAYS_A_MONTH
        amount = signed_money(month, t)
        return t("{amount} a month for a GPU rented all the time, before fee and power", amount=amount)
    if item.kind in ("machine", "new_model"):
        return t("not known")
    return t("none on your holdings") if private else t("not known")


def action_text(item: AlertItem, mention: Callable[[str], str], t: Text) -> str:
    """What to look at next. It advises, it does not decide."""
    advice, price = mention("portfolio advice"), mention("price")
    when = item.when
    if isinstance(when, MachineRule):
        return {
            "rented": t("Nothing: it earns."),
            "freed": t("Look whether its price still fits the market: {advice}.", advice=advice),
            "idle": t("Look whether its price still fits the market: {advice}.", advice=advice),
            "gone": t("Check that the machine is online and listed on the platform."),
            "reliability": t("Check its connection, heat and drives before renters avoid it."),
            "verification": t("See on the platform why it lost its verification."),
            "ends": t("Extend its listing on the platform, or it takes no new rentals."),
        }[when.event]
    if isinstance(when, HoldingRule):
        return t("Compare your price with what is rented: {advice}.", advice=advice)
    if isinstance(when, FleetRule):
        return t("See which holding it comes from: {show}.", show=mention("portfolio show"))
    if isinstance(when, NewModelRule):
        return t("See what it rents for: {price}.", price=price)
    if isinstance(when, SpreadRule):
        return t(
            "See whether moving pays: {advice}; where to rent: {compare}.", advice=advice, compare=mention("compare")
        )
    if isinstance(when, SupplyRule):
        if when.event == "none_left":
            return t("Hosting it: all are taken, see whether your price is too low: {advice}.", advice=advice)
        return t("Renting: there is choice now, see {price}. Hosting: see {advice}.", price=price, advice=advice)
    if item.happened in ("below", "down") or (isinstance(when, ExtremeRule) and when.which == "low"):
        return t("Hosting: see whether your price still fits: {advice}. Renting: it may be time now.", advice=advice)
    return t("Hosting: see whether you ask too little: {advice}. Renting: compare first: {compare}.").format(
        advice=advice, compare=mention("compare")
    )
