"""What all answers have in common: headers, health, errors as pages for people and as JSON for programs."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from desk.hub import Hub
from models.errors import ToolFailed
from store.database import Database
from tests.parts.rows import Harbour
from tests.web.test_catalog import publish


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/catalog", "/api/nothing", "/confirm/x", "/catalog?p=x", "/boom"]
)
async def test_every_answer_is_guarded(app: FastAPI, browser: httpx.AsyncClient, path: str) -> None:
    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("secret-detail")

    answer = await browser.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] in ("no-cache", "no-store")
    assert "set-cookie" not in answer.headers
    assert "secret-detail" not in answer.text
    assert (answer.status_code == 500) == (path == "/boom")


async def test_the_policy_names_the_very_style_sheet_of_the_page_and_no_other(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/")
    [style] = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert " style=" not in page.text
    assert "<script" not in page.text
    assert 'lang="en"' in page.text
    assert 'href="#main"' in page.text
    assert "Pier 9" in page.text


async def test_health_of_a_hub_without_temporal_is_degraded_and_the_process_lives(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/healthz")).json() == {"status": "up"}
    health = await browser.get("/api/health")
    assert health.status_code == 200
    assert health.json() == {"status": "degraded", "database": "up", "temporal": "down"}


async def test_without_a_database_the_pages_ask_for_patience(
    app: FastAPI, browser: httpx.AsyncClient, store: Hub, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = Database(tmp_path_factory.mktemp("empty") / "empty.sqlite")
    object.__setattr__(store, "database", empty)
    for path in ("/", "/api/catalog"):
        answer = await browser.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "60"
        assert "SELECT" not in answer.text
    await empty.close()


async def test_errors_are_pages_for_people_and_json_for_programs(app: FastAPI, browser: httpx.AsyncClient) -> None:
    @app.get("/api/busy")
    @app.get("/busy")
    async def busy() -> None:
        raise ToolFailed("The scanner rests.")

    page = await browser.get("/busy")
    assert (page.status_code, "The hub is busy" in page.text, "The scanner rests." in page.text) == (503, True, True)
    assert (await browser.get("/api/busy")).json() == {"error": "ToolFailed", "message": "The scanner rests."}
    wrong = await browser.post("/")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET"
    assert "That cannot be done here" in wrong.text


async def test_a_request_is_no_larger_than_a_form(browser: httpx.AsyncClient, store: Hub, crane: Harbour) -> None:
    await publish(store, crane)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"address=" + b"x" * 1000

    for content in (b"address=" + b"x" * 20_000, endless()):
        answer = await browser.post("/products/harbour/crane/subscribe", content=content)
        assert answer.status_code == 413
        assert "That is too much" in answer.text


async def test_the_api_describes_itself_without_anybody_elses_scripts(browser: httpx.AsyncClient) -> None:
    described = (await browser.get("/api/openapi.json")).json()
    assert set(described["paths"]) == {"/healthz", "/api/health", "/api/catalog", "/api/catalog/{publisher}/{product}"}
    for path in ("/docs", "/redoc", "/api/docs"):
        assert (await browser.get(path)).status_code == 404
