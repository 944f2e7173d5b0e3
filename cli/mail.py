"""The delivery log: what was mailed to whom, what waits, what was refused."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.context import Json, PageNumber, PageSize, console, load_settings, more_pages, runs, table, when, write_json
from desk.hub import open_database
from models.addresses import submission_address
from models.errors import NotFound
from models.tables import NoticeRow, NoticeStatus
from notifications.mailbox import Mail, read_mailbox
from notifications.words import clean
from store import outbox, submissions
from store.views import DeliveryView

app = typer.Typer(no_args_is_help=True, help="Mail: the delivery log, and the mailbox of a hub on one machine.")


@app.command("list")
@runs
async def list_(
    submission: Annotated[str, typer.Option(help="Only of this submission (id or product/number).")] = "",
    status: Annotated[NoticeStatus | None, typer.Option(help="Only these.")] = None,
    page: PageNumber = 1,
    size: PageSize = 50,
    json_: Json = False,
) -> None:
    """The delivery log, the newest first."""
    async with open_database(load_settings()) as database, database.session() as session:
        subject = submission_address((await submissions.find(session, submission)).id) if submission else None
        found = await outbox.deliveries(session, subject=subject, status=status, page=page, size=size)
    if json_:
        write_json(found)
        return
    table(
        f"Mails: {found.total}",
        ("queued", "kind", "to", "status", "attempts", "error", "id"),
        ((m.queued_at, m.kind, m.address, m.status, m.attempts, m.last_error, m.id) for m in found.items),
        "There is no such mail." if submission or status else "Nothing has been mailed yet.",
    )
    more_pages(found)


@app.command()
@runs
async def show(id_: Annotated[str, typer.Argument(metavar="ID", help="From the log.")], json_: Json = False) -> None:
    """What became of one mail: attempts, the server's last words, when it is tried again."""
    async with open_database(load_settings()) as database, database.session() as session:
        row = await session.get(NoticeRow, id_)
        if row is None:
            raise NotFound(f"There is no mail {id_} in the log: wharfinger mail list shows their ids.")
        delivery = DeliveryView.model_validate(row.model_dump())
    if json_:
        write_json(delivery)
        return
    facts = {
        "kind": delivery.kind,
        "about": f"{delivery.subject}, revision {delivery.revision}",
        "to": delivery.address or "nobody",
        "status": delivery.status,
        "queued": when(delivery.queued_at),
        "attempts": delivery.attempts,
        "sent": when(delivery.sent_at),
        "next try": when(delivery.next_try),
        "last error": delivery.last_error,
        "Message-ID": delivery.message_id,
    }
    for name, value in facts.items():
        if value not in ("", None):
            console.print(f"{name + ':':12}{value}", markup=False, soft_wrap=True)
    if delivery.status in (NoticeStatus.REFUSED, NoticeStatus.GIVEN_UP):
        console.print(f"Once the cause is mended: wharfinger mail retry {delivery.id}", markup=False, soft_wrap=True)


@app.command()
@runs
async def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids from the log; none: all that failed for good.")] = None,
    json_: Json = False,
) -> None:
    """Send again what was refused or given up, once the cause is mended."""
    async with open_database(load_settings()) as database:
        count = await outbox.retry_refused(database, now=datetime.now(UTC), notices=ids or ())
    if ids and not count:
        raise NotFound("None of these has failed for good: wharfinger mail list --status refused (or given_up).")
    if json_:
        write_json({"queued": count})
        return
    console.print(f"{count} queued again." if count else "No mail has failed for good.")


@app.command()
@runs
async def read(
    number: Annotated[int, typer.Argument(min=0, help="Which mail, as numbered by this command without a number.")] = 0,
    json_: Json = False,
) -> None:
    """Read the mailbox that `wharfinger up` keeps on this machine."""
    folder = load_settings().home / "services" / "mail" / "mailbox"
    if not folder.is_dir():
        raise NotFound(f"There is no mailbox at {folder}: mails go to the configured server. Start `wharfinger up`.")
    mails = read_mailbox(folder)
    if number > len(mails):
        raise NotFound(f"There are {len(mails)} mails.")
    if json_:
        write_json(mails[number - 1] if number else mails)
    elif number:
        _show(mails[number - 1])
    else:
        rows = ((place, m.date, m.to, clean(m.subject)) for place, m in enumerate(mails, 1))
        table("Mailbox", ("", "date", "to", "subject"), rows, "The mailbox is empty.")


def _show(mail: Mail) -> None:
    """A mail may be anybody's: no sign of it steers the terminal."""
    head = f"To: {mail.to}\nSubject: {mail.subject}\nDate: {when(mail.date)}"
    console.print(clean(f"{head}\n\n{mail.text}"), markup=False, soft_wrap=True)
