"""Which base an image is built from, what it inherits, and what a rebuild would mend."""

from datetime import UTC, datetime, timedelta

import pytest

from models.base import digest_of
from models.bases import KnownBase
from models.findings import Severity
from models.images import ImageFacts, LayerFacts
from models.scans import ImageReport, Scanner, Vulnerability
from policies.bases import base_of, successors, with_base
from policies.vulnerabilities import key_for

DAY = datetime(2026, 3, 2, tzinfo=UTC)
DEBIAN = "registry.example/library/debian"


def layer(name: str) -> str:
    return digest_of(name.encode())


def base(
    *layers: str, reference: str = f"{DEBIAN}:12", platform: str = "linux/amd64", age: int | None = 0, added: int = 0
) -> KnownBase:
    """`age` is the day it was built, `added` the one it was added; `layers` are names."""
    return KnownBase(
        reference=reference,
        platform=platform,
        digest=digest_of(f"{platform}{layers}".encode()),
        layers=tuple(map(layer, layers)),
        created=None if age is None else DAY + timedelta(days=age),
        added_at=DAY + timedelta(days=added),
    )


def image(*layers: str, platform: str = "linux/amd64", found: dict[str, str] | None = None) -> ImageReport:
    """A report of an image of these layers; `found` are the layers of vulnerabilities by component."""
    facts = ImageFacts(
        platform=platform,
        digest=digest_of(f"image {layers}".encode()),
        config_digest=digest_of(b"config"),
        size=1,
        layers=tuple(
            LayerFacts(index=index, digest=layer(name), diff_id=layer(name), size=1, uncompressed=1)
            for index, name in enumerate(layers)
        ),
    )
    return ImageReport(
        scanner=Scanner(name="wharfinger", version="1", advisory_snapshot="sha256:0", at=DAY),
        facts=facts,
        vulnerabilities=tuple(vulnerability(name, layer(where)) for name, where in (found or {}).items()),
    )


def vulnerability(component: str, where: str = "") -> Vulnerability:
    return Vulnerability(
        id="CVE-2024-1",
        advisory="DSA-1",
        purl=f"pkg:deb/debian/{component}@1.0",
        component=component,
        version="1.0",
        layer=where,
        severity=Severity.MAJOR,
    )


def keys(*components: str) -> frozenset[str]:
    return frozenset(key_for(vulnerability(component)) for component in components)


# --- the base -------------------------------------------------------------------------------------------------------


def test_the_base_of_most_layers_is_the_one() -> None:
    debian, python = base("os"), base("os", "python", reference="registry.example/python:3.11")
    known = [debian, python, base("other"), base("os", "python", "app", "more")]
    assert base_of(image("os", "python", "app").facts, known) == python
    assert base_of(image("os", "node", "app").facts, known) == debian
    assert base_of(image("alpine", "os").facts, known) is None


def test_layers_in_another_order_or_of_another_platform_are_no_base() -> None:
    known = [base("a", "b"), base("c", platform="linux/arm64")]
    assert base_of(image("b", "a").facts, known) is None
    assert base_of(image("c", "d").facts, known) is None
    assert base_of(image("c", "d", platform="linux/arm64/v8").facts, known) == known[1]


def test_no_image_is_its_own_base_but_one_that_only_changes_the_configuration_has_one() -> None:
    debian = base("os")
    itself = image("os")
    own = debian.model_copy(update={"digest": itself.facts.digest})
    assert base_of(itself.facts, [own]) is None
    assert base_of(itself.facts, [debian]) == debian


def test_of_two_tags_of_one_image_the_first_known_is_named() -> None:
    first, second = base("os", reference=f"{DEBIAN}:12"), base("os", reference=f"{DEBIAN}:stable", added=1)
    assert base_of(image("os", "app").facts, [second, first]) == first


def test_a_base_without_layers_is_the_base_of_nothing() -> None:
    assert base_of(image("os").facts, [base()]) is None


