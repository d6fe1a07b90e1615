"""``/settings``, notifications: where, when and of what a member hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.accounts.delivery_choices import MUTABLE_KINDS, Choice
from gpuscout.cards.delivery_text import channel_name, channels_line, kind_name, quiet_line
from gpuscout.cards.email_card import email_button
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, plain, relative
from gpuscout.cards.page import Page, page_card

PREFIX: Final = "ntf1|"
PANEL, CHANNELS, KINDS, QUIET, NO_QUIET, CRITICAL, DM_AGAIN = (
    "panel",
    "channels",
    "kinds",
    "quiet",
    "noquiet",
    "critical",
    "dmagain",
)
SEPARATOR: Final = "."
"""Between the channels in a value of the menu."""


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """What the panel shows besides the choice.

    Attributes:
        zone: the member's time zone in words; ``own_zone`` is False where it is only assumed.
        address: the confirmed e-mail address, masked; None: there is none.
        refusal: when Discord last refused a direct message, and its reason.
        quiet_until: until when it is quiet now; None: it is not.
    """

    zone: str
    own_zone: bool = True
    address: str | None = None
    refusal: tuple[datetime, str] | None = None
    quiet_until: datetime | None = None


def reachable(channels: Sequence[str], address: str | None) -> list[str]:
    """The channels without e-mail where there is no confirmed address."""
    return [channel for channel in channels if channel != "email" or address is not None]


def orders(address: str | None) -> list[tuple[str, ...]]:
    """Every order of channels that can be chosen, the longest first."""
    known = ["dm", "mention", *(["email"] if address is not None else [])]
    return [order for length in range(len(known), 0, -1) for order in permutations(known, length)]


def delivery_card(choice: Choice, facts: DeliveryFacts, settings: str, note: str | None, t: Text) -> Card:
    """The panel.

    Args:
        settings: mention of ``/settings``.
        note: what was just changed.
    """
    sections = [note] if note else []
    used = reachable(choice.channels, facts.address)
    where = [f"**{t('Where')}** {channels_line(used, t)}"]
    where.append(f"-# {t('In this order: the next one is used when the one before it fails.')}")
    if facts.address is None:
        where.append(f"-# {t('E-mail can be chosen once you have confirmed an address.')}")
    else:
        where.append(f"**{t('E-mail')}** {plain(facts.address, 80)}")
    sections.append("\n".join(where))
    if choice.dm_off_at is not None:
        sections.append(_dm_off(choice.dm_off_at, facts, t))
    wanted = [kind for kind in MUTABLE_KINDS if choice.wants(kind)]
    what = [
        f"**{t('What')}** {', '.join(kind_name(kind, t) for kind in wanted) or t('nothing')}",
        f"-# {t('What concerns your security or your payments always arrives.')}",
    ]
    sections.append("\n".join(what))
    sections.append("\n".join(_quiet(choice, facts, settings, t)))
    colour = WARNING if choice.dm_off_at is not None or not used else ACCENT
    page = Page(t("Notifications"), sections, colour=colour, footer=t("Only you see this."))
    return page_card(page, *_rows(choice, facts, wanted, t))


def _dm_off(since: datetime, facts: DeliveryFacts, t: Text) -> str:
    reason = dm_reason(facts.refusal[1] if facts.refusal else "", t)
    said = t("Direct messages are off since {when}, because {reason}.", when=relative(since), reason=reason)
    how = t("Allow them in the privacy settings of a server that we share, then try again.")
    return f"⚠️ {said}\n-# {how}"


def dm_reason(detail: str, t: Text) -> str:
    """Why Discord takes no direct message, from what delivery noted."""
    if "50278" in detail:
        return t("we share no server any more")
    if "10013" in detail:
        return t("Discord does not know your account")
    if "50007" in detail or not detail:
        return t("your privacy settings let none through")
    return t("Discord refused three in a row ({detail})", detail=plain(detail, 80))


def _quiet(choice: Choice, facts: DeliveryFacts, settings: str, t: Text) -> list[str]:
    lines = [f"**{t('Quiet hours')}** {quiet_line(choice.quiet, t)}"]
    if choice.quiet is not None:
        lines[0] += f" · {plain(facts.zone, 120)}"
        if not facts.own_zone:
            lines.append(f"-# {t('You have set no time zone: {settings} does.', settings=settings)}")
        passes = (
            t("Critical alerts come through.") if choice.critical_passes else t("Critical alerts wait like all others.")
        )
        lines.append(f"-# {passes}")
        if facts.quiet_until is not None:
            lines.append(f"-# 🌙 {t('It is quiet now; what waits comes {when}.', when=relative(facts.quiet_until))}")
    else:
        lines.append(f"-# {t('What happens in them waits until they are over.')}")
    return lines


def _rows(choice: Choice, facts: DeliveryFacts, wanted: Sequence[str], t: Text) -> list[Rows]:
    now = tuple(reachable(choice.channels, facts.address))
    channels: ui.Select[Card] = ui.Select(
        custom_id=PREFIX + CHANNELS,
        placeholder=t("Where you hear, in order"),
        options=[
            discord.SelectOption(
                label=" → ".join(channel_name(channel, t) for channel in order)[:100],
                value=SEPARATOR.join(order),
                default=order == now,
            )
            for order in orders(facts.address)
        ],
    )
    kinds: ui.Select[Card] = ui.Select(
        custom_id=PREFIX + KINDS,
        placeholder=t("What you hear of"),
        min_values=0,
        max_values=len(MUTABLE_KINDS),
        options=[
            discord.SelectOption(
                label=kind_name(kind, t), description=_about(kind, t)[:100], value=kind, default=kind in wanted
            )
            for kind in MUTABLE_KINDS
        ],
    )
    quiet: Rows = ui.ActionRow()
    quiet.add_item(_button(t("Quiet hours"), QUIET, "🌙"))
    if choice.quiet is not None:
        quiet.add_item(_button(t("No quiet hours"), NO_QUIET, "☀️"))
        critical = t("Critical: wait too") if choice.critical_passes else t("Critical: come through")
        quiet.add_item(_button(critical, CRITICAL, "🚨"))
    last: Rows = ui.ActionRow()
    if choice.dm_off_at is not None:
        last.add_item(_button(t("Try direct messages again"), DM_AGAIN, "📨", discord.ButtonStyle.primary))
    last.add_item(email_button(t))
    return [ui.ActionRow(channels), ui.ActionRow(kinds), quiet, last]


def _about(kind: str, t: Text) -> str:
    return {
        "alert": t("What you asked to be alerted to"),
        "digest": t("The daily or weekly summary"),
        "notice": t("Alerts that expire, channels that stop working"),
    }[kind]


def _button(
    label: str, action: str, emoji: str, style: discord.ButtonStyle = discord.ButtonStyle.secondary
) -> ui.Button[Card]:
    return ui.Button(label=label, custom_id=PREFIX + action, emoji=emoji, style=style)
