"""`wharfinger scan`: what is in an image. Needs no hub; the bases and classes of one that is there count."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from activities.hub_knowledge import HubKnowledge
from activities.policy import PolicyInForce
from cli import scan_tables
from cli.advisories import advisory_store
from cli.context import Json, complaints, load_settings, runs, said
from cli.images import place_of, scan_all
from desk.hub import open_blobs, open_database
from models.errors import NotAllowed, ToolFailed
from models.findings import Severity
from models.policy import SeverityClasses
from models.scans import ImageReport, Vulnerability
from models.vex import VexStatement
from policies.vex import HARMLESS, Said, Subject
from registry.access import Access
from scanning.advisories import AdvisoryStore
from scanning.reports import Form, vex_documents, write
from scanning.reports.scanned import Scanned
from settings import Settings


class FailOn(StrEnum):
    """The lightest class that makes the command fail."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


#: as the gate does, a vulnerability that is not scored yet counts as major
_FAILS = {
    FailOn.CRITICAL: {Severity.CRITICAL},
    FailOn.MAJOR: {Severity.CRITICAL, Severity.MAJOR, Severity.UNKNOWN},
    FailOn.MINOR: set(Severity),
}


class Shape(StrEnum):
    """What a scan can be shown as: a table for people, or any form of report."""

    TABLE = "table"
    JSON = "json"
    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"
    SARIF = "sarif"
    CSV = "csv"
    HTML = "html"


As = Annotated[Shape, typer.Option("--format", help="A table for people, or a report for programs, archives, print.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File that the report is written to.")]
Platform = Annotated[str, typer.Option(help="Only this one, as linux/arm64; else every platform.")]
Severities = Annotated[list[Severity] | None, typer.Option("--severity", help="Only this class; may be repeated.")]
Fixable = Annotated[bool, typer.Option("--fixable", help="Only what a fixed version is known for.")]


@runs
async def scan(
    image: Annotated[
        str, typer.Argument(help="host/name:tag or host/name@sha256:…, oci:FOLDER:TAG, archive:FILE[:TAG].")
    ],
    platform: Platform = "",
    shape: As = Shape.TABLE,
    output: Output = None,
    severity: Severities = None,
    fixable: Fixable = False,
    vex: Annotated[
        list[Path] | None, typer.Option(help="OpenVEX or CycloneDX: what it says is harmless does not fail the scan.")
    ] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Status 1 when a vulnerability of this class or a weightier one is left.")
    ] = None,
    components: Annotated[bool, typer.Option("--components", help="List every component.")] = False,
    username: Annotated[str, typer.Option(help="User name at the registry.")] = "",
    password: Annotated[
        str, typer.Option(envvar="WHARFINGER_SOURCE_PASSWORD", help="Better given in the environment.")
    ] = "",
    json_: Json = False,
) -> None:
    """Scan an image: layers, components, and vulnerabilities by class. Needs no hub and changes nothing."""
    form = form_of(shape, output, json_)
    statements = [one for path in vex or () for one in vex_documents.read(path.read_bytes()).statements]
    settings = load_settings()
    policy = PolicyInForce(settings.policy_place).current()
    advisories = advisory_store(settings)
    if not await asyncio.to_thread(advisories.count):
        complaints.print("No advisories yet: components are found, but no vulnerabilities.")
        complaints.print("Bring some in: wharfinger advisories import PATH|URL")
    place = place_of(image)
    access = Access(username, password) if username or password else None
    reference, digest, reports = await scan_all(place, platform, settings, policy, advisories, access)
    reports = await _told(reports, settings, advisories, policy.severity)
    names = frozenset({image, place.repository, f"{place.repository}:{reference}"})
    scanned = only(
        with_statements(
            Scanned(image, digest, tuple(reports)),
            statements,
            lambda report: Subject(names, frozenset({digest, report.facts.digest})),
        ),
        severity,
        fixable,
    )
    await deliver(scanned, form, output, everything=components)
    if fail_on and any(
        one.found.severity in _FAILS[fail_on] and not (one.said and one.said.state in HARMLESS)
        for one in scanned.sightings()
    ):
        raise typer.Exit(1)


def form_of(shape: Shape, output: Path | None, as_json: bool) -> Form | None:
    """The form that was asked for; None for the table. Errors: NotAllowed for what does not go together."""
    if as_json and shape not in (Shape.TABLE, Shape.JSON):
        raise NotAllowed(f"--json and --format {shape} do not go together.")
    if as_json or shape is not Shape.TABLE:
        return Form.JSON if as_json else Form(shape)
    if output is not None:
        raise NotAllowed(f"Say what to write to {output}: --format {', '.join(Form)}.")
    return None


def with_statements(
    scanned: Scanned, statements: Sequence[VexStatement], subject_of: Callable[[ImageReport], Subject]
) -> Scanned:
    """The scan with what is said of its vulnerabilities."""
    if not statements:
        return scanned
    spoken, now = Said(statements), datetime.now(UTC)
    covered: dict[tuple[str, Vulnerability], VexStatement] = {}
    for report in scanned.reports:
        subject = subject_of(report)
        for found in report.vulnerabilities:
            if about := spoken.about(found, subject, now):
                covered[report.facts.digest, found] = about
    return replace(scanned, statements=covered)


def only(scanned: Scanned, severities: Iterable[Severity] | None, fixable: bool) -> Scanned:
    """The scan without the vulnerabilities that were not asked for."""
    wanted = set(severities or Severity)
    reports = tuple(
        report.model_copy(
            update={
                "vulnerabilities": tuple(
                    found
                    for found in report.vulnerabilities
                    if found.severity in wanted and (found.fixed_version or not fixable)
                )
            }
        )
        for report in scanned.reports
    )
    left = {(report.facts.digest, found) for report in reports for found in report.vulnerabilities}
    statements = {key: statement for key, statement in scanned.statements.items() if key in left}
    return replace(scanned, reports=reports, statements=statements)


async def deliver(scanned: Scanned, form: Form | None, output: Path | None, *, everything: bool) -> None:
    """To the file, or to standard output."""
    if form is None:
        scan_tables.show(scanned, everything=everything)
        return
    written = await asyncio.to_thread(write, scanned, form)
    if output is None:
        typer.echo(written, nl=False)
    else:
        await asyncio.to_thread(output.write_bytes, written)
        complaints.print(f"Written to {output}.", markup=False, soft_wrap=True)


async def _told(
    reports: Sequence[ImageReport], settings: Settings, advisories: AdvisoryStore, severity: SeverityClasses
) -> list[ImageReport]:
    """With the base images and classes of the hub, where there is one."""
    try:
        async with open_database(settings) as database:
            knowledge = HubKnowledge(database, open_blobs(settings), advisories, severity)
            return [await knowledge.applied_to(report) for report in reports]
    except SQLAlchemyError as error:
        complaints.print(f"The hub's base images and classes are not known: {said(error)}", markup=False)
    except ToolFailed as missing:
        if settings.database:
            complaints.print(f"The hub's base images and classes are not known: {missing}", markup=False)
    return list(reports)


def add_to(app: typer.Typer) -> None:
    app.command()(scan)
