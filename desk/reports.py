"""Stored scan reports, for those who may read them: the publisher's own members and the hub's staff."""

from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from models.errors import NotFound
from models.findings import Waiver
from models.images import ReleaseSet
from models.scans import ImageReport, Vulnerability
from models.tables import ProductRow
from models.vex import VexStatement
from policies.vex import statement_of
from policies.vulnerabilities import key_for
from policies.waivers import of_image, still_holds
from scanning.reports.scanned import Scanned
from store import people, products, scans, submissions, waivers
from store.blobs import Blobs
from store.database import Database
from store.views import IterationView, SubmissionView


async def stored(
    database: Database, blobs: Blobs, name: str, actor: str = "", *, iteration: int | None = None, platform: str = ""
) -> Scanned:
    """What the scans of a submission's iteration (the latest, where none is said) found, with the waivers in force.

    `publisher/product` names what is published, by the latest scan of its images. Errors: NotFound, also for who may
    not read it, as if there were no such submission; ToolFailed.
    """
    now = datetime.now(UTC)
    async with database.session() as session:
        live = await _live(session, name)
        view = await readable(session, live.submission if live else name, actor, called=name)
        given = await waivers.in_force(session, view.product, view.publisher, now)
        shipped = await scans.shipped(session, view.product) if live and iteration is None else []
    examined = _iteration(view, iteration)
    reports = [await blobs.get_message(ImageReport, digest) for digest in shipped or examined.image_reports]
    wanted = [report for report in reports if report.facts.platform.startswith(platform)]
    if not wanted:
        raise NotFound(_nothing(view, reports, platform))
    release = await blobs.get_message(ReleaseSet, examined.release) if examined.release else None
    product = f"{view.publisher_slug}/{view.product_slug}"
    return Scanned(
        image=product if live else f"{product}/{view.number or view.id}",
        digest=examined.release,
        reports=tuple(wanted),
        statements=_statements(view.product, wanted, given, release, now),
    )


async def _live(session: AsyncSession, name: str) -> ProductRow | None:
    """The product of this name, if anything of it is published; `product/number` is a submission."""
    publisher, slash, slug = name.strip("/").partition("/")
    if not slash or "/" in slug or slug.removeprefix("#").isdigit():
        return None
    try:
        row = await products.by_slug(session, publisher, slug)
    except NotFound:
        return None
    return row if row.submission else None


async def readable(session: AsyncSession, name: str, actor: str, *, called: str = "") -> SubmissionView:
    """The submission, if this person (an id or email address; empty: the command line's operator) may read it.

    `called` is what it was asked for by. Errors: NotFound; nobody else learns whether there is such a submission.
    """
    view = await submissions.find(session, name)
    if actor:
        person = await people.get(session, actor)
        if not (await people.standing_of(session, person.id, view.publisher)).roles:
            raise NotFound(_no_such(called or name))
    return view


def _no_such(name: str) -> str:
    """In the very words of who finds nothing."""
    is_number = name.rpartition("/")[2].removeprefix("#").isdigit() and "/" in name
    return f"There is no submission {name}" + ("." if is_number else ": give its id, or product/number.")


def _iteration(view: SubmissionView, number: int | None) -> IterationView:
    for examined in reversed(view.iterations):
        if number in (None, examined.number) and examined.image_reports:
            return examined
    which = "" if number is None else f" in iteration {number}"
    raise NotFound(f"No image of submission {view.id} was scanned{which} yet.")


def _nothing(view: SubmissionView, reports: list[ImageReport], platform: str) -> str:
    known = ", ".join(sorted({report.facts.platform for report in reports}))
    return f"Submission {view.id} has no image for {platform}: it has {known}."


def _statements(
    product: str, reports: list[ImageReport], given: list[Waiver], release: ReleaseSet | None, now: datetime
) -> dict[tuple[str, Vulnerability], VexStatement]:
    covered: dict[tuple[str, Vulnerability], VexStatement] = {}
    for report in reports:
        image = report.facts.digest
        reaching = of_image(given, product=product, release=release, image=image, now=now)
        for found in report.vulnerabilities:
            waiver = reaching.get(key_for(found))
            if waiver is not None and still_holds(waiver, found.severity):
                covered[image, found] = statement_of(waiver, found.id, (image,), found.purl)
    return covered
