"""The test post of a server's market feed: what it will look like, or each permission that is missing."""

from __future__ import annotations

import secrets

import discord

from cogs.account_errors import CannotPost, FeedNeedsChannel
from cogs.replies import PATIENT, Reply, text_of
from cogs.server_flow import require_admin
from cogs.server_rights import channel_of, missing_in
from cogs.services import Services
from gpuscout.cards.page import Page, page_card
from gpuscout.delivery.discord_channel import ChannelUnreachable, DiscordChannelPosts
from gpuscout.delivery.feed_post import FeedRenderer
from gpuscout.market.models import MarketUnavailable


def renderer_of(services: Services) -> FeedRenderer:
    """What draws the feed's posts."""
    return FeedRenderer(
        services.market,
        services.platforms,
        services.charts,
        methodology=services.methodology_url,
        simulated=services.settings.simulated,
        clock=services.clock,
    )


async def post_test(services: Services, reply: Reply) -> None:
    """Post the daily card, marked as a test, and end a pause when that worked.

    Raises:
        FeedNeedsChannel: no channel is chosen.
        CannotPost: the channel is gone, or permissions are missing; each is named.
        MarketUnavailable: there is nothing to post.
    """
    guild = require_admin(reply.interaction)
    settings = await reply.within(PATIENT, services.servers.read(guild.id))
    channel_id = settings.feed.channel_id
    if channel_id is None:
        raise FeedNeedsChannel
    channel = channel_of(guild, channel_id)
    if channel is None:
        raise CannotPost(channel_id, gone=True)
    if missing := missing_in(channel, settings.roles if settings.feed.ping else ()):
        raise CannotPost(channel_id, missing)
    renderer = renderer_of(services)
    overview = await reply.within(PATIENT, renderer.overview())
    if overview is None:
        raise MarketUnavailable(None, await services.market.next_poll_in())
    rendered = await reply.within(PATIENT, renderer.daily(settings, overview, test=True))
    client: discord.Client = reply.interaction.client
    try:
        posted = DiscordChannelPosts(client).post(channel_id, rendered.card, rendered.files, secrets.token_hex(12))
        message = await reply.within(PATIENT, posted)
    except ChannelUnreachable as error:
        raise CannotPost(channel_id, gone=error.reason == "channel") from error
    if settings.feed.paused is not None:
        await services.servers.change(guild.id, lambda known: known.with_feed(paused=None))
    t = text_of(reply.interaction)
    link = f"https://discord.com/channels/{guild.id}/{channel_id}/{message}"
    said = [t("It is in {channel}: {link}", channel=f"<#{channel_id}>", link=link)]
    await reply.send(view=page_card(Page(t("Test post sent"), said)))
