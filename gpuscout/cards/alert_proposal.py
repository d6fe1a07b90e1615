"""What a member sees before an alert is saved: what it watches, where it would be told, what it would have done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.accounts.delivery_choices import Quiet
from gpuscout.alerts.backtest import Backtest, NotJudged
from gpuscout.alerts.ports import Current, Preview
from gpuscout.alerts.rules import DigestRule, Rule
from gpuscout.cards import alert_text as words
from gpuscout.cards.kit import fit, plain, relative
from gpuscout.cards.price_card import ChartFile
from gpuscout.cards.price_text import badge

SHOWN: Final = 5
"""Watched things, and dates, that are listed one by one."""
_TEXT: Final = 1100
_ALT: Final = 1024
_TIMED: Final = ("change", "extreme", "machine")
"""Kinds that look at a time."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The back-test of one series; ``name`` is the series in words."""

    name: str
    result: Backtest | NotJudged


@dataclass(frozen=True, slots=True)
class Reach:
    """Where and when an alert would arrive.

    Attributes:
        channels: of the member, in his order.
        place: channel where he makes it, for a mention; None: it cannot be used for one.
        quiet: his quiet hours, with his zone in words.
        critical_passes: whether critical ones come in quiet hours too.
        muted: whether he switched alerts off.
        dm_off: whether his direct messages are switched off because they did not arrive.
        email_on: whether mail goes to an address that he confirmed.
        server_channel, role: of a server's alert, its channel and the role that it mentions.
    """

    channels: Sequence[str] = ()
    place: int | None = None
    quiet: Quiet | None = None
    zone: str = "UTC"
    critical_passes: bool = False
    muted: bool = False
    dm_off: bool = False
    email_on: bool = False
    server_channel: int | None = None
    role: int | None = None


@dataclass(frozen=True, slots=True)
class ProposalFacts:
    """Everything on the card. ``editing`` is whether a stored alert is changed."""

    preview: Preview
    names: words.Names
    reach: Reach
    judged: Sequence[Judged]
    settings: str
    chart: ChartFile | None = None
    simulated: bool = False
    editing: bool = False


def proposal(facts: ProposalFacts, t: Text) -> list[ui.Item[Any]]:
    """The card's content, without its buttons."""
    rule = facts.preview.rule
    title = t("Change this alert?") if facts.editing else t("New alert")
    mark = f"  {badge(t)}" if facts.simulated else ""
    head = [
        f"## {words.SIGNS[rule.manners.severity]} {title}{mark}",
        f"**{words.rule_text(rule.when, facts.names, t)}**",
        f"-# {words.manners_text(rule, t)}",
    ]
    if facts.simulated and rule.kind in _TIMED:
        head.append("-# " + t("Simulated market: its hours and days are those of the demo's clock."))
    items: list[ui.Item[Any]] = [ui.TextDisplay("\n".join(head))]
    if now := current_lines(facts.preview, facts.names, t):
        items.append(ui.TextDisplay(fit(now, _TEXT)))
    items.append(ui.TextDisplay(fit(reach_lines(facts, t), _TEXT)))
    if not isinstance(rule.when, DigestRule):
        items.append(ui.Separator())
        items.append(ui.TextDisplay(fit(judged_lines(facts, t), _TEXT)))
    if facts.chart is not None:
        picture = discord.MediaGalleryItem(f"attachment://{facts.chart.filename}", description=facts.chart.alt[:_ALT])
        items.append(ui.MediaGallery(picture))
    used = facts.preview.used + (0 if facts.editing else 1)
    if facts.preview.limit is not None:
        count = t("{used} of {limit} alerts of your plan", used=t.number(used), limit=t.number(facts.preview.limit))
        items.append(ui.TextDisplay(f"-# {count}"))
    return items


# --- now ---


def current_lines(preview: Preview, names: words.Names, t: Text) -> list[str]:
    """What is watched, as it is now."""
    if not preview.current:
        return []
    seen: dict[tuple[Any, ...], Current] = {}
    for one in preview.current:
        seen.setdefault((one.metric, one.gpu, one.platform, one.region, one.machine_id, one.holding_id), one)
    several = len(seen) > 1
    lines = [f"**{t('Now')}**" if several else ""]
    lines += [_current(one, names, t, named=several) for one in list(seen.values())[:SHOWN]]
    if len(seen) > SHOWN:
        lines.append(t("and {count} more", count=t.number(len(seen) - SHOWN)))
    if not several:
        lines = [f"**{t('Now')}** {lines[1]}"]
    if preview.already:
        said = t("That is beyond the level already: it fires once the value came back and goes there again.")
        lines.append(f"⚠️ {said}")
    reasons = {one.held for one in preview.current if one.held is not None}
    lines += [f"⚠️ {held_text(reason, t)}" for reason in sorted(reasons)]
    return lines


