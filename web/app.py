"""The public pages and their API: the catalog, and what the links in mails lead to. Without sign-in nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from desk.hub import open_hub
from models.errors import InvalidManifest, NotAllowed, NotFound, ToolFailed, WharfingerError
from settings import Settings
from web import catalog, links
from web.guard import Guard, guarded
from web.rendering import hub_of, page

log = structlog.get_logger(__name__)

_STATUS: dict[type[WharfingerError], int] = {NotFound: 404, NotAllowed: 409, ToolFailed: 503}
_TITLES = {
    404: "There is nothing here",
    405: "That cannot be done here",
    409: "That did not work",
    410: "This is gone",
    413: "That is too much",
    503: "The hub is busy",
}
#: how long health waits for a server, seconds
_PATIENCE = 2.0


def make_app(settings: Settings) -> FastAPI:
    """The application; it opens the stores when it starts serving, and needs Temporal only for what is decided."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_hub(settings, lazy=True) as hub:
            app.state.hub = hub
            yield

    # the interactive documentation would fetch its scripts from somebody else's server
    app = FastAPI(
        title=settings.hub_name, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.state.settings = settings
    app.add_middleware(Guard)
    app.exception_handler(WharfingerError)(_refused)
    app.exception_handler(RequestValidationError)(_misread)
    app.exception_handler(HTTPException)(_strayed)
    app.exception_handler(SQLAlchemyError)(_without_database)
    app.exception_handler(Exception)(_broken)
    _add_health(app)
    app.include_router(catalog.router)
    app.include_router(links.router)
    return app


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        """Whether this process serves; asks nobody else."""
        return {"status": "up"}

    @app.get("/api/health")
    async def health(request: Request, response: Response) -> dict[str, str]:
        """Whether the pages can do their work. Without Temporal the catalog is shown, and nothing is decided."""
        hub = hub_of(request)
        parts = {"database": "up", "temporal": "up"}
        try:
            async with asyncio.timeout(_PATIENCE), hub.database.session() as session:
                await (await session.connection()).execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError):
            parts["database"] = "down"
            response.status_code = 503
        try:
            await hub.client.service_client.check_health(timeout=timedelta(seconds=_PATIENCE))
        except (RPCError, RuntimeError):
            parts["temporal"] = "down"
        return {"status": "up" if set(parts.values()) == {"up"} else "degraded"} | parts


async def _refused(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    problems = error.problems if isinstance(error, InvalidManifest) else ()
    words = " ".join(problem.message for problem in problems) or str(error)
    return _answer(request, status, type(error).__name__, words)


async def _misread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    mistakes = (f"{mistake['loc'][-1]}: {mistake['msg']}" for mistake in error.errors())
    return _answer(request, 400, "InvalidRequest", f"{'; '.join(mistakes)}.")


async def _strayed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    words = "The address is wrong, or what was here has gone." if error.status_code == 404 else str(error.detail)
    response = _answer(request, error.status_code, "HTTPException", words)
    response.headers.update(error.headers or {})
    return response


async def _without_database(request: Request, error: Exception) -> Response:
    log.error("the database does not answer", path=_route(request), trouble=str(getattr(error, "orig", error)))
    response = _answer(request, 503, "ToolFailed", "The database does not answer. Try again in a minute.")
    response.headers["Retry-After"] = "60"
    return response


async def _broken(request: Request, error: Exception) -> Response:
    """A mistake of ours. The server writes the traceback; this answer does not pass the guard by itself."""
    response = _answer(request, 500, "Error", "This is a mistake of ours; it has been written down. Try again later.")
    guarded(response.headers)
    return response


def _answer(request: Request, status: int, name: str, words: str) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": name, "message": words}, status)
    return page(request, "message.html", status=status, title=_TITLES.get(status, "That did not work"), text=words)


def _route(request: Request) -> str:
    """The path with its tokens left out: a log is no place for them."""
    route: Any = request.scope.get("route")
    return str(getattr(route, "path", ""))
