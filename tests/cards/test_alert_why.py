"""The ledger's words: what is on its way, and what went wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.i18n import translator_for
from gpuscout.alerts.ports import Attempt, HeldReason, LedgerEntry, RuleView, Why
from gpuscout.alerts.rules import GpuScope, Owner, PriceRule, Rule
from gpuscout.cards.alert_text import Names
from gpuscout.cards.alert_why import why_card
from tests.fake_market import SEEN

NAMES = Names(str.upper, str.title)
RULE = RuleView(
    1,
    Owner(member_id=1),
    Rule(when=PriceRule(scope=GpuScope(gpu="rtx-4090"), direction="below", level=0.3)),
    "active",
    SEEN,
    SEEN,
)
FIRED = LedgerEntry(SEEN, SEEN, "fired", None, 1, "price", None, 0.29, 0.3, "n1", "sending")


def shown(entry: LedgerEntry, locale: str | None = None) -> str:
    card = why_card(Why(RULE, [entry], []), NAMES, translator_for(locale))
    found: list[str] = []

    def walk(items: list[dict[str, Any]]) -> None:
        for item in items:
            if item["type"] == 10:
                found.append(item["content"])
            walk(item.get("components", []))

    walk(card.to_components())
    return "\n".join(found)


def test_a_try_that_goes_on_is_no_lost_answer() -> None:
    trying = replace(FIRED, attempts=[Attempt(SEEN, "dm", "unknown", None, None)])
    assert "being sent" in shown(trying)
    assert "the answer was lost" not in shown(trying)
    again = replace(trying, attempts=[*trying.attempts, *trying.attempts])
    assert shown(again).count("the answer was lost") == 1


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("pending", "waiting to be sent"),
        ("failed", "could not be delivered: every channel failed"),
        ("dropped", "not sent: alerts are switched off"),
        ("odd", "state unknown"),
    ],
)
def test_where_a_message_is(state: str, said: str) -> None:
    assert said in shown(replace(FIRED, state=state))


REASONS: tuple[HeldReason, ...] = (
    "thin",
    "stale",
    "contradicted",
    "outlier",
    "history",
    "cooldown",
    "snoozed",
    "unmoved",
    "polls",
    "muted",
)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_a_sentence(reason: HeldReason) -> None:
    entry = LedgerEntry(SEEN, SEEN, "held", reason, 1, "price", None, 0.29, 0.3)
    english = shown(entry).split("held back", 1)[1].split("-# ")[1]
    german = shown(entry, "de").split("zurückgehalten", 1)[1].split("-# ")[1]
    assert english.strip().endswith(".")
    assert english != german


def test_what_a_service_said_is_no_markup() -> None:
    entry = replace(FIRED, state="failed", attempts=[Attempt(SEEN, "dm", "refused", "**[x](https://evil)**", None)])
    assert "\\[x\\](https:" in shown(entry)
