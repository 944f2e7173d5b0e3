"""`wharfinger doctor`: what is here, what is missing, and how to get it."""

import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import aiosmtplib
import httpx
import typer
from alembic.script import ScriptDirectory
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.service import RPCError

import store.migrations
from activities.policy import PolicyInForce
from cli.context import Json, console, load_settings, runs, write_json
from cli.servers import program
from cli.service import ServiceMissing
from desk.hub import connect, open_blobs, url_of
from desk.telling import is_attended
from models.errors import WharfingerError
from scanning.advisories import AdvisoryStore
from settings import Settings
from store.database import Database
from workflows.search_attributes import REGISTRY

#: how long a server may take to answer, seconds
_PATIENCE = 5.0
_UP = "Start it with `wharfinger up`"
_SETUP = "It comes with the Python environment: run `make setup`, or install Wharfinger with its dependencies."

_APT = "Debian has it: apt-get install --no-install-recommends"


class State(StrEnum):
    OK = "ok"
    #: not here, and seldom needed
    OPTIONAL = "optional"
    #: something does not work until this is there
    WARNING = "warning"
    #: nothing works without it
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what it is, and how to get it where it is not as it should be."""

    name: str
    state: State
    says: str
    remedy: str = ""


Look = Callable[[Settings], Awaitable[Finding]]


@runs
async def doctor(json_: Json = False) -> None:
    """What this machine has and lacks, and how to get it. Status 1 only when something is missing that all needs.

    Nothing is made or changed by looking. Servers that do not run are warnings.
    """
    findings = [python()]
    try:
        settings = load_settings()
    except WharfingerError as mistake:
        findings.append(Finding("settings", State.MISSING, str(mistake), "Mend the variable, or the line of .env."))
    else:
        findings.append(Finding("settings", State.OK, f"home {settings.home.absolute()}"))
        findings += await asyncio.gather(*(look(settings) for look in LOOKS))
    if json_:
        write_json({"fit": not _missing(findings), "findings": findings})
    else:
        _show(findings)
    if _missing(findings):
        raise typer.Exit(1)


def _missing(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state is State.MISSING]


def _show(findings: list[Finding]) -> None:
    styles = {State.OK: "green", State.OPTIONAL: "dim", State.WARNING: "yellow", State.MISSING: "bold red"}
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for finding in findings:
        style = styles[finding.state]
        said = f"{finding.says}\n{finding.remedy}" if finding.remedy else finding.says
        table.add_row(f"[{style}]{finding.state}[/]", finding.name, said.replace("[", "\\["))
    console.print(table)
    if missing := _missing(findings):
        console.print(f"\n[bold red]missing:[/] {', '.join(finding.name for finding in missing)}")
    elif any(finding.state is State.WARNING for finding in findings):
        console.print("\n[bold]Fit to start:[/] what is yellow is needed for some things only, or is not running.")
    else:
        console.print("\n[bold green]All is well.[/]")


def python() -> Finding:
    """An older one does not get this far."""
    return Finding("Python", State.OK, f"{platform.python_version()}, {sys.executable}")


async def policy(settings: Settings) -> Finding:
    place = settings.policy_place
    try:
        PolicyInForce(place).current()
    except (WharfingerError, OSError, UnicodeDecodeError) as mistake:
        return Finding("policy", State.MISSING, str(mistake), "Mend the file, and try: wharfinger policy check FILE")
    return Finding("policy", State.OK, str(place))


async def home(settings: Settings) -> Finding:
    """The folder, or the nearest one above it that is there, where it would be made."""
    place = settings.home.absolute()
    if unwritable := _unwritable(place):
        return Finding("home", State.MISSING, f"{unwritable} cannot be written", "Choose another one: WHARFINGER_HOME.")
    return Finding("home", State.OK, str(place) if place.exists() else f"{place}, made when it is needed")


def _unwritable(place: Path) -> Path | None:
    """What keeps a folder from being made or written; None when nothing does."""
    nearest = next(folder for folder in (place, *place.parents) if folder.exists())
    fit = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return None if fit else nearest


async def temporal_program(settings: Settings) -> Finding:
    """Without it there has to be a server somewhere else."""
    state = State.OPTIONAL if "temporal" in settings.model_fields_set else State.MISSING
    return await _program("temporal", state, "no Temporal server can be started on this machine", _SETUP)(settings)


def _program(name: str, state: State, why: str, remedy: str) -> Look:
    async def look(settings: Settings) -> Finding:
        try:
            return Finding(name, State.OK, program(name, remedy=remedy))
        except ServiceMissing:
            return Finding(name, state, why, remedy)

    return look


async def postgresql(settings: Settings) -> Finding:
    """A server's programs; Debian keeps them off the PATH."""
    if settings.database_place.startswith("postgres"):
        return Finding("PostgreSQL", State.OK, "the settings name a server; see database")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return Finding("PostgreSQL", State.OK, str(found[-1]))
    return Finding(
        "PostgreSQL", State.OPTIONAL, "one machine needs SQLite only; the tests use both", f"{_APT} postgresql"
    )


