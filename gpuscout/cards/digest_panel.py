"""The settings of a digest: a member's own, and a server's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import discord
from babel import Locale
from babel.dates import get_day_names
from discord import ui

from config.i18n import Text
from gpuscout.cards.delivery_text import channels_line
from gpuscout.cards.digest_card import OPEN, PREFIX, STOP
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, plain, relative
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.server_card import PLACES, permission_names
from gpuscout.digests.schedule import Rhythm

RHYTHM, HOUR, START = "rhythm", "hour", "start"
SERVER_PREFIX: Final = "dgs1|"
CHANNEL, TEST = "channel", "test"
DAILY: Final = "day"


@dataclass(frozen=True, slots=True)
class DigestFacts:
    """What a panel shows.

    Attributes:
        rhythm: None while there is no digest.
        zone: the time zone in words; ``own_zone`` is False where it is only assumed.
        next_at: when the next one is due; ``last_at``: when the last one came.
        channels: where it arrives, in order.
        muted: whether the member muted digests altogether.
        held_until: until when quiet hours would hold the next one back.
        follows: whether there is anything of the member's to tell of.
        commands: mentions of commands by name.
    """

    rhythm: Rhythm | None
    zone: str
    own_zone: bool = True
    next_at: datetime | None = None
    last_at: datetime | None = None
    channels: Sequence[str] = ()
    muted: bool = False
    held_until: datetime | None = None
    follows: bool = True
    dm_closed: bool = False


def day_name(weekday: int, t: Text) -> str:
    """A weekday, 0 for Monday."""
    return str(get_day_names("wide", context="stand-alone", locale=Locale.parse(t.locale, sep="-"))[weekday])


def clock(hour: int) -> str:
    """A full hour, e.g. ``08:00``."""
    return f"{hour:02}:00"


def rhythm_line(rhythm: Rhythm, t: Text) -> str:
    """E.g. ``every Monday at 08:00``."""
    if rhythm.cadence == "daily":
        return t("every day at {hour}", hour=clock(rhythm.hour))
    return t("every {day} at {hour}", day=day_name(rhythm.weekday, t), hour=clock(rhythm.hour))


def digest_panel(facts: DigestFacts, commands: dict[str, str], note: str | None, t: Text) -> Card:
    """A member's digest.

    Args:
        commands: mentions of the commands that it names.
        note: what was just changed.
    """
    sections = [note] if note else []
    rhythm = facts.rhythm
    if rhythm is None:
        sections.append(
            t(
                "You have no digest. It tells you, daily or weekly at your hour, how your portfolio changed, how your "
                "GPUs moved in the market, and which alerts fired."
            )
        )
        row: Rows = ui.ActionRow()
        row.add_item(_button(t("Turn on"), START, "📰", discord.ButtonStyle.primary))
        row.add_item(_button(t("Preview"), OPEN, "👀"))
        return page_card(Page(t("Your digest"), sections), row)
    lines = [f"**{t('When')}** {rhythm_line(rhythm, t)}, {plain(facts.zone, 120)}"]
    if not facts.own_zone:
        lines.append(f"-# {t('You have set no time zone: {settings} does.', settings=commands['settings'])}")
    if facts.next_at is not None:
        lines.append(f"**{t('Next')}** {_moment(facts.next_at)}")
    if facts.last_at is not None:
        lines.append(f"**{t('Last')}** {relative(facts.last_at)}")
    if facts.held_until is not None:
        lines.append(f"-# 🌙 {t('That lies in your quiet hours: it comes {when}.', when=relative(facts.held_until))}")
    lines.append(f"**{t('Where')}** {channels_line(facts.channels, t)}")
    lines.append(f"-# {t('Other channels and quiet hours: {settings}', settings=commands['settings'])}")
    sections.append("\n".join(lines))
    warnings = []
    if facts.muted:
        warnings.append(t("You muted digests in {settings}, so none is sent.", settings=commands["settings"]))
    if facts.dm_closed:
        warnings.append(
            t("I cannot send you direct messages: allow them in this server's privacy settings, or it comes elsewhere.")
        )
    if not facts.follows:
        warnings.append(
            t(
                "There is nothing of yours to tell of yet: {watch} follows a GPU, {add} adds your own.",
                watch=commands["watchlist add"],
                add=commands["portfolio add"],
            )
        )
    if warnings:
        sections.append("\n".join(f"⚠️ {line}" for line in warnings))
    colour = WARNING if facts.muted or facts.dm_closed else ACCENT
    row = ui.ActionRow()
    row.add_item(_button(t("Preview"), OPEN, "👀"))
    row.add_item(_button(t("Turn off"), STOP, "🔕"))
    selects = rhythm_selects(PREFIX, rhythm, t)
    return page_card(Page(t("Your digest"), sections, colour=colour), *selects, row)


def rhythm_selects(prefix: str, rhythm: Rhythm, t: Text) -> tuple[Rows, Rows]:
    """Menus of the days and of the hour."""
    chosen = DAILY if rhythm.cadence == "daily" else str(rhythm.weekday)
    days = [(DAILY, t("Every day"))] + [(str(day), t("Every {day}", day=day_name(day, t))) for day in range(7)]
    day: ui.Select[Card] = ui.Select(
        custom_id=prefix + RHYTHM,
        placeholder=t("How often"),
        options=[discord.SelectOption(label=name, value=value, default=value == chosen) for value, name in days],
    )
    hour: ui.Select[Card] = ui.Select(
        custom_id=prefix + HOUR,
        placeholder=t("At what hour"),
        options=[
            discord.SelectOption(label=t("at {hour}", hour=clock(each)), value=str(each), default=each == rhythm.hour)
            for each in range(24)
        ],
    )
    return ui.ActionRow(day), ui.ActionRow(hour)


def server_digest_panel(
    channel_id: int | None,
    rhythm: Rhythm | None,
    zone: str,
    next_at: datetime | None,
    missing: Sequence[str],
    *,
    paused: bool,
    gone: bool,
    note: str | None,
    t: Text,
) -> Card:
    """A server's digest.

    Args:
        rhythm: None while there is none.
        missing: names of discord.py's permission flags that the bot lacks in the channel.
        paused: whether it stopped by itself, for the channel took no posts.
        gone: whether the channel does not exist any more.
    """
    sections = [note] if note else []
    if rhythm is None or channel_id is None:
        sections.append(
            t(
                "No digest is posted here. Choose a channel, and every Monday it gets the week of the GPU market, the "
                "alerts of this server that fired, and a chart."
            )
        )
    else:
        lines = [
            f"**{t('When')}** {rhythm_line(rhythm, t)}, {plain(zone, 120)}",
            f"**{t('Where')}** <#{channel_id}>",
        ]
        if next_at is not None and not paused:
            lines.append(f"**{t('Next')}** {_moment(next_at)}")
        sections.append("\n".join(lines))
    if paused:
        sections.append("⏸️ " + t("It has stopped: the channel took no posts. Choose a channel again to go on."))
    if gone:
        sections.append("⚠️ " + t("The channel is gone: choose another one."))
    if missing:
        names = permission_names(missing, t)
        sections.append("⚠️ " + t("In {channel} I lack {names}.", channel=f"<#{channel_id}>", names=names))
    channel: ui.ChannelSelect[Card] = ui.ChannelSelect(
        custom_id=SERVER_PREFIX + CHANNEL,
        placeholder=t("Channel of the digest"),
        channel_types=PLACES,
        default_values=[discord.SelectDefaultValue(id=channel_id, type=discord.SelectDefaultValueType.channel)]
        if channel_id is not None and not gone
        else [],
    )
    rows: list[Rows] = [ui.ActionRow(channel)]
    if rhythm is not None and channel_id is not None:
        rows += rhythm_selects(SERVER_PREFIX, rhythm, t)
        last: Rows = ui.ActionRow()
        last.add_item(_button(t("Test post"), TEST, "🧪", prefix=SERVER_PREFIX))
        last.add_item(_button(t("Turn off"), STOP, "🔕", prefix=SERVER_PREFIX))
        rows.append(last)
    return page_card(Page(t("Server digest"), sections, colour=WARNING if paused or missing or gone else ACCENT), *rows)


def _moment(at: datetime) -> str:
    """Date and time, as each reader's client shows them, and how long until then."""
    return f"<t:{int(at.timestamp())}:f> ({relative(at)})"


def _button(
    label: str,
    action: str,
    emoji: str,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    prefix: str = PREFIX,
) -> ui.Button[Card]:
    return ui.Button(label=label, custom_id=prefix + action, emoji=emoji, style=style)
