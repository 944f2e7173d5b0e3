"""Submissions on the command line: submit, resubmit, decide, withdraw, queue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from activities.policy import PolicyInForce
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
from cli.product import product_of
from desk import submissions as desk
from desk.folder import SubmissionFolder, read_folder
from desk.hub import Hub, open_database, open_hub
from desk.recorded import recorded
from desk.refusal import problems_of
from models.addresses import new_id
from models.commands import SUBMISSION_COMMANDS, Command, Waive, Withdraw
from models.errors import InvalidManifest, NotAllowed
from models.findings import Finding, VexJustification, VexState, Waiver, WaiverScope
from models.lifecycle import Snapshot, Stage, Turn
from policies import words
from settings import Settings
from store import people, publishers, submissions
from store.database import Database
from store.views import SubmissionView

Id = Annotated[str, typer.Argument(help="Id of the submission, or PRODUCT/NUMBER, or PUBLISHER/PRODUCT/NUMBER.")]
Text = Annotated[str, typer.Option("--text", help="Words for the other side.")]
Username = Annotated[str, typer.Option("--username", help="User name for private source repositories.")]
Password = Annotated[
    str, typer.Option("--password", envvar="WHARFINGER_SOURCE_PASSWORD", help="Better given in the environment.")
]

#: on the command line an act is written with hyphens
ACTS: dict[str, type[Command]] = {
    command.act.replace("_", "-"): command
    for command in SUBMISSION_COMMANDS
    if command.act not in ("resubmit", "supersede")
}


@runs
async def submit(
    folder: Annotated[Path, typer.Argument(help="A submission folder: product.toml and the files that it names.")],
    actor: Annotated[
        str, typer.Option("--as", envvar="WHARFINGER_ACTOR", help="Email address (or id) of the person who submits.")
    ] = "",
    publisher: Annotated[str, typer.Option(help="Id or short name; needed by members of several publishers.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only: nothing is stored or sent.")] = False,
    username: Username = "",
    password: Password = "",
    json_: Json = False,
) -> None:
    """Submit a product: every check that needs no image runs at once, the rest in the hub.

    A dry run needs no hub. With --as it asks the hub as well whether this person may submit.
    """
    settings = load_settings()
    if dry_run:
        content = read_folder(folder, PolicyInForce(settings.policy_place).current().manifest)
        await _try_out(settings, content, actor, publisher, json_)
        return
    if not actor:
        raise NotAllowed("Say who submits: --as EMAIL, or WHARFINGER_ACTOR in the environment.")
    access = _access(username, password)
    async with open_hub(settings) as hub:
        content = read_folder(folder, hub.policy.current().manifest)
        publisher = publisher or await _own_publisher(hub, actor)
        accepted = await desk.submit(hub, actor, publisher, content, access=access)
    if json_:
        write_json({"submission": accepted.submission, "product": accepted.product_slug, "number": accepted.number})
        return
    console.print(f"[bold]Submitted[/] {accepted.product_slug}/{accepted.number}, id {accepted.submission}.")
    if accepted.superseded:
        console.print(f"It takes the place of submission {accepted.superseded}.")
    console.print(f"What happens: wharfinger status {accepted.submission} --watch")


async def _try_out(settings: Settings, content: SubmissionFolder, actor: str, publisher: str, json_: bool) -> None:
    """What a submission would be told at once; status 1 when it would be refused."""
    findings = desk.examine(content, PolicyInForce(settings.policy_place).current())
    problems = problems_of(findings, content.problems)
    if actor:
        async with open_hub(settings, lazy=True) as hub:
            await desk.may_submit(hub, actor, publisher or await _own_publisher(hub, actor), content.manifest)
    if json_ and not problems:
        write_json({"findings": findings, "blocking": 0})
        return
    if not json_:
        show_findings([finding for finding in findings if not finding.blocks])
    if problems:
        raise InvalidManifest(problems)


def show_findings(findings: list[Finding]) -> None:
    table(
        "Guidelines, which hold nothing up",
        ("where", "what", "remedy"),
        ((f.where, f"{f.title} {f.evidence}".strip(), f.remedy) for f in findings),
        "No guideline speaks against the folder. The images are checked after the submission.",
    )


async def _own_publisher(hub: Hub, actor: str) -> str:
    async with hub.database.session() as session:
        person = await people.get(session, actor)
        own = await people.publishers_of(session, person.id)
    if len(own) != 1:
        raise NotAllowed(
            f"{actor} is a member of {len(own)} publishers: "
            + ("name one with --publisher." if own else "apply first: wharfinger publisher apply.")
        )
    return own[0]


def _access(username: str, password: str) -> tuple[str, str] | None:
    """Asked for where somebody sits at a terminal: what is typed as an option stands in the shell's history."""
    if password and not username:
        raise NotAllowed("A password needs its user name: --username.")
    if username and not password:
        password = typer.prompt(f"Password of {username} at the source", hide_input=True, err=True)
    return (username, password) if username else None


