"""Files of holdings: reading what a member gives, storing it once he confirms, and writing his own."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import discord

from cogs.portfolio_errors import BadFile, FileGone, NothingToShow
from cogs.portfolio_flow import PortfolioFlow
from cogs.replies import PATIENT, Reply, text_of
from config.i18n import Text
from gpuscout.cards.limit_text import limit_sentence
from gpuscout.cards.portfolio_import import (
    BAD_FILE,
    GOOD_FILE,
    SHOWN_ERRORS,
    error_file,
    exported_card,
    import_card,
    settled_card,
    template_card,
)
from gpuscout.plans.limits import LimitReached, allowance_of
from gpuscout.portfolio.csv_import import MAX_BYTES, CsvReport, to_csv

TEMPLATE_FILE: Final = "gpuscout-holdings.csv"
EXPORT_FILE: Final = "gpuscout-portfolio.csv"
DOWNLOAD_SECONDS: Final = 15.0
_ENDINGS: Final = (".csv", ".tsv", ".txt")
_REMEMBERED: Final = 256


class PortfolioFiles:
    """Import and export. A file that waits for confirmation hangs on the question itself, so nothing is kept here."""

    def __init__(self, flow: PortfolioFlow) -> None:
        self._flow = flow
        self._portfolios = flow.services.portfolios
        self._settled: OrderedDict[int, None] = OrderedDict()

    async def template(self, reply: Reply) -> None:
        """The file to fill in."""
        facts, t = await self._flow.facts(reply.interaction), text_of(reply.interaction)
        file = _file(self._portfolios.template_csv().encode(), TEMPLATE_FILE)
        await reply.send(view=template_card(TEMPLATE_FILE, facts, t), files=[file])

    async def export(self, reply: Reply) -> None:
        """The member's holdings.

        Raises:
            NothingToShow: there are none.
        """
        holdings = await reply.within(PATIENT, self._portfolios.list(reply.interaction.user.id))
        if not holdings:
            raise NothingToShow
        file = _file(self._portfolios.to_csv(holdings).encode(), EXPORT_FILE)
        card = exported_card(EXPORT_FILE, len(holdings), text_of(reply.interaction))
        await reply.send(view=card, files=[file])

    async def read(self, reply: Reply, attachment: discord.Attachment) -> None:
        """Show what a file holds; nothing is stored.

        Raises:
            BadFile: it is too large, no text, or not such a file.
        """
        if not attachment.filename.lower().endswith(_ENDINGS):
            raise BadFile("kind")
        if attachment.size > MAX_BYTES:
            raise BadFile("large")
        await reply.acknowledge()
        report = await self._parse(await _download(attachment.read()))
        member = reply.interaction.user.id
        existing = len(await self._portfolios.list(member))
        t = text_of(reply.interaction)
        warning = await self._warning(member, existing, len(report.rows), t)
        facts = await self._flow.facts(reply.interaction, [row.gpu for row in report.rows])
        files = [_file(to_csv(report.rows).encode(), GOOD_FILE)] if report.rows else []
        if len(report.errors) > SHOWN_ERRORS:
            files.append(_file(error_file(report.errors, t), BAD_FILE))
        await reply.send(view=import_card(report, existing, warning, facts, t), files=files)

    async def _warning(self, member: int, existing: int, more: int, t: Text) -> str | None:
        """The sentence about the plan's limit, where the good rows would pass it."""
        services = self._flow.services
        allowed = await allowance_of(services.plans, services.tiers, member, "holdings")
        try:
            allowed.check(existing + more if more else 0)
        except LimitReached as reached:
            return limit_sentence(reached, t)
        return None

    async def _parse(self, data: bytes) -> CsvReport:
        report = await asyncio.to_thread(self._portfolios.parse_csv, data)
        if report.refused is not None:
            raise BadFile(report.refused)
        if not report.rows and not report.bad:
            raise BadFile("empty")
        return report

    async def store(self, reply: Reply) -> None:
        """Store the good rows that hang on the clicked question, once.

        Raises:
            FileGone: they are stored already, or Discord has lost the file.
        """
        message = reply.interaction.message
        if message is None or not self._claim(message.id):
            raise FileGone
        try:
            await reply.acknowledge()
            report = await self._parse(await self._attached(message))
            added = await self._portfolios.add_many(reply.interaction.user.id, report.rows)
        except BaseException:
            self._settled.pop(message.id, None)  # nothing was stored: he may try again
            raise
        t = text_of(reply.interaction)
        said = (
            t("1 holding is added.")
            if len(added) == 1
            else t("{count} holdings are added.", count=t.number(len(added)))
        )
        await reply.send(view=settled_card(f"✅ {said}", t))

    async def drop(self, reply: Reply) -> None:
        """Forget an import."""
        t = text_of(reply.interaction)
        await reply.send(view=settled_card(t("Nothing was changed."), t))

    def _claim(self, message_id: int) -> bool:
        """True for exactly one of two quick clicks."""
        if message_id in self._settled:
            return False
        self._settled[message_id] = None
        while len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)
        return True

    async def _attached(self, message: discord.Message) -> bytes:
        for attachment in message.attachments:
            if attachment.filename == GOOD_FILE and attachment.size <= MAX_BYTES:
                return await _download(attachment.read())
        # A layout's files may be told by their components alone.
        for component in _walk(message.components):
            if isinstance(component, discord.FileComponent) and _last(component.media.url) == GOOD_FILE:
                return await _download(message._state.http.get_from_cdn(component.media.url))
        raise FileGone


def _last(url: str) -> str:
    """The name of the file at an address."""
    return urlsplit(url).path.rpartition("/")[2]


def _walk(components: Sequence[Any]) -> Iterator[Any]:
    for component in components:
        yield component
        yield from _walk(getattr(component, "children", ()))


async def _download(work: Awaitable[bytes]) -> bytes:
    """The bytes of a file at Discord.

    Raises:
        FileGone: Discord does not give it (any more).
    """
    try:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            return await work
    except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
        raise FileGone from error


def _file(data: bytes, name: str) -> discord.File:
    return discord.File(io.BytesIO(data), filename=name)
