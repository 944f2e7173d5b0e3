"""What the watch mails to whom, and what its views show; on both databases."""

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import select

from models.findings import Severity
from models.notices import NoticeKind
from models.products import ListingStatus
from models.publishers import Role
from models.recording import Entry, MassChangeRecording
from models.tables import NoticeRow, NoticeStatus
from models.watch_tables import BatchRow, ExposureRow, WatchedProductRow
from models.watching import BatchStatus, ChangeKind, MassChangeSnapshot, NewsLine
from notifications.rendering import render
from store import mass_changes, watch_notices, watch_views
from store.database import Database
from store.watch_notices import MOST_LINES
from tests.parts.rows import MONDAY, RELEASE, Harbour, harbour, staff
from tests.store.mails import made, only, subscribed

N = NoticeKind
DAY = timedelta(days=1)


def line(number: int = 1, **changes: Any) -> NewsLine:
    said: dict[str, Any] = {
        "product": "harbour-works/crane",
        "change": ChangeKind.NEW,
        "vulnerability": f"CVE-2026-{number}",
        "component": "openssl",
        "version": "3.0.1",
        "severity": Severity.CRITICAL,
        "fixed_version": "3.0.2",
        "url": f"https://osv.example/CVE-2026-{number}",
    }
    return NewsLine.model_validate(said | changes)


async def tells(house: Harbour, *lines: NewsLine, by: datetime | None = None, occasion: str = "batch") -> int:
    async with house.database.transaction() as session:
        return await watch_notices.tell_publisher(
            session, house.publisher, N.VULNERABILITIES_FOUND, occasion, lines, MONDAY, by
        )


async def test_a_publisher_gets_one_mail_for_all_its_products_with_what_is_heavy_first(database: Database) -> None:
    house = await harbour(database)
    news = (
        line(1, change=ChangeKind.RETRACTED),
        line(2, severity=Severity.MAJOR, product="harbour-works/gantry", fixed_version="", inherited=True),
        line(3, exploited=True),
    )
    assert await tells(house, *news, by=MONDAY + 3 * DAY) == 1
    assert await tells(house, *news, by=MONDAY + 3 * DAY) == 0, "told again, nobody gets a second mail"
    notice = await only(database, N.VULNERABILITIES_FOUND)
    assert [finding.title.partition(" ")[0] for finding in notice.findings] == [
        "CVE-2026-3",
        "CVE-2026-2",
        "CVE-2026-1",
    ]
    first, second, last = notice.findings
    assert first.evidence.startswith("Used in attacks, says CISA.")
    assert (first.remedy, second.remedy, last.remedy) == ("openssl 3.0.2 has the fix.", "There is no fix yet.", "")
    assert second.evidence.startswith("It comes with the base image.")
    assert (notice.tally, notice.by) == ("1 critical, 1 major", MONDAY + 3 * DAY)
    text = render(notice).text
    assert text.startswith("It is your turn (the publisher's), by Thursday 5 March 2026, 09:00 UTC.")
    assert "CVE-2026-3 in openssl 3.0.1 [new, critical]" in text
    assert "Where: harbour-works/gantry" in text


async def test_what_is_only_retracted_needs_nothing_done(database: Database) -> None:
    house = await harbour(database)
    await tells(house, line(change=ChangeKind.RETRACTED))
    notice = await only(database, N.VULNERABILITIES_FOUND)
    assert (notice.turn, notice.tally) == ("nobody's", "")


async def test_a_very_long_mail_says_how_much_is_not_in_it(database: Database) -> None:
    house = await harbour(database)
    await tells(house, *(line(number) for number in range(MOST_LINES + 7)))
    notice = await only(database, N.VULNERABILITIES_FOUND)
    assert (len(notice.findings), notice.more_findings) == (MOST_LINES, 7)