async def database(settings: Settings) -> Finding:
    remedy = f"{_UP}, or name it: WHARFINGER_DATABASE."
    try:
        url = url_of(settings)
    except WharfingerError as mistake:
        return Finding("database", State.MISSING, str(mistake), "Mend WHARFINGER_DATABASE.")
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return Finding("database", State.WARNING, f"{url.database} is not made yet", remedy)
    opened, place = Database(settings.database_place), url.render_as_string()
    try:
        async with asyncio.timeout(_PATIENCE), opened.session() as session:
            connection = await session.connection()
            found = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0] or "no answer"
        return Finding("database", State.WARNING, f"{place}: {reason}", remedy)
    finally:
        await opened.close()
    newest = ScriptDirectory(str(Path(store.migrations.__file__ or "").parent)).get_current_head()
    if found != newest:
        says = f"{place} has version {found}, the program {newest}"
        return Finding("database", State.WARNING, says, "The next start of `wharfinger up` or a worker brings it up.")
    return Finding("database", State.OK, place)


async def blobs(settings: Settings) -> Finding:
    place = settings.blobs_place
    remedy = "Look at WHARFINGER_BLOBS and WHARFINGER_OBJECT_STORE__*."
    if not place.startswith("s3://"):
        nearest = next(
            folder for folder in (Path(place).absolute(), *Path(place).absolute().parents) if folder.exists()
        )
        if not os.access(nearest, os.W_OK | os.X_OK):
            return Finding("blobs", State.MISSING, f"{nearest} cannot be written", remedy)
        return Finding("blobs", State.OK, place)
    try:
        async with asyncio.timeout(_PATIENCE):
            await open_blobs(settings).exists("sha256:" + "0" * 64)
    except (WharfingerError, TimeoutError) as error:
        return Finding("blobs", State.WARNING, str(error) or f"{place} does not answer", remedy)
    return Finding("blobs", State.OK, place)


async def temporal(settings: Settings) -> Finding:
    """The server, our search attributes in its namespace, and whether anybody works."""
    server = settings.temporal
    remedy = f"{_UP}, or name it: WHARFINGER_TEMPORAL__ADDRESS."
    try:
        async with asyncio.timeout(_PATIENCE):
            client = await connect(server)
            known = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=server.namespace)
            )
            attended = await is_attended(client)
    except TimeoutError:
        return Finding("Temporal server", State.WARNING, f"{server.address} does not answer", remedy)
    except WharfingerError:
        return Finding("Temporal server", State.WARNING, f"nobody answers at {server.address}", remedy)
    except RPCError as error:
        return Finding("Temporal server", State.WARNING, f"{server.address}: {error.message}", remedy)
    says = f"{server.address}, namespace {server.namespace}"
    if absent := [name for name in REGISTRY if name not in known.custom_attributes]:
        create = " ".join(f"--name {name} --type {REGISTRY[name]}" for name in absent)
        remedy = f"temporal operator search-attribute create --namespace {server.namespace} {create}"
        return Finding("Temporal server", State.WARNING, f"{says}: lacks {', '.join(absent)}", remedy)
    if not attended:
        return Finding("Temporal server", State.WARNING, f"{says}: no worker", f"{_UP}, or `wharfinger worker`.")
    return Finding("Temporal server", State.OK, f"{says}, with a worker")


