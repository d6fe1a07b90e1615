"""Steps that must not stop half-way when their caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def settle(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end even if the caller is cancelled meanwhile; the cancellation is raised afterwards.

    For the few steps that must not stop half-way: commit, rollback, giving a connection back.
    """
    task = asyncio.ensure_future(work)
    cancelled = await outlast(task)
    if cancelled is not None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.warning("database_settle_failed", error=repr(failure))
        raise cancelled
    return task.result()


async def outlast(task: asyncio.Task[Any]) -> asyncio.CancelledError | None:
    """Wait for *task* whatever happens; returns the cancellation that arrived meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
