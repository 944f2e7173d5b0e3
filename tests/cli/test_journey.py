"""The way of a product from application to tombstone, by the command line alone: real server, real scan."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from desk.hub import Hub
from models import pages
from models.lifecycle import Stage
from models.products import ListingStatus
from store import people, products, tokens
from tests.cli.conftest import Shell
from tests.desk.hubs import MODERATOR, SECOND, eventually, icon, layout, reached, verified, with_sources, write_sample
from tests.parts.presence import needs
from tests.web.conftest import browsing
from web.app import make_app

pytestmark = [pytest.mark.system, needs("temporal", "trivy")]

ADA = "ada@harbour-ledgers.example"
OLD = b"Package: openssl\nStatus: install ok installed\nVersion: 3.0.9-1\nArchitecture: amd64\n\n"


async def confirm_address(hub: Hub, email: str) -> None:
    """The link of the mail is opened, and the button pressed."""
    async with hub.database.transaction() as session:
        person = await people.get(session, email)
        token = await tokens.new_confirmation(session, person.id, datetime.now(UTC))
    app = make_app(hub.settings)
    async with app.router.lifespan_context(app), browsing(app) as browser:
        assert (await browser.post(pages.confirm_email_page(token))).status_code == 200


async def listed(hub: Hub, product: str, status: ListingStatus) -> None:
    async def is_so() -> bool:
        async with hub.database.session() as session:
            return (await products.by_slug(session, "harbour-ledgers", product)).status is status

    await eventually(is_so)


async def is_verified(hub: Hub, shell: Shell, submit: tuple[str, ...]) -> None:
    # nobody submits for a publisher that is not verified, and nobody verifies an address that is not confirmed
    verify = ("publisher", "verify", "harbour-ledgers", "--as", MODERATOR)
    assert "confirm_email" in await shell.refused(*verify)
    for more in ((), ("--dry-run",)):
        assert "not verified yet" in await shell.refused(*submit, *more)
    await confirm_address(hub, ADA)
    asked = await shell.json(
        "publisher", "verify", "harbour-ledgers", "ask", "--as", MODERATOR, "--text", "Who are you?"
    )
    assert asked["status"] == "more_information"
    answer = ("publisher", "answer", "harbour-ledgers", "--as", ADA, "--text", "A harbour.")
    wrong = await shell(*answer, "--website", "ftp://harbour-ledgers.example", status=1)
    assert "website" in wrong.stderr
    answered = await shell.json(*answer, "--website", "https://ledgers.harbour-ledgers.example")
    assert answered["status"] == "submitted"
    assert "approved · turn: the publisher's" in (await shell(*verify)).stdout
    shown = await shell.json("publisher", "show", "harbour-ledgers")
    assert shown["publisher"]["members"] == [ADA]
    assert {event["event"] for event in shown["events"]} >= {"apply", "confirm_email", "ask_information"}
    assert shown["publisher"]["profile"]["website"] == "https://ledgers.harbour-ledgers.example"
    assert "Who are you?" in (await shell("publisher", "show", "harbour-ledgers")).stdout
    assert "harbour-ledgers" in (await shell("publisher", "list", "--status", "approved")).stdout
    change = ("publisher", "change", "harbour-ledgers", "--as", ADA)
    assert "name what changes" in await shell.refused(*change)
    await shell.json(*change, "--phone", "+49 30 901821")
    profile = (await shell.json("publisher", "show", "harbour-ledgers"))["publisher"]["profile"]
    assert (profile["phone"], profile["website"]) == ("+49 30 901821", "https://ledgers.harbour-ledgers.example")


async def test_a_product_is_applied_for_submitted_mended_published_held_revoked_and_recovered(
    hub: Hub, hub_shell: Shell, tmp_path: Path
) -> None:
    shell = hub_shell
    (tmp_path / "icon.png").write_bytes(icon())
    applied = await shell.json(
        *("publisher", "apply", "--name", "Harbour Ledgers", "--website", "https://harbour-ledgers.example"),
        *("--phone", "+49 30 901820", "--email", ADA, "--icon", "icon.png", "--person", "Ada"),
    )
    assert applied["slug"] == "harbour-ledgers"
    folder = write_sample(tmp_path / "ledger", product="Ledger")
    with_sources(folder, layout(tmp_path / "images", "1.0", user="", packages=OLD))

    submit = ("submit", "ledger", "--as", ADA)
    await is_verified(hub, shell, submit)
    assert (await shell.json(*submit, "--dry-run"))["blocking"] == 0
    submitted = await shell.json(*submit)
    assert (submitted["product"], submitted["number"]) == ("ledger", 1)
    ledger = "harbour-ledgers/ledger/1"
    await reached(hub, submitted["submission"], Stage.READY)

    page = await shell.json("status", ledger)
    findings = page["submission"]["iterations"][0]["findings"]
    assert {finding["rule"] for finding in findings if finding["level"] == "requirement"} == {"image.non-root"}
    assert [image["platform"] for image in page["report"]["images"]] == ["linux/amd64", "linux/arm64"]
    assert page["report"]["images"][0]["components"] >= 1
    assert "The image runs as root" in (await shell("status", ledger)).stdout

    await decisions_about_a_finding(shell, ledger, findings)

    mended = with_sources(write_sample(tmp_path / "mended", product="Ledger"), layout(tmp_path / "better", "1.0"))
    text = "Runs as 10001 now."
    again = await shell.json("resubmit", ledger, str(mended), "--as", ADA, "--text", text)
    assert (again["iteration"], again["stage"]) == (2, "onboarding")
    await reached(hub, submitted["submission"], Stage.READY)
    page = await shell.json("status", ledger)
    since = page["comparison"]["previous"]
    assert since["iteration"] == 1
    assert len(since["differences"]["mended_findings"]) == 2
    assert any("openssl" in line for line in since["differences"]["components"])
    assert "Changed since iteration 1" in (await shell("status", ledger)).stdout

    approved = await shell.json("decide", ledger, "approve", "--as", MODERATOR)
    assert approved["stage"] == "publishing"
    await reached(hub, submitted["submission"], Stage.PUBLISHED)
    await listed(hub, "ledger", ListingStatus.PUBLISHED)
    assert "has ended" in await shell.refused("withdraw", ledger, "--as", ADA)
    await holds_and_revocations(hub, shell)


async def decisions_about_a_finding(shell: Shell, ledger: str, findings: list[Any]) -> None:
    """What a moderator can say before the changes are asked for."""
    decide = ("decide", ledger)
    key = next(finding["key"] for finding in findings if finding["rule"] == "image.non-root")
    assert "is for: admin, moderator, second_approver; your roles here: publisher" in await shell.refused(
        *decide, "approve", "--as", ADA
    )
    assert "requirements are open" in await shell.refused(*decide, "approve", "--as", MODERATOR)
    waive = (*decide, "waive", "--as", MODERATOR, "--text", "It drops its rights.", "--finding")
    assert "Iteration 1 has no finding 'nothing'" in await shell.refused(*waive, "nothing")
    assert "at most 180 days" in await shell.refused(*waive, key, "--days", "999")
    assert "names that of an image" in await shell.refused(*waive, key, "--scope", "digest")
    assert "source repositories" in await shell.refused(*waive, key, "--scope", "repository", "--subject", "x")
    assert "at most 4000 characters" in await shell.refused(*decide, "note", "--as", MODERATOR, "--text", "x" * 4001)
    waived = await shell.json(*waive, key)
    assert waived["outcome"]["waived"] == 1
    undone = await shell.json(*decide, "undo", "--as", MODERATOR)
    assert undone["outcome"]["waived"] == 0
    assigned = await shell.json(*decide, "assign", "--as", MODERATOR, "--to", MODERATOR)
    assert assigned["assignee"]
    await shell(*decide, "note", "--as", MODERATOR, "--text", "Ask [Sue].")
    asked = await shell(*decide, "request-changes", "--as", MODERATOR, "--text", "Run it as somebody.")
    assert "changes requested · iteration 1 · turn: the publisher's" in asked.stdout


async def holds_and_revocations(hub: Hub, shell: Shell) -> None:
    """The listing's own life, each harmful step by two people."""
    product = ("harbour-ledgers/ledger", "--as")
    why = ("--text", "It opens port 23.")
    assert "Ask an admin" in await shell.refused("product", "hold", *product, ADA, *why)
    held = await shell.json("product", "hold", *product, MODERATOR, *why)
    assert (held["status"], held["proposal"]["act"]) == ("published", "hold")
    assert "confirm is for" in await shell.refused("product", "confirm", *product, MODERATOR)
    declined = await shell.json("product", "decline", *product, SECOND)
    assert declined["proposal"] is None
    await shell("product", "hold", *product, MODERATOR, *why)
    assert (await shell.json("product", "undo", *product, MODERATOR))["proposal"] is None
    await shell("product", "hold", *product, MODERATOR, *why)
    assert "hold · turn: the publisher's" in (await shell("product", "confirm", *product, SECOND)).stdout
    await listed(hub, "ledger", ListingStatus.HOLD)
    assert (await shell.json("product", "revoke", *product, MODERATOR, *why))["proposal"]["act"] == "revoke"
    assert (await shell.json("product", "confirm", *product, SECOND))["status"] == "revoked"
    await listed(hub, "ledger", ListingStatus.REVOKED)
    assert (await shell.json("product", "recover", *product, MODERATOR))["status"] == "published"
    await listed(hub, "ledger", ListingStatus.PUBLISHED)
    shown = await shell.json("product", "show", "harbour-ledgers/ledger")
    assert [image["tier"] for image in shown["images"]] == ["Community", "Standard"]
    assert [one["status"] for one in shown["submissions"]] == ["published"]
    page = (await shell("product", "show", shown["product"]["id"])).stdout
    for word in ("Ledger", "community", "proposed a hold", "It opens port 23.", "recovered the listing"):
        assert word in page, word
    assert (await shell.json("product", "list", "--publisher", "harbour-ledgers"))["total"] == 1
    assert "harbour-ledgers/ledger" in (await shell("product", "list", "--status", "published")).stdout
    assert "There is no product yet" in (await shell("product", "list", "--status", "hold")).stdout


