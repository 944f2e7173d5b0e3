"""The pages' tests: a store of each test's own; where something is decided, a hub on real servers."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from desk.hub import Hub
from tests.desk.hubs import hub, settings, settings_of  # noqa: F401
from tests.parts.databases import sqlite_template  # noqa: F401
from tests.parts.leaks import nothing_leaks  # noqa: F401
from tests.parts.rows import Harbour, harbour
from tests.parts.servers import temporal  # noqa: F401
from web.app import make_app


@pytest.fixture
async def app(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[FastAPI]:  # noqa: F811
    """Over a store of this test's own, and without a Temporal server: what is shown needs none."""
    shutil.copy(sqlite_template, tmp_path / "wharfinger.sqlite")
    made = make_app(settings_of(tmp_path, hub_name="Pier 9"))
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browsing(app) as client:
        yield client


def browsing(app: FastAPI) -> httpx.AsyncClient:
    """Answers of the application itself: what it does not handle becomes its page for that, as on a real server."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://pier9.example")


@pytest.fixture
def store(app: FastAPI) -> Hub:
    opened: Hub = app.state.hub
    return opened


@pytest.fixture
async def crane(store: Hub) -> Harbour:
    """A verified publisher with a product that has not been published yet."""
    return await harbour(store.database)
