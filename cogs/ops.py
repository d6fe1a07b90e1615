"""``/ops``: for the people who run the bot, and nobody else. Every answer is for them alone."""

from __future__ import annotations

from typing import Any

from discord import Permissions, app_commands, ui
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.errors import Mention, Refusal
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.slash import slash
from cogs.ui.base import Interaction, ScoutItem
from cogs.ui.confirm import Confirm
from cogs.ui.pager import pager_items
from config.i18n import Text
from gpuscout.cards import ops_card as cards
from gpuscout.cards.kit import plain
from gpuscout.cards.page import page_card
from gpuscout.cards.pager import Paging
from gpuscout.cards.state import BadState
from gpuscout.cards.status_card import Told
from gpuscout.delivery.promise import PROMISED_SECONDS

UNKNOWN_SHOWN = 25


class OwnersOnly(Refusal, app_commands.CheckFailure):
    """Somebody else asks for what only the owners may see."""

    outcome = "not_owner"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("Only the people who run this bot may do this.")


async def require_owner(interaction: Interaction) -> None:
    """Let only the configured owners in, else those of the application or its team.

    Raises:
        OwnersOnly: it is somebody else.
    """
    client: Any = interaction.client
    if not await client.is_owner(interaction.user):
        raise OwnersOnly


class OpsFlow:
    """What the commands and their controls do."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.operations = services.operations

    async def health(self, reply: Reply) -> None:
        """The state of the work."""
        services, t = self.services, text_of(reply.interaction)
        jobs = await self.operations.jobs()
        times = await self.operations.delivery_times()
        sources = await services.market.sources()
        facts = cards.HealthFacts(
            database_ms=await self.operations.database_latency_ms(),
            ready=jobs.ready,
            running=jobs.running,
            dead=jobs.dead,
            oldest=await self.operations.oldest_due(),
            told=Told(times.count, times.p50, times.p99, PROMISED_SECONDS),
            failing={s.source: s.problem or "" for s in sources if s.failing_since is not None},
        )
        await reply.send(view=page_card(cards.health_page(facts, services.clock(), t)))

    async def letters(self, reply: Reply, page: int = 0, note: str | None = None) -> None:
        """A page of the dead letters; the nearest one where the list has become shorter."""
        total = (await self.operations.jobs()).dead
        paging = Paging.of(total, cards.PAGE_SIZE, page)
        jobs = await self.operations.dead_letters(cards.PAGE_SIZE, paging.offset)
        await reply.send(view=cards.dead_letters_card(jobs, total, paging, note, text_of(reply.interaction)))

    async def letter(self, reply: Reply, job_id: int, note: str | None = None) -> None:
        """One of them; the list where it is gone."""
        t = text_of(reply.interaction)
        job = await self.operations.job(job_id)
        if job is None:
            await self.letters(reply, note=t("Job {id} is not there any more.", id=job_id))
            return
        await reply.send(view=cards.dead_letter_card(job, note, t))

    async def retry(self, reply: Reply, job_id: int) -> None:
        """Give it a fresh set of tries."""
        t = text_of(reply.interaction)
        done = await self.operations.retry_dead(job_id)
        note = (
            "✅ " + t("Job {id} is tried again now.", id=job_id)
            if done
            else t("Job {id} is no dead letter any more.", id=job_id)
        )
        await self.letters(reply, note=note)

    async def discard(self, interaction: Interaction, job_id: int) -> None:
        """Ask, then close it for good."""
        t = text_of(interaction)
        job = await self.operations.job(job_id)
        if job is None or job.state != "dead":
            note = t("Job {id} is no dead letter any more.", id=job_id)
            await self.letters(Reply(interaction, Place.IN_PLACE), note=note)
            return

        async def act(_: Interaction) -> str:
            if await self.operations.discard_dead(job_id):
                return t("Job {id} is discarded.", id=job_id)
            return t("Job {id} is no dead letter any more.", id=job_id)

        question = t(
            "Discard job {id} ({kind})? What it owes somebody is not done then.", id=job_id, kind=plain(job.kind, 64)
        )
        confirm = Confirm(question, yes=t("Discard"), act=act, owner=interaction.user.id, name="ops discard", t=t)
        await confirm.ask(Reply(interaction, Place.PRIVATE))

    async def unknown(self, reply: Reply) -> None:
        """Names that the catalogue does not know."""
        found = await self.operations.unknown_gpus(UNKNOWN_SHOWN)
        names = [cards.UnknownName(each.name, each.slug, each.times, each.last_seen) for each in found]
        await reply.send(view=page_card(cards.unknown_page(names, text_of(reply.interaction))))


@app_commands.default_permissions(Permissions(administrator=True))
class Ops(commands.GroupCog, name=locale_str("ops"), description=locale_str("For the people who run this bot")):
    """How the bot's work goes, and what to do about what failed."""

    def __init__(self, flow: OpsFlow) -> None:
        super().__init__()
        self.flow = flow

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Owners only, whatever the command's permissions in a server's settings say."""
        await require_owner(interaction)
        return True

    @slash("health", "How background work, delivery and the market sources do", "")
    async def health(self, interaction: Interaction) -> None:
        """Everything at a glance."""
        reply = Reply(interaction, Place.PRIVATE)
        await reply.within(PATIENT, self.flow.health(reply))

    @slash("dead-letters", "Work that was given up: look at it, try it again, discard it", "")
    async def dead_letters(self, interaction: Interaction) -> None:
        """The list."""
        await self.flow.letters(Reply(interaction, Place.PRIVATE))

    @slash("unknown-gpus", "GPU names that the catalogue does not know", "")
    async def unknown_gpus(self, interaction: Interaction) -> None:
        """The names."""
        await self.flow.unknown(Reply(interaction, Place.PRIVATE))


def ops_items(flow: OpsFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, alive as long as the message; each asks again who clicks."""

    class OpsItem(ScoutItem[ui.Item[Any]], template=r"ops\d+\|(?P<action>[a-z]+)\|(?P<state>\d{1,19})"):
        """A menu or button of a dead letter."""

        usage_name = "ops"

        async def act(self, interaction: Interaction) -> None:
            await require_owner(interaction)
            _, action, number = str(self.custom_id).split("|")
            reply = Reply(interaction, Place.IN_PLACE)
            match action:
                case cards.OPEN:
                    values = getattr(self.item, "values", [])
                    if len(values) != 1 or not values[0].isdecimal():
                        raise BadState("nothing chosen")
                    await flow.letter(reply, int(values[0][:18]))
                case cards.RETRY:
                    await flow.retry(reply, int(number))
                case cards.DISCARD:
                    await flow.discard(interaction, int(number))
                case cards.LIST:
                    await flow.letters(reply)
                case _:
                    raise BadState("unknown action")

    return (OpsItem,)


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog and its controls to *bot*."""
    flow = OpsFlow(services)

    async def turn(interaction: Interaction, _state: str, page: int) -> None:
        await require_owner(interaction)
        await flow.letters(Reply(interaction, Place.IN_PLACE), page)

    bot.add_dynamic_items(*ops_items(flow), *pager_items(cards.PAGE_PREFIX, turn))
    await bot.add_cog(Ops(flow))