async def test_subscribers_learn_how_many_and_never_which(database: Database) -> None:
    house = await harbour(database)
    await subscribed(house, "carl@consumer.example")
    async with database.transaction() as session:
        told = [line(1), line(2, severity=Severity.MAJOR)]
        at = (house.publisher, house.product, "batch")
        assert await watch_notices.tell_subscribers(session, *at, told, MONDAY) == 1
        assert await watch_notices.tell_subscribers(session, *at, told, MONDAY) == 0
    notice = await only(database, N.VULNERABILITIES_PUBLISHED)
    assert (notice.tally, notice.findings) == ("1 critical, 1 major", ())
    text = render(notice).text
    assert "1 critical, 1 major" in text
    assert "CVE" not in text
    assert "openssl" not in text


async def test_a_release_with_vulnerabilities_to_mend_is_to_subscribers_a_release(database: Database) -> None:
    house = await harbour(database)
    await subscribed(house, "carl@consumer.example")
    released = Entry(event="published", at=MONDAY, text=house.submission, notices=(N.RELEASE_PUBLISHED,))
    reminded = Entry(event="remediation_reminder", at=MONDAY, text="2 critical", notices=(N.REMEDIATION_REMINDER,))
    await house.product_records(5, ListingStatus.PUBLISHED, released, reminded, critical=2, mend_by=MONDAY + 3 * DAY)
    [(told, _, _)] = await made(database, N.RELEASE_PUBLISHED)
    assert (told.turn, told.by, told.tally) == ("nobody's", None, "")
    assert "mend" not in told.next
    [(own, _, _)] = await made(database, N.REMEDIATION_REMINDER)
    assert (own.turn, own.by, own.tally, own.text) == ("the publisher's", MONDAY + 3 * DAY, "2 critical", "")


