"""Whatever the domain may say has words, in English and in German."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from config.i18n import Text, translator_for
from gpuscout.cards import advice_text, portfolio_problem
from gpuscout.cards.portfolio_formula import known_words, quantity
from gpuscout.cards.portfolio_holding import formula_line
from gpuscout.portfolio.advice_models import NotEnoughEvidence, TooLittle, Use
from gpuscout.portfolio.models import Earnings, Figure, HoldingDraft, NoValue, Unit, Unvalued
from tests.fake_portfolio import MACHINE
from tests.fakes import World

PROBLEMS = ["range", "unknown", "number", "whole", "date", "future", "missing", "long", "machine"]
TEXTS = [translator_for("en-US"), translator_for("de")]


@pytest.mark.parametrize("t", TEXTS, ids=["en", "de"])
def test_every_reason_and_use_has_a_sentence(t: Text) -> None:
    said = [advice_text.reason(NotEnoughEvidence(reason), t) for reason in get_args(TooLittle)]
    assert len(set(said)) == len(said)
    assert len({advice_text.use_name(use, t) for use in get_args(Use)}) == len(get_args(Use))
    reasons = get_args(Unvalued)
    assert len({portfolio_problem.value_problem(NoValue(why), t) for why in reasons}) == len(reasons)
    assert all(quantity(1.5, unit, t) for unit in get_args(Unit))


@pytest.mark.parametrize("t", TEXTS, ids=["en", "de"])
@pytest.mark.parametrize("field", [field.name for field in fields(HoldingDraft)])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_field_has_a_name_and_every_problem_a_sentence(t: Text, field: str, problem: str) -> None:
    sentence = portfolio_problem.problem_sentence(field, "x" * 99, problem, t)
    assert sentence.endswith((".", "."))
    assert field not in sentence or field in portfolio_problem.field_name(field, t)
    assert "x" * 60 not in sentence


async def test_every_name_and_formula_of_a_valuation_is_known() -> None:
    portfolios = World().portfolios()
    known = known_words(translator_for("de"))
    await portfolios.add(1, HoldingDraft(gpu="rtx-4090", platform="vast", asked_price=0.35, power_w=300.0))
    await portfolios.add(1, HoldingDraft(gpu="rtx-5090", platform="vast"))
    await portfolios.add_machine(1, MACHINE)
    view = await portfolios.value(1)
    assert len(view.holdings) == 3
    for valued in view.holdings:
        assert formula_line(valued, translator_for("en-US"))
        for earnings in (valued.asked, valued.market):
            assert earnings is not None
            for figure in _figures(earnings):
                for name in (figure.name, figure.formula, *(known_input.name for known_input in figure.inputs)):
                    assert name in known, name
                assert figure.missing is None or figure.missing in known


def _figures(earnings: Earnings) -> list[Figure]:
    return [getattr(earnings, field.name) for field in fields(Earnings)]
