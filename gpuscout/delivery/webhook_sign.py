"""Signing what webhooks carry: Standard Webhooks, and the same under the headers of our own name.

Both are HMAC-SHA-256 with the bytes that follow ``whsec_`` (base64), over the exact bytes of the body:

* ``webhook-signature: v1,<base64>`` over ``<webhook-id>.<webhook-timestamp>.<body>`` (standardwebhooks.com), several
  separated by spaces;
* ``X-GPUScout-Signature: t=<seconds>,v1=<hex>`` over ``<t>.<body>``, several ``v1`` separated by commas.

While a secret is being rotated, both the new and the earlier one sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import SecretStr

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
"""The specification asks for 24 to 64."""


def new_secret() -> SecretStr:
    """A signing secret as its owner gets to see it, once."""
    return SecretStr(PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())


def secret_bytes(secret: SecretStr) -> bytes:
    """The key in a signing secret.

    Raises:
        ValueError: it is not one.
    """
    text = secret.get_secret_value()
    if not text.startswith(PREFIX):
        raise ValueError(f"a signing secret begins with {PREFIX}")
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a signing secret is base64") from None


def signed_headers(
    body: bytes, *, event: str, delivery_id: str, keys: Sequence[SecretStr], at: datetime
) -> dict[str, str]:
    """The headers of a delivery.

    Args:
        delivery_id: the same in every attempt; it has no dot.
        keys: the current secret, and the earlier one while it is valid.
        at: the time of this attempt, aware.
    """
    seconds = int(at.timestamp())
    raw = [secret_bytes(key) for key in keys]
    standard = [hmac.digest(key, b"%s.%d.%s" % (delivery_id.encode(), seconds, body), hashlib.sha256) for key in raw]
    own = [hmac.digest(key, b"%d.%s" % (seconds, body), hashlib.sha256) for key in raw]
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join("v1," + base64.b64encode(one).decode() for one in standard),
        "X-GPUScout-Event": event,
        "X-GPUScout-Delivery": delivery_id,
        "X-GPUScout-Signature": ",".join([f"t={seconds}", *(f"v1={one.hex()}" for one in own)]),
    }
