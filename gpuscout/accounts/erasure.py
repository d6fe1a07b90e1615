"""Erasure by time: settings of servers that the bot was removed from, and feed posts that nothing asks for any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from storage.servers import ServerStore

log = structlog.get_logger(__name__)

ERASE_JOB: Final = "accounts.erase"
POSTS_KEPT: Final = timedelta(days=60)
"""Feed posts are counted for a day; the rest is for "last post" in ``/server show``."""
_ROUNDS = 1_000


async def erase_due(servers: ServerStore, clock: Callable[[], datetime]) -> int:
    """Erase what is due; returns how many servers. Safe to repeat and to interrupt: each batch is a transaction."""
    erased = 0
    for _ in range(_ROUNDS):
        batch = await servers.erase_due(clock())
        if not batch:
            break
        erased += len(batch)
    forgotten = await servers.forget_posts(clock() - POSTS_KEPT)
    if erased or forgotten:
        log.info("erased", servers=erased, feed_posts=forgotten)
    return erased
