"""``/settings``: what a member chose, what is stored about him, and its erasure. For his eyes only."""

from __future__ import annotations

from typing import Any, Final

from discord import app_commands, ui
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.account_options import CurrencyOption, ZoneOption
from cogs.preferences import renew_preferences
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.settings_flow import DeliveryFlow
from cogs.slash import describe, slash
from cogs.ui.base import Interaction, ScoutItem
from cogs.ui.confirm import Confirm
from cogs.ui.settings_items import delivery_items
from cogs.usage import forget_use, seam
from gpuscout.accounts import timezones
from gpuscout.accounts.members import MAX_TARIFF, Member, Stored
from gpuscout.cards.settings_card import (
    DELETE,
    STORED,
    erase_question,
    erased_sentence,
    notifications_text,
    settings_card,
    stored_card,
)
from gpuscout.cards.state import BadState

AUTO: Final = "auto"


class Settings(commands.Cog):
    """A member's own settings."""

    def __init__(self, services: Services, delivery: DeliveryFlow) -> None:
        self.services = services
        self.delivery = delivery

    @slash(
        "settings",
        "Your time zone, currency, electricity, notifications, quiet hours, e-mail; what is stored about you",
        "yours",
    )
    @describe(
        timezone="For your charts: a city or a name, such as Berlin or Eastern Time",
        currency="Shown beside US dollars",
        electricity="What you pay, in US dollars per kWh, for example 0.30",
        language="The language I answer you in",
    )
    @app_commands.choices(
        language=[
            app_commands.Choice(name=locale_str("As your Discord"), value=AUTO),
            app_commands.Choice(name="English", value="en"),
            app_commands.Choice(name="Deutsch", value="de"),
        ]
    )
    async def settings(
        self,
        interaction: Interaction,
        timezone: app_commands.Transform[str, ZoneOption] | None = None,
        currency: app_commands.Transform[str, CurrencyOption] | None = None,
        electricity: app_commands.Range[float, 0.0, MAX_TARIFF] | None = None,
        language: str | None = None,
    ) -> None:
        """Set what was given, then show everything."""
        given: dict[str, Any] = {"timezone": timezone, "currency": currency, "tariff": electricity, "locale": language}
        values = {field: value for field, value in given.items() if value is not None}
        if values.get("locale") == AUTO:
            values["locale"] = None
        reply = Reply(interaction, Place.PRIVATE)
        await timezones.warm()
        member = await reply.within(PATIENT, self.services.members.change(interaction.user.id, values))
        renew_preferences(interaction, member)
        t = text_of(interaction)
        choice = await reply.within(PATIENT, self.services.choices.get(member.id))
        address = await reply.within(PATIENT, self.delivery.address(member.id))
        await reply.send(
            view=settings_card(
                member,
                self.services.members.currencies,
                self._zone(member, t.locale),
                notifications_text(choice, address, t),
                seam(interaction.client).mention("settings"),
                self.services.privacy_url,
                t("Saved.") if values else None,
                t,
            )
        )

    def _zone(self, member: Member, locale: str) -> str:
        return timezones.label(member.timezone or "UTC", self.services.clock(), locale)


class SettingsButton(ScoutItem[ui.Button[Any]], template=r"me\d+\|(?P<state>[a-z]+)"):
    """What is stored; delete, with a question first. Each click concerns whoever clicked, nobody else."""

    usage_name = "settings button"

    async def act(self, interaction: Interaction) -> None:
        services = seam(interaction.client).services
        action = str(self.custom_id).partition("|")[2]
        t = text_of(interaction)
        if action == STORED:
            reply = Reply(interaction, Place.PRIVATE)
            stored = await reply.within(PATIENT, services.members.stored(interaction.user.id))
            await reply.send(view=stored_card(stored, await _names(services, stored), services.privacy_url, t))
        elif action == DELETE:
            question = Confirm(
                erase_question(t),
                yes=t("Delete everything"),
                act=_erase,
                owner=interaction.user.id,
                name="erase my data",
                t=t,
            )
            await question.ask(Reply(interaction, Place.PRIVATE))
        else:
            raise BadState("unknown action")


async def _erase(interaction: Interaction) -> str:
    erased = await seam(interaction.client).services.members.erase(interaction.user.id)
    forget_use(interaction)  # the click itself would be the first new event
    return erased_sentence(erased, text_of(interaction))


async def _names(services: Services, stored: Stored) -> list[str]:
    """Names of the followed GPUs; slugs of those that neither catalogue nor market know."""
    models = [services.gpus.get(slug) for slug, _ in stored.watchlist]
    return [model.label if model else slug for model, (slug, _) in zip(models, stored.watchlist, strict=True)]


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog and its buttons to *bot*."""
    delivery = DeliveryFlow(services)
    bot.add_dynamic_items(SettingsButton, *delivery_items(delivery))
    await bot.add_cog(Settings(services, delivery))
