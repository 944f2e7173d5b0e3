"""The delivery log: what was mailed to whom, what waits, what was refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.context import Json, console, load_settings, runs, table, when, write_json
from desk.hub import open_stores
from models.addresses import submission_address
from models.errors import NotFound
from models.tables import NoticeStatus
from notifications.mailbox import read_mailbox
from store import outbox, submissions

app = typer.Typer(no_args_is_help=True, help="Mail: the delivery log, and the mailbox of a hub on one machine.")


@app.command("list")
@runs
async def list_(
    submission: Annotated[str, typer.Option(help="Only of this submission (id or product/number).")] = "",
    status: Annotated[NoticeStatus | None, typer.Option(help="Only these.")] = None,
    page: Annotated[int, typer.Option(min=1)] = 1,
    size: Annotated[int, typer.Option(min=1, max=500)] = 50,
    json_: Json = False,
) -> None:
    """The delivery log, the newest first."""
    async with open_stores(load_settings()) as (database, _, _), database.session() as session:
        subject = submission_address((await submissions.find(session, submission)).id) if submission else None
        found = await outbox.deliveries(session, subject=subject, status=status, page=page, size=size)
    if json_:
        write_json(found)
        return
    table(
        f"Mails: {found.total}",
        ("queued", "kind", "to", "status", "attempts", "error", "id"),
        ((when(m.queued_at), m.kind, m.address, m.status, m.attempts, m.last_error, m.id) for m in found.items),
        "Nothing has been mailed yet.",
    )
    if found.total > page * size:
        console.print(f"Page {page} of {-(-found.total // size)}: --page {page + 1} shows more.")


@app.command()
@runs
async def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids from the log; none: all that failed for good.")] = None,
    json_: Json = False,
) -> None:
    """Send again what was refused or given up, once the cause is mended."""
    async with open_stores(load_settings()) as (database, _, _):
        count = await outbox.retry_refused(database, now=datetime.now(UTC), notices=ids or ())
    if json_:
        write_json({"queued": count})
        return
    console.print(f"{count} queued again.")


@app.command()
@runs
async def read(
    number: Annotated[int, typer.Argument(help="Which mail, as numbered by this command without a number.")] = 0,
    json_: Json = False,
) -> None:
    """Read the mailbox that `wharfinger up` keeps on this machine."""
    folder: Path = load_settings().home / "services" / "mail" / "mailbox"
    if not folder.is_dir():
        raise NotFound(f"There is no mailbox at {folder}: mails go to the configured server. Start `wharfinger up`.")
    mails = read_mailbox(folder)
    if json_:
        write_json([{"to": m.to, "subject": m.subject, "date": m.date, "text": m.text} for m in mails])
        return
    if not number:
        rows = ((place, when(m.date), m.to, m.subject) for place, m in enumerate(mails, 1))
        table("Mailbox", ("", "date", "to", "subject"), rows, "The mailbox is empty.")
        return
    if number > len(mails):
        raise NotFound(f"There are {len(mails)} mails.")
    mail = mails[number - 1]
    console.print(f"To: {mail.to}\nSubject: {mail.subject}\nDate: {when(mail.date)}\n\n{mail.text}", markup=False)
