"""``/server``: what admins chose, what the feed does, and what the bot lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.accounts.servers import MAX_CHANNELS, MAX_ROLES, FeedPause, ServerSettings
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, plain, relative
from gpuscout.cards.page import Page, page_card

PREFIX: Final = "srv1|"
CHANNELS, EVERYWHERE = "channels", "everywhere"
ROLES, NO_ROLES = "roles", "noroles"
FEED_CHANNEL, FEED_MODE, FEED_FORM, FEED_TEST, FEED_PING, FEED_RESUME = (
    "feedchannel",
    "feedmode",
    "feedform",
    "feedtest",
    "feedping",
    "feedresume",
)
NO_DEFAULTS, ERASE = "nodefaults", "erase"
PLACES: Final = [discord.ChannelType.text, discord.ChannelType.news]
"""Channels that can be chosen."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What is known about a server besides its settings.

    Attributes:
        zone: its time zone in words.
        gpu_name, platform_name: names of the defaults.
        missing: names of discord.py's permission flags that the bot lacks, by channel id.
        gone: chosen channels that do not exist any more.
        next_daily: instant of the next daily post, when there is one.
        last_post: when the feed posted last.
        silent_since: since when a post that was due did not come because the data are stale.
    """

    zone: str
    gpu_name: str | None = None
    platform_name: str | None = None
    missing: Mapping[int, Sequence[str]] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()
    next_daily: datetime | None = None
    last_post: datetime | None = None
    silent_since: datetime | None = None


def permission_name(flag: str, t: Text) -> str:
    """A permission as Discord's settings call it."""
    return {
        "view_channel": t("View Channel"),
        "send_messages": t("Send Messages"),
        "embed_links": t("Embed Links"),
        "attach_files": t("Attach Files"),
        "mention_everyone": t("Mention @everyone, @here and All Roles"),
    }.get(flag, flag.replace("_", " ").title())


def permission_names(flags: Sequence[str], t: Text) -> str:
    """Several of them, quoted."""
    return ", ".join(f"“{permission_name(flag, t)}”" for flag in flags)


def server_card(settings: ServerSettings, facts: ServerFacts, commands: Mapping[str, str], t: Text) -> Card:
    """Everything at a glance; *commands* are mentions of the subcommands by name."""
    lines = [
        f"**{t('Public answers')}** {_channels(settings, t)}\n-# {commands['channels']}",
        f"**{t('Market feed')}** {feed_line(settings, t)}\n-# {commands['feed']}",
        *feed_notes(settings, facts, t),
        f"**{t('Digest')}** {commands['digest']} · **{t('Alerts')}** {commands['alerts']}",
        f"**{t('Defaults')}** {_defaults(facts, t)}\n-# {commands['defaults']}",
        f"**{t('Time zone')}** {plain(facts.zone, 120)}\n-# {commands['timezone']}",
        f"**{t('Alert roles')}** {_mentions('@&', settings.roles) or t('none')}\n-# {commands['roles']}",
    ]
    lacking = lacking_lines(settings, facts, t)
    page = Page(
        t("Settings of this server"),
        ["\n".join(lines), "\n".join(lacking) or "✅ " + t("I lack no permission that these settings need.")],
        footer=t("When I am removed, these settings are kept for 30 days and then erased."),
        colour=WARNING if lacking or settings.feed.paused else ACCENT,
    )
    return page_card(page, _row((t("Erase all settings"), ERASE, "🗑️", True)))


def _mentions(kind: str, ids: Sequence[int]) -> str:
    return " ".join(f"<{kind}{identity}>" for identity in ids)


def _channels(settings: ServerSettings, t: Text) -> str:
    if not settings.public_channels:
        return t("everywhere")
    return t("{channels}; elsewhere only who asks sees them", channels=_mentions("#", settings.public_channels))


def _defaults(facts: ServerFacts, t: Text) -> str:
    chosen = [plain(name, 60) for name in (facts.gpu_name, facts.platform_name) if name]
    return " · ".join(chosen) or t("none")


