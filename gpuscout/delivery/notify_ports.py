"""What a delivery needs of the worker that runs it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from storage.job_model import Job


class Hold(Protocol):
    """The job behind a delivery, as long as this worker holds it."""

    finished: bool

    @property
    def job(self) -> Job:
        """The job as claimed."""
        ...

    async def finish(self, conn: AsyncConnection) -> None:
        """End the job in the transaction of its effect."""
        ...

    async def again(
        self, conn: AsyncConnection, error: str, *, retry_after: float | None = None, at_most: float | None = None
    ) -> str:
        """Put the job back for a later try, within *at_most* seconds; ``dead`` when this was the last one."""
        ...

    async def bury(self, conn: AsyncConnection, error: str) -> None:
        """To the dead letters at once."""
        ...

    async def sleep_until(self, conn: AsyncConnection, at: datetime) -> None:
        """Put the job back until *at*; this try does not count."""
        ...


class NotifyMetrics(Protocol):
    """What is counted."""

    def notification(self, kind: str, via: str, outcome: str) -> None: ...
    def poll_to_message(self, seconds: float) -> None: ...
