from __future__ import annotations

import pytest

from storage.engine import Database
from tests.alerts.desk import AlertDesk


@pytest.fixture
def desk(db: Database) -> AlertDesk:
    """On SQLite and on PostgreSQL."""
    return AlertDesk(db)


@pytest.fixture
def lite(sqlite_db: Database) -> AlertDesk:
    """On SQLite alone, for what does not depend on the database."""
    return AlertDesk(sqlite_db)
