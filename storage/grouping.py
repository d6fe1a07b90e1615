"""Doing in one transaction what several callers want at the same moment.

A transaction costs more than what is in it. Who comes while one is under way waits for the next, which serves all who
wait; a caller that comes alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Grouped(Generic[T, R]):
    """Calls of one item each, served in groups.

    Args:
        work: does a group; a result for each item, in order. An exception among the results is that item's alone; one
            that it raises is everybody's.
        most: items in a group.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], *, most: int = 200) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._turn = asyncio.Lock()

    async def __call__(self, item: T) -> R:
        """The result for *item*."""
        ended: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, ended))
        try:
            async with self._turn:
                if not ended.done():
                    await self._serve()
            return await ended
        finally:
            self._waiting = [entry for entry in self._waiting if entry[1] is not ended]
            if ended.done() and not ended.cancelled():
                ended.exception()  # seen, also where the caller was cancelled

    async def _serve(self) -> None:
        group = self._waiting[: self._most]
        self._waiting = self._waiting[self._most :]
        try:
            results = await self._work([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - each of them gets it
            for _, ended in group:
                if not ended.done():
                    ended.set_exception(error)
            return
        except BaseException:
            # This caller is cancelled, the others are not: one of them does it.
            self._waiting = [*group, *self._waiting]
            raise
        for (_, ended), result in zip(group, results, strict=True):
            if ended.done():
                continue
            if isinstance(result, Exception):
                ended.set_exception(result)
            else:
                ended.set_result(result)
