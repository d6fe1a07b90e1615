"""How GPUScout copes with outside services: retries, breakers, rate limits, health."""

from gpuscout.resilience.breaker import BreakerState, CircuitBreaker, Permit
from gpuscout.resilience.errors import (
    BadEncoding,
    BadStatus,
    CircuitOpen,
    DeadlineExceeded,
    QueueFull,
    ResponseTooLarge,
    UpstreamError,
    UpstreamUnavailable,
)
from gpuscout.resilience.health import DependencyHealth, HealthBoard, HealthState, OutageWatch
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.ratelimit import RequestQueue
from gpuscout.resilience.retry import BACKGROUND, RetryPolicy, interactive, is_retriable, parse_retry_after
from gpuscout.resilience.sender import MetricsHook, Response

__all__ = [
    "BACKGROUND",
    "BadEncoding",
    "BadStatus",
    "BreakerState",
    "CircuitBreaker",
    "CircuitOpen",
    "DeadlineExceeded",
    "DependencyHealth",
    "HealthBoard",
    "HealthState",
    "MetricsHook",
    "OutageWatch",
    "Permit",
    "QueueFull",
    "RequestQueue",
    "ResilientClient",
    "Response",
    "ResponseTooLarge",
    "RetryPolicy",
    "UpstreamError",
    "UpstreamUnavailable",
    "interactive",
    "is_retriable",
    "parse_retry_after",
]
