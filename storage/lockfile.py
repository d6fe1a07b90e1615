"""One process at a time on the embedded database."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path
from types import TracebackType

from storage.errors import AlreadyRunning

_held: weakref.WeakSet[SingleProcessLock] = weakref.WeakSet()


class SingleProcessLock:
    """A lock on *path* that the operating system takes back when the process ends, however it ends.

    Use as a context manager, or with :meth:`acquire` and :meth:`release`. The file stays and holds the process id of
    its last owner. Works between processes of one machine, not over network file systems.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: another process has it; the message names its process id.
        """
        if self._descriptor is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            owner = f"process {pid}" if pid.isdigit() else "another process"
            raise AlreadyRunning(
                f"GPUScout is already running here ({owner} holds {self.path}); stop it first, or set DATABASE_URL "
                "to a PostgreSQL database, which many processes can share"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        _held.add(self)

    def release(self) -> None:
        """Give the lock back. Does nothing when it is not held."""
        if self._descriptor is not None:
            _held.discard(self)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> SingleProcessLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _forget_in_child() -> None:
    """A forked child shares the open file and with it the lock, which must end with the parent, not with the child."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_forget_in_child)
