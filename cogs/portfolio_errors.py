"""What can go wrong around portfolios, as one sentence that a member can act on."""

from __future__ import annotations

from cogs.errors import Mention, Refusal
from config.i18n import Text
from gpuscout.cards.kit import plain
from gpuscout.cards.portfolio_import import refused_sentence


class NoSuchHolding(Refusal):
    """The member has no such holding (any more). Another member's looks the same."""

    outcome = "unknown_name"

    def __init__(self, name: str = "") -> None:
        self.name = name
        super().__init__(f"no holding {name[:60]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        show = mention("portfolio show")
        if not self.name:
            return t("This holding is not in your portfolio any more; {show} lists what is.", show=show)
        name = plain(self.name, 60)
        return t("You have no holding “{name}”; pick one from the list, or see {show}.", name=name, show=show)


class NothingToAdd(Refusal):
    """Neither a GPU nor a machine."""

    outcome = "bad_value"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("Name a GPU, or a Vast.ai machine by its number with the option machine.")


class MachineAlone(Refusal):
    """A machine together with what the market says of it."""

    outcome = "bad_value"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t(
            "With machine leave out GPU, quantity, price, platform, region, tier and segment: the market says them."
        )


class NothingToShow(Refusal):
    """Something that needs holdings, of an empty portfolio."""

    outcome = "no_data"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("Your portfolio is empty; {add} puts a rig into it.", add=mention("portfolio add"))


class BadFile(Refusal):
    """A file that is not read. ``reason`` is one of :func:`gpuscout.cards.portfolio_import.refused_sentence`."""

    outcome = "bad_file"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def sentence(self, t: Text, mention: Mention) -> str:
        return refused_sentence(self.reason, t)


class FileGone(Refusal):
    """An import whose file Discord does not give any more, or that was confirmed already."""

    outcome = "old_card"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("This import is over; give the file to {import_} again.", import_=mention("portfolio import"))


class TooLateToUndo(Refusal):
    """A removed holding that is erased already."""

    outcome = "old_card"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("It is too late to undo that; {add} puts it in again.", add=mention("portfolio add"))
