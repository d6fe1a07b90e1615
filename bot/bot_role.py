"""The bot role put together: the Discord client with what its cogs ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.alerts_role import AlertRoom
from bot.digests_role import make_digests
from bot.keys import derive, secret_ring
from bot.mail_role import MailRoom
from bot.operations import ProcessOperations, StateBlocklist
from bot.parts import (
    Parts,
    make_reader,
)
from bot.portfolio_role import make_portfolios
from bot.webhook_role import make_webhooks
from config.currencies import Currencies, default_currencies
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.accounts.servers import Servers
from gpuscout.charts.pool import ChartRenderer
from gpuscout.market.reader import MarketReader
from gpuscout.plans.tiers import EveryoneFree, default_plans
from gpuscout.telemetry.recorder import StoredUsage
from gpuscout.telemetry.usage import IdHasher
from storage.alerts_work import AlertSync, WatchlistSync
from storage.delivery_choices import DeliveryChoiceStore
from storage.guilds import GuildStore
from storage.members import MemberStore
from storage.servers import ServerStore
from storage.usage import UsageStore

if TYPE_CHECKING:
    from bot.client import ScoutBot
    from gpuscout.delivery.mail.desk import Desk
    from gpuscout.delivery.notify_optin import OptIn
    from gpuscout.delivery.webhooks import Webhooks


async def make_bot(
    parts: Parts,
    version: str,
    *,
    market: MarketReader | None = None,
    charts: ChartRenderer | None = None,
    usage: StoredUsage | None = None,
    uses: UsageStore | None = None,
    hasher: IdHasher | None = None,
    opt_in: OptIn | None = None,
    webhooks: Webhooks | None = None,
    mail: Desk | None = None,
    sync: bool = True,
) -> ScoutBot:
    """The Discord client with its cogs; without *usage* (one-shot commands) nothing is recorded.

    Args:
        uses, hasher: where usage events are written and how their members are hashed, for "what is stored about me".
    """
    import discord

    from bot.client import ScoutBot
    from cogs.services import Services
    from gpuscout.delivery.notify_optin import NoOptIn
    from gpuscout.telemetry.recorder import NoUsage

    # GPUScout does not speak: the library's advice to install voice packages would only alarm the operator.
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

    market = market or make_reader(parts)
    members = make_members(parts, hasher, uses)
    portfolios = make_portfolios(parts, market, members, on_change=AlertSync(parts.jobs))
    services = Services(
        settings=parts.settings,
        market=market,
        gpus=parts.gpus,
        platforms=parts.platforms,
        charts=charts,
        usage=usage or NoUsage(),
        blocklist=StateBlocklist(parts.state),
        guilds=GuildStore(parts.db),
        members=members,
        servers=Servers(ServerStore(parts.db), clock=parts.clock),
        choices=DeliveryChoices(DeliveryChoiceStore(parts.db), clock=parts.clock),
        plans=default_plans(),
        tiers=EveryoneFree(),
        portfolios=portfolios,
        alerts=AlertRoom(parts, market, members, portfolios).alerts,
        digests=make_digests(parts, market, members, portfolios),
        webhooks=webhooks or make_webhooks(parts),
        opt_in=opt_in or NoOptIn(),
        mail=mail or MailRoom(parts, members).desk,
        state=parts.state,
        operations=ProcessOperations(parts),
        clock=parts.clock,
        started_at=parts.clock(),
        version=version,
    )
    return ScoutBot(services, sync=sync)


def make_members(parts: Parts, hasher: IdHasher | None, uses: UsageStore | None) -> Members:
    """Members' settings; currencies are those of the operator's file."""
    settings = parts.settings
    currencies = default_currencies() if settings.currencies_file is None else Currencies.load(settings.currencies_file)
    hashed = hasher if hasher is not None else IdHasher(derive(secret_ring(settings), "usage"))
    store = MemberStore(parts.db, WatchlistSync(parts.jobs))
    return Members(store, currencies, member_hash=hashed.member, clock=parts.clock, usage=uses)


def bot_failure(error: BaseException) -> str:
    """Why the client ended, in one sentence that says what to do."""
    import discord

    if isinstance(error, discord.LoginFailure):
        return "Discord does not accept DISCORD_TOKEN; copy the token again from the Developer Portal"
    if isinstance(error, discord.PrivilegedIntentsRequired):
        return "Discord refuses an intent; GPUScout needs none that is privileged, so check the token's application"
    return f"the Discord client ended: {error}"