@runs
async def resubmit(
    submission: Id,
    folder: Annotated[Path, typer.Argument(help="The mended submission folder.")],
    actor: Actor,
    text: Text = "",
    username: Username = "",
    password: Password = "",
    json_: Json = False,
) -> None:
    """Bring the mended content: the next iteration begins."""
    access = _access(username, password)
    async with open_hub(load_settings()) as hub:
        content = read_folder(folder, hub.policy.current().manifest)
        view = await _find(hub, submission)
        snapshot = await desk.resubmit(hub, view.id, actor, content, text=text, access=access)
        await recorded(hub, snapshot)
    show_snapshot(snapshot, json_)


@runs
async def decide(
    submission: Id,
    act: Annotated[str, typer.Argument(help=f"One of: {', '.join(ACTS)}.")],
    actor: Actor,
    text: Text = "",
    delayed: Annotated[bool, typer.Option("--delayed", help="reject: a last warning first.")] = False,
    finding: Annotated[str, typer.Option(help="waive, ask-waiver: key of the finding, as `status` shows it.")] = "",
    state: Annotated[VexState, typer.Option(help="waive: OpenVEX status.")] = VexState.NOT_AFFECTED,
    justification: Annotated[VexJustification | None, typer.Option(help="waive: OpenVEX justification.")] = None,
    scope: Annotated[WaiverScope, typer.Option(help="waive: what it holds for.")] = WaiverScope.PRODUCT,
    subject: Annotated[str, typer.Option(help="waive: the digest or source repository that the scope names.")] = "",
    days: Annotated[int, typer.Option(min=1, help="waive: for how long.")] = 90,
    to: Annotated[str, typer.Option(help="assign: email address of the assignee; none: nobody.")] = "",
    json_: Json = False,
) -> None:
    """Decide on a submission, or speak about it. The iteration and digest shown now go with the decision."""
    if act not in ACTS:
        raise NotAllowed(f"There is no act {act}. Possible: {', '.join(ACTS)}.")
    kind = ACTS[act]
    async with open_hub(load_settings()) as hub:
        view = await _find(hub, submission)
        async with hub.database.session() as session:
            person = await people.get(session, actor)
            assignee = (await people.get(session, to)).id if to else ""
        extra: dict[str, Any] = {"delayed": delayed, "to": assignee, "finding": finding}
        if kind is Waive:
            waived = _known(view, finding)
            waiver = Waiver(
                finding=waived.key,
                state=state,
                justification=justification,
                evidence=text,
                owner=person.id,
                scope=scope,
                subject=_subject(view, scope, subject),
                expires=datetime.now(UTC) + timedelta(days=_within(days, hub)),
                severity=waived.severity,
            )
            extra["waiver"] = await desk.store_waiver(hub, waiver)
        command = kind.model_validate(
            {
                "id": f"{act}-{new_id()}",
                "actor": person.id,
                "iteration": view.iteration,
                "release": view.release,
                "text": text,
            }
            | {name: value for name, value in extra.items() if name in kind.model_fields}
        )
        snapshot = await desk.decide(hub, view.id, command)
        await recorded(hub, snapshot)
    show_snapshot(snapshot, json_)


def _known(view: SubmissionView, key: str) -> Finding:
    """A waiver is for something that was found."""
    findings = view.iterations[-1].findings if view.iterations else ()
    for finding in findings:
        if finding.key == key:
            return finding
    raise NotAllowed(
        f"Iteration {view.iteration} has no finding {key!r}: `wharfinger status {view.id}` shows the keys."
    )


