"""What is said once in a new server."""

from __future__ import annotations

from collections.abc import Callable

from discord import ui

from config.i18n import Text
from gpuscout.cards.kit import ACCENT, Card


def greeting_card(mention: Callable[[str], str], t: Text) -> Card:
    """Three lines: what this is, what to try, where help is."""
    container: ui.Container[Card] = ui.Container(accent_colour=ACCENT)
    container.add_item(
        ui.TextDisplay(
            "\n".join(
                (
                    "## " + t("GPUScout is here"),
                    t("I watch what GPUs rent for and keep the history, so that hosts know what theirs should earn."),
                    t(
                        "Try {price} with a model such as RTX 4090; {help} shows the rest.",
                        price=mention("price"),
                        help=mention("help"),
                    ),
                )
            )
        )
    )
    card = Card()
    card.add_item(container)
    return card
