"""Members of a publisher on the command line."""

from pathlib import Path

from sqlmodel import select

from models.notices import NoticeKind
from models.publishers import ApplicationStatus
from models.tables import NoticeRow
from tests.cli.conftest import Shell
from tests.parts.rows import Harbour


async def mailed(crane: Harbour) -> list[str]:
    """Addresses that are asked to confirm themselves, and by what words."""
    async with crane.database.session() as session:
        rows = (await session.exec(select(NoticeRow).where(NoticeRow.kind == NoticeKind.CONFIRM_EMAIL))).all()
    return sorted(f"{row.address}: {row.payload['status']}" for row in rows)


async def test_a_member_adds_another_one_who_is_asked_to_confirm_the_address(shell: Shell, crane: Harbour) -> None:
    await crane.application_records(1, ApplicationStatus.APPROVED)
    words = ("publisher", "members", "add", "harbour", "Quinn@Harbour.example", "--as", "pat@harbour.example")
    joined = await shell.json(*words, "--name", "Quinn")
    assert (joined["email"], joined["new"], joined["asked"]) == ("quinn@harbour.example", True, True)
    assert await mailed(crane) == ["quinn@harbour.example: new member"]
    again = await shell(*words)
    assert again.stdout == "quinn@harbour.example was a member already.\n"
    assert len(await mailed(crane)) == 1, "once a day is enough"
    listed = await shell.json("publisher", "members", "list", "harbour")
    assert [(one["email"], one["name"], one["confirmed"] is None) for one in listed] == [
        ("pat@harbour.example", "Pat", False),
        ("quinn@harbour.example", "Quinn", True),
    ]
    assert "not yet" in (await shell("publisher", "members", "list", "harbour")).stdout
    page = (await shell("publisher", "show", "harbour")).stdout
    assert "added a member" in page
    assert "link in the mail" in (await shell(*words[:4], "rae@harbour.example", *words[5:])).stdout


async def test_a_member_is_removed_but_never_the_last_one(shell: Shell, crane: Harbour) -> None:
    await crane.application_records(1, ApplicationStatus.APPROVED)
    members = ("publisher", "members")
    await shell(*members, "add", "harbour", "quinn@harbour.example", "--as", "pat@harbour.example")
    remove = (*members, "remove", "harbour")
    assert "is no member of Harbour" in await shell.refused(*remove, "mo@hub.example", "--as", "pat@harbour.example")
    gone = await shell.json(*remove, "pat@harbour.example", "--as", "quinn@harbour.example")
    assert gone == {"person": crane.member, "email": "pat@harbour.example"}
    assert "last member of Harbour" in await shell.refused(
        *remove, "quinn@harbour.example", "--as", "quinn@harbour.example"
    )
    assert "removed a member" in (await shell("publisher", "show", "harbour")).stdout
    await shell(*members, "add", "harbour", "pat@harbour.example", "--as", "quinn@harbour.example")
    assert "stays in the audit trail" in (await shell(*remove, "pat@harbour.example", "--as", crane.member)).stdout


async def test_strangers_change_no_members_and_admins_do(shell: Shell, crane: Harbour) -> None:
    await crane.application_records(1, ApplicationStatus.APPROVED)
    members = ("publisher", "members")
    for actor in ("mo@hub.example", "sue@hub.example"):
        for verb in ("add", "remove"):
            said = await shell.refused(*members, verb, "harbour", "quinn@x.example", "--as", actor)
            assert "Only a member of Harbour or an admin" in said
    await shell("staff", "add", "root@hub.example", "admin")
    await shell(*members, "add", "harbour", "quinn@x.example", "--as", "root@hub.example")
    refusal = await shell.json(*members, "add", "harbour", "quinn at x", "--as", crane.member, status=1)
    assert [problem["field"] for problem in refusal["problems"]] == ["email"]
    assert "There is no publisher nobody" in await shell.refused(*members, "list", "nobody")


async def test_nobody_but_the_applicant_confirms_an_application(shell: Shell, crane: Harbour) -> None:
    await crane.application_records(1, ApplicationStatus.UNCONFIRMED)
    add = ("publisher", "members", "add", "harbour", "quinn@harbour.example", "--as")
    assert "not confirmed yet" in await shell.refused(*add, "pat@harbour.example")
    await shell("staff", "add", "root@hub.example", "admin")
    await shell(*add, "root@hub.example")
    assert await mailed(crane) == ["quinn@harbour.example: email unconfirmed"]


async def test_members_of_a_hub_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    said = await shell.refused("publisher", "members", "list", "x", WHARFINGER_HOME=str(tmp_path / "nowhere"))
    assert "There is no database" in said
