"""Where a submission stands: whose turn, by when, what was found and how to mend it, what changed, what happened."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.context import Json, MaybeActor, console, load_settings, runs, timeline, when, write_json
from cli.submission import Id
from desk.hub import open_blobs, open_database
from models.addresses import submission_address
from models.errors import NotAllowed, NotFound, ToolFailed
from models.findings import Finding, FindingStatus, Level
from models.publishers import Role
from models.reports import ChangesSince, Comparison, IterationReport
from models.tables import NoticeStatus
from policies import words
from store import outbox, people, submissions
from store.blobs import Blobs
from store.database import Database
from store.views import DeliveryView, EventView, IterationView, SubmissionView

#: seconds between two looks
_EVERY = 1.0
#: changes and events on the page that watches
_LATEST = 12


@dataclass(frozen=True, slots=True)
class Page:
    """Everything about one submission, as one reader may see it."""

    submission: SubmissionView
    events: list[EventView]
    report: IterationReport | None = None
    comparison: Comparison | None = None
    #: mails that nobody has got; for staff
    undelivered: tuple[DeliveryView, ...] = ()
    #: why a report that should be there is not
    trouble: tuple[str, ...] = field(default=())

    @property
    def latest(self) -> IterationView | None:
        return self.submission.iterations[-1] if self.submission.iterations else None


@runs
async def status(
    submission: Id,
    actor: MaybeActor = "",
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show every change, until it has ended.")] = False,
    json_: Json = False,
) -> None:
    """Where a submission stands: whose turn, what is next, by when; findings, changes, images, timeline.

    As its publisher sees it. With --as somebody of the staff, private notes and the names of who acted are there too;
    with --json and --watch, each change is a line.
    """
    settings = load_settings()
    async with open_database(settings) as database:
        look = _looking(database, open_blobs(settings), submission, actor)
        page = await look()
        if watch:
            page = await (_write_changes(page, look) if json_ else _show_changes(page, look))
        if not json_:
            console.print(whole(page))
        elif not watch:
            write_json(page)


Look = Callable[[], Awaitable[Page]]


def _looking(database: Database, blobs: Blobs, submission: str, actor: str) -> Look:
    async def look() -> Page:
        async with database.session() as session:
            view = await submissions.find(session, submission)
            staff = False
            if actor:
                person = await people.get(session, actor)
                roles = (await people.standing_of(session, person.id, view.publisher)).roles
                if not roles:
                    raise NotAllowed(f"{actor} is neither a member of {view.publisher_name} nor of the hub's staff.")
                staff = Role.PUBLISHER not in roles
            address = submission_address(view.id)
            events = await submissions.trail(session, address, for_publisher=not staff)
            undelivered: tuple[DeliveryView, ...] = ()
            if staff:
                for lost in (NoticeStatus.REFUSED, NoticeStatus.GIVEN_UP):
                    undelivered += (await outbox.deliveries(session, subject=address, status=lost)).items
        return await _with_reports(Page(view if staff else _redacted(view), events, undelivered=undelivered), blobs)

    return look


def _redacted(view: SubmissionView) -> SubmissionView:
    """Who of the staff has it in hand, and what they have not agreed on yet, is not the publisher's business."""
    told: dict[str, object] = {"assignee": ""}
    if view.snapshot is not None:
        snapshot = words.as_told(view.snapshot).model_copy(update={"assignee": ""})
        situation = words.of_submission(snapshot)
        told |= {
            "snapshot": snapshot,
            "turn": snapshot.turn,
            "turn_words": situation.turn,
            "next": situation.next,
            "due": snapshot.due,
            "overdue": snapshot.overdue,
        }
    return view.model_copy(update=told)


async def _with_reports(page: Page, blobs: Blobs) -> Page:
    """The stored report and comparison of the latest iteration. What cannot be read is said, and the rest shown."""
    latest, trouble = page.latest, []
    report: IterationReport | None = None
    comparison: Comparison | None = None
    try:
        if latest and latest.report:
            report = await blobs.get_message(IterationReport, latest.report)
        if latest and latest.difference:
            comparison = await blobs.get_message(Comparison, latest.difference)
    except (NotFound, ToolFailed) as missing:
        trouble.append(str(missing))
    return Page(page.submission, page.events, report, comparison, page.undelivered, tuple(trouble))


async def _show_changes(page: Page, look: Look) -> Page:
    with Live(_short(page), console=console, refresh_per_second=4, transient=True) as live:
        while page.submission.closed_at is None:
            await asyncio.sleep(_EVERY)
            page = await look()
            live.update(_short(page))
    return page


async def _write_changes(page: Page, look: Look) -> Page:
    written = -2
    while True:
        if page.submission.revision != written:
            write_json(page, indent=None)
            written = page.submission.revision
        if page.submission.closed_at is not None:
            return page
        await asyncio.sleep(_EVERY)
        page = await look()


def whole(page: Page) -> Group:
    """All sections that have something to say."""
    return Group(*_sections(page))


def _short(page: Page) -> Group:
    """What fits a screen: where it stands, and the latest that happened."""
    return Group(_standing(page), *_section("Timeline", _grid(timeline(page.events[-_LATEST:]))))