def _current(one: Current, names: words.Names, t: Text, *, named: bool) -> str:
    value = words.value_text(one.metric, one.value, t)
    said = t("not known yet") if one.value is None else f"{words.metric_name(one.metric, t)} {value}"
    if one.price is not None and one.metric not in ("price", "rented_price", "available_price"):
        said += " · " + t("price {price}", price=t.money(one.price, per="h"))
    if one.at is not None:
        said += " · " + t("as of {when}", when=relative(one.at))
    if named:
        what = _what(one, names, t)
        said = f"• {what}: {said}"
    return said


def _what(one: Current, names: words.Names, t: Text) -> str:
    if one.machine_id is not None:
        return t("Machine {id}", id=one.machine_id)
    holding = names.holding(one.holding_id) if one.holding_id else None
    if holding:
        return plain(holding, 60)
    if one.gpu is None:
        return words.metric_name(one.metric, t)
    return words.series_text(one.gpu, one.platform, names, t, region=one.region, tier=one.tier)


def held_text(reason: str | None, t: Text) -> str:
    """Why a firing is held back, in a sentence."""
    return {
        "thin": t("Fewer than 10 GPUs: figures of so few hold the alert back until there are more."),
        "stale": t("The reading is old: it holds the alert back until a fresh one comes."),
        "contradicted": t("Another source says something else: that holds the alert back while it lasts."),
        "outlier": t("The price is absurd against its own history: that holds the alert back."),
        "history": t("There is not enough history yet to judge that."),
        "cooldown": t("It has fired lately: held back until its pause is over."),
        "snoozed": t("Snoozed by you."),
        "unmoved": t("The value has not moved since it fired last."),
        "polls": t("Waiting for further readings that show the same."),
    }.get(str(reason), "")


# --- where ---


def reach_lines(facts: ProposalFacts, t: Text) -> list[str]:
    """Where and when it would arrive."""
    reach = facts.reach
    if reach.server_channel is not None:
        told = t("**Told in** {channel}", channel=f"<#{reach.server_channel}>")
        if reach.role is not None:
            told += ", " + t("mentioning {role}", role=f"<@&{reach.role}>")
        return [told]
    lines = []
    if reach.muted:
        lines.append("⚠️ " + t("You switched alerts off in {settings}: nothing would be sent.", settings=facts.settings))
    names = [channel_name(channel, reach, t) for channel in reach.channels]
    first, *others = [name for name in names if name] or [t("nowhere")]
    told = t("**Told by** {channel}", channel=first)
    if others:
        told += "; " + t("if that fails {channels}", channels=", ".join(others))
    lines.append(told)
    if reach.dm_off:
        lines.append("⚠️ " + t("Your direct messages are switched off: they could not be delivered three times."))
    if reach.quiet is not None:
        span = f"{clock(reach.quiet.start)}–{clock(reach.quiet.end)}"
        if facts.preview.rule.manners.severity == "critical" and reach.critical_passes:
            said = t("Quiet hours {span} ({zone}): this one comes all the same.", span=span, zone=plain(reach.zone, 80))
        else:
            said = t("Quiet hours {span} ({zone}): it waits for their end.", span=span, zone=plain(reach.zone, 80))
        lines.append(f"-# 🌙 {said}")
    return lines


def channel_name(channel: str, reach: Reach, t: Text) -> str:
    """A channel in words; empty where it cannot be used."""
    if channel == "mention":
        return "" if reach.place is None else t("a mention in {channel}", channel=f"<#{reach.place}>")
    email = t("e-mail") if reach.email_on else t("e-mail, if you confirmed an address")
    return {"dm": t("direct message"), "email": email}.get(channel, channel)


