"""Limits: what each plan allows, and the sentence that names the plan that lifts one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogs.errors import explain
from config.i18n import translator_for
from gpuscout.cards.limit_text import limit_sentence
from gpuscout.plans.limits import Allowance, LimitReached, allowance_of
from gpuscout.plans.tiers import EveryoneFree, Limited, Plan, Plans, Tier, default_plans
from tests.fake_choices import FakeTiers

EN, DE = translator_for("en-US"), translator_for("de")


def reached(tier: Tier, what: Limited, total: int) -> LimitReached:
    plans = default_plans()
    with pytest.raises(LimitReached) as caught:
        Allowance(plans, plans[tier], what).check(total)
    return caught.value


def test_limits_of_alerts_are_those_that_were_promised() -> None:
    plans = default_plans()
    assert [plans[tier].limit("alerts") for tier in ("free", "individual", "professional", "enterprise")] == [
        3,
        25,
        200,
        None,
    ]


@pytest.mark.parametrize(
    ("tier", "what", "total", "english", "german"),
    [
        (
            "free",
            "alerts",
            4,
            "Free allows 3 alerts; Individual allows 25.",
            "Free erlaubt 3 Alarme; Individual erlaubt 25.",
        ),
        ("free", "alerts", 30, "Free allows 3 alerts; Professional allows 200.", None),
        ("professional", "alerts", 201, "Professional allows 200 alerts; Enterprise has no limit.", None),
        ("free", "webhooks", 2, "Free allows 1 webhook; Individual allows 5.", None),
        ("enterprise", "webhooks", 101, "Enterprise allows 100 webhooks; no plan allows more.", None),
        (
            "free",
            "holdings",
            11,
            "Free allows 10 holdings; Individual allows 50.",
            "Free erlaubt 10 Bestände; Individual erlaubt 50.",
        ),
    ],
)
def test_the_sentence_names_the_plan_that_lifts_it(
    tier: Tier, what: Limited, total: int, english: str, german: str | None
) -> None:
    error = reached(tier, what, total)
    assert limit_sentence(error, EN) == english
    if german:
        assert limit_sentence(error, DE) == german
    explained = explain(error, EN, lambda name: f"/{name}")
    assert (explained.sentence, explained.outcome, explained.expected) == (english, "limit", True)


def test_up_to_the_limit_nothing_is_said() -> None:
    plans = default_plans()
    Allowance(plans, plans["free"], "alerts").check(3)
    Allowance(plans, plans["enterprise"], "alerts").check(10**6)


async def test_the_members_tier_decides() -> None:
    tiers = FakeTiers({7: "professional"})
    assert (await allowance_of(default_plans(), tiers, 7, "alerts")).limit == 200
    assert (await allowance_of(default_plans(), tiers, 8, "alerts")).limit == 3
    assert await EveryoneFree().tier(7) == "free"


def test_a_plans_file_that_lacks_a_tier_or_has_an_unknown_word_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('[free]\nname = "Free"\n')
    with pytest.raises(ValueError, match="lacks the plans individual"):
        Plans.load(file)
    tiers = "".join(
        f'[{tier}]\nname = "x"\nallerts = 3\n' for tier in ("free", "individual", "professional", "enterprise")
    )
    file.write_text(tiers)
    with pytest.raises(ValueError, match="allerts"):
        Plans.load(file)


def test_no_plan_lifts_what_none_allows() -> None:
    plans = {
        tier: Plan(tier=tier, name=tier, alerts=1) for tier in ("free", "individual", "professional", "enterprise")
    }
    assert Plans(plans).lifts("alerts", 2) is None  # type: ignore[arg-type]
