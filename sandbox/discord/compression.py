"""The gateway's transport compression: one stream a socket, flushed after every payload."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any

Compress = Callable[[bytes], bytes]


def _zlib_stream() -> Compress:
    stream = zlib.compressobj()
    return lambda data: stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)


def _zstd_stream() -> Compress:
    """zstd by the standard library (Python ≥ 3.14) or the ``zstandard`` package.

    discord.py asks for it exactly when it finds one of the two, so it is here as well.
    """
    module: Any
    try:
        module = importlib.import_module("compression.zstd")
    except ModuleNotFoundError:
        module = importlib.import_module("zstandard")
        stream = module.ZstdCompressor().compressobj()
        block = module.COMPRESSOBJ_FLUSH_BLOCK
        return lambda data: bytes(stream.compress(data) + stream.flush(block))
    compressor = module.ZstdCompressor()
    return lambda data: bytes(compressor.compress(data, module.ZstdCompressor.FLUSH_BLOCK))


def compressor(kind: str | None) -> Compress | None:
    """The compressor for the ``compress`` query value; None for plain text.

    Raises:
        ValueError: a kind that the gateway does not know.
        ModuleNotFoundError: zstd was asked for and this Python has none.
    """
    match kind:
        case None | "":
            return None
        case "zlib-stream":
            return _zlib_stream()
        case "zstd-stream":
            return _zstd_stream()
    raise ValueError(f"unknown compression {kind!r}")
