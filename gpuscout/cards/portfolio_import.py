"""Files of holdings: what an import would store, what is wrong with it, and the template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards import portfolio_text as say
from gpuscout.cards.kit import ACCENT, WARNING, Card, Rows, fit, plain
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.portfolio_card import button
from gpuscout.cards.portfolio_problem import problem_sentence
from gpuscout.cards.portfolio_state import Do, PortfolioState, pack
from gpuscout.cards.portfolio_text import PortfolioFacts
from gpuscout.portfolio.csv_import import COLUMNS, MAX_BYTES, MAX_ROWS, CsvReport, RowError
from gpuscout.portfolio.models import HoldingDraft

GOOD_FILE: Final = "holdings-to-add.csv"
BAD_FILE: Final = "rows-not-understood.txt"
SHOWN_ERRORS: Final = 12
_SHOWN_ROWS = 10


def error_line(error: RowError, t: Text) -> str:
    """E.g. ``Line 4, price_usd_gpu_hour: “abc” is no number.`` Without markup of its own."""
    column = next((column for column, field in COLUMNS.items() if field == error.field), error.field)
    sentence = problem_sentence(error.field, error.value, error.problem, t)
    if not column:
        return t("Line {line}: {problem}", line=error.line, problem=sentence)
    return t("Line {line}, {column}: {problem}", line=error.line, column=column, problem=sentence)


def error_file(errors: Sequence[RowError], t: Text) -> bytes:
    """All errors, a line each."""
    return "".join(error_line(error, t) + "\r\n" for error in errors).encode()


def refused_sentence(reason: str, t: Text) -> str:
    """Why a file was not read at all, and what to do."""
    said = {
        "kind": t("Give a CSV file; its name ends in .csv, .tsv or .txt."),
        "large": t("The file is larger than {size} kB; split it.", size=MAX_BYTES // 1024),
        "rows": t("The file has more than {count} rows; split it.", count=MAX_ROWS),
        "text": t("The file is not text in UTF-8; save it as “CSV UTF-8”."),
        "columns": t("The first line must name the columns, `gpu` or `machine_id` among them, each once."),
        "empty": t("The file is empty."),
    }
    return said.get(reason, t("The file was not understood."))


def import_card(report: CsvReport, existing: int, warning: str | None, facts: PortfolioFacts, t: Text) -> Card:
    """What the file holds, good rows and bad ones; nothing is stored yet.

    Args:
        existing: holdings that the member has.
        warning: why the good rows cannot be stored, if so; the button is left out then.
    """
    good, bad = len(report.rows), report.bad
    container: ui.Container[Card] = ui.Container(accent_colour=WARNING if bad or warning or not good else ACCENT)
    lines = [f"## {t('Import a file')}"]
    lines.append(
        t("Good rows: **{good}** · bad rows: **{bad}**. Nothing is stored yet.", good=t.number(good), bad=t.number(bad))
    )
    if existing and good:
        lines.append(
            t("They would be added to the holding that you have; it is not replaced.")
            if existing == 1
            else t(
                "They would be added to the {count} holdings that you have; none is replaced.",
                count=t.number(existing),
            )
        )
    if report.ignored:
        names = ", ".join(f"`{plain(name, 30).replace('`', '')}`" for name in report.ignored[:8])
        lines.append("-# " + t("Columns that mean nothing to me: {names}", names=names))
    container.add_item(ui.TextDisplay("\n".join(lines)))
    if good:
        container.add_item(ui.TextDisplay(fit(_rows(report.rows, facts, t), 1_400)))
        container.add_item(ui.File(f"attachment://{GOOD_FILE}"))
    if bad:
        container.add_item(ui.TextDisplay(fit(_errors(report, t), 1_600)))
        if len(report.errors) > SHOWN_ERRORS:
            container.add_item(ui.File(f"attachment://{BAD_FILE}"))
    if warning:
        container.add_item(ui.TextDisplay(f"⚠️ {warning}"))
    container.add_item(_buttons(good if warning is None else 0, t))
    card = Card()
    card.add_item(container)
    return card


def _rows(rows: Sequence[HoldingDraft], facts: PortfolioFacts, t: Text) -> list[str]:
    lines = [f"**{t('Would be added')}**"]
    for row in rows[:_SHOWN_ROWS]:
        if row.machine_id is not None:
            name = f"{plain(row.name, 60)}: " if row.name else ""
            lines.append(f"- {name}" + t("machine {id}", id=row.machine_id) + f" · {say.place(row, facts, t)}")
            continue
        price = "" if row.asked_price is None else f" · {t.money(row.asked_price, per='h')}"
        lines.append(f"- {say.title(row, facts.gpu_name(row.gpu), t)} · {say.place(row, facts, t)}{price}")
    if len(rows) > _SHOWN_ROWS:
        lines.append("-# " + t("and {count} more, all in the file", count=t.number(len(rows) - _SHOWN_ROWS)))
    return lines


def _errors(report: CsvReport, t: Text) -> list[str]:
    lines = [f"**{t('Not understood')}**"]
    lines += [f"- {plain(error_line(error, t), 240)}" for error in report.errors[:SHOWN_ERRORS]]
    if report.bad > SHOWN_ERRORS:
        lines.append("-# " + t("and {count} more, in the file", count=t.number(report.bad - SHOWN_ERRORS)))
    return lines


def _buttons(good: int, t: Text) -> Rows:
    state = PortfolioState()
    row: Rows = ui.ActionRow()
    if good:
        label = t("Add 1 holding") if good == 1 else t("Add {count} holdings", count=t.number(good))
        row.add_item(
            ui.Button[Card](label=label[:80], custom_id=pack(state, Do.STORE), style=discord.ButtonStyle.success)
        )
        row.add_item(button(state, Do.DROP, t("Cancel")))
    else:
        row.add_item(button(state, Do.UPLOAD, t("Another file"), "📥"))
        row.add_item(button(state, Do.TEMPLATE, t("Template"), "📄"))
    return row


def template_card(filename: str, facts: PortfolioFacts, t: Text) -> Card:
    """The file to fill in, and what its columns mean."""
    columns = (
        t("`gpu` (or `machine_id` with `platform`) must be there; everything else may be left empty."),
        t("`price_usd_gpu_hour`, `electricity_usd_kwh`: dollars. `fee_percent`: 25 means a quarter."),
        t("`segment`: any, non-dc:1-3, non-dc:4-7, non-dc:8+, dc:1-3, dc:4-7, dc:8+."),
        t("`verification`: any, verified, unverified. `purchased_on`: 2025-12-31."),
    )
    lines = [
        t(
            "Fill the file in, then give it to {import_}. Nothing is stored before you confirm it.",
            import_=facts.mention("portfolio import"),
        )
    ]
    lines += [f"- {line}" for line in columns]
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    container.add_item(ui.TextDisplay(f"## {t('Template')}\n" + "\n".join(lines)))
    container.add_item(ui.File(f"attachment://{filename}"))
    container.add_item(ui.ActionRow(button(PortfolioState(), Do.UPLOAD, t("Import CSV"), "📥")))
    card = Card()
    card.add_item(container)
    return card


def exported_card(filename: str, count: int, t: Text) -> Card:
    """The member's holdings as a file."""
    command = "`/portfolio import`"
    said = (
        t("One holding as CSV; {command} reads the file again.", command=command)
        if count == 1
        else t("{count} holdings as CSV; {command} reads the file again.", count=t.number(count), command=command)
    )
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    container.add_item(ui.TextDisplay(f"## {t('Your portfolio')}\n{said}"))
    container.add_item(ui.File(f"attachment://{filename}"))
    card = Card()
    card.add_item(container)
    return card


def settled_card(sentence: str, t: Text) -> Card:
    """What came of an import."""
    row: Rows = ui.ActionRow(button(PortfolioState(), Do.SHOW, t("Whole portfolio"), "📋"))
    return page_card(Page(t("Import a file"), [sentence]), row)
