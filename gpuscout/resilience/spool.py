"""A large answer on its way to a temporary file, packed as it came: neither its size nor the disk holds the loop."""

from __future__ import annotations

import asyncio
import tempfile
from types import TracebackType
from typing import BinaryIO, Self

_PIECE = 256 * 1024
"""Bytes gathered before they are written, in a thread."""


class Spool:
    """A nameless temporary file that an answer is written to; gone when it is closed.

    Use as an async context manager. Each attempt of a call begins it anew.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._pending = bytearray()
        self.size = 0
        """Bytes received."""

    @property
    def file(self) -> BinaryIO:
        """The file, complete after :meth:`flush`."""
        if self._file is None:
            raise RuntimeError("the spool is not open")
        return self._file

    async def __aenter__(self) -> Self:
        self._file = await asyncio.to_thread(tempfile.TemporaryFile)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            await asyncio.to_thread(file.close)

    async def begin(self) -> None:
        """Forget what an earlier attempt left."""
        self._pending.clear()
        self.size = 0
        await asyncio.to_thread(self._truncate)

    def _truncate(self) -> None:
        self.file.seek(0)
        self.file.truncate()

    async def write(self, data: bytes) -> None:
        """Take a piece.

        Raises:
            OSError: the temporary file cannot be written.
        """
        self._pending += data
        self.size += len(data)
        if len(self._pending) >= _PIECE:
            await self.flush()

    async def flush(self) -> None:
        """Write what was gathered."""
        data = bytes(self._pending)
        self._pending.clear()
        await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        self.file.write(data)
        self.file.flush()
