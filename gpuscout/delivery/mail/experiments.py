"""Two-variant tests: who gets which, the same for good and without a look at who he is."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from gpuscout.delivery.mail.models import MailKind

Variant = Literal["a", "b"]
EXPERIMENTS: Final[dict[MailKind, str]] = {"welcome1": "welcome1-2026-11"}
"""The running test of a kind of mail. A new question gets a new name, and with it new assignments."""


def variant_of(experiment: str, member_id: int) -> Variant:
    """Half of all members get ``a``, half ``b``, independently of every other test."""
    digest = hashlib.sha256(f"{experiment}:{member_id}".encode()).digest()
    return "b" if digest[0] & 1 else "a"
