"""Which vulnerability of which image a VEX statement is about, and which findings it answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.base import digest_of
from models.findings import Finding, Level, Severity, VexJustification, VexState, Waiver, WaiverScope
from models.scans import Vulnerability
from models.vex import VexStatement
from policies.vex import Said, Subject, answers, is_about, parts_of, purl_of, statement_about, statements_of
from policies.vulnerabilities import key_for

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DIGEST, OTHER = digest_of(b"image"), digest_of(b"other")
SUBJECT = Subject(
    names=frozenset({"registry.example/team/shop", "registry.example/team/shop:1.0", "urn:wharfinger:product:h/shop"}),
    digests=frozenset({DIGEST}),
)
PURL = "pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12"
FOUND = Vulnerability(
    id="CVE-2024-1", advisory="DSA-1", aliases=("GHSA-x",), purl=PURL, component="libssl3", version="3.0.9-1"
)


def said(**more: Any) -> VexStatement:
    return VexStatement.model_validate({"vulnerability": "CVE-2024-1", "state": VexState.NOT_AFFECTED} | more)


@pytest.mark.parametrize(
    ("product", "named"),
    [
        ("registry.example/team/shop:1.0", True),
        ("registry.example/team/shop", True),
        ("registry.example/team/shop:2.0", False),
        ("urn:wharfinger:product:h/shop", True),
        (DIGEST, True),
        (OTHER, False),
        (f"registry.example/elsewhere@{DIGEST}", True),
        ("pkg:oci/shop?repository_url=registry.example%2Fteam%2Fshop", True),
        ("pkg:oci/shop@1.0?repository_url=registry.example/team/shop", True),
        ("pkg:oci/shop@2.0?repository_url=registry.example/team/shop", False),
        (f"pkg:oci/shop@{DIGEST.replace(':', '%3A')}?repository_url=anywhere.example/shop", True),
        (f"pkg:oci/shop@{OTHER.replace(':', '%3A')}?repository_url=registry.example/team/shop", False),
        ("pkg:docker/other", False),
        ("shop", False),
    ],
)
def test_a_product_is_named_by_reference_repository_digest_or_id(product: str, named: bool) -> None:
    assert is_about(said(products=(product,)), ("CVE-2024-1",), PURL, SUBJECT) is named
    assert is_about(said(products=(product, "x"), components=(PURL,)), ("CVE-2024-1",), PURL, SUBJECT) is named


@pytest.mark.parametrize(
    ("package", "covered"),
    [
        (PURL, True),
        ("pkg:deb/debian/libssl3", True),
        ("pkg:deb/debian/libssl3@3.0.9-1", True),
        ("pkg:deb/debian/libssl3@3.0.9-2", False),
        ("pkg:deb/debian/libssl3?arch=arm64", False),
        ("pkg:deb/debian/libssl3?vendor=debian", True),
        ("pkg:deb/debian/openssl", False),
        ("pkg:deb/ubuntu/libssl3", False),
        ("pkg:DEB/debian/libssl3", True),
        ("libssl3", False),
        ("component libssl3", False),
    ],
)
def test_a_package_is_covered_by_its_name_and_the_version_that_is_given(package: str, covered: bool) -> None:
    assert is_about(said(components=(package,)), ("CVE-2024-1",), PURL, SUBJECT) is covered
    if purl_of(package):
        # a supplier's document calls the package the product
        assert is_about(said(products=(package,)), ("CVE-2024-1",), PURL, SUBJECT) is covered


def test_a_package_with_packages_within_is_not_the_image() -> None:
    statement = said(products=("pkg:maven/org/app@1",), components=("pkg:deb/debian/libssl3",))
    assert not is_about(statement, ("CVE-2024-1",), PURL, SUBJECT)


def test_a_statement_of_nothing_in_particular_is_about_whatever_it_is_used_with() -> None:
    assert is_about(said(), ("CVE-2024-1",), PURL, Subject())
    assert not is_about(said(), ("CVE-2024-2",), PURL, Subject())
    assert is_about(said(vulnerability="x", aliases=("GHSA-x",)), ("CVE-2024-1", "GHSA-x"), PURL, Subject())


def test_of_several_statements_the_latest_counts_and_an_expired_one_does_not() -> None:
    old, new = said(at=NOW - timedelta(days=2)), said(state=VexState.AFFECTED, at=NOW - timedelta(days=1))
    expired = said(at=NOW, expires=NOW)
    assert statement_about(FOUND, SUBJECT, [new, old, expired], NOW) == new
    assert statement_about(FOUND, SUBJECT, [old, said()], NOW) == old
    assert statement_about(FOUND, SUBJECT, [expired], NOW) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pkg:npm/%40angular/core@1.0#src", ("npm", "@angular/core", "1.0")),
        ("pkg:golang/github.com/a/b@v1.2.3", ("golang", "github.com/a/b", "v1.2.3")),
        ("pkg:generic/busybox", ("generic", "busybox", "")),
        ("pkg:generic", None),
        ("pkg:", None),
        ("https://example.org/a", None),
        ("", None),
    ],
)
def test_a_purl_is_taken_apart(text: str, parts: tuple[str, str, str] | None) -> None:
    found = purl_of(text)
    assert (found and found[:3]) == parts


# --- waivers as statements ------------------------------------------------------------------------------------------


def waiver(finding: str, subject: str = "p-1") -> Waiver:
    return Waiver(
        finding=finding,
        state=VexState.NOT_AFFECTED,
        justification=VexJustification.COMPONENT_NOT_PRESENT,
        evidence="A later layer deletes it.",
        owner="mo",
        scope=WaiverScope.PRODUCT,
        subject=subject,
        expires=NOW,
    )


def test_a_waiver_of_a_vulnerability_is_a_statement() -> None:
    (one,) = statements_of(
        [waiver(key_for(FOUND)), waiver("image.root:Free"), waiver(key_for(FOUND), "of another product")],
        {"p-1": ["pkg:oci/shop"]},
    )
    assert (one.vulnerability, one.products, one.components) == (
        "CVE-2024-1",
        ("pkg:oci/shop",),
        ("pkg:deb/debian/libssl3",),
    )
    assert (one.state, one.justification, one.words) == (
        VexState.NOT_AFFECTED,
        VexJustification.COMPONENT_NOT_PRESENT,
        "A later layer deletes it.",
    )
    # who granted it is not the publisher's business
    assert (one.author, one.expires) == ("", NOW)


def test_a_key_that_was_cut_says_too_little_to_be_a_statement() -> None:
    long = FOUND.model_copy(update={"purl": f"pkg:golang/{'x' * 300}@1"})
    assert parts_of(key_for(FOUND)) == ("CVE-2024-1", "pkg:deb/debian/libssl3")
    assert parts_of(key_for(long)) is None
    assert parts_of("image.root") is None
    assert parts_of("scan.vulnerability:CVE-2024-1") is None


# --- statements as answers ------------------------------------------------------------------------------------------


def finding(level: Level = Level.REQUIREMENT) -> Finding:
    return Finding(
        key=key_for(FOUND),
        rule="scan.vulnerability",
        level=level,
        title="t",
        why="w",
        remedy="r",
        severity=Severity.CRITICAL,
    )


def test_a_finding_is_answered_where_all_of_it_is() -> None:
    arm = FOUND.model_copy(update={"purl": PURL.replace("amd64", "arm64")})
    elsewhere = Subject(digests=frozenset({OTHER}))
    seen = {key_for(FOUND): [(FOUND, SUBJECT), (arm, elsewhere)]}
    every = said(components=("pkg:deb/debian/libssl3",))
    here = said(products=(DIGEST,))
    assert list(answers([every], [finding()], seen, NOW)) == [(finding(), every)]
    assert list(answers([here], [finding()], seen, NOW)) == []
    both = [here, said(products=(OTHER,), state=VexState.FIXED)]
    assert list(answers(both, [finding()], seen, NOW)) == [(finding(), here)]


@pytest.mark.parametrize("state", [VexState.AFFECTED, VexState.UNDER_INVESTIGATION])
def test_who_says_that_it_does_harm_asks_for_no_waiver(state: VexState) -> None:
    assert list(answers([said(state=state)], [finding()], {key_for(FOUND): [(FOUND, SUBJECT)]}, NOW)) == []


def test_what_holds_nothing_up_or_was_not_seen_needs_no_answer() -> None:
    seen = {key_for(FOUND): [(FOUND, SUBJECT)]}
    assert list(answers([said()], [finding(Level.GUIDELINE)], seen, NOW)) == []
    assert list(answers([said()], [finding()], {}, NOW)) == []


def test_a_document_of_very_many_statements_is_asked_by_name() -> None:
    many = [said(vulnerability=f"CVE-2000-{number}", products=("x",)) for number in range(20_000)]
    spoken = Said([*many, said(state=VexState.AFFECTED), said(vulnerability="GHSA-x", at=NOW)])
    found = [spoken.about(FOUND, SUBJECT, NOW) for _ in range(2_000)]
    assert {one.vulnerability for one in found if one} == {"GHSA-x"}
