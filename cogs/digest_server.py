"""``/server digest``: the week of the market and the server's alerts, into a channel. For admins."""

from __future__ import annotations

import secrets
from typing import Any

import discord
from discord import ui

from cogs.account_errors import CannotPost, FeedNeedsChannel
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.server_flow import require_admin
from cogs.server_rights import channel_of, missing_in
from cogs.services import Services
from cogs.ui.base import Interaction, ScoutItem
from cogs.ui.digest_items import chosen, days_of, hour_of
from config.i18n import translator_for
from gpuscout.accounts import timezones
from gpuscout.cards.digest_card import STOP, digest_card
from gpuscout.cards.digest_panel import CHANNEL, HOUR, RHYTHM, TEST, server_digest_panel
from gpuscout.cards.page import Page, page_card
from gpuscout.cards.price_card import ChartFile
from gpuscout.cards.state import BadState
from gpuscout.delivery.digest_message import digest_picture
from gpuscout.delivery.discord_channel import ChannelUnreachable, DiscordChannelPosts
from gpuscout.digests.digests import rhythm_of, when_next
from gpuscout.digests.schedule import Rhythm
from gpuscout.market.models import MarketUnavailable
from storage.digests import Owner, StoredDigest

FIRST = Rhythm("weekly")
"""A server's digest as it begins: the feed tells of each day already."""


class ServerDigestFlow:
    """Reads and changes the digest of the server that an interaction came from."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def show(self, interaction: Interaction) -> None:
        """The panel as things are."""
        reply = Reply(interaction, Place.PRIVATE)
        owner = Owner(guild_id=require_admin(interaction).id)
        await self._send(reply, await reply.within(PATIENT, self.services.digests.get(owner)), None)

    async def change(self, interaction: Interaction, *, channel_id: int | None = None, **values: Any) -> None:
        """Change the channel, the day or the hour, then the panel. A channel that is chosen ends a pause."""
        reply = Reply(interaction, Place.IN_PLACE)
        guild = require_admin(interaction)
        owner, digests = Owner(guild_id=guild.id), self.services.digests
        stored = await reply.within(PATIENT, digests.get(owner))
        channel = channel_id if channel_id is not None else stored.channel_id if stored is not None else None
        if channel is None:
            raise FeedNeedsChannel("server digest")
        now = rhythm_of(stored) if stored is not None else FIRST
        known: dict[str, Any] = {"cadence": now.cadence, "hour": now.hour, "weekday": now.weekday}
        # The server's row, which is made here if it is the first, is what erasure after a removal goes by.
        locale = guild.preferred_locale.value
        changed = self.services.servers.change(guild.id, lambda known: known.changed(locale=locale))
        settings = await reply.within(PATIENT, changed)
        rhythm = Rhythm(**{**known, **values})
        stored = await reply.within(PATIENT, digests.set(owner, rhythm, settings.timezone, locale, channel))
        await self._send(reply, stored, "✅ " + text_of(interaction)("Saved."))

    async def off(self, interaction: Interaction) -> None:
        """End it, then the panel."""
        reply = Reply(interaction, Place.IN_PLACE)
        owner = Owner(guild_id=require_admin(interaction).id)
        await reply.within(PATIENT, self.services.digests.off(owner))
        await self._send(reply, None, "✅ " + text_of(interaction)("The server's digest is off."))

    async def test(self, interaction: Interaction) -> None:
        """Post the digest as it would be now, marked as a preview.

        Raises:
            FeedNeedsChannel: there is no digest.
            CannotPost: the channel is gone, or permissions are missing; each is named.
            MarketUnavailable: there is nothing to post.
        """
        reply = Reply(interaction, Place.PRIVATE)
        guild = require_admin(interaction)
        owner = Owner(guild_id=guild.id)
        stored = await reply.within(PATIENT, self.services.digests.get(owner))
        if stored is None or stored.channel_id is None:
            raise FeedNeedsChannel("server digest")
        channel = channel_of(guild, stored.channel_id)
        if channel is None:
            raise CannotPost(stored.channel_id, gone=True, panel="server digest")
        if missing := missing_in(channel):
            raise CannotPost(stored.channel_id, missing)
        content = await reply.within(PATIENT, self.services.digests.preview(owner, stored.timezone, stored.locale))
        if content.as_of is None:
            raise MarketUnavailable(None, await self.services.market.next_poll_in())
        words = translator_for(content.locale)
        picture = await reply.within(PATIENT, digest_picture(content, self.services.charts, words))
        shown = ChartFile(picture.filename, picture.description) if picture else None
        card = digest_card(content, shown, words, preview=True)
        client: discord.Client = interaction.client
        files = [picture.file()] if picture else []
        posted = DiscordChannelPosts(client).post(stored.channel_id, card, files, secrets.token_hex(12))
        try:
            message = await reply.within(PATIENT, posted)
        except ChannelUnreachable as error:
            gone = error.reason == "channel"
            raise CannotPost(stored.channel_id, gone=gone, panel="server digest") from error
        t = text_of(interaction)
        link = f"https://discord.com/channels/{guild.id}/{stored.channel_id}/{message}"
        said = t("It is in {channel}: {link}", channel=f"<#{stored.channel_id}>", link=link)
        await reply.send(view=page_card(Page(t("Test post sent"), [said])))

    async def _send(self, reply: Reply, stored: StoredDigest | None, note: str | None) -> None:
        guild, t = require_admin(reply.interaction), text_of(reply.interaction)
        settings = await reply.within(PATIENT, self.services.servers.read(guild.id))
        await timezones.warm()
        now = self.services.clock()
        channel = channel_of(guild, stored.channel_id) if stored is not None and stored.channel_id else None
        card = server_digest_panel(
            stored.channel_id if stored is not None else None,
            rhythm_of(stored) if stored is not None else None,
            timezones.label(settings.timezone, now, t.locale),
            when_next(stored, settings.timezone, now) if stored is not None else None,
            missing_in(channel) if channel is not None else (),
            paused=stored is not None and stored.paused is not None,
            gone=stored is not None and channel is None,
            note=note,
            t=t,
        )
        await reply.send(view=card)


def server_digest_items(flow: ServerDigestFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*; each one asks again who clicks."""

    class ServerDigestItem(ScoutItem[ui.Item[Any]], template=r"dgs\d+\|(?P<state>[a-z]+)"):
        """Any control of the panel."""

        usage_name = "server digest panel"

        async def act(self, interaction: Interaction) -> None:
            require_admin(interaction)
            await _act(flow, interaction, str(self.custom_id).partition("|")[2])

    return (ServerDigestItem,)


async def _act(flow: ServerDigestFlow, interaction: Interaction, action: str) -> None:
    if action == CHANNEL:
        await flow.change(interaction, channel_id=_channel(chosen(interaction)))
    elif action == RHYTHM:
        await flow.change(interaction, **days_of(chosen(interaction)))
    elif action == HOUR:
        await flow.change(interaction, hour=hour_of(chosen(interaction)))
    elif action == TEST:
        await flow.test(interaction)
    elif action == STOP:
        await flow.off(interaction)
    else:
        raise BadState("unknown action")


def _channel(value: str) -> int:
    """A channel's id; Discord itself checks that it is of this server."""
    if not (value.isascii() and value.isdigit()):
        raise BadState("no channel")
    return int(value)
