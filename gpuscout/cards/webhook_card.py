"""``/webhook``: the list, one webhook, a secret that is shown once, the log, one delivery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import discord
from discord import ui
from pydantic import SecretStr

from config.i18n import Text
from gpuscout.cards.kit import ACCENT, OFFLINE, WARNING, Card, Rows, code_block, code_safe, moment, plain, relative
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.pager import Move, Paging, pager_row
from gpuscout.cards.webhook_state import Action, pack
from gpuscout.cards.webhook_text import outcome_text, reason_text, state_text
from storage.webhooks_model import Attempt, Delivery, Endpoint, Logged

SHOWN: Final = 25
"""Webhooks in one list: what one menu holds."""
STANDARD: Final = "https://www.standardwebhooks.com"
_ANSWER: Final = 1024

Name = Callable[[str], str]
"""A GPU's or a platform's name by its slug."""


def event_names(t: Text) -> dict[str, str]:
    """Events in words, in the order in which they are offered."""
    return {
        "alert.triggered": t("Alerts"),
        "portfolio.summary": t("Portfolio summaries"),
        "subscription.updated": t("Changes of your plan"),
        "market.updated": t("Market updates"),
    }


def list_card(
    endpoints: Sequence[Endpoint], limit: int | None, add: str, note: str | None, names: Name, t: Text
) -> Card:
    """All webhooks of a member, and those of the server where he asked.

    Args:
        limit: how many his plan allows; None: as many as wanted.
        add: mention of ``/webhook add``.
    """
    sections = [note] if note else []
    if not endpoints:
        sections.append(
            t(
                "You have no webhook yet. One sends your alerts, market updates and portfolio summaries to a program "
                "of yours, or to a Discord channel: {add} asks for its address.",
                add=add,
            )
        )
        return page_card(Page(t("Your webhooks"), sections))
    sections.append("\n".join(_line(endpoint, names, t) for endpoint in endpoints[:SHOWN]))
    count = t.number(len(endpoints))
    allowed = t("{count} of {limit}", count=count, limit=t.number(limit)) if limit is not None else count
    menu: Rows = ui.ActionRow(
        ui.Select[Any](
            custom_id=pack(Action.OPEN),
            placeholder=t("Open one: test, log, secret, remove")[:150],
            options=[
                discord.SelectOption(
                    label=code_safe(endpoint.shown, 100),
                    value=endpoint.id,
                    description=_events(endpoint, t)[:100],
                    emoji=_sign(endpoint),
                )
                for endpoint in endpoints[:SHOWN]
            ],
        )
    )
    return page_card(Page(t("Your webhooks"), sections, footer=f"{allowed} · {add}"), menu)


def _line(endpoint: Endpoint, names: Name, t: Text) -> str:
    whose = f" · {t('this server')}" if endpoint.owner.startswith("guild:") else ""
    head = f"{_sign(endpoint)} **{plain(endpoint.shown, 80)}**{whose}"
    return f"{head}\n-# {_filters(endpoint, names, t)} · {_health(endpoint, t)}"


def _sign(endpoint: Endpoint) -> str:
    if not endpoint.active:
        return "⛔"
    return "⚠️" if endpoint.failing_since is not None else "🟢" if endpoint.last_at is not None else "⚪"


def _events(endpoint: Endpoint, t: Text) -> str:
    words = event_names(t)
    return ", ".join(words.get(event, event) for event in endpoint.events)


def _filters(endpoint: Endpoint, names: Name, t: Text) -> str:
    narrowed = [plain(names(slug), 60) for slug in (endpoint.gpu, endpoint.platform) if slug is not None]
    return _events(endpoint, t) + (f" ({', '.join(narrowed)})" if narrowed else "")


def _health(endpoint: Endpoint, t: Text) -> str:
    if not endpoint.active:
        return t("off: {reason}", reason=reason_text(endpoint.reason, t))
    if endpoint.failing_since is not None:
        return t("failing since {when}", when=relative(endpoint.failing_since))
    if endpoint.last_at is not None:
        return t("last delivery {when}", when=relative(endpoint.last_at))
    return t("nothing sent yet")


def endpoint_card(endpoint: Endpoint, note: str | None, names: Name, t: Text) -> Card:
    """One webhook with its controls."""
    return _endpoint(endpoint, [note] if note else [], names, t)


def secret_card(endpoint: Endpoint, secret: SecretStr, note: str, names: Name, t: Text) -> Card:
    """A webhook with its signing secret, which no other card ever shows."""
    shown = "\n".join(
        [
            note,
            t("**Signing secret** – copy it now, it is shown only this once:"),
            code_block([secret.get_secret_value()]),
            "-# " + t("Every delivery is signed with it; any library of Standard Webhooks verifies that."),
        ]
    )
    sections = [shown]
    if endpoint.earlier_until is not None:
        sections.append(
            t(
                "Until {when} the earlier secret signs too, so that nothing is refused while you change it.",
                when=relative(endpoint.earlier_until),
            )
        )
    return _endpoint(endpoint, sections, names, t, links=[("Standard Webhooks", STANDARD)])


def _endpoint(
    endpoint: Endpoint, sections: Sequence[str], names: Name, t: Text, links: Sequence[tuple[str, str]] = ()
) -> Card:
    kind = t("a Discord channel") if endpoint.kind == "discord" else t("your program")
    whose = f" ({t('this server')})" if endpoint.owner.startswith("guild:") else ""
    facts = [
        f"**{t('Sends')}** {_filters(endpoint, names, t)}",
        f"**{t('To')}** {kind}{whose}",
        f"**{t('State')}** {_sign(endpoint)} {_health(endpoint, t)}",
        f"**{t('Made')}** {relative(endpoint.created_at)}",
    ]
    if endpoint.earlier_until is not None and not sections:
        facts.append(f"**{t('Earlier secret')}** {t('valid until {when}', when=relative(endpoint.earlier_until))}")
    page = Page(
        plain(endpoint.shown, 100),
        [*sections, "\n".join(facts)],
        footer=t("Deliveries come at least once and in no promised order; only you see this."),
        colour=ACCENT
        if endpoint.active and endpoint.failing_since is None
        else WARNING
        if endpoint.active
        else OFFLINE,
        links=links,
    )
    return page_card(page, *_controls(endpoint, t))


def _colour(endpoint: Endpoint) -> int:
    if not endpoint.active:
        return OFFLINE
    return ACCENT if endpoint.failing_since is None else WARNING


def _controls(endpoint: Endpoint, t: Text) -> list[Rows]:
    row: Rows = ui.ActionRow()
    if endpoint.active:
        row.add_item(_button(t("Send a test"), Action.TEST, endpoint.id, "📨", discord.ButtonStyle.primary))
    else:
        row.add_item(_button(t("Switch on"), Action.ENABLE, endpoint.id, "🔌", discord.ButtonStyle.primary))
    row.add_item(_button(t("Deliveries"), Action.LOG, endpoint.id, "📜"))
    if endpoint.kind == "http":
        row.add_item(_button(t("New secret"), Action.ROTATE, endpoint.id, "🔑"))
    row.add_item(_button(t("Remove"), Action.REMOVE, endpoint.id, "🗑️", discord.ButtonStyle.danger))
    back: Rows = ui.ActionRow(_button(t("All webhooks"), Action.LIST, "", "◀"))
    return [row, back]


def _button(
    label: str,
    action: Action,
    id: str,
    emoji: str | None = None,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
) -> ui.Button[Card]:
    return ui.Button(label=label[:80], custom_id=pack(action, id), emoji=emoji, style=style)


def log_card(
    endpoint: Endpoint, entries: Sequence[Logged], paging: Paging, turn: Callable[[Move, int], str], t: Text
) -> Card:
    """A page of deliveries, newest first.

    Args:
        turn: makes the custom ids of the pager.
    """
    rows: list[Rows] = []
    if not entries:
        sections = [t("Nothing was sent yet. “Send a test” on the webhook's card sends a marked sample.")]
    else:
        sections = ["\n".join(_entry(entry, t) for entry in entries)]
        menu = ui.Select[Any](
            custom_id=pack(Action.DELIVERY, endpoint.id),
            placeholder=t("Open one: every try, the answer, send again")[:150],
            options=[
                discord.SelectOption(
                    label=f"{event_names(t).get(entry.event, entry.event)} · {_clock(entry.delivery)}"[:100],
                    value=entry.delivery.id,
                    description=_last(entry, t)[:100],
                    emoji=_state_sign(entry.delivery),
                )
                for entry in entries
            ],
        )
        rows.append(ui.ActionRow(menu))
    pager = pager_row(paging, turn)
    if pager is not None:
        rows.append(pager)
    rows.append(
        ui.ActionRow(
            _button(t("Refresh"), Action.LOG, endpoint.id, "🔄"),
            _button(t("The webhook"), Action.SHOW, endpoint.id, "◀"),
        )
    )
    title = t("Deliveries to {webhook}", webhook=plain(endpoint.shown, 80))
    words = paging.words(t)
    kept = t("Kept for 30 days.")
    return page_card(Page(title, sections, footer=f"{words} · {kept}" if words else kept), *rows)


def _state_sign(delivery: Delivery) -> str:
    return {"waiting": "⏳", "delivered": "✅", "failed": "❌", "dropped": "🚫"}[delivery.state]


def _clock(delivery: Delivery) -> str:
    return delivery.created_at.strftime("%Y-%m-%d %H:%M UTC")


def _last(entry: Logged, t: Text) -> str:
    return state_text(entry.delivery.state, t) if entry.last is None else outcome_text(entry.last, t)


def _entry(entry: Logged, t: Text) -> str:
    delivery = entry.delivery
    words = event_names(t).get(entry.event, entry.event)
    tries = f" · {t('try {count}', count=t.number(delivery.attempts))}" if delivery.attempts > 1 else ""
    after = ""
    if delivery.state == "waiting" and delivery.next_at is not None and delivery.attempts:
        after = f" · {t('again {when}', when=relative(delivery.next_at))}"
    return f"{_state_sign(delivery)} **{words}** {relative(delivery.created_at)} · {_last(entry, t)}{tries}{after}"


def delivery_card(endpoint: Endpoint, entry: Logged, attempts: Sequence[Attempt], note: str | None, t: Text) -> Card:
    """One delivery: every try, and the first kilobyte of the last answer."""
    delivery = entry.delivery
    facts = [
        f"**{t('Event')}** {event_names(t).get(entry.event, entry.event)} (`{code_safe(entry.event)}`)",
        f"**{t('Id')}** `{delivery.id}`\n-# {t('The same in every try: X-GPUScout-Delivery and webhook-id')}",
        f"**{t('State')}** {_state_sign(delivery)} {state_text(delivery.state, t)}",
    ]
    if delivery.state == "waiting" and delivery.next_at is not None:
        facts.append(f"**{t('Next try')}** {relative(delivery.next_at)}")
    sections = [f"{note}"] if note else []
    sections.append("\n".join(facts))
    if attempts:
        tries = [f"{number}. {moment(one.at)} · {outcome_text(one, t)}" for number, one in enumerate(attempts, 1)]
        left_out = len(tries) - 12
        shown = tries if left_out <= 0 else [f"-# {t('{count} earlier tries', count=left_out)}", *tries[-12:]]
        sections.append("\n".join(shown))
        answer = _answer(attempts[-1].answer)
        if answer:
            sections.append(f"**{t('Its last answer')}**\n{answer}")
    row: Rows = ui.ActionRow()
    if delivery.state != "waiting" and endpoint.active:
        row.add_item(_button(t("Send again"), Action.REPLAY, delivery.id, "🔁", discord.ButtonStyle.primary))
    row.add_item(_button(t("Refresh"), Action.LOOK, delivery.id, "🔄"))
    row.add_item(_button(t("All deliveries"), Action.LOG, endpoint.id, "◀"))
    return page_card(Page(plain(endpoint.shown, 100), sections), row)


def _answer(text: str) -> str:
    """The answer in a block that nothing in it can leave."""
    cleaned = "".join(
        character if character == "\n" or (character.isprintable() and character != "`") else " "
        for character in text.replace("\r", "").replace("`", "'")[:_ANSWER]
    ).strip()
    return code_block(cleaned.split("\n")) if cleaned else ""
