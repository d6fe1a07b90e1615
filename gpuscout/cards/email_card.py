"""``/settings``, e-mail: the address, what reaches it, and why nothing does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards.kit import ACCENT, OFFLINE, WARNING, Card, Rows, plain, relative
from gpuscout.cards.page import Page, page_card

PREFIX: Final = "em1|"
PANEL, FORM, OFF, ON, FORGET, KINDS = "panel", "form", "off", "on", "forget", "kinds"
GROUPS: Final = ("onboarding", "reports", "alerts")


@dataclass(frozen=True, slots=True)
class EmailFacts:
    """How a member's e-mail stands.

    Attributes:
        available: whether this GPUScout sends e-mail at all.
        address: the confirmed address; ``pending``: one whose link was not followed yet.
        off_reason: why nothing is sent: member, bounce, complaint, unsubscribe, invalid.
        declined: groups of kinds that are not wanted.
        preferences: the page where all of this stands.
    """

    available: bool
    address: str | None = None
    confirmed_at: datetime | None = None
    pending: str | None = None
    off_reason: str | None = None
    off_at: datetime | None = None
    declined: Collection[str] = field(default_factory=frozenset)
    preferences: str | None = None


def group_name(group: str, t: Text) -> str:
    """A group of kinds in words."""
    return {"onboarding": t("First steps"), "reports": t("Digests"), "alerts": t("Alerts and notices")}[group]


def group_about(group: str, t: Text) -> str:
    """What is in a group, in one line."""
    return {
        "onboarding": t("At most three mails at the beginning"),
        "reports": t("The daily or weekly summary, where you chose e-mail for it"),
        "alerts": t("When e-mail’s turn comes in the order of your channels"),
    }[group]


def off_reason_text(reason: str, t: Text) -> str:
    """Why nothing is sent to an address, and what to do about it."""
    return {
        "member": t("You switched it off."),
        "bounce": t("The address did not take our mail. Check it, then confirm it once more or give another one."),
        "complaint": t("A mail was reported as spam, so nothing is sent to this address any more. Give another one."),
        "unsubscribe": t("You unsubscribed from everything. Confirm the address once more to hear again."),
        "invalid": t("The address does not exist. Give another one."),
    }.get(reason, t("It is off."))


def email_card(facts: EmailFacts, settings: str, note: str | None, t: Text) -> Card:
    """The panel.

    Args:
        settings: mention of ``/settings``.
        note: what was just done.
    """
    sections = [note] if note else []
    colour = ACCENT
    if not facts.available:
        colour = OFFLINE
        sections.append(t("This GPUScout sends no e-mail: its operator has set none up. Discord is where you hear."))
    elif facts.address is None and facts.pending is None:
        sections.append(
            t("No address yet. Give one, follow the link that is sent to it, and e-mail is there when Discord fails.")
        )
    elif facts.address is not None:
        sections.append(_address(facts, t))
        if facts.off_reason is not None:
            colour = WARNING
            when = f" ({relative(facts.off_at)})" if facts.off_at is not None else ""
            sections.append(f"⚠️ **{t('Off')}**{when} {off_reason_text(facts.off_reason, t)}")
        else:
            sections.append(_kinds(facts, t))
    if facts.available and facts.pending is not None:
        said = t("A link is on its way to {address}. It works for 24 hours.", address=plain(facts.pending, 254))
        sections.append(f"⏳ {said}\n-# {t('Nothing there? Look into the spam folder, or check the address.')}")
    links = [(t("Preferences page"), facts.preferences)] if facts.available and facts.preferences else []
    page = Page(t("E-mail"), sections, colour=colour, footer=t("Only you see this."), links=links)
    return page_card(page, *_rows(facts, t))


def _address(facts: EmailFacts, t: Text) -> str:
    since = f"\n-# {t('Confirmed {when}', when=relative(facts.confirmed_at))}" if facts.confirmed_at else ""
    return f"**{t('Address')}** {plain(facts.address or '', 254)}{since}"


def _kinds(facts: EmailFacts, t: Text) -> str:
    wanted = [group_name(group, t) for group in GROUPS if group not in facts.declined]
    always = t("What concerns your security or your payments comes as long as e-mail is on.")
    return f"**{t('What comes')}** {', '.join(wanted) or t('nothing')}\n-# {always}"


def _rows(facts: EmailFacts, t: Text) -> list[Rows]:
    rows: list[Rows] = []
    if facts.available and facts.address is not None and facts.off_reason is None:
        kinds: ui.Select[Card] = ui.Select(
            custom_id=PREFIX + KINDS,
            placeholder=t("What comes by e-mail"),
            min_values=0,
            max_values=len(GROUPS),
            options=[
                discord.SelectOption(
                    label=group_name(group, t),
                    description=group_about(group, t)[:100],
                    value=group,
                    default=group not in facts.declined,
                )
                for group in GROUPS
            ],
        )
        rows.append(ui.ActionRow(kinds))
    buttons: Rows = ui.ActionRow()
    if facts.available:
        label = t("Give an address") if facts.address is None else t("Change the address")
        if facts.off_reason in ("bounce", "unsubscribe"):
            label = t("Confirm it once more")
        buttons.add_item(_button(label, FORM, "✉️", discord.ButtonStyle.primary))
        if facts.address is not None and facts.off_reason is None:
            buttons.add_item(_button(t("Switch off"), OFF, "🔕"))
        elif facts.off_reason == "member":
            buttons.add_item(_button(t("Switch on"), ON, "🔔"))
    if facts.address is not None or facts.pending is not None:
        buttons.add_item(_button(t("Remove the address"), FORGET, "🗑️"))
    return [*rows, buttons] if buttons.children else rows


def email_button(t: Text) -> ui.Button[Card]:
    """Opens the panel, from another card."""
    return _button(t("E-mail"), PANEL, "✉️")


def _button(
    label: str, action: str, emoji: str, style: discord.ButtonStyle = discord.ButtonStyle.secondary
) -> ui.Button[Card]:
    return ui.Button(label=label, custom_id=PREFIX + action, emoji=emoji, style=style)
