"""Vulnerabilities on the command line: what the security team has to class, and the classes that it gives."""

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from activities.policy import PolicyInForce
from cli.advisories import advisory_store
from cli.context import (
    Actor,
    Json,
    PageNumber,
    PageSize,
    console,
    load_settings,
    more_pages,
    runs,
    table,
    when,
    write_json,
)
from desk import classes as desk
from desk.hub import open_database
from models.errors import NotFound
from models.findings import Severity
from models.security_tables import SeverityOverrideRow
from policies.working_days import add_working_days
from scanning.advisory_views import AdvisoryView
from store import classes, people
from store.database import Database
from store.views import Page

app = typer.Typer(
    no_args_is_help=True,
    help="What is known against published products and submissions, and the security team's own classes.",
)

Name = Annotated[str, typer.Argument(metavar="CVE", help="Id of the vulnerability, as findings show it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: publishers read it with every finding.")]


class GivenClass(StrEnum):
    """What the security team can say."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


@app.command("class")
@runs
async def class_(
    vulnerability: Name,
    severity: Annotated[GivenClass, typer.Argument(help="The class that holds from now on.")],
    actor: Actor,
    reason: Reason,
    json_: Json = False,
) -> None:
    """Class a vulnerability by hand: this goes before its score, in examinations and in the watch."""
    now = datetime.now(UTC)
    async with open_database(load_settings()) as database, database.transaction() as session:
        row = await desk.give(session, actor, vulnerability, Severity(severity), reason, now=now)
        name = row.vulnerability
    if json_:
        write_json({"vulnerability": name, "class": severity, "reason": reason, "at": now})
        return
    console.print(
        f"{name} is {severity} from now on: open submissions with their next examination, published "
        "products with the watch's next round.",
        markup=False,
    )


@app.command()
@runs
async def unclass(vulnerability: Name, actor: Actor, reason: Reason, json_: Json = False) -> None:
    """Take the class back: that of the score is in force again."""
    now = datetime.now(UTC)
    async with open_database(load_settings()) as database, database.transaction() as session:
        await desk.take_back(session, actor, vulnerability, reason, now=now)
    name = classes.spelled(vulnerability)
    if json_:
        write_json({"vulnerability": name, "class": None, "reason": reason, "at": now})
        return
    console.print(f"{name} is of the class of its score again.", markup=False)


@app.command("list")
@runs
async def list_(
    unknown: Annotated[bool, typer.Option("--unknown", help="Only what waits for a class: the team's queue.")] = False,
    severity: Annotated[Severity | None, typer.Option(help="Only this class.")] = None,
    classed: Annotated[bool, typer.Option("--classed", help="Only what has a class of the team's.")] = False,
    page: PageNumber = 1,
    size: PageSize = 50,
    json_: Json = False,
) -> None:
    """What is open in published products and in submissions: exploited ones first, then the oldest."""
    settings = load_settings()
    policy = PolicyInForce(settings.policy_place).current()
    async with open_database(settings) as database, database.session() as session:
        known = await classes.known(session)
    wanted = Severity.UNKNOWN if unknown else severity
    found = [one for one in known if wanted is None or one.in_force is wanted]
    if classed:
        found = [one for one in found if one.classing is not None]
    shown = found[(page - 1) * size : page * size]
    dues = [
        add_working_days(one.since, policy.remediation.classing_working_days, policy.deadlines.holidays)
        if one.in_force is Severity.UNKNOWN
        else None
        for one in shown
    ]
    if json_:
        items = [_document(one) | {"class_by": due} for one, due in zip(shown, dues, strict=True)]
        write_json({"items": items, "total": len(found), "page": page, "size": size})
        return
    table(
        f"Vulnerabilities: {len(found)}",
        ("id", "class", "to class by", "exploited", "fix", "products", "submissions", "package"),
        (
            (
                one.vulnerability,
                f"{one.in_force}{' by hand' if one.classing else ''}",
                when(due),
                "yes" if one.exploited else "",
                "yes" if one.fix_exists else "",
                one.products or "",
                one.submissions or "",
                one.package,
            )
            for one, due in zip(shown, dues, strict=True)
        ),
        "Nothing waits for a class." if unknown else "Nothing is open.",
    )
    more_pages(Page(items=(), total=len(found), page=page, size=size))


@app.command()
@runs
async def show(vulnerability: Name, json_: Json = False) -> None:
    """One vulnerability: what is said of it, where it is, and which classes it was given, by whom and why."""
    settings = load_settings()
    name = classes.spelled(vulnerability)
    view = await asyncio.to_thread(advisory_store(settings).show, name)
    async with open_database(settings) as database:
        known, where, given, names = await _in_hub(database, name)
    if view is None and known is None and not given:
        raise NotFound(f"Nothing is known of {name}.")
    if json_:
        write_json(
            {
                "vulnerability": name,
                "advisories": view,
                "hub": known and _document(known) | where,
                "classes": [_given(row, names) for row in given],
            }
        )
        return
    _show(name, view, known, where)
    table(
        "\nClasses of the security team",
        ("class", "from", "until", "by", "reason"),
        (
            (row.severity, row.at, row.withdrawn_at or "in force", names.get(row.by, row.by), _reasons(row))
            for row in given
        ),
        "\nThe security team has given it no class.",
    )


async def _in_hub(
    database: Database, name: str
) -> tuple[classes.Known | None, dict[str, list[str]], list[SeverityOverrideRow], dict[str, str]]:
    """What it is in the hub, where, the classes that it was given, and the names of who gave them."""
    async with database.session() as session:
        known = next(iter(await classes.known(session, name)), None)
        where = dict(zip(("products", "submissions", "packages"), await classes.places(session, name), strict=True))
        given = await classes.history(session, name)
        names = await people.names_of(session, {person for row in given for person in (row.by, row.withdrawn_by)})
    return known, where, given, names


def _show(name: str, view: AdvisoryView | None, known: classes.Known | None, where: dict[str, list[str]]) -> None:
    summary = next((record.summary for record in view.records if record.summary), "") if view else ""
    rows: list[tuple[object, ...]] = [("summary", summary)]
    if view:
        rows += [("score", f"{one.score} {one.vector} ({one.source})") for one in view.scores]
        rows += [("score", f"{one.score} {one.vector} ({one.source})") for each in view.records for one in each.scores]
        rows.append(("records", ", ".join(record.id for record in view.records)))
        if view.exploited:
            rows.append(("exploited", f"known since {view.exploited.added:%Y-%m-%d} (CISA)"))
    if known:
        rows += [
            ("class", f"{known.in_force}{' by hand' if known.classing else ''}"),
            ("fix", "exists" if known.fix_exists else "none yet"),
            *((what, _few(places)) for what, places in where.items()),
            ("since", known.since),
        ]
    else:
        rows.append(("hub", "no published product and no open submission has it"))
    table(name, ("", ""), (row for row in dict.fromkeys(rows) if row[1]), "")


def _few(names: list[str], most: int = 20) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _document(one: classes.Known) -> dict[str, Any]:
    return {
        "vulnerability": one.vulnerability,
        "class": one.in_force,
        "classing": one.classing,
        "exploited": one.exploited,
        "fix_exists": one.fix_exists,
        "since": one.since,
        "package": one.package,
        "products": one.products,
        "submissions": one.submissions,
    }


def _given(row: SeverityOverrideRow, names: dict[str, str]) -> dict[str, Any]:
    return {
        "class": row.severity,
        "reason": row.reason,
        "by": names.get(row.by, row.by),
        "at": row.at,
        "withdrawn_by": names.get(row.withdrawn_by, row.withdrawn_by),
        "withdrawn_reason": row.withdrawn_reason,
        "withdrawn_at": row.withdrawn_at,
    }


def _reasons(row: SeverityOverrideRow) -> str:
    return f"{row.reason} Taken back: {row.withdrawn_reason}" if row.withdrawn_at else row.reason
