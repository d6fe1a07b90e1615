"""What can go wrong with an e-mail address, as one sentence a member can act on."""

from __future__ import annotations

from cogs.errors import Mention, Refusal
from config.i18n import Text


class NoAddress(Refusal):
    """What was typed is no address."""

    outcome = "bad_value"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("That is no e-mail address I can write to; type it as in name@example.com.")


class TooManyAddresses(Refusal):
    """A member asked for too many links."""

    outcome = "limit"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("You have asked for several links within a day; follow the newest one, or try again tomorrow.")
