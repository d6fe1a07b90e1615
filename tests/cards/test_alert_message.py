"""The message of an alert: the specification's embed, several at once, after an outage, as a sample, elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from config.i18n import available_locales, translator_for
from gpuscout.alerts.messages import AlertItem, DigestLine, ExpiredItem
from gpuscout.alerts.rules import (
    ChangeRule,
    Condition,
    DemandRule,
    DigestRule,
    ExtremeRule,
    FleetRule,
    GpuScope,
    HoldingRule,
    MachineEvent,
    MachineRule,
    MachineScope,
    Manners,
    NewModelRule,
    PortfolioScope,
    PriceRule,
    Rule,
    SpreadRule,
    StepsRule,
    SupplyRule,
    UtilizationRule,
    WatchlistScope,
)
from gpuscout.cards import alert_text as words
from gpuscout.cards.alert_chart import alert_chart, wish
from gpuscout.cards.alert_message import AlertMessage, MessageFacts, alert_message, expired_message
from gpuscout.cards.alert_state import AlertAction, pack, unpack
from gpuscout.cards.state import CUSTOM_ID_LIMIT, BadState
from gpuscout.charts.render import render
from gpuscout.market.models import History, HistoryTier, SeriesKey
from tests.fake_market import SEEN, default_quotes, history_points

T = translator_for(None)
DE = translator_for("de")
SCOPE = GpuScope(gpu="rtx-4090", platform="vast", tier="on-demand")
BELOW = PriceRule(scope=SCOPE, direction="below", level=0.30)
NAMES = words.Names(
    {"rtx-4090": "RTX 4090", "b300": "B300"}.get, {"vast": "Vast.ai", "runpod": "RunPod"}.get, {"h1": "Rig 1"}.get
)
FACTS = MessageFacts(NAMES, mention=lambda name: f"</{name}:1>", sources={"500.farm": ("500.farm", "https://500.farm")})


def item(when: Condition = BELOW, **values: Any) -> AlertItem:
    given: dict[str, Any] = {
        "rule_id": 1,
        "when": when,
        "kind": when.kind,
        "happened": "below",
        "metric": "price",
        "gpu": "rtx-4090",
        "platform": "vast",
        "before": 0.31,
        "after": 0.29,
        "threshold": 0.30,
        "at": SEEN,
        "source": "500.farm",
    }
    return AlertItem(**{**given, **values})


def everything(message: AlertMessage) -> str:
    parts = [message.text]
    for embed in message.embeds:
        parts += [embed.title or "", embed.description or "", embed.footer.text or ""]
        parts += [f"{field.name}: {field.value}" for field in embed.fields]
    return "\n".join(parts)


def test_the_embed_is_as_specified() -> None:
    message = alert_message([item(severity="warning", impact_month=-42.1, fired_before=3)], FACTS, T)
    (embed,) = message.embeds
    assert embed.title == "⚠️ RTX 4090 fell below $0.30/h"
    assert embed.description is not None
    assert "Now **$0.29/h**, before $0.31/h · your level $0.30/h" in embed.description
    assert f"as of <t:{int(SEEN.timestamp())}:R> · fired 3 times before" in embed.description
    assert embed.colour is not None and embed.colour.value == 0xE0A030
    assert embed.timestamp == SEEN
    assert [(field.name, field.inline) for field in embed.fields] == [
        ("GPU Model", True),
        ("Expected Impact", True),
        ("Action Required", False),
    ]
    assert embed.fields[0].value == "RTX 4090 · Vast.ai"
    assert embed.fields[1].value == "**−$42.10** a month on your holdings"
    assert "</portfolio advice:1>" in str(embed.fields[2].value)
    assert message.text == "🔔 RTX 4090 fell below $0.30/h"
    assert message.chart is None


def test_severities_have_their_colours() -> None:
    colours = {alert_message([item(severity=s)], FACTS, T).embeds[0].colour for s in ("info", "warning", "critical")}
    assert len(colours) == 3


def test_without_holdings_the_impact_is_that_of_one_gpu() -> None:
    (embed,) = alert_message([item()], FACTS, T).embeds
    assert embed.fields[1].value == "−$14.61 a month for a GPU rented all the time, before fee and power"


def test_a_mention_tells_nothing_of_the_members_own() -> None:
    facts = MessageFacts(NAMES, private=False)
    rule = HoldingRule(holding_id="h1")
    shown = everything(alert_message([item(rule, metric="p90", impact_month=-42.1, holding_id="h1")], facts, T))
    assert "42.10" not in shown


def test_a_sample_says_so_everywhere() -> None:
    shown = alert_message([item(test=True)], FACTS, T)
    assert shown.embeds[0].title is not None and shown.embeds[0].title.startswith("[TEST]")
    assert "This is a sample that you asked for" in str(shown.embeds[0].description)
    assert shown.text.startswith("[TEST]")


def test_simulated_data_say_so_and_whose_clock_counts() -> None:
    facts = MessageFacts(NAMES, simulated=True)
    shown = alert_message([item()], facts, T)
    assert str(shown.embeds[0].title).startswith("[SIMULATED]")
    assert "simulated market, on the demo's clock" in str(shown.embeds[0].footer.text)


def test_three_are_three_embeds_the_severest_first_and_one_more_is_a_list() -> None:
    items = [item(rule_id=n, severity=s) for n, s in ((1, "info"), (2, "critical"), (3, "warning"))]
    three = alert_message(items, FACTS, T)
    assert [str(embed.title)[0] for embed in three.embeds] == ["🚨", "⚠", "🔔"]
    four = alert_message([*items, item(rule_id=4)], FACTS, T)
    (embed,) = four.embeds
    assert "4 of your alerts at once" in str(embed.title)
    assert str(embed.description).count("RTX 4090 fell below") == 4
    assert "and 1 more" in four.text


def test_hundreds_stay_within_discords_limits() -> None:
    items = [item(rule_id=n, gpu=f"model-{n}") for n in range(300)]
    facts = MessageFacts(words.Names(lambda slug: "*_" * 100 + slug, str))
    message = alert_message(items, facts, T)
    assert sum(len(embed) for embed in message.embeds) <= 6000
    assert all(len(str(embed.title)) <= 256 and len(str(embed.description)) <= 4096 for embed in message.embeds)
    assert len(message.text) <= 2000
    (menu,) = message.view.to_components()[0]["components"]
    assert len(menu["options"]) == 25
    assert all(len(option["label"]) <= 100 for option in menu["options"])


def test_after_an_outage_one_message_says_how_it_stands_now() -> None:
    items = [item(rule_id=n, catch_up=True, now=0.31, at=SEEN - timedelta(hours=n)) for n in (1, 2, 3)]
    (embed,) = alert_message(items, FACTS, T).embeds
    assert "While I was away: 3 of your alerts were crossed" in str(embed.title)
    assert str(embed.description).count("now $0.31/h") == 3


def test_the_same_firing_is_told_once() -> None:
    assert len(alert_message([item(), item()], FACTS, T).embeds) == 1


def test_nothing_is_no_message() -> None:
    with pytest.raises(ValueError, match="needs an item"):
        alert_message([], FACTS, T)
    with pytest.raises(ValueError, match="needs an item"):
        expired_message([], FACTS, T)


EVENTS: tuple[MachineEvent, ...] = ("rented", "freed", "idle", "gone", "reliability", "verification", "ends")
ITEMS: list[AlertItem] = [
    item(),
    item(PriceRule(scope=SCOPE, direction="crossing", level=0.3, figure="rented"), happened="above"),
    item(ChangeRule(scope=SCOPE, amount=10), happened="down", metric="change_24h_percent", after=-12.3, price=0.29),
    item(ChangeRule(scope=SCOPE, amount=0.05, unit="usd"), happened="up", metric="change_24h_usd", after=0.06),
    item(ChangeRule(scope=SCOPE, amount=10), happened="up", metric="price", before=0.30, after=0.34),
    item(StepsRule(scope=SCOPE, amount=5), happened="up", before=0.30, after=0.33),
    item(StepsRule(scope=SCOPE, amount=0.02, unit="usd"), happened="down", before=0.30, after=0.28),
    item(ExtremeRule(scope=SCOPE, which="low", days=30), happened="new", metric="low", after=-0.01, price=0.2),
    item(ExtremeRule(scope=SCOPE, which="high", days=30), happened="new", metric="high", after=0.01, price=0.5),
    item(
        UtilizationRule(scope=SCOPE, direction="above", level=0.9), happened="above", metric="utilization", after=0.95
    ),
    item(SupplyRule(scope=SCOPE, event="at_least", count=50), happened="above", metric="available", after=53.0),
    item(SupplyRule(scope=SCOPE, event="none_left"), metric="available", after=0.0, before=3.0),
    item(DemandRule(scope=SCOPE, direction="below", level=20), metric="demand", after=18.2),
    item(SpreadRule(gpu="rtx-4090", amount=20), happened="above", metric="spread_percent", after=22.4),
    item(SpreadRule(gpu="rtx-4090", amount=0.1, unit="usd", platforms=("vast", "runpod")), metric="spread_usd"),
    *(
        item(
            MachineRule(scope=MachineScope(machine_id=7), event=event, hours=24, days=7),
            metric={"idle": "m_idle_hours", "gone": "m_missed", "ends": "m_days_left"}.get(event, "m_rented"),
            machine_id=7,
            after=2.0,
        )
        for event in EVENTS
    ),
    item(HoldingRule(holding_id="h1"), happened="above", metric="p90", holding_id="h1", after=0.43, threshold=0.45),
    item(HoldingRule(), metric="p10", holding_id="h1", after=0.26, threshold=0.2),
    item(FleetRule(percent=8), happened="down", gpu=None, platform=None, metric="fleet_net", before=20.0, after=18.0),
    item(NewModelRule(), happened="new", gpu=None, metric="models", models=("b300", "rtx-4090"), after=90.0),
]
TITLES = [
    "RTX 4090 fell below $0.30/h",
    "RTX 4090 rose above $0.30/h",
    "RTX 4090 is down 12.3% in 24 h",
    "RTX 4090 is up $0.06 in 24 h",
    "RTX 4090 is up 13.3%: now $0.34/h",
    "RTX 4090 is up 10%: now $0.33/h",
    "RTX 4090 is down $0.02: now $0.28/h",
    "RTX 4090: lowest price in 30 days, $0.20/h",
    "RTX 4090: highest price in 30 days, $0.50/h",
    "RTX 4090: utilization rose to 95%",
    "RTX 4090: 53 available",
    "RTX 4090: none left to rent",
    "RTX 4090: demand fell to 18 of 100",
    "RTX 4090: platforms are 22.4% apart",
    "RTX 4090: platforms are $0.29/h apart",
    "Machine 7 was rented",
    "Machine 7 was given back",
    "Machine 7: 2 h idle",
    "Machine 7 is gone from the market",
    "Machine 7: reliability down to 2 GPUs rented",
    "Machine 7 is no longer verified",
    "Machine 7: its listing has 2 days left",
    "RTX 4090: your price is above the market's p90",
    "RTX 4090: your price is below the market's p10",
    "Your fleet's expected net earnings moved −10%: $18.00 a day",
    "New on Vast.ai: B300, RTX 4090",
]


@pytest.mark.parametrize(("one", "title"), list(zip(ITEMS, TITLES, strict=True)))
def test_every_kind_has_its_words(one: AlertItem, title: str) -> None:
    (embed,) = alert_message([one], FACTS, T).embeds
    assert str(embed.title) == f"🔔 {title}"
    assert len(embed.fields) == 3
    assert all(field.value for field in embed.fields)


@pytest.mark.parametrize("locale", available_locales())
@pytest.mark.parametrize("one", ITEMS)
def test_every_kind_in_every_language(one: AlertItem, locale: str) -> None:
    t = translator_for(locale)
    (shown,) = alert_message([one], FACTS, t).embeds
    (english,) = alert_message([one], FACTS, T).embeds
    assert shown.title != english.title
    assert [field.name for field in shown.fields] != [field.name for field in english.fields]
    assert shown.fields[2].value != english.fields[2].value
    assert str(shown.footer.text) != str(english.footer.text)


def test_a_digest_of_alerts() -> None:
    lines = (DigestLine(rule_id=1, when=BELOW, fired=3, last_at=SEEN), DigestLine(rule_id=2, when=BELOW, fired=0))
    one = item(DigestRule(), happened="digest", gpu=None, platform=None, metric=None, lines=lines)
    (embed,) = alert_message([one], FACTS, T).embeds
    assert "Your alerts: 3 firings" in str(embed.title)
    assert "**3×** RTX 4090 · Vast.ai: price below $0.30/h" in str(embed.description)
    (empty,) = alert_message([one.model_copy(update={"lines": ()})], FACTS, T).embeds
    assert "You have no other alerts. </alert add:1>" in str(empty.description)


def test_ended_rules() -> None:
    one = ExpiredItem(rule_id=7, when=BELOW, kind="price", expired_at=SEEN, fired=2)
    single = expired_message([one], FACTS, T)
    assert "An alert of yours has ended" in str(single.embeds[0].title)
    (renew, _) = single.view.to_components()[0]["components"]
    assert unpack(renew["custom_id"]).action is AlertAction.RENEW
    several = expired_message([one, one], FACTS, T)
    assert "2 of your alerts have ended" in str(several.embeds[0].title)


def test_names_from_outside_are_no_markup() -> None:
    facts = MessageFacts(words.Names(lambda _: "**[x](https://evil)** @everyone", lambda _: "`p`"))
    shown = everything(alert_message([item()], facts, T))
    assert "[x](https" not in shown.replace("\\", "") or "\\[x\\]" in shown
    assert "@everyone" not in shown


# --- charts ---


def past(span: timedelta) -> History:
    base = default_quotes()[0]
    step = span / 100
    points = history_points(base, SEEN - span, SEEN, step)
    return History(base.key, HistoryTier.HOUR, SEEN - span, SEEN, step, points, source="500.farm")


def test_the_chart_shows_level_and_firing() -> None:
    wanted = wish([item()])
    assert wanted is not None
    assert wanted.key == SeriesKey("vast", "rtx-4090")
    message = alert_message([item(threshold=0.33, after=0.335)], MessageFacts(NAMES, history=past(wanted.span)), T)
    assert message.chart is not None
    assert [series.key for series in message.chart.panels[0].series] == ["value", "level0", "fired"]
    assert render(message.chart)
    message.show("alert.png")
    assert message.embeds[0].image.url == "attachment://alert.png"


def test_a_level_far_outside_is_not_drawn() -> None:
    spec = alert_chart(item(threshold=9.0), past(timedelta(days=7)), NAMES, T)
    assert spec is not None
    assert "level0" not in [series.key for series in spec.panels[0].series]


def test_what_has_no_chart() -> None:
    assert wish([item(), item(rule_id=2)]) is None
    assert wish([item(MachineRule(scope=MachineScope(machine_id=7), event="gone"), machine_id=7)]) is None
    empty = History(
        SeriesKey("vast", "rtx-4090"), HistoryTier.HOUR, SEEN - timedelta(days=7), SEEN, timedelta(hours=1), ()
    )
    assert alert_chart(item(), empty, NAMES, T) is None


def test_the_span_follows_the_rule() -> None:
    hour = wish([item(ChangeRule(scope=SCOPE, amount=5, window="1h"))])
    low = wish([item(ExtremeRule(scope=SCOPE, which="low", days=90))])
    assert hour is not None and hour.span == timedelta(hours=24)
    assert low is not None and low.span == timedelta(days=90)


# --- words ---

RULES: list[tuple[Condition, str]] = [
    (BELOW, "RTX 4090 · Vast.ai: price below $0.30/h"),
    (PriceRule(scope=PortfolioScope(), direction="crossing", level=1), "My portfolio: price crosses $1.00/h"),
    (
        UtilizationRule(scope=WatchlistScope(platform="vast", region="de"), direction="below", level=0.5),
        "My watchlist · Vast.ai · Germany: utilization below 50%",
    ),
    (ExtremeRule(scope=SCOPE, which="high", days=7), "RTX 4090 · Vast.ai: highest price in 7 days"),
    (SpreadRule(gpu="rtx-4090", amount=10, platforms=("vast", "runpod")), "RTX 4090: Vast.ai and RunPod 10% apart"),
    (MachineRule(scope=PortfolioScope(), event="ends", days=7), "My machines: listing ends in 7 days"),
    (HoldingRule(holding_id="h1"), "Rig 1: asked price outside the market's p10–p90"),
    (DigestRule(every="week", hour=9), "My alerts: a summary on Mondays at 09:00"),
]


@pytest.mark.parametrize(("when", "text"), RULES)
def test_rules_in_words(when: Condition, text: str) -> None:
    assert words.rule_text(when, NAMES, T) == text
    assert words.rule_text(when, NAMES, DE) != text


def test_manners_in_words() -> None:
    rule = Rule(
        when=ChangeRule(scope=SCOPE, amount=10),
        manners=Manners(severity="critical", cooldown=timedelta(hours=6), repeat=timedelta(days=2), expires_at=SEEN),
    )
    assert words.manners_text(rule, T) == (
        "critical · when 2 readings in a row show it · at most every 6 h · again every 2 d while it lasts · "
        f"ends <t:{int(SEEN.timestamp())}:R>"
    )
    assert words.manners_text(Rule(when=BELOW, manners=Manners(once=True)), T) == "info · once"


# --- custom ids ---


@pytest.mark.parametrize("guild", [None, 2**63 - 1])
@pytest.mark.parametrize("action", list(AlertAction))
def test_controls_survive_packing(action: AlertAction, guild: int | None) -> None:
    packed = pack(action, 2**62, guild_id=guild)
    assert len(packed) <= CUSTOM_ID_LIMIT
    control = unpack(packed)
    assert (control.action, control.rule_id) == (action, 2**62)
    assert control.owner_key(5) == ("m:5" if guild is None else f"g:{guild}")


@pytest.mark.parametrize(
    "bad", ["", "alert1|why|1", "alert2|why|1|m", "alert1|why|-1|m", "alert1|why|1|g", "alert1|?|1|m"]
)
def test_forged_ones_are_refused(bad: str) -> None:
    with pytest.raises(BadState):
        unpack(bad)