def feed_line(settings: ServerSettings, t: Text) -> str:
    """What the feed posts, in one sentence."""
    feed = settings.feed
    if feed.mode == "off":
        return t("off")
    if feed.channel_id is None:
        return t("no channel chosen yet")
    parts = []
    if feed.daily:
        parts.append(t("daily at {hour}:00", hour=f"{feed.hour:02}"))
    if feed.moves:
        parts.append(t("on moves of {percent} in 24 h", percent=_percent(feed.threshold, t)))
    most = t("at most {count} a day", count=feed.max_posts)
    return f"<#{feed.channel_id}> · {' · '.join(parts)} · {most}"


def _percent(value: float, t: Text) -> str:
    return t.percent(value / 100, digits=0 if value == round(value) else 1)


def feed_notes(settings: ServerSettings, facts: ServerFacts, t: Text) -> list[str]:
    """Why it is silent, when it posted and when it will."""
    feed = settings.feed
    notes: list[str] = []
    if feed.mode == "off" or feed.channel_id is None:
        return notes
    if feed.paused is not None:
        notes.append("⏸️ " + pause_sentence(feed.paused, feed.channel_id, t))
    elif facts.silent_since is not None:
        when = relative(facts.silent_since)
        notes.append("⚠️ " + t("Silent since {when}: the market data are stale, and old prices are no news.", when=when))
    if facts.last_post is not None:
        notes.append("-# " + t("Last post {when}.", when=relative(facts.last_post)))
    if facts.next_daily is not None and feed.paused is None:
        notes.append("-# " + t("Next daily post {when}.", when=relative(facts.next_daily)))
    return notes


def pause_sentence(pause: FeedPause, channel_id: int, t: Text) -> str:
    """Why the feed stopped by itself, and what to do."""
    when, channel = relative(pause.at), f"<#{channel_id}>"
    if pause.reason == "channel":
        return t("Paused {when}: the channel is gone. Choose another one.", when=when)
    if pause.reason == "access":
        return t("Paused {when}: I cannot see {channel}. Let me in, then resume.", when=when, channel=channel)
    return t(
        "Paused {when}: I may not post in {channel}. Grant what is missing, then resume.", when=when, channel=channel
    )


def lacking_lines(settings: ServerSettings, facts: ServerFacts, t: Text) -> list[str]:
    """Each chosen channel with what the bot lacks there."""
    lines = [t("⚠️ A chosen channel is gone: {channel}", channel=f"<#{channel}>") for channel in sorted(facts.gone)]
    for channel, flags in facts.missing.items():
        if flags:
            names = permission_names(flags, t)
            lines.append("⚠️ " + t("In {channel} I lack {names}.", channel=f"<#{channel}>", names=names))
    return lines


# --- panels that are changed in place ---


def feed_card(settings: ServerSettings, facts: ServerFacts, note: str | None, t: Text) -> Card:
    """The feed with its controls."""
    feed = settings.feed
    sections = [f"**{t('Now')}** {feed_line(settings, t)}"]
    sections[0] += "".join(f"\n{line}" for line in feed_notes(settings, facts, t))
    lacking = facts.missing.get(feed.channel_id or 0, ())
    if lacking:
        names = permission_names(lacking, t)
        sections.append("⚠️ " + t("In {channel} I lack {names}.", channel=f"<#{feed.channel_id}>", names=names))
    ping = _mentions("@&", settings.roles) or t("no role is chosen")
    sections.append(
        f"**{t('Ping on big moves')}** {(t('yes') + ': ' + ping) if feed.ping else t('no')}\n"
        f"**{t('Time zone')}** {plain(facts.zone, 120)}"
    )
    if note:
        sections.insert(0, note)
    page = Page(t("Market feed"), sections, colour=WARNING if feed.paused or lacking else ACCENT)
    channel: ui.ChannelSelect[Card] = ui.ChannelSelect(
        custom_id=PREFIX + FEED_CHANNEL,
        placeholder=t("Channel of the feed"),
        channel_types=PLACES,
        default_values=_objects([feed.channel_id] if feed.channel_id else [], discord.TextChannel),
    )
    modes = {
        "off": (t("Off"), t("No posts")),
        "daily": (t("Daily"), t("One post a day, at the hour you set")),
        "moves": (t("Big moves"), t("When a price moved by more than you set within 24 hours")),
        "both": (t("Daily and big moves"), t("Both")),
    }
    mode: ui.Select[Card] = ui.Select(
        custom_id=PREFIX + FEED_MODE,
        placeholder=t("When to post"),
        options=[
            discord.SelectOption(label=label, description=about[:100], value=value, default=feed.mode == value)
            for value, (label, about) in modes.items()
        ],
    )
    first = [(t("Hour, size, number"), FEED_FORM, "⚙️", False), (t("Test post"), FEED_TEST, "🧪", False)]
    if feed.paused is not None:
        first.append((t("Resume"), FEED_RESUME, "▶️", False))
    ping_label = t("Don't ping roles") if feed.ping else t("Ping alert roles")
    return page_card(
        page, ui.ActionRow(channel), ui.ActionRow(mode), _row(*first), _row((ping_label, FEED_PING, "🔔", False))
    )


