"""The secret ring of the installation, and keys derived from it for one purpose each."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from config.settings import Settings

MIN_BYTES = 16
_FILE = "secret_key"


class SecretKeyMissing(ValueError):
    """No secret is configured where one cannot be made; the message says what to do."""


def secret_ring(settings: Settings) -> tuple[bytes, ...]:
    """The installation's secrets, newest first.

    On the embedded default a missing one is made once and kept in ``data_dir`` (readable by the owner only), so
    that hashes and wrapped keys survive a restart.

    Raises:
        SecretKeyMissing: with a shared database, where every process must have the same secret.
    """
    if settings.secret_key is not None:
        ring = tuple(
            part.strip().encode() for part in settings.secret_key.get_secret_value().split(",") if part.strip()
        )
        if not ring or any(len(key) < MIN_BYTES for key in ring):
            raise SecretKeyMissing(f"every part of SECRET_KEY needs at least {MIN_BYTES} characters")
        return ring
    if not settings.embedded:
        raise SecretKeyMissing(
            "set SECRET_KEY, the same for every process (python -c 'import secrets; print(secrets.token_urlsafe(32))')"
        )
    return (_kept(settings.data_dir / _FILE),)


def _kept(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make(path)
    key = path.read_bytes().strip()
    if len(key) < MIN_BYTES:
        raise SecretKeyMissing(f"{path} is damaged; restore it, or delete it to begin with a new secret")
    return key


def _make(path: Path) -> None:
    """Write a new secret, whole or not at all; one that another process made meanwhile stays."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_urlsafe(32).encode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            # Unlike a rename, a link never replaces what is there.
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()


def derive(ring: tuple[bytes, ...], purpose: str) -> bytes:
    """A 32-byte key for one purpose from the newest secret (HMAC-SHA-256)."""
    return hmac.new(ring[0], f"gpuscout:{purpose}".encode(), hashlib.sha256).digest()
