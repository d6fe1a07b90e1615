"""``/status``: how fresh the market data are and how the bot is doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.i18n import Text
from gpuscout.cards.kit import link, plain, relative
from gpuscout.cards.page import Page
from gpuscout.market.models import Freshness, SourceStatus, freshness

GOOD, MIDDLING, BAD = 0x3FA66B, 0xE0A030, 0xD9534F


@dataclass(frozen=True, slots=True)
class BotFacts:
    """The program's own condition.

    ``latency`` is the gateway's round trip in seconds (None: not measured yet), ``database_ms`` the time of one
    query (None: no answer), ``waiting``, ``running`` and ``dead`` count background jobs.
    """

    started_at: datetime
    servers: int
    shards: int
    latency: float | None
    database_ms: float | None
    waiting: int
    running: int
    dead: int
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """How quickly alerts are told: DMs measured in the last seven days, percentiles of seconds from the poll, and what
    is promised."""

    count: int
    p50: float | None
    p99: float | None
    promised: float


def status_page(
    sources: Sequence[SourceStatus],
    facts: BotFacts,
    *,
    now: datetime,
    interval: timedelta,
    next_poll: timedelta | None,
    source_link: Callable[[str], tuple[str, str | None]],
    t: Text,
) -> Page:
    """The status as a page; *source_link* gives the name and address of a source's slug."""
    seen = max((s.last_source_time for s in sources if s.last_source_time), default=None)
    band = None if seen is None else freshness(seen, now, interval)
    market = [_market_line(seen, band, t)]
    if next_poll is not None:
        market.append(t("Next poll in about {seconds} s.", seconds=t.number(max(0, round(next_poll.total_seconds())))))
    market += [_source_line(source, *source_link(source.source), t) for source in sources]
    failing = any(source.failing_since for source in sources)
    if facts.database_ms is None or band is Freshness.UNAVAILABLE:
        word, colour = t("Trouble"), BAD
    elif failing or facts.dead or band is not Freshness.FRESH:
        word, colour = t("Working, with remarks"), MIDDLING
    else:
        word, colour = t("All well"), GOOD
    return Page(f"{t('Status')}: {word}", ["\n".join(market), _bot_lines(facts, t)], colour=colour)


def _market_line(seen: datetime | None, band: Freshness | None, t: Text) -> str:
    if seen is None or band is None:
        return f"⚪ **{t('Market data')}**: {t('none yet')}"
    sign, word = {
        Freshness.FRESH: ("🟢", t("fresh")),
        Freshness.STALE: ("🟡", t("stale, shown with their age")),
        Freshness.UNAVAILABLE: ("🔴", t("Data temporarily unavailable")),
    }[band]
    return f"{sign} **{t('Market data')}**: {word}, {t('as of {when}', when=relative(seen))}"


def _source_line(source: SourceStatus, name: str, url: str | None, t: Text) -> str:
    shown = link(name, url)
    if source.failing_since is not None:
        said = t("failing since {when}", when=relative(source.failing_since))
        reason = f": {plain(source.problem, 200)}" if source.problem else ""
        paused = "" if source.breaker == "closed" else " " + t("Requests are paused for a while.")
        return f"🔴 {shown}: {said}{reason}{paused}"
    if source.last_success is None:
        return f"⚪ {shown}: {t('not asked yet')}"
    line = f"🟢 {shown}: {t('answered {when}', when=relative(source.last_success))}"
    line += " · " + t("{count} series", count=t.number(source.series))
    if source.remark:
        line += f"\n⚠️ {plain(source.remark, 300)}"
    if source.rejected_last:
        line += " · " + t("{count} items refused", count=t.number(source.rejected_last))
    return line


def _bot_lines(facts: BotFacts, t: Text) -> str:
    latency = "–" if facts.latency is None else f"{t.number(facts.latency * 1000)} ms"
    database = t("no answer") if facts.database_ms is None else f"{t.number(facts.database_ms, digits=1)} ms"
    jobs = t(
        "{waiting} waiting, {running} running, {dead} given up",
        waiting=t.number(facts.waiting),
        running=t.number(facts.running),
        dead=t.number(facts.dead),
    )
    counts = f"**{t('Servers')}** {t.number(facts.servers)} · **{t('Shards')}** {t.number(facts.shards)}"
    return "\n".join(
        (
            f"**{t('Running')}** {t('since {when}', when=relative(facts.started_at))}",
            counts,
            f"**Discord** {latency} · **{t('Database')}** {database}",
            f"**{t('Background work')}** {jobs}",
            *([told_line(facts.told, t)] if facts.told is not None else []),
        )
    )


def told_line(told: Told, t: Text) -> str:
    """From the poll to the DM: what was measured, beside what is promised."""
    promised = t("promised within {seconds} s", seconds=t.number(told.promised))
    if told.p50 is None or told.p99 is None:
        return f"**{t('Poll to DM')}** {t('not measured yet: no alert in the last 7 days')} · {promised}"
    measured = t(
        "half within {p50} s, 99 % within {p99} s ({count} in 7 days)",
        p50=t.number(told.p50, digits=1),
        p99=t.number(told.p99, digits=1),
        count=t.number(told.count),
    )
    return f"**{t('Poll to DM')}** {measured} · {promised}"
