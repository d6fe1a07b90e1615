"""What can go wrong when an outside service is called."""

from __future__ import annotations


def retriable_status(status: int) -> bool:
    """Whether an HTTP status says "not now" rather than "no": 408, 429 and every 5xx."""
    return status in (408, 429) or 500 <= status <= 599


class UpstreamError(Exception):
    """A call to an outside service did not give what was asked for.

    Attributes:
        service: The dependency's name, as on the health board.
        reason: What happened, in words for the operator, without secrets.
        retriable: Whether the same call may succeed a moment later.
        retry_after: Seconds that the service asked to wait, when it did.
        unsure: Whether the service may have done what it was asked to, although nothing says so.
    """

    retriable: bool = False
    unsure: bool = False

    def __init__(self, service: str, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
        self.retry_after = retry_after


class UpstreamUnavailable(UpstreamError):
    """The service did not answer, or answered that it cannot serve now."""

    retriable = True

    def __init__(self, service: str, reason: str, *, retry_after: float | None = None, unsure: bool = False) -> None:
        super().__init__(service, reason, retry_after=retry_after)
        self.unsure = unsure


class CircuitOpen(UpstreamUnavailable):
    """Not tried: the service failed repeatedly a moment ago. `retry_after` says when it may be."""

    retriable = False


class QueueFull(UpstreamUnavailable):
    """Not tried: too many requests wait for this service, or the wait would be too long."""

    retriable = False


class BadStatus(UpstreamError):
    """The service answered with a status other than the wanted ones.

    Attributes:
        status: The HTTP status.
        body: The beginning of the answer, at most 2 KB, as received and untrusted.
    """

    def __init__(self, service: str, status: int, body: bytes = b"") -> None:
        super().__init__(service, f"answered with status {status}")
        self.status = status
        self.retriable = retriable_status(status)
        self.body = body


class ResponseTooLarge(UpstreamError):
    """The answer exceeds the size that the caller allowed."""

    def __init__(self, service: str, limit: int) -> None:
        super().__init__(service, f"answered with more than {limit:,} bytes")
        self.limit = limit


class BadEncoding(UpstreamError):
    """The answer is compressed in a way that was not asked for, or is damaged."""

    retriable = True


class DeadlineExceeded(TimeoutError):
    """The time for a call and all of its retries is over."""
