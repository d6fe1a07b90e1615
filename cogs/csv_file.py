"""Files of exported history, as Discord takes them."""

from __future__ import annotations

import asyncio
import gzip
import io
import re
from collections.abc import Callable

import discord

from cogs.errors import Mention, Refusal
from config.i18n import Text
from gpuscout.market.export import header, lines
from gpuscout.market.models import History


class NothingStored(Refusal):
    """There is no history to export."""

    outcome = "no_data"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("Nothing is stored of this series in this range.")


class FileTooLarge(Refusal):
    """The file is larger than this place takes."""

    outcome = "too_large"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("The file is larger than Discord takes here; choose a shorter range.")


async def write_export(history: History, range_: str, is_simulated: Callable[[str], bool], limit: int) -> discord.File:
    """*history* as a CSV file, gzipped where it would be larger than *limit* bytes.

    Raises:
        FileTooLarge: it is larger all the same.
    """

    def write() -> tuple[bytes, str]:
        data = (header() + "".join(lines(history, is_simulated))).encode()
        return (data, "csv") if len(data) <= limit else (gzip.compress(data, mtime=0), "csv.gz")

    data, extension = await asyncio.to_thread(write)
    if len(data) > limit:
        raise FileTooLarge
    key = history.key
    stem = re.sub(r"[^a-z0-9-]+", "-", f"{key.gpu}-{key.platform}-{key.tier}-{range_}".lower())[:80].strip("-")
    return discord.File(io.BytesIO(data), filename=f"{stem}.{extension}")
