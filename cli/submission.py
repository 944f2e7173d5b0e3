"""Submissions on the command line: submit, decide, resubmit, withdraw, status, queue."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from cli.context import Actor, Json, console, load_settings, runs, table, when, write_json
from desk import submissions as desk
from desk.folder import read_folder
from desk.hub import Hub, open_hub, open_stores
from models.addresses import new_id, submission_address
from models.commands import SUBMISSION_COMMANDS, Command, Waive
from models.errors import NotAllowed
from models.findings import Finding, VexJustification, VexState, Waiver, WaiverScope
from models.lifecycle import Snapshot, Turn
from policies import words
from store import people, submissions
from store.views import EventView, SubmissionView

Id = Annotated[str, typer.Argument(help="Id of the submission, or product/number.")]
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
    actor: Actor,
    publisher: Annotated[str, typer.Option(help="Id or short name; needed by members of several publishers.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only: nothing is stored or sent.")] = False,
    username: Username = "",
    password: Password = "",
    json_: Json = False,
) -> None:
    """Submit a product: every check that needs no image runs at once, the rest in the hub."""
    async with open_hub(load_settings()) as hub:
        content = read_folder(folder, hub.policy.current().manifest)
        publisher = publisher or await _own_publisher(hub, actor)
        if dry_run:
            show_findings(await desk.check(hub, publisher, content), json_)
            return
        access = (username, password) if username else None
        accepted = await desk.submit(hub, actor, publisher, content, access=access)
    if json_:
        write_json({"submission": accepted.submission, "product": accepted.product_slug, "number": accepted.number})
        return
    console.print(f"[bold]Submitted[/] {accepted.product_slug}/{accepted.number}, id {accepted.submission}.")
    if accepted.superseded:
        console.print(f"It takes the place of submission {accepted.superseded}.")
    console.print(f"What happens: wharfinger status {accepted.submission} --watch")


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


def show_findings(findings: Sequence[Finding], json_: bool) -> None:
    if json_:
        write_json({"findings": findings, "blocking": sum(finding.blocks for finding in findings)})
        return
    table(
        "Findings",
        ("level", "where", "what", "remedy"),
        ((f.level, f.where, f"{f.title} {f.evidence}".strip(), f.remedy) for f in findings),
        "Nothing to mend in the folder. The image is checked after the submission.",
    )


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
    async with open_hub(load_settings()) as hub:
        content = read_folder(folder, hub.policy.current().manifest)
        view = await _find(hub, submission)
        access = (username, password) if username else None
        snapshot = await desk.resubmit(hub, view.id, actor, content, text=text, access=access)
    show_snapshot(snapshot, json_)


@runs
async def decide(
    submission: Id,
    act: Annotated[str, typer.Argument(help=f"One of: {', '.join(ACTS)}.")],
    actor: Actor,
    text: Text = "",
    delayed: Annotated[bool, typer.Option("--delayed", help="reject: a last warning first.")] = False,
    finding: Annotated[str, typer.Option(help="waive, ask-waiver: key of the finding.")] = "",
    state: Annotated[VexState, typer.Option(help="waive: OpenVEX status.")] = VexState.NOT_AFFECTED,
    justification: Annotated[VexJustification | None, typer.Option(help="waive: OpenVEX justification.")] = None,
    days: Annotated[int, typer.Option(help="waive: for how long.")] = 90,
    to: Annotated[str, typer.Option(help="assign: email address of the assignee.")] = "",
    json_: Json = False,
) -> None:
    """Decide on a submission, or speak about it. The iteration and digest shown now go with the decision."""
    if act not in ACTS:
        raise NotAllowed(f"There is no act {act}. Possible: {', '.join(ACTS)}.")
    async with open_hub(load_settings()) as hub:
        view = await _find(hub, submission)
        async with hub.database.session() as session:
            person = await people.get(session, actor)
            assignee = (await people.get(session, to)).id if to else ""
        kind = ACTS[act]
        extra: dict[str, Any] = {
            "delayed": delayed,
            "to": assignee,
            "finding": finding,
        }
        if kind is Waive:
            waiver = Waiver(
                finding=finding,
                state=state,
                justification=justification,
                evidence=text,
                owner=person.id,
                scope=WaiverScope.PRODUCT,
                subject=view.product,
                expires=datetime.now(UTC) + timedelta(days=days),
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
    show_snapshot(snapshot, json_)


@runs
async def withdraw(submission: Id, actor: Actor, text: Text = "", json_: Json = False) -> None:
    """Take a submission back."""
    async with open_hub(load_settings()) as hub:
        view = await _find(hub, submission)
        async with hub.database.session() as session:
            person = await people.get(session, actor)
        command = next(kind for kind in SUBMISSION_COMMANDS if kind.act == "withdraw")
        told = command(id=f"withdraw-{new_id()}", actor=person.id, text=text)
        show_snapshot(await desk.decide(hub, view.id, told), json_)


async def _find(hub: Hub, submission: str) -> SubmissionView:
    async with hub.database.session() as session:
        return await submissions.find(session, submission)


def show_snapshot(snapshot: Snapshot, json_: bool) -> None:
    if json_:
        write_json(snapshot)
        return
    situation = words.of_submission(snapshot)
    console.print(f"[bold]{situation.status}[/] · iteration {snapshot.iteration} · turn: {situation.turn}")
    console.print(f"Next: {situation.next}" + (f" By {when(situation.by)}." if situation.by else ""))


@runs
async def queue(
    turn: Annotated[Turn | None, typer.Option(help="Whose turn it is.")] = None,
    overdue: Annotated[bool | None, typer.Option("--overdue/--in-time")] = None,
    page: Annotated[int, typer.Option(min=1)] = 1,
    size: Annotated[int, typer.Option(min=1, max=500)] = 50,
    json_: Json = False,
) -> None:
    """What is open, the earliest due date first."""
    async with open_stores(load_settings()) as (database, _, _), database.session() as session:
        found = await submissions.queue(session, turn=turn, overdue=overdue, page=page, size=size)
    if json_:
        write_json(found)
        return
    table(
        f"Queue: {found.total} open",
        ("id", "product", "publisher", "status", "turn", "iteration", "due"),
        (
            (
                item.id,
                f"{item.product_name} #{item.number}",
                item.publisher_name,
                item.status,
                item.turn_words,
                item.iteration,
                f"{when(item.due)}{' overdue' if item.overdue else ''}",
            )
            for item in found.items
        ),
        "The queue is empty: nothing waits for anybody.",
    )
    if found.total > page * size:
        console.print(f"Page {page} of {-(-found.total // size)}: --page {page + 1} shows more.")


@runs
async def status(
    submission: Id,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show every change, until it has ended.")] = False,
    json_: Json = False,
) -> None:
    """Where a submission stands: whose turn, what is next, by when; findings and timeline."""
    async with open_stores(load_settings()) as (database, _, _):

        async def look() -> tuple[SubmissionView, list[EventView]]:
            async with database.session() as session:
                view = await submissions.find(session, submission)
                return view, await submissions.trail(session, submission_address(view.id), for_publisher=True)

        view, events = await look()
        if json_:
            write_json({"submission": view, "events": events})
            return
        if not watch:
            console.print(_page(view, events))
            return
        with Live(_page(view, events), console=console, refresh_per_second=4) as live:
            while view.closed_at is None:
                await asyncio.sleep(1)
                view, events = await look()
                live.update(_page(view, events))


def _page(view: SubmissionView, events: Sequence[EventView]) -> Table:
    page = Table.grid(padding=(0, 2))
    page.add_row("[bold]product[/]", escape(f"{view.product_name} #{view.number}, by {view.publisher_name}"))
    page.add_row("[bold]status[/]", escape(f"{view.status}, iteration {view.iteration}"))
    page.add_row("[bold]turn[/]", escape(view.turn_words) + (f", by {when(view.due)}" if view.due else ""))
    page.add_row("[bold]next[/]", escape(view.next))
    for iteration in view.iterations:
        outcome = iteration.outcome
        page.add_row(
            f"[bold]iteration {iteration.number}[/]",
            f"{outcome.requirements} requirements ({len(outcome.blocking)} open), {outcome.guidelines} guidelines, "
            f"{outcome.vulnerabilities} vulnerabilities",
        )
    for event in events:
        page.add_row(when(event.at), escape(f"{event.event} {event.text}".strip()))
    return page


def add_to(app: typer.Typer) -> None:
    for command in (submit, resubmit, decide, withdraw, queue, status):
        app.command()(command)
