"""Migrations: they make exactly the tables of the code, forward and back, also when two processes start at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Float, Integer, SmallInteger, inspect, text
from sqlalchemy.engine import Connection

from storage import migrate
from storage.engine import Database
from storage.errors import MigrationFailed
from storage.tables import metadata
from tests.services import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/migrated.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    async with server.admin() as conn:
        await conn.execute("CREATE DATABASE migrated")
    yield server.url("migrated")
    async with server.admin() as conn:
        await conn.execute("DROP DATABASE migrated WITH (FORCE)")


async def look(url: str, what: Any) -> Any:
    db = Database(url)
    try:
        async with db.read() as conn:
            return await conn.run_sync(what)
    finally:
        await db.close()


def tables_of(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def fill(url: str) -> dict[str, int]:
    """One row in every table; returns the number of rows of each."""
    db = Database(url)
    when = datetime(2026, 1, 2, tzinfo=UTC)
    try:
        async with db.write() as conn:
            for table in metadata.sorted_tables:
                row: dict[str, Any] = {}
                for column in table.columns:
                    kind = column.type
                    if isinstance(kind, Integer | BigInteger | SmallInteger):
                        row[column.name] = 1
                    elif isinstance(kind, Float):
                        row[column.name] = 0.5
                    elif isinstance(getattr(kind, "impl", kind), DateTime):
                        row[column.name] = when
                    elif isinstance(kind, Boolean):
                        row[column.name] = True
                    elif isinstance(kind, JSON):
                        row[column.name] = {"a": [1]}
                    else:
                        row[column.name] = "x"
                await conn.execute(table.insert().values(row))
        return await rows(url)
    finally:
        await db.close()


async def rows(url: str) -> dict[str, int]:
    def count(connection: Connection) -> dict[str, int]:
        return {
            name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
            for name in tables_of(connection) - {"alembic_version"}
        }

    found: dict[str, int] = await look(url, count)
    return found


async def test_forward_and_back_with_rows_in_every_table(empty_url: str) -> None:
    assert await migrate.current(empty_url) is None
    assert await migrate.upgrade(empty_url) == migrate.head()
    assert await migrate.current(empty_url) == migrate.head()
    filled = await fill(empty_url)
    assert set(filled) == set(metadata.tables)
    assert set(filled.values()) == {1}
    assert await migrate.upgrade(empty_url) == migrate.head()  # again: changes nothing
    assert await rows(empty_url) == filled
    assert await migrate.downgrade(empty_url, "base") is None
    assert await look(empty_url, tables_of) <= {"alembic_version"}
    assert await migrate.upgrade(empty_url) == migrate.head()
    assert set((await rows(empty_url)).values()) == {0}


def test_the_head_is_what_alembic_says() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert script.get_heads() == [migrate.head()]
    for revision in script.walk_revisions():
        assert Path(revision.path).name.startswith(f"{revision.revision}_")


async def test_one_step_back_and_forth(empty_url: str) -> None:
    await migrate.upgrade(empty_url)
    await migrate.downgrade(empty_url, "-1")
    assert await migrate.upgrade(empty_url, "+1") == migrate.head()


async def test_the_migrated_schema_is_that_of_the_code(empty_url: str) -> None:
    await migrate.upgrade(empty_url)

    def differences(connection: Connection) -> list[Any]:
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    assert await look(empty_url, differences) == []


async def test_the_migrated_schema_matches_to_the_letter_on_sqlite(tmp_path: Path, sqlite_url: str) -> None:
    """Alembic does not compare constraints' names, checks and WITHOUT ROWID; the stored SQL has them all."""

    def schema(connection: Connection) -> dict[str, str]:
        found = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
        )
        # A rebuilt table has its name in quotation marks.
        plain = {name: sql.replace("\t", "").replace('"', "") for name, sql in found}
        return {name: "".join(sorted(sql.splitlines())).replace(", ", "") for name, sql in plain.items()}

    migrated = f"sqlite+aiosqlite:///{tmp_path}/migrated.db"
    await migrate.upgrade(migrated)
    assert await look(migrated, schema) == await look(sqlite_url, schema)


async def test_four_upgrades_at_once(empty_url: str) -> None:
    assert set(await asyncio.gather(*(migrate.upgrade(empty_url) for _ in range(4)))) == {migrate.head()}
    assert set(await rows(empty_url)) == set(metadata.tables)


async def test_two_processes_upgrade_at_once(empty_url: str) -> None:
    from tests.services import python_process

    script = "import asyncio, sys; from storage import migrate; print(asyncio.run(migrate.upgrade(sys.argv[1])))"
    running = [await python_process(script, empty_url) for _ in range(2)]
    for process in running:
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert migrate.head() in output.decode()
    assert await migrate.current(empty_url) == migrate.head()


async def test_the_event_loop_goes_on_while_a_migration_takes_its_time(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command

    upgrade = command.upgrade
    ticks: list[int] = []
    beats = 0

    def slow(config: Any, revision: str) -> None:
        before = beats
        time.sleep(0.5)
        ticks.append(beats - before)
        upgrade(config, revision)

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    monkeypatch.setattr(command, "upgrade", slow)
    heart = asyncio.create_task(beat())
    await migrate.upgrade(empty_url)
    heart.cancel()
    assert ticks[0] >= 5


async def test_a_failed_migration_changes_nothing(empty_url: str) -> None:
    db = Database(empty_url)
    async with db.write() as conn:
        await conn.execute(text("CREATE TABLE lease (x INTEGER)"))
    await db.close()
    with pytest.raises(MigrationFailed, match="already exists"):
        await migrate.upgrade(empty_url)
    assert await look(empty_url, tables_of) == {"lease"}
    assert await migrate.current(empty_url) is None


async def test_a_revision_of_a_newer_program_is_refused_in_one_sentence(empty_url: str) -> None:
    await migrate.upgrade(empty_url)
    db = Database(empty_url)
    async with db.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await db.close()
    with pytest.raises(MigrationFailed, match="newer GPUScout"):
        await migrate.upgrade(empty_url)
