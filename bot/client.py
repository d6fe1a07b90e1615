"""The Discord client: an auto-sharded bot without privileged intents and without a member cache."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.ext import commands

from bot.endpoints import keep_gateway, use_endpoints
from bot.gate import Allowance, Gate
from bot.greeting import Greeting
from bot.skew import ClockSkew
from bot.sync import stored_ids, sync_commands
from bot.translator import CatalogueTranslator
from bot.tree import ScoutTree
from cogs import load_all
from cogs.account_errors import OnlyPrivateHere
from cogs.errors import NotAdmitted, Refusal, UnknownCommand, error_id, explain, unwrap
from cogs.preferences import load_preferences
from cogs.replies import sentence_with_id
from cogs.services import Services
from cogs.usage import record_interaction, record_message
from config.i18n import Text, translator_for

log = structlog.get_logger(__name__)


def intents() -> discord.Intents:
    """Servers, and messages that mention the bot or are sent to it: none of them privileged."""
    return discord.Intents(guilds=True, guild_messages=True, dm_messages=True)


class ScoutBot(commands.AutoShardedBot):
    """GPUScout in Discord.

    Args:
        services: What the cogs need.
        sync: Register commands at start when they changed; only the process that has shard 0 does.
        ready_timeout: Seconds without a further server after which the client counts as ready.
        allowance: Limit of commands and clicks for each member.
    """

    def __init__(
        self,
        services: Services,
        *,
        sync: bool = True,
        ready_timeout: float = 1.0,
        allowance: Allowance | None = None,
    ) -> None:
        use_endpoints(services.settings)
        self.services = services
        self.skew = ClockSkew(lambda: services.clock().timestamp())
        self._sync = sync
        self._command_ids: dict[str, int] = {}
        options: dict[str, Any] = {}
        if services.settings.shard_ids:
            options["shard_ids"] = list(services.settings.shard_ids)
        if services.settings.shard_count is not None:
            options["shard_count"] = services.settings.shard_count
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=ScoutTree,
            intents=intents(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
            owner_ids=set(services.settings.discord_owner_ids),
            case_insensitive=True,
            guild_ready_timeout=ready_timeout,
            http_trace=self.skew.trace_config(),
            **options,
        )
        keep_gateway(self.http, services.settings)
        self.gate = Gate(
            skew=self.skew,
            ready=self.is_ready,
            blocklist=services.blocklist,
            clock=services.clock,
            allowance=allowance,
        )
        self.check_once(self._admit_mention)

    async def setup_hook(self) -> None:
        """Add the cogs, then register the commands if need be. Runs once, before the gateway opens."""
        await self.tree.set_translator(CatalogueTranslator())
        await load_all(self, self.services)
        await self.add_cog(Greeting(self.services.guilds, self.mention, self.services.clock))
        if self._sync and 0 in (self.shard_ids or [0]):
            await self._sync_commands()
        else:
            self._command_ids = await stored_ids(self.services.state, self.application_id)

    async def _sync_commands(self) -> None:
        """A refusal by Discord is the operator's matter; the commands registered earlier go on working."""
        try:
            self._command_ids = (await sync_commands(self.tree, self.services.state)).ids
        except (discord.HTTPException, app_commands.AppCommandError, aiohttp.ClientError, OSError) as error:
            log.error("commands_not_registered", detail=str(error), remedy="gpuscout commands sync")
            self._command_ids = await stored_ids(self.services.state, self.application_id)

    async def admit(self, interaction: discord.Interaction[Any]) -> None:
        """Let a command or a click in, with what member and server chose, or raise why not (:class:`bot.gate.Gate`)."""
        await self.gate.admit(interaction)
        await load_preferences(self.services, interaction)

    def mention(self, command: str) -> str:
        """``</price:id>``, which members can click; ``/price`` in code while its id is unknown."""
        identity = self._command_ids.get(command.split(" ")[0])
        return f"</{command}:{identity}>" if identity is not None else f"`/{command}`"

    # --- Commands given by mention, and hybrid commands, report here ------------------------------------------------

    async def _admit_mention(self, ctx: commands.Context[Any]) -> bool:
        if ctx.interaction is None:  # interactions were admitted by the tree
            ctx.scout_started = time.monotonic()  # type: ignore[attr-defined]
            try:
                await self.gate.admit_message(ctx.author.id, ctx.guild.id if ctx.guild else None)
                if ctx.guild is not None:
                    server = await self.services.servers.get(ctx.guild.id)
                    if not server.public_in(ctx.channel.id, getattr(ctx.channel, "parent_id", None)):
                        raise OnlyPrivateHere
            except Refusal as refusal:
                raise NotAdmitted(refusal) from refusal
        return True

    async def on_command_completion(self, ctx: commands.Context[Any]) -> None:
        """Record a command given by mention."""
        if ctx.interaction is None:
            record_message(ctx, "ok", getattr(ctx, "scout_started", None))

    async def on_app_command_completion(
        self,
        interaction: discord.Interaction[Any],
        command: app_commands.Command[Any, ..., Any] | app_commands.ContextMenu,
    ) -> None:
        """Record a slash command."""
        record_interaction(interaction, command.qualified_name, "slash", "ok")

    async def on_command_error(self, ctx: commands.Context[Any], error: commands.CommandError, /) -> None:
        """Answer an error of a hybrid command or of a mention."""
        if ctx.interaction is not None:
            tree = self.tree
            assert isinstance(tree, ScoutTree)  # noqa: S101 - set in the constructor
            await tree.answer(ctx.interaction, error)
            return
        await self._answer_mention_error(ctx, error)

    async def _answer_mention_error(self, ctx: commands.Context[Any], error: commands.CommandError) -> None:
        cause: BaseException = unwrap(error)
        if isinstance(cause, commands.CommandNotFound):
            cause = UnknownCommand()
        t = self.texts_for(ctx)
        explanation = explain(cause, t, self.mention)
        identity = error_id()
        name = ctx.command.qualified_name if ctx.command else "unknown"
        details = {"command": name, "error_id": identity, "outcome": explanation.outcome}
        if explanation.expected:
            log.info("command_refused", detail=str(cause), **details)
        else:
            log.error("command_failed", exc_info=cause, **details)
        record_message(ctx, explanation.outcome, getattr(ctx, "scout_started", None))
        try:
            await ctx.send(sentence_with_id(explanation, identity, t))
        except discord.HTTPException as failure:
            log.warning("member_not_told", detail=str(failure), **details)

    @staticmethod
    def texts_for(ctx: commands.Context[Any]) -> Text:
        """Texts in the language of the server; a message does not tell its author's."""
        return translator_for(ctx.guild.preferred_locale.value if ctx.guild else None)
