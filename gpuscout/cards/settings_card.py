"""``/settings``: what a member chose, everything that is stored about him, and its erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import discord
from discord import ui

from config.currencies import Currencies
from config.i18n import Text
from gpuscout.accounts.delivery_choices import Choice
from gpuscout.accounts.members import Member, Stored
from gpuscout.cards.delivery_text import channels_line, quiet_line
from gpuscout.cards.kit import Card, Rows, plain, relative
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.portfolio_state import Do, PortfolioState, pack
from gpuscout.cards.settings_delivery_card import PANEL, reachable
from gpuscout.cards.settings_delivery_card import PREFIX as NOTIFY_PREFIX
from storage.members import Erased

PREFIX: Final = "me1|"
STORED, DELETE = "stored", "delete"


def settings_card(
    member: Member,
    currencies: Currencies,
    zone: str,
    notifications: str,
    command: str,
    privacy: str,
    note: str | None,
    t: Text,
) -> Card:
    """The settings.

    Args:
        notifications: where and when the member hears, in words.
        zone: the member's time zone in words.
        command: mention of ``/settings``.
        privacy: address of the privacy page.
        note: what was just changed, in a sentence.
    """
    lines = [
        f"**{t('Time zone')}** {plain(zone, 120)}\n-# {t('For your charts, your quiet hours and your digest.')}",
        f"**{t('Currency')}** {_currency(member, currencies, t)}",
        f"**{t('Electricity')}** {tariff_text(member, t)}\n-# {t('For what GPUs earn after electricity.')}",
        f"**{t('Language')}** {language_name(member.locale, t)}",
        f"**{t('Notifications')}** {notifications}",
    ]
    sections = [f"✅ {note}"] if note else []
    sections.append("\n".join(lines))
    page = Page(
        t("Your settings"),
        sections,
        footer=t("Change one: {command} and pick an option. Only you see this.", command=command),
        links=[(t("Privacy"), privacy)],
    )
    more: Rows = ui.ActionRow()
    more.add_item(ui.Button[Card](label=t("Notifications"), custom_id=NOTIFY_PREFIX + PANEL, emoji="🔔"))
    tariff = pack(PortfolioState(), Do.TARIFF)
    more.add_item(ui.Button[Card](label=t("Electricity by the hour"), custom_id=tariff, emoji="⚡"))
    row = _row((t("What is stored about me"), STORED, "🗂️"), (t("Delete my data"), DELETE, "🗑️"))
    return page_card(page, more, row)


def notifications_text(choice: Choice, address: str | None, t: Text) -> str:
    """Where and when the member hears, in a few words.

    Args:
        address: the confirmed e-mail address; None: there is none.
    """
    said = [channels_line(reachable(choice.usable, address), t)]
    if choice.dm_off_at is not None:
        said.append("⚠️ " + t("direct messages are off"))
    if choice.quiet is not None:
        said.append(t("quiet from {span}", span=quiet_line(choice.quiet, t)))
    return " · ".join(said)


def _row(*buttons: tuple[str, str, str]) -> Rows:
    row: Rows = ui.ActionRow()
    for label, action, emoji in buttons:
        style = discord.ButtonStyle.danger if action == DELETE else discord.ButtonStyle.secondary
        row.add_item(ui.Button[Card](label=label, custom_id=PREFIX + action, emoji=emoji, style=style))
    return row


def _currency(member: Member, currencies: Currencies, t: Text) -> str:
    if not currencies.rates:
        return t("US dollars. The operator of this bot has set no exchange rates for others.")
    rate = currencies.get(member.currency)
    if rate is None or member.currency is None:
        return t("US dollars")
    name = currencies.name(member.currency, t.locale)
    source = f" ({plain(rate.source, 80)})" if rate.source else ""
    said = t(
        "{currency} beside US dollars, at {rate} for $1, the operator's rate of {day}",
        currency=name,
        rate=t.number(rate.per_usd, digits=4 if rate.per_usd < 10 else 2),
        day=t.day(rate.as_of),
    )
    return said + source


def tariff_text(member: Member, t: Text) -> str:
    """The electricity price, or that there is none."""
    return t("not set") if member.tariff is None else t.money(member.tariff, per="kWh")


def language_name(locale: str | None, t: Text) -> str:
    """A language by its own name."""
    return {"en": "English", "de": "Deutsch"}.get(locale or "", t("as your Discord"))


def stored_card(stored: Stored, gpu_names: Sequence[str], privacy: str, t: Text) -> Card:
    """Every field that is stored; *gpu_names* are those of the watchlist, in its order."""
    member = stored.member
    if stored.nothing:
        sections = [t("Nothing. A row is made when you set or follow something, or use a command.")]
    else:
        sections = [_settings_rows(member, t)] if member.stored else [t("**Settings** none")]
        watched = [
            f"{plain(name, 60)} ({relative(at)})" for name, (_, at) in zip(gpu_names, stored.watchlist, strict=True)
        ]
        sections.append(f"**{t('Watchlist')}** " + (", ".join(watched) or t("none")))
        channel = t("its id, so that no new one must be opened") if stored.dm_channel else t("none")
        sections.append(f"**{t('Direct message channel')}** {channel}")
        uses = t(
            "{count} uses of commands and buttons: name, outcome, time; your id only as a keyed hash",
            count=t.number(stored.uses),
        )
        since = f" ({t('since {when}', when=relative(stored.first_use))})" if stored.first_use else ""
        sections.append(f"**{t('Usage events')}** {uses}{since}")
        if further := further_lines(stored.kept, t):
            sections.insert(-1, "\n".join(further))
    page = Page(t("What is stored about you"), sections, links=[(t("Privacy"), privacy)])
    return page_card(page, _row((t("Delete my data"), DELETE, "🗑️")))


def further_lines(kept: Mapping[str, int], t: Text) -> list[str]:
    """What else is stored, by what it is of; nothing for what there is none of."""

    def number(*tables: str) -> int:
        return sum(kept.get(table, 0) for table in tables)

    found = []
    if number("holding", "portfolio_snapshot", "tariff_plan"):
        said = t(
            "{holdings} holdings (removed ones for a day), {days} daily values, {tariffs} tariffs by the hour",
            holdings=t.number(number("holding")),
            days=t.number(number("portfolio_snapshot")),
            tariffs=t.number(number("tariff_plan")),
        )
        found.append(f"**{t('Portfolio')}** {said}")
    if alerts := number("alert_rule"):
        said = t("{count} rules, with what they did", count=t.number(alerts))
        said = t("one rule, with what it did") if alerts == 1 else said
        found.append(f"**{t('Alerts')}** {said}")
    if number("digest_subscription"):
        found.append(f"**{t('Digest')}** " + t("when it comes, and when the last ones came"))
    if number("member_delivery"):
        found.append(f"**{t('Notifications')}** " + t("where and when you hear, and whether direct messages arrive"))
    if told := number("notification"):
        said = t("{count} of the last 90 days: what each told, and where it went", count=t.number(told))
        found.append(f"**{t('Messages')}** {said}")
    if mails := number("mail_address", "mail_confirmation", "mail_message", "mail_sequence", "mail_assignment"):
        said = t("your address, and when which mail was sent ({count} rows)", count=t.number(mails))
        found.append(f"**{t('E-mail')}** {said}")
    if hooks := number("webhook_endpoint"):
        said = t("{count} addresses, their keys encrypted, and what was sent", count=t.number(hooks))
        said = t("one address, its key encrypted, and what was sent") if hooks == 1 else said
        found.append(f"**{t('Webhooks')}** {said}")
    if events := number("outgoing_event"):
        found.append(f"**{t('Events for webhooks')}** " + t("{count} of the last 30 days", count=t.number(events)))
    return found


def _settings_rows(member: Member, t: Text) -> str:
    rows = [
        (t("Discord user id"), f"`{member.id}`"),
        (t("Time zone"), plain(member.timezone, 64) if member.timezone else t("none")),
        (t("Currency"), member.currency or t("none")),
        (t("Electricity"), t("none") if member.tariff is None else tariff_text(member, t)),
        (t("Language"), member.locale or t("none")),
        (t("First set"), relative(member.created_at) if member.created_at else t("none")),
        (t("Last changed"), relative(member.updated_at) if member.updated_at else t("none")),
    ]
    return "\n".join(f"**{name}** {value}" for name, value in rows)


def erase_question(t: Text) -> str:
    """The question before the erasure."""
    said = t(
        "This erases your settings, your watchlist, your portfolio, your alerts and digests, what was sent to you, "
        "your e-mail address, your webhooks and your usage events, at once and for good. What admins set for a server "
        "stays, without your name."
    )
    return f"## {t('Delete my data')}\n{said}"


def erased_sentence(erased: Erased, t: Text) -> str:
    """What was erased."""
    return t(
        "Done: {settings} row of settings, {watched} followed GPUs, {channels} message channel, {uses} usage events "
        "and {others} other rows (portfolio, alerts, digests, messages, e-mail, webhooks) are erased. You can go on "
        "using me; then new usage events are stored.",
        settings=erased.settings,
        watched=erased.watched,
        channels=erased.channels,
        uses=erased.uses,
        others=sum(erased.kept.values()),
    )
