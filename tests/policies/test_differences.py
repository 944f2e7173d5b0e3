"""What changed between two iterations: each part of it, and nothing that did not."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from models.base import digest_of
from models.content import ContentManifest, Price, Support, Track
from models.findings import Finding, FindingStatus, Level, Verdict
from models.images import ImageSource
from models.reports import Differences, ExaminedImage, IterationReport
from models.scans import Component, ComponentState, ImageReport
from policies.differences import differences, page_in_force
from policies.vulnerabilities import RULE
from tests.policies.samples import MONDAY, facts, layer, manifest, tier
from tests.policies.test_examination import SCANNER

OLD, NEW = digest_of(b"old"), digest_of(b"new")


def finding(key: str, **fields: Any) -> Finding:
    said: dict[str, Any] = {
        "key": key,
        "rule": key.partition(":")[0],
        "level": Level.REQUIREMENT,
        "title": f"Title of {key}",
        "why": "W.",
        "remedy": "R.",
    }
    return Finding.model_validate(said | fields)


def image(digest: str = OLD, tier: str = "Standard", platform: str = "linux/amd64", *tags: str) -> ExaminedImage:
    return ExaminedImage(tier=tier, tags=tags or ("1.0",), platform=platform, digest=digest)


def report(*findings: Finding, images: Sequence[ExaminedImage] = ()) -> IterationReport:
    return IterationReport(verdict=Verdict.PASSED, at=MONDAY, policy="p", findings=findings, images=tuple(images))


def scan(digest: str, *components: Component, layers: Sequence[bytes] = ()) -> ImageReport:
    made = tuple(layer(number, diff_id=digest_of(content)) for number, content in enumerate(layers))
    return ImageReport(scanner=SCANNER, facts=facts(digest=digest, layers=made), components=components)


def component(name: str, version: str, ecosystem: str = "PyPI", **fields: Any) -> Component:
    return Component(purl=f"pkg:x/{name}@{version}", ecosystem=ecosystem, name=name, version=version, **fields)


def between(
    before: IterationReport | None = None,
    after: IterationReport | None = None,
    old: Sequence[ImageReport] = (),
    new: Sequence[ImageReport] = (),
    manifest_before: ContentManifest | None = None,
    manifest_after: ContentManifest | None = None,
) -> Differences:
    return differences(
        before or report(),
        after or report(),
        old,
        new,
        manifest_before or manifest(),
        manifest_after or manifest(),
    )


def test_between_what_is_the_same_there_is_none() -> None:
    same = report(finding("image.size"), images=[image()])
    scans = [scan(OLD, component("django", "3.2"), layers=[b"a"])]
    found = between(same, same, scans, scans)
    assert found.empty
    assert found.still_open == 1
    assert found.lines() == ()


# --- findings and vulnerabilities -----------------------------------------------------------------------------------


def test_findings_are_new_mended_or_still_open_and_vulnerabilities_stand_apart() -> None:
    before = report(finding("image.size"), finding("manifest.name:name"), finding(f"{RULE}:CVE-1:x"))
    after = report(finding("image.size"), finding("image.user", where="Standard"), finding(f"{RULE}:CVE-2:x"))
    found = between(before, after)
    assert found.new_findings == ("Title of image.user (Standard)",)
    assert found.mended_findings == ("Title of manifest.name:name",)
    assert found.new_vulnerabilities == (f"Title of {RULE}:CVE-2:x",)
    assert found.mended_vulnerabilities == (f"Title of {RULE}:CVE-1:x",)
    assert found.still_open == 1


def test_what_was_waived_or_accepted_meanwhile_is_not_mended() -> None:
    before = report(finding("image.size"), finding(f"{RULE}:CVE-1:x"))
    after = report(
        finding("image.size", status=FindingStatus.ACCEPTED), finding(f"{RULE}:CVE-1:x", status=FindingStatus.WAIVED)
    )
    assert between(before, after).empty


def test_a_waiver_that_has_expired_opens_its_finding_anew() -> None:
    before = report(finding("image.size", status=FindingStatus.WAIVED))
    assert between(before, report(finding("image.size"))).new_findings == ("Title of image.size",)


def test_a_place_as_long_as_a_page_is_left_out() -> None:
    after = report(finding("image.size", where="x" * 80))
    assert between(after=after).new_findings == ("Title of image.size",)


# --- the manifest ---------------------------------------------------------------------------------------------------


def test_every_field_of_the_manifest_that_differs_is_named() -> None:
    after = manifest(
        name="Ledger Two",
        search_tags=("harbour",),
        screenshots=(),
        support=Support(link="https://acme.example/help"),
        tiers=(tier(price=Price(amount=Decimal("9.90"))), tier("Pro")),
    )
    lines = between(manifest_after=after).manifest
    assert "name: Ledger -> Ledger Two" in lines
    assert "search_tags: bookkeeping, harbour -> harbour" in lines
    assert "screenshots removed" in lines
    assert "support.link: https://harbour-ledgers.example/support -> https://acme.example/help" in lines
    assert "support.email removed" in lines
    assert "tiers.0.price.amount added: 9.90" in lines
    assert "tiers.1.name added: Pro" in lines
    assert not any(line.startswith(("category", "tiers.0.name", "tiers.0.description")) for line in lines)


def test_credentials_never_stand_in_a_difference() -> None:
    secret = tier(source=ImageSource(repository="r.example/x", tags=("1.0",), credentials="secret/abc"))
    found = between(manifest_after=manifest(tiers=(secret,)))
    assert found.manifest == ("tiers.0.source.repository: registry.example/harbour/standard -> r.example/x",)
    assert "secret" not in found.model_dump_json()


def test_long_texts_are_cut_and_written_in_one_line() -> None:
    after = manifest(long_description="A\nlong\ttext. " * 10_000)
    (line,) = between(manifest_after=after).manifest
    assert line.startswith("long_description: Ledger keeps the books")
    assert line.endswith("…")
    assert len(line) < 200
    assert "\n" not in line


def test_without_an_earlier_manifest_there_is_nothing_to_compare() -> None:
    found = differences(report(), report(), (), (), None, manifest())
    assert found.manifest == ()


# --- images and layers ----------------------------------------------------------------------------------------------


def test_images_are_compared_by_tier_and_platform() -> None:
    before = report(images=[image(), image(tier="Old")])
    after = report(images=[image(NEW, "Standard", "linux/amd64", "1.1"), image(NEW, "Pro")])
    assert between(before, after).images == (
        f"Standard linux/amd64: {OLD[:19]} -> {NEW[:19]}",
        "Old linux/amd64 is gone",
        f"Pro linux/amd64 is new: {NEW}",
    )


def test_several_versions_of_a_tier_are_compared_by_their_tags() -> None:
    kept, third = digest_of(b"kept"), digest_of(b"third")
    place = ("Standard", "linux/amd64")
    before = report(images=[image(OLD, *place, "1.0"), image(kept, *place, "2.0")])
    after = report(images=[image(kept, *place, "2.0"), image(NEW, *place, "1.0"), image(third, *place, "3.0")])
    assert between(before, after).images == (
        f"Standard:1.0 linux/amd64: {OLD[:19]} -> {NEW[:19]}",
        f"Standard:3.0 linux/amd64 is new: {third}",
    )
    assert between(after, before).images == (
        f"Standard:1.0 linux/amd64: {NEW[:19]} -> {OLD[:19]}",
        "Standard:3.0 linux/amd64 is gone",
    )


def test_an_image_that_only_got_another_tag_is_the_same() -> None:
    place = ("Standard", "linux/amd64")
    before = report(images=[image(OLD, *place, "1.0"), image(NEW, *place, "2.0")])
    after = report(images=[image(NEW, *place, "2.1"), image(OLD, *place, "1.1")])
    assert between(before, after).images == ()
    fewer = report(images=[image(NEW, *place, "2.1")])
    assert between(before, fewer).images == ("Standard:1.0 linux/amd64 is gone",)


def test_layers_are_counted_as_kept_new_and_gone() -> None:
    before, after = report(images=[image()]), report(images=[image(NEW)])
    old, new = scan(OLD, layers=[b"a", b"b", b"c"]), scan(NEW, layers=[b"a", b"a", b"b", b"d"])
    assert between(before, after, [old], [new]).layers == (
        "Standard linux/amd64: 4, 2 of them as before, 2 new, 1 gone",
    )
    assert between(before, after, [], [new]).layers == ()


# --- components -----------------------------------------------------------------------------------------------------


def test_components_are_new_removed_or_of_another_version() -> None:
    old = [scan(OLD, component("django", "3.2"), component("six", "1.0"), component("jinja2", "3.1"))]
    new = [scan(NEW, component("django", "4.2"), component("pyyaml", "6.0"), component("jinja2", "3.1"))]
    assert between(old=old, new=new).components == ("django 3.2 -> 4.2", "pyyaml new -> 6.0", "six 1.0 -> removed")


def test_a_component_is_one_of_its_ecosystem() -> None:
    old = [scan(OLD, component("requests", "2.0"), component("requests", "1.0", "Debian"))]
    new = [scan(NEW, component("requests", "2.1"), component("requests", "1.0", "Debian"))]
    assert between(old=old, new=new).components == ("requests 2.0 -> 2.1",)


def test_what_a_lower_layer_ships_and_a_later_one_deletes_is_no_component_of_the_image() -> None:
    old = [scan(OLD, component("six", "1.0"))]
    new = [scan(NEW, component("six", "1.0", state=ComponentState.REMOVED))]
    assert between(old=old, new=new).components == ("six 1.0 -> removed",)


def test_the_order_of_the_scans_does_not_matter() -> None:
    one, two = scan(OLD, component("django", "3.2")), scan(NEW, component("django", "4.2"), component("six", "1"))
    assert between(old=[one, two], new=[two]) == between(old=[two, one], new=[two])


# --- in words -------------------------------------------------------------------------------------------------------


def test_the_weightiest_is_said_first_and_what_is_cut_off_is_counted() -> None:
    found = Differences(
        manifest=("name: a -> b",),
        images=("Standard linux/amd64 is new",),
        layers=("Standard: 1",),
        components=tuple(f"c{number} new -> 1" for number in range(100)),
        new_vulnerabilities=("CVE-1",),
        mended_vulnerabilities=("CVE-2",),
        new_findings=("root",),
        mended_findings=("size",),
    )
    lines = found.lines()
    assert len(lines) == 40
    assert lines[:4] == (
        "new vulnerability: CVE-1",
        "new finding: root",
        "mended vulnerability: CVE-2",
        "mended: size",
    )
    assert lines[-1] == "and 68 more changes"
    assert not found.empty
    assert found.lines(most=1_000)[-1] == "product page: name: a -> b"


def test_an_image_that_could_not_be_read_brought_no_components_and_lost_none() -> None:
    read = [scan(OLD, component("django", "1.0"))]
    assert between(new=read).components == ()
    assert between(old=read).components == ()
    assert between(old=[scan(OLD)], new=read).components == ("django new -> 1.0",)


# --- listing edits ----------------------------------------------------------------------------------------------------


def test_an_edit_of_the_page_beside_a_version_changes_the_page_alone() -> None:
    version = report(finding("image.size"), finding(f"{RULE}:CVE-1"), finding("manifest.icon"), images=[image()])
    page = {"track": Track.LISTING, "tiers": (tier(source=None),), "short_description": "Shorter."}
    found = between(
        version,
        report(finding("manifest.length")),
        [scan(OLD, component("django", "1.0"), layers=[b"a"])],
        [],
        manifest(),
        manifest(**page),
    )
    short = manifest().short_description
    assert found == Differences(
        manifest=(f"short_description: {short} -> Shorter.",),
        new_findings=("Title of manifest.length",),
        mended_findings=("Title of manifest.icon",),
    )


def test_a_version_after_an_edit_is_compared_with_the_page_as_it_is_in_force() -> None:
    version = manifest(release_notes="The first.")
    edit = manifest(
        track=Track.LISTING, tiers=(tier(source=None, description="Better."),), short_description="Short.",
        release_notes="",
    )  # fmt: skip
    elsewhere = ImageSource(repository="registry.example/moved", tags=("1.1",))
    next_ = manifest(
        short_description="Short.", tiers=(tier(description="Better.", source=elsewhere),), release_notes="The second."
    )
    found = between(manifest_before=page_in_force(version, edit), manifest_after=next_)
    assert found == Differences(
        manifest=(
            "tiers.0.source.repository: registry.example/harbour/standard -> registry.example/moved",
            "tiers.0.source.tags: 1.0 -> 1.1",
            "release_notes: The first. -> The second.",
        )
    )
