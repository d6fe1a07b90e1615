"""Addresses that cards and the command line give out."""

from __future__ import annotations

import discord


def invite_permissions() -> discord.Permissions:
    """The few rights the bot needs: to post cards with pictures where it is asked or set up. Never Administrator."""
    return discord.Permissions(
        view_channel=True, send_messages=True, send_messages_in_threads=True, embed_links=True, attach_files=True
    )


def invite_url(application_id: int) -> str:
    """The address that adds the bot to a server or to a user."""
    return discord.utils.oauth_url(
        application_id, permissions=invite_permissions(), scopes=("bot", "applications.commands")
    )