def clock(minutes: int) -> str:
    """Minutes after midnight as ``22:00``."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


# --- the back-test ---


def judged_lines(facts: ProposalFacts, t: Text) -> list[str]:
    """What the rule would have done."""
    if not facts.judged:
        said = not_judged_text(NotJudged("kind"), t)
        if facts.preview.rule.kind == "spread":
            said = t("Not judged: a back-test looks at one market at a time, not at a gap between two.")
        return [f"**{t('Last 90 days')}** {said}"]
    if len(facts.judged) == 1:
        return [f"**{t('Last 90 days')}** {line}" if n == 0 else line for n, line in enumerate(_one(facts, t))]
    lines = [f"**{t('Last 90 days')}**"]
    for judged in facts.judged[:SHOWN]:
        if isinstance(judged.result, NotJudged):
            lines.append(f"• {judged.name}: {not_judged_text(judged.result, t)}")
        else:
            count = len(judged.result.firings)
            lines.append(f"• {judged.name}: {_count(count, t)}{_dates(judged.result, t)}")
    if len(facts.judged) > SHOWN:
        lines.append(t("and {count} more", count=t.number(len(facts.judged) - SHOWN)))
    tested = [judged.result for judged in facts.judged if isinstance(judged.result, Backtest)]
    if tested:
        lines.append(f"-# {_basis(min(tested, key=lambda test: test.covered), facts.preview.rule, t)}")
    return lines


def _one(facts: ProposalFacts, t: Text) -> list[str]:
    result = facts.judged[0].result
    if isinstance(result, NotJudged):
        return [not_judged_text(result, t)]
    lines = [f"{_count(len(result.firings), t)}{_dates(result, t)}"]
    if len(result.firings) > 30:
        said = t("That is often: consider another level, or more readings in a row.")
        lines.append(f"⚠️ {said}")
    lines.append(f"-# {_basis(result, facts.preview.rule, t)}")
    return lines


def _count(count: int, t: Text) -> str:
    if count == 0:
        return t("It would not have fired.")
    if count == 1:
        return t("It would have fired **once**")
    return t("It would have fired **{count} times**", count=t.number(count))


def _dates(result: Backtest, t: Text) -> str:
    """The newest dates, in each reader's zone."""
    if not result.firings:
        return ""
    newest = [f"<t:{int(firing.at.timestamp())}:d>" for firing in reversed(result.firings[-SHOWN:])]
    more = len(result.firings) - len(newest)
    said = ": " + ", ".join(newest)
    return said + (" " + t("and {count} earlier", count=t.number(more)) if more else "")


def _basis(result: Backtest, rule: Rule, t: Text) -> str:
    """What the verdict rests on."""
    days = round(result.covered * 90)
    parts = [t("Data of {days} of 90 days, {step}", days=t.number(days), step=step_text(result.step, t))]
    if result.held:
        parts.append(t("{count} readings held back for too few GPUs", count=t.number(result.held)))
    if result.coarse:
        parts.append(t("what came and went within one is not seen"))
    return "; ".join(parts)


def step_text(step: timedelta, t: Text) -> str:
    """How fine the data are."""
    if step >= timedelta(days=1):
        return t("a median a day")
    if step >= timedelta(hours=1):
        return t("a median an hour")
    return t("every reading")


def not_judged_text(result: NotJudged, t: Text) -> str:
    """Why there is no back-test."""
    if result.reason == "too_fine":
        if result.step is not None and result.step >= timedelta(days=1):
            return t("Not judged: what is stored is a median a day, too coarse for this window.")
        return t("Not judged: what is stored is a median an hour, which cannot show a change within one hour.")
    if result.reason == "no_history":
        return t("Not judged: nothing is stored of this series yet.")
    if result.reason == "short":
        return t("Not judged: there are less than two days of data so far.")
    if result.reason == "figure":
        return t("Not judged: what is stored lacks this figure, or does not reach back far enough.")
    return t("Not judged: of this no history is kept.")


# --- afterwards ---


def saved_lines(
    rule: Rule, names: words.Names, t: Text, *, editing: bool, reach: Reach, dm_closed: bool, mention: Any
) -> list[str]:
    """What is said once it is saved."""
    done = t("Saved.") if editing else t("Alert saved.")
    lines = [f"✅ **{done}** {words.rule_text(rule.when, names, t)}"]
    if dm_closed:
        if reach.place is not None and "mention" in reach.channels:
            lines.append(
                "⚠️ "
                + t(
                    "Your direct messages are closed to me: allow them in this server's privacy settings, or I mention "
                    "you in {channel}.",
                    channel=f"<#{reach.place}>",
                )
            )
        else:
            lines.append("⚠️ " + t("Your direct messages are closed to me: allow them, or I can only write e-mail."))
    lines.append(
        "-# " + t("{test} sends a sample, {list} shows all.", test=mention("alert test"), list=mention("alert list"))
    )
    return lines


def when_text(at: datetime) -> str:
    """A time as each reader's client shows it."""
    return f"<t:{int(at.timestamp())}:f>"
