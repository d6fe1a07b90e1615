"""Permission bits and how Discord computes them for a member in a channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntFlag
from typing import Any


class Perm(IntFlag):
    """The bits that the sandbox decides on (Discord documents all of them)."""

    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    USE_APPLICATION_COMMANDS = 1 << 31
    #: Everything two parties may do in a DM.
    DM = 1 << 10 | 1 << 11 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 18 | 1 << 31


DEFAULT_MEMBER = Perm.DM
ALL = (1 << 53) - 1


def member_permissions(
    *,
    guild_id: int,
    owner: bool,
    user_id: int,
    role_ids: Iterable[int],
    role_permissions: Mapping[int, int],
    overwrites: Iterable[Mapping[str, Any]],
) -> int:
    """Permission bits of a member in a channel.

    Base permissions are @everyone's and the roles'; then the channel's overwrites apply in the
    order @everyone, roles together, member. Owners and administrators have all of them.
    """
    if owner:
        return ALL
    roles = set(role_ids)
    bits = role_permissions.get(guild_id, 0)
    for role_id in roles:
        bits |= role_permissions.get(role_id, 0)
    if bits & Perm.ADMINISTRATOR:
        return ALL
    by_target = {int(o["id"]): (int(o.get("allow", 0)), int(o.get("deny", 0))) for o in overwrites}
    allow, deny = by_target.get(guild_id, (0, 0))
    bits = bits & ~deny | allow
    role_allow = role_deny = 0
    for role_id in roles:
        allow, deny = by_target.get(role_id, (0, 0))
        role_allow |= allow
        role_deny |= deny
    bits = bits & ~role_deny | role_allow
    allow, deny = by_target.get(user_id, (0, 0))
    bits = bits & ~deny | allow
    return bits if bits & Perm.VIEW_CHANNEL else 0
