"""What delivery needs of a channel, and how a failed send says what to do next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from gpuscout.charts.model import ChartSpec


class DeliveryFailed(Exception):
    """A message could not be sent.

    Args:
        permanent: the receiver cannot be reached this way (closed DMs, no shared server): do not try again.
        retry_after: seconds that the service asked us to wait.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class DirectMessages(Protocol):
    """Sends Discord DMs."""

    async def send(self, user_id: int, content: str, nonce: str) -> int:
        """Send *content* to a member and return the message's id.

        A repeat with the same *nonce* within a few minutes gives the first message instead of a second one.

        Raises:
            DeliveryFailed: it was not sent, or the answer was lost.
        """
        ...

    async def owner_ids(self) -> list[int]:
        """Discord ids of the people who run this bot."""
        ...


class Image(Protocol):
    """A drawn chart."""

    @property
    def data(self) -> bytes: ...
    @property
    def extension(self) -> str: ...


class Charts(Protocol):
    """Draws charts; raises when it cannot."""

    async def render(self, spec: ChartSpec) -> Image: ...


Mentions = Callable[[], Awaitable[Callable[[str], str]]]
"""Gives what makes a command something to click, by its name."""