def _sections(page: Page) -> Iterator[RenderableType]:
    yield _standing(page)
    if page.report:
        yield from _section("Images", _images(page.report))
    if page.latest:
        open_ = sorted((f for f in page.latest.findings if f.status is FindingStatus.OPEN), key=_weight)
        settled = [f for f in page.latest.findings if f.status is not FindingStatus.OPEN]
        yield from _section(f"Open findings: {len(open_)}", _findings(open_))
        yield from _section(f"Waived or accepted: {len(settled)}", _grid((f.status, f.title, f.where) for f in settled))
    for title, changes in _changes(page):
        yield from _section(f"Changed since {title}", _grid((line,) for line in changes))
    for trouble in page.trouble:
        yield Text(f"\n{trouble}", style="red")
    yield from _section("Timeline", _grid(timeline(page.events)))
    yield from _section(
        "Mails that nobody has got", _grid((m.kind, m.address, m.status, m.last_error) for m in page.undelivered)
    )


def _section(title: str, table: Table) -> Iterator[RenderableType]:
    if table.row_count:
        yield Text(f"\n{title}", style="bold")
        yield table


def _standing(page: Page) -> Table:
    view = page.submission
    grid = Table.grid(padding=(0, 2))
    lines: list[tuple[str, object]] = [
        ("product", f"{view.product_name} #{view.number or '?'}, by {view.publisher_name}"),
        ("submission", f"{view.id}, {view.track}"),
        ("status", f"{view.status}, iteration {view.iteration}"),
        ("turn", view.turn_words),
        ("by", f"{when(view.due)}{', overdue' if view.overdue else ''}" if view.due else ""),
        ("next", view.next),
        ("release set", view.release),
        ("ended", when(view.closed_at)),
    ]
    lines += [(f"iteration {one.number}", _outcome(one)) for one in view.iterations]
    for name, value in lines:
        if value:
            grid.add_row(f"[bold]{name}[/]", escape(str(value)))
    return grid


def _outcome(iteration: IterationView) -> str:
    outcome = iteration.outcome
    said = (
        f"{outcome.requirements} requirements ({len(outcome.blocking)} hold it up), {outcome.guidelines} guidelines, "
        f"{outcome.vulnerabilities} vulnerabilities, {outcome.waived} waived, {outcome.accepted} accepted"
    )
    return said + (f"; approved {when(iteration.approved_at)}" if iteration.approved_at else "")


def _images(report: IterationReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    counted = ("size", "layers", "components", "critical", "major", "minor", "unknown", "exploited", "inherited")
    for column in ("tier", "tags", "platform", *counted, "base"):
        table.add_column(column, justify="right" if column in counted else "left")
    for image in report.images:
        found = (image.critical, image.major, image.minor, image.unknown, image.exploited, image.inherited)
        table.add_row(
            escape(image.tier),
            escape(", ".join(image.tags)),
            image.platform,
            f"{image.size / 1e6:,.1f} MB",
            *(f"{count:,}" for count in (image.layers, image.components, *found)),
            escape(image.base),
        )
    return table


def _weight(finding: Finding) -> tuple[bool, int]:
    """What holds the item up comes first, then the worst."""
    classes = ("critical", "major", "unknown", "minor")
    return not finding.blocks, classes.index(finding.severity) if finding.severity else len(classes)


def _findings(findings: Iterable[Finding]) -> Table:
    """What, where, with which evidence, and how to mend it; the same on several images is said once."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.rule, finding.title, finding.evidence, finding.remedy, finding.level), []).append(
            finding
        )
    grid = Table.grid(padding=(0, 2))
    for first, *others in alike.values():
        style = "red" if first.level is Level.REQUIREMENT else "yellow"
        places = "; ".join(one.where for one in (first, *others) if one.where)
        marks = (" [red]exploited[/]" if first.exploited else "") + (" [dim]base image[/]" if first.inherited else "")
        said = f"[bold]{escape(first.title)}[/]{marks} {escape(places)}"
        grid.add_row(f"[{style}]{first.severity or first.level}[/]", said)
        if first.evidence:
            grid.add_row("", escape(first.evidence))
        fixed = f" Fixed in {first.fixed_version}." if first.fixed_version else ""
        grid.add_row("", f"[dim]mend:[/] {escape(first.remedy + fixed)}")
        grid.add_row("", f"[dim]{escape(', '.join(one.key for one in (first, *others)))}[/]")
    return grid


def _changes(page: Page) -> Iterator[tuple[str, Iterable[str]]]:
    """Since the previous iteration, and since the last approved one."""
    if page.comparison is None:
        if page.latest:
            yield "an earlier iteration", page.latest.changes
        return
    previous, approved = page.comparison.previous, page.comparison.approved
    if previous:
        yield f"iteration {previous.iteration}" if previous.iteration else "the iteration before", _lines(previous)
    if approved and not (previous and _is_the_same(previous, approved)):
        yield f"what was approved last: #{approved.number or '?'}, iteration {approved.iteration}", _lines(approved)


def _is_the_same(one: ChangesSince, other: ChangesSince) -> bool:
    return (one.submission, one.iteration) == (other.submission, other.iteration)


def _lines(since: ChangesSince) -> Iterator[str]:
    yield from since.differences.lines()
    if since.differences.still_open:
        yield f"still open as before: {since.differences.still_open}"


def _grid(rows: Iterable[Iterable[object]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        # texts come from people and images: nothing of them is markup
        grid.add_row(*(escape(when(cell) if isinstance(cell, datetime) else str(cell)) for cell in row))
    return grid


def add_to(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(status)
