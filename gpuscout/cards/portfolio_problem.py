"""What is wrong with a holding, in one sentence that says what to do."""

from __future__ import annotations

from config.i18n import Text
from gpuscout.cards.kit import plain
from gpuscout.portfolio.checks import EARLIEST_PURCHASE, NAME_LENGTH, QUANTITY, RANGES
from gpuscout.portfolio.models import AlreadyHeld, BadHolding, NoValue, UnknownMachine
from gpuscout.portfolio.tariffs import MAX_WINDOWS


def field_name(field: str, t: Text) -> str:
    """What members call an attribute."""
    names = {
        "gpu": t("the GPU"),
        "quantity": t("the number of GPUs"),
        "name": t("the name"),
        "platform": t("the platform"),
        "machine_id": t("the machine"),
        "region": t("the region"),
        "tier": t("the way it is sold"),
        "verification": t("the verification"),
        "segment": t("the kind of machine"),
        "asked_price": t("the price per GPU-hour"),
        "price": t("the price"),
        "power_w": t("the power draw"),
        "tariff": t("the electricity price"),
        "fee": t("the platform's fee"),
        "purchase_price": t("the purchase price"),
        "cost": t("the purchase price"),
        "purchased_on": t("the day of purchase"),
        "mining_usd_day": t("the mining income"),
        "base": t("the price outside of the windows"),
        "windows": t("the windows"),
        "days": t("the days"),
        "start": t("the start"),
        "end": t("the end"),
    }
    return names.get(field, field)


def bounds(field: str, t: Text) -> str | None:
    """Least and most that an attribute takes, with its unit."""
    if field == "quantity":
        low, high = QUANTITY
        return t("{low} to {high}", low=t.number(low), high=t.number(high))
    if field not in RANGES:
        return None
    least, most = RANGES[field]
    if field == "fee":
        return t("{low} to {high}", low=t.percent(least), high=t.percent(most))
    if field == "power_w":
        return t("{low} to {high} watts a GPU", low=t.number(least), high=t.number(most))
    return t("{low} to {high}", low=t.money(least), high=t.money(most))


def _as_percent(ratio: str, t: Text) -> str | None:
    """A ratio as the member wrote it, in per cent; None when it is no number."""
    try:
        return t.percent(float(ratio))
    except (ValueError, OverflowError):
        return None


def problem_sentence(field: str, value: str, problem: str, t: Text) -> str:
    """The sentence, as plain text: whoever shows it escapes it."""
    name = field_name(field, t)
    shown = value if len(value) <= 60 else value[:59] + "…"
    if problem == "range" and field == "fee":
        shown = _as_percent(value, t) or shown
    if problem == "range" and (limits := bounds(field, t)) is not None:
        return t("“{value}” is not possible for {field}: it takes {limits}.", value=shown, field=name, limits=limits)
    said = {
        "unknown": t("“{value}” is no known value for {field}.", value=shown, field=name),
        "number": t("“{value}” is no number for {field}.", value=shown, field=name),
        "whole": t("“{value}” is not possible for {field}; write a whole number like 8.", value=shown, field=name),
        "date": t("“{value}” is no day for {field}; write it like 2025-12-31.", value=shown, field=name),
        "future": t("“{value}” lies in the future: {field} must be past.", value=shown, field=name),
        "missing": t("{field} is missing.", field=name[:1].upper() + name[1:]),
        "long": t(
            "“{value}” is too long for {field}; at most {limit} characters.", value=shown, field=name, limit=NAME_LENGTH
        ),
        "machine": t("This holding follows a machine of the market, which says {field} itself.", field=name),
        "cells": t("The row has more cells than the first line has columns."),
        "csv": t("From here on the file is not CSV: a quotation mark is not closed, perhaps."),
        "twice": t("Machine {value} is there twice; a portfolio has it once.", value=shown),
        "many": t("At most {limit} windows are kept.", limit=MAX_WINDOWS),
        "window": t("“{value}” is no window; write it like “Mon-Fri 22:00-06:00 0.12”.", value=shown),
        "quarter": t(
            "“{value}” is no quarter of an hour for {field}; write times like 22:15.", value=shown, field=name
        ),
    }
    if problem == "range" and field == "purchased_on":
        return t(
            "“{value}” is too early for {field}: nothing before {day} counts.",
            value=shown,
            field=name,
            day=t.day(EARLIEST_PURCHASE),
        )
    return said.get(problem, t("“{value}” is not possible for {field}.", value=shown, field=name))


def holding_problem(error: BadHolding, t: Text) -> str:
    """The sentence of an error of the domain, escaped."""
    return plain(problem_sentence(error.field, str(error.value), error.problem, t), 400)


def portfolio_problem(error: BaseException, t: Text) -> tuple[str, str] | None:
    """The sentence and the outcome's name of an error of the domain; None for any other error."""
    if isinstance(error, BadHolding):
        return holding_problem(error, t), "bad_value"
    if isinstance(error, UnknownMachine):
        return machine_problem(error, t), "unknown_name"
    if isinstance(error, AlreadyHeld):
        return held_problem(error, t), "refused"
    if isinstance(error, NoValue):
        return value_problem(error, t), "no_data"
    return None


def machine_problem(error: UnknownMachine, t: Text) -> str:
    """A machine that the market does not know."""
    return t("The market does not list a machine {id}; check its number, or add the GPUs by hand.", id=error.machine_id)


def held_problem(_error: AlreadyHeld, t: Text) -> str:
    """A machine that is in the portfolio already."""
    return t("This machine is in your portfolio already; it cannot be there twice.")


def value_problem(error: NoValue, t: Text) -> str:
    """Why no payback can be computed."""
    said = {
        "no_market": t("There are no current market data to compute with; try again in some minutes."),
        "unlisted": t("Nobody lists such GPUs right now, so that there is no income to compute with."),
        "no_platform": t("No platform that takes hosts lists this GPU; name one with the option platform."),
        "no_fee": t("What this platform keeps is not known; give its fee, in percent, with the option fee."),
        "no_power": t("The power draw of this GPU is not known; give it, in watts, with the option power."),
    }
    return said.get(error.reason, t("This cannot be computed right now."))
