"""Databases beside the one that a test has."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from storage.engine import Database


@pytest.fixture
async def make_database(_sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Callable[[str], Database]]:
    """Makes an empty SQLite database of a name; all are closed at the end."""
    made: list[Database] = []

    def make(name: str) -> Database:
        path = tmp_path / f"{name}.db"
        shutil.copyfile(_sqlite_template, path)
        made.append(Database(f"sqlite+aiosqlite:///{path}"))
        return made[-1]

    yield make
    await asyncio.gather(*(db.close() for db in made))
