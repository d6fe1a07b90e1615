"""What can go wrong, as one sentence a member can act on.

Domain and program errors become an :class:`Explanation` here and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import discord
from discord import app_commands
from discord.ext import commands

from config.i18n import Text
from gpuscout.accounts.members import BadSetting
from gpuscout.cards.kit import plain, relative
from gpuscout.cards.limit_text import limit_sentence
from gpuscout.cards.portfolio_problem import portfolio_problem
from gpuscout.cards.price_text import region_name
from gpuscout.cards.state import BadState
from gpuscout.market.models import GLOBAL, HistoryOnly, MarketUnavailable, UnknownSeries
from gpuscout.plans.limits import LimitReached

Mention = Callable[[str], str]

EXPIRED_CODES = frozenset({10062, 10015, 50027, 40060})
"""Unknown interaction, unknown webhook, invalid webhook token, already acknowledged: nobody is left to answer."""

_ID_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U to misread


class Refusal(Exception):
    """An expected end of a command, said in one sentence. ``outcome`` is its name in usage events."""

    outcome = "refused"

    def sentence(self, t: Text, mention: Mention) -> str:
        """The sentence, in the reader's language."""
        raise NotImplementedError


class UnknownName(Refusal):
    """An option names nothing that is known. ``kind`` is gpu, platform, region or range."""

    outcome = "unknown_name"

    def __init__(self, kind: str, name: str, suggestions: Sequence[str] = ()) -> None:
        self.kind, self.name, self.suggestions = kind, name, tuple(suggestions)
        super().__init__(f"unknown {kind}: {name[:80]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        name = plain(self.name, 60) or "…"
        said = {
            "gpu": t("I don't know a GPU called “{name}”.", name=name),
            "platform": t("I don't know a platform called “{name}”.", name=name),
            "region": t("There are no prices for a region called “{name}”.", name=name),
            "ranking": t("There is no ranking called “{name}”.", name=name),
            "metric": t("There is no figure called “{name}”.", name=name),
        }.get(self.kind, t("“{name}” is not one of the ranges.", name=name))
        if self.suggestions:
            listed = ", ".join(f"**{plain(s, 60)}**" for s in self.suggestions)
            return f"{said} {t('Did you mean {names}?', names=listed)}"
        return f"{said} {t('Pick one from the list that opens while you type in {price}.', price=mention('price'))}"


class NoName(Refusal):
    """A mention without a GPU."""

    outcome = "unknown_name"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("Name a GPU, for example: price RTX 4090 vast.")


class UnknownCommand(Refusal):
    """A mention with words that are no command."""

    outcome = "unknown_command"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("I did not get that. Try “price RTX 4090” after mentioning me, or {help}.", help=mention("help"))


class TooFast(Refusal):
    """The member's allowance is used up until ``retry_at``."""

    outcome = "cooldown"

    def __init__(self, retry_at: datetime) -> None:
        self.retry_at = retry_at
        super().__init__("too many requests")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("That was quick: try again {when}.", when=relative(self.retry_at))


class Starting(Refusal):
    """The client is not ready yet."""

    outcome = "starting"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("I am starting; try again in a few seconds.")


class Blocked(Refusal):
    """The operator shut the member or the server out."""

    outcome = "blocked"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("The operator of this bot has closed it to you or to this server.")


class TooLate(Refusal):
    """The interaction is too old to be answered in time; nobody is told, for nobody would see it."""

    outcome = "late"

    def __init__(self, age: float) -> None:
        self.age = age
        super().__init__(f"{age:.2f} s old")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("That took too long to reach me; please try again.")


class NotYours(Refusal):
    """A control that belongs to whoever asked for it."""

    outcome = "not_yours"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("These controls belong to whoever asked; ask yourself to get your own.")


@dataclass(frozen=True, slots=True)
class Explanation:
    """A sentence for the member, a name for the usage event, and whether the operator must look."""

    sentence: str
    outcome: str
    expected: bool


def error_id() -> str:
    """Six characters that a member can read out and an operator can search the log for."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(6))


class NotAdmitted(commands.CheckFailure):
    """Carries a refusal of the gate through discord.py's checks, which let nothing else pass."""

    def __init__(self, refusal: Refusal) -> None:
        self.original = refusal
        super().__init__(str(refusal))


_WRAPPERS = (
    app_commands.CommandInvokeError,
    commands.CommandInvokeError,
    commands.HybridCommandError,
    commands.ConversionError,
    NotAdmitted,
)


def unwrap(error: BaseException) -> BaseException:
    """The error that a command raised, out of the wrappers of both command frameworks."""
    while True:
        inner: BaseException | None = None
        if isinstance(error, _WRAPPERS):
            inner = error.original
        elif isinstance(error, app_commands.TransformerError):
            inner = error.__cause__
        if inner is None:
            return error
        error = inner


def is_expired(error: BaseException) -> bool:
    """Whether Discord says that the interaction is over: there is nobody to answer."""
    return isinstance(error, discord.InteractionResponded) or (
        isinstance(error, discord.HTTPException) and error.code in EXPIRED_CODES
    )


def explain(error: BaseException, t: Text, mention: Mention) -> Explanation:
    """The one place where an error becomes a sentence. *error* is unwrapped already."""
    if isinstance(error, Refusal):
        return Explanation(error.sentence(t, mention), error.outcome, True)
    if isinstance(error, MarketUnavailable):
        return Explanation(_market_unavailable(error, t, mention), "unavailable", True)
    if isinstance(error, HistoryOnly):
        return Explanation(_history_only(error, t), "history_only", True)
    if isinstance(error, UnknownSeries):
        return Explanation(_unknown_series(error, t), "no_data", True)
    if isinstance(error, BadState):
        sentence = t("This card is too old to answer; ask again with {price}.", price=mention("price"))
        return Explanation(sentence, "old_card", True)
    if isinstance(error, LimitReached):
        return Explanation(limit_sentence(error, t), "limit", True)
    if (found := portfolio_problem(error, t)) is not None:
        return Explanation(*found, True)
    if isinstance(error, BadSetting):
        value = plain(str(error.value), 60)
        return Explanation(
            t("“{value}” does not fit here; pick a value from the list.", value=value), "bad_value", True
        )
    if isinstance(error, discord.Forbidden):
        return Explanation(
            t("I may not post here; ask an admin to grant me “Send Messages” and “Embed Links” in this channel."),
            "forbidden",
            True,
        )
    framework = _framework(error, t)
    if framework is not None:
        return framework
    return Explanation(
        t("Something went wrong on my side and is logged; please try again in a minute."), "error", False
    )


def _market_unavailable(error: MarketUnavailable, t: Text, mention: Mention) -> str:
    if error.last_seen is not None:
        return t(
            "Data temporarily unavailable: the last reading is from {when}, too old to show; {status} tells more.",
            when=relative(error.last_seen),
            status=mention("status"),
        )
    if error.next_poll_in is not None:
        seconds = max(1, round(error.next_poll_in.total_seconds()))
        return t("First data in about {seconds} s; ask again then.", seconds=t.number(seconds))
    return t("There are no market data yet; {status} tells whether the source answers.", status=mention("status"))


def _unknown_series(error: UnknownSeries, t: Text) -> str:
    name = plain(error.gpu, 60)
    if error.platform or (error.region and error.region != GLOBAL):
        region = region_name(error.region, t) if error.region else ""
        where = " · ".join(plain(part, 40) for part in (error.platform, region) if part)
        said = t("There are no {gpu} quotes for {where}.", gpu=name, where=where)
    else:
        said = t("Nobody lists a {gpu} right now.", gpu=name)
    if error.alternatives:
        listed = ", ".join(f"**{plain(a, 40)}**" for a in error.alternatives[:5])
        return f"{said} {t('There are for {names}.', names=listed)}"
    return said


def _history_only(error: HistoryOnly, t: Text) -> str:
    """A platform that is not read now, or lists none: its history ends, and nothing is broken."""
    said = t(
        "There is no current price of a {gpu} on {platform}: the newest in the history is from {when}.",
        gpu=plain(error.gpu, 60),
        platform=plain(error.key.platform, 40),
        when=relative(error.last_seen),
    )
    if error.alternatives:
        listed = ", ".join(f"**{plain(a, 40)}**" for a in error.alternatives[:5])
        return f"{said} {t('There are for {names}.', names=listed)}"
    return said


def _permissions(names: Sequence[str]) -> str:
    return ", ".join(f"“{name.replace('_', ' ').replace('guild', 'server').title()}”" for name in names)


def _framework(error: BaseException, t: Text) -> Explanation | None:
    """Errors of discord.py's command frameworks."""

    def said(sentence: str, outcome: str) -> Explanation:
        return Explanation(sentence, outcome, True)

    if isinstance(error, app_commands.CommandOnCooldown | commands.CommandOnCooldown):
        when = relative(discord.utils.utcnow() + timedelta(seconds=error.retry_after))
        return said(t("That was quick: try again {when}.", when=when), "cooldown")
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return said(
            t("This command has changed; restart Discord (Ctrl+R) and try again in a minute."), "outdated_command"
        )
    if isinstance(error, app_commands.MissingPermissions | commands.MissingPermissions):
        return said(
            t("You need the permission {names} for this.", names=_permissions(error.missing_permissions)), "forbidden"
        )
    if isinstance(error, app_commands.BotMissingPermissions | commands.BotMissingPermissions):
        names = _permissions(error.missing_permissions)
        return said(t("I need the permission {names} here; an admin can grant it.", names=names), "forbidden")
    if isinstance(error, app_commands.NoPrivateMessage | commands.NoPrivateMessage):
        return said(t("This works only in a server, not in direct messages."), "forbidden")
    if isinstance(error, app_commands.TransformerError):
        return said(t("“{value}” does not fit here; pick a value from the list.", value=_value(error)), "bad_value")
    if isinstance(error, commands.MissingRequiredArgument):
        return said(t("Name a GPU, for example: price RTX 4090 vast."), "unknown_name")
    if isinstance(error, commands.UserInputError):
        return said(t("I could not read that. Try it as a slash command, which helps while you type."), "bad_value")
    if isinstance(error, app_commands.CheckFailure | commands.CheckFailure):
        return said(t("You may not use this here."), "forbidden")
    return None


def _value(error: app_commands.TransformerError) -> str:
    return plain(str(error.value), 60)