def channels_card(settings: ServerSettings, facts: ServerFacts, note: str | None, t: Text) -> Card:
    """Where answers are public."""
    about = t(
        "Choose up to {count} channels where I may answer in public, in their threads too. Elsewhere only the member "
        "who asks sees the answer. Choose none and answers are public everywhere.",
        count=MAX_CHANNELS,
    )
    sections = [about, f"**{t('Now')}** {_channels(settings, t)}"]
    sections += ["\n".join(lines)] if (lines := lacking_lines(settings, facts, t)) else []
    if note:
        sections.insert(0, note)
    select: ui.ChannelSelect[Card] = ui.ChannelSelect(
        custom_id=PREFIX + CHANNELS,
        placeholder=t("Channels for public answers"),
        min_values=0,
        max_values=MAX_CHANNELS,
        channel_types=[*PLACES, discord.ChannelType.forum],
        default_values=_objects(settings.public_channels, discord.TextChannel),
    )
    return page_card(
        Page(t("Public answers"), sections),
        ui.ActionRow(select),
        _row((t("Public everywhere"), EVERYWHERE, "🌍", False)),
    )


def roles_card(settings: ServerSettings, note: str | None, t: Text) -> Card:
    """Roles that may be pinged."""
    about = t(
        "Choose up to {count} roles that the feed and alerts may ping. Nobody is pinged without a choice here.",
        count=MAX_ROLES,
    )
    sections = [about, f"**{t('Now')}** {_mentions('@&', settings.roles) or t('none')}"]
    if note:
        sections.insert(0, note)
    select: ui.RoleSelect[Card] = ui.RoleSelect(
        custom_id=PREFIX + ROLES,
        placeholder=t("Alert roles"),
        min_values=0,
        max_values=MAX_ROLES,
        default_values=_objects(settings.roles, discord.Role),
    )
    return page_card(
        Page(t("Alert roles"), sections), ui.ActionRow(select), _row((t("No roles"), NO_ROLES, "🔕", False))
    )


def defaults_card(facts: ServerFacts, command: str, note: str | None, t: Text) -> Card:
    """Defaults where an option is left out."""
    sections = [
        f"**{t('GPU')}** {plain(facts.gpu_name, 60) if facts.gpu_name else t('none')}\n"
        f"-# {t('Offered first while a member types, and drawn in the feed.')}\n"
        f"**{t('Platform')}** {plain(facts.platform_name, 60) if facts.platform_name else t('none')}\n"
        f"-# {t('Used where no platform is asked for and it lists the model.')}"
    ]
    if note:
        sections.insert(0, note)
    page = Page(t("Defaults of this server"), sections, footer=t("Set them with {command}.", command=command))
    return page_card(page, _row((t("No defaults"), NO_DEFAULTS, "↩️", False)))


def _objects(ids: Sequence[int], kind: type) -> list[discord.Object]:
    return [discord.Object(identity, type=kind) for identity in ids]


def _row(*buttons: tuple[str, str, str, bool]) -> Rows:
    row: Rows = ui.ActionRow()
    for label, action, emoji, danger in buttons:
        style = discord.ButtonStyle.danger if danger else discord.ButtonStyle.secondary
        row.add_item(ui.Button[Card](label=label[:80], custom_id=PREFIX + action, emoji=emoji, style=style))
    return row
