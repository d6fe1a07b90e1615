"""Portfolios over stores in memory."""

from __future__ import annotations

import pytest

from gpuscout.portfolio.portfolios import Portfolios
from tests.fakes import World


@pytest.fixture
def world() -> World:
    """Without comparable machines: the market's utilization is expected."""
    found = World()
    found.machine_rows.compared = []
    return found


@pytest.fixture
def portfolios(world: World) -> Portfolios:
    return world.portfolios()