async def test_a_submission_is_superseded_and_withdrawn(hub: Hub, hub_shell: Shell, tmp_path: Path) -> None:
    publisher = await verified(hub)
    write_sample(tmp_path / "crane", repository=f'repository = "oci:{tmp_path}"')
    submit = ("submit", "crane", "--as", publisher.email, "--publisher", publisher.slug)
    first = await hub_shell.json(*submit)
    second = (await hub_shell(*submit)).stdout
    assert "Submitted crane/2" in second
    assert f"It takes the place of submission {first['submission']}." in second
    withdrawn = await hub_shell.json("withdraw", f"{publisher.slug}/crane/2", "--as", publisher.email)
    assert (withdrawn["stage"], withdrawn["turn"]) == ("withdrawn", "nobody")
    await reached(hub, first["submission"], Stage.SUPERSEDED)
    await reached(hub, withdrawn["id"], Stage.WITHDRAWN)
    ended = await hub_shell.json("queue", "--ended", "--publisher", publisher.slug)
    assert {item["status"] for item in ended["items"]} == {"superseded", "withdrawn"}


async def test_private_sources_are_asked_for_their_password_and_it_is_shown_nowhere(
    hub_shell: Shell, tmp_path: Path
) -> None:
    write_sample(tmp_path / "crane")
    submit = ("submit", "crane", "--as", "nobody@nowhere.example")
    assert "needs its user name" in await hub_shell.refused(*submit, WHARFINGER_SOURCE_PASSWORD="open-sesame")
    result = await hub_shell(*submit, "--publisher", "x", "--username", "ada", typed="open-sesame\n", status=1)
    assert "Password of ada at the source" in result.stderr
    assert "open-sesame" not in result.stdout + result.stderr
    assert "There is no publisher x" in result.stderr