async def mail(settings: Settings) -> Finding:
    smtp = settings.smtp
    place = f"{smtp.host}:{smtp.port}"
    server = aiosmtplib.SMTP(
        hostname=smtp.host,
        port=smtp.port,
        use_tls=smtp.tls == "tls",
        start_tls=smtp.tls == "starttls",
        cert_bundle=str(smtp.ca_file) if smtp.ca_file else None,
        timeout=_PATIENCE,
    )
    try:
        await server.connect()
        await server.quit()
    except (aiosmtplib.SMTPException, OSError) as error:
        remedy = f"{_UP}, or name it: WHARFINGER_SMTP__HOST, __PORT, __TLS."
        return Finding("mail server", State.WARNING, f"{place}: {error}", remedy)
    return Finding("mail server", State.OK, f"{place}, {'no TLS' if smtp.tls == 'none' else smtp.tls}")


async def registry(settings: Settings) -> Finding:
    place = settings.hub_registry_place
    if place.startswith(("oci:", "/", ".")):
        return Finding("hub's registry", State.OK, f"a folder: {place.removeprefix('oci:')}")
    host = place.partition("/")[0]
    scheme = "http" if host in settings.plain_http_hosts else "https"
    return await _answers("hub's registry", f"{scheme}://{host}/v2/", f"{_UP}, or name it: WHARFINGER_HUB_REGISTRY.")


async def pages(settings: Settings) -> Finding:
    return await _answers("pages", f"{settings.base_url.rstrip('/')}/healthz", f"{_UP}, or `python -m web`.")


async def _answers(name: str, url: str, remedy: str) -> Finding:
    """A demand for credentials is an answer, too."""
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE) as client:
            answer = await client.get(url)
    except httpx.HTTPError as error:
        return Finding(name, State.WARNING, f"{url}: {str(error) or type(error).__name__}", remedy)
    if answer.status_code >= 500 or answer.status_code == 404:
        return Finding(name, State.WARNING, f"{url} answers {answer.status_code}", remedy)
    return Finding(name, State.OK, url)


async def advisories(settings: Settings) -> Finding:
    place = settings.advisories_place
    remedy = "Scans find components, but no vulnerabilities: wharfinger advisories import PATH|URL"
    if not place.exists():
        return Finding("advisories", State.WARNING, "none are imported yet", remedy)
    try:
        count = await asyncio.to_thread(AdvisoryStore(place).count)
    except Exception as error:
        return Finding("advisories", State.WARNING, f"{place}: {error}", remedy)
    return Finding("advisories", State.OK if count else State.WARNING, f"{count:,} in {place}", "" if count else remedy)


#: in the order in which they are shown
LOOKS: tuple[Look, ...] = (
    policy,
    home,
    temporal_program,
    _program("trivy", State.MISSING, "nothing can be scanned on this machine", _SETUP),
    _program(
        "docker-registry",
        State.OPTIONAL,
        "without it `wharfinger up` publishes into a folder",
        f"{_APT} docker-registry",
    ),
    _program("skopeo", State.OPTIONAL, "the demo's proofs and the tests use it", f"{_APT} skopeo"),
    postgresql,
    database,
    blobs,
    advisories,
    temporal,
    mail,
    registry,
    pages,
)


def add_to(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(doctor)
