"""What can go wrong with what members and servers choose, as one sentence they can act on."""

from __future__ import annotations

from collections.abc import Sequence

from cogs.errors import Mention, Refusal
from config.i18n import Text
from gpuscout.cards.kit import plain
from gpuscout.cards.server_card import permission_names


class OnlyPrivateHere(Refusal):
    """A mention where the server's admins allow no public answers; a message cannot be answered privately."""

    outcome = "private_only"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t(
            "In this channel I answer only slash commands, so that nobody else sees it: use {price}.",
            price=mention("price"),
        )


class UnknownZone(Refusal):
    """Words that fit no time zone."""

    outcome = "unknown_name"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"unknown time zone: {name[:80]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        name = plain(self.name, 60) or "…"
        return t("I don't know a time zone “{name}”; try a city, such as Berlin, or Eastern Time.", name=name)


class UnknownCurrency(Refusal):
    """A currency without a rate."""

    outcome = "unknown_name"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"unknown currency: {name[:80]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        name = plain(self.name, 20) or "…"
        if len(self.known) < 2:
            return t("“{name}” cannot be shown: the operator has set no exchange rates, only US dollars.", name=name)
        listed = ", ".join(f"**{code}**" for code in self.known)
        return t("“{name}” cannot be shown: there are rates for {names}.", name=name, names=listed)


class ListFull(Refusal):
    """A list that takes no more."""

    outcome = "full"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"limit of {limit}")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t(
            "Your watchlist is full: it holds {limit} GPUs; take one off with {remove} first.",
            limit=self.limit,
            remove=mention("watchlist remove"),
        )


class FeedNeedsChannel(Refusal):
    """A market feed, or what another *panel* is of, without a channel."""

    outcome = "bad_value"

    def __init__(self, panel: str = "server feed") -> None:
        self.panel = panel
        super().__init__(panel)

    def sentence(self, t: Text, mention: Mention) -> str:
        if self.panel != "server feed":
            return t("Choose the channel first, in {panel}.", panel=mention(self.panel))
        return t("Choose the channel of the feed first, in {feed}.", feed=mention("server feed"))


class CannotPost(Refusal):
    """A channel in which the bot cannot post. ``missing`` are names of discord.py's permission flags."""

    outcome = "forbidden"

    def __init__(
        self, channel_id: int, missing: Sequence[str] = (), *, gone: bool = False, panel: str = "server feed"
    ) -> None:
        self.channel_id, self.missing, self.gone, self.panel = channel_id, tuple(missing), gone, panel
        super().__init__(f"channel {channel_id}: {'gone' if gone else ', '.join(missing) or 'refused'}")

    def sentence(self, t: Text, mention: Mention) -> str:
        channel = f"<#{self.channel_id}>"
        if self.gone and self.panel != "server feed":
            return t("The channel is gone; choose another one in {panel}.", panel=mention(self.panel))
        if self.gone:
            return t("The channel of the feed is gone; choose another one in {feed}.", feed=mention("server feed"))
        if not self.missing:
            return t("Discord does not let me post in {channel}; check my permissions there.", channel=channel)
        names = permission_names(self.missing, t)
        return t("I cannot post in {channel}: grant me {names} there, then test again.", channel=channel, names=names)


class NotInRange(Refusal):
    """A number of a form that is none, or too small or too large."""

    outcome = "bad_value"

    def __init__(self, field: str, low: int, high: int) -> None:
        self.field, self.low, self.high = field, low, high
        super().__init__(f"{field} not in {low} to {high}")

    def sentence(self, t: Text, mention: Mention) -> str:
        said = {
            "hour": t("The hour must be a whole number from {low} to {high}.", low=self.low, high=self.high),
            "threshold": t(
                "The size of a move must be a number from {low} to {high} percent.", low=self.low, high=self.high
            ),
        }
        return said.get(
            self.field,
            t("The number of posts must be a whole number from {low} to {high}.", low=self.low, high=self.high),
        )


class NotATime(Refusal):
    """A time of day of a form that is none; ``same``: the end of a stretch that is its start."""

    outcome = "bad_value"

    def __init__(self, text: str, *, same: bool = False) -> None:
        self.text, self.same = text, same
        super().__init__(f"no time: {text[:40]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        if self.same:
            return t("Quiet hours must end at another time than they begin; leave both empty for none.")
        return t("“{text}” is no time of day; write it as 22:00 or 10 pm.", text=plain(self.text, 20) or "…")