# --- what it could be rebuilt on ------------------------------------------------------------------------------------


def test_a_rebuild_is_on_what_is_newer_in_the_same_repository_and_the_same_tag_first() -> None:
    old = base("old")
    mid, new = base("mid", age=5), base("new", age=9)
    thirteen = base("thirteen", reference=f"{DEBIAN}:13", age=20)
    known = [
        old,
        mid,
        thirteen,
        new,
        base("older", age=-1),
        base("foreign", reference="registry.example/python:3", age=30),
        base("arm", platform="linux/arm64", age=30),
        base("old", reference=f"{DEBIAN}:latest", added=30),
    ]
    assert successors(old, known) == [new, thirteen]
    assert successors(new, known) == [thirteen]


def test_images_that_do_not_say_when_they_were_built_are_ordered_by_when_they_became_known() -> None:
    first, second = base("a", age=None), base("b", age=None, added=1)
    assert successors(first, [first, second]) == [second]
    assert successors(second, [first, second]) == []
    # reproducible builds all say the same
    first, second = base("a"), base("b", added=1)
    assert successors(first, [first, second]) == [second]


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("host:5000/debian", "host:5000/debian"),
        ("host:5000/debian:12", "host:5000/debian"),
        ("oci:/bases/debian:12", "oci:/bases/debian"),
        (f"host/debian@{layer('x')}", "host/debian"),
    ],
)
def test_images_of_one_repository_are_a_family(reference: str, repository: str) -> None:
    assert base("x", reference=reference).repository == repository


# --- the report -----------------------------------------------------------------------------------------------------


def test_what_lies_in_the_bases_layers_is_inherited_and_a_rebuild_says_how_much_it_mends() -> None:
    old, new = base("os", "tools"), base("os2", "tools2", age=1)
    report = image("os", "tools", "app", found={"openssl": "os", "curl": "tools", "zlib": "os", "mine": "app"})
    told = with_base(report, [old, new], {new.digest: keys("zlib", "mine")})
    assert told.base is not None
    assert (told.base.reference, told.base.digest, told.base.layers) == (f"{DEBIAN}:12", old.digest, 2)
    rebuild = told.base.rebuild
    assert rebuild is not None
    assert (rebuild.digest, rebuild.mended, rebuild.inherited) == (new.digest, 2, 3)
    assert {one.component for one in told.vulnerabilities if one.inherited} == {"openssl", "curl", "zlib"}
    assert {one.component for one in told.vulnerabilities if one.mended_by_rebuild} == {"openssl", "curl"}
    assert with_base(told, [old, new], {new.digest: keys("zlib", "mine")}) == told


def test_a_base_that_is_not_known_any_more_leaves_nothing_in_the_report() -> None:
    old, new = base("os"), base("os2", age=1)
    report = image("os", "app", found={"openssl": "os"})
    told = with_base(report, [old, new], {new.digest: keys()})
    assert told.base is not None
    assert with_base(told, [], {}) == report


def test_a_rebuild_that_mends_nothing_is_not_offered_and_one_on_another_tag_only_where_the_same_does_not_help() -> None:
    old, new, thirteen = base("os"), base("os2", age=1), base("os13", reference=f"{DEBIAN}:13", age=2)
    report = image("os", "app", found={"openssl": "os", "zlib": "os"})
    all_left = keys("openssl", "zlib")
    for left, left_in_13, offered in (
        (all_left, all_left, None),
        (all_left, keys("zlib"), thirteen),
        (keys("zlib"), keys(), new),
    ):
        told = with_base(report, [old, new, thirteen], {new.digest: left, thirteen.digest: left_in_13})
        assert told.base is not None
        assert (told.base.rebuild and told.base.rebuild.digest) == (offered and offered.digest)
    # of a base without a report nobody knows what it has
    told = with_base(report, [old, new], {})
    assert told.base is not None
    assert told.base.rebuild is None
