"""Names and descriptions of commands in the languages of the catalogue."""

from __future__ import annotations

import re

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Place

from config.i18n import available_locales, translator_for

_NAME = re.compile(r"[-_\w]{1,32}")


class CatalogueTranslator(app_commands.Translator):
    """Reads ``config/locales``. Names stand there as members see them: ``/price`` and ``gpu:``.

    ``en-US`` gets the English texts explicitly: without them, Discord shows US members those of ``en-GB``.
    """

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """The text in *locale*; None to leave it out. A name that Discord would refuse is left out too."""
        language = locale.value.split("-")[0]
        if language == "en":
            return string.message
        if language not in available_locales():
            return None
        t = translator_for(locale.value)
        if isinstance(context.data, app_commands.ContextMenu):
            return _menu_name(t(string.message), string.message)
        if context.location in (Place.command_name, Place.group_name):
            return _valid_name(t(f"/{string.message}").removeprefix("/"), string.message)
        if context.location is Place.parameter_name:
            return _valid_name(t(f"{string.message}:").removesuffix(":"), string.message)
        translated = t(string.message)
        return None if translated == string.message else translated[:100]


def _menu_name(name: str, original: str) -> str | None:
    """The name of a context menu: up to 32 characters, spaces and capitals allowed."""
    return name if name != original and len(name) <= 32 else None


def _valid_name(name: str, original: str) -> str | None:
    valid = _NAME.fullmatch(name) is not None and name == name.lower() and name != original
    return name if valid else None
