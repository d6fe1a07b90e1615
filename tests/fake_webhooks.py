"""Webhooks for tests that are not about them: whatever is asked of them fails the test."""

from __future__ import annotations

from typing import Any, cast

from gpuscout.delivery.webhooks import Webhooks


class _Undefined:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"webhooks.{name} is not part of this test")


def no_webhooks() -> Webhooks:
    """Webhooks that nobody should ask."""
    return cast("Webhooks", _Undefined())
