"""Webhooks in words."""

from __future__ import annotations

from config.i18n import Text
from gpuscout.cards.kit import WARNING, plain
from gpuscout.cards.page import Page
from storage.webhooks_model import Attempt, DeliveryState, OffReason


def reason_text(reason: OffReason | None, t: Text) -> str:
    """Why a webhook is off."""
    if reason == "gone":
        return t("its address answered that it is gone")
    return t("every delivery failed for five days")


def outcome_text(attempt: Attempt, t: Text) -> str:
    """What came of a try, in a few words: ``200 in 34 ms``."""
    took = f"{t.number(attempt.milliseconds)} ms"
    if attempt.status is not None and attempt.error is None:
        return t("{status} in {time}", status=attempt.status, time=took)
    said = {
        "timeout": t("no answer within 15 s"),
        "dns": t("the name does not resolve"),
        "tls": t("its certificate is not valid"),
        "refused": t("its address is not a public one"),
        "connection": t("no connection"),
    }
    return said.get(attempt.error or "", t("its answer is not HTTP"))


def state_text(state: DeliveryState, t: Text) -> str:
    """A delivery's state."""
    return {
        "waiting": t("on its way"),
        "delivered": t("delivered"),
        "failed": t("given up"),
        "dropped": t("dropped: the webhook was off"),
    }[state]


def off_page(shown: str | None, reason: OffReason, t: Text) -> Page:
    """The notice that a webhook was switched off.

    Args:
        shown: which one; None where others read it too.
    """
    why = reason_text(reason, t)
    if shown is None:
        said = t("I no longer send events to one of your webhooks: {reason}.", reason=why)
    else:
        said = t("I no longer send events to **{webhook}**: {reason}.", webhook=plain(shown, 120), reason=why)
    return Page(
        t("A webhook is switched off"),
        [
            said,
            t("When it works again, switch it on in `/webhook list`; what was not delivered is in its log."),
        ],
        colour=WARNING,
    )
