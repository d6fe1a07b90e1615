"""``/about``: version, uptime, sources and links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from config.i18n import Text
from gpuscout.cards.kit import link, plain, relative
from gpuscout.cards.page import Page


def about_page(
    *,
    version: str,
    started_at: datetime,
    sources: Sequence[tuple[str, str | None]],
    links: Sequence[tuple[str, str]],
    legal: Sequence[tuple[str, str]],
    simulated: bool,
    t: Text,
) -> Page:
    """The page; *sources* are (name, address) of who the prices come from, *links* go onto buttons.

    *legal* are privacy and terms, which stand in the text.
    """
    about = [
        t("GPUScout tells people who host GPUs what their hardware should earn, where, and at what price."),
        f"**{t('Version')}** {plain(version, 40)} · **{t('Running')}** {t('since {when}', when=relative(started_at))}",
    ]
    if simulated:
        about.append("⚠️ " + t("Simulated market: no real prices."))
    named = ", ".join(link(name, url) for name, url in sources) or "–"
    credit = [
        f"**{t('Prices come from')}** {named}",
        t("Each card names its source, its age and its sample; nothing is estimated silently."),
    ]
    credit.append(" · ".join(link(name, url) for name, url in legal))
    return Page(
        "GPUScout",
        ["\n".join(about), "\n".join(credit)],
        footer=t("Not affiliated with the platforms it reports on."),
        links=links,
    )
