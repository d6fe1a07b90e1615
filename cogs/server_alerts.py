"""``/server alerts``: alerts of a server into one of its channels, with the mention of a role. For admins."""

from __future__ import annotations

from typing import Any

import discord

from cogs.account_errors import CannotPost
from cogs.alert_build import Asked, build_rule
from cogs.alert_errors import RoleNotAllowed
from cogs.alert_panel import AlertPanel
from cogs.replies import PATIENT, Reply
from cogs.server_flow import require_admin
from cogs.server_rights import missing_in
from cogs.ui.alert_confirm import Proposal
from gpuscout.alerts.rules import Owner

Interaction = discord.Interaction[Any]


async def server_alerts(
    panel: AlertPanel,
    reply: Reply,
    asked: Asked | None,
    channel: discord.TextChannel | None,
    role: discord.Role | None,
) -> None:
    """Propose a server's alert; the list of them when nothing is asked.

    Raises:
        CannotPost: permissions that a post there needs are missing; each is named.
        RoleNotAllowed: the role is not one of those that may be mentioned.
    """
    interaction = reply.interaction
    guild = require_admin(interaction)
    if asked is None:
        await panel.list(reply, guild_id=guild.id)
        return
    rule = build_rule(asked, panel.services.clock())
    target = channel if channel is not None else interaction.channel
    if not isinstance(target, discord.abc.GuildChannel) or not isinstance(target, discord.TextChannel):
        raise CannotPost(interaction.channel_id or 0, gone=True)
    if role is not None:
        settings = await reply.within(PATIENT, panel.services.servers.read(guild.id))
        if role.id not in settings.roles:
            raise RoleNotAllowed(role.id)
    if missing := missing_in(target, [role.id] if role is not None else ()):
        raise CannotPost(target.id, missing)
    owner = Owner(
        member_id=interaction.user.id,
        server=True,
        guild_id=guild.id,
        channel_id=target.id,
        role_id=None if role is None else role.id,
    )
    await Proposal.show(panel.flow, reply, owner, rule)
