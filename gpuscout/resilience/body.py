"""Reading an answer without letting its sender decide how much memory that takes."""

from __future__ import annotations

import asyncio
import zlib

import httpx

from gpuscout.resilience.errors import BadEncoding, ResponseTooLarge
from gpuscout.resilience.spool import Spool

_PIECE = 256 * 1024
"""Bytes unpacked at a time; between pieces other tasks run."""


async def read_body(service: str, response: httpx.Response, limit: int) -> bytes:
    """The unpacked body of a streamed answer.

    Unpacks by itself: httpx would inflate a whole network chunk at once, so that a few
    kilobytes could become hundreds of megabytes before any count.

    Args:
        service: Name in errors.
        response: A response whose stream was not read yet.
        limit: Most bytes, unpacked.

    Raises:
        ResponseTooLarge: The body is larger; no more than ``limit`` and one piece were held.
        BadEncoding: It is packed otherwise than by gzip, damaged or cut short.
    """
    if _is_packed(service, response, limit):
        return await _read_gzip(service, response, limit)
    return await _read_plain(service, response, limit)


async def spool_body(service: str, response: httpx.Response, limit: int, spool: Spool) -> bool:
    """Write the body of a streamed answer to *spool*, packed as it comes; whoever reads the file unpacks it.

    Args:
        limit: Most bytes, packed.

    Returns:
        Whether the spool holds gzip.

    Raises:
        ResponseTooLarge: The body is larger.
        BadEncoding: It is packed otherwise than by gzip.
        OSError: The temporary file cannot be written.
    """
    packed = _is_packed(service, response, limit)
    await spool.begin()
    async for chunk in response.aiter_raw():
        if spool.size + len(chunk) > limit:
            raise ResponseTooLarge(service, limit)
        await spool.write(chunk)
    await spool.flush()
    return packed


def _is_packed(service: str, response: httpx.Response, limit: int) -> bool:
    """Whether the body is gzip; raises when it is too large by its own word, or packed otherwise."""
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise ResponseTooLarge(service, limit)
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return False
    if encoding in ("gzip", "x-gzip"):
        return True
    raise BadEncoding(service, "answered in a compression that was not asked for")


async def _read_plain(service: str, response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise ResponseTooLarge(service, limit)
    return bytes(body)


async def _read_gzip(service: str, response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    anything = False
    async for chunk in response.aiter_raw():
        data = chunk
        anything = anything or bool(chunk)
        while True:
            if unpacker.eof:
                if not data:
                    break
                unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)  # a further gzip member
            try:
                piece = unpacker.decompress(data, _PIECE)
            except zlib.error as error:
                raise BadEncoding(service, "answered with a damaged gzip body") from error
            body += piece
            if len(body) > limit:
                raise ResponseTooLarge(service, limit)
            data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if len(piece) == _PIECE:
                await asyncio.sleep(0)
            elif not data:
                break
    if anything and not unpacker.eof:
        raise BadEncoding(service, "answered with a gzip body that was cut short")
    return bytes(body)
