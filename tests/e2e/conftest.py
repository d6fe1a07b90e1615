"""Worlds and products, a set for each module whose tests do not disturb each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.harness import TOKEN, Product, Web, World, web


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    """A 500.farm and a Discord."""
    async with World() as world:
        yield world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's product lives."""
    return tmp_path_factory.mktemp("product")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(world: World, folder: Path) -> AsyncIterator[Product]:
    """``gpuscout run`` with all roles, up and with data."""
    async with Product(world.environment(folder), folder=folder) as product:
        await product.start()
        async with web(product.url) as client:
            await client.ready()
            await client.draws()
        await world.bot_answers()
        yield product
        await product.stop()
        assert product.trouble == []
        assert TOKEN not in "\n".join(product.lines + product.output)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(product: Product) -> AsyncIterator[Web]:
    """The product's web role."""
    async with web(product.url) as client:
        yield client