def _subject(view: SubmissionView, scope: WaiverScope, subject: str) -> str:
    """What the scope of a waiver names: one that names nothing would waive nothing."""
    sources = {tier.source.repository for tier in view.manifest.tiers if tier.source} if view.manifest else set()
    match scope:
        case WaiverScope.PRODUCT:
            return view.product
        case WaiverScope.REPOSITORY if subject not in sources:
            raise NotAllowed("A waiver for a repository names one of the submission's source repositories: --subject.")
        case WaiverScope.DIGEST if not subject.startswith("sha256:"):
            raise NotAllowed("A waiver for a digest names that of an image or a tag: --subject sha256:...")
    return subject


def _within(days: int, hub: Hub) -> int:
    most = hub.policy.current().terms.waiver_days
    if days > most:
        raise NotAllowed(f"A waiver lasts at most {most} days here: --days {most}.")
    return days


@runs
async def withdraw(submission: Id, actor: Actor, text: Text = "", json_: Json = False) -> None:
    """Take a submission back. A new one can be made at any time."""
    async with open_hub(load_settings()) as hub:
        view = await _find(hub, submission)
        async with hub.database.session() as session:
            person = await people.get(session, actor)
        told = Withdraw(id=f"withdraw-{new_id()}", actor=person.id, text=text)
        snapshot = await desk.decide(hub, view.id, told)
        await recorded(hub, snapshot)
    show_snapshot(snapshot, json_)


async def _find(hub: Hub, submission: str) -> SubmissionView:
    async with hub.database.session() as session:
        return await submissions.find(session, submission)


def show_snapshot(snapshot: Snapshot, json_: bool) -> None:
    if json_:
        write_json(snapshot)
        return
    situation = words.of_submission(snapshot)
    console.print(f"[bold]{situation.status}[/] · iteration {snapshot.iteration} · turn: {situation.turn}")
    console.print(f"Next: {situation.next}" + (f" By {when(situation.by)}." if situation.by else ""), markup=False)


@runs
async def queue(
    turn: Annotated[Turn | None, typer.Option(help="Whose turn it is.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Only those in this stage.")] = None,
    assignee: Annotated[str, typer.Option(help="Email address; `nobody`: what nobody has taken yet.")] = "",
    publisher: Annotated[str, typer.Option(help="Id or short name of a publisher.")] = "",
    product: Annotated[str, typer.Option(help="PUBLISHER/PRODUCT, or the product's id.")] = "",
    overdue: Annotated[bool | None, typer.Option("--overdue/--in-time", help="Only these.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also what is dormant or closed.")] = False,
    page: PageNumber = 1,
    size: PageSize = 50,
    json_: Json = False,
) -> None:
    """What is open, the earliest due date first."""
    async with open_database(load_settings()) as database:
        wanted = await _wanted(database, assignee, publisher, product)
        async with database.session() as session:
            found = await submissions.queue(
                session, turn=turn, stage=stage, overdue=overdue, ended=ended, page=page, size=size, **wanted
            )
    if json_:
        write_json(found)
        return
    table(
        f"Queue: {found.total}",
        ("id", "product", "publisher", "status", "turn", "iteration", "due"),
        (
            (
                item.id,
                f"{item.product_name} #{item.number or '?'}",
                item.publisher_name,
                item.status if item.number else f"{item.status}, not taken up yet",
                item.turn_words,
                item.iteration,
                f"{when(item.due)}{' overdue' if item.overdue else ''}",
            )
            for item in found.items
        ),
        "The queue is empty: nothing waits for anybody.",
    )
    more_pages(found)


async def _wanted(database: Database, assignee: str, publisher: str, product: str) -> dict[str, str]:
    """Ids of what people call by name."""
    wanted: dict[str, str] = {}
    async with database.session() as session:
        if assignee:
            wanted["assignee"] = "" if assignee == "nobody" else (await people.get(session, assignee)).id
        if publisher:
            wanted["publisher"] = (await publishers.get(session, publisher)).id
        if product:
            wanted["product"] = (await product_of(session, product)).id
    return wanted


def add_to(app: typer.Typer) -> None:
    """Mount the commands."""
    for command in (submit, resubmit, decide, withdraw, queue):
        app.command()(command)
