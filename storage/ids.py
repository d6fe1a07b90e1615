"""Ids that can't be guessed, for whatever a person or another program may name."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter looks like a digit."""


def new_id(length: int = 20) -> str:
    """A random id of *length* characters, five bits each (20: 100 bits)."""
    # Of each byte five bits count: 32 letters divide 256 evenly.
    return "".join([ALPHABET[byte & 31] for byte in secrets.token_bytes(length)])
