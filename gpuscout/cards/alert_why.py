"""Why an alert came, or did not: what was evaluated, what held it back, what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from discord import ui

from config.i18n import Text
from gpuscout.alerts.expand import machine_of, series_of
from gpuscout.alerts.ports import Attempt, LedgerEntry, Watched, Why
from gpuscout.cards import alert_text as words
from gpuscout.cards.alert_proposal import held_text
from gpuscout.cards.alert_state import AlertAction, pack
from gpuscout.cards.kit import ACCENT, Card, fit, plain, relative
from gpuscout.cards.price_text import badge

WATCHED: Final = 6
ENTRIES: Final = 12


def why_card(why: Why, names: words.Names, t: Text, *, simulated: bool = False, ledger: bool = True) -> Card:
    """The answer, newest first.

    Args:
        ledger: whether whoever asks may see where messages went; else only what was watched and when it fired.
    """
    view = why.rule
    guild = view.owner.guild_id if view.owner.server else None
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    mark = f"  {badge(t)}" if simulated else ""
    head = (
        f"## {t('Why?')}{mark}\n**{words.rule_text(view.rule.when, names, t)}**\n-# {words.manners_text(view.rule, t)}"
    )
    container.add_item(ui.TextDisplay(head))
    container.add_item(ui.TextDisplay(fit(_watched(why.watched, names, t), 1200)))
    container.add_item(ui.Separator())
    lines = [
        line for entry in why.entries[:ENTRIES] for line in _entry(entry, view.rule.polls, names, t, ledger=ledger)
    ]
    if not lines:
        lines = [t("Nothing has happened yet: it has neither fired nor been held back.")]
    container.add_item(ui.TextDisplay(fit([f"**{t('What happened')}**", *lines], 2000)))
    if guild is None or ledger:
        button: ui.Button[Card] = ui.Button(
            label=t("Open the alert"), custom_id=pack(AlertAction.OPEN, view.id, guild_id=guild)
        )
        container.add_item(ui.ActionRow(button))
    card = Card()
    card.add_item(container)
    return card


def _watched(watched: Sequence[Watched], names: words.Names, t: Text) -> list[str]:
    """The newest evaluation of each thing, and what the rule waits for."""
    if not watched:
        return [t("Nothing is watched now.")]
    lines = [f"**{t('What I watch')}**"]
    for one in watched[:WATCHED]:
        what = _subject(one.subject, names, t)
        value = words.value_text(one.metric, one.value, t)
        level = words.value_text(one.metric, one.level, t)
        if one.waits_for == "rearm":
            waits = t("has fired; armed again at {level}", level=level)
        elif one.direction > 0:
            waits = t("fires at {level} or more", level=level)
        else:
            waits = t("fires at {level} or less", level=level)
        when = "" if one.at is None else " · " + t("as of {when}", when=relative(one.at))
        name = " ".join(part for part in (what, words.metric_name(one.metric, t)) if part)
        lines.append(f"• {name} **{value}**: {waits}{when}")
    if len(watched) > WATCHED:
        lines.append(t("and {count} more", count=t.number(len(watched) - WATCHED)))
    return lines


def _subject(subject: str | None, names: words.Names, t: Text) -> str:
    if not subject:
        return ""
    series = series_of(subject)
    if series is not None:
        return words.series_text(series.gpu, series.platform, names, t, region=series.region, tier=series.tier)
    machine = machine_of(subject)
    if machine is not None:
        return t("Machine {id}", id=machine[1])
    if subject.count("|") == 3:
        return plain(names.gpu(subject.split("|")[0]), 60)
    return ""


def _entry(entry: LedgerEntry, polls: int, names: words.Names, t: Text, *, ledger: bool) -> list[str]:
    value = words.value_text(entry.metric, entry.value, t) if entry.value is not None else ""
    what = _subject(entry.subject, names, t)
    about = " ".join(part for part in (what, value) if part)
    about = f" – {about}" if about else ""
    if entry.outcome == "held":
        span = (
            ""
            if entry.count <= 1
            else " "
            + t("({count} readings, to {when})").format(count=t.number(entry.count), when=relative(entry.last_at))
        )
        return [f"⏸ {relative(entry.at)} **{t('held back')}**{about}{span}\n-# {_reason(entry, polls, t)}"]
    name = {
        "fired": t("fired"),
        "repeated": t("fired again while it lasted"),
        "expired": t("ended"),
        "tested": t("sample sent"),
        "digest": t("summary sent"),
    }[entry.outcome]
    lines = [f"🔔 {relative(entry.at)} **{name}**{about}"]
    if ledger:
        lines += [f"-# {line}" for line in _delivery(entry, t)]
    return lines


def _reason(entry: LedgerEntry, polls: int, t: Text) -> str:
    if entry.reason == "muted":
        return t("It fired, but alerts were switched off in the settings.")
    if entry.reason == "polls":
        return t("It must be shown by {count} readings in a row.", count=t.number(polls))
    return held_text(entry.reason, t)


def _delivery(entry: LedgerEntry, t: Text) -> list[str]:
    """Where the message went, or where it is."""
    if entry.notification_id is None:
        return []
    lines = []
    if entry.sent_via is not None and entry.sent_at is not None:
        said = t("sent by {channel} {when}", channel=_channel(entry.sent_via, t), when=relative(entry.sent_at))
        if entry.message_id:
            said += " · " + t("message {id}", id=f"`{plain(entry.message_id, 40)}`")
        lines.append(said)
    else:
        lines.append(
            {
                "pending": t("waiting to be sent"),
                "sending": t("being sent"),
                "failed": t("could not be delivered: every channel failed"),
                "dropped": t("not sent: alerts are switched off"),
            }.get(str(entry.state), t("state unknown"))
        )
    failed = [attempt for attempt in entry.attempts if attempt.outcome != "sent"]
    if entry.state == "sending" and failed and failed[-1].outcome == "unknown":
        failed.pop()  # the try that goes on at this moment
    lines += [_attempt(attempt, t) for attempt in failed[:3]]
    if len(failed) > 3:
        lines.append(t("and {count} more tries", count=t.number(len(failed) - 3)))
    if entry.may_repeat:
        lines.append(t("may have come twice: the answer to a try was lost"))
    lines.append(t("notification {id}", id=f"`{plain(entry.notification_id, 30)}`"))
    return lines


def _attempt(attempt: Attempt, t: Text) -> str:
    outcome = {
        "refused": t("refused"),
        "failed": t("failed"),
        "unknown": t("the answer was lost"),
    }.get(attempt.outcome, attempt.outcome)
    detail = "" if not attempt.detail else f" ({plain(attempt.detail, 80)})"
    return f"{relative(attempt.at)} {_channel(attempt.channel, t)}: {outcome}{detail}"


def _channel(channel: str, t: Text) -> str:
    return {
        "dm": t("direct message"),
        "mention": t("mention"),
        "channel": t("server channel"),
        "email": t("e-mail"),
        "webhook": t("webhook"),
    }.get(channel, plain(channel, 20))