async def test_nobody_has_subscribed_and_nobody_misses_a_mail(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        await watch_notices.tell_subscribers(session, house.publisher, house.product, "batch", [line()], MONDAY)
    assert await made(database, N.VULNERABILITIES_PUBLISHED) == []


async def test_the_security_team_is_asked_for_classes_within_its_working_days(database: Database) -> None:
    await harbour(database)
    await staff(database, "sec@hub.example", Role.SECURITY)
    async with database.transaction() as session:
        unclassed = [line(severity=Severity.UNKNOWN)]
        await watch_notices.ask_for_classes(session, "batch", unclassed, MONDAY, MONDAY + 2 * DAY)
    [(notice, address, _)] = await made(database, N.CLASS_TO_GIVE)
    assert address == "sec@hub.example"
    assert notice.tally == "1 of unknown class"
    text = render(notice).text
    assert text.startswith("It is your turn (the security team's), by Wednesday 4 March 2026")
    assert "wharfinger vulnerabilities class CVE critical --reason REASON --as sec@hub.example" in text


async def test_a_role_that_nobody_has_is_shown_by_the_log(database: Database) -> None:
    async with database.transaction() as session:
        await watch_notices.ask_for_classes(session, "batch", [line()], MONDAY, None)
        rows = (await session.exec(select(NoticeRow))).all()
    assert [row.status for row in rows] == [NoticeStatus.GIVEN_UP]


async def test_operators_learn_once_a_day_that_a_source_cannot_be_read(database: Database) -> None:
    await staff(database, "ott@hub.example", Role.OPS)
    async with database.transaction() as session:
        for at, mails in ((MONDAY, 1), (MONDAY + DAY / 2, 0), (MONDAY + DAY, 1)):
            assert await watch_notices.tell_of_unread(session, "osv.example: no route", at) == mails
    [(notice, address, _), _] = await made(database, N.ADVISORIES_UNREAD)
    assert (notice.text, address) == ("osv.example: no route", "ott@hub.example")
    assert render(notice).text.startswith("It is your turn (the operators')")


async def test_a_mass_change_is_recorded_once_with_the_words_of_who_decided(database: Database) -> None:
    house = await harbour(database)
    waits = Entry(event="waits", at=MONDAY, text="3 packages, 400 products.", notices=(N.MASS_CHANGE_TO_CONFIRM,))
    declined = Entry(
        event="decline",
        at=MONDAY + DAY,
        actor=house.second,
        command="c1",
        text="A slip.",
        notices=(N.MASS_CHANGE_DECIDED,),
    )
    snapshot = MassChangeSnapshot(id="b1", names=3, products=400, since=MONDAY, remind_at=MONDAY + DAY, revision=1)
    decided = snapshot.model_copy(update={"revision": 2, "status": BatchStatus.DISMISSED, "remind_at": None})
    for recording in (
        MassChangeRecording(snapshot=snapshot, entries=(waits,)),
        MassChangeRecording(snapshot=snapshot, entries=(waits,)),
        MassChangeRecording(snapshot=decided, entries=(declined,)),
    ):
        async with database.transaction() as session:
            await mass_changes.record(session, recording, "run-1")
    [(asked, _, _)] = await made(database, N.MASS_CHANGE_TO_CONFIRM)
    assert (asked.batch, asked.text, asked.by) == ("b1", "3 packages, 400 products.", MONDAY + DAY)
    [(told, _, _)] = await made(database, N.MASS_CHANGE_DECIDED)
    assert (told.text, told.status) == ("A slip.", "dismissed")


# --- views -------------------------------------------------------------------------------------------------------


async def exposed(house: Harbour, *rows: dict[str, Any]) -> None:
    async with house.database.transaction() as session:
        session.add(WatchedProductRow(product=house.product, publisher=house.publisher, release=RELEASE, since=MONDAY))
        for number, fields in enumerate(rows):
            said: dict[str, Any] = {
                "product": house.product,
                "key": f"key-{number}",
                "vulnerability": f"CVE-2026-{number}",
                "package": "pkg:deb/debian/openssl",
                "severity": Severity.MAJOR,
                "batch": "b1",
                "since": MONDAY,
            }
            session.add(ExposureRow(**(said | fields)))


async def test_the_watch_at_a_glance(database: Database) -> None:
    house = await harbour(database)
    await exposed(house, {"severity": Severity.CRITICAL}, {}, {"closed_at": MONDAY})
    async with database.transaction() as session:
        for id_, status, days, submission in (
            ("old", BatchStatus.WAITING, 0, ""),
            ("new", BatchStatus.TOLD, 3, ""),
            ("publication", BatchStatus.TOLD, 2, "sub"),
        ):
            session.add(BatchRow(id=id_, status=status, begun_at=MONDAY + days * DAY, submission=submission))
    due = MONDAY + 3 * DAY
    await house.product_records(5, ListingStatus.PUBLISHED, critical=1, major=1, mend_by=due)
    async with database.session() as session:
        found = await watch_views.overview(session)
    assert (found.watched, found.open) == (1, {Severity.CRITICAL: 1, Severity.MAJOR: 1})
    assert [batch.id for batch in found.batches] == ["old", "new"]
    [clock] = found.clocks
    assert (clock.product, clock.critical, clock.major, clock.by) == ("harbour/crane", 1, 1, due)
    assert found.held == ()
    await house.product_records(6, ListingStatus.HOLD, reason="Overdue.", by_clock=True, hold_until=due + 30 * DAY)
    async with database.session() as session:
        found = await watch_views.overview(session)
    assert (found.clocks, [clock.by for clock in found.held]) == ((), [due + 30 * DAY])


async def test_what_is_open_in_a_product_by_weight(database: Database) -> None:
    house = await harbour(database)
    await exposed(house, {"severity": Severity.UNKNOWN}, {}, {"severity": Severity.CRITICAL}, {"closed_at": MONDAY})
    async with database.session() as session:
        found = await watch_views.exposures_of(session, house.product)
    assert [view.severity for view in found] == [Severity.CRITICAL, Severity.MAJOR, Severity.UNKNOWN]
