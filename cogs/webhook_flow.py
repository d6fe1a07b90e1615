"""What ``/webhook`` and its controls do: ask the domain for the member who clicked, answer with a card."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import discord

from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.ui.base import Interaction
from cogs.ui.confirm import Confirm
from cogs.ui.pager import pager_id
from cogs.usage import seam
from cogs.webhook_errors import refusals
from config.i18n import Text
from gpuscout.cards import webhook_card as cards
from gpuscout.cards.kit import plain
from gpuscout.cards.pager import Paging
from gpuscout.cards.webhook_state import PAGE_PREFIX
from gpuscout.cards.webhook_text import outcome_text
from gpuscout.delivery.webhooks import PAGE
from storage.secrets import guild_owner, member_owner

T = TypeVar("T")

MEMBER_EVENTS: Final = ("alert.triggered", "portfolio.summary", "subscription.updated")
SERVER_EVENTS: Final = ("alert.triggered", "market.updated")
TEST_SECONDS: Final = 8.0
"""How long a member waits for the outcome of a test before he is sent to the log."""
_LOOK: Final = 0.25


def owners_of(interaction: Interaction) -> tuple[str, ...]:
    """For whom the member may act: himself, and the server whose admin he is."""
    mine = member_owner(interaction.user.id)
    if interaction.guild_id is not None and interaction.permissions.manage_guild:
        return (mine, guild_owner(interaction.guild_id))
    return (mine,)


class WebhookFlow:
    """Bound to the services; holds nothing of a member's."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def _name(self, slug: str) -> str:
        model = self.services.gpus.get(slug)
        return model.name if model is not None else self.services.platform_name(slug)

    async def _ask(self, reply: Reply, work: Awaitable[T]) -> T:
        with refusals():
            return await reply.within(PATIENT, work)

    # --- showing ---

    async def show_list(self, reply: Reply, note: str | None = None) -> None:
        """All webhooks that the member may change here."""
        interaction = reply.interaction
        webhooks = self.services.webhooks

        async def read() -> tuple[Sequence[Any], int | None]:
            return await webhooks.of(owners_of(interaction)), await webhooks.limit(interaction.user.id)

        endpoints, limit = await self._ask(reply, read())
        add = seam(interaction.client).mention("webhook add")
        await reply.send(view=cards.list_card(endpoints, limit, add, note, self._name, text_of(interaction)))

    async def show(self, reply: Reply, id: str, note: str | None = None) -> None:
        """One webhook."""
        endpoint = await self._ask(reply, self.services.webhooks.get(id, owners_of(reply.interaction)))
        await reply.send(view=cards.endpoint_card(endpoint, note, self._name, text_of(reply.interaction)))

    async def show_log(self, reply: Reply, id: str, page: int = 0) -> None:
        """A page of deliveries."""
        found = await self._ask(reply, self.services.webhooks.log(id, owners_of(reply.interaction), page))
        paging = Paging.of(found.total, PAGE, found.page)
        turn = pager_id(PAGE_PREFIX, id)
        await reply.send(view=cards.log_card(found.endpoint, found.entries, paging, turn, text_of(reply.interaction)))

    async def show_delivery(self, reply: Reply, id: str, note: str | None = None) -> None:
        """One delivery."""
        owners = owners_of(reply.interaction)
        endpoint, entry, attempts = await self._ask(reply, self.services.webhooks.delivery(id, owners))
        await reply.send(view=cards.delivery_card(endpoint, entry, attempts, note, text_of(reply.interaction)))

    # --- changing ---

    async def add(
        self,
        reply: Reply,
        url: str,
        events: Sequence[str],
        *,
        gpu: str | None,
        platform: str | None,
        guild: discord.Guild | None,
    ) -> None:
        """Store a webhook and show its secret."""
        member = reply.interaction.user.id
        owner = member_owner(member) if guild is None else guild_owner(guild.id)
        work = self.services.webhooks.add(owner, member, url, events, gpu=gpu, platform=platform)
        made = await self._ask(reply, work)
        t = text_of(reply.interaction)
        if made.secret is None:
            note = "✅ " + t("Events go to this Discord channel from now on. Send a test to see one.")
            card = cards.endpoint_card(made.endpoint, note, self._name, t)
        else:
            note = "✅ " + t("Saved: events go there from now on.")
            card = cards.secret_card(made.endpoint, made.secret, note, self._name, t)
        await reply.send(view=card)

    async def rotate(self, reply: Reply, id: str) -> None:
        """Draw a new secret and show it, in a message of its own."""
        made = await self._ask(reply, self.services.webhooks.rotate(id, owners_of(reply.interaction)))
        if made.secret is None:
            raise RuntimeError("a rotation without a secret")
        t = text_of(reply.interaction)
        note = "✅ " + t("There is a new signing secret.")
        await reply.send(view=cards.secret_card(made.endpoint, made.secret, note, self._name, t))

    async def enable(self, reply: Reply, id: str) -> None:
        """Switch a webhook on again."""
        await self._ask(reply, self.services.webhooks.enable(id, owners_of(reply.interaction)))
        t = text_of(reply.interaction)
        await self.show(reply, id, "✅ " + t("It is on again. Send a test to see whether it works."))

    async def test(self, reply: Reply, id: str) -> None:
        """Send a marked sample the real way, and wait a moment for its outcome."""
        owners = owners_of(reply.interaction)
        with refusals():
            delivery = await reply.within(PATIENT, self.services.webhooks.test(id, owners))
            await reply.acknowledge()
            outcome = await self._outcome(delivery, owners, text_of(reply.interaction))
        await self.show(reply, id, outcome)

    async def _outcome(self, delivery: str, owners: Sequence[str], t: Text) -> str:
        loop = asyncio.get_running_loop()
        ends = loop.time() + TEST_SECONDS
        while True:
            _, entry, _ = await self.services.webhooks.delivery(delivery, owners)
            if entry.last is not None:
                said = outcome_text(entry.last, t)
                if entry.delivery.state == "delivered":
                    return "✅ " + t("The test arrived: {outcome}.", outcome=said)
                return "❌ " + t("The test did not arrive: {outcome}.", outcome=said)
            if loop.time() >= ends:
                return "⏳ " + t("The test is on its way; its outcome will be among the deliveries.")
            await asyncio.sleep(_LOOK)

    async def replay(self, reply: Reply, id: str) -> None:
        """Send a delivery again."""
        await self._ask(reply, self.services.webhooks.replay(id, owners_of(reply.interaction)))
        t = text_of(reply.interaction)
        await self.show_delivery(reply, id, "✅ " + t("It is on its way again, under the same id."))

    async def ask_remove(self, reply: Reply, id: str) -> None:
        """Ask, then erase."""
        endpoint = await self._ask(reply, self.services.webhooks.get(id, owners_of(reply.interaction)))
        t = text_of(reply.interaction)
        said = t(
            "Nothing is sent to **{webhook}** any more; its secret and its log of deliveries are erased.",
            webhook=plain(endpoint.shown, 100),
        )
        question = Confirm(
            f"## {t('Remove this webhook?')}\n{said}",
            yes=t("Remove"),
            act=self._removing(id),
            owner=reply.interaction.user.id,
            name="remove webhook",
            t=t,
        )
        await question.ask(reply)

    def _removing(self, id: str) -> Callable[[Interaction], Awaitable[str]]:
        async def act(interaction: Interaction) -> str:
            with refusals():
                await self.services.webhooks.remove(id, owners_of(interaction))
            return text_of(interaction)("Done: the webhook is removed.")

        return act


def private(interaction: Interaction) -> Reply:
    """An answer for the member alone."""
    return Reply(interaction, Place.PRIVATE)


def in_place(interaction: Interaction) -> Reply:
    """The clicked message is edited."""
    return Reply(interaction, Place.IN_PLACE)
