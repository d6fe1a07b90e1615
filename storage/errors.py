"""Errors of the storage room that callers are expected to handle."""

from __future__ import annotations


class StorageError(Exception):
    """Base of this room's own errors; database errors pass through as SQLAlchemy's."""


class LeaseLost(StorageError):
    """The work is no longer ours: its lease ran out and someone else may hold it. Roll back and leave it alone."""


class DatabaseClosed(StorageError):
    """The database was used after :meth:`storage.engine.Database.close`."""


class NestedWrite(StorageError):
    """A task opened a second write transaction inside its own first one; pass the connection down instead."""


class AlreadyRunning(StorageError):
    """Another process holds the single-process lock. The message is one sentence for a person."""


class MigrationFailed(StorageError):
    """A migration did not happen and changed nothing. The message is one sentence for a person."""
