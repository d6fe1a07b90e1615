"""Keeping what members entrust to us: envelope encryption, bound to its owner and its purpose.

Each secret has a data key of its own, drawn at random. AES-256-GCM encrypts the secret under it, with owner, purpose
and id as associated data: a row that is copied to another member does not open. The data key is wrapped by the
newest key of a ring (:class:`cryptography.fernet.MultiFernet`); rotating the ring re-wraps data keys alone and never
touches what they encrypt.

Python cannot wipe memory for certain: a secret is opened just before it is used and not kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from storage.secrets import Sealed

_VERSION: Final = "gpuscout:v1"
_NONCE: Final = 12
KEY_BYTES: Final = 32


class CannotOpen(Exception):
    """A secret that does not open: it belongs to somebody else, was damaged, or its key left the ring."""


class SecretBox:
    """Seals and opens secrets.

    Args:
        ring: keys of :data:`KEY_BYTES` bytes, newest first: it wraps, all of them unwrap.
    """

    def __init__(self, ring: Sequence[bytes]) -> None:
        if not ring or any(len(key) != KEY_BYTES for key in ring):
            raise ValueError(f"a ring has at least one key, and each has {KEY_BYTES} bytes")
        self._ring = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in ring])
        self.key_ids = tuple(_key_id(key) for key in ring)

    @property
    def key_id(self) -> str:
        """The newest key, which wraps."""
        return self.key_ids[0]

    def seal(self, secret: str, *, id: str, owner: str, purpose: str) -> Sealed:
        """Encrypt *secret*; takes some ten microseconds."""
        key = AESGCM.generate_key(8 * KEY_BYTES)
        nonce = secrets.token_bytes(_NONCE)
        box = AESGCM(key).encrypt(nonce, secret.encode(), _bound(id, owner, purpose))
        return Sealed(
            id=id,
            owner=owner,
            purpose=purpose,
            key_id=self.key_id,
            wrapped_key=self._ring.encrypt(key).decode(),
            box=base64.b64encode(nonce + box).decode(),
        )

    def open(self, sealed: Sealed, *, owner: str, purpose: str) -> SecretStr:
        """Decrypt for *owner* and *purpose*, which the caller knows from elsewhere than the row.

        Raises:
            CannotOpen: it is not theirs, or does not open at all.
        """
        try:
            key = self._ring.decrypt(sealed.wrapped_key)
            box = base64.b64decode(sealed.box, validate=True)
            found = AESGCM(key).decrypt(box[:_NONCE], box[_NONCE:], _bound(sealed.id, owner, purpose))
        except InvalidToken:
            raise CannotOpen(
                f"secret {sealed.id} is wrapped by key {sealed.key_id}, which is not in SECRET_KEY"
            ) from None
        except (InvalidTag, ValueError, binascii.Error):
            raise CannotOpen(f"secret {sealed.id} does not open for {owner} and {purpose}") from None
        return SecretStr(found.decode())

    def rewrap(self, sealed: Sealed) -> Sealed:
        """The same secret with its data key wrapped by the newest key.

        Raises:
            CannotOpen: no key of the ring unwraps it.
        """
        try:
            wrapped = self._ring.rotate(sealed.wrapped_key)
        except InvalidToken:
            raise CannotOpen(
                f"secret {sealed.id} is wrapped by key {sealed.key_id}, which is not in SECRET_KEY"
            ) from None
        return replace(sealed, wrapped_key=wrapped.decode(), key_id=self.key_id)


def _bound(identity: str, owner: str, purpose: str) -> bytes:
    """The associated data; lengths in front, so that no two triples give the same bytes."""
    parts = [part.encode() for part in (_VERSION, identity, owner, purpose)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _key_id(key: bytes) -> str:
    """A name of a key that tells nothing of it."""
    return hashlib.sha256(b"gpuscout:key-id:" + key).hexdigest()[:12]
