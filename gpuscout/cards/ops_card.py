"""``/ops``: what the owners of the bot see of its work. For their eyes only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import discord
from discord import ui

from config.i18n import Text
from config.logging import redact_value
from gpuscout.cards.kit import ACCENT, WARNING, Card, code_block, fit, plain, relative
from gpuscout.cards.page import Page
from gpuscout.cards.pager import Paging, pager_row
from gpuscout.cards.status_card import BAD, GOOD, MIDDLING, Told, told_line
from storage.job_model import Job
from storage.redact import redact

PREFIX: Final = "ops1"
PAGE_PREFIX: Final = "opspage1"
PAGE_SIZE: Final = 8
OPEN, RETRY, DISCARD, LIST = "open", "retry", "discard", "list"
_PAYLOAD: Final = 1400
_LATE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """The program's work at a glance. ``oldest`` is since when the oldest due job has been waiting."""

    database_ms: float | None
    ready: int
    running: int
    dead: int
    oldest: datetime | None
    told: Told
    failing: Mapping[str, str]


def health_page(facts: HealthFacts, now: datetime, t: Text) -> Page:
    """Database, jobs, delivery and sources in four lines."""
    late = 0.0 if facts.oldest is None else max(0.0, (now - facts.oldest).total_seconds())
    if facts.database_ms is None:
        colour, word = BAD, t("Trouble")
    elif facts.dead or facts.failing or late > _LATE_SECONDS:
        colour, word = MIDDLING, t("Working, with remarks")
    else:
        colour, word = GOOD, t("All well")
    database = t("no answer") if facts.database_ms is None else f"{t.number(facts.database_ms, digits=1)} ms"
    work = t(
        "{waiting} waiting, {running} running, {dead} given up",
        waiting=t.number(facts.ready),
        running=t.number(facts.running),
        dead=t.number(facts.dead),
    )
    oldest = (
        t("no work is due")
        if facts.oldest is None
        else t("the oldest is due since {when}", when=relative(facts.oldest))
    )
    lines = [
        f"**{t('Database')}** {database}",
        f"**{t('Background work')}** {work} · {oldest}",
        told_line(facts.told, t),
    ]
    failing = [f"🔴 {plain(source, 60)}: {plain(reason, 200)}" for source, reason in facts.failing.items()]
    sources = failing or [f"🟢 {t('All market sources answer.')}"]
    return Page(f"{t('Operation')}: {word}", ["\n".join(lines), "\n".join(sources)], colour=colour)


def dead_letters_card(jobs: Sequence[Job], total: int, paging: Paging, note: str | None, t: Text) -> Card:
    """One page of dead letters, with a menu that opens one."""
    lines = [f"## {t('Dead letters')}"]
    if note:
        lines.append(note)
    if not jobs:
        lines.append("✅ " + t("None: all background work was done, or waits for its next try."))
    lines += [_line(job, t) for job in jobs]
    if words := paging.words(t):
        lines.append(f"-# {words}")
    box: ui.Container[Card] = ui.Container(ui.TextDisplay(fit(lines, 3600)), accent_colour=WARNING if total else GOOD)
    if jobs:
        options = [
            discord.SelectOption(label=f"#{job.id} {job.kind}"[:100], value=str(job.id), description=_why(job)[:100])
            for job in jobs
        ]
        box.add_item(
            ui.ActionRow(ui.Select(custom_id=f"{PREFIX}|{OPEN}|0", placeholder=t("Open one …"), options=options))
        )
    row = pager_row(paging, lambda move, page: f"{PAGE_PREFIX}|{move.value}.{page}|")
    if row is not None:
        box.add_item(row)
    card = Card()
    card.add_item(box)
    return card


def dead_letter_card(job: Job, note: str | None, t: Text) -> Card:
    """Everything about one job, secrets left out, with what can be done about it."""
    payload = json.dumps(redact_value(dict(job.payload)), indent=2, ensure_ascii=False, default=str)
    lines = [f"## #{job.id} · {plain(job.kind, 64)}"]
    if note:
        lines.append(note)
    lines += [
        f"**{t('State')}** {_state(job, t)} · "
        + t("{tries} of {most} tries", tries=t.number(job.attempts), most=t.number(job.max_attempts)),
        f"**{t('Made')}** {relative(job.created_at)}",
    ]
    if job.finished_at is not None:
        lines.append(f"**{t('Ended')}** {relative(job.finished_at)}")
    if job.last_error:
        lines.append(f"**{t('Last error')}** {plain(redact(job.last_error, 600), 600)}")
    shown = payload.replace("`", "'").splitlines()
    box: ui.Container[Card] = ui.Container(
        ui.TextDisplay(fit(lines, 2000)),
        ui.TextDisplay(code_block(fit(shown, _PAYLOAD).splitlines())),
        accent_colour=WARNING if job.state == "dead" else ACCENT,
    )
    row: ui.ActionRow[Any] = ui.ActionRow()
    if job.state == "dead":
        row.add_item(_button(t("Try again"), RETRY, job.id, discord.ButtonStyle.primary))
        row.add_item(_button(t("Discard …"), DISCARD, job.id, discord.ButtonStyle.danger))
    row.add_item(_button(t("All dead letters"), LIST, 0, discord.ButtonStyle.secondary))
    box.add_item(row)
    card = Card()
    card.add_item(box)
    return card


def _button(label: str, action: str, job_id: int, style: discord.ButtonStyle) -> ui.Button[Any]:
    return ui.Button(label=label[:80], custom_id=f"{PREFIX}|{action}|{job_id}", style=style)


def _line(job: Job, t: Text) -> str:
    at = relative(job.finished_at or job.created_at)
    tries = t("after {tries} tries", tries=t.number(job.attempts))
    return f"**#{job.id}** {plain(job.kind, 64)} · {at}, {tries}\n-# {plain(_why(job), 160)}"


def _why(job: Job) -> str:
    return " ".join(redact(job.last_error or "–", 300).split())


def _state(job: Job, t: Text) -> str:
    return {
        "ready": t("waits for its next try"),
        "running": t("is worked on"),
        "done": t("done"),
        "dead": t("given up"),
        "discarded": t("discarded"),
    }[job.state]


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A model name that nobody knows here: as the source wrote it, how often, when last."""

    name: str
    slug: str
    times: int
    last_seen: datetime


def unknown_page(names: Sequence[UnknownName], t: Text) -> Page:
    """GPU names without an entry in the catalogue."""
    if not names:
        return Page(t("Unknown GPUs"), ["✅ " + t("Every name that a source gave is in the catalogue.")], colour=GOOD)
    lines = [
        f"**{plain(each.name, 80)}** ({plain(each.slug, 80)}) · "
        + t("{count} times, last {when}", count=t.number(each.times), when=relative(each.last_seen))
        for each in names
    ]
    return Page(
        t("Unknown GPUs"),
        ["\n".join(lines)],
        footer=t("They are stored under a name of their own. An entry in config/gpus.toml gives them their own model."),
        colour=MIDDLING,
    )
